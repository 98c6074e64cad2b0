"""The folder with the vectors: its parts, and the description of the job.

The folder may be on a disk or in any store that fsspec writes to. A part appears when
it is complete: on disks it is renamed, and object stores receive it as a whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import posixpath
import re
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from orangecontrib.imageanalytics.distributed.job import Job, JobError, differences
from orangecontrib.imageanalytics.distributed.listing import Part
from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.vector_files import KEY

JOB_FILE = "_job.json"
PIECES = "_pieces"
LISTS = "_lists"
# Key of a part's metadata. Its value is JSON: the digest of the part's list of images,
# and the result (see `part_files.PartResult`).
PART_KEY = b"orangecontrib.imageanalytics.part"
# They show a file only when all of it has arrived.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "memory"}

_PART = re.compile(r"part-(\d{5,})\.parquet")
_PARTIAL = re.compile(r"\.part-.*\.partial")
_FOOTERS_AT_ONCE = 16


class Output:
    """
    The folder of a job.

    Parameters
    ----------
    address : str or path-like
        Path of a folder, or a URL that fsspec knows. It need not exist.

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

    def path(self, name: str) -> str:
        """The path of a file in the folder, in the file system's own terms."""
        return posixpath.join(self._root, name)

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
        with self._explained("cannot be written to"):
            names = self._names()
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

    def part_size(self) -> int | None:
        """Number of images in a part of the job that is there; None if there is none.

        Raises
        ------
        JobError
            When the folder cannot be read.
        """
        with self._explained("cannot be read"):
            if JOB_FILE not in self._names():
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
                f"{self._shown(self.path(name))} cannot be read: {_reason(error)}. "
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

    def _names(self) -> set[str]:
        try:
            entries = self._fs.ls(self._root, detail=True)
        except FileNotFoundError:
            return set()
        paths = {entry["name"].rstrip("/") for entry in entries}
        # Some stores list a folder as one of its own files, and a file as its own.
        if self._root in paths and self._fs.isfile(self._root):
            raise JobError(f"{self.address} is a file, not a folder")
        return {posixpath.basename(path) for path in paths - {self._root}}

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
                f"{self._shown(self.path(JOB_FILE))} is damaged. Choose another "
                "folder, or use --force (force=True) to begin again."
            )
        return description

    # Removing -----------------------------------------------------------------------

    def _clear(self, names: set[str]) -> set[str]:
        """Remove the files of jobs; files of other programs are left alone."""
        for name in sorted(filter(_PART.fullmatch, names)):
            self._check_ours(name)
        ours = {name for name in names if _PART.fullmatch(name)} | {JOB_FILE}
        # The description goes last: without it, the parts could not be removed later.
        for name in sorted(ours & names, reverse=True):
            self._fs.rm_file(self.path(name))
        return names - ours

    def _check_ours(self, name: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self._fs.open(self.path(name), "rb") as file:
            try:
                metadata = pq.read_schema(file).metadata or {}
            except pa.ArrowInvalid:  # damaged
                metadata = {}
        if KEY not in metadata:
            raise JobError(
                f"{self._shown(self.path(name))} has no vectors of this program, so it "
                "is not removed. Choose another folder."
            )

    def remove_unfinished(self) -> None:
        """Remove what killed workers have left, as far as that is possible."""
        # If it is not, the next run does it.
        with contextlib.suppress(Exception):
            self._remove_unfinished(self._names())

    def _remove_unfinished(self, names: set[str]) -> None:
        for name in filter(_PARTIAL.fullmatch, names):
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self.path(name))
        for folder in {PIECES, LISTS} & names:
            self._fs.rm(self.path(folder), recursive=True)

    # Writing ------------------------------------------------------------------------

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
            message = f"{self._shown(path)} cannot be written: {_reason(error)}"
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
        with self._explained("cannot be written to"):
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
        before = self._fs.glob(self.path(f"{name}.attempt-*"))
        self._fs.touch(self.path(f"{name}.attempt-{len(before)}"))
        return len(before)

    @contextlib.contextmanager
    def _explained(self, what: str):
        """Turn the errors of a file system into one that names the folder."""
        try:
            yield
        except JobError:
            raise
        except Exception as error:  # each file system has its own
            raise JobError(f"{self.address} {what}: {_reason(error)}") from error

    def _shown(self, path: str) -> str:
        return path if self.is_local else self._fs.unstrip_protocol(path)


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


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error)
