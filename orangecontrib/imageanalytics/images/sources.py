"""Image sources: what the cells of a column hold, and the bytes behind them.

A source is the path of a file, an http, https, ftp or data URL, or an address in a
store such as ``s3://`` (see `stores`). The addresses of local files (``file:``) become
paths as soon as they are resolved. ``#member=NAME&bytes=START-END`` at the end stands
for a file in a tar file (see `members`), and ``#page=3`` for a page, plane or channel.
"""

import base64
import binascii
import contextlib
import os
import posixpath
import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import unquote, unquote_to_bytes, urljoin, urlsplit

import numpy as np
from Orange.data import DiscreteVariable, Instance, StringVariable, Table, Variable

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.images.local_files import open_local, unreadable
from orangecontrib.imageanalytics.images.members import (
    copy_of,
    is_compressed,
    is_copied,
    read_member,
    split_member,
)

MAX_BYTES = 1_000_000_000

# What must follow the colon keeps files such as "data:1.png", which Unix allows,
# and drive letters from being taken for URLs.
_URL = re.compile(rf"(https?|ftp)://|{stores.PATTERN}", re.IGNORECASE)
_DATA = re.compile(r"data:[^,]*,", re.IGNORECASE)
_FILE = re.compile(r"file:/", re.IGNORECASE)
_PAGE = re.compile(r"(.+)#page=([1-9]\d{0,8})", re.DOTALL)


def is_url(source: str) -> bool:
    """Whether the source is an address on the web (http, https, ftp) or in a store."""
    return _URL.match(source) is not None


def is_remote(source: str) -> bool:
    """Whether the source has to be fetched over a network.

    This is the case for all addresses but those in a tar file of which there is a copy
    on this computer.
    """
    return is_url(source) and not is_copied(source)


def is_data(source: str) -> bool:
    """Whether the source holds the image itself (data)."""
    return _DATA.match(source) is not None


def is_file(source: str) -> bool:
    """Whether the source is the path of a file, or of a page of it."""
    return path_of(source) is not None and not is_member(source)


def is_member(source: str) -> bool:
    """Whether the source is a file in a tar file, or a page of it."""
    return split_member(split_page(source)[0]) is not None


def path_of(source: str) -> str | None:
    """
    The file on this computer that a source is in.

    Parameters
    ----------
    source : str
        Path or URL.

    Returns
    -------
    str or None
        Path of the file or tar file; None for URLs.
    """
    if is_url(source) or is_data(source):
        return None
    path, _ = split_page(source)
    member = split_member(path)
    return path if member is None else member[0]


def page_source(source: str, page: int) -> str:
    """The source of one page of an image, counted from 1."""
    return f"{source}#page={page}"


def split_page(source: str) -> tuple[str, int | None]:
    """
    Split a source into the file or address and the number of the page.

    Parameters
    ----------
    source : str
        Path or URL.

    Returns
    -------
    str
        The source without its page.
    int or None
        The page, from 1; None if none is named. A file may be called ``#page=1``.
    """
    match = _PAGE.fullmatch(source)
    if match is None or is_data(source):
        return source, None
    if not is_url(source) and os.path.lexists(source):
        return source, None
    return match[1], int(match[2])


def file_name(source: str) -> str:
    """
    The name of an image's file, without folders and page.

    Parameters
    ----------
    source : str
        Path or URL.

    Returns
    -------
    str
        The last part of the path or address, or of the name in a tar file; "" if the
        source holds no name.
    """
    if is_data(source):
        return ""
    address, _ = split_page(source)
    member = split_member(address)
    if member is not None:
        return posixpath.basename(member[1].name)
    if stores.is_store(address):
        return posixpath.basename(address.partition("://")[2].rstrip("/"))
    if is_url(address):
        with contextlib.suppress(ValueError):
            address = urlsplit(address).path
        address = unquote(address.rstrip("/"))
    return os.path.basename(address)


