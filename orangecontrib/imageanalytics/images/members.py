"""Members of tar files as sources: ``shard.tar#member=NAME&bytes=START-END``.

START is where the member's header begins, END is where its data ends, so one range of
the file contains both. The header must bear the name; otherwise the file was changed.
In a compressed file, these are places in what it contains.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import threading
import zlib
from typing import BinaryIO, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from orangecontrib.imageanalytics.errors import ImageError

_MEMBER = re.compile(
    r"(?P<shard>.+)#member=(?P<name>[^#&]+)&bytes=(?P<start>\d{1,18})-(?P<end>\d{1,18})",
    re.DOTALL,
)
# A header takes 512 bytes; one with a long name, a few kB.
MOST_HEADER_BYTES = 1 << 20
CHANGED = "the shard has changed since its images were listed"


class Member(NamedTuple):
    """
    A file in a tar file.

    Attributes
    ----------
    name : str
        With its folders; bytes that are not valid UTF-8 are surrogates.
    start, end : int
        Where its header begins and where its data ends.
    content : bytes or None
        The data, if it was asked for.
    """

    name: str
    start: int
    end: int
    content: bytes | None = None


def member_source(shard: str, member: Member) -> str:
    """The source of a member of the tar file with a path or address."""
    name = quote(member.name.encode("utf-8", "surrogateescape"))
    return f"{shard}#member={name}&bytes={member.start}-{member.end}"


def split_member(source: str) -> tuple[str, Member] | None:
    """
    The tar file and the member that a source stands for.

    Parameters
    ----------
    source : str
        Path or URL, without a page.

    Returns
    -------
    (str, Member) or None
        Path or address of the tar file; None if the source is not a member of one.
    """
    if "#member=" not in source or (found := _MEMBER.fullmatch(source)) is None:
        return None
    name = unquote_to_bytes(found["name"]).decode("utf-8", "surrogateescape")
    return found["shard"], Member(name, int(found["start"]), int(found["end"]))


def is_compressed(shard: str) -> bool:
    """Whether the name of a tar file says that it is compressed."""
    return shard.lower().endswith((".tar.gz", ".tgz"))


def check_size(member: Member, max_bytes: int) -> None:
    """
    Raises
    ------
    ImageError
        It is larger than some bytes, or the range is not one.
    """
    if member.end <= member.start:
        raise ImageError("not a valid range of bytes")
    if member.end - member.start > max_bytes + MOST_HEADER_BYTES:
        raise ImageError(f"larger than {max_bytes / 1e6:g} MB")


def member_data(member: Member, part: bytes) -> bytes:
    """
    The data of a member.

    Parameters
    ----------
    member : Member
    part : bytes
        What the tar file has from `start` to `end`.

    Raises
    ------
    ImageError
        Something else is in that place, or nothing.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(part), mode="r:", encoding="utf-8") as tar:
            header = tar.next()
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise ImageError(CHANGED) from error
    if header is None or header.name != member.name or not header.isreg():
        raise ImageError(CHANGED)
    size = member.end - member.start
    if header.offset_data + header.size != size:
        raise ImageError(CHANGED)
    if len(part) < size:
        raise ImageError("the shard is cut short")
    if not header.size:
        raise ImageError("file is empty")
    return part[header.offset_data :]


def read_member(
    file: BinaryIO, member: Member, max_bytes: int, compressed: bool = False
) -> bytes:
    """
    The data of a member of an open tar file.

    Parameters
    ----------
    file : binary file object
    member : Member
    max_bytes : int
        Larger members are refused.
    compressed : bool
        Whether the file is compressed. Everything before the member is then read.

    Raises
    ------
    ImageError
        It is too large, or as `member_data`.
    OSError
        The file cannot be read.
    """
    check_size(member, max_bytes)
    try:
        if compressed:
            file = gzip.GzipFile(fileobj=file, mode="rb")
        file.seek(member.start)
        part = file.read(member.end - member.start)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImageError("the compressed shard is damaged") from error
    return member_data(member, part)


# Shards with a copy on this computer: address, path and number of users.
_copies: dict[str, tuple[str, int]] = {}
_lock = threading.Lock()


def use_copy(shard: str, path: str | None = None) -> str | None:
    """
    Count one more user of the copy of a tar file.

    Parameters
    ----------
    shard : str
        Path or address of the tar file.
    path : str, optional
        Path of a new copy, in case there is none yet.

    Returns
    -------
    str or None
        Path of the copy to use; None if there is none.
    """
    with _lock:
        known = _copies.get(shard)
        if known is None and path is None:
            return None
        used, n_users = known or (path, 0)
        _copies[shard] = used, n_users + 1
    return used


def leave_copy(shard: str) -> bool:
    """Count one user less; tell whether it was the last, who removes the copy."""
    with _lock:
        path, n_users = _copies[shard]
        if n_users > 1:
            _copies[shard] = path, n_users - 1
            return False
        del _copies[shard]
    return True


def copy_of(shard: str) -> str | None:
    """Path of the copy of a tar file on this computer, while there is one."""
    entry = _copies.get(shard)
    return None if entry is None else entry[0]


def is_copied(source: str) -> bool:
    """Whether a source is a member of a tar file with a copy on this computer."""
    if not _copies:
        return False
    found = split_member(source.partition("#page=")[0])
    return found is not None and found[0] in _copies
