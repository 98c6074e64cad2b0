"""What a session learns from the vectors of a table."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from orangecontrib.imageanalytics.labels.orders import Orders
from orangecontrib.imageanalytics.labels.quick_model import (
    Proposals,
    QuickModel,
    no_proposals,
    reduced,
)


@dataclass(frozen=True)
class Lesson:
    """
    What was learned from labels.

    Attributes
    ----------
    proposals : Proposals
    order : numpy.ndarray of int, shape (images,)
        All images, in the order in which to show them.
    """

    proposals: Proposals
    order: np.ndarray


class Teacher:
    """
    Learns from labels which classes other images have, and which to show next.

    Vectors are reduced at the first call. Safe to call from several threads, which
    wait for each other.

    Parameters
    ----------
    vectors : numpy.ndarray, scipy.sparse matrix or None
        Shape (rows, features); None if there are none.
    rows : numpy.ndarray of int, shape (images,)
        The rows of the images.
    seed : int
        Of the random order.

    Examples
    --------
    >>> teacher = Teacher(table.X, np.arange(len(table)))
    >>> lesson = teacher(session.labels, "uncertain")
    >>> lesson.proposals.classes[lesson.order[0]]
    """

    def __init__(self, vectors, rows: np.ndarray, seed: int = 0):
        self._vectors, self._rows, self._seed = vectors, rows, seed
        self._lock = threading.Lock()
        self._model: QuickModel | None = None
        self._orders: Orders | None = None

    def __call__(
        self,
        labels: np.ndarray,
        order: str,
        reference: int | None = None,
        callback: Callable[[float], None] = lambda _fraction: None,
    ) -> Lesson:
        """
        Learn.

        Parameters
        ----------
        labels : numpy.ndarray of int, shape (images,)
            Numbers of classes; `NO_CLASS` where there is none.
        order, reference
            As for `Orders`.
        callback : callable
            Receives the fraction that is done; may raise an exception to stop.

        Returns
        -------
        Lesson

        Raises
        ------
        MemoryError
        """
        # On a busy computer, threads that wait for each other take ten times as long.
        with self._lock, threadpool_limits(1):
            callback(0)
            if self._orders is None:
                self._prepare(callback)
            proposals = no_proposals(len(labels))
            if self._model is not None:
                proposals = self._model.propose(labels)
            callback(1)
            return Lesson(proposals, self._orders(order, labels, proposals, reference))

    def _prepare(self, callback) -> None:
        points = None
        if self._vectors is not None and self._vectors.shape[1]:
            vectors = self._vectors
            if len(self._rows) != vectors.shape[0]:
                vectors = vectors[self._rows]
            points = reduced(vectors, callback)
            if not points.usable.any():
                points = None
        self._vectors = None
        if points is not None:
            self._model = QuickModel(points)
        self._orders = Orders(points, len(self._rows), self._seed)
