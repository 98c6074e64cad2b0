import os
import shutil
import threading

import numpy as np
import pytest
import torch
from network_files import (
    BYTES,
    SAVED_MODEL,
    SIZE,
    TFLITE,
    TFLITE_BYTES,
    WRITTEN,
    check_many_threads,
    load,
    make_onnx,
    make_openvino,
    run,
    unpack,
)

from orangecontrib.imageanalytics.engine.runner import choose_runner
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

onnx = pytest.importorskip("onnx")


def refusal(path, **values):
    with pytest.raises(ModelError) as caught:
        load(path, **values)
    message = str(caught.value)
    assert os.path.basename(str(path)) in message
    assert len(message) < 600 and "\n" not in message
    return message


def make(kind, folder):
    """Means of the channels."""
    if kind == "onnx":
        return make_onnx(folder / "a.onnx")
    if kind == "tflite":
        return unpack(TFLITE, folder / "a.tflite")
    return os.path.dirname(unpack(SAVED_MODEL, folder / "a" / "saved_model.pb"))


KINDS = ("onnx", "tflite", "saved_model")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 5])
def test_any_number_of_images(tmp_path, kind, n):
    """Whether it has channels first or, as TensorFlow, last."""
    x = torch.randn(n, 3, SIZE, SIZE)
    vectors = run(load(make(kind, tmp_path)), x)
    torch.testing.assert_close(vectors, x.mean((2, 3)))


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((-1, 3, SIZE, SIZE), (2, 3)),
        ((1, 3, -1, -1), (2, 3)),
        ((-1, SIZE, SIZE, 3), (1, 2)),
        ((2, -1, -1, 3), (1, 2)),
        ((-1, -1, -1, -1), (2, 3)),
    ],
)
def test_openvino(tmp_path, shape, axes):
    path = make_openvino(tmp_path / "a.xml", shape, axes)
    x = torch.randn(3, 3, SIZE, SIZE)
    torch.testing.assert_close(run(load(path), x), x.mean((2, 3)) + 1)


def test_half_precision(tmp_path):
    path = make_openvino(tmp_path / "a.xml", dtype="float16")
    x = torch.randn(3, 3, SIZE, SIZE)
    vectors = run(load(path), x)
    torch.testing.assert_close(vectors, x.mean((2, 3)) + 1, atol=1e-3, rtol=0)


@pytest.mark.parametrize("n", [1, 4])
def test_for_so_many_images(tmp_path, n):
    backbone = load(make_onnx(tmp_path / "a.onnx", n=n, output=(n, 3)))
    x = torch.randn(6, 3, SIZE, SIZE)
    torch.testing.assert_close(run(backbone, x), x.mean((2, 3)))


def make_reshaping(path):
    """It works for two images only, as what was exported without care does."""
    shape = onnx.numpy_helper.from_array(np.array([2, 3 * SIZE, SIZE]), "shape")
    nodes = [
        onnx.helper.make_node("Reshape", ["x", "shape"], ["r"]),
        onnx.helper.make_node("ReduceMean", ["r"], ["y"], axes=[2], keepdims=0),
    ]
    output = (2, 3 * SIZE)
    return make_onnx(path, n=2, nodes=nodes, output=output, weights=[shape])


def test_for_two_images_only(tmp_path):
    path = make_reshaping(tmp_path / "a.onnx")
    x = torch.randn(5, 3, SIZE, SIZE)
    torch.testing.assert_close(run(load(path), x), x.mean(3).flatten(1))


def test_bytes(tmp_path):
    """Numbers are rounded; the output counts as real."""
    path = unpack(TFLITE_BYTES, tmp_path / "a.tflite")
    x = torch.randint(0, 256, (3, 3, SIZE, SIZE)).float()
    vectors = run(load(path, **BYTES), x)
    torch.testing.assert_close(vectors, x.mean((2, 3)), atol=1.5, rtol=0)
    torch.testing.assert_close(run(load(path, **BYTES), x + 0.4), vectors)
    beyond = run(load(path, **BYTES), x * 0 + 1000)
    assert (beyond == 255).all()
    assert 'must have {"range": 255, "mean": [0, 0, 0]' in refusal(path)


