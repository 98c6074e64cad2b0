"""Check whether a shorter precision keeps the vectors of a network."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing

#: The cosine similarity that a shorter precision must keep to be chosen by default.
LEAST_COSINE = 0.999


def probe_squares(preprocessing: Preprocessing) -> np.ndarray:
    """Photos, and parts of them, with which to try a network.

    Returns
    -------
    numpy.ndarray
        uint8, shape (10, size, size, 3).
    """
    # Those of scikit-learn, which Orange needs; importing it would take a second.
    (package,) = importlib.util.find_spec("sklearn").submodule_search_locations
    squares = []
    for name in ("china.jpg", "flower.jpg"):
        path = os.path.join(package, "datasets", "images", name)
        with Image.open(path) as image:
            photo = image.convert("RGB")
        width, height = photo.width // 2, photo.height // 2
        corners = [(x, y) for x in (0, width) for y in (0, height)]
        parts = [photo.crop((x, y, x + width, y + height)) for x, y in corners]
        squares += [preprocessing.square(part) for part in (photo, *parts)]
    return np.stack(squares)


def least_cosine(vectors: np.ndarray, expected: np.ndarray) -> float:
    """The least cosine similarity of vectors to the expected ones.

    Parameters
    ----------
    vectors, expected : numpy.ndarray
        float32, shape (n, n_features).

    Returns
    -------
    float
        0 if a number is not finite.
    """
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (vectors * expected).sum(axis=1) / np.where(norms > 0, norms, 1)
    return float(np.nan_to_num(cosines).min())
