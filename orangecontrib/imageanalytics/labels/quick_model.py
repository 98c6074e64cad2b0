"""A quick model that learns from the labelled images, and proposes classes for others.

Vectors are reduced to a few principal components once. After that, training uses the
labelled rows only, and all rows are predicted by a matrix product.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.extmath import randomized_svd

from orangecontrib.imageanalytics.image_grid.layout import directions, usable
from orangecontrib.imageanalytics.labels.session import NO_CLASS

N_COMPONENTS = 128
#: Components are found with at most so many images.
MOST_SAMPLED = 1_000
#: More labelled images do not make a better model, but a slower one.
MOST_TRAINED = 5_000
#: Inverse strengths of regularization: the probabilities of the first are about right
#: after some ten labels for each class, the second chooses better what to label next.
PROPOSING, CHOOSING = 10.0, 100.0
MAX_ITERATIONS = 200
_ROWS_AT_ONCE = 2_000

#: Receives the fraction that is done; may raise `Cancelled`.
Callback = Callable[[float], None]


def _no_callback(_fraction: float) -> None:
    pass


@dataclass(frozen=True)
class Points:
    """
    Images as points in a space of a few dimensions.

    Attributes
    ----------
    values : numpy.ndarray of float32, shape (images, dimensions)
        The largest variance is 1.
    usable : numpy.ndarray of bool, shape (images,)
        Images whose vectors have no missing values. The points of others are 0.
    """

    values: np.ndarray
    usable: np.ndarray


def reduced(vectors, callback: Callback = _no_callback) -> Points:
    """
    Reduce vectors to their principal components.

    Only the directions of vectors count, not their lengths, if they have at least
    three numbers.

    Parameters
    ----------
    vectors : numpy.ndarray or scipy.sparse matrix, shape (images, features)
        Vectors; there must be at least one column.
    callback : callable
        Receives the fraction that is done; may raise an exception to stop.

    Returns
    -------
    Points
        At most `N_COMPONENTS` dimensions. The components are those of a sample of
        `MOST_SAMPLED` images, by the randomized algorithm of Halko et al. (2011).
    """
    is_usable = np.asarray(usable(vectors))
    rows = np.flatnonzero(is_usable)
    values = np.zeros((vectors.shape[0], 1), dtype=np.float32)
    if len(rows) < 2:
        return Points(values, is_usable)
    sampled = rows
    if len(rows) > MOST_SAMPLED:
        rng = np.random.default_rng(0)
        sampled = np.sort(rng.choice(rows, MOST_SAMPLED, replace=False))
    sample = _dense(vectors, sampled)
    callback(0.1)
    mean = sample.mean(axis=0)
    n_components = min(N_COMPONENTS, *(np.array(sample.shape) - (1, 0)))
    _, scales, components = randomized_svd(
        sample - mean, n_components, n_iter=2, random_state=0
    )
    scale = scales[0] / np.sqrt(len(sample)) or 1.0
    components = (components.T / scale).astype(np.float32)
    values = np.zeros((vectors.shape[0], n_components), dtype=np.float32)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        callback(0.4 + 0.6 * start / len(rows))
        part = rows[start : start + _ROWS_AT_ONCE]
        values[part] = (_dense(vectors, part) - mean) @ components
    return Points(values, is_usable)


def _dense(vectors, rows: np.ndarray) -> np.ndarray:
    """Directions of vectors; those of less than three numbers as they are."""
    if vectors.shape[1] >= 3:
        return directions(vectors, rows)
    part = vectors[rows]
    return np.asarray(part.toarray() if issparse(part) else part, dtype=np.float32)


@dataclass(frozen=True)
class Proposals:
    """
    Classes that a model proposes.

    Attributes
    ----------
    classes : numpy.ndarray of int, shape (images,)
        Numbers of the most probable classes; `NO_CLASS` where there is no proposal.
    certainty : numpy.ndarray of float32, shape (images,)
        Probabilities of these classes; nan where there is no proposal.
    margin : numpy.ndarray of float32, shape (images,)
        By how much the most probable class is more probable than the second one, for a
        model that is regularized less; nan as above.
    """

    classes: np.ndarray
    certainty: np.ndarray
    margin: np.ndarray


def no_proposals(n_images: int) -> Proposals:
    """Proposals for no image."""
    unknown = np.full(n_images, np.nan, dtype=np.float32)
    return Proposals(np.full(n_images, NO_CLASS), unknown, unknown.copy())


class QuickModel:
    """
    Multinomial logistic regression on points.

    It starts from its last coefficients as long as the classes are the same.

    Parameters
    ----------
    points : Points
        All images.
    """

    def __init__(self, points: Points):
        self._points = points
        self._proposing = _Regression(PROPOSING)
        self._choosing = _Regression(CHOOSING)

    def propose(self, labels: np.ndarray) -> Proposals:
        """
        Train on the images with a class, and propose classes for all.

        Parameters
        ----------
        labels : numpy.ndarray of int, shape (images,)
            Numbers of classes; `NO_CLASS` where there is none.

        Returns
        -------
        Proposals
            None for any image as long as there are fewer than two classes.
        """
        points, is_usable = self._points.values, self._points.usable
        rows = np.flatnonzero((labels != NO_CLASS) & is_usable)
        if len(np.unique(labels[rows])) < 2:
            return no_proposals(len(labels))
        rows = _sample(rows, labels[rows])
        known = points[rows], labels[rows]
        numbers, found = self._proposing(*known, points)
        _, others = self._choosing(*known, points)
        others = np.partition(others, -2, axis=1)
        margin = others[:, -1] - others[:, -2]
        return Proposals(
            np.where(is_usable, numbers[found.argmax(axis=1)], NO_CLASS),
            np.where(is_usable, found.max(axis=1), np.nan).astype(np.float32),
            np.where(is_usable, margin, np.nan).astype(np.float32),
        )


class _Regression:
    """Logistic regression with an inverse strength of regularization."""

    def __init__(self, strength: float):
        self._strength = strength
        self._model: LogisticRegression | None = None
        self._classes: tuple[int, ...] = ()

    def __call__(
        self, points: np.ndarray, labels: np.ndarray, others: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Train; give the classes, and their probabilities for other points."""
        classes = tuple(np.unique(labels).tolist())
        if self._model is None or classes != self._classes:
            self._classes = classes
            self._model = LogisticRegression(
                C=self._strength, max_iter=MAX_ITERATIONS, warm_start=True
            )
        with warnings.catch_warnings():
            # It goes on from there the next time.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(points, labels)
        return self._model.classes_, self._model.predict_proba(others)


def _sample(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """At most `MOST_TRAINED` rows, from all classes alike."""
    if len(rows) <= MOST_TRAINED:
        return rows
    order = np.random.default_rng(0).permutation(len(rows))
    ranks = np.empty(len(rows), dtype=int)
    for number in np.unique(labels):
        own = order[labels[order] == number]
        ranks[own] = np.arange(len(own))
    return rows[np.sort(np.argsort(ranks, kind="stable")[:MOST_TRAINED])]
