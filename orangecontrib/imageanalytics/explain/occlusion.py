"""Occlusion: hide one part of an image after the other, and see what changes.

Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV
2014. Windows of several sizes are used, since a large one hides a whole object, and a
small one tells more precisely where it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

#: Cells of a map in each direction.
CELLS = 28


class Level(NamedTuple):
    """Windows of a size.

    Attributes
    ----------
    part : float
        Side of a window, as a fraction of that of the square.
    count : int
        Number of windows in each direction; they overlap.
    weight : float
        How much it counts in the mean over levels.
    """

    part: float
    count: int
    weight: float = 1.0


#: Coarse first. A fine one tells best where something is, a coarse one also sees what
#: is as large as its windows. The weights are those of the best maps in the benchmark.
LEVELS = (Level(0.4, 5, 0.1), Level(0.25, 8, 0.3), Level(0.18, 12, 1.0))
# Standard deviation of the blur with which parts are hidden, as a fraction of the side.
_BLUR = 0.08


class Windows:
    """The windows of a level on a square, as far as there is an image.

    Parameters
    ----------
    level : Level
    square : numpy.ndarray
        uint8, shape (size, size, 3), RGB.
    edges : tuple of float
        As in `HeatMap`.
    """

    def __init__(self, level: Level, square: np.ndarray, edges: tuple[float, ...]):
        self._square = square
        size = len(square)
        spans = _spans(level, size)
        left, top, right, bottom = edges
        columns = [s for s in spans if _meets(s, left, right, size)]
        lines = [s for s in spans if _meets(s, top, bottom, size)]
        self._windows = [(line, column) for line in lines for column in columns]
        blurred = Image.fromarray(square).filter(ImageFilter.GaussianBlur(_BLUR * size))
        self._hidden = np.asarray(blurred)

    def __len__(self) -> int:
        return len(self._windows)

    def squares(self, numbers: range) -> np.ndarray:
        """The square with some of its windows hidden, one at a time.

        Parts are hidden by a strong blur: it keeps the colors, and has no edges where
        a network might see something.

        Returns
        -------
        numpy.ndarray
            uint8, shape (n, size, size, 3).
        """
        squares = np.repeat(self._square[None], len(numbers), axis=0)
        for square, number in zip(squares, numbers, strict=True):
            (top, bottom), (left, right) = self._windows[number]
            part = slice(top, bottom), slice(left, right)
            square[part] = self._hidden[part]
        return squares

    def values(self, drops: np.ndarray) -> np.ndarray:
        """Mean drops of the result, over the windows that contain a cell.

        Parameters
        ----------
        drops : numpy.ndarray
            Shape (n windows,): the result of the whole image minus that without a
            window.

        Returns
        -------
        numpy.ndarray
            float32, shape (`CELLS`, `CELLS`).
        """
        size = len(self._square)
        lines = np.stack([_coverage(line, size) for line, _ in self._windows])
        columns = np.stack([_coverage(column, size) for _, column in self._windows])
        total = np.einsum("w,wi,wj->ij", drops, lines, columns)
        covered = np.einsum("wi,wj->ij", lines, columns)
        return (total / np.maximum(covered, 1e-9)).astype(np.float32)


def _spans(level: Level, size: int) -> list[tuple[int, int]]:
    """Start and end of the windows in one direction, in pixels."""
    half = level.part / 2
    middles = (np.arange(level.count) + 0.5) / level.count
    starts = np.rint(np.clip(middles - half, 0, 1) * size).astype(int)
    ends = np.rint(np.clip(middles + half, 0, 1) * size).astype(int)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _meets(span, low: float, high: float, size: int) -> bool:
    """Whether a part of the image is there; `low` and `high` are the square's edges."""
    start, end = (low + (high - low) * place / size for place in span)
    return end > 0 and start < 1


def _coverage(span, size: int) -> np.ndarray:
    """Which part of each cell is in a span; shape (`CELLS`,)."""
    edges = np.linspace(0, size, CELLS + 1)
    overlap = np.minimum(edges[1:], span[1]) - np.maximum(edges[:-1], span[0])
    return np.maximum(0, overlap) * CELLS / size
