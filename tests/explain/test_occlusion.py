import numpy as np
import pytest

from orangecontrib.imageanalytics.explain.heat_maps import HeatMap
from orangecontrib.imageanalytics.explain.occlusion import (
    CELLS,
    LEVELS,
    Level,
    Windows,
)

SIZE = 56
WHOLE = (0.0, 0.0, 1.0, 1.0)


def image():
    return np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize("level", LEVELS)
def test_each_window_hides_one_part(level):
    square = image()
    windows = Windows(level, square, WHOLE)
    assert len(windows) == level.count**2
    squares = windows.squares(range(len(windows)))
    changed = (squares != square).any(axis=3)
    # Nearly all pixels of a window differ from the blurred ones.
    assert changed.any(axis=0).mean() > 0.95
    parts = changed.mean(axis=(1, 2))
    assert (parts > 0.2 * level.part**2).all()
    assert (parts <= 1.2 * level.part**2).all()
    assert (
        squares[~changed] == np.repeat(square[None], len(squares), 0)[~changed]
    ).all()


def test_a_result_that_depends_on_one_pixel():
    y, x = 41, 14
    square = image()
    square[y, x] = 255
    for level in LEVELS:
        windows = Windows(level, square, WHOLE)
        squares = windows.squares(range(len(windows)))
        drops = 255.0 - squares[:, y, x, 0]
        values = windows.values(drops)
        assert values.shape == (CELLS, CELLS)
        found = HeatMap(values, WHOLE, (SIZE, SIZE)).peak()
        assert found == pytest.approx((x / SIZE, y / SIZE), abs=level.part / 2 + 0.02)


def test_only_where_there_is_an_image():
    square = image()
    # In a wide image that is padded, a quarter of the square is above it.
    windows = Windows(Level(0.25, 4), square, (0.0, -0.5, 1.0, 1.5))
    assert len(windows) == 8
    changed = (windows.squares(range(8)) != square).any(axis=(0, 3))
    assert not changed[: SIZE // 4].any() and not changed[-SIZE // 4 :].any()


def test_equal_drops_give_an_even_map():
    windows = Windows(LEVELS[1], image(), WHOLE)
    values = windows.values(np.full(len(windows), 0.3))
    np.testing.assert_allclose(values, 0.3, rtol=1e-5)
