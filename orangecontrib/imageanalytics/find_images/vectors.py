"""Vectors of the images of a table: those that it has, and computed ones."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from Orange.data import Domain, Table, Variable
from scipy import sparse

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.engine.unit_length import normalise
from orangecontrib.imageanalytics.errors import ImageAnalyticsError, ModelError
from orangecontrib.imageanalytics.find_images.choice import vector_columns
from orangecontrib.imageanalytics.find_images.query import Query
from orangecontrib.imageanalytics.images.sources import (
    column_sources,
    image_column,
    source_of,
)
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec, NetworkReference

# Copied at once, so that vectors are not held as float64 a second time.
ROWS_AT_ONCE = 1000
# Examples that an error names.
_NAMED = 3


class ExamplesError(ImageAnalyticsError):
    """None of the examples can be embedded.

    Parameters
    ----------
    failures : dict of str to str
        Their sources, and the reasons.
    """

    def __init__(self, failures: dict[str, str]):
        named = [f"{source}: {failures[source]}" for source in list(failures)[:_NAMED]]
        if len(failures) > _NAMED:
            named.append(f"and {len(failures) - _NAMED} more")
        super().__init__(f"No example can be used: {'; '.join(named)}")
        self.failures = failures


@dataclass
class ImageVectors:
    """Vectors of unit length, so that a query takes one product.

    Attributes
    ----------
    compute : EmbedImages
        How they are computed, for columns.
    vectors : numpy.ndarray
        float32, shape (n vectors, n_features), each of unit length.
    rows : numpy.ndarray
        int, shape (n images,): the row of `vectors` for each image, -1 where it has
        none.
    """

    compute: EmbedImages
    vectors: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def scores(self, query: Query) -> np.ndarray:
        """Score the images.

        Returns
        -------
        numpy.ndarray
            float32, shape (n images,); nan for images without a vector.

        Raises
        ------
        ValueError
            When the query's vectors have another length.
        """
        return spread(self.rows, query.scores(self.vectors))

    def of_rows(self, rows: Sequence[int]) -> np.ndarray:
        """Vectors of some images, for use as examples.

        Parameters
        ----------
        rows : sequence of int
            Rows of the table. Those without a vector are left out.

        Returns
        -------
        numpy.ndarray
            float32, shape (n examples, n_features).
        """
        places = self.rows[np.asarray(rows, int)]
        return self.vectors[places[places >= 0]]


def spread(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of images, from those of their vectors.

    Parameters
    ----------
    rows : numpy.ndarray
        int, shape (n images,): as `ImageVectors.rows`.
    values : numpy.ndarray
        Shape (n vectors, ...).

    Returns
    -------
    numpy.ndarray
        Of the type of the values, shape (n images, ...); nan where there is no vector.
    """
    spread = np.full((len(rows), *values.shape[1:]), np.nan, values.dtype)
    has_vector = rows >= 0
    spread[has_vector] = values[rows[has_vector]]
    return spread


