import pytest

from orangecontrib.imageanalytics.networks import layers, layouts
from orangecontrib.imageanalytics.networks.architectures import PackagedModule
from orangecontrib.imageanalytics.networks.checkpoints import PackagedNetwork
from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network

PACKAGED = [n for n in NETWORKS if isinstance(n, PackagedNetwork)]
each = pytest.mark.parametrize("network", PACKAGED, ids=lambda network: network.id)


def test_there_are_three():
    names = [network.id for network in PACKAGED]
    assert names == ["efficientnet-lite0", "efficientnet-lite2", "squeezenet"]


@each
def test_names_are_those_of_torch(network):
    module = PackagedModule(network.layout)
    names = [name for name, _ in module.named_modules() if name]
    assert list(network.layout.named_layers()) == names
    assert list(network.layout.tensor_names()) == list(module.state_dict())


@each
def test_stages_are_those_that_are_found_in_torch(network):
    found = layers.find_stages(network.build(), network.input_size)
    assert network.stages() == found
    assert len(found) > 3


@each
@pytest.mark.parametrize("size", [64, 225])
def test_stages_at_other_sizes(network, size):
    found = layers.find_stages(network.build(), size)
    assert network.layout.stages(size) == found


def test_numbers_of_weights():
    """As published: 4.7, 6.1 and 1.2 million."""
    millions = [
        sum(p.numel() for p in network.build().parameters()) / 1e6
        for network in PACKAGED
    ]
    assert millions == pytest.approx([4.65, 6.09, 1.235], abs=0.01)


@pytest.mark.parametrize("side", range(8, 12))
@pytest.mark.parametrize("kernel", [3, 5])
def test_same_padding_is_that_of_tensorflow(side, kernel):
    layer = layouts.SamePadding(kernel)
    before, after = layer.margins(side)
    outputs = -(-side // 2)
    # Source: tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    total = max((outputs - 1) * 2 + kernel - side, 0)
    assert (before, after) == (total // 2, total - total // 2)
    convolution = layouts.Convolution(3, 8, kernel, stride=2)
    assert convolution.side(layer.side(side)) == outputs


@pytest.mark.parametrize(
    ("model", "layer", "name"),
    [
        ("efficientnet-lite0", "penultimate", "pool"),
        ("efficientnet-lite0", "logits", "classifier"),
        ("squeezenet", "penultimate", "features.13"),
        ("squeezenet", "logits", "pool"),
        ("squeezenet", "features.4.squeeze", "features.4.squeeze"),
    ],
)
def test_names_of_layers(model, layer, name):
    assert find_network(model).layout.name_of(layer) == name


@pytest.mark.parametrize("layer", ["attic", "features.99", "joint", "map of logits"])
def test_unknown_layers(layer):
    with pytest.raises(ValueError, match=f"there is no layer '{layer}'"):
        layouts.squeezenet().name_of(layer)
