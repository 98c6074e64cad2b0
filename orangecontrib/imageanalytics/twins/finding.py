"""Which rows of a table are twins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.images.intensity import column_intensity
from orangecontrib.imageanalytics.images.sources import column_sources, image_columns
from orangecontrib.imageanalytics.twins.fingerprints import (
    HASH_BITS,
    Fingerprint,
    Fingerprints,
    Known,
    read_fingerprints,
)
from orangecontrib.imageanalytics.twins.groups import Groups, first_of_each, largest
from orangecontrib.imageanalytics.twins.neighbours import join_bits, join_vectors
from orangecontrib.imageanalytics.twins.vectors import (
    NoVectorsError,
    Vectors,
    embedded_columns,
)

#: What is compared: hashes and, if there are any, vectors; one of them; or files.
METHODS = ("both", "hash", "vectors", "content")
#: Distances of twins at threshold 1, as measured with ``benchmarks/twins.py``: the
#: share of bits that differ, and the cosine distance relative to its median.
HASH_DISTANCE, VECTOR_DISTANCE = 0.15, 0.1
MOST_THRESHOLD = 2.5

Progress = Callable[[float], None]
_READING = 0.9  # share of the time that goes into reading all images
_COMPARING = 0.5  # and into comparing vectors, if twins are read afterwards


@dataclass
class Twins:
    """
    Groups of twins.

    Attributes
    ----------
    groups : numpy.ndarray of int, shape (n_rows,)
        The group of each row, from 1 in the order of the table; 0 if it has no twin.
    largest : numpy.ndarray of int, shape (n_rows,)
        For each row, which row of its group is the largest image: that with the most
        pixels, of several the largest file, of these the first. The row itself if it
        has no twin.
    distances : numpy.ndarray of float, shape (n_rows,)
        Distance of each image to the largest of its group, as a threshold at which the
        two alone would be twins; 0 for rows without twins.
    sizes : numpy.ndarray of int, shape (n_rows, 2)
        Width and height in pixels of each twin; 0 where they are not known.
    threshold : float
        With which they were found.
    failures : dict of str to str
        Source of each image that cannot be read, and the reason.
    """

    groups: np.ndarray
    largest: np.ndarray
    distances: np.ndarray
    sizes: np.ndarray
    threshold: float
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def n_groups(self) -> int:
        """The number of groups."""
        return int(self.groups.max(initial=0))

    @property
    def kept(self) -> np.ndarray:
        """Which rows have no twin that is larger, bool, shape (n_rows,)."""
        return self.largest == np.arange(len(self.largest))

    def members(self) -> list[np.ndarray]:
        """The rows of each group: first the largest image, then those most like it."""
        rows = np.flatnonzero(self.groups)
        keys = self.distances[rows], ~self.kept[rows], self.groups[rows]
        rows = rows[np.lexsort(keys)]
        counts = np.bincount(self.groups[rows], minlength=1)[1:]
        return np.split(rows, np.cumsum(counts)[:-1]) if len(counts) else []

    @property
    def chained(self) -> np.ndarray:
        """Which rows are no twins of the largest, only of others in between, bool."""
        return self.distances > self.threshold + 1e-3


def find_twins(
    table: Table,
    method: str = "both",
    threshold: float = 1.0,
    column: str | Variable | None = None,
    callback: Progress | None = None,
) -> list[int | None]:
    """
    Find images that are in a table more than once.

    If A is a twin of B and B of C, all three are in one group, even if A and C are less
    alike, so that cross-validation can keep them together. With a great threshold, such
    chains may join images that have little in common.

    Parameters
    ----------
    table : Orange.data.Table
    method : {"both", "hash", "vectors", "content"}
        What is compared. Perceptual hashes find the same image in another size, format
        or brightness, also mirrored. Vectors, which are in the table's attributes, also
        find images that are cropped. "both" compares hashes and the vectors of Image
        Embedding, if there are any. "content" compares the bytes of the files.
    threshold : float
        The greatest distance of twins, from 0 to 2.5: less than 1 is stricter. At 1,
        hashes differ in 15 % of their bits, and the cosine distance of vectors is 10 %
        of its median among the images of the table.
    column : str or Variable, optional
        The column of images; by default the first.
    callback : callable, optional
        Called several times a second with the fraction done. An exception that it
        raises stops the work.

    Returns
    -------
    list of (int or None)
        The group of each row, from 1 in the order of the table; None where it has no
        twin.

    Raises
    ------
    ValueError
        There is no such method or column, or the threshold is out of range.
    NoVectorsError
        There are no vectors. It is a `ValueError`.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.import_images import ImportImages
    >>> from orangecontrib.imageanalytics.twins import find_twins
    >>> table, _ = ImportImages()("photos/")
    >>> groups = find_twins(table)
    """
    twins = TwinFinder(table, method, column).find(threshold, callback)
    return [int(group) or None for group in twins.groups]


class TwinFinder:
    """
    Finds the twins in a table, with any number of thresholds.

    The images are read by the first call of `find`.

    Parameters
    ----------
    table : Orange.data.Table
    method, column
        As for `find_twins`.
    known : dict, optional
        Of the finders for the same images: what one has read, the others do not read
        again.

    Raises
    ------
    ValueError
        There is no such method or column.
    NoVectorsError
        There are no vectors. It is a `ValueError`.
    """

    def __init__(
        self,
        table: Table,
        method: str = "both",
        column: str | Variable | None = None,
        known: Known | None = None,
    ):
        if method not in METHODS:
            raise ValueError(
                f"'{method}' is not a method, should be one of: {', '.join(METHODS)}"
            )
        self.table = table
        self.method = method
        self._known: Known = {} if known is None else known
        self._sources: list[str | None] = [None] * len(table)
        columns = image_columns(table)
        if column is not None or columns:
            column = columns[0] if column is None else column
            self._sources = column_sources(table, column)
            self._intensity = column_intensity(table.domain[column])
        elif method != "vectors":
            raise ValueError("There is no column with images in the data.")
        self._attributes = embedded_columns(table) if method != "content" else []
        if method == "hash":
            self._attributes = []
        if method == "vectors" and not self._attributes:
            attributes = table.domain.attributes
            self._attributes = [var for var in attributes if var.is_continuous]
            if not self._attributes:
                raise NoVectorsError(
                    "There are no vectors in the data; embed the images."
                )
        self._fingerprints: Fingerprints | None = None
        self._vectors: Vectors | None = None

    @property
    def has_vectors(self) -> bool:
        """Whether vectors are compared."""
        return bool(self._attributes)

    def find(self, threshold: float = 1.0, callback: Progress | None = None) -> Twins:
        """
        Find the twins.

        Parameters
        ----------
        threshold, callback
            As for `find_twins`.

        Returns
        -------
        Twins

        Raises
        ------
        ValueError
            The threshold is out of range.
        """
        if not 0 <= threshold <= MOST_THRESHOLD:
            raise ValueError(
                f"the threshold is {threshold:g}, should be from 0 to {MOST_THRESHOLD}"
            )
        report = _Reporter(callback or (lambda fraction: None))
        self._read(report)
        groups = Groups(len(self.table))
        if self._fingerprints is not None:
            half = (report.done + 1) / 2
            report.until(1.0 if self._vectors is None else half)
            self._join_fingerprints(groups, threshold, report)
        if self._vectors is not None:
            report.until(_COMPARING if self._fingerprints is None else 1.0)
            self._join_vectors(groups, threshold, report)
        numbers = groups.numbers()
        prints = self._prints_of_twins(numbers, report)
        sizes = np.zeros((len(numbers), 2), dtype=int)
        ranks = [(0, 0)] * len(numbers)
        for row in np.flatnonzero(numbers).tolist():
            one = prints.of_rows[row]
            if one is not None:
                sizes[row] = one.size
                ranks[row] = one.size[0] * one.size[1], one.n_bytes
        rows = largest(numbers, ranks)
        distances = self._distances(numbers, rows)
        report(1.0)
        return Twins(numbers, rows, distances, sizes, threshold, prints.failures)

    def _read(self, report) -> None:
        if self._fingerprints is None and self.method != "vectors":
            report.until(_READING)
            self._fingerprints = read_fingerprints(
                self._sources,
                self.method != "content",
                self._intensity,
                report,
                self._known,
            )
        if self._vectors is None and self._attributes:
            self._vectors = Vectors(self.table, self._attributes)

    def _join_fingerprints(self, groups: Groups, threshold: float, report) -> None:
        prints = self._fingerprints.of_rows
        groups.join_equal([None if one is None else one.digest for one in prints])
        keys = [None if one is None else one.bits for one in prints]
        groups.join_equal(keys)
        rows = first_of_each(keys)
        if len(rows):
            n_differing = int(HASH_DISTANCE * threshold * HASH_BITS + 1e-9)
            join_bits(groups, rows, *_bits(prints, rows), n_differing, report)

    def _join_vectors(self, groups: Groups, threshold: float, report) -> None:
        vectors = self._vectors
        # There may be any number of pairs of equal vectors.
        groups.join_equal(vectors.keys)
        distance = VECTOR_DISTANCE * threshold * vectors.median
        join_vectors(
            groups,
            vectors.distinct,
            vectors.distinct_units(),
            vectors.distinct_points,
            distance,
            report,
        )

    def _prints_of_twins(self, numbers: np.ndarray, report) -> Fingerprints:
        """What tells how large twins are; of other images there may be nothing."""
        prints = self._fingerprints
        if prints is None:
            # Only twins have to be looked at.
            rows = zip(self._sources, numbers, strict=True)
            twins = [source if number else None for source, number in rows]
            report.until(1.0)
            prints = read_fingerprints(twins, False, callback=report, known=self._known)
        return prints

    def _distances(self, numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Of each twin to the largest of its group."""
        twins = np.flatnonzero(numbers)
        found = np.full(len(twins), np.inf)
        if self._fingerprints is not None:
            prints = self._fingerprints.of_rows
            for place, row in enumerate(twins.tolist()):
                one, other = prints[row], prints[rows[row]]
                if one is not None and other is not None:
                    found[place] = one.distance(other) / HASH_DISTANCE
        if self._vectors is not None:
            scale = VECTOR_DISTANCE * self._vectors.median
            between = self._vectors.distances(twins, rows[twins]) / scale
            found = np.minimum(found, between)
        distances = np.zeros(len(numbers))
        distances[twins] = found
        return distances


class _Reporter:
    """Reports the progress of one step after the other; it never goes back."""

    def __init__(self, tell: Progress):
        self._tell = tell
        self._step = 0.0, 1.0
        self.done = 0.0

    def until(self, end: float) -> None:
        """Begin a step, after which this fraction of the whole is done."""
        self._step = self.done, end

    def __call__(self, fraction: float) -> None:
        start, end = self._step
        self.done = max(self.done, start + (end - start) * fraction)
        self._tell(self.done)


def _bits(
    prints: list[Fingerprint | None], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of images and of their mirror images, uint8, a row each."""
    found = [
        b"".join(getattr(prints[row], name) for row in rows.tolist())
        for name in ("bits", "mirrored_bits")
    ]
    first, second = (
        np.frombuffer(joined, np.uint8).reshape(len(rows), -1) for joined in found
    )
    return first, second
