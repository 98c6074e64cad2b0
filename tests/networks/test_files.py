import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import threading
import warnings
import zipfile

import pytest
import torch
from torch import nn

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.files import (
    archives,
    loader,
    network_file,
    onnx_data,
    operations,
    program_graph,
    torchscript,
)
from orangecontrib.imageanalytics.networks.files.expressions import is_plain_arithmetic
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.files.onnx_data import (
    check_external_data,
    find_external_data,
)
from orangecontrib.imageanalytics.networks.files.preparation import read_preparation
from orangecontrib.imageanalytics.networks.network import LOGITS
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.registry import find_network

SIZE = 16
WRITTEN = {"size": SIZE, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
onnx = pytest.importorskip("onnx")


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ).eval()


def export(model, path, n=2, dynamic=True, channels=3):
    x = torch.zeros(n, channels, SIZE, SIZE)
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(model, (x,), dynamic_shapes=shapes, strict=False)
    torch.export.save(program, path)
    return str(path)


def trace(model, path, n=2, dtype=torch.float32):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.zeros(n, 3, SIZE, SIZE, dtype=dtype)
        script = torch.jit.trace(model, x)
        torch.jit.save(script, str(path))
    return str(path)


def script(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(model), str(path))
    return str(path)


def make_onnx(path, n="batch", nodes=None, output=("batch", 3), weights=None, **kwargs):
    """Means of the channels, unless there are other nodes."""
    helper, f32 = onnx.helper, onnx.TensorProto.FLOAT
    mean = helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph(
        nodes or [mean],
        "network",
        [helper.make_tensor_value_info("x", f32, [n, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("y", kwargs.get("type", f32), output)],
        weights or [],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return str(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The same network as a program and as TorchScript."""
    folder = tmp_path_factory.mktemp("networks")
    model = make_network()
    return {
        "program": export(model, folder / "dynamic.pt2"),
        "fixed": export(model, folder / "fixed.pt2", n=3, dynamic=False),
        "traced": trace(model, folder / "traced.pt"),
        "scripted": script(model, folder / "scripted.pt"),
    }


@pytest.fixture
def trap(tmp_path):
    """A folder that a harmful file would make, and a pickle of such a file."""
    return Trap(str(tmp_path / "sprung"))


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)

    @property
    def sprung(self):
        return os.path.exists(self.path)

    @property
    def code(self):
        return f"__import__('os').mkdir({self.path!r})"

    def pickled(self):
        stream = io.BytesIO()
        torch.save({"weight": self}, stream)
        return stream.getvalue()


def load(path, **values):
    return load_backbone(find(str(path), WRITTEN | values))


def run(backbone, x):
    with torch.inference_mode():
        return backbone(x.to(memory_format=torch.channels_last))


def refusal(path, **values):
    with pytest.raises(ModelError) as caught:
        load(path, **values)
    message = str(caught.value)
    assert os.path.basename(str(path)) in message
    assert len(message) < 600 and "\n" not in message
    return message


# -- Networks that work ----------------------------------------------------------


@pytest.mark.parametrize("kind", ["program", "fixed", "traced", "scripted"])
@pytest.mark.parametrize("n", [1, 3, 7])
def test_any_number_of_images(made, kind, n):
    x = torch.randn(n, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = make_network()(x)
    torch.testing.assert_close(run(load(made[kind]), x), expected)


def test_onnx(tmp_path):
    x = torch.randn(5, 3, SIZE, SIZE)
    backbone = load(make_onnx(tmp_path / "a.onnx"))
    torch.testing.assert_close(run(backbone, x), x.mean((2, 3)))


@pytest.mark.parametrize("n", [1, 4])
def test_onnx_for_so_many_images(tmp_path, n):
    backbone = load(make_onnx(tmp_path / "a.onnx", n=n, output=(n, 3)))
    x = torch.randn(6, 3, SIZE, SIZE)
    torch.testing.assert_close(run(backbone, x), x.mean((2, 3)))


class Reshaped(nn.Module):
    """Traced, works for as many images only as it was traced with."""

    def forward(self, x):
        return x.mean((2, 3)).view(int(x.shape[0]), 3) * 2


@pytest.mark.parametrize("n", [1, 4])
def test_traced_for_so_many_images(tmp_path, n):
    backbone = load(trace(Reshaped(), tmp_path / "a.pt", n=n))
    x = torch.randn(6, 3, SIZE, SIZE)
    torch.testing.assert_close(run(backbone, x), 2 * x.mean((2, 3)))


def test_dynamic_between_limits(tmp_path):
    batch = torch.export.Dim("batch", min=2, max=4)
    program = torch.export.export(
        make_network(),
        (torch.zeros(3, 3, SIZE, SIZE),),
        dynamic_shapes=({0: batch},),
        strict=False,
    )
    torch.export.save(program, tmp_path / "a.pt2")
    x = torch.randn(9, 3, SIZE, SIZE)
    vectors = run(load(tmp_path / "a.pt2"), x)
    with torch.inference_mode():
        torch.testing.assert_close(vectors, make_network()(x))


@pytest.mark.parametrize("kind", ["program", "fixed", "traced", "onnx"])
def test_many_threads(made, kind, tmp_path):
    backbone = load(made.get(kind) or make_onnx(tmp_path / "a.onnx", n=3))
    x = torch.randn(8, 3, SIZE, SIZE)
    expected = run(backbone, x)
    results = []

    def work():
        for _ in range(20):
            results.append(run(backbone, x))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    for result in results:
        torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("kind", ["program", "traced"])
def test_is_a_plain_module_for_torch(made, kind):
    """It can be moved, evaluated, and hooked, as the engine does."""
    backbone = load(made[kind]).eval().to("cpu").to(torch.device("cpu"))
    calls = []
    for module in backbone.modules():
        if not list(module.children()):
            module.register_forward_pre_hook(lambda *_: calls.append(1))
    run(backbone, torch.zeros(2, 3, SIZE, SIZE))
    assert len(calls) == 1


def test_is_moved(made):
    """To the one other device that there always is."""
    model = load(made["program"]).model
    device = torch.device("meta")
    model.to(device)
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, SIZE, SIZE, device=device)).device == device


class Means(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Named(nn.Module):
    def forward(self, x):
        return {"logits": x.mean((2, 3))}


class Half(nn.Module):
    def forward(self, x):
        assert x.dtype == torch.float16
        return x.mean((2, 3))


def test_program_that_names_its_output(tmp_path):
    backbone = load(export(Named(), tmp_path / "a.pt2"))
    assert run(backbone, torch.zeros(2, 3, SIZE, SIZE)).shape == (2, 3)


def test_program_of_half_precision(tmp_path):
    x = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.float16)
    program = torch.export.export(Half(), (x,), strict=False)
    torch.export.save(program, tmp_path / "a.pt2")
    assert run(load(tmp_path / "a.pt2"), x.float()).shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", ["traced", "scripted"])
def test_torchscript_of_other_precision(tmp_path, kind, dtype):
    model = make_network().to(dtype)
    if kind == "traced":
        trace(model, tmp_path / "a.pt", dtype=dtype)
    else:
        script(model, tmp_path / "a.pt")
    x = torch.randn(3, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected = model(x.to(dtype))
    vectors = run(load(tmp_path / "a.pt"), x)
    torch.testing.assert_close(vectors, expected, check_dtype=False)


def test_nothing_is_said_to_users(made, recwarn, caplog):
    for path in made.values():
        load(path)
    assert not [w for w in recwarn if "torch.jit" in str(w.message)]
    assert not caplog.records


# -- What is known before a network is loaded ------------------------------------


def test_network(made):
    network = find_network(made["program"], WRITTEN)
    assert network.id == made["program"]
    assert network.name == "dynamic.pt2"
    assert network.input_size == SIZE
    assert network.layer == LOGITS
    assert network.classes == ()
    assert (network.megabytes, network.licence) == (0, "")
    assert network.origin == f"file {made['program']}"
    assert network.available()
    assert not network.cpu_only
    assert network.stages() == ()
    assert network.preprocessing.mean == pytest.approx((127.5, 102, 76.5))
    assert network.preprocessing.std == pytest.approx((51, 63.75, 76.5))


def test_relative_path_becomes_absolute(made, monkeypatch):
    folder, name = os.path.split(made["program"])
    monkeypatch.chdir(folder)
    assert find(name, WRITTEN).id == os.path.join(os.getcwd(), name)


def test_onnx_is_for_the_cpu_only(tmp_path):
    assert find(make_onnx(tmp_path / "a.onnx"), WRITTEN).cpu_only


@pytest.mark.parametrize("layer", ["penultimate", "0"])
def test_the_output_is_the_only_layer(made, layer):
    network = find(made["program"], WRITTEN)
    load_backbone(network, LOGITS)
    with pytest.raises(ValueError, match=f"one output, so it has no layer '{layer}'"):
        load_backbone(network, layer)


def test_fingerprint_is_of_the_content(made, tmp_path):
    first, second = tmp_path / "a.pt2", tmp_path / "b.pt2"
    for path in (first, second):
        path.write_bytes(b"one")
    weights = find(str(first), WRITTEN).weights
    before = weights.fingerprint
    assert before == find(str(second), WRITTEN).weights.fingerprint
    assert before.startswith("sha256:")
    first.write_bytes(b"another")
    assert weights.fingerprint == before  # of what was chosen
    with pytest.raises(ModelError, match=r"a\.pt2 has changed since it was chosen"):
        weights.check_unchanged()
    assert find(str(first), WRITTEN).weights.fingerprint != before


def test_fingerprint_is_computed_once(tmp_path, monkeypatch):
    (tmp_path / "a.pt2").write_bytes(b"one")
    path = str(tmp_path / "a.pt2")
    before = find(path, WRITTEN).weights.fingerprint
    monkeypatch.setattr(network_file.hashlib, "sha256", None)
    assert find(path, WRITTEN).weights.fingerprint == before


def test_weights_are_pickled_by_path(made):
    weights = find(made["program"], WRITTEN).weights
    assert pickle.loads(pickle.dumps(weights)) == weights
    assert len(pickle.dumps(weights)) < 1000


def test_file_of_another_computer(made, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    there = r"C:\networks\cells.pt2"
    assert not network_file.FileWeights(there).available()
    with pytest.raises(ModelError) as caught:
        find(there, WRITTEN)
    assert there in str(caught.value)
    assert str(folder / "cells.pt2") in str(caught.value)
    with open(made["program"], "rb") as file:
        (folder / "cells.pt2").write_bytes(file.read())
    (folder / "cells.json").write_text(json.dumps(WRITTEN))
    network = find(there)
    assert network.available()
    assert network.weights.path == str(folder / "cells.pt2")
    assert network.id == there
    load_backbone(network)


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "empty.pt2").touch()
    (tmp_path / "folder.pt2").mkdir()
    assert "is empty" in refusal(tmp_path / "empty.pt2")
    assert "is a folder" in refusal(tmp_path / "folder.pt2")
    assert "is neither at" in refusal(tmp_path / "missing" / "missing.pt2")


# -- How images are prepared ---------------------------------------------------


def test_beside_the_file(tmp_path):
    path = tmp_path / "cells.pt2"
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
    (tmp_path / "cells.pt2").write_bytes(b"one")
    (tmp_path / "cells.json").write_text("{}")
    given = Preprocessing(8, None, (0, 0, 0), (1, 1, 1), "bilinear")
    assert find(str(tmp_path / "cells.pt2"), given).preprocessing is given


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
    (tmp_path / "cells.pt2").write_bytes(b"one")
    (tmp_path / "cells.json").write_text(json.dumps(WRITTEN | values))
    with pytest.raises(ModelError) as caught:
        find(str(tmp_path / "cells.pt2"))
    assert str(tmp_path / "cells.json") in str(caught.value)
    assert reason in str(caught.value)
    with pytest.raises(ModelError):
        find(str(tmp_path / "cells.pt2"), WRITTEN | values)


def test_names_of_classes_in_other_languages(tmp_path):
    (tmp_path / "cells.pt2").write_bytes(b"one")
    classes = ("žlahtna vrsta", "細胞", "E. coli (K-12)")
    network = find(str(tmp_path / "cells.pt2"), WRITTEN | {"classes": classes})
    assert network.classes == classes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cells.json", json.dumps(WRITTEN)),
        ("cells.toml", "size = 16\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"),
    ],
)
def test_mark_of_windows_editors(tmp_path, name, content):
    (tmp_path / "cells.pt2").write_bytes(b"one")
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    assert find(str(tmp_path / "cells.pt2")).input_size == SIZE


@pytest.mark.parametrize("key", list(WRITTEN))
def test_required_keys(tmp_path, key):
    (tmp_path / "cells.pt2").write_bytes(b"one")
    values = {name: value for name, value in WRITTEN.items() if name != key}
    with pytest.raises(ModelError, match=f"lacks {key}"):
        find(str(tmp_path / "cells.pt2"), values)


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
    (tmp_path / "cells.pt2").write_bytes(b"one")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        find(str(tmp_path / "cells.pt2"))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cells.json", json.dumps(WRITTEN) + " " * 10**6, "longer than 1 MB"),
        ("cells.toml", ".".join(["a"] * 20_000) + " = 1", "more than 5000 dots"),
    ],
)
def test_preparation_that_takes_long_to_read(tmp_path, name, content, reason):
    (tmp_path / "cells.pt2").write_bytes(b"one")
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match=f"{name} cannot be read: it .*{reason}"):
        find(str(tmp_path / "cells.pt2"))


# -- Networks that do not turn images into vectors -----------------------------


class Output(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


EXPORT_ONE = "gives 2 outputs, not one tensor: export only the one you want"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: (x.mean((2, 3)), x.mean((2, 3))), EXPORT_ONE),
        (lambda x: x.mean((2, 3)).long(), "gives a tensor of int64"),
        (lambda x: torch.complex(x, x).mean((2, 3)), "gives a tensor of complex64"),
        (lambda x: x.mean(), "shape none"),
        (lambda x: x.mean((1, 2, 3)), "makes a tensor of float32, shape"),
        (lambda x: x[:, :, :4, :7], "no vector"),
        (lambda x: x.mean((2, 3)) * float("nan"), "undefined numbers (NaN)"),
    ],
)
@pytest.mark.parametrize("kind", ["program", "traced"])
def test_wrong_output(tmp_path, kind, function, reason):
    if kind == "program":
        path = export(Output(function), tmp_path / "a.pt2", dynamic=False)
    else:
        path = trace(Output(function), tmp_path / "a.pt")
    assert reason in refusal(path)


@pytest.mark.parametrize("kind", ["fixed", "program"])
def test_wrong_size_of_program(made, kind):
    message = refusal(made[kind], size=32)
    assert "takes images of 3 x 16 x 16 numbers, not 3 x 32 x 32" in message


def test_wrong_number_of_channels(tmp_path):
    grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    message = refusal(export(grey, tmp_path / "a.pt2", channels=1))
    assert "takes images of 1 x 16 x 16 numbers, not 3 x 16 x 16" in message
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(grey, torch.zeros(1, 1, SIZE, SIZE))
        torch.jit.save(traced, str(tmp_path / "a.pt"))
    message = refusal(tmp_path / "a.pt")
    assert "does not take an image of 3 x 16 x 16 numbers" in message
    assert "channels" in message


def test_wrong_size_of_onnx(tmp_path):
    message = refusal(make_onnx(tmp_path / "a.onnx"), size=32)
    assert "takes images of 3 x 16 x 16 numbers, not 3 x 32 x 32" in message


def test_wrong_output_of_onnx(tmp_path):
    node = onnx.helper.make_node("ArgMax", ["x"], ["y"], axis=1)
    path = make_onnx(
        tmp_path / "a.onnx",
        nodes=[node],
        output=None,
        type=onnx.TensorProto.INT64,
    )
    assert "gives a tensor of int64" in refusal(path)


def test_wrong_number_of_classes(made):
    message = refusal(made["program"], classes=["a", "b"])
    assert "gives 5 numbers, but there are names of 2 classes" in message


@pytest.mark.parametrize("dynamic", [True, False])
def test_exported_in_training_mode(tmp_path, dynamic):
    model = make_network().train()
    message = refusal(export(model, tmp_path / "a.pt2", dynamic=dynamic))
    assert "mixes the images of a batch: it was exported in training mode" in message
    assert "call eval() before" in message


def test_traced_in_training_mode(tmp_path):
    class Trained(nn.Module):
        def forward(self, x):
            return nn.functional.batch_norm(x, None, None, training=True)[:, :, 0, 0]

    message = refusal(trace(Trained(), tmp_path / "a.pt"))
    assert "mixes the images of a batch" in message


def test_dropout_in_training_mode(tmp_path):
    class Dropping(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x, 0.5, training=True)[:, :, 0]

    message = refusal(export(Dropping(), tmp_path / "a.pt2", dynamic=False))
    assert "another vector each time: it was exported in training mode" in message


class Two(nn.Module):
    def forward(self, x, y):
        return (x + y).mean((2, 3))


def test_two_inputs(tmp_path):
    x = torch.zeros(2, 3, SIZE, SIZE)
    program = torch.export.export(Two(), (x, x), strict=False)
    torch.export.save(program, tmp_path / "a.pt2")
    assert "takes 2 inputs" in refusal(tmp_path / "a.pt2")


# -- Files that are refused -------------------------------------------------------


def test_refused_before_anything_is_asked_about_it(tmp_path):
    path = tmp_path / "network.pt"
    torch.save(make_network(), path)
    with pytest.raises(ModelError, match=r"network\.pt holds a pickled object"):
        find(str(path))  # nothing lies beside it


def test_the_trap_springs(trap):
    pickle.loads(pickle.dumps(trap))
    assert trap.sprung


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.pkl", "a.bin", "a.ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_state_dict(tmp_path, name, zipped):
    state = make_network().state_dict()
    torch.save(state, tmp_path / name, _use_new_zipfile_serialization=zipped)
    message = refusal(tmp_path / name)
    assert "holds weights without a network" in message
    assert "torch.export.save" in message


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.pkl", "a.bin", "a.ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_module(tmp_path, name, zipped):
    torch.save(make_network(), tmp_path / name, _use_new_zipfile_serialization=zipped)
    message = refusal(tmp_path / name)
    assert "torch.nn.modules.container.Sequential" in message
    assert "weights_only=False, which would run any code" in message


@pytest.mark.parametrize("name", ["a.pt", "a.pt2", "a.pth", "a.pkl", "a.ckpt"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickled_trap(tmp_path, trap, name, protocol):
    (tmp_path / name).write_bytes(pickle.dumps(trap, protocol))
    message = refusal(tmp_path / name)
    assert not trap.sprung
    if protocol and name != "a.pt2":
        assert "mkdir), which can only be opened with weights_only=False" in message


@pytest.mark.parametrize("name", ["a.pt", "a.pt2", "a.pth"])
def test_zipped_trap(tmp_path, trap, name):
    (tmp_path / name).write_bytes(trap.pickled())
    assert "mkdir), which can only be opened with weights_only=False" in refusal(
        tmp_path / name
    )
    assert not trap.sprung


@pytest.mark.parametrize("name", ["a.safetensors", "a.h5"])
def test_other_weights(tmp_path, name):
    (tmp_path / name).write_bytes(b"weights")
    assert "holds weights without a network" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["a.pt", "a.pt2", "a.onnx", "a.pth", "a.pkl", "a.ckpt", "a.bin"]
)
@pytest.mark.parametrize("content", [b"PK\x03\x04 no", b"\x80 no", b"no", b"\0" * 999])
def test_no_network(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path / name)


def test_wrong_ending(made, tmp_path):
    for kind, name, right in (
        ("program", "a.pt", ".pt2"),
        ("traced", "a.pt2", ".pt"),
        ("traced", "a.pth", ".pt"),
    ):
        with open(made[kind], "rb") as file:
            (tmp_path / name).write_bytes(file.read())
        assert f"give it the ending {right}." in refusal(tmp_path / name)


@pytest.mark.parametrize("kind", ["program", "traced", "onnx"])
def test_damaged_files(made, tmp_path, kind):
    path = made.get(kind) or make_onnx(tmp_path / "whole.onnx")
    with open(path, "rb") as file:
        content = file.read()
    name = "a" + os.path.splitext(path)[1]
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        (position,) = torch.randint(len(content), (1,), generator=generator).tolist()
        for damaged in (
            content[:position],
            content[:position] + b"\0\xff@" + content[position + 3 :],
        ):
            (tmp_path / name).write_bytes(damaged)
            try:
                load(tmp_path / name)
            except ModelError as error:
                assert "\n" not in str(error)


def edit(path, target, edits):
    """A copy of an archive with some parts edited; whether there were any."""
    found = set()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            for ending, change in edits.items():
                if name.endswith(ending):
                    content = change(content) if callable(change) else change
                    found.add(ending)
            copy.writestr(name, content)
    return found


PROGRAM = ("models/model.json", "serialized_exported_program.json")
STATE = ("data/weights/weight_0", "serialized_state_dict.pt")
CONSTANTS = ("data/constants/tensor_0", "serialized_constants.pt")
SAMPLES = ("data/sample_inputs/model.pt", "serialized_example_inputs.pt")
CONFIGS = ("model_weights_config.json", "model_constants_config.json")


class Constant(nn.Module):
    """With a constant that is no part of the state."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.constant = torch.arange(3.0)

    def forward(self, x):
        return x.mean((2, 3)) * self.weight + self.constant


def pickle_all(content):
    """Say of weights that they are pickled."""
    return content.replace(b'"use_pickle": false', b'"use_pickle": true')


@pytest.mark.parametrize("members", [STATE, CONSTANTS, SAMPLES])
def test_trap_in_a_program(tmp_path, trap, members):
    path = export(Constant(), tmp_path / "whole.pt2")
    edits = dict.fromkeys(members, trap.pickled())
    if members is not SAMPLES:
        edits |= dict.fromkeys(CONFIGS, pickle_all)
        # So that those that are not harmful are not in the way.
        stream = io.BytesIO()
        torch.save(torch.ones(3), stream)
        others = set(STATE[:1] + CONSTANTS[:1]) - set(members)
        edits |= dict.fromkeys(others, stream.getvalue())
    assert edit(path, tmp_path / "a.pt2", edits) & set(members)
    message = refusal(tmp_path / "a.pt2")
    assert "holds a pickled object in " in message
    assert "weights_only=False, which would run any code" in message
    assert not trap.sprung


def test_trap_in_parts_that_are_not_pickled(tmp_path, trap):
    """What is of two kinds at once is refused."""
    path = export(Constant(), tmp_path / "whole.pt2")

    def twice(content):
        config = json.loads(content)
        (entry,) = config["config"].values()
        config["config"]["again"] = entry | {"use_pickle": True}
        return json.dumps(config).encode()

    edits = {STATE[0]: trap.pickled(), CONFIGS[0]: twice}
    if not edit(path, tmp_path / "a.pt2", edits):
        pytest.skip("this version of PyTorch pickles all of them")
    refusal(tmp_path / "a.pt2")
    assert not trap.sprung


def change_graph(change):
    def edited(content):
        program = json.loads(content)
        change(program)
        return json.dumps(program).encode()

    return edited


def set_expression(program, code):
    sizes = program["graph_module"]["graph"]["tensor_values"]["relu"]["sizes"]
    sizes[0]["as_expr"]["expr_str"] = code


def set_target(program, code):
    node = program["graph_module"]["graph"]["nodes"][-1]
    node["target"] = "torch.serialization.os.mkdir"
    node["inputs"] = [{"name": "path", "arg": {"as_string": code}}]


def set_file_target(program, code):
    node = program["graph_module"]["graph"]["nodes"][-1]
    node["target"] = "torch.ops.aten.from_file.default"


def set_library_target(program, code):
    node = program["graph_module"]["graph"]["nodes"][-1]
    node["target"] = "torch.ops.load_library"


def set_operator(program, code):
    node = program["graph_module"]["graph"]["nodes"][-1]
    node["inputs"][0]["arg"] = {"as_operator": "torch.os.mkdir"}


def set_name(program, code):
    text = json.dumps(program).replace('"relu"', json.dumps(f"relu = {code}; relu"))
    program |= json.loads(text)


def set_argument(program, code):
    (entry,) = (e for e in program["graph_module"]["module_call_graph"] if not e["fqn"])
    entry["signature"]["forward_arg_names"] = [f"x={code}"]


def set_keyword(program, code):
    (entry,) = (e for e in program["graph_module"]["module_call_graph"] if not e["fqn"])
    spec = json.loads(entry["signature"]["in_spec"])
    spec[1]["children_spec"][1]["context"] = json.dumps([f"x={code}"])
    entry["signature"]["in_spec"] = json.dumps(spec)


def set_enum(program, code):
    (entry,) = (e for e in program["graph_module"]["module_call_graph"] if not e["fqn"])
    spec = json.loads(entry["signature"]["out_spec"])
    spec[1] = {
        "type": "collections.defaultdict",
        "context": json.dumps({"__enum__": True, "fqn": "antigravity:x", "name": "x"}),
        "children_spec": [],
    }
    entry["signature"]["out_spec"] = json.dumps(spec)


def set_parameter(program, code):
    specs = program["graph_module"]["signature"]["input_specs"]
    specs[0]["parameter"]["parameter_name"] = f'a"); {code} #'


def set_range(program, code):
    program["range_constraints"] = {code: {"min_val": 0, "max_val": 9}}


def set_many_symbols(program, code):
    program["range_constraints"] = {"u999999999": {"min_val": 0, "max_val": 9}}


def set_power(program, code):
    set_expression(program, "Pow(Pow(Integer(9), Integer(99999)), Integer(99999))")


def set_nested_expression(program, code):
    set_expression(program, {"as_string": code})


def set_custom_object(program, code):
    node = program["graph_module"]["graph"]["nodes"][-1]
    node["inputs"][0]["arg"] = {"as_custom_obj": {"name": "x", "class_fqn": "x"}}


def set_text_input(program, code):
    graph = program["graph_module"]["graph"]
    graph["inputs"].append({"as_string": f"' or {code} or '"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_expression, "is not plain arithmetic"),
        (set_nested_expression, "expr_str is no text"),
        (set_power, "is not plain arithmetic"),
        (set_target, "uses 'torch.serialization.os.mkdir'"),
        (set_file_target, "uses 'torch.ops.aten.from_file.default'"),
        (set_library_target, "uses 'torch.ops.load_library'"),
        (set_operator, "uses a function as a value (as_operator)"),
        (set_name, "is not a plain name"),
        (set_argument, "is not a plain name"),
        (set_keyword, "is not a plain name"),
        (set_parameter, "is not a plain name"),
        (set_range, "is not a plain name"),
        (set_many_symbols, "is not a plain name"),
        (set_enum, "takes or gives a 'collections.defaultdict'"),
        (set_custom_object, "uses a custom object"),
        (set_text_input, "takes more than images"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_harmful_graph(made, tmp_path, trap, change, reason):
    edited = change_graph(lambda program: change(program, trap.code))
    edits = dict.fromkeys(PROGRAM, edited)
    assert edit(made["program"], tmp_path / "a.pt2", edits)
    assert reason in refusal(tmp_path / "a.pt2")
    assert not trap.sprung


# torch makes source code of the graph, in which values are called by their names.
@pytest.mark.parametrize(
    "name", ["self", "torch", "getattr", "__class__", "lambda", "inf", "math"]
)
def test_names_that_stand_for_something_else(made, tmp_path, name):
    def rename(program):
        text = json.dumps(program).replace('"relu"', json.dumps(name))
        program |= json.loads(text)

    edits = dict.fromkeys(PROGRAM, change_graph(rename))
    assert edit(made["program"], tmp_path / "a.pt2", edits)
    assert f"a value is named '{name}'" in refusal(tmp_path / "a.pt2")


@pytest.mark.parametrize(
    "operation",
    [
        "max_pool2d_with_indices_backward.default",
        "_sparse_coo_tensor_unsafe.default",
        "_unsafe_index.Tensor",
        "segment_reduce.default",
        "resize_.default",
        "set_.source_Tensor",
        "_embedding_bag_forward_only.default",
    ],
)
def test_operations_that_trust_what_they_are_given(made, tmp_path, operation):
    def change(program):
        node = program["graph_module"]["graph"]["nodes"][-1]
        node["target"] = f"torch.ops.aten.{operation}"

    edits = dict.fromkeys(PROGRAM, change_graph(change))
    assert edit(made["program"], tmp_path / "a.pt2", edits)
    assert f"uses 'torch.ops.aten.{operation}'" in refusal(tmp_path / "a.pt2")


class Frozen(nn.Module):
    """Part of it has another mode, and becomes a graph of its own."""

    def forward(self, x):
        with torch.no_grad():
            y = x.relu() + 1
        with torch.autocast("cpu", enabled=False):
            y = y * 2
        return y.mean((2, 3))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    with torch.enable_grad():
        return export(Frozen(), tmp_path_factory.mktemp("frozen") / "frozen.pt2")


def wrapped_node(program, kind="wrap_with"):
    nodes = program["graph_module"]["graph"]["nodes"]
    return next(node for node in nodes if kind in node["target"])


def test_parts_in_another_mode(frozen):
    x = torch.randn(3, 3, SIZE, SIZE)
    torch.testing.assert_close(run(load(frozen), x), Frozen()(x))


def set_part(program):
    node = wrapped_node(program)
    (entry,) = (e for e in node["inputs"] if "as_graph" in e["arg"])
    entry["arg"]["as_graph"]["name"] = "_reduce_ex_internal"


def set_called_value(program):
    node = wrapped_node(program)
    (entry,) = (e for e in node["inputs"] if "as_graph" in e["arg"])
    entry["arg"] = {"as_tensor": {"name": "x"}}


def set_called_with_text(program):
    wrapped_node(program)["inputs"][-1]["arg"] = {"as_string": "eval"}


def set_part_elsewhere(program):
    node = wrapped_node(program)
    (entry,) = (e for e in node["inputs"] if "as_graph" in e["arg"])
    program["graph_module"]["graph"]["nodes"][-1]["inputs"][0]["arg"] = entry["arg"]


def set_condition(program):
    wrapped_node(program)["target"] = "torch.ops.higher_order.cond"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_part, "'_reduce_ex_internal' is not a plain name"),
        (set_called_value, "uses as_tensor in an unknown way"),
        (set_called_with_text, "uses as_string in an unknown way"),
        (set_part_elsewhere, "uses a function as a value (as_graph)"),
        (set_condition, "uses a function as a value (as_graph)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_harmful_parts(frozen, tmp_path, change, reason):
    edits = dict.fromkeys(PROGRAM, change_graph(change))
    assert edit(frozen, tmp_path / "a.pt2", edits)
    assert reason in refusal(tmp_path / "a.pt2")


def test_a_loaded_program_is_looked_at_again(made, monkeypatch):
    """In case that something was hidden from the first look."""
    monkeypatch.setattr(program_graph, "only_computes", lambda _name: False)
    program = torch.export.load(made["program"])
    with pytest.raises(ModelError, match=r"uses 'torch\.ops\.aten\."):
        program_graph.check_loaded(program)
    monkeypatch.undo()
    program_graph.check_loaded(program)


class NamedLikeEntries(nn.Module):
    """Its parts are called as entries of the format are."""

    def __init__(self):
        super().__init__()
        self.target = nn.Parameter(torch.ones(3))
        self.register_buffer("device", torch.ones(3))
        self.register_buffer("metadata", torch.ones(3))

    def forward(self, path_name):
        return path_name.mean((2, 3)) * self.target + self.device * self.metadata


def test_names_of_the_format_are_no_names_of_parts(tmp_path):
    path = export(NamedLikeEntries(), tmp_path / "a.pt2")
    x = torch.randn(2, 3, SIZE, SIZE)
    with torch.inference_mode():
        torch.testing.assert_close(run(load(path), x), NamedLikeEntries()(x))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("s0 + 1", True),
        ("Add(Mul(Integer(3), Symbol('s0', integer=True)), Integer(-1))", True),
        ("Pow(Add(Symbol('s0'), Integer(1)), Integer(2))", True),
        ("Max(1, s0)", True),
        ("1 << 9999999999", False),
        ("'s0' * 99999999999", False),
        ("Symbol('1.1' * 100000000)", False),
        ("Symbol('s0') * 'x'", False),
        ("Max(" + ", ".join(f"s{i}" for i in range(400)) + ")", False),
        ("+".join("s0" for _ in range(400)), False),
        ("Pow(Integer(9), Integer(9))", False),
        ("s0 ** s1", False),
        ("__import__('os')", False),
        ("s0.real", False),
    ],
)
def test_plain_arithmetic(text, plain):
    assert is_plain_arithmetic(text) == plain


def test_conditions_are_left_out(made, tmp_path, trap):
    def change(program):
        program["guards_code"] = [trap.code]

    edits = dict.fromkeys(PROGRAM, change_graph(change))
    assert edit(made["program"], tmp_path / "a.pt2", edits)
    with contextlib.suppress(ModelError):  # torch 2.6 does not know of them
        run(load(tmp_path / "a.pt2"), torch.zeros(2, 3, SIZE, SIZE))
    assert not trap.sprung


def test_compiled_code(made, tmp_path):
    edit(made["program"], tmp_path / "a.pt2", {})
    with zipfile.ZipFile(tmp_path / "a.pt2", "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/aotinductor/model/code.so", b"code")
    if any("models/" in name for name in zipfile.ZipFile(made["program"]).namelist()):
        assert "holds compiled machine code" in refusal(tmp_path / "a.pt2")


def test_custom_operation(made, tmp_path):
    def change(program):
        program["graph_module"]["graph"]["nodes"][0]["target"] = (
            "torch.ops.my.op.default"
        )

    edit(
        made["program"],
        tmp_path / "a.pt2",
        dict.fromkeys(PROGRAM, change_graph(change)),
    )
    assert "uses 'torch.ops.my.op.default'" in refusal(tmp_path / "a.pt2")


@pytest.mark.parametrize("kind", ["program", "traced"])
def test_enormous_part(made, tmp_path, kind):
    path = tmp_path / ("a" + os.path.splitext(made[kind])[1])
    with zipfile.ZipFile(made[kind]) as source:
        root = source.namelist()[0].partition("/")[0]
        parts = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        archive.writestr(f"{root}/data/99", bytes(70 * 10**6))
    assert path.stat().st_size < 10**6
    assert "would grow enormously" in refusal(path)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ('torch.save(x, "{}")', "save"),
        ('torch.from_file("{}", True, 16)', "from_file"),
        ('ops.aten.from_file("{}", True, 16)', "from_file"),
        ('ops.image.write_file("{}", x)', "image"),
        (r'getattr(torch, "\163ave")(x, "{}")', "getattr"),
        ('getattr(torch, "sa" "ve")(x, "{}")', "getattr"),
        ('getattr(getattr(self, "0"), "save")(x, "{}")', "save"),
        ("ops .aten.relu(x)", "ops"),
        ("y = ops", "ops"),
        ("torch.manual_seed(5)", "manual_seed"),
        ('save = torch.save\n    save(x, "{}")', "save"),
        ('fork(torch.save, x, "{}")', "save"),
        ('torch.\\\n      save(x, "{}")', "save"),
        ('y = (torch.\n      save)(x, "{}")', "save"),
        ('x.save("{}")', "save"),
        ('self.save("{}")', "save"),
        ('f = torch.\\\n    save\n    f(x, "{}")', "save"),
        ("__torch__.torch.classes.dist_c10d.TCPStore(x)", "classes.dist_c10d"),
        ("__torch__ .torch.relu(x)", "__torch__"),
    ],
)
def test_harmful_torchscript(made, tmp_path, trap, code, name):
    line = code.format(trap.path)
    marker = b"  def forward("

    def change(content):
        method = f"  def harm(self, x: Tensor) -> Tensor:\n    {line}\n    return x\n"
        return content.replace(marker, method.encode() + marker)

    assert edit(made["scripted"], tmp_path / "a.pt", {".py": change})
    message = refusal(tmp_path / "a.pt")
    assert name in message
    assert "is refused" in message
    assert not trap.sprung


def test_members_are_dropped_as_they_are_written():
    large = bytes(range(256)) * (archives.PIECE // 100)
    members = {"a": large, "b": b"", "c": b"c"}
    stream = archives.write_members(members, "network/")
    assert not members
    assert archives.read_members(stream.getvalue()) == {
        "network/a": large,
        "network/b": b"",
        "network/c": b"c",
    }


class OwnNames(nn.Module):
    """Some of them are also names of operations or must be quoted."""

    def __init__(self):
        super().__init__()
        self.ops = nn.ReLU()
        self.parts = nn.ModuleDict({"head-1": nn.Sigmoid(), "a b": nn.ReLU()})

    def forward(self, x):
        save = self.ops(x)
        from_file = save * 2 + save
        save = self.parts["a b"](self.parts["head-1"](from_file))
        return (save + from_file).mean((2, 3))


def test_torchscript_with_names_of_its_own(tmp_path):
    x = torch.randn(2, 3, SIZE, SIZE)
    backbone = load(script(OwnNames(), tmp_path / "a.pt"))
    torch.testing.assert_close(run(backbone, x), OwnNames()(x))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("save", "uses the name 'save', by which PyTorch does more than compute"),
        ("kopf-ü", "not in plain ASCII characters"),
    ],
)
def test_part_of_torchscript_with_a_name_that_is_refused(tmp_path, name, reason):
    class Parts(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module(name, nn.ReLU())

        def forward(self, x):
            return getattr(self, name)(x).mean((2, 3))

    message = refusal(trace(Parts(), tmp_path / "a.pt"))
    assert reason in message
    assert message.endswith("If it is a part of the network, rename that.")


class Switching(nn.Module):
    """Switches gradients while it is read, and while it runs."""

    @torch.jit.export
    def __getstate__(self):
        return (self.training,)

    @torch.jit.export
    def __setstate__(self, state: tuple[bool]):
        self.training = state[0]
        torch.set_grad_enabled(False)

    def forward(self, x):
        torch.set_grad_enabled(True)
        return x.mean((2, 3))


def test_torchscript_switches_gradients_for_itself_only(tmp_path):
    path = script(Switching(), tmp_path / "a.pt")
    assert torch.is_grad_enabled()
    load(path)
    assert torch.is_grad_enabled()
    with torch.no_grad():
        run(load(path), torch.zeros(1, 3, SIZE, SIZE))
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize(
    "line", ['torch.save(x, "{}")', 'getattr(torch, "\\163ave")(x, "{}")']
)
def test_torchscript_that_hides_what_it_does(tmp_path, trap, monkeypatch, line):
    """What gets past the check of the text is found in the loaded network."""
    monkeypatch.setattr(torchscript, "_check_script", lambda text: None)
    path = script(nn.Sequential(nn.ReLU(), Means()), tmp_path / "whole.pt")

    def change(content):
        head = b"    _0 = getattr(self, "
        harm = "    x = input\n    _9 = " + line.format(trap.path) + "\n"
        return content.replace(head, harm.encode() + head)

    assert edit(path, tmp_path / "a.pt", {".py": change})
    assert "uses 'aten::save'" in refusal(tmp_path / "a.pt")
    assert not trap.sprung


def test_all_operations_that_reach_files_are_known():
    """In the version of torch that is installed."""
    reaching = {
        name
        for schema in torch._C._jit_get_all_schemas()
        for namespace, name in [schema.name.split("::")]
        if namespace in torchscript.SCRIPT_NAMESPACES
        and any("file" in argument.name for argument in schema.arguments)
    }
    assert reaching
    assert reaching <= operations.REACHING


class Trusting(nn.Module):
    def forward(self, x):
        indices = torch.full([1, 1, 2, 2], 10**12, dtype=torch.long)
        y = torch.ops.aten.max_pool2d_with_indices_backward(
            torch.ones(1, 1, 2, 2),
            torch.ones(1, 1, 4, 4),
            [2, 2],
            [2, 2],
            [0, 0],
            [1, 1],
            False,
            indices,
        )
        return x.mean((2, 3)) + y.sum()


def test_torchscript_that_trusts_what_it_is_given(tmp_path):
    script(Trusting(), tmp_path / "a.pt")
    message = refusal(tmp_path / "a.pt")
    assert "uses 'aten::max_pool2d_with_indices_backward'" in message


def test_harmful_class_in_torchscript(made, tmp_path):
    edits = {"constants.pkl": b"\x80\x02c__torch__.torch.classes.dist_c10d\nStore\n."}
    assert edit(made["scripted"], tmp_path / "a.pt", edits)
    assert "dist_c10d" in refusal(tmp_path / "a.pt")


def test_trap_in_torchscript(made, tmp_path, trap):
    edits = {"data.pkl": pickle.dumps(trap, 2), "constants.pkl": pickle.dumps(trap, 2)}
    assert edit(made["scripted"], tmp_path / "a.pt", edits)
    refusal(tmp_path / "a.pt")
    assert not trap.sprung


def test_what_was_checked_is_what_is_loaded(made, tmp_path, monkeypatch):
    """A file that changes after it was checked is not read again."""
    path = tmp_path / "a.pt2"
    with open(made["program"], "rb") as file:
        path.write_bytes(file.read())
    check = loader.clean_program

    def change_afterwards(content):
        stream = check(content)
        path.write_bytes(b"harm")
        return stream

    monkeypatch.setattr(loader, "clean_program", change_afterwards)
    load(path)


# -- ONNX ------------------------------------------------------------------------


def external(location):
    """Weights that lie in another file."""
    tensor = onnx.TensorProto(
        name="w", data_type=onnx.TensorProto.FLOAT, dims=[3], data_location=1
    )
    for key, value in (("location", location), ("offset", "0"), ("length", "12")):
        tensor.external_data.add(key=key, value=value)
    mean = onnx.helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0)
    add = onnx.helper.make_node("Add", ["m", "w"], ["y"])
    return {"weights": [tensor], "nodes": [mean, add]}


def test_onnx_data_beside_the_file(tmp_path):
    data = tmp_path / "a.onnx.data"
    data.write_bytes(torch.ones(3).numpy().tobytes())
    path = make_onnx(tmp_path / "a.onnx", **external("a.onnx.data"))
    assert run(load(path), torch.zeros(1, 3, SIZE, SIZE)).tolist() == [[1, 1, 1]]
    before = find(path, WRITTEN).weights.fingerprint
    data.write_bytes(torch.zeros(3).numpy().tobytes())
    os.utime(path, ns=(1, 1))
    assert find(path, WRITTEN).weights.fingerprint != before


@pytest.mark.parametrize("where", ["../secret", "absolute"])
def test_onnx_data_elsewhere(tmp_path, where):
    (tmp_path / "secret").write_bytes(torch.ones(3).numpy().tobytes())
    (tmp_path / "folder").mkdir()
    location = str(tmp_path / "secret") if where == "absolute" else where
    path = make_onnx(tmp_path / "folder" / "a.onnx", **external(location))
    message = refusal(path)
    assert "keeps weights in" in message
    assert "not in its folder" in message


@pytest.mark.parametrize("location", ["", ".", "./", "a\0b"])
def test_onnx_data_that_is_no_file(tmp_path, location):
    make_onnx(tmp_path / "a.onnx", **external(location))
    with pytest.raises(ModelError, match="which is not in its folder"):
        find_external_data((tmp_path / "a.onnx").read_bytes())


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_onnx_data_behind_a_link(tmp_path, linked):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "w").write_bytes(torch.ones(3).numpy().tobytes())
    folder = tmp_path / "folder"
    folder.mkdir()
    target = tmp_path / "secrets"
    try:
        if linked == "file":
            (folder / "w").symlink_to(target / "w")
        else:
            (folder / "link").symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("links need more rights here")
    location = "w" if linked == "file" else "link/w"
    message = refusal(make_onnx(folder / "a.onnx", **external(location)))
    assert "a link to what is not in its folder" in message


