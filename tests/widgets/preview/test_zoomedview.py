import pytest

from orangecontrib.imageanalytics.widgets.preview.zoomedview import (
    MAX_ZOOM,
    WHOLE,
    View,
)

SIZE, BOX = (1200, 900), (400, 300)


@pytest.mark.parametrize(
    "view, zoom",
    [(WHOLE, 1 / 3), (View(2.0), 2 / 3), (View(1.0, False), 1), (View(3, False), 3)],
)
def test_zoom(view, zoom):
    assert view.zoom(SIZE, BOX) == pytest.approx(zoom)


@pytest.mark.parametrize(
    "size, view, zoom",
    [
        (SIZE, View(0.5), 1 / 3),
        (SIZE, View(0.1, False), 1 / 3),
        (SIZE, View(100, False), MAX_ZOOM),
        (SIZE, View(1000), MAX_ZOOM),
        # Small images fill the box and may be seen as they are.
        ((4, 3), View(200, False), 100),
        ((4, 3), View(0.5, False), 1),
    ],
)
def test_limits(size, view, zoom):
    limited = view.limited(size, BOX)
    assert limited.zoom(size, BOX) == pytest.approx(zoom)
    assert limited.is_whole is (zoom in (1 / 3, 100))


@pytest.mark.parametrize(
    "center, inside",
    [((0.5, 0.5), (0.5, 0.5)), ((-3, 0.9), (1 / 6, 5 / 6)), ((0.3, 0.2), (0.3, 0.2))],
)
def test_inside(center, inside):
    view = View(1.0, False, center).inside(SIZE, BOX)
    assert view.center == pytest.approx(inside)
    # What is smaller than the box stays in its middle.
    assert View(0.1, False, center).inside(SIZE, BOX).center == (0.5, 0.5)


def test_moved():
    view = View(2.0, False).moved(SIZE, BOX, (240, -90))
    assert view.center == pytest.approx((0.5 + 0.1, 0.5 - 0.05))


def test_zooming_keeps_a_place():
    before, at = View(1.0, False, (0.4, 0.6)), (50, -30)
    after = before.zoomed_to(View(4.0, False), SIZE, BOX, at)
    for view, axis in ((before, 0), (before, 1), (after, 0), (after, 1)):
        place = view.center[axis] * SIZE[axis] + at[axis] / view.factor
        assert place == pytest.approx((0.4 * 1200 + 50, 0.6 * 900 - 30)[axis])


@pytest.mark.parametrize(
    "size, view, target",
    [
        (SIZE, WHOLE, (0, 0, 400, 300)),
        ((100, 300), WHOLE, (150, 0, 100, 300)),
        (SIZE, View(1.0, False), (-400, -300, 1200, 900)),
        (SIZE, View(1.0, False, (0.25, 0.25)), (-100, -75, 1200, 900)),
        ((4, 3), View(1.0, False), (198, 148, 4, 3)),
    ],
)
def test_target(size, view, target):
    assert view.target(size, BOX) == target
