import json
import shutil

import pytest
import torch
from network_files import Trap
from safetensors.torch import save_file

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.files.network_file import find

timm = pytest.importorskip("timm")


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A network, and the folder that timm makes of it."""
    torch.manual_seed(0)
    model = timm.create_model("resnet18", num_classes=3).eval()
    folder = tmp_path_factory.mktemp("hub") / "birds"
    timm.models.save_for_hf(
        model,
        str(folder),
        model_config={
            "label_names": ["n1", "n2", "n3"],
            "label_descriptions": {"n1": "robin, redbreast", "n2": "wren"},
        },
        safe_serialization=True,
    )
    return model, folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that may be changed."""
    shutil.copytree(saved[1], tmp_path / "birds")
    return tmp_path / "birds"


def change(folder, **values):
    file = folder / "config.json"
    config = json.loads(file.read_text()) | values
    file.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        load_backbone(find(str(folder)))
    assert str(folder) in str(caught.value)
    return str(caught.value)


def outputs(network, layer):
    size = network.input_size
    images = torch.randn((2, 3, size, size), generator=torch.Generator().manual_seed(0))
    backbone = load_backbone(network, layer)
    with torch.inference_mode():
        return images, backbone(images)


def test_folder(saved):
    model, folder = saved
    assert (folder / "model.safetensors").exists()
    network = find(str(folder))
    assert network.name == "birds"
    assert network.classes == ("robin", "wren", "n3")
    assert network.has_layers and network.compiles
    config = timm.get_pretrained_cfg("resnet18")
    assert network.input_size == config.input_size[-1]
    assert network.preprocessing.mean == pytest.approx(
        [255 * value for value in config.mean]
    )
    images, scores = outputs(network, "logits")
    with torch.inference_mode():
        torch.testing.assert_close(scores, model(images), rtol=1e-3, atol=1e-5)
    assert outputs(network, None)[1].shape == (2, 512)
    assert network.stages()
    assert network.about == ()


def test_pickled_weights(saved, folder):
    (folder / "model.safetensors").unlink()
    torch.save(saved[0].state_dict(), folder / "pytorch_model.bin")
    assert outputs(find(str(folder)), "logits")[1].shape == (2, 3)
    trap = Trap(str(folder / "sprung"))
    (folder / "pytorch_model.bin").write_bytes(trap.pickled())
    assert "holds a pickled Python object" in refusal(folder)
    assert not trap.sprung


def test_arguments_of_the_architecture(tmp_path):
    arguments = {"img_size": 96, "class_token": False, "global_pool": "avg"}
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments).eval()
    folder = tmp_path / "cells"
    timm.models.save_for_hf(model, str(folder), model_args=arguments)
    change(folder, model_args=arguments)  # which older versions of timm leave out
    network = find(str(folder))
    assert network.input_size == 96
    images, features = outputs(network, None)
    with torch.inference_mode():
        torch.testing.assert_close(features, model(images), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [96, [96, 96]])
def test_size_that_only_an_argument_tells(folder, size):
    """As in folders that older versions of timm have written."""
    old = {"input_size": [3, 224, 224], "mean": [0.5] * 3, "std": [0.5] * 3}
    change(folder, model_args={"img_size": size}, pretrained_cfg=old)
    assert find(str(folder)).input_size == 96


@pytest.mark.parametrize("size", ["large", [96], [96, 64], 0.5])
def test_size_that_is_none(folder, size):
    change(folder, model_args={"img_size": size})
    assert refusal(folder)


def test_fingerprint(saved, folder):
    before = find(str(saved[1])).fingerprint
    assert find(str(folder)).fingerprint == before
    save_file(
        {k: v + 1 for k, v in saved[0].state_dict().items()},
        folder / "model.safetensors",
    )
    assert find(str(folder)).fingerprint != before


def test_what_stands_beside_it_has_precedence(saved, folder):
    beside = folder.parent / "birds.json"
    beside.write_text(json.dumps({"size": 64, "classes": ["a", "b", "c"]}))
    network = find(str(folder))
    assert network.classes == ("a", "b", "c")
    assert network.input_size == 64
    beside.write_text(json.dumps({"architecture": "timm:resnet34"}))
    with pytest.raises(ModelError, match=r"birds\.json names an architecture"):
        find(str(folder))


def test_old_form(saved, folder):
    """With all that says something about images at the top."""
    config = json.loads((folder / "config.json").read_text())
    old = config["pretrained_cfg"] | {
        "architecture": config["architecture"],
        "num_classes": 3,
    }
    (folder / "config.json").write_text(json.dumps(old))
    assert find(str(folder)).preprocessing == find(str(saved[1])).preprocessing


def test_labels_that_are_of_no_use(folder):
    """Names of columns have to be readable and different."""
    for names in (["a", "a", "b"], ["a", "b", 3], ["a", "b", "c\n"], {"0": "a"}, []):
        change(folder, label_names=names, label_descriptions=None)
        network = find(str(folder))
        assert network.classes == ()
        assert network.n_classes == 3


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"architecture": None}, "names no architecture of timm"),
        ({"architecture": 3}, "names no architecture of timm"),
        ({"architecture": "ViTForImageClassification"}, "no pretrained network"),
        ({"architecture": "hf-hub:evil/model"}, "architecture must be"),
        ({"architecture": "../../model"}, "architecture must be"),
        ({"pretrained_cfg": []}, "names no architecture of timm"),
        ({"num_classes": None, "pretrained_cfg": {}}, "does not say num_classes"),
        ({"num_classes": -1, "label_names": None}, "classes must be"),
        ({"num_classes": 5}, "label_names of 3 classes, but num_classes is 5"),
        ({"num_classes": 5, "label_names": None}, "fc.weight (3 x 512 instead of 5"),
        ({"model_args": []}, "model_args must be a dictionary"),
        ({"model_args": {"in_chans": 1}}, "not for images in color"),
        ({"model_args": {"checkpoint_path": "/tmp/x"}}, "'checkpoint_path' in model_"),
        ({"model_args": {"pretrained": True}}, "'pretrained' in model_args is refused"),
        ({"model_args": {"pretrained_cfg_overlay": "x"}}, "is refused"),
        ({"model_args": {"cache_dir": "/tmp"}}, "is refused"),
        ({"model_args": {"features_only": True}}, "is refused"),
        ({"model_args": {"width": 10**12}}, "'width' in model_args is refused"),
        ({"model_args": {"block": {"a": 1}}}, "'block' in model_args is refused"),
        ({"model_args": {"nonsense": 1}}, "cannot be built"),
    ],
)
def test_wrong_config(folder, values, reason):
    change(folder, **values)
    assert reason in refusal(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"mean": "grey"},
        {"mean": [0.5]},
        {"std": [0, 0, 0]},
        {"input_size": [1, 224, 224]},
        {"input_size": [3, 224, 112]},
        {"input_size": 224},
        {"input_size": [3, 10**9, 10**9]},
        {"interpolation": "nearest"},
        {"crop_mode": "spiral"},
        {"crop_pct": "all"},
    ],
)
def test_wrong_preparation(folder, values):
    config = json.loads((folder / "config.json").read_text())
    change(folder, pretrained_cfg=config["pretrained_cfg"] | values)
    refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_damaged_config(folder, content):
    (folder / "config.json").write_bytes(content)
    assert "config.json" in refusal(folder)


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    assert "neither model.safetensors nor pytorch_model.bin" in refusal(folder)
