"""What a run over very many images works on: a listing, part by part.

Nothing is listed before it is needed, and no more than a part is in memory. The order
is always the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orangecontrib.imageanalytics.distributed import sources as kinds
from orangecontrib.imageanalytics.distributed.list_files import ListingError
from orangecontrib.imageanalytics.distributed.shard_rows import shard_rows
from orangecontrib.imageanalytics.distributed.sources import Entry
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.images.shards import is_shard
from orangecontrib.imageanalytics.import_images.folders import folder_problem

__all__ = ["Listing", "ListingError", "Part", "members_of"]

PART_SIZE = 10_000  # images in a file
#: Problems beyond so many are only counted.
MOST_PROBLEMS = 1000


@dataclass(frozen=True)
class Part:
    """
    Some images of a listing, which are embedded together.

    Attributes
    ----------
    number : int
        Its place in the listing, from 0.
    sources : tuple of str
        Full paths and addresses. For a shard there are none: whoever embeds it lists
        its images with `members_of`.
    categories : tuple of (str or None)
        One for each source; or none, if no source has a category.
    shard : str or None
        Path or address of a tar file.
    version : str
        Changes with the content of the shard; "" if it is not known.
    """

    number: int
    sources: tuple[str, ...]
    categories: tuple[str | None, ...] = ()
    shard: str | None = None
    version: str = ""

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of what is listed.

        It does not depend on the part's number. For a shard, it contains the version,
        which is size and time of change, or the ETag of a store.
        """
        listed = [self.sources, self.categories, self.shard, self.version]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


class Listing:
    """
    The images in a folder, a store, a list or a tar file.

    Parameters
    ----------
    source : str, os.PathLike or sequence of str
        One of these, on this computer, in a store that fsspec reads, or (if it is one
        file) on the web:

        - a folder. Images are taken as by Import Images; those in the folder itself
          have the category "." if there are subfolders, and in a store none. If there
          are no images, its tar files are taken.
        - a pattern with ``*``, ``?``, ``[...]`` or ``**``, for folders in any depth.
          All files that match are taken.
        - a pattern with ``{000..099}`` or ``{a,b}``: all that it stands for
        - a text file with a path or address in each line; empty lines and those that
          start with ``#`` do not count
        - a CSV (``.csv``, ``.tsv``, ``.tab``) or Parquet file (``.parquet``, ``.pq``)
          with a column of paths or addresses
        - a tar file (``.tar``, ``.tar.gz``, ``.tgz``), which is a part of its own
        - an image, or a sequence of any of the files above that hold images

        Relative paths in a file start from its folder.
    column : str, optional
        The column of a CSV or Parquet file that holds the images. By default it is the
        only one whose name says so.
    category : str, optional
        The column with the categories.
    part_size : int
        Number of images in a part.
    leave_out : str, optional
        Path or address of a folder whose files are left out, such as the output.

    Attributes
    ----------
    description : dict
        What identifies the listing; may be written as JSON.
    part_size : int
        As above; it may be changed between two passes.
    problems : list of str
        After a pass over `parts`: what could not be read, as sentences. Of very many,
        the last one gives the number of the others.

    Raises
    ------
    ListingError
        There is no such folder or file, it is not of a known kind, or it lacks a
        column. During a pass, also if it cannot be read, or if there are no images.
    ValueError
        The size of parts is not positive.
    """

    def __init__(
        self,
        source: str | os.PathLike | Sequence[str],
        column: str | None = None,
        category: str | None = None,
        part_size: int = PART_SIZE,
        leave_out: str = "",
    ):
        if part_size < 1:
            raise ValueError("A part has one image or more.")
        self.part_size = part_size
        self._left_out = _start_of_files(leave_out)
        self.problems: list[str] = []
        self._n_problems = 0
        with _Named(source):
            self._source = kinds.find(source, column, category)
        self.description: dict = self._source.description

    def parts(self) -> Iterator[Part]:
        """The parts, in the same order each time.

        Yields
        ------
        Part

        Raises
        ------
        ListingError
            As above.
        """
        self.problems, self._n_problems = [], 0
        number, waiting = 0, []
        with _Named(self._source.name):
            for entry in self._source.entries(self._tell):
                if self._left_out and entry.source.startswith(self._left_out):
                    continue
                if is_shard(entry.source):
                    if waiting:
                        yield _part(number, waiting)
                        number, waiting = number + 1, []
                    yield _shard_part(number, entry)
                    number += 1
                    continue
                waiting.append(entry)
                if len(waiting) == self.part_size:
                    yield _part(number, waiting)
                    number, waiting = number + 1, []
        if waiting:
            yield _part(number, waiting)
        elif not number:
            raise ListingError(self._source.nothing)

    def _tell(self, problem: str) -> None:
        self._n_problems += 1
        if self._n_problems <= MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            left = self._n_problems - MOST_PROBLEMS
            self.problems[MOST_PROBLEMS:] = [f"And {left:,} more like these."]


def _start_of_files(folder: str) -> str:
    """How the sources in a folder begin; "" without a folder."""
    if not folder or stores.is_store(folder):
        return folder and folder.rstrip("/") + "/"
    return os.path.join(os.path.abspath(folder), "")


def _part(number: int, entries: list[Entry]) -> Part:
    categories = tuple(entry.category for entry in entries)
    if not any(category is not None for category in categories):
        categories = ()
    return Part(number, tuple(entry.source for entry in entries), categories)


def _shard_part(number: int, entry: Entry) -> Part:
    version = entry.version or kinds.version_of(entry.source)
    return Part(number, (), (), entry.source, version)


class _Named:
    """Errors within name the source."""

    def __init__(self, source: object):
        self._name = source if isinstance(source, str | os.PathLike) else "The list"

    def __enter__(self):
        pass

    def __exit__(self, _kind, error, _traceback):
        if isinstance(error, ImageError):
            raise ListingError(f"{self._name}: {error}") from error
        if isinstance(error, OSError):
            where = error.filename is not None
            reason = folder_problem(error) if where else f"{self._name}: {error}"
            raise ListingError(reason) from error


def members_of(
    part: Part, rows: int = 1000
) -> Iterator[tuple[list[str], list[str | None]]]:
    """
    The images of a part, some at a time.

    For a shard, they are listed as it streams, from its local copy while
    `images.shards.local_copy` is open. Its files with the extension of an image are
    taken. The category is in the file of the same name with the extension ``.cls``, or
    in ``.json``, under "label", "class" or "category"; the files of one name are next
    to each other. Otherwise, it is the folder in the tar file. (``.txt`` is not used:
    it contains captions.)

    Parameters
    ----------
    part : Part
    rows : int
        How many images to return at a time.

    Yields
    ------
    (list of str, list of (str or None))
        Sources and categories.

    Raises
    ------
    ShardError
        The shard cannot be read, or not to its end; what comes before is returned
        first.
    """
    if part.shard is None:
        categories = part.categories or (None,) * len(part.sources)
        found = iter(zip(part.sources, categories, strict=True))
    else:
        found = shard_rows(part.shard)
    sources, labels = [], []
    try:
        for source, category in found:
            sources.append(source)
            labels.append(category)
            if len(sources) == rows:
                yield sources, labels
                sources, labels = [], []
    except ImageError:
        if sources:
            yield sources, labels
        raise
    if sources:
        yield sources, labels
