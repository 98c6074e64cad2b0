"""The cache of vectors, for the images of one run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from orangecontrib.imageanalytics.engine.cache import VectorCache, is_settled
from orangecontrib.imageanalytics.images.sources import stamp


class KnownVectors:
    """Finds and keeps vectors of images, which are identified by their numbers.

    Parameters
    ----------
    cache : VectorCache or None
        If None, nothing is known and nothing is kept.
    space : callable
        Takes a precision and returns the key of the cache's space.
    sources : list of str
        The sources of all images.
    """

    def __init__(
        self,
        cache: VectorCache | None,
        space: Callable[[str], bytes],
        sources: list[str],
    ):
        self._cache = cache
        # A file with the network that is changed meanwhile does not matter, and
        # finding its key again for each image would take time.
        self._space = functools.cache(space)
        self._sources = sources
        # Size and time of change of files; no file with a vector has the size 0.
        self._stamps = np.zeros((len(sources), 2), np.int64)

    def of_files(
        self, numbers: Sequence[int], precision: str
    ) -> list[tuple[int, np.ndarray]]:
        """Vectors of files that have not changed, with their numbers."""
        if self._cache is None:
            return []
        files = []
        for number in numbers:
            found = stamp(self._sources[number])
            if found is not None:
                if is_settled(found[1]):
                    self._stamps[number] = found
                files.append((self._sources[number], *found))
        known = self._cache.find_files(files, self._space(precision))
        vectors = ((number, known.get(self._sources[number])) for number in numbers)
        return [(number, vector) for number, vector in vectors if vector is not None]

    def find(self, digest: bytes, precision: str) -> np.ndarray | None:
        """The vector of the image with this digest; from any thread."""
        if self._cache is None:
            return None
        return self._cache.find(digest, self._space(precision))

    def keep(self, digest: bytes, vector: np.ndarray, precision: str) -> None:
        """Add a vector that was computed."""
        if self._cache is not None:
            self._cache.add(digest, self._space(precision), vector)

    def keep_file(self, number: int, digest: bytes) -> None:
        """Add the digest that a file had when `of_files` looked at it."""
        size, changed = self._stamps[number].tolist()
        if size:
            self._cache.add_file(self._sources[number], size, changed, digest)

    def flush(self) -> None:
        """Write added entries."""
        if self._cache is not None:
            self._cache.flush()

    def flush_if_due(self) -> None:
        """Write added entries if there are many or they are old."""
        if self._cache is not None:
            self._cache.flush_if_due()
