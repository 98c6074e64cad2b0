import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics.image_grid.assignment import assign, centres


def cost(places, cells, size_x):
    return ((places - centres(cells, size_x)) ** 2).sum()


def exact(places, size_x, size_y):
    costs = cdist(places, centres(np.arange(size_x * size_y), size_x), "sqeuclidean")
    return linear_sum_assignment(costs)[1]


def test_small_grids_are_optimal():
    size_x, size_y = 20, 15
    places = np.random.default_rng(0).beta(2, 5, (290, 2)) * [size_x, size_y]
    cells = assign(places, size_x, size_y, lambda fraction: None)
    best = cost(places, exact(places, size_x, size_y), size_x)
    assert cost(places, cells, size_x) == pytest.approx(best)


@pytest.mark.parametrize("size", [(40, 40), (90, 18), (60, 50), (1, 1600)])
def test_large_grids_are_nearly_optimal(size, monkeypatch):
    size_x, size_y = size
    random = np.random.default_rng(0)
    lumps = random.random((12, 2))[random.integers(12, size=1590)]
    places = np.clip(lumps + random.normal(0, 0.05, (1590, 2)), 0, 1) * size
    reported = []
    cells = assign(places, size_x, size_y, reported.append)
    assert len(set(cells)) == 1590
    assert reported == sorted(reported)
    best = cost(places, exact(places, size_x, size_y), size_x)
    assert cost(places, cells, size_x) < 1.05 * best
