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


def similarities(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Products of vectors with others; of unit vectors, their cosine similarities.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape (n, n_features). If n is 0, the number of features does not matter.
    others : numpy.ndarray
        Shape (n_features,) or (n others, n_features).

    Returns
    -------
    numpy.ndarray
        Shape (n,) or (n, n others).

    Raises
    ------
    ValueError
        When their lengths differ.
    """
    if not len(vectors):
        vectors = np.empty((0, others.shape[-1]), vectors.dtype)
    if vectors.shape[1] != others.shape[-1]:
        raise ValueError(
            f"The vectors have {vectors.shape[1]} numbers, but those that they are "
            f"compared to have {others.shape[-1]}. They come from another network or "
            "layer, or some columns are missing."
        )
    return vectors @ others.T
