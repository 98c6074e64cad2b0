import numpy as np
import pytest

from orangecontrib.imageanalytics.explain.heat_maps import HeatMap

WHOLE = (0.0, 0.0, 1.0, 1.0)


def single(line, column, edges=WHOLE, side=5, size=(100, 80)):
    values = np.zeros((side, side), np.float32)
    values[line, column] = 1
    return HeatMap(values, edges, size)


def test_in_its_place():
    x, y = single(1, 3).peak()
    assert x == pytest.approx(0.7, abs=0.01)
    assert y == pytest.approx(0.3, abs=0.01)
    pixels = single(1, 3).on_image()
    assert pixels.shape == (80, 100)
    assert np.unravel_index(pixels.argmax(), pixels.shape) in [
        (y, x) for y in (23, 24) for x in (69, 70)
    ]


def test_a_cropped_image():
    edges = (0.25, 0.0, 0.75, 1.0)
    heat_map = single(2, 0, edges)
    assert heat_map.peak()[0] == pytest.approx(0.3, abs=0.01)
    pixels = heat_map.on_image(100, 10)
    assert not pixels[:, :25].any() and not pixels[:, 75:].any()
    assert pixels[:, 25:75].any()
    seen = heat_map.seen(100, 10)
    assert not seen[:, :25].any() and seen[:, 25:75].all() and not seen[:, 75:].any()


def test_a_padded_image():
    # The image takes the middle half of the square.
    edges = (0.0, -0.5, 1.0, 1.5)
    heat_map = single(0, 1, edges, side=4)  # in the margin
    assert heat_map.peak()[1] < 0.01  # as near to it as the image goes
    heat_map = single(1, 1, edges, side=4)
    x, y = heat_map.peak()
    assert (x, y) == pytest.approx((0.375, 0.25), abs=0.01)
    assert heat_map.seen(10, 10).all()


def test_negative_everywhere():
    values = -np.ones((4, 4), np.float32)
    values[1, 2] = -0.1
    heat_map = HeatMap(values, (0.2, 0.2, 0.8, 0.8), (50, 50))
    assert not heat_map.heat().any()
    assert np.isnan(heat_map.shares()).all()
    x, y = heat_map.peak()
    assert 0.2 <= x <= 0.8 and 0.2 <= y <= 0.8


def test_heat_is_scaled():
    heat = HeatMap(7 * np.ones((4, 4), np.float32), WHOLE, (50, 50)).heat(200, 200)
    assert heat.max() == pytest.approx(1, abs=1e-3) and heat.min() >= 0


def test_shares_of_an_even_map():
    # Many cells, since the map falls off at the edges of the square.
    even = HeatMap(np.ones((100, 100), np.float32), WHOLE, (50, 50))
    middle, rim = even.shares()
    assert middle == pytest.approx(0.25, abs=0.01)
    assert rim == pytest.approx(1 - 0.75**2, abs=0.01)


def test_shares():
    side = 16
    middle, rim = single(8, 8, side=side).shares()
    assert middle == pytest.approx(1) and rim == pytest.approx(0)
    middle, rim = single(0, 8, side=side).shares()
    assert middle == 0 and rim > 0.9
