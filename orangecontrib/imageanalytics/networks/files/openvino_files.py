"""Read networks that are plain data with OpenVINO.

OpenVINO runs no code from these files: it refuses operations that it does not know.
"""

from __future__ import annotations

import math
import re
import threading

import numpy as np
import torch
from torch import Tensor

from orangecontrib.imageanalytics.errors import ModelError, message_lines
from orangecontrib.imageanalytics.networks.files.conversion import read_network
from orangecontrib.imageanalytics.networks.files.kinds import Kind
from orangecontrib.imageanalytics.networks.files.module import (
    OutputModule,
    check_shape,
    not_images,
    short_reason,
)
from orangecontrib.imageanalytics.networks.openvino_library import library

REAL, WHOLE = ("f32", "f16", "bf16", "f64"), ("u8", "i8")
CHANNELS = 3
# OpenVINO's messages about unknown operations, in this and earlier versions.
UNKNOWN = (
    "(?:No conversion rule found for operations?"
    "|does not support the following ONNX operations): (.+)"
)
MOST_BYTES = 4 << 30  # of one result


class UnknownOperationError(ModelError):
    """A network uses an operation that OpenVINO does not know."""


class OpenVinoModule(OutputModule):
    """A network that OpenVINO runs.

    Attributes
    ----------
    openvino_model : openvino.Model
        Takes float32 images, shape (n, 3, size, size), and returns the output of the
        network, float32.
    takes_whole_numbers : bool
        Whether it computes with whole numbers, to which its input is rounded.
    """

    def __init__(self, model, takes_whole_numbers: bool):
        super().__init__(self._infer, _lengths(_shape(model.input())))
        self.openvino_model = model
        self.takes_whole_numbers = takes_whole_numbers
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "THROUGHPUT",
            "ENABLE_CPU_PINNING": False,  # where others decode images
        }
        self._network = library().Core().compile_model(model, "CPU", options)
        self._thread = threading.local()

    def as_openvino(self):
        """The model for one float32 image, shape (1, 3, size, size).

        Returns
        -------
        openvino.Model or None
            Its output is pooled like in `layers.pool`. None if it only takes several
            images.
        """
        if self.most != 1:
            return None
        model = self.openvino_model.clone()
        return _pooled(model)

    def _infer(self, x: Tensor) -> Tensor:
        if not hasattr(self._thread, "request"):
            self._thread.request = self._network.create_infer_request()
        request = self._thread.request
        request.infer([np.ascontiguousarray(x.numpy(), np.float32)])
        return torch.from_numpy(request.get_output_tensor().data.copy())


def load_openvino(path: str, kind: Kind, size: int) -> OpenVinoModule:
    """Load the network in a file or folder.

    Parameters
    ----------
    path : str
    kind : Kind
    size : int
        Side of the square that it sees, according to its description, in pixels.

    Raises
    ------
    UnknownOperationError
        When it uses an operation that OpenVINO does not know.
    ModelError
        When it is damaged, or does not take such images. The message is the reason
        alone.
    """
    model = _read(path, kind)
    if len(model.inputs) != 1:
        raise ModelError(f"takes {len(model.inputs)} inputs, not images alone")
    if len(model.outputs) != 1:
        raise ModelError(
            f"gives {len(model.outputs)} outputs, not one tensor: "
            "export only the one you want"
        )
    is_last = _fix_shape(model, kind, size)
    _check_memory(model)
    type_name = model.input().get_element_type().get_type_name()
    return OpenVinoModule(_normalised(model, is_last), type_name in WHOLE)


def _read(path, kind):
    try:
        return read_network(path, kind)
    except ModelError:
        raise
    except Exception as error:  # OpenVINO's own have no base of their own
        if names := re.search(UNKNOWN, str(error)):
            raise UnknownOperationError(
                f"uses operations that OpenVINO does not know: {names[1][:200].strip()}"
            ) from error
        raise ModelError(f"cannot be read by OpenVINO: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    """The last line of OpenVINO's message; the others tell the place in its code."""
    lines = message_lines(error)
    return short_reason(lines[-1] if lines else error)


def _shape(port):
    return port.get_partial_shape()


def _fix_shape(model, kind: Kind, size: int) -> bool:
    """Set the network to take one image at a time, if possible.

    Returns
    -------
    bool
        Whether it takes channels last.
    """
    shape = _shape(model.input())
    type_name = model.input().get_element_type().get_type_name()
    if shape.rank.is_dynamic or len(shape) != 4 or type_name not in REAL + WHOLE:
        raise not_images(f"{type_name} of shape {shape}")
    is_last = _has_channels_last(shape, kind)
    n, *image = _lengths(shape)
    check_shape((image[-1], *image[:-1]) if is_last else image, size)
    sides = (size, size, CHANNELS) if is_last else (CHANNELS, size, size)
    try:
        model.reshape([1, *sides])
    except RuntimeError:  # it was made for so many images
        model.reshape([n or -1, *sides])
    return is_last


def _lengths(shape) -> list[int]:
    """The lengths of a shape, with zeros for those that are not fixed."""
    return [length.get_length() if length.is_static else 0 for length in shape]


def _check_memory(model) -> None:
    """Check shapes first, since compiling allocates what they ask for."""
    for operation in model.get_ops():
        for output in operation.outputs():
            shape = _shape(output)
            if shape.is_dynamic:
                continue
            n_bytes = math.prod(_lengths(shape)) * output.get_element_type().size
            if n_bytes > MOST_BYTES:
                raise ModelError(
                    f"would take {n_bytes / 1e9:,.0f} GB for a part of one image"
                )


def _has_channels_last(shape, kind: Kind) -> bool:
    """Whether channels come last: where a length is 3, or else TensorFlow's order."""
    first, last = (_is_three(shape[axis]) for axis in (1, 3))
    if first != last:
        return last
    return kind in (Kind.TFLITE, Kind.SAVED_MODEL)


def _is_three(dimension) -> bool:
    return dimension.is_static and dimension.get_length() == CHANNELS


def _normalised(model, is_last: bool):
    """The same model with float32 input, n x 3 x size x size, and float32 output."""
    openvino = library()
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    image = steps.input()
    image.tensor().set_element_type(openvino.Type.f32)
    image.tensor().set_layout(openvino.Layout("NCHW"))
    image.model().set_layout(openvino.Layout("NHWC" if is_last else "NCHW"))
    element_type = model.input().get_element_type()
    if element_type.get_type_name() in WHOLE:
        limits = np.iinfo(element_type.to_dtype())
        image.preprocess().custom(lambda output: _rounded(output, limits))
    steps.output().tensor().set_element_type(openvino.Type.f32)
    try:
        return steps.build()
    except RuntimeError as error:
        raise ModelError(f"does not take images: {_last_line(error)}") from error


def _pooled(model):
    """The same model with its output averaged over positions; see `layers.pool`."""
    openvino = library()
    from openvino import opset13

    (output,) = model.outputs
    shape = _lengths(_shape(output))
    if len(shape) == 2:
        return model
    axes = [1] if len(shape) == 3 else [2, 3] if shape[2] == shape[3] else [1, 2]
    source = output.get_node().input_value(0)
    mean = opset13.reduce_mean(source, np.array(axes), keep_dims=False)
    return openvino.Model([mean], model.get_parameters())


def _rounded(output, limits):
    from openvino import opset13

    whole = opset13.round(output, "half_to_even")
    return opset13.clamp(whole, float(limits.min), float(limits.max)).output(0)
