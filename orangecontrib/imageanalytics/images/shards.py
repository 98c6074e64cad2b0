"""Shards: tar files full of images, such as webdataset writes.

They are listed as they stream, and nothing is extracted. Members are sources of their
own; see `members`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.copies import copy, look, opened_file
from orangecontrib.imageanalytics.images.members import (
    Member,
    copy_of,
    is_compressed,
    leave_copy,
    member_source,
    use_copy,
)
from orangecontrib.imageanalytics.images.sources import is_url

__all__ = [
    "Member",
    "ShardError",
    "is_shard",
    "local_copy",
    "member_source",
    "members",
    "shard_members",
]

ENDINGS = (".tar", ".tar.gz", ".tgz")
#: Larger contents and headers are not read while a shard is listed.
MOST_CONTENT = 1 << 20
_PART_BYTES = 1 << 20
_PACKED_BYTES = 1 << 16
_DAMAGED = EOFError, zlib.error, gzip.BadGzipFile
_DAMAGED_ARCHIVE = "the compressed tar file is damaged or cut short"
# What tarfile also raises for headers with absurd numbers, or very many of them.
_ABSURD = ValueError, OverflowError, RecursionError


class ShardError(ImageError):
    """A shard cannot be read, or not to its end; the message names it."""


def is_shard(name: str) -> bool:
    """Whether a name is that of a tar file that can be read as a shard."""
    return name.lower().endswith(ENDINGS)


def shard_members(
    shard: str, wanted: Callable[[str], bool] = lambda name: False
) -> Iterator[Member]:
    """
    The files in a shard, in their order.

    Parameters
    ----------
    shard : str
        Path or address of a tar file. It is read where it is, or from its local copy
        while `local_copy` is open.
    wanted : callable
        As for `members`.

    Yields
    ------
    Member

    Raises
    ------
    ShardError
        The shard cannot be read. If it is damaged, this comes after the members before
        the damage.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(opened_file(copy_of(shard) or shard))
            if is_compressed(shard) and copy_of(shard) is None:
                file = stack.enter_context(gzip.GzipFile(fileobj=file, mode="rb"))
            yield from members(file, wanted)
    except ShardError:
        raise
    except ImageError as error:
        raise ShardError(f"{shard}: {error}", error.transient) from error


def members(
    file: BinaryIO, wanted: Callable[[str], bool] = lambda name: False
) -> Iterator[Member]:
    """
    The files in an open tar file, in their order; folders, links and sparse files are
    left out.

    Parameters
    ----------
    file : binary file object
        Uncompressed, at its start; it need not be seekable. Only headers are read of a
        seekable one.
    wanted : callable
        Takes a name; whether to read the content, if that is small.

    Yields
    ------
    Member

    Raises
    ------
    ImageError
        The file is not a tar file, or it is damaged or cut short. It comes after the
        members before the damage.
    """
    stream = _Stream(file)
    try:
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8") as tar:
            # In an empty file, older versions of Python would look before its start.
            while tar.offset and (header := tar.next()) is not None:
                tar.members.clear()  # or there would soon be millions of them
                if header.isreg() and not header.issparse():
                    yield _member(stream, header, wanted)
            _check_end(stream)
    except _DAMAGED as error:
        raise ImageError(_DAMAGED_ARCHIVE) from error
    except (tarfile.TarError, *_ABSURD) as error:
        raise ImageError(_tar_problem(stream, error)) from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
        raise ImageError(reason, transient=True) from error


def _member(stream: _Stream, header: tarfile.TarInfo, wanted) -> Member:
    end = header.offset_data + header.size
    content, complete = None, True
    if header.size <= MOST_CONTENT and wanted(header.name):
        stream.seek(header.offset_data)
        content = stream.read(header.size)
        complete = len(content) == header.size
    elif header.size:
        stream.seek(end - 1)
        complete = bool(stream.read(1))
    if not complete:
        raise tarfile.ReadError("unexpected end of data")
    return Member(header.name, header.offset, end, content)


