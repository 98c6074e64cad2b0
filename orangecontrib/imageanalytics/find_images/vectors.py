"""Vectors of the images of a table: those that it has, and computed ones."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.find_images.query import Query
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec


def choose_spec(
    table: Table | None = None,
    column: str | Variable | None = None,
    model: str | Network | None = None,
    layer: str | None = None,
    words: bool = False,
) -> EmbeddingSpec:
    """Choose how images are embedded; fast, and nothing is downloaded.

    If the table has vectors of the chosen network, they are used, with all their
    options. Without a model, that is the network whose vectors the table has, or
    else the default network; for words, one that knows words.

    Parameters
    ----------
    table : Table, optional
    column : str or Variable, optional
        Its column of images; by default the first.
    model : str, path-like or Network, optional
        As for `find_network`.
    layer : str, optional
        By default that of the vectors that the table has, or the network's own. For
        words, it is always the one that images share with words.
    words : bool
        Whether images are also compared to texts.

    Returns
    -------
    EmbeddingSpec
        Its `network` is a `NetworkReference` if the vectors in the table were made
        with a network that is not on this computer.

    Raises
    ------
    ValueError
        When there is no such model or column. For words, when the model does not know
        words; the message names those that do.
    ModelError
        When a file cannot be used.
    """


@dataclass
class ImageVectors:
    """Vectors of unit length, so that each query takes one product.

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

    def of_rows(self, rows) -> np.ndarray:
        """Vectors of some images, for use as examples; those without one are left out.

        Parameters
        ----------
        rows : sequence of int
            Rows of the table.
        """


class LazyEmbedder:
    """Embeds images, but only those that have no vector in their table.

    The network is loaded when it is first needed. Use it as a context manager, or
    close it.

    Parameters
    ----------
    spec : EmbeddingSpec
        From `choose_spec`.
    device : str
        As for `ImageEmbedder`.
    use_cache : bool
        Whether to keep vectors on disk and use the vectors that are kept there.
    may_download : bool
        Whether the weights may be downloaded if they are needed.
    """

    def __init__(
        self,
        spec: EmbeddingSpec,
        device: str = "auto",
        use_cache: bool = True,
        may_download: bool = True,
    ):
        self.spec = spec

    def __enter__(self) -> LazyEmbedder:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Release the memory that the network takes."""

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
            Its columns with vectors of this embedder's spec are used. Images without
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
            When there is no such column.
        """

    def examples(
        self,
        like: Table | str | list[str],
        callback=None,
        cancelled: threading.Event | None = None,
        failures: dict[str, str] | None = None,
    ) -> np.ndarray:
        """Vectors of examples.

        Parameters
        ----------
        like : Table, path-like, or iterable of path-like
            Rows of a table with a column of images, or paths and addresses of images.
        callback, cancelled, failures
            As for `table`. Examples that cannot be embedded are left out.

        Returns
        -------
        numpy.ndarray
            float32, shape (n examples, n_features), each of unit length. Missing
            values are left out.

        Raises
        ------
        ExamplesError
            When none of the examples can be embedded.
        Cancelled, ModelError, ValueError
            As for `table`.
        """
