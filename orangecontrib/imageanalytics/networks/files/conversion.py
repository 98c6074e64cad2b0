"""Convert files of other libraries to OpenVINO networks, in a separate process.

Some of OpenVINO's readers end the whole process when a file is damaged.
"""

from __future__ import annotations

import os
import tempfile

from orangecontrib.imageanalytics.errors import ImageError, ModelError
from orangecontrib.imageanalytics.images import helper
from orangecontrib.imageanalytics.networks.files.kinds import Kind
from orangecontrib.imageanalytics.networks.openvino_library import library

FRONTENDS = {
    Kind.ONNX: "onnx",
    Kind.TFLITE: "tflite",
    Kind.SAVED_MODEL: "tf",
    Kind.OPENVINO: "ir",
}
SECONDS = 300


def read_network(path: str, kind: Kind):
    """Read the network in a file or folder with OpenVINO.

    Parameters
    ----------
    path : str
    kind : Kind
        One of those in `FRONTENDS`.

    Returns
    -------
    openvino.Model

    Raises
    ------
    RuntimeError
        When OpenVINO refuses it. The message says why.
    ModelError
        When it is damaged. The message is the reason alone.
    """
    with tempfile.TemporaryDirectory() as scratch:
        target = os.path.join(scratch, "network.xml")
        arguments = path, FRONTENDS[kind], target
        try:
            refusal = helper.call(f"{__name__}:convert", *arguments, seconds=SECONDS)
        except ImageError as error:
            raise ModelError(f"is damaged: OpenVINO fails on it ({error})") from error
        if refusal:
            raise RuntimeError(refusal)
        # Not mapped into memory: the file is removed.
        return library().Core().read_model(target, config={"ENABLE_MMAP": False})


def convert(path: str, frontend: str, target: str) -> str:
    """Convert a file; runs in the other process.

    Parameters
    ----------
    path : str
    frontend : str
        OpenVINO's name of the reader.
    target : str
        The file to write. The weights are written beside it.

    Returns
    -------
    str
        Why OpenVINO refuses the network; empty if it does not.
    """
    openvino = library()
    from openvino.frontend import FrontEndManager

    # Not `Core.read_model`, which tries each of its readers.
    reader = FrontEndManager().load_by_framework(frontend)
    try:
        model = reader.convert(reader.load(path))
        openvino.save_model(model, target, compress_to_fp16=False)
    except Exception as error:  # OpenVINO's own have no base of their own
        return str(error) or type(error).__name__
    return ""