def _check_end(stream: _Stream) -> None:
    # tarfile takes a damaged header for the end of the file.
    block = stream.last
    if block and (len(block) < tarfile.BLOCKSIZE or block.strip(b"\0")):
        raise tarfile.ReadError("damaged")


def _tar_problem(stream: _Stream, error: Exception) -> str:
    if stream.tell() <= tarfile.BLOCKSIZE:
        return "not a tar file" if stream.tell() else "file is empty"
    if len(stream.last) < tarfile.BLOCKSIZE or "end" in str(error):
        return "the tar file is cut short"
    return f"the tar file is damaged near byte {stream.tell()}"


class _Stream:
    """A file that only goes forward, with what was read last."""

    def __init__(self, file: BinaryIO):
        self._file, self._position, self.last = file, 0, b""
        # Seeking in a compressed file means reading, too.
        self._seekable = file.seekable() and not isinstance(file, gzip.GzipFile)
        if self._seekable:
            self._size = file.seek(0, io.SEEK_END)
            file.seek(0)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:  # a size below 0 would lead back, again and again
            raise tarfile.ReadError("damaged")
        if self._seekable:
            self._position = self._file.seek(min(position, self._size))
            return
        while (left := position - self._position) > 0:
            part = self._file.read(min(left, _PART_BYTES))
            if not part:
                return
            self._position += len(part)

    def read(self, size: int = -1) -> bytes:
        if size > MOST_CONTENT:  # tarfile reads headers of any size into memory
            raise tarfile.ReadError("damaged")
        parts = []
        while size > 0 and (part := self._file.read(size)):
            parts.append(part)
            size -= len(part)
        self.last = b"".join(parts)
        self._position += len(self.last)
        return self.last


# Copies ----------------------------------------------------------------------------


@contextlib.contextmanager
def local_copy(
    shard: str, folder: str | None = None, cancelled: threading.Event | None = None
) -> Iterator[str]:
    """
    Keep a copy of a shard on this computer, from which its members are read.

    A shard that is on this computer is read where it is, unless it is compressed: then
    the copy is not.

    Parameters
    ----------
    shard : str
        Path or address.
    folder : str, optional
        Where the copy is; by default in the system's folder for temporary files.
    cancelled : threading.Event, optional
        Stops the copying when set.

    Yields
    ------
    str
        Path of the uncompressed tar file.

    Raises
    ------
    ShardError
        The shard cannot be read, or there is no room for its copy.
    Cancelled
        When stopped.
    """
    if not is_url(shard) and not is_compressed(shard):
        yield shard
        return
    path = use_copy(shard) or _copied(shard, folder, cancelled)
    try:
        yield path
    finally:
        if leave_copy(shard):
            _remove(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):  # on Windows, while a thread still reads it
        os.remove(path)


def _copied(shard: str, folder: str | None, cancelled) -> str:
    try:
        number, path = tempfile.mkstemp(".tar", "shard-", folder)
        try:
            with open(number, "wb") as target:
                _copy(shard, target, folder, cancelled)
        except BaseException:
            _remove(path)
            raise
    except ImageError as error:
        raise ShardError(f"{shard}: {error}", error.transient) from error
    except OSError as error:
        reason = f"cannot be copied ({error.strerror or error})"
        raise ShardError(f"{shard}: {reason}", transient=True) from error
    used = use_copy(shard, path)
    if used != path:  # another thread was faster
        _remove(path)
    return used


def _copy(shard, target, folder, cancelled):
    if not is_compressed(shard):
        copy(shard, target, cancelled)
        return
    with contextlib.ExitStack() as stack:
        if is_url(shard):
            packed = stack.enter_context(tempfile.TemporaryFile(dir=folder))
            copy(shard, packed, cancelled)
            packed.seek(0)
        else:
            packed = stack.enter_context(opened_file(shard))
        plain = stack.enter_context(gzip.GzipFile(fileobj=packed, mode="rb"))
        try:
            while part := plain.read(_PACKED_BYTES):
                look(cancelled)
                target.write(part)
        except _DAMAGED as error:
            # What comes before it is kept; where the copy ends, the shard is cut short.
            if not target.tell():
                raise ImageError(_DAMAGED_ARCHIVE) from error
