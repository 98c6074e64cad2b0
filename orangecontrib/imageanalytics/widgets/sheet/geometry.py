"""Where the cells of a sheet lie: plain arithmetic, without Qt.

A sheet shows rows of a model, each in a cell. Its coordinates are whole points from
the top left corner of the contents, which may be larger than the window. A rectangle
is (left, top, width, height).
"""

from __future__ import annotations

import enum

import numpy as np

Rect = tuple[int, int, int, int]
Size = tuple[int, int]


class Move(enum.Enum):
    """Where a key leads from a cell."""

    LEFT = enum.auto()
    RIGHT = enum.auto()
    UP = enum.auto()
    DOWN = enum.auto()
    NEXT = enum.auto()
    PREVIOUS = enum.auto()
    PAGE_UP = enum.auto()
    PAGE_DOWN = enum.auto()
    HOME = enum.auto()
    END = enum.auto()


class Geometry:
    """
    What every arrangement of cells answers.

    Attributes
    ----------
    size : (int, int)
        Width and height of the contents, at least those of the window.
    steps : (int, int)
        Width and height of a cell: how far the sheet scrolls at a time.
    scale : float
        How large the cells are; what it means is up to the subclass.
    margin : int
        Points around the image, inside its cell.
    is_lattice : bool
        Whether all cells have about the same size and touch.
    exact : bool
        Whether images are shown in exactly the size that they are loaded in.
    spacing : int
        Points between two cells.
    """

    is_lattice = exact = False
    spacing = 0

    def __init__(self):
        self.size: Size = (1, 1)
        self.steps: Size = (1, 1)
        self.scale = 1.0
        self._window: Size = (1, 1)
        self._whole: Size = (1, 1)
        self._line_height = 16
        self._n_labels = 0
        self._framed = False
        self.margin = 0

    def set_window(self, window: Size, whole: Size) -> None:
        """
        Arrange the cells for a window.

        Parameters
        ----------
        window : (int, int)
            Width and height of what is seen of the contents.
        whole : (int, int)
            The same if there were no scroll bars.
        """
        if (window, whole) != (self._window, self._whole):
            self._window, self._whole = window, whole
            self._arrange()

    def set_labels(self, count: int, line_height: int) -> None:
        """
        Leave room for labels below the images.

        Parameters
        ----------
        count : int
            Lines of text.
        line_height : int
            Height of each of them.
        """
        if (count, line_height) != (self._n_labels, self._line_height):
            self._n_labels, self._line_height = count, line_height
            self._arrange()

    def set_framed(self, framed: bool) -> None:
        """Leave room around the images for frames in colours."""
        if framed != self._framed:
            self._framed = framed
            self._arrange()

    def set_count(self, count: int) -> None:
        """There are other rows, so many of them."""
        raise NotImplementedError

    def scale_range(self) -> tuple[float, float]:
        """The smallest and the largest scale."""
        raise NotImplementedError

    def stepped_scale(self, steps: int) -> float:
        """The scale that is this many steps larger, or smaller if negative."""
        raise NotImplementedError

    def set_scale(self, scale: float) -> None:
        """Make the cells larger or smaller, within `scale_range`."""
        smallest, largest = self.scale_range()
        self.scale = min(max(scale, smallest), largest)
        self._arrange()

    def image_size(self) -> Size:
        """Room for the image in a cell."""
        raise NotImplementedError

    def label_height(self) -> int:
        """Room for the labels in a cell; 0 where cells are too small for them."""
        raise NotImplementedError

    def rects(self, rows: np.ndarray) -> np.ndarray:
        """
        Where cells lie.

        Parameters
        ----------
        rows : numpy.ndarray of int, shape (n,)

        Returns
        -------
        numpy.ndarray of int, shape (n, 4)
            A rectangle for each; hidden ones have no width and height.
        """
        raise NotImplementedError

    def rect(self, row: int) -> Rect:
        """Where one cell lies."""
        return tuple(self.rects(np.array([row]))[0].tolist())

    def rows_in(self, rect: Rect) -> np.ndarray:
        """The rows whose cells a rectangle touches, in order."""
        raise NotImplementedError

    def heading_above(self, row: int) -> int:
        """Height of a heading just above a row; 0 if there is none."""
        return 0

    def row_at(self, x: int, y: int) -> int:
        """The row at a place; -1 if there is none."""
        rows = self.rows_in((x, y, 1, 1))
        return int(rows[0]) if len(rows) else -1

    def neighbour(self, row: int, move: Move) -> int:
        """The row where a key leads from another; -1 leads to the first."""
        raise NotImplementedError

    def locate(self, x: int, y: int) -> tuple:
        """What is at a place, in terms that stay true if the arrangement changes."""
        raise NotImplementedError

    def place(self, located: tuple) -> tuple[int, int]:
        """The place of what `locate` has found before."""
        raise NotImplementedError

    def _arrange(self) -> None:
        raise NotImplementedError
