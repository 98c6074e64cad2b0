"""Rows of a table as points of a map."""

import numpy as np
import pytest
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
    TimeVariable,
)

from orangecontrib.imageanalytics.widgets.map.mapdata import (
    MapData,
    numeric_columns,
)

IMAGE = StringVariable("image")
X, Y = ContinuousVariable("t-SNE-x"), ContinuousVariable("t-SNE-y")
N = ContinuousVariable("n")


@pytest.fixture
def table():
    metas = np.array(
        [
            ["a.png", 0, 1],
            ["", 2, 3],
            ["b.png", np.nan, 1],
            ["c.png", 4, np.inf],
            ["d.png", 5, -6],
            ["e.png", 1e200, 0],
        ],
        dtype=object,
    )
    return Table.from_numpy(
        Domain([N], None, [IMAGE, X, Y]), np.ones((6, 1)), None, metas
    )


def test_points_and_images(table):
    data = MapData(table, IMAGE, (X, Y))
    assert data.rows.tolist() == [0, 1, 4]
    assert data.imaged.tolist() == [0, 2]
    assert data.image_rows.tolist() == [0, 4]
    assert data.sources == ["a.png", "d.png"]
    assert data.has_images
    assert data.places[data.valid].tolist() == [[0, 1], [2, 3], [5, -6]]
    assert data.is_projection
    assert not MapData(table, IMAGE, (X, N)).is_projection


def test_no_points(table):
    with table.unlocked(table.metas):
        table.metas[:, 1] = np.nan
    data = MapData(table, IMAGE, (X, Y))
    assert data.rows.tolist() == data.imaged.tolist() == data.sources == []
    assert data.has_images


def test_same_map(table):
    data = MapData(table, IMAGE, (X, Y))
    assert data.shows_same_as(MapData(table.copy(), IMAGE, (X, Y)))
    assert not data.shows_same_as(MapData(table, IMAGE, (X, N)))
    assert not data.shows_same_as(MapData(table[:-1], IMAGE, (X, Y)))
    other = table.copy()
    with other.unlocked(other.metas):
        other[0, IMAGE] = "z.png"
    assert not data.shows_same_as(MapData(other, IMAGE, (X, Y)))


def test_subset(table):
    data = MapData(table, IMAGE, (X, Y))
    inside, n_found = data.inside(table[[1, 2, 4]])
    assert inside.tolist() == [False, True, True]
    assert n_found == 3


def test_numeric_columns():
    kind, time = DiscreteVariable("kind", values=["a"]), TimeVariable("time")
    hidden = ContinuousVariable("n0")
    hidden.attributes["hidden"] = True
    domain = Domain([kind, X, hidden], [Y], [IMAGE, time])
    data = Table.from_numpy(
        domain, np.zeros((1, 3)), np.zeros((1, 1)), np.array([["", 0]], dtype=object)
    )
    assert numeric_columns(data) == [X, Y, time]
