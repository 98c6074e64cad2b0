"""Join rows to groups, and number these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_LEAST_EDGES = 1 << 16  # that are merged at once


class Groups:
    """
    Joins rows to groups: a row that is joined to one of a group belongs to it.

    Parameters
    ----------
    n_rows : int
    """

    def __init__(self, n_rows: int):
        self._labels = np.arange(n_rows)
        self._edges: list[np.ndarray] = []
        self._n_edges = 0

    def apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Which of some pairs of rows are, as far as is known, in two groups."""
        return self._labels[first] != self._labels[second]

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """
        Join pairs of rows.

        Parameters
        ----------
        first, second : numpy.ndarray of int, shape (n,)
        """
        new = self.apart(first, second)
        if new.any():
            edges = np.stack([self._labels[first[new]], self._labels[second[new]]])
            self._edges.append(edges)
            self._n_edges += edges.shape[1]
            # Soon, since pairs within a group need not be looked at again
            if self._n_edges > max(_LEAST_EDGES, len(self._labels)):
                self._merge()

    def join_equal(self, keys: Sequence) -> None:
        """Join rows with equal keys; None is not equal to anything."""
        first: dict = {}
        pairs = [
            (first.setdefault(key, row), row)
            for row, key in enumerate(keys)
            if key is not None
        ]
        if pairs:
            self.join(*np.array(pairs).T)

    def numbers(self) -> np.ndarray:
        """
        The groups of several rows, from 1 in the order of their first rows.

        Returns
        -------
        numpy.ndarray of int, shape (n_rows,)
            0 for rows by themselves.
        """
        self._merge()
        _, first, inverse, counts = np.unique(
            self._labels, return_index=True, return_inverse=True, return_counts=True
        )
        several = np.flatnonzero(counts > 1)
        several = several[np.argsort(first[several])]
        numbers = np.zeros(len(counts), dtype=int)
        numbers[several] = np.arange(1, len(several) + 1)
        return numbers[inverse]

    def _merge(self) -> None:
        if self._edges:
            first, second = np.concatenate(self._edges, axis=1)
            n = len(self._labels)
            graph = coo_matrix((np.ones(len(first), bool), (first, second)), (n, n))
            _, components = connected_components(graph, directed=False)
            self._labels = components[self._labels]
            self._edges, self._n_edges = [], 0


def first_of_each(keys: Sequence) -> np.ndarray:
    """The first place of each key that is not None, in order."""
    first: dict = {}
    for place, key in enumerate(keys):
        if key is not None:
            first.setdefault(key, place)
    return np.array(list(first.values()), dtype=int)


def largest(numbers: np.ndarray, sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """
    For each row, the largest of its group; of several as large, the first.

    Parameters
    ----------
    numbers : numpy.ndarray of int, shape (n_rows,)
        As `Groups.numbers` returns them.
    sizes : sequence of (int, int)
        What is compared, for each row.

    Returns
    -------
    numpy.ndarray of int, shape (n_rows,)
        A row; that itself if it is the largest or has no group.
    """
    best: dict[int, int] = {}
    twins = np.flatnonzero(numbers).tolist()
    for row in twins:
        number = int(numbers[row])
        if number not in best or sizes[row] > sizes[best[number]]:
            best[number] = row
    rows = np.arange(len(numbers))
    rows[twins] = [best[int(numbers[row])] for row in twins]
    return rows
