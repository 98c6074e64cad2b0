"""Cells of a grid that fills the window, some of which are empty."""

from __future__ import annotations

import math

import numpy as np

from orangecontrib.imageanalytics.widgets.sheet.geometry import (
    Geometry,
    Move,
    Rect,
    Size,
)


class GridGeometry(Geometry):
    """
    Rows in given cells of a grid, which fills the window.

    At scale 1 the whole grid is seen. Cells are as wide and high as the window allows,
    unless images would be much broader or narrower than most of them are.
    """

    is_lattice = True
    thin, framed = 1, 3  # margins without and with frames
    min_labelled = 40  # smaller cells have neither labels nor wide margins
    max_edge = 1024
    zoom_step = 1.25
    max_zoom = 16.0
    large = 200  # cells can be made at least as large
    stretch = 1.5

    def __init__(self):
        super().__init__()
        self.columns = self.lines = 0
        self.cells = np.zeros(0, dtype=int)
        self._rows = np.zeros((0, 0), dtype=int)
        self._aspect = 1.0
        self._origin = (0, 0)
        self._grid: Size = (1, 1)

    def set_count(self, count: int) -> None:
        """Rows for which no cells were given are laid out in their order."""
        if count != len(self.cells):
            columns = math.ceil(math.sqrt(count))
            lines = math.ceil(count / max(1, columns))
            self.set_cells(np.arange(count), columns, lines)

    def set_cells(
        self, cells: np.ndarray, columns: int, lines: int, aspect: float = 1.0
    ) -> None:
        """
        Lay rows out.

        Parameters
        ----------
        cells : numpy.ndarray of int, shape (rows,)
            For each row its cell, counted line by line.
        columns, lines : int
            Size of the grid.
        aspect : float
            Width of most images, divided by their height.
        """
        self.cells = np.asarray(cells, dtype=int)
        self.columns, self.lines, self._aspect = columns, lines, aspect
        rows = np.full(columns * lines, -1)
        rows[self.cells] = np.arange(len(self.cells))
        self._rows = rows.reshape(lines, columns)
        self.scale = 1.0
        self._arrange()

    def scale_range(self) -> tuple[float, float]:
        """From the whole grid to cells of some size, however many there are."""
        cell = self._cell_at(1.0)
        edge = max(1.0, min(cell))
        largest = min(max(self.max_zoom, self.large / edge), self.max_edge / edge)
        return 1.0, max(1.0, largest)

    def stepped_scale(self, steps: int) -> float:
        """Each step multiplies by the same number."""
        return self.scale * self.zoom_step**steps

    def image_size(self) -> Size:
        """What of a cell is left beside labels and margin."""
        width, height = self.steps
        margin = 2 * self.margin
        return max(1, width - margin), max(1, height - self.label_height() - margin)

    def label_height(self) -> int:
        """As many lines as there are labels."""
        return self._label_height(self.steps[0])

    def _label_height(self, edge: float) -> int:
        if not self._n_labels or edge < self.min_labelled:
            return 0
        return self._n_labels * self._line_height + 2

    def _cell_at(self, scale: float) -> tuple[float, float]:
        columns, lines = max(1, self.columns), max(1, self.lines)
        width = scale * self._whole[0] / columns
        height = scale * self._whole[1] / lines
        label = self._label_height(width)
        aspect = (width / max(1.0, height - label)) / self._aspect
        if aspect > self.stretch:
            width = max(1.0, height - label) * self._aspect * self.stretch
        elif aspect < 1 / self.stretch:
            height = width / self._aspect * self.stretch + label
        return max(1.0, width), max(1.0, height)

    def _arrange(self) -> None:
        width, height = self._cell_at(self.scale)
        self.steps = int(width), int(height)
        wide = self._framed and self.steps[0] >= self.min_labelled
        self.margin = self.framed if wide else self.thin
        self._grid = (
            max(1, int(width * self.columns)),
            max(1, int(height * self.lines)),
        )
        self.size = tuple(map(max, self._grid, self._window))
        # A grid that is smaller than the window is in its middle.
        self._origin = tuple(
            (size - grid) // 2 for size, grid in zip(self.size, self._grid, strict=True)
        )

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Left ends of columns and tops of lines, and where the last ones end."""
        columns = np.arange(self.columns + 1) * self._grid[0] // max(1, self.columns)
        lines = np.arange(self.lines + 1) * self._grid[1] // max(1, self.lines)
        return columns + self._origin[0], lines + self._origin[1]

    def rects(self, rows: np.ndarray) -> np.ndarray:
        """Where cells lie; those of a grid touch."""
        lines, columns = np.divmod(self.cells[rows], max(1, self.columns))
        lefts, tops = self.edges()
        left, top = lefts[columns], tops[lines]
        return np.stack(
            (left, top, lefts[columns + 1] - left, tops[lines + 1] - top), axis=1
        )

    def block(self, rect: Rect) -> tuple[slice, slice]:
        """The lines and the columns that a rectangle touches."""
        left, top, width, height = rect
        columns, lines = self.edges()
        return (
            self._between(lines, top, top + height),
            self._between(columns, left, left + width),
        )

    @staticmethod
    def _between(edges: np.ndarray, start: int, stop: int) -> slice:
        first = np.searchsorted(edges[1:], start, side="right")
        return slice(int(first), int(np.searchsorted(edges[:-1], stop, side="left")))

    def rows_of(self, block: tuple[slice, slice]) -> np.ndarray:
        """The rows in lines and columns, as a matrix; -1 where cells are empty."""
        return self._rows[block]

    def rows_in(self, rect: Rect) -> np.ndarray:
        """The rows whose cells a rectangle touches, line by line."""
        rows = self._rows[self.block(rect)].ravel()
        return rows[rows >= 0]

    def neighbour(self, row: int, move: Move) -> int:
        """The row where a key leads; it passes over empty cells."""
        if not len(self.cells):
            return -1
        if move is Move.END:
            return int(np.argmax(self.cells))
        if row < 0 or move is Move.HOME:
            return int(np.argmin(self.cells))
        line, column = divmod(int(self.cells[row]), self.columns)
        if move in (Move.NEXT, Move.PREVIOUS):
            rows, cell = self._rows.ravel(), int(self.cells[row])
            ahead = rows[cell + 1 :] if move is Move.NEXT else rows[:cell][::-1]
            return self._nth(ahead, 1, row)
        page = max(1, self._window[1] // self.steps[1])
        ahead, steps = {
            Move.LEFT: (self._rows[line, :column][::-1], 1),
            Move.RIGHT: (self._rows[line, column + 1 :], 1),
            Move.UP: (self._rows[:line, column][::-1], 1),
            Move.DOWN: (self._rows[line + 1 :, column], 1),
            Move.PAGE_UP: (self._rows[:line, column][::-1], page),
            Move.PAGE_DOWN: (self._rows[line + 1 :, column], page),
        }[move]
        return self._nth(ahead, steps, row)

    @staticmethod
    def _nth(ahead: np.ndarray, steps: int, row: int) -> int:
        """The row that is some steps ahead, or the last one there; else the same."""
        ahead = ahead[ahead >= 0]
        return int(ahead[min(steps, len(ahead)) - 1]) if len(ahead) else row

    def locate(self, x: int, y: int) -> tuple[float, float]:
        """A place in parts of the grid."""
        return (
            (x - self._origin[0]) / self._grid[0],
            (y - self._origin[1]) / self._grid[1],
        )

    def place(self, located: tuple[float, float]) -> tuple[int, int]:
        """Where in the contents a part of the grid is now."""
        return (
            round(located[0] * self._grid[0]) + self._origin[0],
            round(located[1] * self._grid[1]) + self._origin[1],
        )
