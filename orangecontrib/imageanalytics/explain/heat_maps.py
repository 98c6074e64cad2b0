"""Heat maps: which parts of an image count, and numbers about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Width and height of the middle, as a fraction of those of the image.
MIDDLE = 0.5
#: Width of the rim on each side, as a fraction of the width or height of the image.
RIM = 0.125
# Points in each direction at which heat is counted and its greatest value is found.
_POINTS = 160


@dataclass(frozen=True)
class HeatMap:
    """What the parts of an image contribute, in a grid over the network's square.

    Attributes
    ----------
    values : numpy.ndarray
        float32, shape (lines, columns). Positive where the image supports the result,
        negative where it speaks against it. Exact maps add up to the score without
        its constant; values of occlusion are differences of the result.
    edges : (float, float, float, float)
        Left, top, right and bottom of the square, as fractions of the width and
        height of the image as displayed. Below 0 and above 1 in its margins.
    size : (int, int)
        Width and height of the image, in pixels.
    """

    values: np.ndarray
    edges: tuple[float, float, float, float]
    size: tuple[int, int]

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Values at a grid of places: a smooth surface (cubic B-spline) over the cells.

        Parameters
        ----------
        x, y : numpy.ndarray
            Shape (width,) and (height,); fractions of the image's width and height.

        Returns
        -------
        numpy.ndarray
            float32, shape (height, width); 0 where the network sees nothing.
        """
        return self._surface(self.values, x, y)

    def _surface(self, values, x, y) -> np.ndarray:
        left, top, right, bottom = self.edges
        lines, columns = values.shape
        across = _weights((x - left) / (right - left), columns)
        down = _weights((y - top) / (bottom - top), lines)
        return down @ values.astype(np.float32) @ across.T

    def on_image(self, width: int | None = None, height: int | None = None):
        """The map over the whole image.

        Parameters
        ----------
        width, height : int, optional
            Size of the result; by default that of the image.

        Returns
        -------
        numpy.ndarray
            float32, shape (height, width); 0 where the network sees nothing.
        """
        width, height = width or self.size[0], height or self.size[1]
        return self.at(_centres(width), _centres(height))

    def heat(self, width: int | None = None, height: int | None = None) -> np.ndarray:
        """What supports the result, from 0 to 1, the most of this image.

        Returns
        -------
        numpy.ndarray
            float32, shape as that of `on_image`; all 0 if nothing supports it.
        """
        heat = np.maximum(self.on_image(width, height), 0)
        most = self._most_and_shares[0]
        return np.minimum(heat / most, 1) if most > 0 else np.zeros_like(heat)

    def seen(self, width: int, height: int) -> np.ndarray:
        """Which pixels of the whole image the network sees; bool, (height, width)."""
        columns = self._inside(_centres(width), 0)
        lines = self._inside(_centres(height), 1)
        return np.outer(lines, columns)

    def peak(self) -> tuple[float, float]:
        """The hottest place: x and y as fractions of the width and height."""
        x, y = self._points(0), self._points(1)
        values = self.at(x, y)
        line, column = np.unravel_index(np.argmax(values), values.shape)
        return float(x[column]), float(y[line])

    def _points(self, axis: int) -> np.ndarray:
        """Points in the part that the network sees, however narrow it is."""
        low, high = max(0, self.edges[axis]), min(1, self.edges[axis + 2])
        return low + (high - low) * _centres(_POINTS)

    def _inside(self, points: np.ndarray, axis: int) -> np.ndarray:
        return (points >= self.edges[axis]) & (points <= self.edges[axis + 2])

    def shares(self) -> tuple[float, float]:
        """The shares of the heat in the middle and at the rim of the image.

        Heat is what supports the result. The middle is half of the image's width and
        height, a quarter of its area. The rim is an eighth of the width or height on
        each side, 44 % of its area.

        Returns
        -------
        (float, float)
            From 0 to 1; nan if there is no heat.
        """
        return self._most_and_shares[1:]

    @cached_property
    def _most_and_shares(self) -> tuple[float, float, float]:
        """The greatest value, and `shares`."""
        x, y = self._points(0), self._points(1)
        values = self.at(x, y)
        most = float(values.max())
        # The surface falls off at the edges, so that peaks are not drawn to them. Of an
        # even map, each part has to count alike.
        even = self._surface(np.ones_like(self.values), x, y)
        heat = np.maximum(values, 0).astype(float) / even
        total = float(heat.sum())
        if not total > 0:
            return most, np.nan, np.nan

        def share(half: float) -> float:
            lines, columns = np.abs(y - 0.5) <= half, np.abs(x - 0.5) <= half
            return float(heat[np.ix_(lines, columns)].sum() / total)

        return most, share(MIDDLE / 2), 1 - share(0.5 - RIM)


def _centres(count: int) -> np.ndarray:
    """The centres of equal parts of the range from 0 to 1."""
    return (np.arange(count) + 0.5) / count


def _weights(places: np.ndarray, count: int) -> np.ndarray:
    """How much each of the cells in a row counts at places between 0 and 1.

    A cubic B-spline: the cells of a map overlap, since each sees more than its own part
    of the image. Beyond the square there is nothing.

    Returns
    -------
    numpy.ndarray
        Shape (n places, count).
    """
    distance = np.abs(places[:, None] * count - 0.5 - np.arange(count))
    near = (4 - 6 * distance**2 + 3 * _cube(distance)) / 6
    weights = np.where(distance < 1, near, _cube(np.maximum(0, 2 - distance)) / 6)
    weights[(places < 0) | (places > 1)] = 0
    return weights.astype(np.float32)


def _cube(numbers: np.ndarray) -> np.ndarray:
    return numbers * numbers * numbers  # many times faster than ** 3