def test_many_threads(tmp_path):
    backbone = load(make_onnx(tmp_path / "a.onnx"))
    x = torch.randn(8, 3, SIZE, SIZE)
    check_many_threads(backbone, x, x.mean((2, 3)))


# -- Run by the engine -----------------------------------------------------------


def vectors_of(path, **values):
    spec = EmbeddingSpec.choose(path, preprocessing=BYTES | values)
    runner = choose_runner(spec, "cpu")
    runner.load()
    squares = np.random.default_rng(0).integers(
        0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8
    )
    vectors, _ = runner(squares, threading.Event())
    return vectors, squares.mean((1, 2)), runner


@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_takes_it_as_it_is(tmp_path, kind, nothing_compiled):
    """No torch is between the file and OpenVINO, and it is kept as others are."""
    path = make(kind, tmp_path)
    vectors, expected, runner = vectors_of(path)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4)
    assert runner._substitute is None
    assert list(nothing_compiled.glob("*.xml"))


def test_the_engine_averages_over_positions(tmp_path, nothing_compiled):
    for channels_last, perm in ((False, [0, 1, 2, 3]), (True, [0, 2, 3, 1])):
        node = onnx.helper.make_node("Transpose", ["x"], ["y"], perm=perm)
        path = make_onnx(tmp_path / f"{channels_last}.onnx", nodes=[node], output=None)
        vectors, expected, runner = vectors_of(path)
        np.testing.assert_allclose(vectors, expected, rtol=1e-4)
        assert runner._substitute is None
    tokens = onnx.numpy_helper.from_array(np.array([0, 3, SIZE * SIZE]), "shape")
    nodes = [
        onnx.helper.make_node("Reshape", ["x", "shape"], ["r"]),
        onnx.helper.make_node("Transpose", ["r"], ["y"], perm=[0, 2, 1]),
    ]
    path = make_onnx(tmp_path / "t.onnx", nodes=nodes, output=None, weights=[tokens])
    vectors, expected, _ = vectors_of(path)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4)


def test_what_takes_two_images_runs_otherwise(tmp_path, nothing_compiled):
    path = make_reshaping(tmp_path / "a.onnx")
    vectors, _, runner = vectors_of(path)
    assert vectors.shape == (3, 3 * SIZE)
    assert runner._substitute is not None


def test_it_is_for_the_cpu_of_torch_only(tmp_path):
    network = find(make_onnx(tmp_path / "a.onnx"), WRITTEN)
    assert network.cpu_only and network.compiles
    assert not network.has_layers and network.stages() == ()


# -- What is refused -------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_size(tmp_path, kind):
    message = refusal(make(kind, tmp_path), size=32)
    assert "takes images of 3 x 16 x 16 numbers, not 3 x 32 x 32" in message


def test_wrong_number_of_channels(tmp_path):
    path = make_openvino(tmp_path / "a.xml", (-1, 1, SIZE, SIZE))
    message = refusal(path)
    assert "takes images of 1 x 16 x 16 numbers, not 3 x 16 x 16" in message


def test_no_images(tmp_path):
    path = make_openvino(tmp_path / "a.xml", (-1, 3), (1,))
    assert "takes f32 of shape [?,3], not images" in refusal(path)
    path = make_openvino(tmp_path / "b.xml", dtype="int64")
    assert "takes i64" in refusal(path)


def test_wrong_output(tmp_path):
    mean = onnx.helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)
    path = make_onnx(tmp_path / "a.onnx", nodes=[mean], output=())
    assert "a vector of real numbers is expected" in refusal(path)


def test_several_outputs_and_inputs(tmp_path):
    from openvino import Model, opset13, save_model

    first, second = (opset13.parameter([-1, 3, SIZE, SIZE], np.float32) for _ in "ab")
    both = opset13.add(first, second)
    save_model(Model([both], [first, second]), str(tmp_path / "a.xml"))
    assert "takes 2 inputs, not images alone" in refusal(tmp_path / "a.xml")
    once, twice = opset13.relu(first), opset13.abs(first)
    save_model(Model([once, twice], [first]), str(tmp_path / "b.xml"))
    assert "gives 2 outputs, not one tensor: export only the one" in refusal(
        tmp_path / "b.xml"
    )


