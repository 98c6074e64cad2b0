"""The folder with the vectors: its parts, and the description of the job.

The folder may be on a disk or in any store that fsspec writes to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import posixpath
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from orangecontrib.imageanalytics.distributed.job import Job, JobError, differences
from orangecontrib.imageanalytics.distributed.listing import Part
from orangecontrib.imageanalytics.distributed.output_folder import (
    OutputFolder,
    reason_of,
)
from orangecontrib.imageanalytics.vector_files import KEY

JOB_FILE = "_job.json"
PIECES = "_pieces"
LISTS = "_lists"
# Key of a part's metadata. Its value is JSON: the digest of the part's list of images,
# and the result (see `part_files.PartResult`).
PART_KEY = b"orangecontrib.imageanalytics.part"

_PART = re.compile(r"part-(\d{5,})\.parquet")
_PARTIAL = re.compile(r"\.part-.*\.partial")
_FOOTERS_AT_ONCE = 16


class Output(OutputFolder):
    """The folder of a job; parameters as for `OutputFolder`."""

    # What is there ------------------------------------------------------------------

    def begin(self, job: Job, force: bool = False) -> set[int]:
        """
        Make the folder ready for a job, or for the rest of it.

        Parameters
        ----------
        job : Job
        force : bool
            Whether to remove the vectors of another job, or of an earlier run.

        Returns
        -------
        set of int
            Numbers of the parts that are there already.

        Raises
        ------
        JobError
            When another job wrote there, or the folder cannot be used.
        """
        with self.explained("cannot be written to"):
            names = self.names()
            if force:
                names = self._clear(names)
            self._check(job, names)
            self._remove_unfinished(names)
            self._fs.makedirs(self._root, exist_ok=True)
            if JOB_FILE not in names:
                text = json.dumps(job.describe(), indent=1)
                with self.complete(JOB_FILE) as path, open(path, "w") as file:
                    file.write(text)
        return set(_numbers(names))

    def finished(self, job: Job) -> set[int]:
        """
        Numbers of the parts of a job that are there; nothing is changed.

        Raises
        ------
        JobError
            When another job wrote there, or the folder cannot be used.
        """
        with self.explained("cannot be read"):
            names = self.names()
            self._check(job, names)
        return set(_numbers(names))

    def part_size(self) -> int | None:
        """Number of images in a part of the job that is there; None if there is none.

        Raises
        ------
        JobError
            When the folder cannot be read.
        """
        with self.explained("cannot be read"):
            if JOB_FILE not in self.names():
                return None
            size = self._description().get("part_size")
        return size if isinstance(size, int) and size > 0 else None

    def digests(self, numbers: set[int]) -> dict[int, str]:
        """
        What finished parts say about their images.

        Parameters
        ----------
        numbers : set of int

        Returns
        -------
        dict of int to str
            The digest of each part's list of images; see `listing.Part`.

        Raises
        ------
        JobError
            When a file cannot be read.
        """
        with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
            return dict(zip(numbers, pool.map(self._digest, numbers), strict=True))

    def _digest(self, number: int) -> str:
        name = part_name(number)
        try:
            about = self.about(name)
        except Exception as error:  # each file system has its own
            raise JobError(
                f"{self.shown(name)} cannot be read: {reason_of(error)}. "
                "Delete it to compute it again."
            ) from error
        return about.get("digest", "")

    def about(self, name: str) -> dict:
        """
        What the file of a part or of a piece tells about itself.

        Returns
        -------
        dict
            With the digest of its list of images, and the result; empty if it was
            written by another program.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        """
        import pyarrow.parquet as pq

        with self.opened(name) as file:
            metadata = pq.read_metadata(file).metadata or {}
        about = json.loads(metadata.get(PART_KEY, b"{}"))
        return about if isinstance(about, dict) else {}

    def first_difference(self, part: Part) -> str:
        """
        How the list of images of a finished part differs from its list now.

        Parameters
        ----------
        part : Part
            As it is listed now.

        Returns
        -------
        str
            Words for a message.
        """
        import pyarrow.parquet as pq

        if part.shard is not None:
            return f"{part.shard} has changed, or was another file"
        with self.opened(part_name(part.number)) as file:
            old = pq.read_table(file, columns=["path"]).column("path").to_pylist()
        if len(old) != len(part.sources):
            return f"there were {len(old)} images, now there are {len(part.sources)}"
        for before, now in zip(old, part.sources, strict=True):
            if before != now:
                return f"there was {before}, now there is {now}"
        return "the classes have changed"

    def _check(self, job: Job, names: set[str]) -> None:
        """Refuse a folder with the parts of another job, or of another program."""
        if JOB_FILE not in names:
            if others := sorted(filter(_PART.fullmatch, names)):
                raise JobError(
                    f"{self.address} has files such as {others[0]}, but no {JOB_FILE} "
                    "that tells what they are. Choose another folder."
                )
            return
        if differs := differences(self._description(), job.describe()):
            raise JobError(
                f"{self.address} has the vectors of another job "
                f"({'; '.join(differs)}). Choose another folder, or use --force "
                "(force=True) to remove them and begin again."
            )

    def _description(self) -> dict:
        try:
            description = json.loads(self._fs.cat_file(self.path(JOB_FILE)))
        except ValueError as error:
            description = error
        if not isinstance(description, dict):
            raise JobError(
                f"{self.shown(JOB_FILE)} is damaged. Choose another "
                "folder, or use --force (force=True) to begin again."
            )
        return description

    # Removing -----------------------------------------------------------------------

    def _clear(self, names: set[str]) -> set[str]:
        """Remove the files of jobs; files of other programs are left alone."""
        parts = sorted(filter(_PART.fullmatch, names))
        with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
            list(pool.map(self._check_ours, parts))
        ours = {*parts, JOB_FILE}
        # The description goes last: without it, the parts could not be removed later.
        for name in sorted(ours & names, reverse=True):
            self._fs.rm_file(self.path(name))
        return names - ours

    def _check_ours(self, name: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self.opened(name) as file:
            try:
                metadata = pq.read_schema(file).metadata or {}
            except pa.ArrowInvalid:  # damaged
                metadata = {}
        if KEY not in metadata:
            raise JobError(
                f"{self.shown(name)} has no vectors of this program, so it "
                "is not removed. Choose another folder."
            )

    def remove_unfinished(self) -> None:
        """Remove what killed workers have left, as far as that is possible."""
        # If it is not, the next run does it.
        with contextlib.suppress(Exception):
            self._remove_unfinished(self.names())

    def _remove_unfinished(self, names: set[str]) -> None:
        for name in filter(_PARTIAL.fullmatch, names):
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self.path(name))
        for folder in {PIECES, LISTS} & names:
            self._fs.rm(self.path(folder), recursive=True)

    # Writing ------------------------------------------------------------------------

    def make_pieces_folder(self) -> None:
        """Make the folder for the pieces of parts."""
        self._fs.makedirs(self.path(PIECES), exist_ok=True)

    def write_list(self, part: Part) -> None:
        """
        Write the images of a part into a file, from which `with_images` reads them.

        Tasks do not contain them, since Dask keeps the last 1000 messages that it sent
        to each worker.

        Raises
        ------
        JobError
            When it cannot be written.
        """
        if part.shard is not None:
            return
        with self.explained("cannot be written to"):
            self._fs.makedirs(self.path(LISTS), exist_ok=True)
            with self.complete(list_name(part.number)) as path, open(path, "w") as file:
                json.dump([part.sources, part.categories], file)

    def with_images(self, part: Part) -> Part:
        """A part of which only the number is known, with its images."""
        if part.shard is not None:
            return part
        with self.opened(list_name(part.number)) as file:
            sources, categories = map(tuple, json.load(file))
        return dataclasses.replace(part, sources=sources, categories=categories)

    def remove_list(self, part: Part) -> None:
        """Remove the list of a part that is finished, as far as that is possible."""
        if part.shard is None:
            with contextlib.suppress(Exception):  # the end of the run does it
                self._fs.rm_file(self.path(list_name(part.number)))

    def note_attempt(self, name: str) -> int:
        """
        Note that a piece is about to be embedded, in a file that outlives the process.

        Returns
        -------
        int
            How many attempts had been noted before.
        """
        folder, _, piece = f"{name}.attempt-".rpartition("/")
        # Not by a pattern: the path of the folder may have brackets.
        paths = self._fs.ls(self.path(folder), detail=False)
        n_before = sum(posixpath.basename(path).startswith(piece) for path in paths)
        self._fs.touch(self.path(f"{name}.attempt-{n_before}"))
        return n_before


def part_name(number: int) -> str:
    """The name of a part's file."""
    return f"part-{number:05}.parquet"


def list_name(number: int) -> str:
    """The name of the file with the images of a part."""
    return f"{LISTS}/part-{number:05}.json"


def piece_name(number: int, start: int) -> str:
    """The name of the file of a piece of a part, from a row on."""
    return f"{PIECES}/part-{number:05}.{start}.parquet"


def _numbers(names: set[str]) -> Iterator[int]:
    for name in names:
        if match := _PART.fullmatch(name):
            yield int(match[1])
