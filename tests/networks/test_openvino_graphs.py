"""What the graphs compute, compared with torch."""

import numpy as np
import pytest
import torch

from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.checkpoints import PackagedNetwork
from orangecontrib.imageanalytics.networks.openvino_library import library
from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network

PACKAGED = [n for n in NETWORKS if isinstance(n, PackagedNetwork)]
LITE = ("efficientnet-lite0", "efficientnet-lite2")
LAYERS = [
    (network.id, layer)
    for network in PACKAGED
    for layer in ("penultimate", "logits", *network.stages())
]
# Layers that no list offers, but that can be named.
INNER = [
    *(("efficientnet-lite0", f"features.0.{name}") for name in ("0", "1.0", "1.1")),
    *(("efficientnet-lite0", f"features.2.layers.1.1.{n}") for n in range(3)),
    ("efficientnet-lite0", "features.4.layers"),  # before the input is added
    ("efficientnet-lite0", "features"),
    ("efficientnet-lite0", "pool"),
    ("efficientnet-lite0", "classifier"),
    *(("squeezenet", f"features.{number}") for number in (0, 1, 3)),
    ("squeezenet", "features.4.squeeze"),
    ("squeezenet", "features.4.squeeze_activation"),
    ("squeezenet", "features.5.expand3x3"),
    ("squeezenet", "pool"),
]
MAPS = [
    *(
        (model, f"map of {layer}")
        for model in LITE
        for layer in ("logits", "features.5")
    ),
    *((network.id, "map of penultimate") for network in PACKAGED),
    ("efficientnet-lite0", "map of features.1"),
    ("squeezenet", "map of logits"),
    ("squeezenet", "map of features.5"),
]


def run(network, layer, image):
    graph = network.openvino_graph(layer)
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return library().Core().compile_model(graph, "CPU", options)([image])[0]


@pytest.mark.parametrize(("model", "layer"), [*LAYERS, *INNER, *MAPS])
def test_same_as_in_torch(model, layer):
    network = find_network(model)
    size = network.input_size
    image = np.random.default_rng(0).normal(size=(1, 3, size, size)).astype("f4")
    found = run(network, layer, image)
    with torch.inference_mode():
        expected = load_backbone(network, layer)(torch.from_numpy(image)).numpy()
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
    cosine = (found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine >= 0.99999


@pytest.mark.parametrize(
    ("model", "layer"),
    [*LAYERS, ("efficientnet-lite0", "classifier"), ("squeezenet", "pool")],
)
def test_vectors_are_means_of_maps(model, layer):
    network = find_network(model)
    size = network.input_size
    image = np.random.default_rng(0).normal(size=(1, 3, size, size)).astype("f4")
    (vector,) = run(network, layer, image)
    (side, *positions) = run(network, f"map of {layer}", image)[0]
    positions = np.reshape(positions, (int(side) ** 2, -1))
    most = np.abs(vector).max()
    np.testing.assert_allclose(positions.mean(0), vector, rtol=0, atol=2e-5 * most)


def test_input_and_output():
    network = find_network("efficientnet-lite2")
    graph = network.openvino_graph("features.1")
    assert list(graph.input(0).shape) == [1, 3, 260, 260]
    assert list(graph.output(0).shape) == [1, 16]


def test_later_layers_are_not_in_the_graph():
    network = find_network("efficientnet-lite0")
    whole, part = (
        len(network.openvino_graph(layer).get_ops()) for layer in ("logits", "pool")
    )
    early = len(network.openvino_graph("features.1").get_ops())
    assert early < part / 3 < whole / 3


@pytest.mark.parametrize("layer", ["attic", "map of attic"])
def test_no_such_layer(layer):
    with pytest.raises(ValueError, match=r"SqueezeNet: .* 'attic'; .*features\.13"):
        find_network("squeezenet").openvino_graph(layer)
