import dataclasses
import hashlib
import re

import pytest
import torch
from torchvision import models

from orangecontrib.imageanalytics.networks import torchvision_networks
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.layers import Pooled
from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network

# One of each architecture, and the length of its vectors.
LENGTHS = {
    "alexnet": 4096,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "googlenet": 1024,
    "inception_v3": 2048,
    "maxvit_t": 512,
    "mnasnet0_5": 1280,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 1024,
    "regnet_y_400mf": 440,
    "resnet18": 512,
    "shufflenet_v2_x0_5": 1024,
    "squeezenet1_1": 512,
    "swin_v2_t": 768,
    "vgg11_bn": 4096,
    "vit_b_32": 768,
    "wide_resnet50_2": 2048,
}


def test_names():
    names = torchvision_networks.names()
    assert len(names) >= 80
    assert len(set(names)) == len(names)
    assert "torchvision:regnet_y_8gf" in names
    # Neither for detection nor for video.
    assert not any("rcnn" in name or "r3d" in name for name in names)


@pytest.mark.parametrize("name", torchvision_networks.names())
def test_every_network(name):
    network = find_network(name)
    weights = models.get_model_weights(name.partition(":")[2]).DEFAULT
    assert network.id == f"{name}.{weights.name}"
    assert find_network(network.id) == network
    assert re.fullmatch(r"[0-9a-f]{8,}", network.weights.sha256)
    assert network.weights.url == weights.url
    assert network.megabytes == pytest.approx(weights.meta["_file_size"] * 1.048576)
    assert network.preprocessing.size == network.input_size
    assert network.licence and network.origin and network.description
    assert len(network.classes) == 1000
    assert network.classes[0] == "tench"


def test_every_weights_entry_can_be_found():
    for name in torchvision_networks.names():
        for weights in models.get_model_weights(name.partition(":")[2]):
            if weights.name == "IMAGENET1K_FEATURES":  # without a classifier
                continue
            network = find_network(f"{name}.{weights.name}")
            assert network.weights.url == weights.url
            assert network.input_size == weights.transforms().crop_size[0]


def test_other_weights():
    default = torchvision_networks.find("resnet50")
    older = torchvision_networks.find("resnet50.IMAGENET1K_V1")
    assert default.id == "torchvision:resnet50.IMAGENET1K_V2"
    assert older.preprocessing.resize == 256 != default.preprocessing.resize
    assert older.weights.fingerprint != default.weights.fingerprint


def test_same_file_as_the_entries_of_the_list():
    entry = find_network("resnet50")
    assert find_network("torchvision:resnet50").weights.path == entry.weights.path
    assert find_network("torchvision:resnet50") not in NETWORKS


def test_transformer_for_larger_images():
    network = torchvision_networks.find("vit_b_16.IMAGENET1K_SWAG_E2E_V1")
    assert network.input_size == 384
    model = network.build().eval()
    assert model(torch.zeros(1, 3, 384, 384, device="meta")).shape == (1, 1000)


@pytest.mark.parametrize("name", ["resnet5", "", "fasterrcnn_resnet50_fpn", "r3d_18"])
def test_unknown_network(name):
    with pytest.raises(
        ValueError, match=f"no classification network '{name}'"
    ) as error:
        find_network("torchvision:" + name)
    assert ("similar: resnet50" in str(error.value)) == (name == "resnet5")


@pytest.mark.parametrize(
    "tag", ["V3", "DEFAULT", "url", "__class__", "IMAGENET1K_V1.x"]
)
def test_unknown_weights(tag):
    with pytest.raises(ValueError) as error:
        torchvision_networks.find("resnet50." + tag)
    assert f"'{tag}' of 'resnet50'" in str(error.value)
    assert "only: IMAGENET1K_V1, IMAGENET1K_V2" in str(error.value)


def test_weights_without_a_classifier():
    with pytest.raises(ValueError, match="IMAGENET1K_FEATURES' of 'vgg16' that can be"):
        torchvision_networks.find("vgg16.IMAGENET1K_FEATURES")


@pytest.mark.parametrize("name", LENGTHS)
def test_every_layer_that_is_offered_gives_vectors(name):
    network = torchvision_networks.find(name)
    batch = torch.zeros(2, 3, network.input_size, network.input_size, device="meta")
    stages = network.stages()
    assert len(stages) >= 4
    for layer in ("penultimate", "logits", stages[0], stages[-1]):
        model = network.build().eval()
        vectors = Pooled(network.read_layer(model, layer))(batch)
        expected = {"penultimate": LENGTHS[name], "logits": 1000}
        assert vectors.ndim == 2
        assert vectors.shape[1] == expected.get(layer, vectors.shape[1])


def random_state(network):
    """Weights with which the numbers neither vanish nor explode."""
    generator = torch.Generator().manual_seed(0)
    # With the versions of its modules, which MNASNet asks for.
    state = network.build().state_dict()
    for name, tensor in state.items():
        if not tensor.is_floating_point():
            state[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)
        elif tensor.ndim > 1:
            scale = (2 / tensor[0].numel()) ** 0.5
            state[name] = scale * torch.randn(tensor.shape, generator=generator)
        else:
            state[name] = 0.5 + torch.rand(tensor.shape, generator=generator)
    return state


@pytest.mark.parametrize(
    "name",
    [
        "googlenet",
        "mnasnet0_5",
        "mobilenet_v3_small",
        "regnet_y_400mf",
        "resnet18",
        "shufflenet_v2_x0_5",
        "squeezenet1_1",
    ],
)
def test_loaded_network_is_that_of_torchvision(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    network = torchvision_networks.find(name)
    state = random_state(network)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / "saved")
    digest = hashlib.sha256((folder / "saved").read_bytes()).hexdigest()
    url = f"https://example.com/{name}-{digest[:8]}.pth"
    (folder / "saved").rename(folder / url.rpartition("/")[2])
    weights = dataclasses.replace(network.weights, url=url)
    network = dataclasses.replace(network, weights=weights)

    model = network.build()
    model.load_state_dict(state, assign=True)
    batch = torch.randn(1, 3, network.input_size, network.input_size)
    with torch.inference_mode():
        expected = model.eval()(batch)
        scores = load_backbone(network, "logits")(batch)
        assert (scores - expected).abs().max() < 1e-4 * expected.abs().max()
        assert load_backbone(network)(batch).shape == (1, LENGTHS[name])
