import json
import sys

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks import torchvision_networks
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing

RESNET = "torchvision:resnet18"


@pytest.fixture(scope="session")
def resnet(tmp_path_factory):
    """A trained network, and its weights in a file."""
    torch.manual_seed(0)
    model = models.resnet18(num_classes=4).eval()
    path = tmp_path_factory.mktemp("weights") / "cells.safetensors"
    save_file(model.state_dict(), path)
    return model, str(path)


def save(model, path, **written):
    torch.save(model.state_dict(), path)
    path.with_suffix(".json").write_text(json.dumps(written))
    return find(str(path))


def trained(model):
    """New ones may give nothing but zeros."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model.eval()


def outputs(network, layer):
    backbone = load_backbone(network, layer)
    size = network.input_size
    images = torch.randn((2, 3, size, size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return images, backbone(images)


def assert_alike(network, model):
    images, scores = outputs(network, "logits")
    with torch.inference_mode():
        expected = model(images)
    assert expected.abs().max() > 1e-6
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-5)


def test_a_network_as_the_listed_ones(resnet):
    model, path = resnet
    classes = ("a", "b", "c", "d")
    network = find(path, {"architecture": RESNET, "classes": classes})
    assert network.id == path
    assert network.name == "cells.safetensors"
    assert network.classes == classes
    assert network.layer == "penultimate"
    assert network.has_classifier and network.has_layers
    assert network.compiles and not network.cpu_only
    assert network.available() and network.megabytes == 0
    assert network.stages() == ("relu", "layer1", "layer2", "layer3", "layer4")
    assert network.origin == f"file {path}"
    assert_alike(network, model)
    assert outputs(network, None)[1].shape == (2, 512)
    assert outputs(network, "layer2")[1].shape == (2, 128)
    images, features = outputs(network, "penultimate")
    with torch.inference_mode():
        torch.testing.assert_close(
            model.fc(features), model(images), rtol=1e-3, atol=1e-5
        )


def test_preprocessing_is_that_of_the_architecture(resnet):
    _, path = resnet
    given = {"architecture": RESNET, "classes": 4}
    like = torchvision_networks.find("resnet18").preprocessing
    assert find(path, given).preprocessing == like
    other = find(path, given | {"size": 64, "fit": "pad"}).preprocessing
    assert (other.size, other.resize, other.fit) == (64, None, "pad")
    assert other.mean == pytest.approx(like.mean)
    # Other weights of it were trained in another way.
    tag = {"architecture": "torchvision:resnet50.IMAGENET1K_V2", "classes": 4}
    assert find(path, tag).preprocessing.resize == 232
    assert dict(find(path, given).about) == given | {"size": 224}


def test_given_preprocessing(resnet, tmp_path):
    model, _ = resnet
    save(model, tmp_path / "a.pt", architecture=RESNET, classes=4)
    wanted = Preprocessing(32, None, (0, 0, 0), (1, 1, 1), "bilinear")
    network = find(str(tmp_path / "a.pt"), wanted)
    assert network.preprocessing is wanted
    assert network.input_size == 32


def test_the_same_weights_as_another_architecture(tmp_path):
    """They make other vectors, so that these must not be taken for each other."""
    pytest.importorskip("timm")
    torch.save({"w": torch.zeros(1)}, tmp_path / "a.pt")
    fingerprints = {
        find(str(tmp_path / "a.pt"), {"architecture": a, "classes": 4}).fingerprint
        for a in ("timm:efficientnet_b0", "timm:tf_efficientnet_b0")
    }
    assert len(fingerprints) == 2


def test_changed_after_it_was_chosen(resnet, tmp_path):
    model, _ = resnet
    network = save(model, tmp_path / "a.pt", architecture=RESNET, classes=4)
    _ = network.fingerprint
    torch.save(models.resnet18(num_classes=4).state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"a\.pt has changed since it was chosen"):
        load_backbone(network)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("densenet121", 64, {}),
        ("mobilenet_v3_small", 64, {}),
        ("vit_b_32", 64, {"image_size": 64}),
        ("swin_v2_t", 64, {}),
        ("inception_v3", 299, {"init_weights": False, "transform_input": True}),
        ("googlenet", 224, {"init_weights": False, "transform_input": True}),
        ("regnet_y_400mf", 64, {}),
    ],
)
def test_architectures_of_torchvision(tmp_path, name, size, options):
    model = trained(getattr(models, name)(num_classes=3, **options))
    written = {"architecture": f"torchvision:{name}", "classes": 3, "size": size}
    assert_alike(save(model, tmp_path / "a.pth", **written), model)


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("resnet18", 64, {}),
        ("efficientnet_b0", 64, {}),
        ("vit_tiny_patch16_224", 96, {"img_size": 96}),
        ("vit_tiny_patch16_224.augreg_in21k", 224, {}),
        ("convnext_atto", 64, {}),
    ],
)
def test_architectures_of_timm(tmp_path, name, size, options):
    timm = pytest.importorskip("timm")
    model = trained(timm.create_model(name, num_classes=3, **options))
    written = {"architecture": f"timm:{name}", "classes": 3, "size": size}
    network = save(model, tmp_path / "a.pth", **written)
    assert_alike(network, model)
    assert outputs(network, "penultimate")[1].shape == (2, model.num_features)
    assert network.stages()


def test_timm_without_a_classifier(tmp_path):
    timm = pytest.importorskip("timm")
    model = timm.create_model("resnet18", num_classes=0).eval()
    network = save(model, tmp_path / "a.pth", architecture="timm:resnet18", classes=0)
    assert not network.has_classifier
    assert outputs(network, None)[1].shape == (2, 512)
    with pytest.raises(ValueError, match="no classifier"):
        load_backbone(network, "logits")


def test_names_that_timm_translates(tmp_path):
    """Weights of those who made the architecture."""
    timm = pytest.importorskip("timm")
    model = trained(timm.create_model("convnext_atto", num_classes=3))
    state = model.state_dict()
    # As Meta's repository has it.
    old = {}
    for key, value in state.items():
        for new, name in (
            ("stem.", "downsample_layers.0."),
            ("head.norm.", "norm."),
            ("head.fc.", "head."),
        ):
            if key.startswith(new):
                key = name + key.removeprefix(new)
        key = key.replace(".blocks.", ".").replace(".conv_dw.", ".dwconv.")
        for stage in (1, 2, 3):
            key = key.replace(
                f"stages.{stage}.downsample.", f"downsample_layers.{stage}."
            )
        key = key.replace(".mlp.fc1.", ".pwconv1.").replace(".mlp.fc2.", ".pwconv2.")
        old[key] = value
    assert set(old) != set(state)
    torch.save({"model": old}, tmp_path / "a.pth")
    written = {"architecture": "timm:convnext_atto", "classes": 3, "size": 64}
    assert_alike(find(str(tmp_path / "a.pth"), written), model)


# -- What does not fit -----------------------------------------------------------


def refusal(network):
    with pytest.raises(ModelError) as caught:
        load_backbone(network)
    message = str(caught.value)
    assert len(message) < 700 and "\n" not in message
    return message


@pytest.mark.parametrize("architecture", [RESNET, "timm:resnet18"])
def test_other_number_of_classes(resnet, architecture):
    if architecture.startswith("timm"):
        pytest.importorskip("timm")
    _, path = resnet
    message = refusal(find(path, {"architecture": architecture, "classes": 7}))
    assert f"{path} does not fit {architecture} with 7 classes" in message
    assert "fc.weight (4 x 512 instead of 7 x 512), fc.bias (4 instead of 7)" in message


def test_other_architecture(resnet):
    _, path = resnet
    message = refusal(find(path, {"architecture": "torchvision:vgg11", "classes": 4}))
    assert "missing: features.0.weight" in message
    assert "unknown:" in message


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"classes": 4}, "lacks architecture"),
        ({"architecture": RESNET}, "lacks classes"),
        ({}, "lacks architecture"),
        ({"architecture": "torchvision:resnet19", "classes": 4}, "similar: resnet18"),
        ({"architecture": "torchvision:resnet18.X", "classes": 4}, "no weights 'X'"),
        ({"architecture": RESNET, "classes": 0}, "have at least one class"),
        ({"architecture": RESNET, "classes": 4, "colour": 1}, "unknown key 'colour'"),
        ({"architecture": RESNET, "classes": 4, "std": [0, 1, 1]}, "std must be"),
        ({"architecture": RESNET, "classes": 4, "mean": [124, 1, 1]}, '"range": 255'),
        ({"architecture": "timm:resnet19", "classes": 4}, "similar: resnet18"),
        ({"architecture": "timm:resnet18.x", "classes": 4}, "no weights 'resnet18.x'"),
    ],
)
def test_wrong_description(resnet, tmp_path, written, reason):
    if "timm" in written.get("architecture", ""):
        pytest.importorskip("timm")
    model, _ = resnet
    with pytest.raises(ModelError) as caught:
        save(model, tmp_path / "a.pt", **written)
    assert str(tmp_path / "a.json") in str(caught.value)
    assert reason in str(caught.value)


def test_size_for_which_it_cannot_be_built(resnet):
    _, path = resnet
    written = {"architecture": "torchvision:maxvit_t", "classes": 4, "size": 100}
    message = refusal(find(path, written))
    assert "torchvision:maxvit_t cannot be built for images of 100 pixels" in message


def test_without_timm(resnet, monkeypatch):
    _, path = resnet
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"need the package timm: pip install"):
        find(path, {"architecture": "timm:resnet18", "classes": 4})
