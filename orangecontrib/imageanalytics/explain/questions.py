"""What is asked about images: why a model says so, or why two are alike."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from orangecontrib.imageanalytics.explain.models import ExplainedModel


class Question(ABC):
    """A number that depends on the vector of an image, and of which parts are blamed.

    Attributes
    ----------
    classes : tuple of str
        Names of the targets that are explained; empty if there is only one.
    """

    classes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def may_be_linear(self) -> bool:
        """Whether it is worth asking for weights."""

    @abstractmethod
    def weights(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray | None:
        """How much each feature counts.

        Parameters
        ----------
        rows : numpy.ndarray
            int, shape (n,).
        vectors : numpy.ndarray
            Shape (n, n_features).

        Returns
        -------
        numpy.ndarray or None
            Shape (n, n_features); None if the number is not linear in the vectors.
        """

    @abstractmethod
    def targets(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """Which class is explained for each of some images; int, shape (n,)."""

    @abstractmethod
    def results(self, rows, vectors: np.ndarray, targets) -> np.ndarray:
        """The numbers, shape (n,); `rows` and `targets` may be one for all."""

    def name(self, target: int) -> str:
        """Name of the class; empty if there are no classes."""
        return self.classes[target] if self.classes else ""


class WhyPredicted(Question):
    """Which parts of images make a model predict what it predicts.

    Parameters
    ----------
    model : ExplainedModel
    target : str, optional
        The class to explain. By default, for each image the one that is predicted.

    Raises
    ------
    ValueError
        When there is no such class.
    """

    def __init__(self, model: ExplainedModel, target: str | None = None):
        if target is not None and target not in model.classes:
            known = ", ".join(model.classes) or "none: it predicts numbers"
            raise ValueError(f"'{target}' is not a class of the model, only: {known}")
        self._model = model
        self.classes = model.classes
        self._target = None if target is None else model.classes.index(target)
        self._weights: np.ndarray | None = None
        self._is_linear: bool | None = None

    def weights(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray | None:
        """As `Question.weights`."""
        if self._is_linear is None:
            self._weights = self._model.linear_weights(int(rows[0]), vectors)
            self._is_linear = self._weights is not None
        if not self._is_linear:
            return None
        return self._weights.T[self.targets(rows, vectors)]

    @property
    def may_be_linear(self) -> bool:
        """As `Question.may_be_linear`."""
        return self._model.has_coefficients and self._is_linear is not False

    def targets(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """As `Question.targets`."""
        if not self.classes:
            return np.zeros(len(vectors), int)
        if self._target is not None:
            return np.full(len(vectors), self._target)
        return np.argmax(self._model.results(rows, vectors), axis=1)

    def results(self, rows, vectors: np.ndarray, targets) -> np.ndarray:
        """As `Question.results`: probabilities, or predicted values."""
        results = self._model.results(rows, vectors)
        return results[np.arange(len(vectors)), targets]


class WhyAlike(Question):
    """Which parts of images raise the cosine similarity to another image.

    Parameters
    ----------
    other : numpy.ndarray
        The vector of that image, shape (n_features,).
    """

    may_be_linear = True

    def __init__(self, other: np.ndarray):
        self._direction = other / max(float(np.linalg.norm(other)), 1e-30)

    def weights(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """As `Question.weights`; the length of each vector is taken as given."""
        return self._direction / _lengths(vectors)

    def targets(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """As `Question.targets`."""
        return np.zeros(len(vectors), int)

    def results(self, rows, vectors: np.ndarray, targets) -> np.ndarray:
        """As `Question.results`: cosine similarities."""
        return (vectors / _lengths(vectors)) @ self._direction


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
