"""Which points are shown with images, and that these do not overlap."""

import numpy as np
import pytest

from orangecontrib.imageanalytics.widgets.map import separation
from orangecontrib.imageanalytics.widgets.map.separation import separations


def distances(points):
    between = np.abs(points[:, None] - points).max(axis=2)
    np.fill_diagonal(between, np.inf)
    return between


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(400, 2)) * [3, 1]


@pytest.fixture(params=[False, True], ids=["exact", "many"])
def many(request, monkeypatch):
    """With more points than are compared with all others."""
    if request.param:
        monkeypatch.setattr(separation, "MAX_FIRST", 50)
    return request.param


@pytest.mark.parametrize("packed", [0, 0.3])
def test_points_are_apart(points, many, packed):
    found = separations(points, packed)
    assert (found > 0).all()
    for distance in (0.05, 0.2, 0.3, 0.5, 1.0):
        chosen = found >= distance
        assert distances(points[chosen]).min(initial=np.inf) >= distance


@pytest.mark.parametrize("packed", [0, 0.3])
def test_points_cover_all_others(points, packed):
    found = separations(points, packed)
    for distance in (0.05, 0.2, 0.3):
        chosen = points[found >= distance]
        away = np.abs(points[:, None] - chosen).max(axis=2).min(axis=1)
        assert away.max() < distance


def test_packed_points_are_more(points):
    n_packed, n_other = (
        (separations(points, packed) >= 0.3).sum() for packed in (0.3, 0)
    )
    assert n_packed > n_other


def test_points_in_the_middle_come_first(points):
    first = np.argmax(separations(points))
    assert np.abs(points[first]).max() < 0.3


def test_others_come_later(points):
    later = np.arange(len(points)) % 4 > 0
    found = separations(points, 0.2, later)
    chosen = found >= 0.2
    assert distances(points[chosen]).min() >= 0.2
    # None of the first has to make room for one of the others.
    first = points[~later]
    away = np.abs(first[:, None] - points[chosen & ~later]).max(axis=2).min(axis=1)
    assert away.max() < 0.2
    assert chosen[later].any()
    assert (separations(points, 0.2, np.ones(400, dtype=bool)) > 0).all()


def test_points_at_the_same_place():
    points = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found = separations(points)
    assert sorted(found) == [0, 0, 0, 1, np.inf]
    # Of these, one that does not come later.
    later = np.array([True, True, False, False, True])
    assert np.flatnonzero(separations(points, later=later)).tolist() == [2, 3]


def test_few_points():
    assert separations(np.zeros((0, 2))).shape == (0,)
    assert separations(np.array([[5.0, 7.0]])).tolist() == [np.inf]
    assert separations(np.array([[5.0, 7.0]]), later=np.array([True])) == [np.inf]
