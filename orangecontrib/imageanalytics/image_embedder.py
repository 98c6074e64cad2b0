"""Embedding of images: from paths, URLs or an Orange table to vectors.

The scripting half of the widget Image Embedding.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from dataclasses import dataclass, field

import numpy as np
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.embedding_columns import (
    EmbedImages,
    append_vectors,
    split_by_vectors,
)
from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.engine.results import Statistics
from orangecontrib.imageanalytics.errors import (
    Cancelled,
    ModelError,
    TrustNeededError,
)
from orangecontrib.imageanalytics.images.sources import (
    column_sources,
    image_column,
    source_of,
)
from orangecontrib.imageanalytics.networks.about_networks import AboutNetworks
from orangecontrib.imageanalytics.networks.network import LOGITS, Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    NETWORKS,
    find_network,
)
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

__all__ = [
    "MODELS",
    "Cancelled",
    "ImageEmbedder",
    "ModelError",
    "TrustNeededError",
    "cache_info",
    "clear_cache",
]

# Names that scripts written for earlier versions import from here.
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


@dataclass
class _CallResult:
    """The failures and statistics of a call."""

    failures: dict[str, str]
    statistics: Statistics | None
    transient: set[str] = field(default_factory=set)


class _LastCall:
    """What the last call has left, for each thread its own."""

    def __init__(self):
        self._last = _CallResult({}, None)
        self._last_here = threading.local()

    @property
    def failures(self) -> dict[str, str]:
        """As for `ImageEmbedder`."""
        return self._result.failures

    @property
    def transient(self) -> set[str]:
        """As for `ImageEmbedder`."""
        return self._result.transient

    @property
    def statistics(self) -> Statistics | None:
        """As for `ImageEmbedder`."""
        return self._result.statistics

    @property
    def _result(self) -> _CallResult:
        """The result of this thread's last call, or of any thread's if it made none."""
        return getattr(self._last_here, "result", self._last)

    def _keep(self, result: _CallResult) -> None:
        self._last = self._last_here.result = result


class _EarlierMethods:
    """Methods that scripts for earlier versions of the add-on call."""

    def is_local_embedder(self) -> bool:
        """Always true, since every network runs on this computer."""
        return True

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
            The same as for a call with a table.
        """
        present = [vector for vector in embeddings_ if vector is not None]
        vectors = np.stack(present) if present else np.empty((0, 0))
        has_vector = np.array([vector is not None for vector in embeddings_], bool)
        rows = np.where(has_vector, np.cumsum(has_vector) - 1, -1)
        embedded, skipped = split_by_vectors(input_data, vectors, rows)
        return embedded, skipped, len(skipped) if skipped else 0

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
            A table of the same class, with the additional attributes ``n0`` ...
        """
        return append_vectors(embedded_images, embeddings_)


class ImageEmbedder(_LastCall, AboutNetworks, _EarlierMethods):
    """Turns images into vectors with a pretrained network, on this computer.

    Parameters
    ----------
    model : str, path-like or Network, optional
        A key of `MODELS`; ``"torchvision:NAME"``, ``"timm:NAME"`` or ``"clip:NAME"``
        for the networks of torchvision, timm and open_clip; or the path of a network
        of your own: a file
        ``.onnx``, ``.tflite`` or ``.xml`` (OpenVINO), a folder (SavedModel of
        TensorFlow, or as timm writes it), a file with the weights of an
        architecture, ``.pt2`` (saved by ``torch.export``) or TorchScript. Or what
        `networks.registry.find_network` gives for these.
    device : str, optional
        ``"auto"``: a CUDA GPU, else Apple's, else the CPU. Or as torch names
        devices: ``"cpu"``, ``"cuda:1"``, ``"mps"``.
    batch_size : int, optional
        Number of images that go through the network at once. The default depends
        on the device. It does not change the vectors.
    precision : {"float32", "float16", "bfloat16"}, optional
        The default on a GPU is float16. On the CPU, it is the shorter type for which
        the processor has instructions, if the vectors of this network stay the same
        (cosine similarity at least 0.999 on photos), otherwise float32.
    cache : bool, optional
        Whether to keep vectors on disk and use the vectors that are kept there.
    server_url : str, optional
        Deprecated. It has no effect: nothing is sent anywhere.
    layer : str, optional
        What becomes the vector: ``"penultimate"``, the input of the classifier;
        ``"logits"``, its scores before the softmax, in columns with the names of
        the classes; ``"joint"``, vectors of length 1 that can be compared with
        those of texts, if the network knows words; or the name of a stage (see
        `stages`) or of any other module, as it is when it first runs, averaged over
        positions. By default the penultimate layer; the logits of SqueezeNet, in
        columns ``n0`` ...; the joint vectors of networks that know words.
    fit : {"crop", "stretch", "pad"}, optional
        How an image fits into the square that the network sees: crop its middle,
        stretch the whole image, or add margins. The default is what the network
        was trained with; for most networks this is to crop.
    preprocessing : dict, optional
        The input that a network in a file expects, if no file beside it says so:
        ``size`` in pixels, ``mean`` and ``std`` on the scale 0 to 1, and
        ``channels``. For weights, also the ``architecture`` and ``classes``. See
        `networks.files.preparation`.
    intensity : "auto", "full" or (float, float), optional
        Which values become black and white in images of more than 8 bits. With
        ``"auto"``, these are the values that the file declares, or those between
        which nearly all of its values lie. With ``"full"``, they are the least and
        the greatest value that the file could hold. With two numbers, images can be
        compared by brightness; these also apply to images of 8 bits, on the scale
        0 to 255.
    engine : {"auto", "openvino", "torch"}, optional
        What runs the network. By default, this is OpenVINO on the CPU, and torch on
        GPUs and for networks that OpenVINO does not support. In single precision,
        their vectors agree to 1e-4.
    trust : bool, optional
        Whether you vouch for a file that can run any program when it is opened:
        ``.pt2`` and TorchScript. This computer remembers it for the file's present
        content. Other files need no trust.

    Attributes
    ----------
    failures : dict of str to str
        After a call: the path or URL of each image that could not be embedded, and
        the reason. Paths are joined to the column's origin; file URLs are given as
        paths. If several threads make calls, each sees the failures of its own last
        call.
    transient : set of str
        After a call: those of `failures` that another call might not have, such as
        those of a server that was busy. Threads see it like `failures`.
    statistics : Statistics or None
        After a call: numbers of images, seconds and device. Threads see it like
        `failures`.

    Raises
    ------
    ValueError
        When the model, fit or intensity does not exist. At the first use, when the
        device, precision, engine or layer does not exist.
    ModelError
        When the file of a network cannot be used.
    TrustNeededError
        At the first use, when the file can run code and you have not vouched for it.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    >>> with ImageEmbedder() as embedder:
    ...     vectors = embedder(["a.jpg", "b.jpg"])
    """

    def __init__(
        self,
        model: str | os.PathLike | Network = DEFAULT,
        device: str = "auto",
        batch_size: int | None = None,
        precision: str | None = None,
        cache: bool = True,
        server_url: str | None = None,
        *,
        layer: str | None = None,
        fit: str | None = None,
        preprocessing: Preprocessing | dict | None = None,
        intensity: str | tuple[float, float] | None = None,
        engine: str = "auto",
        trust: bool = False,
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
        super().__init__()
        self.model = model
        self._spec = EmbeddingSpec.choose(
            find_network(model, preprocessing, trust),
            layer,
            fit,
            precision=precision,
            intensity=intensity,
        )
        # SqueezeNet's columns are called n0 ... by default, as in earlier versions.
        self._name_classes = layer == LOGITS
        self._embedder = Embedder(
            self._spec, device, batch_size, use_cache=cache, engine=engine
        )
        self._running: set[threading.Event] = set()

    def __enter__(self) -> ImageEmbedder:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Release the memory that the network takes."""
        self._embedder.close()

    def cancel(self) -> None:
        """Stop the call that is running in another thread, within a second.

        That call raises `Cancelled`; the vectors that it has finished are in the
        cache. The first call may import torch, and stops only after that.
        """
        for cancelled in list(self._running):
            cancelled.set()

    @contextlib.contextmanager
    def _stoppable(self):
        """Create the event that `cancel` sets from now on."""
        cancelled = threading.Event()
        self._running.add(cancelled)
        try:
            yield cancelled
        finally:
            self._running.discard(cancelled)

    def clear_cache(self) -> None:
        """Forget the vectors of this network with this layer, fit and intensity."""
        self._embedder.clear_cache()

    def load(self, callback=None) -> None:
        """Load the network, which otherwise happens when it is first needed.

        Parameters
        ----------
        callback : callable, optional
            Called with the fraction of a download that is done.

        Raises
        ------
        ModelError
            When the weights are not available or do not work.
        ValueError
            When the device cannot be used or the layer does not exist.
        """
        self._embedder.runner.load(callback)

    def check_layer(self) -> None:
        """Check early, without weights, whether the network has the layer.

        The first check takes seconds. Networks in files are not checked.

        Raises
        ------
        ValueError
            When there is no such layer. The message names the stages.
        """
        self._embedder.check_layer()

    @property
    def device(self) -> str:
        """The device in use, as shown to the user."""
        return self._embedder.runner.device_name

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
            The column of a table with the names, string or categorical. By default,
            this is the first meta marked as images, or the first that could name
            images. If the column has the attribute ``origin``, relative names are
            relative to it.
        callback : callable, optional
            Called in this thread with the fraction done, 0 to 1. An exception that
            it raises stops the work; finished vectors stay in the cache.

        Returns
        -------
        embedded : Table or None
            For a table: its embedded rows with the columns ``n0`` ... appended
            to the attributes; None if there are none. The columns know how they
            were computed. A table that is transformed to this domain, for instance
            by a model trained on it, is embedded in the same way, on the best
            device and through the cache.
        skipped : Table or None
            For a table: the other rows; None if there are none.
        n_skipped : int
            For a table: their number.
        vectors : list of (numpy.ndarray or None)
            For paths, instead of the above: float32 vectors, shape
            (n_features,), or None where an image could not be embedded.

        Raises
        ------
        Cancelled
            When stopped by `cancel`.
        ModelError
            When the network's weights are not available.
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
            sources = [source_of(value) for value in data]
            return self._embed(sources, callback, cancelled).per_source()

    def from_table(
        self, data: Table, col: str | Variable | None = "image", callback=None
    ) -> tuple[Table | None, Table | None, int]:
        """Embed the images of a table, like a call with a table."""
        with self._stoppable() as cancelled:
            variable = image_column(data, col)
            sources = column_sources(data, variable)
            result = self._embed(sources, callback, cancelled)
            compute = EmbedImages.of(self._spec, variable.name)
            names = ()
            if self._name_classes:
                names = self._spec.network.load_class_names()
            embedded, skipped = split_by_vectors(
                data, result.vectors, result.rows, compute, names
            )
            return embedded, skipped, len(skipped) if skipped else 0

    def _embed(self, sources, callback, cancelled):
        result = _CallResult({}, None)
        try:
            embedded = self._embedder(sources, callback, cancelled, result.failures)
            result.statistics = embedded.statistics
            result.transient = embedded.transient
            return embedded
        finally:
            self._keep(result)


def clear_cache() -> None:
    """Drop all vectors that are kept on disk.

    Raises
    ------
    OSError
        When they cannot be deleted.
    """
    with VectorCache() as cache:
        cache.clear()


def cache_info() -> dict:
    """Describe the vectors that are kept on disk.

    Returns
    -------
    dict
        ``folder``, ``bytes`` used, ``entries`` and ``limit`` in bytes.
    """
    with VectorCache() as cache:
        return cache.info()
