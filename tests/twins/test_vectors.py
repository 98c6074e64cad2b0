"""The vectors in a table."""

import numpy as np
import pytest
from all_widgets import table
from Orange.data import ContinuousVariable, DiscreteVariable

from orangecontrib.imageanalytics.twins.vectors import (
    LEAST_MEDIAN,
    Vectors,
    embedded_columns,
)


def make(X, prefix="n"):
    attributes = [ContinuousVariable(f"{prefix}{i}") for i in range(X.shape[1])]
    return table([""] * len(X), attributes, X=X)


def test_columns_of_vectors():
    data = make(np.ones((2, 20)))
    assert embedded_columns(data) == list(data.domain.attributes)
    assert embedded_columns(make(np.ones((2, 20)), "x")) == []
    assert embedded_columns(make(np.ones((2, 3)))) == []


def test_columns_that_know_how_they_were_computed(photos, embedder):
    data, _, _ = embedder(table(photos))
    width = ContinuousVariable("width")
    more = data.add_column(width, np.ones(len(data)))
    assert embedded_columns(more) == list(data.domain.attributes)


def test_only_chosen_columns():
    X = np.hstack([np.eye(4), np.full((4, 1), 1000.0)])
    data = make(X)
    vectors = Vectors(data, list(data.domain.attributes[:4]))
    assert vectors.units.tolist() == np.eye(4).tolist()
    assert vectors.median == 1


def test_median():
    random = np.random.default_rng(0).normal(size=(300, 50))
    data = make(random)
    assert Vectors(data, list(data.domain.attributes)).median == pytest.approx(1, 0.02)
    same = make(np.ones((5, 50)))
    assert Vectors(same, list(same.domain.attributes)).median == LEAST_MEDIAN
    one = make(np.ones((1, 50)))
    assert Vectors(one, list(one.domain.attributes)).median == LEAST_MEDIAN


def test_distances():
    X = np.array([[1, 0], [0, 2], [3, 3], [np.nan, 1], [0, 0], [-1, 0]])
    data = make(X)
    vectors = Vectors(data, list(data.domain.attributes))
    assert vectors.rows.tolist() == [0, 1, 2, 5]
    first, second = np.array([0, 0, 0, 0, 0]), np.array([1, 2, 3, 4, 5])
    distances = vectors.distances(first, second)
    expected = [1, 1 - 0.5**0.5, np.inf, np.inf, 2]
    np.testing.assert_allclose(distances, expected, rtol=1e-6)
    keys = vectors.keys
    assert [key is None for key in keys] == [False, False, False, True, True, False]


def test_categories_are_no_vectors():
    kind = DiscreteVariable("n0", ["a", "b"])
    data = table(["", ""], [kind], X=np.zeros((2, 1)))
    assert embedded_columns(data) == []


def test_distinct_vectors():
    X = np.array([[0, 0], [0, 2], [3, 0], [0, 1], [np.nan, 1], [1, 0]])
    data = make(X)
    vectors = Vectors(data, list(data.domain.attributes))
    assert vectors.distinct.tolist() == [1, 2]
    assert vectors.distinct_units().tolist() == [[0, 1], [1, 0]]
    assert vectors.distinct_points.tolist() == [[0, 1], [1, 0]]