def resolve(value: str, origin: str = "") -> str:
    """
    The source that a cell refers to.

    Parameters
    ----------
    value : str
        An absolute or relative path, an http, https, ftp, data or file URL, or an
        address in a store.
    origin : str
        The folder or URL that relative values start from. A URL counts as a
        folder whether it ends in a slash or not.

    Returns
    -------
    str
        A path or a URL; file URLs become paths. Without an origin, relative paths
        stay relative to the working directory.
    """
    address = value.strip()
    if is_url(address) or _DATA.match(address):
        return address
    if _FILE.match(address):
        return _path_of_file_url(address)
    if stores.is_store(origin):
        return _in_store(address, origin)
    if is_url(origin):
        base = origin if origin.endswith("/") else origin + "/"
        try:
            return urljoin(base, value)
        except ValueError:
            return base + value
    if _FILE.match(origin):
        origin = _path_of_file_url(origin)
    return os.path.join(origin, value)


def _in_store(path: str, origin: str) -> str:
    # Names in stores are not encoded, so urljoin would not do.
    protocol, _, folder = origin.partition("://")
    root = folder.partition("/")[0]
    if path.startswith("/"):  # from the root of the bucket or host
        folder = root
    joined = posixpath.join("/", folder, path.lstrip("/"))
    if not {".", ".."}.isdisjoint(path.split("/")):
        joined = posixpath.normpath(joined)
    return f"{protocol}:/{joined}"


def _path_of_file_url(url: str, windows: bool = os.name == "nt") -> str:
    # Not urlsplit: a bare "#" or "?" in the address is part of the file's name.
    path = url[len("file:") :]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        local = host.lower() in ("", "localhost")
        path = slash + rest if local else path
    path = os.fsdecode(unquote_to_bytes(path))
    if windows:
        path = re.sub(r"^/([A-Za-z])[:|]", r"\1:", path)
    return path


def image_columns(data: Table) -> list[Variable]:
    """
    The meta columns that may hold image sources.

    Parameters
    ----------
    data : Table
        Any table.

    Returns
    -------
    list of Variable
        String and categorical metas: first those that are marked with
        ``attributes["type"] == "image"``, then the others, each in the domain's
        order.
    """
    candidates = [
        variable
        for variable in data.domain.metas
        if isinstance(variable, StringVariable | DiscreteVariable)
    ]
    return sorted(candidates, key=lambda var: var.attributes.get("type") != "image")


def image_column(data: Table, column: str | Variable | None = None) -> Variable:
    """
    The column of images that is meant.

    Parameters
    ----------
    data : Table
    column : str or Variable, optional
        By default the first of `image_columns`.

    Returns
    -------
    Variable
        The given one, or that of the table.

    Raises
    ------
    ValueError
        There is no such column.
    """
    if column is None:
        columns = image_columns(data)
        if not columns:
            raise ValueError("The table has no column that could name images.")
        return columns[0]
    if column not in data.domain:
        raise ValueError(f"There is no column {str(column)!r} in the data.")
    return column if isinstance(column, Variable) else data.domain[column]


def column_sources(data: Table, column: str | Variable) -> list[str | None]:
    """
    The image sources in a column, one for each row.

    Parameters
    ----------
    data : Table
        Table with the column.
    column : str or Variable
        A string or categorical variable from any part of the domain. Relative
        values start from its ``attributes["origin"]``, if it has one.

    Returns
    -------
    list of (str or None)
        Path or URL for each row; None where the value is missing.

    Raises
    ------
    ValueError
        The column is not in the table or is numeric.
    """
    variable = image_column(data, column)
    values = data.get_column(variable)
    if isinstance(variable, DiscreteVariable):
        # The extra place at the end is where the missing values, as -1, point.
        sources = [_source(value, variable) for value in variable.values] + [None]
        indices = np.where(np.isnan(values), -1, values).astype(int)
        return [sources[index] for index in indices.tolist()]
    if isinstance(variable, StringVariable):
        return [_source(value, variable) for value in values]
    raise ValueError(f"Column {variable.name!r} is numeric; it holds no images.")


def _source(value: object, variable: Variable) -> str | None:
    return source_of(value, str(variable.attributes.get("origin") or ""))