class LazyEmbedder:
    """Embeds images, but only those that have no vector in their table.

    The network is loaded when it is first needed. Use it as a context manager, or
    close it. Only one thread may use it at a time.

    Parameters
    ----------
    spec : EmbeddingSpec
        From `choose_spec`.
    device, batch_size, use_cache, may_download, engine
        As for `Embedder`.
    """

    def __init__(
        self,
        spec: EmbeddingSpec,
        device: str = "auto",
        batch_size: int | None = None,
        use_cache: bool = True,
        may_download: bool = True,
        engine: str = "auto",
    ):
        self.spec = spec
        self._options = (device, batch_size, use_cache, may_download, engine)
        self._may_download = may_download
        self._embedder: Embedder | None = None

    def __enter__(self) -> LazyEmbedder:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Release the memory that the network takes."""
        if self._embedder is not None:
            self._embedder.close()

    def table(
        self,
        table: Table,
        column: str | Variable | None = None,
        callback=None,
        cancelled: threading.Event | None = None,
        failures: dict[str, str] | None = None,
    ) -> ImageVectors:
        """Vectors of the images of a table.

        Parameters
        ----------
        table : Table
            If it has columns with vectors of this spec, they are used. Images without
            vectors there are embedded.
        column : str or Variable, optional
            The column of images; by default the first.
        callback : callable, optional
            Called in this thread with the fraction done. An exception that it raises
            stops the work; finished vectors stay in the cache.
        cancelled : threading.Event, optional
            Stops the work when set.
        failures : dict, optional
            Filled during the call with sources and why they have no vector.

        Raises
        ------
        Cancelled
            When `cancelled` was set.
        ModelError
            When the network is needed but cannot be used.
        ValueError
            When there is no such column. When the vectors in the table have another
            length than those of this spec.
        """
        column = image_column(table, column)
        vectors, rows = self._known(table, column)
        sources = column_sources(table, column)
        unknown = np.flatnonzero(rows < 0)
        if any(sources[row] for row in unknown):
            new, places = self._embed(
                [sources[row] for row in unknown], callback, cancelled, failures
            )
            rows[unknown] = np.where(places < 0, -1, places + len(vectors))
            vectors = _joined(vectors, new)
        return ImageVectors(EmbedImages.of(self.spec, column.name), vectors, rows)

    def examples(
        self,
        like: Table | str | os.PathLike | Iterable[str | os.PathLike],
        callback=None,
        cancelled: threading.Event | None = None,
        failures: dict[str, str] | None = None,
        column: str | Variable | None = None,
    ) -> np.ndarray:
        """Vectors of examples.

        Parameters
        ----------
        like : Table, path-like, or iterable of path-like
            Rows of a table with a column of images, whose vectors are used as those of
            `table`; or paths and addresses of images.
        callback, cancelled, failures
            As for `table`. Examples that cannot be embedded are left out.
        column : str or Variable, optional
            The column of images; by default the first.

        Returns
        -------
        numpy.ndarray
            float32, shape (n examples, n_features), each of unit length. Missing
            values are left out.

        Raises
        ------
        ExamplesError
            When there are examples, and none of them can be embedded.
        Cancelled, ModelError, ValueError
            As `table`.
        """
        failures = {} if failures is None else failures
        failed: dict[str, str] = {}
        try:
            if isinstance(like, Table):
                found = self.table(like, column, callback, cancelled, failed)
                vectors, rows = found.vectors, found.rows
            else:
                vectors, rows = self._files(like, callback, cancelled, failed)
        finally:
            failures.update(failed)
        if failed and not (rows >= 0).any():
            raise ExamplesError(failed)
        return vectors[rows[rows >= 0]]

    def _files(self, like, callback, cancelled, failures):
        paths = [like] if isinstance(like, str | os.PathLike) else like
        sources = [source_of(path) for path in paths]
        if not any(sources):
            return np.empty((0, 0), np.float32), np.full(len(sources), -1)
        return self._embed(sources, callback, cancelled, failures)

    def _embed(self, sources, callback, cancelled, failures):
        """As `Embedded.of_unit_length`."""
        if self._embedder is None:
            self._embedder = Embedder(self._found(callback), *self._options)
        embedded = self._embedder(sources, callback, cancelled, failures)
        return embedded.of_unit_length

    def _found(self, callback) -> EmbeddingSpec:
        """The spec with its network, which may be downloaded first."""
        reference = self.spec.network
        if not isinstance(reference, NetworkReference):
            return self.spec
        try:
            return self.spec.found()
        except ModelError:
            # Those of files are elsewhere.
            if not self._may_download or reference.about:
                raise
        find_network(reference.id).ensure_weights(callback)
        return self.spec.found()

    def _known(self, table: Table, column: Variable) -> tuple[np.ndarray, np.ndarray]:
        """The vectors that the table has, and the row of each image's."""
        rows = np.full(len(table), -1)
        variables = self._variables(table, column)
        vectors = np.empty((0, len(variables)), np.float32)
        if variables:
            vectors = _values(table, variables)
            has_vector = ~np.isnan(vectors).any(axis=1)
            rows[has_vector] = np.arange(has_vector.sum())
            if not has_vector.all():
                vectors = vectors[has_vector]
            normalise(vectors)
        return vectors, rows

    def _variables(self, table, column) -> list[Variable]:
        spec = self.spec.portable()
        if spec.network.fingerprint is not None:
            for compute, variables in vector_columns(table, column).items():
                if compute.spec == spec:
                    return variables
        return []


def _joined(known: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Vectors that a table has and further ones, of which there may be none."""
    parts = [vectors for vectors in (known, new) if len(vectors)]
    return np.concatenate(parts) if len(parts) > 1 else (*parts, new)[0]


def _values(table: Table, variables: list[Variable]) -> np.ndarray:
    """Values of numeric columns as float32; shape (n rows, n columns)."""
    domain = Domain(variables)
    values = np.empty((len(table), len(variables)), np.float32)
    for start in range(0, len(table), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        X = table[part].transform(domain).X
        values[part] = X.toarray() if sparse.issparse(X) else X
    return values
