"""Where images are in a plot, and which of them have room."""

import numpy as np
import pyqtgraph as pg
import pytest
from AnyQt.QtCore import QPointF, QRectF

from orangecontrib.imageanalytics.widgets.map.mapplaces import (
    MAX_EDGE,
    SPACING,
    MapPlaces,
)

HOME = QRectF(0, 0, 10, 10)
GRID = np.stack(np.meshgrid(np.arange(0.5, 10), np.arange(0.5, 10))).reshape(2, -1)


@pytest.fixture(params=[True, False], ids=["tied", "free"])
def plot(request):
    plot = pg.PlotWidget()
    plot.resize(700, 500)
    plot.getViewBox().setAspectLocked(request.param)
    plot.getViewBox().setRange(HOME, padding=0)
    plot.show()
    yield plot
    plot.close()
    plot.deleteLater()


@pytest.fixture
def places(plot, until):
    places = MapPlaces(plot.getViewBox())
    places.set_edge(30)
    places.set_places(*GRID, HOME)
    until(lambda: len(places.shown()) == 100)
    yield places
    places.close()


def zoom(plot, factor):
    plot.getViewBox().scaleBy((1 / factor, 1 / factor), QPointF(5, 5))


def test_places(plot, places):
    box = plot.getViewBox()
    for place, at in zip(places.in_window(), GRID.T, strict=True):
        expected = box.mapFromView(QPointF(*at))
        np.testing.assert_allclose(place, [expected.x(), expected.y()], atol=1e-6)


def test_images_grow_and_shrink(plot, places):
    assert places.edge() == pytest.approx(30)
    zoom(plot, 4)
    assert places.edge() == pytest.approx(60)
    zoom(plot, 10_000)
    assert places.edge() == MAX_EDGE
    zoom(plot, 1 / 80_000)
    assert places.edge() == pytest.approx(15)
    # So all of them still have room.
    assert places.count_with_room() == 100


def test_images_in_the_window(plot, places):
    zoom(plot, 4)
    inside = {row for row, at in enumerate(GRID.T) if (abs(at - 5) < 1.2).all()}
    shown = set(places.shown().tolist())
    assert inside <= shown
    assert len(shown) < 100
    assert shown <= set(places.shown(1.0).tolist())
    assert places.count_with_room() == 100


def test_larger_images_have_less_room(places, until):
    places.set_edge(60)
    until(lambda: 20 < places.count_with_room() < 60)
    shown = places.in_window()[places.shown()]
    apart = np.abs(shown[:, None] - shown).max(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert apart.min() >= 60 * SPACING
    before = places.count_with_room()
    places.set_room_below(40)
    until(lambda: places.count_with_room() < before)


def test_some_come_later(places, until):
    later = GRID[1].astype(int) % 2 == 1  # every second line
    places.set_edge(60)
    places.set_later(later)
    until(lambda: 0 < len(places.shown()) < 60)
    until(lambda: not later[places.shown()].any())
    places.set_later(~later)
    until(lambda: later[places.shown()].all())


def test_no_images(places):
    places.set_places(np.zeros(0), np.zeros(0), HOME)
    assert len(places) == 0
    assert len(places.shown()) == 0
    assert places.in_window().shape == (0, 2)
    assert places.count_with_room() == 0
