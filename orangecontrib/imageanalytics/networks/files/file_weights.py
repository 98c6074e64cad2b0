"""The place of a network's file, and the fingerprint of its content."""

from __future__ import annotations

import functools
import hashlib
import ntpath
import os
from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.kinds import (
    check_ordinary,
    find_kind,
    find_parts,
)
from orangecontrib.imageanalytics.networks.weights import (
    checkpoints_folder,
    file_sha256,
)


@dataclass(frozen=True)
class FileWeights:
    """The file or folder of a network, which is never downloaded.

    Attributes
    ----------
    file : str
        Its absolute path, possibly on another computer.
    architecture : str
        The network that the weights are for, if the file does not say so. The same
        weights may also fit another network.
    """

    file: str
    architecture: str = ""

    megabytes = 0
    licence = ""
    source = ""

    @property
    def path(self) -> str:
        """The given path, or that of a file of the same name in torch's folder."""
        if not os.path.exists(self.file) and os.path.exists(self._fallback):
            return self._fallback
        return self.file

    @property
    def _fallback(self) -> str:
        # ntpath splits at both kinds of slashes.
        return os.path.join(checkpoints_folder(), ntpath.basename(self.file))

    @property
    def origin(self) -> str:
        """The origin of the file, in words."""
        return f"file {self.path}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content when this was first called, and the architecture.

        Raises
        ------
        ModelError
            When the file cannot be read.
        """
        return f"sha256:{self.sha256} {self.architecture}".rstrip()

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the content when this was first called; see `fingerprint`."""
        return self._sha256_now()

    def check_unchanged(self) -> None:
        """
        Raises
        ------
        ModelError
            When the content has changed since `sha256` was computed.
        """
        expected = self.sha256
        try:
            is_same = self._sha256_now() == expected
        except ModelError:  # it is not even a network any more
            is_same = False
        if not is_same:
            raise ModelError(f"{self.path} has changed since it was chosen.")

    def _sha256_now(self) -> str:
        path = self.ensure(ntpath.basename(self.file))
        try:
            return _content_hash(path)
        except OSError as error:
            raise ModelError(
                f"{error.filename} cannot be read: {error.strerror}"
            ) from error

    def available(self) -> bool:
        """Whether the file is on this computer."""
        return os.path.exists(self.path)

    def ensure(self, name: str, callback=None) -> str:
        """Path of the file; there is never anything to download.

        Raises
        ------
        ModelError
            When it is missing, empty, neither a file nor a folder, or cannot be
            opened.
        """
        path = self.path
        if not os.path.exists(path):
            raise ModelError(
                f"The file of the network {name} is neither at {self.file} "
                f"nor at {self._fallback}."
            )
        check_ordinary(path)
        if os.path.isdir(path):
            return path
        try:
            with open(path, "rb") as file:
                if not file.read(1):
                    raise ModelError(f"{path} is empty.")
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
        return path


def _content_hash(path: str) -> str:
    """SHA-256 of a file and all others that belong to the network."""
    kind = find_kind(path)
    try:
        parts = find_parts(path, kind)
    except ModelError as error:
        raise ModelError(f"{path} {error}.") from error
    hashes = [file_sha256(part) for part in parts]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
