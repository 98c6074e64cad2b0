import numpy as np
import pytest

from orangecontrib.imageanalytics.image_grid import layout as module
from orangecontrib.imageanalytics.image_grid.layout import (
    LAYOUTS,
    directions,
    lay_out,
    usable,
)


def nothing(_fraction):
    pass


@pytest.fixture
def vectors():
    return directions(np.random.default_rng(0).normal(size=(60, 12)), slice(None))


def test_usable():
    X = np.array([[1, 2], [1, 1], [np.nan, 1], [np.inf, 1], [0, 0], [0, 1]])
    assert usable(X).tolist() == [True, False, False, False, False, True]
    assert usable(np.array([[1.0], [np.nan]])).tolist() == [True, False]


def test_directions(vectors):
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    few = directions(np.array([[1.0, 5], [3, 7], [2, 2]]), [0, 1])
    np.testing.assert_allclose(few, [[-1, -1], [1, 1]])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_places_fill_a_square(layout, vectors):
    places = lay_out(vectors, layout, nothing)
    assert places.shape == (60, 2)
    np.testing.assert_allclose(places.min(axis=0), 0)
    np.testing.assert_allclose(places.max(axis=0), 1)


def test_mds_reports_more_often_on_many_images(vectors, monkeypatch):
    seldom, often = [], []
    expected = lay_out(vectors, "mds", seldom.append)
    # As if the images were so many that one step takes a second.
    monkeypatch.setattr(module, "MDS_WORK", len(vectors))
    monkeypatch.setattr(module, "MDS_CHUNK", 5)
    places = lay_out(vectors, "mds", often.append)
    assert often.count(0) == 12 + 1  # the distances, and the first step
    assert len(often) - 12 == module.MDS_STEPS
    assert len(seldom) - 1 == module.MDS_STEPS / module.STEPS_BETWEEN_REPORTS
    assert often == sorted(often)
    np.testing.assert_allclose(places, expected, atol=0.02)
