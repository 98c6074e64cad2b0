"""Assign positions in the plane to cells of a grid: the linear assignment problem."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics.image_grid.interruptible import Report

#: Largest number of images whose assignment is optimal as a whole.
MAX_EXACT = 1500
MAX_EXACT_CELLS = 10_000
# Sizes, in cells, of the parts solved first and of the windows that then improve them.
PART_CELLS = 400
WINDOW = 20
MAX_WINDOW_PASSES = 10
ENOUGH = 0.002  # a pass that saves a smaller part of the cost is the last


def assign(places: np.ndarray, size_x: int, size_y: int, report: Report) -> np.ndarray:
    """
    Give each image a cell, so that the squared distances to move are small.

    Up to `MAX_EXACT` images, their sum is the least possible. Larger grids are halved
    until their parts are small enough to be solved; each half takes the images on its
    side. Overlapping windows are then solved in turn, until that no longer helps.

    Parameters
    ----------
    places : numpy.ndarray, shape (images, 2)
        Positions, in units of cells.
    size_x, size_y : int
        Columns and rows.
    report : callable

    Returns
    -------
    numpy.ndarray of int, shape (images,)
        The cell of each image; cells are numbered row by row.
    """
    everything = np.arange(len(places))
    whole = np.arange(size_x * size_y).reshape(size_y, size_x)
    cells = np.empty(len(places), dtype=int)
    if len(places) <= MAX_EXACT and whole.size <= MAX_EXACT_CELLS:
        cells[everything] = solve(places, whole, size_x)
        return cells
    for part, members in _parts(places, whole, everything, size_x):
        report(0)
        cells[members] = solve(places[members], part, size_x)
    _improve(places, cells, whole, report)
    return cells


def solve(places: np.ndarray, cells: np.ndarray, size_x: int) -> np.ndarray:
    cells = cells.ravel()
    costs = cdist(places, centres(cells, size_x), "sqeuclidean")
    return cells[linear_sum_assignment(costs)[1]]


def centres(cells: np.ndarray, size_x: int) -> np.ndarray:
    """Centres of cells, in units of cells, shape (cells, 2)."""
    return np.column_stack([cells % size_x, cells // size_x]) + 0.5


def _parts(
    places: np.ndarray, cells: np.ndarray, members: np.ndarray, size_x: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rectangles of cells, and the images that belong in them."""
    if not len(members):
        return
    if cells.size <= PART_CELLS:
        yield cells, members
        return
    axis = int(cells.shape[0] > cells.shape[1])
    first, second = np.array_split(cells, 2, axis=1 - axis)
    border = centres(second[0, :1], size_x)[0, axis] - 0.5
    ranked = members[np.argsort(places[members, axis], kind="stable")]
    n_first = int((places[ranked, axis] < border).sum())
    n_first = min(max(n_first, len(ranked) - second.size), first.size)
    yield from _parts(places, first, ranked[:n_first], size_x)
    yield from _parts(places, second, ranked[n_first:], size_x)


def _improve(
    places: np.ndarray, cells: np.ndarray, whole: np.ndarray, report: Report
) -> None:
    size_x = whole.shape[1]
    occupants = np.full(whole.size, -1)
    occupants[cells] = np.arange(len(cells))
    middles = centres(np.arange(whole.size), size_x)
    cost = ((places - middles[cells]) ** 2).sum()
    for step in range(MAX_WINDOW_PASSES):
        for window in _windows(whole, step):
            report(step / MAX_WINDOW_PASSES)
            members = occupants[window.ravel()]
            members = members[members >= 0]
            if len(members):
                occupants[window.ravel()] = -1
                cells[members] = solve(places[members], window, size_x)
                occupants[cells[members]] = members
        before, cost = cost, ((places - middles[cells]) ** 2).sum()
        if before - cost <= ENOUGH * before:
            break


def _windows(whole: np.ndarray, step: int) -> Iterator[np.ndarray]:
    # Shifted from pass to pass, so that no border stays where it is.
    shift_x, shift_y = ((0, 0), (1, 1), (1, 0), (0, 1))[(step + 1) % 4]
    half = WINDOW // 2
    for top in range(-shift_y * half, whole.shape[0], WINDOW):
        for left in range(-shift_x * half, whole.shape[1], WINDOW):
            bottom, right = top + WINDOW, left + WINDOW
            yield whole[max(0, top) : bottom, max(0, left) : right]
