import os

import pytest
import torch
from network_files import SIZE, WRITTEN, load, make_onnx, run

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files import onnx_data
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.files.onnx_data import (
    check_external_data,
    find_external_data,
)

onnx = pytest.importorskip("onnx")


def refusal(path):
    with pytest.raises(ModelError) as caught:
        load(path)
    return str(caught.value)


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
