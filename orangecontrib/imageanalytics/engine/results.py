"""The results of a run, and how they are gathered image by image."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from orangecontrib.imageanalytics.engine.unit_length import normalise

# What is known about an image.
_WAITING, _COMPUTED, _CACHED, _FAILED = range(4)


@dataclass
class Statistics:
    """Statistics of a run; images are counted by rows, seconds are wall time."""

    n_images: int = 0
    n_embedded: int = 0
    n_failed: int = 0
    n_cached: int = 0
    seconds: float = 0.0
    device: str = ""


@dataclass
class Embedded:
    """The result of a run.

    Attributes
    ----------
    vectors : numpy.ndarray
        float32, shape (n different sources, n_features).
    rows : numpy.ndarray
        int, shape (n sources,): the row of `vectors`, -1 where there is none.
    failures : dict of str to str
        For each source without a vector, the reason.
    statistics : Statistics
    transient : set of str
        Those of `failures` that another attempt might not have.
    sizes : numpy.ndarray or None
        int32, shape (n sources, 2): width and height in pixels, 0 where they are not
        known. None if they were not requested.
    """

    vectors: np.ndarray
    rows: np.ndarray
    failures: dict[str, str]
    statistics: Statistics
    transient: set[str] = field(default_factory=set)
    sizes: np.ndarray | None = None

    def per_source(self) -> list[np.ndarray | None]:
        """The vector of each source, shape (n_features,), or None."""
        return [self.vectors[row] if row >= 0 else None for row in self.rows]

    def feature(self, index: int) -> np.ndarray:
        """One number per source, nan where there is no vector; shape (n sources,)."""
        values = np.full(len(self.rows), np.nan)
        embedded = self.rows >= 0
        if embedded.any():
            values[embedded] = self.vectors[self.rows[embedded], index]
        return values

    @functools.cached_property
    def of_unit_length(self) -> tuple[np.ndarray, np.ndarray]:
        """The vectors scaled to unit length, and the rows in them.

        float32, shape (n vectors, n_features), without those of failures; and int,
        shape (n sources,), -1 where there is none. Zero vectors stay zero.
        """
        used = np.unique(self.rows[self.rows >= 0])
        vectors = self.vectors[used]
        normalise(vectors)
        rows = np.where(self.rows < 0, -1, np.searchsorted(used, self.rows))
        return vectors, rows


class Collector:
    """Gathers the result for each image.

    There may be millions of images. Different sources are numbered in the order in
    which they first appear, and lists and arrays hold the data of images by these
    numbers. Only failures are in a dictionary, since there are few.

    Parameters
    ----------
    sources : list of (str or None)
        None where missing.
    failures : dict of str to str
        Will be filled with sources and reasons.
    with_sizes : bool
        Whether to gather the sizes of images.

    Attributes
    ----------
    sources : list of str
        The different ones.
    """

    def __init__(
        self,
        sources: list[str | None],
        failures: dict[str, str],
        with_sizes: bool = False,
    ):
        numbers: dict[str | None, int] = {None: -1}
        self._rows = np.fromiter(
            (numbers.setdefault(source, len(numbers) - 1) for source in sources),
            dtype=int,
            count=len(sources),
        )
        del numbers[None]
        self.sources: list[str] = list(numbers)
        self._failures = failures
        self._transient: set[str] = set()
        self._states = np.zeros(len(self), np.uint8)
        self._vectors = np.empty((len(self), 0), np.float32)
        # The last place is where the missing sources, as -1, point.
        self._sizes = np.zeros((len(self) + 1, 2), np.int32) if with_sizes else None
        self._n_done = 0

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def fraction(self) -> float:
        """The fraction that is done."""
        return self._n_done / len(self) if len(self) else 1.0

    def waiting(self) -> np.ndarray:
        """Numbers of the images without a result so far."""
        return np.flatnonzero(self._states == _WAITING)

    def is_waiting(self, number: int) -> bool:
        """Whether an image has no result so far."""
        return self._states[number] == _WAITING

    def take(self, number: int, vector: np.ndarray, cached: bool) -> None:
        """Set the vector of an image."""
        if not self._vectors.shape[1]:  # the first tells how long they are
            self._vectors = np.empty((len(self), len(vector)), np.float32)
        self._vectors[number] = vector
        self._settle(number, _CACHED if cached else _COMPUTED)

    def fail(self, number: int, reason: str, transient: bool = False) -> None:
        """Set the reason why an image has no vector, and whether it may pass."""
        source = self.sources[number]
        self._failures[source] = reason
        if transient:
            self._transient.add(source)
        self._settle(number, _FAILED)

    def measure(self, number: int, size: tuple[int, int]) -> None:
        """Set the width and height of an image, in pixels."""
        self._sizes[number] = size

    def share(self, number: int, other: int) -> bool:
        """Give an image the result of an equal one.

        Returns
        -------
        bool
            Whether it has a vector.
        """
        state = self._states[other]
        if self._sizes is not None:
            self._sizes[number] = self._sizes[other]
        if state == _FAILED:
            first = self.sources[other]
            self.fail(number, self._failures[first], first in self._transient)
        else:
            self.take(number, self._vectors[other], cached=state == _CACHED)
        return state != _FAILED

    def _settle(self, number, state):
        self._states[number] = state
        self._n_done += 1

    def embedded(self, seconds: float, device: str) -> Embedded:
        """The result, when all is done; nothing can be added then.

        Parameters
        ----------
        seconds, device
            As for `Statistics`.
        """
        rows = self._rows
        sizes = None if self._sizes is None else self._sizes[rows]
        # The place at the end is where the missing sources, as -1, point.
        states = np.append(self._states, _FAILED)[rows]
        rows[states == _FAILED] = -1
        statistics = Statistics(
            n_images=len(rows),
            n_embedded=int((states != _FAILED).sum()),
            n_failed=int((states == _FAILED).sum()),
            n_cached=int((states == _CACHED).sum()),
            seconds=seconds,
            device=device,
        )
        return Embedded(
            self._vectors, rows, self._failures, statistics, self._transient, sizes
        )