def test_wrong_number_of_classes(tmp_path):
    message = refusal(make_onnx(tmp_path / "a.onnx"), classes=["a", "b"])
    assert "gives 3 numbers, but its description has 2 classes" in message
    message = refusal(make_onnx(tmp_path / "a.onnx"), classes=4)
    assert "gives 3 numbers, but its description has 4 classes" in message
    load(make_onnx(tmp_path / "a.onnx"), classes=3)


def test_unknown_operation_of_tensorflow(tmp_path):
    """Such as one that would call Python or read a file."""
    path = tmp_path / "a" / "saved_model.pb"
    unpack(SAVED_MODEL, path)
    # Of the same length, or the message would be damaged.
    path.write_bytes(path.read_bytes().replace(b"\x04Mean", b"\x04Mine"))
    assert "cannot be read by OpenVINO" in refusal(path.parent)


@pytest.mark.parametrize("name", ["a.onnx", "a.tflite", "a.xml"])
@pytest.mark.parametrize("content", [b"no", b"\0" * 999, b"<net/>", b"\x80" * 99])
def test_no_network(tmp_path, name, content, capfd):
    (tmp_path / name).write_bytes(content)
    refusal(tmp_path / name)
    # Nothing but the message says so.
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", KINDS)
def test_damaged(tmp_path, kind):
    path = make(kind, tmp_path)
    file = os.path.join(path, "saved_model.pb") if os.path.isdir(path) else path
    with open(file, "rb") as stream:
        content = stream.read()
    generator = np.random.default_rng(0)
    for _ in range(20):
        position = int(generator.integers(1, len(content)))
        changed = content[:position] + b"\xff" + content[position + 1 :]
        for damaged in (changed, content[:position]):
            with open(file, "wb") as stream:
                stream.write(damaged)
            try:
                load(path)
            except ModelError as error:
                assert path in str(error)


def test_openvino_without_its_weights(tmp_path):
    path = make_openvino(tmp_path / "a.xml")
    before = find(path, WRITTEN).weights.fingerprint
    content = (tmp_path / "a.bin").read_bytes()
    (tmp_path / "a.bin").write_bytes(content[:4])
    assert "cannot be read by OpenVINO" in refusal(path)
    assert find(path, WRITTEN).weights.fingerprint != before
    (tmp_path / "a.bin").unlink()
    assert "cannot be read by OpenVINO" in refusal(path)


def test_enormous_weights(tmp_path):
    """What a file says of its length is not believed."""
    path = make_openvino(tmp_path / "a.xml")
    text = (tmp_path / "a.xml").read_text()
    assert 'size="12"' in text
    (tmp_path / "a.xml").write_text(text.replace('size="12"', f'size="{2**40}"'))
    assert "cannot be read by OpenVINO" in refusal(path)


def test_enormous_results(tmp_path):
    """They would be asked for when the network is compiled."""
    from openvino import Model, opset13, save_model

    image = opset13.parameter([-1, 3, SIZE, SIZE], np.float32)
    target = opset13.constant(np.array([10**7, 3, SIZE, SIZE]))
    large = opset13.broadcast(image, target, broadcast_spec="BIDIRECTIONAL")
    mean = opset13.reduce_mean(large, np.array([0, 2, 3]), keep_dims=False)
    save_model(Model([mean], [image]), str(tmp_path / "a.xml"))
    assert "would take 31 GB for a part of one image" in refusal(tmp_path / "a.xml")


def test_fingerprint_of_a_folder(tmp_path):
    path = make("saved_model", tmp_path)
    before = find(path, WRITTEN).weights.fingerprint
    shutil.copytree(path, tmp_path / "b")
    assert find(str(tmp_path / "b"), WRITTEN).weights.fingerprint == before
    variables = tmp_path / "b" / "variables"
    variables.mkdir()
    (variables / "variables.index").write_bytes(b"other")
    assert find(str(tmp_path / "b"), WRITTEN).weights.fingerprint != before
