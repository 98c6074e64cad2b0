"""Run ONNX networks that OpenVINO does not support with onnxruntime, if installed."""

from __future__ import annotations

import torch

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.module import (
    OutputModule,
    not_images,
    short_reason,
)

INSTALL = 'pip install "Orange3-ImageAnalytics[onnx]"'
DTYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}


def load_onnx(path: str) -> OutputModule:
    """Load the network in a file.

    Raises
    ------
    ModelError
        When onnxruntime is not installed or does not support it either, or when it
        does not take images. The message is the reason alone.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"needs onnxruntime: {INSTALL}") from error
    options = onnxruntime.SessionOptions()
    # Batches run in several threads instead.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Its other format is excluded, since it could name files in other ways.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own have no base of their own
        raise ModelError(
            f"cannot be read by onnxruntime: {short_reason(error)}"
        ) from error
    return _module(session)


def _module(session) -> OutputModule:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ModelError(f"takes {len(inputs)} inputs, not images alone")
    (image,) = inputs
    dtype = DTYPES.get(image.type)
    if dtype is None or len(image.shape) != 4:
        shape = " x ".join(map(str, image.shape))
        raise not_images(f"{image.type} of shape {shape}")

    def run(x):
        try:
            outputs = session.run(None, {image.name: x.to(dtype).numpy()})
        except Exception as error:  # as above
            # The error that the engine handles when memory is short.
            raise RuntimeError(short_reason(error)) from error
        return [
            torch.from_numpy(output) if hasattr(output, "dtype") else output
            for output in outputs
        ]

    return OutputModule(run, image.shape)
