"""Results of a run."""

import numpy as np

from orangecontrib.imageanalytics.engine.results import Embedded, Statistics


def test_vectors_of_unit_length():
    # The row of an image that failed holds anything.
    vectors = np.array([[3, 4], [np.nan, 1e38], [0, 2]], np.float32)
    embedded = Embedded(vectors, np.array([2, -1, 0, 2]), {}, Statistics())
    unit, rows = embedded.of_unit_length
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 1]], rtol=1e-6)
    assert rows.tolist() == [1, -1, 0, 1]
    assert embedded.of_unit_length[0] is unit
    np.testing.assert_array_equal(vectors[0], [3, 4])


def test_nothing_of_unit_length():
    embedded = Embedded(np.empty((2, 0)), np.array([-1, -1]), {}, Statistics())
    unit, rows = embedded.of_unit_length
    assert len(unit) == 0
    assert rows.tolist() == [-1, -1]
