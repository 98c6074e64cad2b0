"""Vectors of unit length: the product of two is their cosine similarity."""

import numpy as np


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Vectors of unit length, as float32; zero vectors stay zero.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape (n, n_features). It is not changed.
    """
    vectors = np.array(vectors, np.float32)
    normalise(vectors)
    return vectors


def normalise(vectors: np.ndarray) -> None:
    """Scale vectors to unit length in place; zero vectors stay zero.

    Parameters
    ----------
    vectors : numpy.ndarray
        float32, shape (n, n_features).
    """
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors /= np.where(norms > 0, norms, 1)[:, None]
