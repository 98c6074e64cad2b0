import threading

import pytest
import torch
from torch import nn

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.layers import (
    Pooled,
    Stage,
    pool,
    read_layer,
    remove_classifier,
)
from orangecontrib.imageanalytics.networks.registry import find_network

BLOCKS = [f"encoder.layers.encoder_layer_{index}" for index in range(12)]


class Small(nn.Module):
    """Three maps, the second of them out of order, and a classifier."""

    def __init__(self):
        super().__init__()
        self.third = nn.Conv2d(8, 16, 3, 2, 1)
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.second = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(inplace=True))
        self.unused = nn.Conv2d(3, 3, 1)
        self.several = nn.Identity()
        self.head = nn.Linear(16, 5)
        self.ran = 0

    def forward(self, x):
        x = self.second(self.first(x))
        self.ran += 1
        return self.head(self.third(x).mean((2, 3)))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture
def batch():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name, expected",
    [
        ("resnet50", ["relu", "layer1", "layer2", "layer3", "layer4"]),
        ("torchvision:wide_resnet50_2", ["relu", *(f"layer{i}" for i in range(1, 5))]),
        (
            "torchvision:regnet_y_400mf",
            ["stem", *(f"trunk_output.block{index}" for index in range(1, 5))],
        ),
        ("vgg16", [*(f"features.{i}" for i in (3, 8, 15, 22, 29)), "avgpool"]),
        ("torchvision:alexnet", ["features.1", "features.4", "features.11", "avgpool"]),
        ("torchvision:squeezenet1_1", [f"features.{i}" for i in (1, 4, 7, 12)]),
        (
            "torchvision:googlenet",
            ["conv1", "conv3", "inception3b", "inception4e", "inception5b"],
        ),
        (
            "densenet121",
            [
                "features.relu0",
                *(f"features.transition{index}.conv" for index in (1, 2, 3)),
                "features.norm5",
            ],
        ),
        ("mobilenet-v3-large", [f"features.{i}" for i in (1, 3, 6, 12, 16)]),
        ("efficientnet-v2-s", [f"features.{i}" for i in (1, 2, 3, 5, 7)]),
        ("convnext-tiny", [*(f"features.{i}.0" for i in (2, 4, 6)), "features.7"]),
        ("torchvision:swin_t", [*(f"features.{i}" for i in (1, 3, 5)), "permute"]),
        ("torchvision:maxvit_t", ["stem", *(f"blocks.{index}" for index in range(4))]),
        ("vit-b-16", ["conv_proj", *BLOCKS, "encoder.ln"]),
    ],
)
def test_stages_of_well_known_networks(name, expected):
    assert find_network(name).stages() == tuple(expected)


def test_all_layers_give_vectors(small, batch):
    lengths = {"logits": 5, "first": 4, "second": 8, "second.0": 8, "third": 16}
    for layer, length in lengths.items():
        vectors = Pooled(read_layer(small, layer))(batch)
        assert vectors.shape == (3, length)
        for module in small.modules():
            module._forward_hooks.clear()
    assert read_layer(small, "penultimate")(batch).shape == (3, 16)


def test_penultimate_is_what_the_classifier_gets(small, batch):
    scores, classifier = small(batch), small.head
    torch.testing.assert_close(
        classifier(read_layer(small, "penultimate")(batch)), scores
    )


def test_classifier_that_is_a_convolution(batch):
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 7, 1), nn.AdaptiveAvgPool2d(1)
    )
    expected = model[:2](batch).mean((2, 3), keepdim=True)
    remove_classifier(model)
    torch.testing.assert_close(model(batch), expected)


def test_stage_is_the_output_of_the_module_and_ends_there(small, batch):
    expected = small.second(small.first(batch))
    torch.testing.assert_close(Stage(small, "second")(batch), expected)
    assert small.ran == 0


def test_what_is_done_in_place_afterwards_is_not_seen(small, batch):
    expected = small.second[0](small.first(batch))
    assert expected.min() < 0
    torch.testing.assert_close(Stage(small, "second.0")(batch), expected)


def test_stage_in_several_threads(small):
    batches = [torch.randn(n, 3, 32, 32) for n in range(1, 9)]
    expected = [small.second(small.first(batch)) for batch in batches]
    stage, results = Stage(small, "second"), {}
    start = threading.Barrier(len(batches))

    def work(index):
        start.wait()
        with torch.inference_mode():
            results[index] = [stage(batches[index]) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, value in enumerate(expected):
        assert len(results[index]) == 20
        for result in results[index]:
            torch.testing.assert_close(result, value.detach())


@pytest.mark.parametrize("layer", ["fourth", "second.7", "first.weight", "first.", "."])
def test_no_such_layer(small, layer):
    with pytest.raises(ValueError, match=f"no layer '{layer}'"):
        read_layer(small, layer)


@pytest.mark.parametrize("layer", ["unused", "several"])
def test_layer_that_is_not_computed(small, batch, layer):
    with pytest.raises(ModelError, match=f"'{layer}' takes no part"):
        read_layer(small, layer)(batch)


def test_network_without_a_layer_that_could_be_a_classifier():
    with pytest.raises(ValueError, match="no classifier"):
        read_layer(nn.Sequential(nn.Flatten()), "penultimate")


@pytest.mark.parametrize(
    "shape, axes",
    [
        ((2, 5), None),
        ((2, 7, 5), 1),
        ((2, 5, 3, 3), (2, 3)),
        ((2, 3, 3, 5), (1, 2)),
        ((2, 5, 1, 1), (2, 3)),
        ((2, 1, 1, 5), (1, 2)),
        ((1, 3, 3, 3), (2, 3)),  # cannot be told apart: as most networks have it
    ],
)
def test_pool(shape, axes):
    output = torch.randn(shape)
    expected = output if axes is None else output.mean(axes)
    assert expected.ndim == 2
    torch.testing.assert_close(pool(output), expected)


def test_pool_opens_what_holds_one_tensor():
    output = torch.randn(2, 5)
    for wrapped in ([output], (output,), {"features": output}, [{"x": (output,)}]):
        assert pool(wrapped) is output


@pytest.mark.parametrize(
    "output, reason",
    [
        (torch.zeros(5), "shape 5 is no vector"),
        (torch.zeros(2, 5, 3, 4), "shape 2 x 5 x 3 x 4 is no vector"),
        (torch.zeros(2, 3, 4, 5, 5), "2 x 3 x 4 x 5 x 5"),
        (torch.tensor(1.0), "is no vector"),
        ((torch.zeros(2, 5), torch.zeros(2, 5)), "a tuple, not one tensor"),
        ({"a": torch.zeros(2, 5), "b": torch.zeros(2, 5)}, "a dict, not one"),
        ([], "a list, not one"),
        (None, "a NoneType, not one"),
    ],
)
def test_what_cannot_be_pooled(output, reason):
    with pytest.raises(ModelError, match=reason):
        pool(output)
