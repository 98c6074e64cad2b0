"""Arrange images on a grid so that similar images are side by side.

Scripts can use it to do what the widget Image Grid does. Vectors are laid out in the
plane (`layout`), and their positions are assigned to cells so that the images move as
little as possible in total (`assignment`). On a grid made from t-SNE, pairs of images
then change places as long as that brings nearest neighbours closer together (`swaps`).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np
from Orange.data import Table
from scipy import sparse

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.image_grid.assignment import assign
from orangecontrib.imageanalytics.image_grid.interruptible import Report, part, run
from orangecontrib.imageanalytics.image_grid.layout import (
    LAYOUTS,
    directions,
    lay_out,
    usable,
)
from orangecontrib.imageanalytics.image_grid.swaps import Swaps

__all__ = ["LAYOUTS", "Cancelled", "ImageGrid", "grid_size"]

# The fractions that a callback receives after layout and assignment.
LAYOUT_DONE, ASSIGNMENT_DONE = 0.6, 0.8


class ImageGrid:
    """
    A grid on which similar images are near each other.

    Parameters
    ----------
    data : Orange.data.Table
        Rows with vectors, which are the features. There must be at least one.
    layout : {"t-sne", "pca", "mds"}
        How vectors are laid out in the plane before they get cells. t-SNE is best
        at keeping neighbours together.

    Attributes
    ----------
    size_x, size_y : int
        Numbers of columns and rows, after `process`.
    grid_indices : numpy.ndarray of int, shape (size_x * size_y,)
        The row of the data in each cell, row by row; -1 for an empty cell.
    skipped : numpy.ndarray of int
        Rows of the data that are not on the grid because their vector has missing
        values or is the same number throughout.

    Raises
    ------
    ValueError
        When there is no such layout, or the data has no features.

    Examples
    --------
    >>> grid = ImageGrid(embedded)
    >>> grid.process()
    >>> cells = grid.grid_indices.reshape(grid.size_y, grid.size_x)
    """

    def __init__(self, data: Table, layout: str = "t-sne"):
        if layout not in LAYOUTS:
            raise ValueError(f"layout should be one of {', '.join(LAYOUTS)}")
        if not data.domain.attributes:
            raise ValueError("the data has no features")
        self.data = data
        self.layout = layout
        self.size_x = self.size_y = 0
        self.grid_indices = np.zeros(0, dtype=int)
        is_usable = usable(data.X)
        self.skipped = np.flatnonzero(~is_usable)
        self._rows = np.flatnonzero(is_usable)
        self._vectors: np.ndarray | None = None
        self._places: np.ndarray | None = None
        self._cancelled = threading.Event()

    def __len__(self) -> int:
        """Number of images on the grid."""
        return len(self._rows)

    def cancel(self) -> None:
        """Stop `process`, which is running in another thread; it raises `Cancelled`."""
        self._cancelled.set()

    def process(
        self, size_x: int = 0, size_y: int = 0, callback: Report | None = None
    ) -> None:
        """
        Give each image a cell.

        The first call makes the layout; later calls, for other sizes, are faster.

        Parameters
        ----------
        size_x, size_y : int
            Columns and rows; 0 for as many as are needed. If both are 0, the grid is
            nearly square.
        callback : callable, optional
            Called several times a second, in this thread, with the fraction done,
            from 0 to 1. An exception that it raises ends the call.

        Raises
        ------
        ValueError
            When the images do not fit on the grid.
        Cancelled
            After `cancel`.
        """
        self._cancelled.clear()
        report = self._reporter(callback)
        size_x, size_y = self._full_size(size_x, size_y)
        cells = np.zeros(0, dtype=int)
        if len(self):
            report(0)
            if self._places is None:
                self._vectors, self._places = run(
                    self._lay_out, part(report, 0, LAYOUT_DONE)
                )
            report(LAYOUT_DONE)
            cells = run(
                lambda report: self._choose_cells(size_x, size_y, report),
                part(report, LAYOUT_DONE, 1),
            )
        grid_indices = np.full(size_x * size_y, -1)
        grid_indices[cells] = self._rows
        self.size_x, self.size_y = size_x, size_y
        self.grid_indices = grid_indices
        report(1)

    def _lay_out(self, report: Report) -> tuple[np.ndarray, np.ndarray]:
        vectors = directions(self.data.X, self._rows)
        return vectors, lay_out(vectors, self.layout, report)

    def _choose_cells(self, size_x: int, size_y: int, report: Report) -> np.ndarray:
        end = (ASSIGNMENT_DONE - LAYOUT_DONE) / (1 - LAYOUT_DONE)
        places = self._places * [size_x, size_y]
        cells = assign(places, size_x, size_y, part(report, 0, end))
        if self.layout != "t-sne":
            return cells
        report = part(report, end, 1)
        return Swaps(self._vectors, cells, size_x, size_y, report).run()

    def _reporter(self, callback: Report | None) -> Report:
        def report(fraction: float) -> None:
            if self._cancelled.is_set():
                raise Cancelled("cancelled")
            if callback is not None:
                callback(fraction)

        return report

    def _full_size(self, size_x: int, size_y: int) -> tuple[int, int]:
        if size_x < 0 or size_y < 0:
            raise ValueError("the size of a grid cannot be negative")
        if size_x and size_y:
            if size_x * size_y < len(self):
                raise ValueError(
                    f"{len(self):,} images do not fit on a grid of "
                    f"{size_x:,} by {size_y:,} cells"
                )
            return size_x, size_y
        if size_x:
            return size_x, math.ceil(len(self) / size_x)
        if size_y:
            return math.ceil(len(self) / size_y), size_y
        return grid_size(len(self))

    @property
    def image_list(self) -> Table:
        """The rows of the data in the order of the cells, row by row of the grid.

        All values of an empty cell are missing.
        """
        table = self.data[np.maximum(self.grid_indices, 0)]
        empty = np.flatnonzero(self.grid_indices < 0)
        if len(empty):
            if sparse.issparse(table.X):
                table = table.to_dense()
            with table.unlocked():
                table.X[empty] = table.Y[empty] = np.nan
                for column, variable in enumerate(table.domain.metas):
                    table.metas[empty, column] = variable.Unknown
            table.ids[empty] = [Table.new_id() for _ in empty]
        return table

    def order_to_grid(self, data: Sequence) -> list:
        """
        Arrange values in the order of the cells.

        Parameters
        ----------
        data : sequence
            A value for each row of the data.

        Returns
        -------
        list
            A value for each cell, row by row; None for empty ones.
        """
        return [None if row < 0 else data[row] for row in self.grid_indices]


def grid_size(n_images: int, aspect: float = 1.0) -> tuple[int, int]:
    """
    Size of a grid of a given shape, with as few empty cells as possible.

    Parameters
    ----------
    n_images : int
        Number of images.
    aspect : float
        Columns for each row.

    Returns
    -------
    (int, int)
        Columns and rows; 0 and 0 for no images.
    """
    if n_images < 1:
        return 0, 0
    rows = round(math.sqrt(n_images / aspect))
    columns = math.ceil(n_images / min(max(rows, 1), n_images))
    return columns, math.ceil(n_images / columns)