def source_of(value: object, origin: str = "") -> str | None:
    """The source that a value refers to, None for a missing one.

    Parameters
    ----------
    value : str, path-like, bytes or missing
        As for `resolve`; missing are None, nan and blank text.
    origin : str
        As for `resolve`.
    """
    # nan is the only value unlike itself.
    if value is None or value != value:
        return None
    text = os.fsdecode(value) if isinstance(value, bytes | os.PathLike) else str(value)
    return resolve(text, origin) if text.strip() else None


def read_local(source: str, max_bytes: int = MAX_BYTES) -> bytes:
    """
    The content of a file or of a data URL.

    Parameters
    ----------
    source : str
        Path or data URL; also a file in a tar file on this computer.
    max_bytes : int
        Larger content is refused, unread.

    Returns
    -------
    bytes
        The content; never empty.

    Raises
    ------
    ImageError
        It cannot be read, is empty or is too large.
    """
    if _DATA.match(source):
        content = _data_url_content(source)
    elif (found := split_member(source)) is not None:
        return _member_content(*found, max_bytes)
    else:
        with open_local(source) as file:
            try:
                content = file.read(max_bytes + 1)
            except OSError as error:
                raise unreadable(error, source) from error
            except MemoryError as error:
                raise ImageError("not enough memory to read the file") from error
    if not content:
        raise ImageError("file is empty")
    if len(content) > max_bytes:
        raise ImageError(f"larger than {max_bytes / 1e6:g} MB")
    return content


def _member_content(shard: str, member, max_bytes: int) -> bytes:
    path = copy_of(shard)
    compressed = path is None and is_compressed(shard)
    if path is None and is_url(shard):
        raise ImageError("the copy of the shard was removed", transient=True)
    with open_local(path or shard) as file:
        try:
            return read_member(file, member, max_bytes, compressed)
        except OSError as error:
            raise unreadable(error, shard) from error


@contextlib.contextmanager
def opened(
    source: str, content: bytes | None = None
) -> Iterator[tuple[bytes | BinaryIO, int | None]]:
    """
    What `decode` takes for a source.

    Parameters
    ----------
    source : str
        Path or data URL; or any URL, if its content is given.
    content : bytes, optional
        Content of the file, if it was read already.

    Yields
    ------
    bytes or binary file object
        The content; of a page the file, so that no more of a large one is read than
        that page takes.
    int or None
        The page.

    Raises
    ------
    ImageError
        As `read_local`.
    """
    address, page = split_page(source)
    if content is None and (page is None or split_member(address)):
        content = read_local(address)
    if content is not None:
        yield content, page
        return
    with open_local(address) as file:
        yield file, page


def stamp(source: str) -> tuple[int, int] | None:
    """Size in bytes and time of change, in ns, of a file; None for what is not one.

    For a file in a tar file, the size is its own, with its header.
    """
    path = path_of(source)
    found = None if path is None else file_stamp(path)
    member = split_member(split_page(source)[0])
    if found is None or member is None:
        return found
    return member[1].end - member[1].start, found[1]


def file_stamp(path: str) -> tuple[int, int] | None:
    """As `stamp`, for a path without a page; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def _data_url_content(url: str) -> bytes:
    head, _, body = url.partition(",")
    content = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return content
    content = b"".join(content.split())
    try:
        padding = b"=" * (-len(content) % 4)
        return base64.b64decode(content + padding, validate=True)
    except binascii.Error as error:
        raise ImageError("data URL is damaged") from error


def filter_image_attributes(data: Table) -> list[Variable]:
    """The older name of `image_columns`, kept for scripts."""
    return image_columns(data)


def extract_paths(data: Table, column: Variable) -> list[str | None]:
    """The older name of `column_sources`, kept for scripts."""
    return column_sources(data, column)


def extract_image_path(instance: Instance, attribute: Variable) -> str | None:
    """The image source in one row; kept for scripts, see `column_sources`."""
    return _source(instance[attribute].value, attribute)
