"""What a model makes of the vectors of an image, whatever it was trained on."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
from Orange.base import Model
from Orange.data import Domain, StringVariable, Table, Variable
from scipy import sparse

from orangecontrib.imageanalytics.embedding_columns import (
    EmbeddingFeature,
    EmbedImages,
    substituted,
)
from orangecontrib.imageanalytics.engine.results import Embedded, Statistics

# Rows that a model sees at once; Orange divides tables of more than 5000.
ROWS_AT_ONCE = 500
# Allowed difference of a linear function, as a fraction of the range of its values.
_TOLERANCE = 1e-4


class _AllZero:
    """Stands in for vectors of any length."""

    def __init__(self, n_rows: int):
        self._zeros = np.zeros(n_rows)

    def feature(self, _index: int) -> np.ndarray:
        return self._zeros


def find_embeddings(variables: list[Variable]) -> list[EmbedImages]:
    """The embeddings from which columns are computed, in whatever way.

    Parameters
    ----------
    variables : list of Variable
        Such as the attributes of a model's domain.

    Returns
    -------
    list of EmbedImages
        In the order of the columns, without repetitions.
    """
    found: dict[EmbedImages, None] = {}

    def note(compute: EmbedImages, n_rows: int) -> _AllZero:
        found[compute] = None
        return _AllZero(n_rows)

    # There is no other way to ask them than to compute them.
    nothing = Table.from_list(Domain([], metas=[StringVariable("-")]), [[""]])
    with (
        substituted(note),
        warnings.catch_warnings(),
        contextlib.suppress(Exception),  # of other columns, which have no values here
    ):
        warnings.simplefilter("ignore")
        nothing.transform(Domain(variables))
    return list(found)


def table_embeddings(table: Table) -> list[EmbedImages]:
    """The embeddings whose vectors are attributes of a table."""
    found = {
        variable.compute_value.compute_shared: None
        for variable in table.domain.attributes
        if isinstance(variable.compute_value, EmbeddingFeature)
    }
    return list(found)


def _without(table: Table, compute: EmbedImages) -> Table:
    """A table without what is computed from an embedding.

    Otherwise Orange would take the values of such columns as they are. Classes become
    metas, since models treat those of other data in a special way.
    """

    def is_kept(variable):
        value = variable.compute_value
        if value is None:
            return True
        if isinstance(value, EmbeddingFeature):
            return value.compute_shared != compute
        return compute not in find_embeddings([variable])

    domain = table.domain
    attributes = [variable for variable in domain.attributes if is_kept(variable)]
    metas = [
        variable
        for variable in (*domain.class_vars, *domain.metas)
        if is_kept(variable)
    ]
    return table.transform(Domain(attributes, metas=metas))


class ExplainedModel:
    """A model as a function of the vectors of one image of a table.

    Parameters
    ----------
    model : Orange.base.Model
        A classifier or regressor whose columns are computed from vectors of images.
    table : Table
        Images; its other columns keep their values.

    Attributes
    ----------
    compute : EmbedImages
        The embedding of which vectors are taken; the first that the model uses.
    classes : tuple of str
        Names of the classes; empty for a regressor.

    Raises
    ------
    ValueError
        When the model does not use vectors of images, or has no single target.
    """

    def __init__(self, model: Model, table: Table):
        domain = getattr(model, "domain", None)
        if domain is None or len(domain.class_vars) != 1:
            raise ValueError("the model has to predict one class or number")
        embeddings = find_embeddings(list(domain.attributes))
        if not embeddings:
            raise ValueError(
                "the model was not trained on vectors of Image Embedding, so it is "
                "not known how images become what it uses"
            )
        self.model = model
        self.compute = embeddings[0]
        self.target = domain.class_var
        self.classes = tuple(self.target.values) if self.target.is_discrete else ()
        self._table = _without(table, self.compute)

    def results(self, rows: int | np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """What the model predicts if the images of rows had these vectors.

        Parameters
        ----------
        rows : int or numpy.ndarray
            One row for all vectors, or one for each.
        vectors : numpy.ndarray
            Shape (n, n_features).

        Returns
        -------
        numpy.ndarray
            Probabilities, shape (n, n_classes), or values, shape (n, 1).
        """
        what = Model.Probs if self.classes else Model.Value
        results = self._of_rows(rows, vectors, lambda data: self.model(data, what))
        return results.reshape(len(vectors), -1)

    def _of_rows(self, rows, vectors, function) -> np.ndarray:
        rows, parts = np.broadcast_to(rows, len(vectors)), []
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            several = slice(start, start + ROWS_AT_ONCE)
            part, copies = np.asarray(vectors[several]), self._table[rows[several]]
            with substituted(self._finder(part)):
                parts.append(np.asarray(function(copies), dtype=float))
        return np.concatenate(parts)

    def _finder(self, vectors):
        n_vectors = len(vectors)
        embedded = Embedded(vectors, np.arange(n_vectors), {}, Statistics())

        def find(compute: EmbedImages, n_rows: int) -> Embedded | None:
            return embedded if compute == self.compute and n_rows == n_vectors else None

        return find

    @property
    def has_coefficients(self) -> bool:
        """Whether it may be linear; `linear_weights` finds out."""
        return _linear_score(self.model, bool(self.classes)) is not None

    def linear_weights(self, row: int, vectors: np.ndarray) -> np.ndarray | None:
        """The weights of a model that is linear in the vectors, whatever scales them.

        They are those of the scores before they become probabilities.

        Parameters
        ----------
        row : int
            Any row with an image.
        vectors : numpy.ndarray
            Some real vectors, shape (n, n_features), with which it is tried.

        Returns
        -------
        numpy.ndarray or None
            Shape (n_features, n_classes or 1); None for other models.
        """
        score = _linear_score(self.model, bool(self.classes))
        if score is None:
            return None
        n_features = vectors.shape[1]
        unit = max(float(np.abs(vectors).max(initial=0)), 1e-6)
        mixed = vectors.mean(axis=0) - vectors

        def scores(points):
            return self._of_rows(row, points, score)

        constant = scores(np.zeros((1, n_features)))
        weights = np.concatenate(
            [
                scores(unit * np.eye(n_features)[start : start + ROWS_AT_ONCE])
                for start in range(0, n_features, ROWS_AT_ONCE)
            ]
        )
        weights = (weights - constant) / unit
        tried = np.concatenate([vectors, mixed])
        found, expected = tried @ weights + constant, scores(tried)
        scale = np.abs(expected - constant).max(initial=0) + np.abs(constant).max()
        if not np.abs(found - expected).max(initial=0) <= _TOLERANCE * scale:
            return None
        return weights


def _linear_score(model: Model, is_classifier: bool):
    """The function of a table that a linear model turns into its prediction."""
    inner = getattr(model, "skl_model", None)
    try:
        coefficients = inner.coef_
    except AttributeError:  # also of support vector machines that are not linear
        return None

    def transformed(data):
        attributes = model.data_to_model_domain(data).X
        return attributes.toarray() if sparse.issparse(attributes) else attributes

    if not is_classifier:
        return lambda data: inner.predict(transformed(data)).reshape(len(data), -1)
    if not hasattr(inner, "decision_function"):
        return None
    n_values = len(model.domain.class_var.values)
    classes = np.asarray(inner.classes_).astype(int)
    n_pairs = len(classes) * (len(classes) - 1) // 2
    by_pairs = hasattr(inner, "support_vectors_") and len(classes) > 2

    def score(data):
        X = transformed(data)
        scores = np.zeros((len(X), n_values))
        if by_pairs:
            dense = sparse.csr_matrix(coefficients).toarray()
            decisions = X @ dense.reshape(n_pairs, -1).T + inner.intercept_
            scores[:, classes] = _of_pairs(decisions, len(classes))
            return scores
        decisions = np.asarray(inner.decision_function(X))
        if decisions.ndim == 1:  # for the second class, against the first
            decisions = np.stack([-decisions, decisions], axis=1)
        scores[:, classes] = decisions
        return scores

    return score


def _of_pairs(decisions: np.ndarray, n_classes: int) -> np.ndarray:
    """Scores of classes: sums of the decisions between them and each other one."""
    scores = np.zeros((len(decisions), n_classes))
    column = 0
    for first in range(n_classes):
        for second in range(first + 1, n_classes):
            scores[:, first] += decisions[:, column]
            scores[:, second] -= decisions[:, column]
            column += 1
    return scores
