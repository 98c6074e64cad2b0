"""Weight files: where they come from, fetching them, and reading them safely.

A weight file is either inside an installed dependency, or it is downloaded once into
the folder in which ``torch.hub`` keeps checkpoints. Downloads are thus shared with
torchvision.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import math
import os
import pickle
import re
import sys
from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.stoppable import POLL, StoppableWork

TIMEOUT = 30  # seconds to connect, and between two pieces of an answer
CHUNK = 1 << 18


@dataclass(frozen=True)
class PackagedWeights:
    """A weight file inside an installed dependency.

    Attributes
    ----------
    package, file : str
        Import name of the package and the path of the file inside it.
    sha256 : str
        SHA-256 of the file, in hexadecimal.
    licence : str
        SPDX identifier.
    source : str
        Address of those who trained them.
    """

    package: str
    file: str
    sha256: str
    licence: str
    source: str

    megabytes = 0

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return f"Python package {self.package}"

    @property
    def fingerprint(self) -> str:
        """What tells these weights from any others."""
        return self.sha256

    @property
    def path(self) -> str:
        """Where the file is or should be.

        Raises
        ------
        ModelError
            When the package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(
                f"The Python package '{self.package}', which brings the weights, "
                "is not installed. Install it with pip."
            )
        return os.path.join(spec.submodule_search_locations[0], self.file)

    def available(self) -> bool:
        """Whether the file is on this computer; asks no network."""
        try:
            return os.path.isfile(self.path)
        except ModelError:
            return False

    def ensure(self, name: str, callback=None) -> str:
        """Path of the file; there is never anything to download."""
        if not self.available():
            raise ModelError(
                f"{name}: the weight file {self.path} is missing. "
                f"Reinstall the Python package '{self.package}'."
            )
        return self.path


@dataclass(frozen=True)
class DownloadedWeights:
    """A weight file that is downloaded when it is first needed.

    Attributes
    ----------
    url : str
        Address. As torchvision's, the file name ends in a hyphen and the first
        hexadecimal digits of the file's SHA-256.
    megabytes : float
        Size of the download, in units of 10**6 bytes; nan if it is unknown.
    licence, source : str
        As for `PackagedWeights`.
    """

    url: str
    megabytes: float
    licence: str
    source: str

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return self.url

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]

    @property
    def fingerprint(self) -> str:
        """What tells these weights from any others."""
        return self.file

    @property
    def sha256(self) -> str:
        """The first digits of the SHA-256 that the file must have."""
        return re.search(r"-([0-9a-f]{8,})\.", self.file).group(1)

    @property
    def path(self) -> str:
        """Where the file is or will be."""
        return os.path.join(checkpoints_folder(), self.file)

    def available(self) -> bool:
        """Whether the file is on this computer; asks no network."""
        return os.path.isfile(self.path)

    def ensure(self, name: str, callback=None) -> str:
        """Path of the file, which is downloaded first if necessary.

        As `network.Weights.ensure`; a download that is stopped leaves no file.
        """
        if self.available():
            return self.path
        import httpx

        download = _Download(self)
        try:
            download.wait(callback or (lambda _fraction: None))
        except (OSError, httpx.HTTPError, ImportError, ValueError) as error:
            # The last two: a proxy that httpx cannot use.
            raise ModelError(self._advice(name, error)) from error
        return self.path

    def _advice(self, name, error) -> str:
        size = "" if math.isnan(self.megabytes) else f" ({self.megabytes:.0f} MB)"
        return (
            f"{name}: its weights{size} could not be downloaded "
            f"from {self.url} ({error}). Without a connection, download the file "
            f"{self.file} elsewhere and put it into the folder {checkpoints_folder()}."
        )


