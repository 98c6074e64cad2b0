import numpy as np
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics.image_grid.assignment import centres
from orangecontrib.imageanalytics.image_grid.swaps import (
    CHUNK,
    REACH,
    Swaps,
    attractions,
    neighbours,
)


def nothing(_fraction):
    pass


def test_swaps_bring_neighbours_closer():
    random = np.random.default_rng(1)
    vectors = (random.normal(size=(6, 20)) * 4)[np.arange(100) % 6]
    vectors += random.normal(size=(100, 20))
    cells = np.random.default_rng(0).permutation(120)[:100]
    pairs, weights = attractions(vectors, nothing)

    def total(cells):
        places = centres(cells, 12)
        distances = cdist(places, places)
        near = np.exp(-(distances**2) / (2 * REACH**2))
        return sum(weights[i] @ near[i, pairs[i]] for i in range(len(cells)))

    swaps = Swaps(vectors, cells, 12, 10, nothing)
    gains = []
    for image in range(100):
        before = total(swaps.cells)
        moved = swaps.move(image)
        gains.append(total(swaps.cells) - before)
        assert (gains[-1] > 0) == moved
        assert len(set(swaps.cells)) == 100
        assert set(swaps.cells) <= set(range(120))
    assert sum(gains) > 0.2 * total(cells)
    assert total(swaps.run()) > total(cells) + sum(gains)


def test_neighbours():
    vectors = np.random.default_rng(0).normal(size=(1100, 5)).astype(np.float32)
    expected = np.argsort(cdist(vectors, vectors), axis=1)[:, 1:5]
    np.testing.assert_array_equal(neighbours(vectors, 4, nothing), expected)


def test_neighbours_are_reported_on():
    vectors = np.eye(4 * CHUNK, 8, dtype=np.float32)
    reported = []
    neighbours(vectors, 3, reported.append)
    assert reported == [0, 0.25, 0.5, 0.75]
