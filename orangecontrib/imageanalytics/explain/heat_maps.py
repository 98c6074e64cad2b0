"""Heat maps: which parts of an image count, and numbers about them."""

from __future__ import annotations

from dataclasses import dataclass

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
        left, top, right, bottom = self.edges
        lines, columns = self.values.shape
        across = _weights((x - left) / (right - left), columns)
        down = _weights((y - top) / (bottom - top), lines)
        return (down @ self.values @ across.T).astype(np.float32)

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
        points = _centres(_POINTS)
        most = float(self.at(points, points).max())
        return np.minimum(heat / most, 1) if most > 0 else np.zeros_like(heat)

    def seen(self, width: int, height: int) -> np.ndarray:
        """Which pixels of the whole image the network sees; bool, (height, width)."""
        columns = self._inside(_centres(width), 0)
        lines = self._inside(_centres(height), 1)
        return np.outer(lines, columns)

    def peak(self) -> tuple[float, float]:
        """The hottest place: x and y as fractions of the width and height."""
        points = _centres(_POINTS)
        # Where nothing is seen, the value is 0, which may be the greatest.
        seen = self.seen(_POINTS, _POINTS)
        values = np.where(seen, self.at(points, points), -np.inf)
        y, x = np.unravel_index(np.argmax(values), values.shape)
        return float(points[x]), float(points[y])

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
        points = _centres(_POINTS)
        heat = np.maximum(self.at(points, points), 0)
        total = float(heat.sum())
        if not total > 0:
            return np.nan, np.nan
        from_middle = np.abs(points - 0.5)
        middle = from_middle <= MIDDLE / 2
        inner = from_middle < 0.5 - RIM
        in_middle = heat[np.ix_(middle, middle)].sum() / total
        at_rim = 1 - heat[np.ix_(inner, inner)].sum() / total
        return float(in_middle), float(at_rim)


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
    near = (4 - 6 * distance**2 + 3 * distance**3) / 6
    weights = np.where(distance < 1, near, np.maximum(0, 2 - distance) ** 3 / 6)
    weights[(places < 0) | (places > 1)] = 0
    return weights
