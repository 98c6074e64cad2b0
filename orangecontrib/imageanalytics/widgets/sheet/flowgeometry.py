"""Cells side by side in lines, under headings that can be collapsed."""

from __future__ import annotations

import numpy as np

from orangecontrib.imageanalytics.widgets.sheet.geometry import (
    Geometry,
    Move,
    Rect,
    Size,
)

_FORWARD = {Move.RIGHT, Move.NEXT, Move.DOWN, Move.PAGE_DOWN, Move.END}


class FlowGeometry(Geometry):
    """
    Cells side by side in lines, like words in a text, under headings if there are any.

    The scale is the longer side of images, in points.
    """

    exact = True
    spacing = 4
    wide = 6  # of the margin: inside the frame that marks the selection
    heading_padding = 7  # above and below the text
    min_labelled = 48  # below smaller images, there is room for a letter or two only
    smallest, largest = 32, 1024
    scale_step = 16

    def __init__(self, edge: int = 100):
        super().__init__()
        self.scale, self.margin = edge, self.wide
        self.columns = 1
        self._counts = np.zeros(1, dtype=int)
        self._collapsed = np.zeros(1, dtype=bool)
        self._headed = False
        self._arrange()

    def set_count(self, count: int) -> None:
        """Rows without a heading."""
        self.set_sections([count])

    def set_sections(
        self,
        counts: np.ndarray | list[int],
        collapsed: np.ndarray | list[bool] | None = None,
    ) -> None:
        """
        Say how many rows there are, and under which headings.

        Parameters
        ----------
        counts : sequence of int
            How many rows are below each heading, in their order.
        collapsed : sequence of bool, optional
            Which of them are hidden. Without it, the only section has no heading.
        """
        self._counts = np.asarray(counts, dtype=int)
        self._headed = collapsed is not None
        hidden = np.zeros(len(self._counts)) if collapsed is None else collapsed
        self._collapsed = np.asarray(hidden, dtype=bool)
        self._arrange()

    @property
    def count(self) -> int:
        """Number of rows, hidden ones included."""
        return int(self._counts.sum())

    def scale_range(self) -> tuple[float, float]:
        """Points that an image may have."""
        return self.smallest, self.largest

    def set_scale(self, scale: float) -> None:
        """Images have whole points."""
        super().set_scale(round(scale))

    def stepped_scale(self, steps: int) -> float:
        """Small images grow by few points, large ones by more."""
        scale = int(self.scale)
        for _ in range(abs(steps)):
            step = max(self.scale_step, scale // 8 // self.scale_step * self.scale_step)
            scale += step if steps > 0 else -step
        return scale

    def image_size(self) -> Size:
        """A square."""
        return int(self.scale), int(self.scale)

    def label_height(self) -> int:
        """As many lines as there are labels."""
        if not self._n_labels or self.scale < self.min_labelled:
            return 0
        return self._n_labels * self._line_height + self.margin

    def heading_height(self) -> int:
        """Height of each heading."""
        return self._line_height + 2 * self.heading_padding if self._headed else 0

    def _arrange(self) -> None:
        width = int(self.scale) + 2 * self.margin
        cell = width + self.spacing, width + self.label_height() + self.spacing
        self.columns = columns = max(1, self._window[0] // cell[0])
        self.steps = cell
        # A few images are not spread over the width of the window.
        few = self.count < columns
        self._width = cell[0] if few else self._window[0] / columns
        lines = np.where(self._collapsed, 0, -(-self._counts // columns))
        bottoms = np.cumsum(lines * cell[1] + self.heading_height())
        starts = np.cumsum(self._counts) - self._counts
        self._heading_tops = bottoms - lines * cell[1] - self.heading_height()
        self._section_starts = starts
        # Of each line: its number within the section, first row, rows, and top.
        section = np.repeat(np.arange(len(lines)), lines)
        within = np.arange(len(section)) - np.repeat(np.cumsum(lines) - lines, lines)
        self._firsts = starts[section] + within * columns
        left = self._counts[section] - within * columns
        self._lengths = np.minimum(left, columns)
        tops = self._heading_tops + self.heading_height()
        self._tops = tops[section] + within * cell[1]
        bottom = int(bottoms[-1]) if len(bottoms) else 0
        self.size = self._window[0], max(bottom, self._window[1])

    def rects(self, rows: np.ndarray) -> np.ndarray:
        """Where cells lie, without the space between them."""
        rows = np.asarray(rows, dtype=int)
        found = np.zeros((len(rows), 4), dtype=int)
        if not len(self._firsts) or not len(rows):
            return found
        lines, columns = self._lines_of(rows)
        half = self.spacing // 2
        lefts = np.rint(columns * self._width).astype(int)
        rights = np.rint((columns + 1) * self._width).astype(int)
        found[:, 0], found[:, 2] = lefts + half, rights - lefts - self.spacing
        found[:, 1] = self._tops[lines] + half
        found[:, 3] = self.steps[1] - self.spacing
        found[columns >= self._lengths[lines], 2:] = 0
        return found

    def _lines_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lines = np.searchsorted(self._firsts, rows, side="right") - 1
        lines = np.maximum(lines, 0)
        return lines, rows - self._firsts[lines]

    def is_visible(self, row: int) -> bool:
        """Whether a row is not below a heading that is collapsed."""
        return not self._collapsed[self.section_of(row)]

    def rows_in(self, rect: Rect) -> np.ndarray:
        """The rows whose cells a rectangle touches, in order."""
        left, top, width, height = rect
        half, cell = self.spacing // 2, self.steps
        # A line is from half the space below its top to half the space above its end.
        first = np.searchsorted(self._tops, top - cell[1] + half, side="right")
        last = np.searchsorted(self._tops, top + height - 1 - half, side="right")
        columns = np.arange(self.columns)
        lefts = np.rint(columns * self._width) + half
        rights = np.rint((columns + 1) * self._width) - half
        touched = columns[(lefts < left + width) & (rights > left)]
        rows = self._firsts[first:last, None] + touched
        return rows[touched < self._lengths[first:last, None]]

    def heading_tops(self) -> np.ndarray:
        """Top of each heading, shape (sections,)."""
        return self._heading_tops if self._headed else np.zeros(0, dtype=int)

    def headings_in(self, top: int, bottom: int) -> range:
        """The headings that are between two heights."""
        tops = self.heading_tops()
        first = np.searchsorted(tops, top - self.heading_height(), side="right")
        return range(int(first), int(np.searchsorted(tops, bottom, side="right")))

    def heading_above(self, row: int) -> int:
        """Height of the heading above the first line of a section."""
        within = row - self._section_starts[self.section_of(row)]
        return self.heading_height() if within < self.columns else 0

    def section_of(self, row: int) -> int:
        """The section that a row is in."""
        return int(np.searchsorted(self._section_starts, row, side="right") - 1)

    def neighbour(self, row: int, move: Move) -> int:
        """The row where a key leads; it passes over what is collapsed."""
        if not len(self._firsts):
            return -1
        if row < 0 or move is Move.HOME:
            return int(self._firsts[0])
        last = len(self._firsts) - 1
        if move is Move.END:
            return self._last_of(last)
        if not self.is_visible(row):
            return self._beyond(row, move in _FORWARD)
        (line,), (column,) = self._lines_of(np.array([row]))
        sideways = {Move.LEFT: -1, Move.PREVIOUS: -1, Move.RIGHT: 1, Move.NEXT: 1}
        if move in sideways:
            return self._beside(int(line), int(column) + sideways[move])
        page = max(1, self._window[1] // self.steps[1])
        down = {Move.UP: -1, Move.DOWN: 1, Move.PAGE_UP: -page, Move.PAGE_DOWN: page}
        target = min(max(0, line + down[move]), last)
        return int(self._firsts[target] + min(column, self._lengths[target] - 1))

    def _last_of(self, line: int) -> int:
        return int(self._firsts[line] + self._lengths[line] - 1)

    def _beyond(self, row: int, forward: bool) -> int:
        """The first row that is seen after a hidden one, or the last one before."""
        line = int(np.searchsorted(self._firsts, row, side="right"))
        if forward and line < len(self._firsts):
            return int(self._firsts[line])
        return self._last_of(line - 1) if line else int(self._firsts[0])

    def _beside(self, line: int, column: int) -> int:
        if column < 0:
            return self._last_of(line - 1) if line else int(self._firsts[0])
        if column < self._lengths[line]:
            return int(self._firsts[line] + column)
        is_last = line == len(self._firsts) - 1
        return self._last_of(line) if is_last else int(self._firsts[line + 1])

    def locate(self, x: int, y: int) -> tuple[int, float]:
        """The row in the line at a height, and how far down in it that is."""
        if not len(self._firsts):
            return 0, 0.0
        line = max(0, int(np.searchsorted(self._tops, y, side="right")) - 1)
        column = min(int(x / self._width), self._lengths[line] - 1)
        row = self._firsts[line] + max(0, column)
        return int(row), (y - int(self._tops[line])) / self.steps[1]

    def place(self, located: tuple[int, float]) -> tuple[int, int]:
        """Where a row is now; the horizontal place is always 0."""
        row, down = located
        if not len(self._firsts):
            return 0, 0
        (line,), _ = self._lines_of(np.array([row]))
        return 0, round(int(self._tops[line]) + down * self.steps[1])
