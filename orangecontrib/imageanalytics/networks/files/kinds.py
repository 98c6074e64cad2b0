"""Find out what kind of network a file or folder holds, without loading it.

Kinds differ in what opening them can do. Plain data are read freely; a file that can
run code is opened only after the user has vouched for that very file.
"""

from __future__ import annotations

import enum
import functools
import os
import zipfile

from orangecontrib.imageanalytics.errors import ModelError, first_line
from orangecontrib.imageanalytics.networks.files.onnx_data import (
    check_external_data,
    find_external_data,
)
from orangecontrib.imageanalytics.networks.hub_weights import FILES as HUB_FILES

SAVED_MODEL_FILE, CONFIG_FILE = "saved_model.pb", "config.json"
KERAS = (".keras", ".h5", ".hdf5")
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
ARCHIVE, PICKLE = b"PK", b"\x80"  # as such files begin
AS_ONNX = "Save the network as ONNX instead."


class Kind(enum.Enum):
    """A kind of network."""

    ONNX = enum.auto()
    TFLITE = enum.auto()
    SAVED_MODEL = enum.auto()
    OPENVINO = enum.auto()
    WEIGHTS = enum.auto()
    TIMM = enum.auto()
    PROGRAM = enum.auto()
    SCRIPT = enum.auto()

    @property
    def text(self) -> str:
        """What it is in a sentence, with an article."""
        return _TEXTS[self]

    @property
    def runs_code(self) -> bool:
        """Whether opening it can run any program."""
        return self in (Kind.PROGRAM, Kind.SCRIPT)

    @property
    def has_architecture(self) -> bool:
        """Whether it holds weights of an architecture that is known by its name."""
        return self in (Kind.WEIGHTS, Kind.TIMM)


_TEXTS = {
    Kind.ONNX: "an ONNX network",
    Kind.TFLITE: "a TensorFlow Lite network",
    Kind.SAVED_MODEL: "a TensorFlow SavedModel",
    Kind.OPENVINO: "an OpenVINO network",
    Kind.WEIGHTS: "a file of weights",
    Kind.TIMM: "a folder of timm",
    Kind.PROGRAM: "a torch.export program",
    Kind.SCRIPT: "a TorchScript network",
}
BY_ENDING = {
    ".onnx": Kind.ONNX,
    ".tflite": Kind.TFLITE,
    ".xml": Kind.OPENVINO,
    ".safetensors": Kind.WEIGHTS,
    ".pt2": Kind.PROGRAM,
}


def find_kind(path: str) -> Kind:
    """Find the kind of a file or folder by its extension and the names of its parts.

    Parameters
    ----------
    path : str
        Path of the file or folder.

    Raises
    ------
    ModelError
        When it cannot be used as a network. The message says why and what to do.
    """
    name = os.path.basename(path)
    check_ordinary(path)
    if os.path.isdir(path):
        return _find_folder_kind(path)
    ending = os.path.splitext(path)[1].lower()
    if ending in BY_ENDING:
        return BY_ENDING[ending]
    if ending in PICKLES:
        return _find_pickle_kind(path)
    if ending in KERAS:
        raise ModelError(f"{path} is a Keras file, which can hold code. {AS_ONNX}")
    if name == SAVED_MODEL_FILE:
        raise ModelError(f"{path} is part of a network: choose its folder.")
    known = ", ".join(dict.fromkeys((*BY_ENDING, *PICKLES)))
    raise ModelError(f"{path} is not the file of a network; such files end in {known}.")


def check_ordinary(path: str) -> None:
    """Refuse anything but files and folders: a pipe or device may never end.

    Raises
    ------
    ModelError
        When the path exists and is neither a file nor a folder.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise ModelError(f"{path} is neither a file nor a folder.")


def find_parts(path: str, kind: Kind) -> list[str]:
    """Paths of all files that define the network, in a fixed order.

    Parameters
    ----------
    path : str
        Path of the file or folder.
    kind : Kind
        From `find_kind`.

    Raises
    ------
    ModelError
        When an ONNX file is damaged or names files outside its folder.
        The message is the reason alone.
    OSError
        When a file or folder cannot be read.
    """
    if kind is Kind.ONNX:
        status = os.stat(path)
        names = _external_data(path, status.st_size, status.st_mtime_ns)
        folder = os.path.dirname(path)
        check_external_data(names, folder)
        return [path, *(os.path.join(folder, name) for name in names)]
    if kind is Kind.OPENVINO:
        weights = os.path.splitext(path)[0] + ".bin"
        return [path, weights] if os.path.isfile(weights) else [path]
    if kind is Kind.SAVED_MODEL:
        variables = os.path.join(path, "variables")
        names = sorted(os.listdir(variables)) if os.path.isdir(variables) else []
        inside = [os.path.join(variables, name) for name in names]
        return [os.path.join(path, SAVED_MODEL_FILE), *filter(os.path.isfile, inside)]
    if kind is Kind.TIMM:
        return [os.path.join(path, CONFIG_FILE), find_timm_weights(path)]
    return [path]


@functools.lru_cache(maxsize=64)
def _external_data(path: str, _size: int, _mtime: int) -> tuple[str, ...]:
    with open(path, "rb") as file:
        return find_external_data(file.read())


def find_timm_weights(folder: str) -> str:
    """Path of the weights in a folder of timm.

    Raises
    ------
    ModelError
        When there are none; the message is the reason alone.
    """
    for name in HUB_FILES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return path
    raise ModelError(f"has a {CONFIG_FILE}, but neither {' nor '.join(HUB_FILES)}")


def _find_folder_kind(path: str) -> Kind:
    if os.path.isfile(os.path.join(path, SAVED_MODEL_FILE)):
        return Kind.SAVED_MODEL
    if os.path.isfile(os.path.join(path, CONFIG_FILE)):
        return Kind.TIMM
    raise ModelError(
        f"{path} is a folder without a network: it has neither {CONFIG_FILE} "
        f"(networks of timm) nor {SAVED_MODEL_FILE} (TensorFlow)."
    )


def _find_pickle_kind(path: str) -> Kind:
    """The kind of a file saved by PyTorch: a program, TorchScript, or else weights.

    A file gains nothing by hiding its parts: torch reads weights with
    ``weights_only=True``, which refuses the other kinds.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(2)
        if start[:1] == PICKLE:
            return Kind.WEIGHTS
        if start != ARCHIVE:
            raise ModelError(f"{path} holds no network saved by PyTorch.")
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] or name for name in archive.namelist()}
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is damaged: {first_line(error)}.") from error
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return Kind.SCRIPT
    if names & {"models/model.json", "serialized_exported_program.json"}:
        return Kind.PROGRAM
    return Kind.WEIGHTS
