import json

import pytest
from network_files import SIZE, WRITTEN

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.files.preparation import (
    complete,
    prepare,
    read_preparation,
)
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing


def test_beside_the_file(tmp_path):
    path = tmp_path / "cells.onnx"
    path.write_bytes(b"one")
    with pytest.raises(ModelError, match=r"(?s)cells.json.*size, mean and std.*0.485"):
        find(str(path))
    assert read_preparation(str(path)) is None
    (tmp_path / "cells.json").write_text(
        json.dumps(
            WRITTEN
            | {
                "resize": 20,
                "channels": "BGR",
                "interpolation": "bicubic",
                "fit": "pad",
                "classes": ["a", "b"],
            }
        )
    )
    network = find(str(path))
    assert network.classes == ("a", "b")
    assert network.preprocessing == Preprocessing(
        size=SIZE,
        resize=20,
        mean=tuple(255 * value for value in WRITTEN["mean"]),
        std=tuple(255 * value for value in WRITTEN["std"]),
        interpolation="bicubic",
        channels="BGR",
        fit="pad",
    )
    (tmp_path / "cells.toml").touch()
    with pytest.raises(ModelError, match=r"cells\.json and .*cells\.toml"):
        find(str(path))


def test_toml(tmp_path):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    (tmp_path / "cells.toml").write_text(
        "size = 16\nrange = 255\nmean = [104, 117, 123]\nstd = [1, 1, 1]\n"
    )
    preprocessing = find(str(tmp_path / "cells.onnx")).preprocessing
    assert preprocessing.mean == (104, 117, 123)
    assert preprocessing.std == (1, 1, 1)
    assert (preprocessing.channels, preprocessing.fit) == ("RGB", "crop")


def test_given_preprocessing_wins(tmp_path):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    (tmp_path / "cells.json").write_text("{}")
    given = Preprocessing(8, None, (0, 0, 0), (1, 1, 1), "bilinear")
    assert find(str(tmp_path / "cells.onnx"), given).preprocessing is given


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"size": None}, "size must be a whole number of pixels from 1 to 4096"),
        ({"size": 0}, "size must be"),
        ({"size": 5000}, "size must be"),
        ({"size": 16.5}, "size must be"),
        ({"size": True}, "size must be"),
        ({"resize": "20"}, "resize must be"),
        ({"resize": 8}, "resize 8 is less than size 16"),
        ({"mean": 0.5}, "mean must be a list of three numbers"),
        ({"mean": [0.5, 0.5]}, "mean must be"),
        ({"mean": [0.5, 0.5, "0.5"]}, "mean must be"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean must be"),
        ({"mean": [124, 116, 104]}, 'add "range": 255'),
        ({"std": [58, 57, 57]}, 'add "range": 255'),
        ({"std": [0, 0.2, 0.2]}, "std must be a list of three numbers above 0"),
        ({"std": [-1, 0.2, 0.2]}, "std must be"),
        ({"std": [0.2, 0.2, 9e-7]}, "std must be"),
        ({"mean": [10**400, 0, 0]}, "mean must be"),
        ({"std": [float("inf"), 0.2, 0.2]}, "std must be"),
        ({"range": 255}, "cannot be meant on the scale 0 to 255"),
        ({"range": 255, "mean": [300, 0, 0]}, "not on the scale 0 to 255"),
        ({"range": 1.0}, "range must be 1 or 255"),
        ({"range": [1]}, "range must be 1 or 255"),
        ({"channels": "rgb"}, "channels must be RGB or BGR, not 'rgb'"),
        ({"interpolation": "nearest"}, "interpolation must be bilinear or bicubic"),
        ({"fit": ["crop"]}, "fit must be crop or stretch or pad"),
        ({"classes": "ab"}, "classes must be a list of different names"),
        ({"classes": ["a", "a"]}, "classes must be"),
        ({"classes": ["a", 1]}, "classes must be"),
        ({"classes": [["a"]]}, "classes must be"),
        ({"classes": ["a\0", "b"]}, "classes must be"),
        ({"classes": ["a\n", "b"]}, "classes must be"),
        ({"classes": ["\ud800", "b"]}, "classes must be"),
        ({"channel": "BGR"}, "unknown key 'channel'"),
    ],
)
def test_wrong_preparation(tmp_path, values, reason):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    (tmp_path / "cells.json").write_text(json.dumps(WRITTEN | values))
    with pytest.raises(ModelError) as caught:
        find(str(tmp_path / "cells.onnx"))
    assert str(tmp_path / "cells.json") in str(caught.value)
    assert reason in str(caught.value)
    with pytest.raises(ModelError):
        find(str(tmp_path / "cells.onnx"), WRITTEN | values)


