import sys

import pytest
import torch
from network_files import SIZE, WRITTEN, load, make_onnx, run

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.files import network_file, openvino_files
from orangecontrib.imageanalytics.networks.files.onnxruntime_files import load_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def unknown(monkeypatch):
    """OpenVINO knows no operation."""

    def refuse(*_):
        raise openvino_files.UnknownOperationError("uses operations: Odd")

    monkeypatch.setattr(openvino_files, "load_openvino", refuse)


def refusal(path):
    with pytest.raises(ModelError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("n", ["batch", 1, 4])
def test_what_openvino_does_not_know(tmp_path, unknown, n):
    backbone = load(make_onnx(tmp_path / "a.onnx", n=n, output=(n, 3)))
    x = torch.randn(6, 3, SIZE, SIZE)
    torch.testing.assert_close(run(backbone, x), x.mean((2, 3)))
    assert backbone.model.as_openvino() is None


def test_what_neither_knows(tmp_path):
    node = onnx.helper.make_node("Harm", ["x"], ["y"], domain="my.library")
    message = refusal(make_onnx(tmp_path / "a.onnx", nodes=[node]))
    assert "OpenVINO does not know: " in message
    assert "Harm" in message
    assert "cannot be read by onnxruntime" in message


def test_without_onnxruntime(tmp_path, unknown, monkeypatch):
    path = make_onnx(tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = refusal(path)
    assert 'Odd; it needs onnxruntime: pip install "Orange3-ImageAnalytics[onnx]"' in (
        message
    )


def test_other_networks_are_not_for_it(tmp_path, unknown):
    (tmp_path / "a.tflite").write_bytes(b"TFL3")
    network = network_file.find(str(tmp_path / "a.tflite"), WRITTEN)
    with pytest.raises(ModelError, match="uses operations: Odd"):
        load_backbone(network)


def test_other_format_of_onnxruntime(tmp_path):
    """Not read, even under the name of ONNX."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "a.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        make_onnx(tmp_path / "whole.onnx"), options, providers=["CPUExecutionProvider"]
    )
    (tmp_path / "a.ort").rename(tmp_path / "a.onnx")
    assert "is no ONNX network" in refusal(tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="cannot be read by onnxruntime"):
        load_onnx(str(tmp_path / "a.onnx"))


def test_no_images(tmp_path):
    helper, proto = onnx.helper, onnx.TensorProto
    for name, shape, kind in (("a", [1, 3], proto.FLOAT), ("b", [1] * 4, proto.INT64)):
        image = helper.make_tensor_value_info("x", kind, shape)
        output = helper.make_tensor_value_info("y", kind, shape)
        graph = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])], "n", [image], [output]
        )
        path = tmp_path / f"{name}.onnx"
        opset = helper.make_opsetid("", 13)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ModelError, match=r"takes tensor.*, not images"):
            load_onnx(str(path))
