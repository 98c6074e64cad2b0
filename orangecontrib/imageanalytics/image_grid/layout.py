"""Lay out vectors in the plane."""

from __future__ import annotations

import numpy as np
from Orange.data import Table
from scipy import sparse
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics.image_grid.interruptible import Report

#: Methods of laying out vectors in the plane.
LAYOUTS = ("t-sne", "pca", "mds")

N_COMPONENTS = 50  # t-SNE gains nothing from more, and takes long
PERPLEXITY = 8  # as many neighbours as a cell has
TSNE_STEPS = (200, 300)  # more do not help
STEPS_BETWEEN_REPORTS = 25
MDS_STEPS = 200
MDS_WORK = 25_000  # steps times images between two reports: about a second
MDS_CHUNK = 256  # images whose distances are computed between two reports
MIN_PARALLEL = 500  # for fewer, threads wait for each other longer than they compute
MIN_TSNE = 10  # fewer images have too few neighbours


def usable(X) -> np.ndarray:
    """A mask of the vectors without missing values whose numbers are not all equal."""
    if sparse.issparse(X):
        X = X.toarray()
    is_usable = np.isfinite(X).all(axis=1)
    if X.shape[1] > 1:
        is_usable &= (X[:, :1] != X).any(axis=1)
    return is_usable


def directions(X, rows: np.ndarray) -> np.ndarray:
    """Vectors of some rows, scaled so that Euclidean distances rank like cosines."""
    vectors = X[rows]
    if sparse.issparse(vectors):
        vectors = vectors.toarray()
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.shape[1] < 3:
        # The direction of so few numbers says little.
        return vectors - vectors.mean(axis=0)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def lay_out(vectors: np.ndarray, layout: str, report: Report) -> np.ndarray:
    """
    Compute the positions of vectors in the plane.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (images, features)
    layout : str
        One of `LAYOUTS`.
    report : callable

    Returns
    -------
    numpy.ndarray of float, shape (images, 2)
        Horizontal and vertical positions, both from 0 to 1.
    """
    components = _components(vectors)
    places = components[:, :2]
    if layout == "t-sne" and len(vectors) >= MIN_TSNE and components.any():
        places = _tsne(components, report)
    elif layout == "mds" and components.any():
        places = _mds(vectors, places, report)
    places = places - places.min(axis=0)
    return places / np.maximum(places.max(axis=0), 1e-12)


def _components(vectors: np.ndarray) -> np.ndarray:
    """The principal components, at least two; zeros if the vectors are all equal."""
    from Orange.projection import PCA

    components = np.zeros((len(vectors), 2))
    centred = vectors.astype(float) - vectors.mean(axis=0, dtype=float)
    if abs(centred).max() > 1e-6:
        pca = PCA(N_COMPONENTS, random_state=0)(Table.from_numpy(None, centred))
        found = pca.proj.transform(centred)
        components = np.pad(found, ((0, 0), (0, max(0, 2 - found.shape[1]))))
    return components


def _tsne(components: np.ndarray, report: Report) -> np.ndarray:
    from Orange.projection import TSNE

    done = 0

    def count(step: int, *_) -> None:
        nonlocal done
        done += STEPS_BETWEEN_REPORTS
        report(min(1.0, done / sum(TSNE_STEPS)))

    exaggerated, plain = TSNE_STEPS
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(components) - 1) / 3),
        early_exaggeration_iter=exaggerated,
        n_iter=plain,
        n_jobs=-1 if len(components) >= MIN_PARALLEL else 1,
        random_state=0,
        callbacks=count,
        callbacks_every_iters=STEPS_BETWEEN_REPORTS,
    )
    return np.array(tsne.fit(components), dtype=float)


def _mds(vectors: np.ndarray, places: np.ndarray, report: Report) -> np.ndarray:
    # Orange's MDS is not used: it causes warnings with each release of scikit-learn,
    # and these could only be silenced for all threads.
    from sklearn.manifold import smacof

    distances = np.empty((len(vectors), len(vectors)))
    for start in range(0, len(vectors), MDS_CHUNK):
        report(0)
        part = slice(start, start + MDS_CHUNK)
        distances[part] = cdist(vectors[part], vectors)
    # A few steps at a time, since scikit-learn reports nothing.
    most = min(STEPS_BETWEEN_REPORTS, max(1, MDS_WORK // len(vectors)))
    for step in range(0, MDS_STEPS, most):
        report(step / MDS_STEPS)
        n_steps = min(most, MDS_STEPS - step)
        places, _ = smacof(distances, init=places, n_init=1, max_iter=n_steps, eps=1e-6)
    return places