def test_names_of_classes_in_other_languages(tmp_path):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    classes = ("žlahtna vrsta", "細胞", "E. coli (K-12)")
    network = find(str(tmp_path / "cells.onnx"), WRITTEN | {"classes": classes})
    assert network.classes == classes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cells.json", json.dumps(WRITTEN)),
        ("cells.toml", "size = 16\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"),
    ],
)
def test_mark_of_windows_editors(tmp_path, name, content):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    assert find(str(tmp_path / "cells.onnx")).input_size == SIZE


@pytest.mark.parametrize("key", list(WRITTEN))
def test_required_keys(tmp_path, key):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    values = {name: value for name, value in WRITTEN.items() if name != key}
    with pytest.raises(ModelError, match=f"lacks {key}"):
        find(str(tmp_path / "cells.onnx"), values)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cells.json", b"{"),
        ("cells.json", b"\xff"),
        ("cells.json", b"[" * 100_000),
        ("cells.json", b"[1, 2]"),
        ("cells.toml", b"size 16"),
        ("cells.toml", b"size = 0x" + b"f" * 5000 + b"\nmean = 1\nstd = 1"),
    ],
)
def test_damaged_preparation(tmp_path, name, content):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        find(str(tmp_path / "cells.onnx"))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cells.json", json.dumps(WRITTEN) + " " * 10**6, "longer than 1 MB"),
        ("cells.toml", ".".join(["a"] * 20_000) + " = 1", "more than 5000 dots"),
    ],
)
def test_preparation_that_takes_long_to_read(tmp_path, name, content, reason):
    (tmp_path / "cells.onnx").write_bytes(b"one")
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=f"{name} cannot be read: it .*{reason}"):
        find(str(tmp_path / "cells.onnx"))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"classes": 1.0}, "classes must be"),
        ({"classes": True}, "classes must be"),
        ({"classes": -1}, "classes must be"),
        ({"classes": 10**7}, "or a number from 0 to 1,000,000"),
        ({"architecture": "resnet18"}, 'architecture must be "torchvision:NAME" or'),
        ({"architecture": "timm:hf-hub:evil/model"}, "architecture must be"),
        ({"architecture": "timm:local-dir:/tmp"}, "architecture must be"),
        ({"architecture": "timm:"}, "architecture must be"),
        ({"architecture": 18}, "architecture must be"),
    ],
)
def test_wrong_architecture_or_classes(values, reason):
    with pytest.raises(ModelError) as caught:
        prepare(WRITTEN | values, "cells.json")
    assert "cells.json: " in str(caught.value)
    assert reason in str(caught.value)


def test_number_of_classes():
    assert prepare(WRITTEN | {"classes": 3}, "here").n_classes == 3
    assert prepare(WRITTEN | {"classes": 3}, "here").classes == ()
    assert prepare(WRITTEN | {"classes": ["a", "b"]}, "here").n_classes == 2
    assert prepare(WRITTEN, "here").n_classes is None


DEFAULTS = {
    "size": 224,
    "resize": 256,
    "mean": [0.1, 0.2, 0.3],
    "std": [0.4, 0.5, 0.6],
    "interpolation": "bicubic",
    "fit": "crop",
}


def completed(**values):
    return prepare(complete(values, DEFAULTS), "here").preprocessing


def test_completed_by_an_architecture():
    default = completed()
    assert (default.size, default.resize) == (224, 256)
    assert default.mean == pytest.approx((25.5, 51, 76.5))
    assert default.interpolation == "bicubic"
    # Another size was scaled to in a way of its own.
    assert completed(size=96).resize is None
    assert completed(size=96, resize=100).resize == 100
    # Numbers of the architecture follow the scale and the order that are said.
    assert completed(range=255).mean == pytest.approx(default.mean)
    assert completed(channels="BGR").mean == pytest.approx(default.mean[::-1])
    assert completed(channels="BGR", mean=[0, 0, 1]).mean == (0, 0, 255)
    assert completed(fit="pad").fit == "pad"
