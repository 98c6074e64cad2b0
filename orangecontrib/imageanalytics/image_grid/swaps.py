"""Swap images on a grid so that they are closer to their nearest neighbours."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from orangecontrib.imageanalytics.image_grid.interruptible import Report, part

N_NEIGHBOURS = 8
MAX_ATTRACTED = 40  # an image is a neighbour of others; at most so many of these count
REACH = 1.5  # in cells: a neighbour up to this distance is near
MAX_SWAP_PASSES = 10
NEIGHBOURS_DONE = 0.3  # what is reported once the neighbours are known
CHUNK = 256  # images whose distances to all others are in memory at a time


class Swaps:
    """
    Lets images change places when that brings neighbours closer together.

    The swaps increase a sum over all pairs in which one image is among the nearest
    neighbours of the other. The terms are weights that decrease with the distance
    between the cells of the pair. Each swap must increase the sum, so the swaps end.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (images, features)
    cells : numpy.ndarray of int, shape (images,)
        The cell of each image at the start.
    size_x, size_y : int
        Columns and rows.
    report : callable

    Attributes
    ----------
    cells : numpy.ndarray of int, shape (images,)
        The cell of each image now.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        cells: np.ndarray,
        size_x: int,
        size_y: int,
        report: Report,
    ):
        self._size = size_x, size_y
        self._report = part(report, NEIGHBOURS_DONE, 1)
        report = part(report, 0, NEIGHBOURS_DONE)
        self._pairs, self._weights = attractions(vectors, report)
        x, y = np.meshgrid(np.arange(size_x), np.arange(size_y))
        self._near = np.exp(-(x**2 + y**2) / (2 * REACH**2)).ravel()
        self.cells = cells.copy()
        self._x, self._y = cells % size_x, cells // size_x
        # The last image, number -1, is the one in empty cells; it has no pairs.
        self._occupants = np.full(size_x * size_y, -1)
        self._occupants[cells] = np.arange(len(cells))

    def run(self) -> np.ndarray:
        """Swap as long as it helps.

        Returns
        -------
        numpy.ndarray of int
            The cell of each image.
        """
        count, order = len(self.cells), np.random.default_rng(0)
        for step in range(MAX_SWAP_PASSES if count > 1 else 0):
            moved = 0
            for done, image in enumerate(order.permutation(count)):
                if done % 100 == 0:
                    self._report((step + done / count) / MAX_SWAP_PASSES)
                moved += self.move(image)
            if not moved:
                break
        return self.cells

    def move(self, image: int) -> bool:
        """
        Move an image to the best cell around its neighbours, if that is better.

        Returns
        -------
        bool
            Whether it has moved.
        """
        cells = self._candidates(image)
        others = self._occupants[cells]
        own, place = self.cells[image], np.array([self.cells[image]])
        gains = self._nearness(image, cells) - self._nearness(image, place)
        gains += self._nearness(others, place) - self._nearness(others, cells)
        # The two that swap stay as near to each other as before.
        together = (self._pairs[image] == others[:, None]) * self._weights[image]
        gains += 2 * together.sum(axis=1) * (self._closeness(cells, own) - 1)
        best = np.argmax(gains)
        if gains[best] <= 1e-6:
            return False
        self._put(others[best], own)
        self._put(image, cells[best])
        return True

    def _candidates(self, image: int) -> np.ndarray:
        size_x, size_y = self._size
        pairs = self._pairs[image][self._weights[image] > 0]
        x = self._x[pairs][:, None] + np.array([-1, 0, 1] * 3)
        y = self._y[pairs][:, None] + np.repeat([-1, 0, 1], 3)
        inside = (x >= 0) & (x < size_x) & (y >= 0) & (y < size_y)
        return np.unique(y[inside] * size_x + x[inside])

    def _nearness(self, images, cells: np.ndarray) -> np.ndarray:
        """How near images would be to their partners if they were in these cells."""
        size_x = self._size[0]
        pairs = self._pairs[images]
        x = np.abs((cells % size_x)[:, None] - self._x[pairs])
        y = np.abs((cells // size_x)[:, None] - self._y[pairs])
        return (self._weights[images] * self._near[y * size_x + x]).sum(axis=1)

    def _closeness(self, cells: np.ndarray, cell: int) -> np.ndarray:
        size_x = self._size[0]
        x = np.abs(cells % size_x - cell % size_x)
        y = np.abs(cells // size_x - cell // size_x)
        return self._near[y * size_x + x]

    def _put(self, image: int, cell: int) -> None:
        self._occupants[cell] = image
        if image >= 0:
            size_x = self._size[0]
            self.cells[image] = cell
            self._x[image], self._y[image] = cell % size_x, cell // size_x


def attractions(vectors: np.ndarray, report: Report) -> tuple[np.ndarray, np.ndarray]:
    """
    Pairs in which one image is among the nearest neighbours of the other.

    Returns
    -------
    pairs : numpy.ndarray of int, shape (images + 1, k)
        The partners of each image. A partner with weight 0 does not count.
    weights : numpy.ndarray of float, shape (images + 1, k)
        1, or 2 if each is among the nearest neighbours of the other.
    """
    count = len(vectors)
    n_nearest = min(N_NEIGHBOURS, count - 1)
    if n_nearest < 1:
        return np.zeros((count + 1, 1), dtype=int), np.zeros((count + 1, 1))
    nearest = neighbours(vectors, n_nearest, report)
    first = np.repeat(np.arange(count), n_nearest)
    directed = sparse.csr_matrix(
        (np.ones(nearest.size), (first, nearest.ravel())), shape=(count, count)
    )
    mutual = (directed + directed.T).tocsr()
    width = min(MAX_ATTRACTED, int(np.diff(mutual.indptr).max()))
    pairs = np.zeros((count + 1, width), dtype=int)
    weights = np.zeros((count + 1, width))
    for row, (start, end) in enumerate(
        zip(mutual.indptr[:-1], mutual.indptr[1:], strict=True)
    ):
        strongest = np.argsort(-mutual.data[start:end], kind="stable")[:width]
        pairs[row, : len(strongest)] = mutual.indices[start:end][strongest]
        weights[row, : len(strongest)] = mutual.data[start:end][strongest]
    return pairs, weights


def neighbours(vectors: np.ndarray, count: int, report: Report) -> np.ndarray:
    """Indices of the nearest others, shape (images, count), nearest first."""
    squares = (vectors**2).sum(axis=1)
    found = []
    for start in range(0, len(vectors), CHUNK):
        report(start / len(vectors))
        chunk = vectors[start : start + CHUNK]
        distances = squares - 2 * chunk @ vectors.T
        own = np.arange(len(chunk))
        distances[own, start + own] = np.inf
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(distances, nearest, axis=1).argsort(axis=1)
        found.append(np.take_along_axis(nearest, order, axis=1))
    return np.concatenate(found)
