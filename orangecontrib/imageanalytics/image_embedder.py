"""Embedding of images: from paths, URLs or an Orange table to vectors.

The scripting half of the widget Image Embedding.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import warnings

import numpy as np
from Orange.data import ContinuousVariable, Domain, Table, Variable
from Orange.data.util import get_unique_names
from scipy import sparse

from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.images.sources import (
    column_sources,
    image_columns,
    source_of,
)
from orangecontrib.imageanalytics.networks import preprocessing
from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    NETWORKS,
    find_network,
)

__all__ = [
    "MODELS",
    "Cancelled",
    "ImageEmbedder",
    "ModelError",
    "cache_info",
    "clear_cache",
]

# What scripts for earlier versions of the add-on read.
MODELS = {
    network.id: {
        "name": network.name,
        "description": network.description,
        "target_image_size": (network.input_size, network.input_size),
        "layers": [network.layer],
        "order": order,
        "is_local": True,
        "batch_size": None,  # as suits the device
    }
    for order, network in enumerate(NETWORKS)
}


class ImageEmbedder:
    """Turns images into vectors with a pretrained network, on this computer.

    Parameters
    ----------
    model : str, optional
        A key of `MODELS`.
    device : str, optional
        ``"auto"``: a CUDA GPU, else Apple's, else the CPU. Or as torch names
        devices: ``"cpu"``, ``"cuda:1"``, ``"mps"``.
    batch_size : int, optional
        Pictures that go through the network at once; by default as suits the
        device. It does not change the vectors.
    precision : {"float32", "float16", "bfloat16"}, optional
        By default float16 on a GPU and float32 on the CPU.
    cache : bool, optional
        Whether to keep vectors on disk and to use those kept.
    server_url : str, optional
        Of no effect: nothing is sent anywhere. Deprecated.

    Attributes
    ----------
    failures : dict of str to str
        After a call: path or URL to the reason why it could not be embedded. Paths
        are joined to the column's origin; file URLs are paths here.
    statistics : Statistics or None
        After a call: numbers of pictures, seconds, device.

    Raises
    ------
    ValueError
        When there is no such model; when there is no such device or precision, at
        the first use.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    >>> with ImageEmbedder() as embedder:
    ...     vectors = embedder(["a.jpg", "b.jpg"])
    """

    def __init__(
        self,
        model: str = DEFAULT,
        device: str = "auto",
        batch_size: int | None = None,
        precision: str | None = None,
        cache: bool = True,
        server_url: str | None = None,
    ):
        device = "auto" if device is None else str(device)
        if "://" in device:  # the second argument of earlier versions
            device, server_url = "auto", device
        if server_url is not None:
            warnings.warn(
                "server_url is ignored: images are embedded on this computer",
                DeprecationWarning,
                stacklevel=2,
            )
        if batch_size is not None and (batch_size < 1 or batch_size % 1):
            raise ValueError("batch_size should be a whole number, at least 1")
        self.model = model
        self.failures: dict[str, str] = {}
        self.statistics = None
        self._network = find_network(model)
        self._options = {
            "device": device,
            "batch_size": batch_size,
            "precision": precision,
        }
        self._use_cache = cache
        self._runner = None
        self._running: set[threading.Event] = set()

    def __enter__(self) -> ImageEmbedder:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Give back the memory that the network takes."""
        self._runner = None

    def cancel(self) -> None:
        """Stop the call that is running in another thread, within a second.

        That call raises `Cancelled`; the vectors that it has finished are in the
        cache. While torch is being imported, at the first call, it is not heard
        before that is done.
        """
        for cancelled in list(self._running):
            cancelled.set()

    @contextlib.contextmanager
    def _stoppable(self):
        """What `cancel` sets from now on."""
        cancelled = threading.Event()
        self._running.add(cancelled)
        try:
            yield cancelled
        finally:
            self._running.discard(cancelled)

    @staticmethod
    def available(model: str = DEFAULT) -> bool:
        """Whether a network's weights are on this computer; asks no network."""
        return find_network(model).available()

    @staticmethod
    def download(model: str = DEFAULT, callback=None) -> None:
        """Fetch the weights of a network, unless they are here.

        Parameters
        ----------
        model : str
            A key of `MODELS`.
        callback : callable, optional
            Called with the fraction done, 0 to 1; what it raises stops the
            download.

        Raises
        ------
        ModelError
            When they cannot be fetched; says how to put them there by hand.
        """
        network = find_network(model)
        network.weights.ensure(network.name, callback)

    def is_local_embedder(self) -> bool:
        """True: every network runs on this computer."""
        return True

    def clear_cache(self) -> None:
        """Forget the vectors of this network."""
        with VectorCache() as cache:
            for precision in ("float32", "float16", "bfloat16"):
                cache.clear(self._space(precision))

    def load(self, callback=None) -> None:
        """Load the network, which otherwise happens at the first call.

        Parameters
        ----------
        callback : callable, optional
            Called with the fraction of a download that is done.

        Raises
        ------
        ModelError
            When the weights cannot be had.
        ValueError
            When the device cannot be used.
        """
        from orangecontrib.imageanalytics.engine.runner import Runner

        if self._runner is None:
            self._runner = Runner(self._network, callback=callback, **self._options)

    @property
    def device(self) -> str:
        """The device in use, for people; loads the network."""
        self.load()
        return self._runner.device_name

    def __call__(
        self,
        data: Table | list[str] | np.ndarray,
        col: str | Variable | None = None,
        callback=None,
    ):
        """Embed images.

        Parameters
        ----------
        data : Table, or list or array of str
            Images are named by absolute or relative paths or by http(s), ftp,
            file or data URLs. Missing names are allowed: None, nan, blank.
        col : str or Variable, optional
            The column of a table that holds them, string or categorical; by
            default the first meta marked as images, else the first that could
            be. If the column has the attribute ``origin``, relative names are
            relative to it.
        callback : callable, optional
            Called in this thread with the fraction done, 0 to 1. What it raises
            stops the work; what is finished stays in the cache.

        Returns
        -------
        embedded : Table or None
            For a table: its embedded rows with the columns ``n0`` ... appended
            to the attributes; None if there are none.
        skipped : Table or None
            For a table: the other rows; None if there are none.
        n_skipped : int
            For a table: their number.
        vectors : list of (numpy.ndarray or None)
            For paths, instead of the above: float32 vectors, shape
            (n_features,), or None where a picture could not be embedded.

        Raises
        ------
        Cancelled
            When stopped by `cancel`.
        ModelError
            When the network's weights cannot be had.
        ValueError
            When the table has no such column.
        """
        if isinstance(data, Table):
            return self.from_table(data, col, callback)
        if not isinstance(data, list | tuple | np.ndarray):
            raise TypeError(
                f"data should be a Table or a list of paths, not {type(data).__name__}"
            )
        with self._stoppable() as cancelled:
            return self._embed(map(source_of, data), callback, cancelled)

    def from_table(
        self, data: Table, col: str | Variable | None = "image", callback=None
    ) -> tuple[Table | None, Table | None, int]:
        """Embed the images of a table: as a call with a table."""
        with self._stoppable() as cancelled:
            if col is None:
                columns = image_columns(data)
                if not columns:
                    raise ValueError("The table has no column that could name images")
                col = columns[0]
            vectors = self._embed(column_sources(data, col), callback, cancelled)
            return self.prepare_output_data(data, vectors)

    @staticmethod
    def prepare_output_data(
        input_data: Table, embeddings_: list[np.ndarray | None]
    ) -> tuple[Table | None, Table | None, int]:
        """Split a table by whether its images have vectors.

        Parameters
        ----------
        input_data : Table
        embeddings_ : list of (numpy.ndarray or None)
            A vector, shape (n_features,), for each row, or None.

        Returns
        -------
        embedded, skipped, n_skipped
            As a call with a table.
        """
        embedded = np.array([vector is not None for vector in embeddings_], bool)
        n_skipped = int((~embedded).sum())
        skipped = None
        if n_skipped:
            skipped = input_data[~embedded]
            skipped.name = "Skipped images"
        if n_skipped == len(input_data):
            return None, skipped, n_skipped
        rows = input_data[embedded] if n_skipped else input_data
        vectors = np.stack([vector for vector in embeddings_ if vector is not None])
        table = ImageEmbedder.construct_output_data_table(rows, vectors)
        table.name = "Embedded images"
        return table, skipped, n_skipped

    @staticmethod
    def construct_output_data_table(
        embedded_images: Table, embeddings_: np.ndarray
    ) -> Table:
        """Append vectors to the attributes of a table.

        Parameters
        ----------
        embedded_images : Table
        embeddings_ : numpy.ndarray
            Shape (n rows, n_features).

        Returns
        -------
        Table
            Of the same class, with the further attributes ``n0`` ...
        """
        domain = embedded_images.domain
        names = [f"n{index}" for index in range(embeddings_.shape[1])]
        new = [ContinuousVariable(name) for name in get_unique_names(domain, names)]
        for variable in new:
            # Keeps them out of the long lists in which attributes are chosen.
            variable.attributes["hidden"] = True
        n_old = len(domain.attributes)
        table = embedded_images.transform(
            Domain((*domain.attributes, *new), domain.class_vars, domain.metas)
        )
        if sparse.issparse(table.X):
            with table.unlocked_reference():
                table.X = sparse.hstack((table.X[:, :n_old], embeddings_), "csr")
        else:
            with table.unlocked(table.X):
                table.X[:, n_old:] = embeddings_
        return table

    def _embed(self, values, callback, cancelled) -> list[np.ndarray | None]:
        from orangecontrib.imageanalytics.engine.pipeline import Run

        self.failures, self.statistics = {}, None
        callback = callback or (lambda _fraction: None)

        def look(_fraction=0.0):
            if cancelled.is_set():
                raise Cancelled
            callback(0)

        sources = list(values)
        look()
        self.load(look)
        look()
        with VectorCache() if self._use_cache else contextlib.nullcontext() as cache:
            run = Run(
                runner=self._runner,
                n_features=self._network.n_features,
                space=self._space,
                cache=cache,
                callback=callback,
                cancelled=cancelled,
                failures=self.failures,
            )
            result = run(sources)
        self.statistics = result.statistics
        return [result.vectors[row] if row >= 0 else None for row in result.rows]

    def _space(self, precision: str) -> bytes:
        """Key of the vectors in the cache: all that they depend on but pixels."""
        parts = (
            preprocessing.VERSION,
            self._network.id,
            self._network.layer,
            self._network.weights.fingerprint,
            self._network.preprocessing,
            precision,
        )
        return hashlib.sha256(repr(parts).encode()).digest()[:16]


def clear_cache() -> None:
    """Drop all vectors that are kept on disk.

    Raises
    ------
    OSError
        When that cannot be done.
    """
    with VectorCache() as cache:
        cache.clear()


def cache_info() -> dict:
    """About the vectors that are kept on disk.

    Returns
    -------
    dict
        ``folder``, ``bytes`` used, ``entries`` and ``limit`` in bytes.
    """
    with VectorCache() as cache:
        return cache.info()
