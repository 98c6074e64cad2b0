import os
import pickle
import zipfile

import pytest
import torch
from network_files import make_network

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.file_weights import FileWeights
from orangecontrib.imageanalytics.networks.files.kinds import Kind, find_kind


def test_what_torch_writes(made, tmp_path):
    """By what is in it, whatever it is called."""
    assert find_kind(made["program"]) is Kind.PROGRAM
    assert find_kind(made["traced"]) is Kind.SCRIPT
    for kind, source in ((Kind.PROGRAM, "program"), (Kind.SCRIPT, "scripted")):
        with open(made[source], "rb") as file:
            content = file.read()
        for name in ("a.pt", "a.pth", "a.bin", "a.ckpt", "a.pkl"):
            (tmp_path / name).write_bytes(content)
            assert find_kind(str(tmp_path / name)) is kind
            assert kind.runs_code


@pytest.mark.parametrize("zipped", [True, False])
def test_weights(tmp_path, zipped):
    path = tmp_path / "a.pt"
    state = make_network().state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert find_kind(str(path)) is Kind.WEIGHTS
    assert not Kind.WEIGHTS.runs_code


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.onnx", Kind.ONNX),
        ("A.TFLITE", Kind.TFLITE),
        ("a.xml", Kind.OPENVINO),
        ("a.safetensors", Kind.WEIGHTS),
        ("a.pt2", Kind.PROGRAM),
    ],
)
def test_by_ending(tmp_path, name, kind):
    (tmp_path / name).write_bytes(b"anything")
    assert find_kind(str(tmp_path / name)) is kind


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.keras", b"PK", "is a Keras file, which can hold code. Save the network as"),
        ("a.h5", b"", "is a Keras file"),
        ("saved_model.pb", b"", "is part of a network: choose its folder"),
        ("a.pb", b"", "is not the file of a network"),
        (
            "a.txt",
            b"",
            "such files end in .onnx, .tflite",
        ),
        ("a.pt", b"no", "holds no network saved by PyTorch"),
        ("a.pt", b"", "holds no network saved by PyTorch"),
        ("a.ckpt", b"PK\x03\x04 no", "is damaged"),
        ("a.pth", pickle.dumps([1], 0), "holds no network"),
    ],
)
def test_others(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        find_kind(str(path))
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_folders(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ModelError, match="is a folder without a network"):
        find_kind(str(folder))
    (folder / "config.json").touch()
    assert find_kind(str(folder)) is Kind.TIMM
    (folder / "saved_model.pb").touch()
    assert find_kind(str(folder)) is Kind.SAVED_MODEL


def test_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/b", b"")
    assert find_kind(str(tmp_path / "a.pt")) is Kind.WEIGHTS  # which it turns out not


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
@pytest.mark.parametrize("ending", [".pt", ".xml", ".onnx"])
def test_a_pipe_or_device_is_not_opened(tmp_path, ending):
    """To open the first would wait for ever, to read the second fill the memory."""
    pipe, device = str(tmp_path / f"pipe{ending}"), str(tmp_path / f"device{ending}")
    os.mkfifo(pipe)
    os.symlink(os.devnull, device)
    for path in (pipe, device):
        for use in (find_kind, lambda path: FileWeights(path).ensure("cells")):
            with pytest.raises(ModelError, match="is neither a file nor a folder"):
                use(path)


def test_texts():
    """Each kind has its own, with an article; they say nothing about equality."""
    texts = [kind.text for kind in Kind]
    assert Kind.ONNX.text == "an ONNX network"
    assert Kind.TFLITE.text == "a TensorFlow Lite network"
    assert len(set(texts)) == len(texts) == 8
