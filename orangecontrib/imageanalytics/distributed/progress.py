"""How far a run is, and what it has done at the end."""

from __future__ import annotations

import copy
import threading
import time
from dataclasses import dataclass, field

from orangecontrib.imageanalytics.distributed.listing import Listing
from orangecontrib.imageanalytics.distributed.part_files import PartResult
from orangecontrib.imageanalytics.errors import ImageAnalyticsError


@dataclass
class Progress:
    """
    How far a run is.

    Attributes
    ----------
    parts, images : int
        Done in this run. The images are also those of parts under way.
    failed : int
        Images without a vector, in the finished parts.
    parts_before : int
        Parts that earlier runs have finished.
    total_parts, total_images : int or None
        Of the whole job; None while they are being counted. The images in shards
        are not counted.
    seconds : float
        Since the first part was handed out.
    workers : int
        Worker processes that are there now.
    """

    parts: int = 0
    images: int = 0
    failed: int = 0
    parts_before: int = 0
    total_parts: int | None = None
    total_images: int | None = None
    seconds: float = 0.0
    workers: int = 0

    @property
    def images_per_second(self) -> float:
        """Images done in a second, on average."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def fraction(self) -> float | None:
        """The fraction of the whole job that is done; None if it is unknown."""
        if not self.total_parts:
            return None
        done = self.parts + self.parts_before
        return min(1.0, done / self.total_parts)

    @property
    def seconds_left(self) -> float | None:
        """An estimate from the parts or images so far; None if there is none."""
        if not self.total_parts or not self.images or not self.seconds:
            return None
        if self.total_images is None:
            left = self.total_parts - self.parts - self.parts_before
            return self.seconds / self.parts * left if self.parts else None
        before = self.total_images * self.parts_before / self.total_parts
        return max(0.0, self.total_images - before - self.images) / (
            self.images_per_second
        )


@dataclass
class Summary:
    """
    What a run has done.

    Attributes
    ----------
    output : str
        The folder of the vectors.
    parts, images, failed : int
        Parts that were written, their images, and those of them without a vector.
    parts_before : int
        Parts that were there already, from earlier runs.
    reasons : dict of str to int
        How many images have no vector for which reason, the most frequent first.
    examples : list of (str, str)
        A few images without vectors, with the reasons.
    problems : list of str
        What could not be listed, such as folders without permission, as sentences.
    seconds : float
    """

    output: str
    parts: int
    images: int
    failed: int
    parts_before: int
    reasons: dict[str, int]
    examples: list[tuple[str, str]]
    problems: list[str]
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Images done in a second, on average."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass
class Tally:
    """
    Counts what is done, from the results of parts and from reports about others.

    Parameters
    ----------
    parts_before : int
    """

    parts_before: int = 0
    result: PartResult = field(default_factory=PartResult)
    n_parts: int = 0
    n_workers: int = 0

    def __post_init__(self):
        self._start = time.monotonic()
        self._under_way: dict[str, int] = {}
        self._total: tuple[int, int | None] | None = None

    def hear(self, event) -> None:
        """Take the report of a worker; called in another thread."""
        message = event[1]
        if message["key"] in self._under_way:
            self._under_way[message["key"]] = message["n_images"]

    def begin(self, key: str) -> None:
        """Count a task as under way."""
        self._under_way[key] = 0

    def end(self, key: str) -> None:
        """Count a task as under way no longer."""
        self._under_way.pop(key, None)

    def add_part(self, result: PartResult) -> None:
        """Count a finished part."""
        self.n_parts += 1
        self.result.add(result)

    def count(self, listing: Listing, stop: threading.Event) -> None:
        """Count the whole job, in another thread, since listing may take long."""
        # A listing notes its problems, and the run goes through it at the same time.
        arguments = copy.copy(listing), stop
        threading.Thread(target=self._count, args=arguments, daemon=True).start()

    def _count(self, listing, stop):
        n_parts = n_images = 0
        has_shards = False
        try:
            for part in listing.parts():
                if stop.is_set():
                    return
                n_parts += 1
                n_images += len(part.sources)
                has_shards = has_shards or part.shard is not None
        except (ImageAnalyticsError, OSError):  # which the run itself will meet
            return
        self._total = n_parts, None if has_shards else n_images

    def progress(self) -> Progress:
        """How far the run is."""
        total_parts, total_images = self._total or (None, None)
        return Progress(
            parts=self.n_parts,
            images=self.result.n_images + sum(list(self._under_way.values())),
            failed=self.result.n_failed,
            parts_before=self.parts_before,
            total_parts=total_parts,
            total_images=total_images,
            seconds=self.seconds,
            workers=self.n_workers,
        )

    @property
    def seconds(self) -> float:
        """Since this was made."""
        return time.monotonic() - self._start
