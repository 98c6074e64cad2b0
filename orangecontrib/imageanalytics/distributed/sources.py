"""The kinds of sources of a listing; `find` tells which one it is."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orangecontrib.imageanalytics.distributed.list_files import (
    ListingError,
    csv_rows,
    parquet_rows,
    text_rows,
)
from orangecontrib.imageanalytics.distributed.walking import (
    Tell,
    has_subfolders,
    walk,
)
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.i18n import pl
from orangecontrib.imageanalytics.images import formats, stores
from orangecontrib.imageanalytics.images.local_files import open_local
from orangecontrib.imageanalytics.images.shards import is_shard
from orangecontrib.imageanalytics.images.sources import (
    file_stamp,
    is_data,
    is_url,
    resolve,
    source_of,
)

CSV = {".csv": None, ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")
_OTHER_TARS = (".tar.bz2", ".tar.xz", ".tar.zst", ".tbz2", ".txz", ".zip", ".7z")
_MAGIC = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{([^{}]*(?:,|\.\.)[^{}]*)\}")
_PARQUET_ROWS = 10_000


class Entry(NamedTuple):
    """An image or a shard of a listing."""

    source: str
    category: str | None = None
    version: str = ""


class Source:
    """What is listed.

    Attributes
    ----------
    name : str
        For messages.
    description : dict
        As for `Listing`.
    nothing : str
        What to say if there are no images.
    """

    kind = ""

    def __init__(self, name: str):
        self.name = name
        self.description: dict = {"kind": self.kind, "source": name}

    @property
    def nothing(self) -> str:
        return f"There are no images in {self.name}."

    def entries(self, tell: Tell) -> Iterator[Entry]:
        """Images and shards, in the same order each time.

        Parameters
        ----------
        tell : callable
            Called with what could not be read, as a sentence.
        """
        raise NotImplementedError


class Folder(Source):
    """A folder with its subfolders."""

    kind = "folder"

    def entries(self, tell):
        is_local = not stores.is_store(self.name)
        outer = "." if is_local and has_subfolders(self.name) else None
        taken = False
        for found in walk(self.name, tell):
            if is_image(found.path, is_local):
                category = posixpath.dirname(found.inner) or outer
                yield Entry(found.path, category)
                taken = True
        if taken:
            return
        for found in walk(self.name, tell):
            if is_shard(found.path):
                yield Entry(found.path, None, found.version)


class Pattern(Source):
    """The files whose paths match a pattern."""

    kind = "pattern"

    def __init__(self, name: str):
        super().__init__(name)
        from fsspec.utils import glob_translate

        self._root, pattern = split_pattern(name)
        try:
            self._matches = re.compile(glob_translate(pattern)).match
        except ValueError as error:
            raise ListingError(
                f"{name}: ** stands for folders, so only / may be next to it"
            ) from error
        self._prefix = _MAGIC.split(pattern, maxsplit=1)[0]
        self._depth = None if "**" in pattern else pattern.count("/") + 1

    @property
    def nothing(self):
        return f"No files match {self.name}."

    def entries(self, tell):
        for found in walk(self._root, tell, self._prefix, self._depth):
            if self._matches(found.inner):
                category = posixpath.dirname(found.inner) or None
                yield Entry(found.path, category, found.version)


def split_pattern(name: str) -> tuple[str, str]:
    """
    The folder in which all matches of a pattern are, and the pattern within it.

    Parameters
    ----------
    name : str
        Absolute path or address, with ``*``, ``?`` or ``[``.

    Raises
    ------
    ListingError
        It does not name the bucket or host.
    """
    slashed = name if stores.is_store(name) else name.replace(os.sep, "/")
    start = _MAGIC.search(slashed).start()
    place = slashed.rindex("/", 0, start)
    root = slashed[:place]
    if root.endswith(":/"):  # s3://*/...
        raise ListingError(f"{name}: the bucket or host must be named")
    if re.fullmatch("([A-Za-z]:)?", root):
        root += "/"  # without it, "C:" is any folder on that drive
    return root, slashed[place + 1 :]


class Braces(Source):
    """What the braces in a name stand for, such as ``shard-{000..099}.tar``."""

    kind = "pattern"

    def entries(self, tell):
        for name in expand(self.name):
            yield Entry(name)


def expand(pattern: str) -> Iterator[str]:
    """
    The names that a pattern with ``{000..099}`` or ``{a,b}`` stands for.

    Parameters
    ----------
    pattern : str

    Yields
    ------
    str
    """
    found = _BRACES.search(pattern)
    if found is None:
        yield pattern
        return
    head, tail = pattern[: found.start()], pattern[found.end() :]
    for choice in _choices(found[1]):
        # The head has no braces left, so only the tail may vary.
        for rest in expand(tail):
            yield head + choice + rest


def _choices(inner: str) -> Iterator[str]:
    span = re.fullmatch(r"(\d+)\.\.(\d+)", inner)
    if span is None:
        yield from inner.split(",")
        return
    first, last = int(span[1]), int(span[2])
    padded = len(span[1]) if span[1].startswith("0") else 1
    step = 1 if last >= first else -1
    for number in range(first, last + step, step):
        yield f"{number:0{padded}}"


class One(Source):
    """A shard or an image."""

    kind = "file"

    def entries(self, tell):
        yield Entry(self.name)


class Given(Source):
    """A sequence from a script."""

    kind = "list"

    def __init__(self, sources: Sequence[str]):
        self._sources = [_checked(source) for source in sources]
        super().__init__("The list")
        digest = hashlib.sha256()
        for source in self._sources:
            digest.update(source.encode("utf-8", "surrogatepass") + b"\0")
        del self.description["source"]
        self.description |= {"n": len(self._sources), "sha256": digest.hexdigest()}

    @property
    def nothing(self):
        return "The list of images is empty."

    def entries(self, tell):
        yield from map(Entry, self._sources)


def _checked(source: object) -> str:
    if not isinstance(source, str | os.PathLike):
        raise ListingError(f"{source!r} in the list is no path or address.")
    found = source_of(source)
    if found is None:
        raise ListingError("One of the names in the list is empty.")
    return absolute(found)


class ListFile(Source):
    """A text, CSV or Parquet file with names of images."""

    kind = "text file"

    def __init__(
        self, name: str, column: str | None = None, category: str | None = None
    ):
        super().__init__(name)
        self._column, self._category = column, category
        if column is not None:
            self.description["column"] = column
        if category is not None:
            self.description["category"] = category

    def rows(self):
        """Names of images, as they are in the file, with categories."""
        return text_rows(self.name)

    def entries(self, tell):
        origin = folder_of(self.name)
        n_missing = 0
        for value, category in self.rows():
            source = source_of(value, origin)
            if source is None:
                n_missing += 1
                continue
            yield Entry(source, _label(category))
        if n_missing:
            tell(
                f"{self.name}: {n_missing:,} {pl(n_missing, 'row has|rows have')} "
                "no image."
            )


def _label(category: object) -> str | None:
    # nan is the only value unlike itself.
    if category is None or category != category:
        return None
    return str(category) or None


class CsvFile(ListFile):
    """A file with a column of images."""

    kind = "CSV"

    def rows(self):
        delimiter = CSV[_extension(self.name)]
        return csv_rows(self.name, delimiter, self._column, self._category)


class ParquetFile(ListFile):
    """A Parquet file with a column of images."""

    kind = "Parquet"

    def rows(self):
        return parquet_rows(self.name, self._column, self._category, _PARQUET_ROWS)


def find(
    source: str | os.PathLike | Sequence[str], column: str | None, category: str | None
) -> Source:
    """
    What a source is.

    Parameters
    ----------
    source, column, category
        As for `Listing`.

    Raises
    ------
    ListingError, ImageError
        It is nothing that can be listed, or it is missing.
    """
    if isinstance(source, str | os.PathLike):
        name = os.path.expanduser(resolve(os.fspath(source)))
        found = _find(absolute(name), column, category)
    else:
        found = Given(source)
    if not isinstance(found, CsvFile | ParquetFile) and (column or category):
        raise ListingError(f"{found.name}: only CSV and Parquet files have columns")
    return found


def _find(name: str, column, category) -> Source:
    if is_data(name):
        return One(name)
    is_local = not is_url(name)
    if not (is_local and os.path.lexists(name)):
        if _MAGIC.search(name) and (is_local or stores.is_store(name)):
            if _BRACES.search(name):
                raise ListingError(f"{name}: braces and * cannot be used together")
            return Pattern(name)
        if _BRACES.search(name):
            return Braces(name)
    if _is_folder(name, is_local):
        return Folder(name)
    return _of_file(name, is_local, column, category)


def _is_folder(name: str, is_local: bool) -> bool:
    if not is_local:
        return stores.is_store(name) and stores.status(name).is_folder
    if os.path.isdir(name):
        return True
    with open_local(name):  # says why it cannot be read
        return False


def _of_file(name: str, is_local: bool, column, category) -> Source:
    extension = _extension(name)
    if extension in CSV:
        return CsvFile(name, column, category)
    if extension in PARQUET:
        return ParquetFile(name, column, category)
    if _path(name).lower().endswith(_OTHER_TARS):
        endings = ".tar, .tar.gz and .tgz"
        raise ListingError(f"{name}: of archives, only {endings} can be read")
    if is_shard(name) or is_image(name, is_local):
        return One(name)
    return ListFile(name)


def _path(name: str) -> str:
    """The part of an address on the web that has an extension."""
    if is_url(name) and not stores.is_store(name):
        return name.partition("#")[0].partition("?")[0]
    return name


def _extension(name: str) -> str:
    return posixpath.splitext(_path(name))[1].lower()


def is_image(path: str, is_local: bool) -> bool:
    """
    Whether a file in a folder is an image that Import Images would take.

    Parameters
    ----------
    path : str
        Path or address.
    is_local : bool
        Whether a file without the extension of an image may be looked into.
    """
    if _extension(path) in formats.extensions():
        return True
    if not is_local or is_shard(path):
        return False
    try:
        with open_local(path) as file:
            head = file.read(formats.HEAD_BYTES)
    except (ImageError, OSError):
        return False
    return formats.recognizes(head)


def absolute(source: str) -> str:
    """The full path; addresses stay as they are."""
    return source if is_url(source) or is_data(source) else os.path.abspath(source)


def folder_of(name: str) -> str:
    """The folder or address that names in a file start from."""
    return _path(name).rpartition("/")[0] if is_url(name) else os.path.dirname(name)


def version_of(shard: str) -> str:
    """Size and version of a shard; "" if they are not known."""
    if stores.is_store(shard):
        try:
            found = stores.status(shard)
        except ImageError:  # whoever reads it will say why
            return ""
        return f"{found.size} {found.version}"
    if is_url(shard):
        return ""
    found = file_stamp(shard)
    return "" if found is None else f"{found[0]} {found[1]}"