def test_onnx_in_a_linked_folder(tmp_path):
    """What is beside the file is taken, wherever the folder is."""
    folder = tmp_path / "folder"
    folder.mkdir()
    try:
        (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("links need more rights here")
    (folder / "w").write_bytes(torch.ones(3).numpy().tobytes())
    make_onnx(folder / "a.onnx", **external("w"))
    backbone = load(tmp_path / "link" / "a.onnx")
    assert run(backbone, torch.zeros(1, 3, SIZE, SIZE)).tolist() == [[1, 1, 1]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_onnx_data_in_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="keeps weights in 'pipe', which is no file"):
        check_external_data(["pipe"], str(tmp_path))


def varint(value):
    low = [value >> shift & 0x7F for shift in range(0, value.bit_length(), 7)] or [0]
    return bytes([byte | 0x80 for byte in low[:-1]] + low[-1:])


@pytest.mark.parametrize("high", [1 << 32, 1 << 40, 1 << 63])
def test_onnx_data_behind_a_tag_that_is_cut_off(tmp_path, high):
    """Readers that keep 32 bits of a tag would find the graph."""
    (tmp_path / "folder").mkdir()
    path = make_onnx(tmp_path / "folder" / "a.onnx", **external("../secret"))
    model = onnx.load(path, load_external_data=False)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    tag = varint((7 << 3 | 2) + high)
    content = model.SerializeToString() + tag + varint(len(graph)) + graph
    with pytest.raises(ModelError, match="is no ONNX network"):
        find_external_data(content)


def test_onnx_with_a_field_without_number():
    with pytest.raises(ModelError, match="is no ONNX network"):
        find_external_data(varint(0 << 3 | 2) + b"\0")


def test_onnx_with_a_field_that_is_too_long(tmp_path, monkeypatch):
    make_onnx(tmp_path / "a.onnx")
    content = (tmp_path / "a.onnx").read_bytes()
    assert find_external_data(content) == ()
    assert onnx_data.MAX_LENGTH == 2**31 - 1
    monkeypatch.setattr(onnx_data, "MAX_LENGTH", 50)
    with pytest.raises(ModelError, match="is no ONNX network"):
        find_external_data(content)


def test_other_format_of_onnxruntime(tmp_path, monkeypatch):
    """Not read, even if it got past the check of what is ONNX."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "a.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        make_onnx(tmp_path / "whole.onnx"), options, providers=["CPUExecutionProvider"]
    )
    os.rename(tmp_path / "a.ort", tmp_path / "a.onnx")
    assert "is no ONNX network" in refusal(tmp_path / "a.onnx")
    monkeypatch.setattr(loader, "find_external_data", lambda content: ())
    assert "cannot be read by onnxruntime" in refusal(tmp_path / "a.onnx")


@pytest.mark.parametrize("inside", ["attribute", "function", "sparse"])
def test_onnx_data_in_hidden_places(tmp_path, inside):
    parts = external("../secret")
    (tensor,) = parts["weights"]
    make = onnx.helper
    node = make.make_node("Constant", [], ["w"], value=tensor)
    graph = make.make_graph([node], "network", [], [])
    if inside == "sparse":
        graph = make.make_graph([], "network", [], [])
        graph.sparse_initializer.add().values.CopyFrom(tensor)
    if inside == "attribute":
        branch = make.make_graph([node], "branch", [], [])
        outer = make.make_node("If", ["c"], ["y"], then_branch=branch)
        graph = make.make_graph([outer], "network", [], [])
    model = make.make_model(graph)
    if inside == "function":
        del model.graph.node[:]
        opset = make.make_opsetid("", 13)
        function = make.make_function("my", "f", [], ["w"], [node], [opset])
        model.functions.append(function)
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    assert "keeps weights in '../secret'" in refusal(path)


def test_onnx_with_operations_of_a_library(tmp_path):
    node = onnx.helper.make_node("Harm", ["x"], ["y"], domain="my.library")
    path = make_onnx(tmp_path / "a.onnx", nodes=[node])
    assert "cannot be read by onnxruntime" in refusal(path)


def test_without_onnxruntime(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = refusal(make_onnx(tmp_path / "a.onnx"))
    assert 'pip install "Orange3-ImageAnalytics[onnx]"' in message


def test_finding_imports_neither_torch_nor_onnxruntime(tmp_path):
    path = make_onnx(tmp_path / "a.onnx")
    code = (
        "import sys\n"
        "from orangecontrib.imageanalytics.networks.registry import find_network\n"
        f"find_network({path!r}, {WRITTEN!r}).weights.fingerprint\n"
        "assert not {'torch', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
