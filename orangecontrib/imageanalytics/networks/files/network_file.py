"""A network of one's own, in a file: a torch.export program, TorchScript or ONNX.

Nothing here imports torch; `loader` reads the files.
"""

from __future__ import annotations

import functools
import hashlib
import ntpath
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.archives import (
    explain_refusal,
    may_be_torchscript,
)
from orangecontrib.imageanalytics.networks.files.onnx_data import (
    check_external_data,
    find_external_data,
)
from orangecontrib.imageanalytics.networks.files.preparation import (
    HELP,
    Preparation,
    find_preparation,
    prepare,
    read_preparation,
)
from orangecontrib.imageanalytics.networks.network import LOGITS, Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.weights import (
    checkpoints_folder,
    sha256_of,
)

if TYPE_CHECKING:
    from torch import nn

FORMATS = {
    ".pt2": "A torch.export program",
    ".pt": "A TorchScript network",
    ".onnx": "An ONNX network",
}


@dataclass(frozen=True, kw_only=True)
class NetworkFile(Network):
    """A network in a file, which has one output."""

    def load(self, path: str) -> nn.Module:
        """As `Network.load`."""
        from orangecontrib.imageanalytics.networks.files import loader

        return loader.load(self, path)

    def read_layer(self, model: nn.Module, layer: str) -> nn.Module:
        """As `Network.read_layer`: the network itself."""
        if layer == LOGITS:
            return model
        raise ValueError(f"a file has one output, so it has no layer '{layer}'")

    def stages(self) -> tuple[str, ...]:
        """As `Network.stages`: none, since only the output can be read."""
        return ()


@dataclass(frozen=True)
class FileWeights:
    """The file of a network, which is never downloaded.

    Attributes
    ----------
    file : str
        Its absolute path, maybe on another computer.
    """

    file: str

    megabytes = 0
    licence = ""
    source = ""

    @property
    def path(self) -> str:
        """Where it lies: as given, or by that name among torch's checkpoints."""
        if not os.path.exists(self.file) and os.path.isfile(self._fallback):
            return self._fallback
        return self.file

    @property
    def _fallback(self) -> str:
        # ntpath splits at both kinds of slashes.
        return os.path.join(checkpoints_folder(), ntpath.basename(self.file))

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        return f"file {self.path}"

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the content when it was first asked for.

        Raises
        ------
        ModelError
            When the file cannot be read.
        """
        return self._fingerprint_now()

    def check_unchanged(self) -> None:
        """
        Raises
        ------
        ModelError
            When the content is another one than that of `fingerprint`.
        """
        if self._fingerprint_now() != self.fingerprint:
            raise ModelError(f"{self.path} has changed since it was chosen.")

    def _fingerprint_now(self) -> str:
        path = self.ensure(ntpath.basename(self.file))
        try:
            return "sha256:" + _fingerprint(path)
        except ModelError as error:
            raise ModelError(f"{path} {error}.") from error
        except OSError as error:
            raise ModelError(
                f"{error.filename} cannot be read: {error.strerror}"
            ) from error

    def available(self) -> bool:
        """Whether the file is on this computer."""
        return os.path.isfile(self.path)

    def ensure(self, name: str, callback=None) -> str:
        """Path of the file; there is never anything to download.

        Raises
        ------
        ModelError
            When it is missing, empty, a folder, or cannot be opened.
        """
        path = self.path
        if os.path.isdir(path):
            raise ModelError(f"{path} is a folder, not the file of a network.")
        if not os.path.exists(path):
            raise ModelError(
                f"The file of the network {name} is neither at {self.file} "
                f"nor at {self._fallback}."
            )
        try:
            with open(path, "rb") as file:
                if not file.read(1):
                    raise ModelError(f"{path} is empty.")
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
        return path


def _fingerprint(path: str) -> str:
    """Hash of a file, and of those beside it in which an ONNX file keeps weights."""
    files = [path]
    if path.lower().endswith(".onnx"):
        folder = os.path.dirname(path)
        names = _cached(_external_data, path)
        check_external_data(names, folder)  # before anything else is opened
        files += [os.path.join(folder, name) for name in names]
    hashes = [_cached(_sha256, file) for file in files]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _cached(function, path: str):
    """What a function finds in a file that has not changed since."""
    status = os.stat(path)
    return function(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _sha256(path: str, _size: int, _mtime: int) -> str:
    with open(path, "rb") as file:
        return sha256_of(file)


@functools.lru_cache(maxsize=64)
def _external_data(path: str, _size: int, _mtime: int) -> tuple[str, ...]:
    with open(path, "rb") as file:
        return find_external_data(file.read())


def find(path: str, preprocessing: Preprocessing | dict | None = None) -> NetworkFile:
    """The network in a file.

    Parameters
    ----------
    path : str
        Of a file ``.pt2`` (written by ``torch.export.save``), ``.pt``
        (TorchScript) or ``.onnx``. When there is none, one of the same name in
        the folder of torch's checkpoints is used.
    preprocessing : Preprocessing or dict, optional
        How images are prepared; a dict has the keys that `prepare` describes.
        By default as a JSON or TOML file of the same name beside it says.

    Raises
    ------
    ModelError
        When the file is missing or of another kind, or it is not known how
        images are prepared.
    """
    if not (os.path.isabs(path) or ntpath.isabs(path)):
        path = os.path.abspath(path)
    weights = FileWeights(path)
    found = weights.ensure(ntpath.basename(path))
    ending = os.path.splitext(path)[1].lower()
    if ending not in FORMATS:
        raise ModelError(explain_refusal(found))
    preparation = _find_preparation(found, preprocessing)
    return NetworkFile(
        id=path,
        name=ntpath.basename(path),
        description=f"{FORMATS[ending]}, from a file.",
        input_size=preparation.preprocessing.size,
        weights=weights,
        preprocessing=preparation.preprocessing,
        layer=LOGITS,  # its only output, whatever that is
        classes=preparation.classes,
        cpu_only=ending == ".onnx",
        compiles=False,  # what it does may depend on the image
    )


def _find_preparation(path, given) -> Preparation:
    if isinstance(given, Preprocessing):
        return Preparation(given)
    if given is not None:
        return prepare(given, f"Preparation for {os.path.basename(path)}")
    values = read_preparation(path)
    if values is None:
        if path.lower().endswith(".pt") and not may_be_torchscript(path):
            raise ModelError(explain_refusal(path))
        stem = os.path.splitext(path)[0]
        raise ModelError(
            f"How are images prepared for {path}? Say it in a file {stem}.json "
            f"or {stem}.toml. {HELP}"
        )
    return prepare(values, find_preparation(path)[0])
