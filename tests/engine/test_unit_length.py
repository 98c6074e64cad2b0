"""Vectors of unit length and their products."""

import numpy as np
import pytest

from orangecontrib.imageanalytics.engine.unit_length import (
    normalise,
    normalised,
    similarities,
)


def test_vectors_get_unit_length():
    vectors = np.array([[3, 4], [0, 0], [-1e-8, 0]])
    scaled = normalised(vectors)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
    assert vectors[0, 0] == 3  # it is not changed
    in_place = vectors.astype(np.float32)
    normalise(in_place)
    np.testing.assert_array_equal(in_place, scaled)


def test_no_vectors():
    assert normalised(np.empty((0, 3))).shape == (0, 3)


def test_similarities():
    vectors = normalised([[3, 4], [1, 0]])
    np.testing.assert_allclose(similarities(vectors, vectors[1]), [0.6, 1], rtol=1e-6)
    np.testing.assert_allclose(
        similarities(vectors, vectors), [[1, 0.6], [0.6, 1]], rtol=1e-6
    )


def test_vectors_of_different_lengths():
    with pytest.raises(ValueError, match=r"have 2 numbers, but .* have 3"):
        similarities(np.ones((1, 2)), np.ones((4, 3)))
    assert similarities(np.empty((0, 0)), np.ones(3)).shape == (0,)
    assert similarities(np.empty((0, 0)), np.ones((4, 3))).shape == (0, 4)
