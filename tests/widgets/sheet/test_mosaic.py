import numpy as np
import pytest
from PIL import Image

from orangecontrib.imageanalytics.widgets.sheet.mosaic import (
    BROKEN,
    COMING,
    LEVELS,
    TILE_PIXELS,
    Mosaic,
    packed,
    tile_of,
)

RED, BLUE = 0xFFFF0000, 0xFF0000FF


def halves():
    """An image whose left half is red, and the right one blue."""
    image = Image.new("RGB", (64, 48), (255, 0, 0))
    image.paste((0, 0, 255), (32, 0, 64, 48))
    return image


def mosaic_of(rows, edge, **tiles):
    mosaic = Mosaic(4)
    for row, tile in tiles.items():
        mosaic.put([int(row[1:])], tile)
    rows = np.array(rows)
    lines, columns = rows.shape
    arguments = {
        "frames": np.zeros(rows.shape, dtype=np.uint32),
        "alpha": np.full(rows.shape, 255, dtype=np.uint8),
    }
    edges = np.arange(columns + 1) * edge, np.arange(lines + 1) * edge
    return lambda **changed: mosaic.pixels(rows, *edges, **{**arguments, **changed})


def test_packed():
    colors = packed(np.array([[255, 0, 0], [1, 2, 3]], dtype=np.uint8))
    assert colors.tolist() == [RED, 0xFF010203]


def test_tile_has_all_levels():
    tile = tile_of(halves())
    assert tile.shape == (TILE_PIXELS,)
    start = 0
    for edge in LEVELS[:-1]:
        level = tile[start : start + edge * edge].reshape(edge, edge)
        assert (level[:, : edge // 2] == RED).all()
        assert (level[:, edge // 2 :] == BLUE).all()
        start += edge * edge
    assert tile[-1] == 0xFF800080


@pytest.mark.parametrize("edge", [2, 3, 7, 16, 24])
def test_tiles_side_by_side(edge):
    pixels = mosaic_of([[0, -1], [1, 2]], edge, r0=tile_of(halves()), r1=None)()
    assert pixels.shape == (2 * edge, 2 * edge)
    assert (pixels[:edge, : edge // 2] == RED).all()
    assert (pixels[:edge, edge - edge // 2 : edge] == BLUE).all()
    assert (pixels[:edge, edge:] == 0).all()
    assert (pixels[edge:, :edge] == BROKEN).all()
    assert (pixels[edge:, edge:] == COMING).all()


def test_frames():
    frames = np.array([[BLUE]], dtype=np.uint32)
    small = mosaic_of([[0]], 5, r0=tile_of(halves()))(frames=frames)
    assert (small == BLUE).all()
    large = mosaic_of([[0]], 20, r0=tile_of(halves()))(frames=frames)
    assert (large[:2] == BLUE).all() and (large[:, :2] == BLUE).all()
    assert (large[2:-2, 2:10] == RED).all()


def test_tints():
    tints = np.array([[BLUE, 0]], dtype=np.uint32)
    pixels = mosaic_of([[0, 0]], 8, r0=tile_of(halves()))(tints=tints)
    assert (pixels[:, :4] == 0xFF7F007F).all()
    assert (pixels[:, 8:12] == RED).all()
    # What is not loaded yet stays translucent.
    coming = mosaic_of([[1, 1]], 8)(tints=tints)
    assert (coming[:, :8] == COMING & 0xFF000000 | 0x4040BF).all()
    assert (coming[:, 8:] == COMING).all()


def test_pale():
    alpha = np.array([[51, 255]], dtype=np.uint8)
    pixels = mosaic_of([[0, 0]], 4, r0=tile_of(halves()))(alpha=alpha)
    assert (pixels[:, :2] == 0x33FF0000).all()
    assert (pixels[:, 4:6] == RED).all()


def test_known():
    mosaic = Mosaic(3)
    mosaic.put([0, 2], tile_of(halves()))
    assert mosaic.known.tolist() == [True, False, True]


def test_edges_need_not_be_even():
    mosaic = Mosaic(2)
    mosaic.put([0, 1], tile_of(halves()))
    pixels = mosaic.pixels(
        np.array([[0, 1]]),
        np.array([3, 7, 12]),
        np.array([-2, 3]),
        np.zeros((1, 2), dtype=np.uint32),
        np.full((1, 2), 255, dtype=np.uint8),
    )
    assert pixels.shape == (5, 9)
    assert set(np.unique(pixels)) <= {RED, BLUE}
