"""A folder on a disk or in a store, for files that appear when they are complete.

On disks, files are renamed. Object stores receive each one as a whole.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import tempfile
import uuid
from collections.abc import Iterator

from orangecontrib.imageanalytics.distributed.job import JobError
from orangecontrib.imageanalytics.errors import first_line

# They show a file only when all of it has arrived.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "memory"}


class OutputFolder:
    """
    A folder to write to, which need not exist.

    Parameters
    ----------
    address : str or path-like
        Path, or a URL that fsspec knows.

    Raises
    ------
    JobError
        When its file system cannot be used.
    """

    def __init__(self, address: str | os.PathLike):
        import fsspec

        self.address = os.fspath(address)
        try:
            self._fs, self._root = fsspec.url_to_fs(
                self.address, use_listings_cache=False
            )
        except (ImportError, ValueError, OSError) as error:
            raise JobError(f"{self.address} cannot be used: {error}") from error
        protocols = self._fs.protocol
        protocols = {protocols} if isinstance(protocols, str) else set(protocols)
        self.is_local = bool(protocols & {"file", "local"})
        self._is_whole = bool(protocols & OBJECT_STORES)

    @property
    def full_address(self) -> str:
        """The address, for processes with another working directory."""
        return self._root if self.is_local else self.address

    def path(self, name: str) -> str:
        """The path of a file in the folder, in the file system's own terms."""
        return posixpath.join(self._root, name)

    def names(self) -> set[str]:
        """
        The files and folders that are there; none if there is no such folder.

        Raises
        ------
        JobError
            When it is a file.
        """
        try:
            entries = self._fs.ls(self._root, detail=True)
        except FileNotFoundError:
            return set()
        paths = {entry["name"].rstrip("/") for entry in entries}
        # Some stores list a folder as one of its own files, and a file as its own.
        if self._root in paths and self._fs.isfile(self._root):
            raise JobError(f"{self.address} is a file, not a folder")
        return {posixpath.basename(path) for path in paths - {self._root}}

    @contextlib.contextmanager
    def complete(self, name: str) -> Iterator[str]:
        """
        Write a file that only appears when it is complete.

        Parameters
        ----------
        name : str
            Its name in the folder; a file of this name is replaced.

        Yields
        ------
        str
            Path of a local file to write. It is dropped if an exception was raised.

        Raises
        ------
        OSError
            When it cannot be written. The message names it, and the reason.
        """
        path = self.path(name)
        try:
            with self._renamed(path) if self.is_local else self._sent(path) as partial:
                yield partial
        except OSError as error:
            message = f"{self.shown(name)} cannot be written: {reason_of(error)}"
            raise OSError(message) from error

    @contextlib.contextmanager
    def _renamed(self, path: str) -> Iterator[str]:
        folder, name = os.path.split(path)
        partial = os.path.join(folder, f".{name}.{uuid.uuid4().hex}.partial")
        try:
            yield partial
            with open(partial, "r+b") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(partial)
            raise

    @contextlib.contextmanager
    def _sent(self, path: str) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            partial = os.path.join(folder, "partial")
            yield partial
            self._upload(partial, path)

    def _upload(self, partial: str, path: str) -> None:
        if self._is_whole:
            self._fs.put_file(partial, path)
            return
        folder, name = posixpath.split(path)
        temporary = posixpath.join(folder, f".{name}.{uuid.uuid4().hex}.partial")
        self._fs.put_file(partial, temporary)
        self._fs.mv(temporary, path)

    @contextlib.contextmanager
    def opened(self, name: str):
        """Open a file of the folder for reading."""
        with self._fs.open(self.path(name), "rb") as file:
            yield file

    @contextlib.contextmanager
    def explained(self, what: str):
        """Turn the errors of a file system into one that names the folder."""
        try:
            yield
        except JobError:
            raise
        except Exception as error:  # each file system has its own
            raise JobError(f"{self.address} {what}: {reason_of(error)}") from error

    def shown(self, name: str) -> str:
        """The path or address of a file in the folder, for messages."""
        path = self.path(name)
        return path if self.is_local else self._fs.unstrip_protocol(path)


def reason_of(error: Exception) -> str:
    """Why a file system did not do what it should, in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error)