class _Download(StoppableWork):
    """A download of one file, which is checked."""

    def __init__(self, weights: DownloadedWeights):
        super().__init__()
        self._weights = weights

    def work(self):
        # torch depends on filelock. The lock lets a second process wait for the
        # first one's download instead of doing it again.
        from filelock import FileLock, Timeout

        path = self._weights.path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        lock = FileLock(path + ".lock")
        while not self.stop.is_set():
            try:
                with lock.acquire(timeout=POLL):
                    if not self._weights.available():
                        self._download(path, path + ".partial")
                return
            except Timeout:
                continue

    def _download(self, path, partial):
        import httpx

        try:
            with (
                httpx.stream(
                    "GET", self._weights.url, timeout=TIMEOUT, follow_redirects=True
                ) as response,
                open(partial, "wb") as file,
            ):
                response.raise_for_status()
                digest = self._receive(response, file)
            if self.stop.is_set():
                return
            if not digest.startswith(self._weights.sha256):
                raise OSError("what was received is damaged: its SHA-256 is wrong")
            os.replace(partial, path)
        finally:
            if os.path.exists(partial):
                os.remove(partial)

    def _receive(self, response, file) -> str:
        """Write an answer to a file and return its SHA-256."""
        size = float(response.headers.get("Content-Length", "nan"))
        if math.isnan(size):
            size = self._weights.megabytes * 1e6
        digest, done = hashlib.sha256(), 0
        for chunk in response.iter_bytes(CHUNK):
            if self.stop.is_set():
                break
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if size > 0:  # not where it is unknown
                self.fraction = min(done / size, 1)
        file.flush()
        os.fsync(file.fileno())
        return digest.hexdigest()


def checkpoints_folder() -> str:
    """The folder in which ``torch.hub`` keeps downloaded checkpoints.

    It is found without importing torch, which takes seconds. If torch is loaded, it is
    asked, since another folder may have been set. Source of the rule:
    ``torch.hub.get_dir``.
    """
    if "torch.hub" in sys.modules:
        hub = sys.modules["torch.hub"].get_dir()
    else:
        cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
        home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
        hub = os.path.join(os.path.expanduser(home), "hub")
    return os.path.join(hub, "checkpoints")


def read_checkpoint(path: str, sha256: str) -> dict:
    """Tensors of a weight file by name.

    Parameters
    ----------
    path : str
        A PyTorch checkpoint.
    sha256 : str
        As for `check_sha256`.

    Raises
    ------
    ModelError
        When the file cannot be read, has another hash, or holds anything that
        is not a tensor.
    """
    import torch

    try:
        with open(path, "rb") as file:
            check_sha256(file, path, sha256)
            return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ModelError(f"The weight file {path} cannot be read: {error}") from error


def read_state_dict(path: str, name: str) -> dict:
    """Tensors of a weight file whose hash is not known beforehand, by name.

    Parameters
    ----------
    path : str
        A safetensors file, or a PyTorch checkpoint.
    name : str
        Name of the network, for messages.

    Raises
    ------
    ModelError
        When the file cannot be read, holds no dictionary, or anything that can run
        code.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.endswith(".safetensors"):
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        pickle.UnpicklingError,
        SafetensorError,
    ) as error:
        raise ModelError(
            f"{name}: the weight file {path} cannot be read: {error}"
        ) from error
    if not isinstance(state, dict):
        raise ModelError(f"{name}: the weight file {path} holds no state dict")
    return state


def check_sha256(file, path: str, sha256: str) -> None:
    """Check the content of an open weight file, and go back to its beginning.

    Parameters
    ----------
    file : binary file
    path : str
        Its path, for the message.
    sha256 : str
        The first hexadecimal digits (8 or more) of the SHA-256 that it must have.

    Raises
    ------
    ModelError
        When it has another.
    """
    if not sha256_of(file).startswith(sha256):
        raise ModelError(
            f"The weight file {path} is damaged (its SHA-256 is wrong). "
            "Remove it; it is then downloaded or installed again."
        )
    file.seek(0)


def sha256_of(file) -> str:
    """SHA-256 of the content of an open binary file, in hexadecimal."""
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def file_sha256(path: str) -> str:
    """SHA-256 of a file, in hexadecimal; cached while its size and time are the same.

    Raises
    ------
    OSError
        When the file cannot be read.
    """
    status = os.stat(path)
    return _file_sha256(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _file_sha256(path: str, _size: int, _changed: int) -> str:
    with open(path, "rb") as file:
        return sha256_of(file)
