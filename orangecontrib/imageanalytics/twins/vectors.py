"""The vectors of images in a table, and how far apart they usually are."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
from Orange.data import Table, Variable
from scipy import sparse

from orangecontrib.imageanalytics.embedding_columns import (
    NUMBERED,
    EmbeddingFeature,
)
from orangecontrib.imageanalytics.engine.unit_length import normalise
from orangecontrib.imageanalytics.twins.groups import first_of_each
from orangecontrib.imageanalytics.twins.neighbours import projected

#: Below, a median is that of data in which nearly all images are twins.
LEAST_MEDIAN = 0.05
_SAMPLE = 1000  # vectors whose distances are computed for the median
_LEAST_NAMED = 16  # columns, so that they are taken for vectors


class NoVectorsError(ValueError):
    """A table has no vectors that could be compared."""


class Vectors:
    """
    The vectors in some columns of a table.

    Parameters
    ----------
    table : Orange.data.Table
    columns : list of Variable
        Attributes of the table.

    Attributes
    ----------
    rows : numpy.ndarray of int, shape (n,)
        Rows with a vector, that is, without missing values and not all zero.
    units : numpy.ndarray of float32, shape (n, n_columns)
        Their vectors, of length 1.
    median : float
        The median cosine distance of two of them, at least `LEAST_MEDIAN`.
    """

    def __init__(self, table: Table, columns: list[Variable]):
        X = table.X
        if len(columns) < len(table.domain.attributes):
            X = X[:, [table.domain.index(column) for column in columns]]
        X = (X.toarray() if sparse.issparse(X) else X).astype(np.float32)
        # Divided by these, since squares of float32 may be infinite.
        largest = np.abs(X).max(axis=1, initial=0)
        self.rows = np.flatnonzero(np.isfinite(largest) & (largest > 0))
        self.units = X[self.rows] / largest[self.rows, None]
        normalise(self.units)
        self._place = np.full(len(table), -1)
        self._place[self.rows] = np.arange(len(self.rows))
        self.median = max(self._median(), LEAST_MEDIAN)

    def _median(self) -> float:
        n = len(self.units)
        if n < 2:
            return 0.0
        chosen = np.random.default_rng(0).permutation(n)[:_SAMPLE]
        units = self.units[chosen]
        cosines = units @ units.T
        return float(np.median(1 - cosines[np.triu_indices(len(units), 1)]))

    @cached_property
    def keys(self) -> list[bytes | None]:
        """For each row of the table, what is equal for equal vectors."""
        keys: list[bytes | None] = [None] * len(self._place)
        for row, unit in zip(self.rows.tolist(), self.units, strict=True):
            # Not the vector itself, which would take its memory once more
            keys[row] = hashlib.sha256(unit).digest()
        return keys

    @cached_property
    def distinct(self) -> np.ndarray:
        """The first row with each vector; int, shape (n distinct,)."""
        return first_of_each(self.keys)

    def distinct_units(self) -> np.ndarray:
        """The rows of `units` for those of `distinct`."""
        if len(self.distinct) == len(self.units):
            return self.units
        return self.units[self._place[self.distinct]]

    @cached_property
    def distinct_points(self) -> np.ndarray:
        """They, `projected`: the same for all thresholds."""
        return projected(self.distinct_units())

    def distances(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Cosine distances of pairs of rows; infinite without both vectors."""
        places = self._place[first], self._place[second]
        found = np.full(len(first), np.inf)
        for pair in np.flatnonzero((places[0] >= 0) & (places[1] >= 0)).tolist():
            one, other = self.units[places[0][pair]], self.units[places[1][pair]]
            found[pair] = max(0.0, 1 - float(one @ other))
        return found


def embedded_columns(table: Table) -> list[Variable]:
    """The attributes of a table that hold vectors of images, by what is known of them.

    Other attributes may be anything, such as widths and heights.
    """
    attributes = [var for var in table.domain.attributes if var.is_continuous]
    known = [v for v in attributes if isinstance(v.compute_value, EmbeddingFeature)]
    if known:
        return known
    named = [variable for variable in attributes if NUMBERED.fullmatch(variable.name)]
    return named if len(named) >= _LEAST_NAMED else []
