"""Very many images at once, each a few pixels large, painted as one.

A tile is kept of each image: 16 by 16 pixels, and smaller sizes by halves. A mosaic is
made with a few operations on arrays. Their time depends on its pixels, not on the
number of images.
"""

import numpy as np
from PIL import Image

#: Sizes of an image in its tile, one after the other.
LEVELS = (16, 8, 4, 2, 1)
TILE_PIXELS = sum(edge * edge for edge in LEVELS)
#: Cells with images of at least so many device pixels are painted one by one.
MAX_EDGE = 24
#: In smaller cells, a frame takes all the room.
MIN_FRAMED = 6
OPAQUE = np.uint32(0xFF000000)
RGB = np.uint32(0x00FFFFFF)
HALF = np.uint32(0x007F7F7F)
# Grey that is seen on light and on dark ground: to be loaded, and not to be loaded.
COMING, BROKEN = 0x20808080, 0x80808080


def tile_of(image: Image.Image) -> np.ndarray:
    """
    An image in the sizes of `LEVELS`, stretched to squares.

    Parameters
    ----------
    image : PIL.Image.Image
        In mode RGB.

    Returns
    -------
    numpy.ndarray of uint32, shape (TILE_PIXELS,)
        Opaque pixels, as in QImage's format ARGB32, line by line, the largest first.
    """
    edge = LEVELS[0]
    small = image.resize((edge, edge), Image.Resampling.BOX, reducing_gap=2.0)
    pixels, levels = np.asarray(small, dtype=np.float32), []
    for edge in LEVELS:
        levels.append(pixels.reshape(edge * edge, 3))
        half = edge // 2
        if half:
            pixels = pixels.reshape(half, 2, half, 2, 3).mean(axis=(1, 3))
    return packed(np.concatenate(levels).round())


def packed(rgb: np.ndarray) -> np.ndarray:
    """
    Colours as QImage has them in format ARGB32.

    Parameters
    ----------
    rgb : numpy.ndarray, shape (n, 3)
        Numbers from 0 to 255.

    Returns
    -------
    numpy.ndarray of uint32, shape (n,)
        Opaque colours.
    """
    red, green, blue = np.asarray(rgb).astype(np.uint32).T
    return OPAQUE | red << np.uint32(16) | green << np.uint32(8) | blue


class Mosaic:
    """
    Tiles of the rows of a sheet, and images made of them.

    Parameters
    ----------
    count : int
        Number of rows.
    """

    def __init__(self, count: int = 0):
        # The last two are for rows that are not known, and for cells without a row.
        self._tiles = np.zeros((count + 2, TILE_PIXELS), dtype=np.uint32)
        self._tiles[count] = COMING
        self._count = count
        self.known = np.zeros(count, dtype=bool)

    def put(self, rows: list[int], tile: np.ndarray | None) -> None:
        """Add the tile of rows, or None for an image that cannot be shown."""
        self._tiles[rows] = BROKEN if tile is None else tile
        self.known[rows] = True

    def pixels(
        self,
        rows: np.ndarray,
        x_edges: np.ndarray,
        y_edges: np.ndarray,
        frames: np.ndarray,
        alpha: np.ndarray,
        tints: np.ndarray | None = None,
    ) -> np.ndarray:
        """
        Lay tiles side by side.

        Parameters
        ----------
        rows : numpy.ndarray of int, shape (lines, columns)
            Row in each cell; -1 for none.
        x_edges, y_edges : numpy.ndarray of int, shape (columns + 1,), (lines + 1,)
            Where cells begin, and where the last ones end, in pixels.
        frames : numpy.ndarray of uint32, shape (lines, columns)
            Colours of the frames of cells; 0 for none.
        alpha : numpy.ndarray of uint8, shape (lines, columns)
            How opaque the cells are.
        tints : numpy.ndarray of uint32, shape (lines, columns), optional
            Colours that are mixed half and half with those of cells; 0 for none.

        Returns
        -------
        numpy.ndarray of uint32, shape (height, width)
            Pixels, as in QImage's format ARGB32.
        """
        across, down = _Axis(x_edges), _Axis(y_edges)
        level = self._level(min(across.cell, down.cell))
        edge = LEVELS[level]
        first = sum(edge * edge for edge in LEVELS[:level])
        # All that is the same along a line of cells is computed once for it.
        lines = (self._tile_of(rows) * TILE_PIXELS + first)[:, across.numbers]
        lines += across.within(edge)
        places = lines[down.numbers]
        places += (down.within(edge) * edge)[:, None]
        pixels = self._tiles.ravel().take(places)
        if tints is not None and tints.any():
            self._add_tints(pixels, tints[:, across.numbers][down.numbers])
        if frames.any():
            self._add_frames(pixels, frames[:, across.numbers], across, down)
        if (alpha < 255).any():
            shade = alpha.astype(np.uint32)[:, across.numbers][down.numbers]
            own = pixels >> np.uint32(24)
            pixels = pixels & RGB | (own * shade // 255) << np.uint32(24)
        return pixels

    def _tile_of(self, rows: np.ndarray) -> np.ndarray:
        tiles = np.where(rows < 0, self._count + 1, rows)
        tiles[rows >= 0] = np.where(
            self.known[rows[rows >= 0]], rows[rows >= 0], self._count
        )
        return tiles

    @staticmethod
    def _level(cell: int) -> int:
        enough = [level for level, edge in enumerate(LEVELS) if edge >= cell]
        return enough[-1] if enough else 0

    @staticmethod
    def _add_tints(pixels, colors) -> None:
        """Mix colours into pixels, which keep their opacity."""
        halves = (pixels >> np.uint32(1) & HALF) + (colors >> np.uint32(1) & HALF)
        np.copyto(pixels, pixels & OPAQUE | halves, where=colors > 0)

    @staticmethod
    def _add_frames(pixels, colors, across, down) -> None:
        """Colour borders of cells; `colors` has one line for each line of cells."""
        if min(across.cell, down.cell) < MIN_FRAMED:
            colors = colors[down.numbers]
            np.copyto(pixels, colors, where=colors > 0)
            return
        border = np.flatnonzero(down.is_border())
        horizontal = colors[down.numbers[border]]
        pixels[border] = np.where(horizontal > 0, horizontal, pixels[border])
        border = np.flatnonzero(across.is_border())
        vertical = colors[:, border][down.numbers]
        pixels[:, border] = np.where(vertical > 0, vertical, pixels[:, border])


class _Axis:
    """Pixels along one side of a mosaic: in which cell they are, and where in it."""

    def __init__(self, edges: np.ndarray):
        edges = np.asarray(edges, dtype=int)
        self._lengths = np.diff(edges)
        self.cell = int(self._lengths.max(initial=1))
        self.numbers = np.repeat(np.arange(len(self._lengths)), self._lengths)
        self._offsets = (
            np.arange(len(self.numbers)) - (edges[:-1] - edges[0])[self.numbers]
        )

    def within(self, edge: int) -> np.ndarray:
        """Which of a tile's pixels along this side is shown."""
        return self._offsets * edge // np.maximum(1, self._lengths[self.numbers])

    def is_border(self) -> np.ndarray:
        width = 1 if self.cell < 2 * MIN_FRAMED else 2
        far = self._lengths[self.numbers] - self._offsets
        return (self._offsets < width) | (far <= width)
