"""Turn texts into vectors in the same space as images.

The part of a network for texts runs in torch, in single precision. Importing this does
not import torch.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from orangecontrib.imageanalytics.engine.device import (
    AUTOMATIC,
    choose_device,
    describe_device,
)
from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.networks.clip_networks import SIGMOID, ClipNetwork
from orangecontrib.imageanalytics.networks.network import Network, not_here
from orangecontrib.imageanalytics.networks.registry import find_network, word_networks
from orangecontrib.imageanalytics.networks.stoppable import StoppableWork

CPU_BATCH, GPU_BATCH = 4, 256
#: So many vectors of texts are kept, of all networks together.
MOST_TEXTS = 4096


class Scale(NamedTuple):
    """What a network has learned about similarities.

    Attributes
    ----------
    factor, bias : float
        ``factor * similarity + bias`` goes into the softmax or the sigmoid.
    """

    factor: float
    bias: float


class _KnownTexts:
    """Vectors of the latest texts, and the scales of their networks."""

    def __init__(self):
        self._vectors: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self.scales: dict[str, Scale] = {}

    def find(self, network: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """The known vectors among those of some texts, by text."""
        found = {}
        with self._lock:
            for text in texts:
                key = network, text
                if key in self._vectors:
                    self._vectors.move_to_end(key)
                    found[text] = self._vectors[key]
        return found

    def add(self, network: str, vectors: dict[str, np.ndarray]) -> None:
        """Keep vectors by text."""
        with self._lock:
            for text, vector in vectors.items():
                self._vectors[network, text] = vector
            while len(self._vectors) > MOST_TEXTS:
                self._vectors.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._vectors.clear()
            self.scales.clear()


class _TextPart:
    """The part of a network for texts, loaded, on a device.

    Safe to use from several threads at once.
    """

    def __init__(self, network: ClipNetwork, path: str, device: str):
        self._arguments = network, path
        self._device = choose_device(device)
        self._tokenizer = network.load_tokenizer()
        self._model = network.load_text(path)
        factor, bias = self._model.logit_scale.exp(), self._model.logit_bias
        self.scale = Scale(factor.item(), 0.0 if bias is None else bias.item())
        self._lock = threading.Lock()
        try:
            self._model = self._model.to(self._device)
            if self.is_on_cuda:
                import torch

                # It came on the default stream, for which the worker's does not wait.
                torch.cuda.synchronize(self._device)
        except RuntimeError as error:  # it has no memory left
            self._move_to_cpu(error)

    @property
    def is_on_cuda(self) -> bool:
        """Whether it takes memory of a CUDA device."""
        return self._device.type == "cuda"

    @property
    def batch_size(self) -> int:
        """Number of texts that are encoded at once."""
        return CPU_BATCH if self._device.type == "cpu" else GPU_BATCH

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Vectors of a few texts, float32, shape (n texts, n_features)."""
        with self._lock:
            tokens = self._tokenizer(texts)
            try:
                return self._run(tokens)
            except RuntimeError as error:
                if self._device.type == "cpu":
                    raise
                self._move_to_cpu(error)
                return self._run(tokens)

    def _run(self, tokens) -> np.ndarray:
        if not self.is_on_cuda:
            return self._encode(tokens)
        from orangecontrib.imageanalytics.engine import streams

        # Texts come from any thread, for each of which cuBLAS would hold memory.
        worker = streams.find_worker(self._device, "networks")
        return worker(self._encode, tokens)

    def _encode(self, tokens) -> np.ndarray:
        import torch

        with torch.inference_mode():
            tokens = tokens.to(self._device)
            vectors = self._model.encode_text(tokens, normalize=True)
            return vectors.float().cpu().numpy()

    def _move_to_cpu(self, error):
        warnings.warn(
            f"{describe_device(self._device)} failed, so the CPU is used for texts: "
            f"{first_line(error)}",
            RuntimeWarning,
            stacklevel=2,
        )
        self._device = choose_device("cpu")
        try:
            self._model = self._model.to(self._device)
        except RuntimeError:  # of a GPU that is lost, nothing can be copied
            network, path = self._arguments
            self._model = network.load_text(path)


class _Loading(StoppableWork):
    """Loads the part for texts, unless another encoder has it."""

    _lock = threading.Lock()

    def __init__(self, network: ClipNetwork, path: str, device: str):
        super().__init__()
        self._arguments = network, path, device
        self.part: _TextPart | None = None

    def work(self):
        """As `StoppableWork.work`."""
        network, _, device = self._arguments
        key = network.fingerprint, device
        with self._lock:
            if self.stop.is_set():
                return
            self.part = _parts.get(key)
            if self.part is None:
                _parts[key] = self.part = _TextPart(*self._arguments)
        _known.scales[network.fingerprint] = self.part.scale


_known = _KnownTexts()
# Those that encoders use, by the fingerprint of the network and the device.
_parts: weakref.WeakValueDictionary[tuple[str, str], _TextPart]
_parts = weakref.WeakValueDictionary()


class TextEncoder:
    """The part for texts of a network that knows words; loaded when it is needed.

    Its vectors are comparable with those of images at the layer ``"joint"`` of the
    same network: the cosine similarity is the product of the two.

    Vectors of texts are kept for the process, the latest few thousand, so a text that
    was encoded before needs no network. Encoders of the same network share its memory.
    Safe to use from several threads at once.

    Parameters
    ----------
    model : str, path-like or Network
        As for `find_network`; see `Network.knows_words`.
    device : str
        As for `choose_device`; by default a GPU if there is one.
    may_download : bool
        Whether weights that are not on this computer are downloaded. Whoever sets
        it has asked the user first.

    Raises
    ------
    ValueError
        When there is no such network, or it does not know words.
    ModelError
        When a package is missing or a file cannot be used.
    """

    def __init__(
        self,
        model: str | os.PathLike | Network,
        device: str = AUTOMATIC,
        may_download: bool = False,
    ):
        self.network = find_network(model)
        if not isinstance(self.network, ClipNetwork):
            known = ", ".join(network.id for network in word_networks())
            raise ValueError(
                f"{self.network.name} does not know words. These do: {known}, and all "
                "clip:NAME"
            )
        self._device = device
        self._may_download = may_download
        self._part: _TextPart | None = None

    def load(self, callback: Callable[[float], None] | None = None) -> None:
        """Load the part for texts, unless it is loaded.

        Parameters
        ----------
        callback : callable, optional
            Called several times a second, in this thread, with the fraction of a
            download that is done. An exception that it raises stops the work.

        Raises
        ------
        ModelError
            When the weights or the tokenizer are not available or cannot be used.
        ValueError
            When there is no such device.
        """
        self._load(callback or _ignore)

    def _load(self, callback) -> _TextPart:
        part = self._part
        if part is None:
            network = self.network
            if not (self._may_download or network.available()):
                raise not_here(network)
            path = network.ensure_weights(callback)
            loading = _Loading(network, path, self._device)
            loading.wait(lambda _fraction: callback(0))
            self._part = part = loading.part
        return part

    def encode(
        self,
        texts: Sequence[str],
        callback: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Encode texts.

        Texts that are too long for the network are cut, as open_clip does. An empty
        text has a vector, too.

        Parameters
        ----------
        texts : sequence of str
        callback : callable, optional
            Called in this thread, several times a second, with the fraction done, 0 to
            1; while the network is loaded, with 0 or the fraction of its download. An
            exception that it raises stops the work. Vectors that are finished are kept.

        Returns
        -------
        numpy.ndarray
            float32, shape (n texts, n_features); each row has the length 1.

        Raises
        ------
        TypeError
            When `texts` is a single string, or not all of them are strings.
        ModelError, ValueError
            As `load`.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise TypeError("texts must be a list of strings")
        callback = callback or _ignore
        vectors = self._find_known(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in vectors]
        if missing:
            part = self._load(callback)
            for start in range(0, len(missing), part.batch_size):
                callback(start / len(missing))
                batch = missing[start : start + part.batch_size]
                new = dict(zip(batch, part(batch), strict=True))
                _known.add(self.network.fingerprint, new)
                vectors |= new
        callback(1)
        if not texts:
            return np.empty((0, self.network.n_features), np.float32)
        return np.stack([vectors[text] for text in texts])

    def _find_known(self, texts) -> dict[str, np.ndarray]:
        fingerprint = self.network.fingerprint
        return {} if fingerprint is None else _known.find(fingerprint, texts)

    @property
    def scoring(self) -> str:
        """How similarities become probabilities: ``"softmax"`` or ``"sigmoid"``.

        With ``"softmax"``, those of all texts add up to 1. With ``"sigmoid"``, each
        text has its own, whatever the others are. Known without the weights.
        """
        return self.network.scoring

    @property
    def score_scale(self) -> float:
        """Similarities are multiplied by this first; may load the part for texts."""
        return self._scale.factor

    @property
    def score_bias(self) -> float:
        """This is added next; 0 for most networks. May load the part for texts."""
        return self._scale.bias

    @property
    def _scale(self) -> Scale:
        scale = _known.scales.get(self.network.fingerprint)
        return self._load(_ignore).scale if scale is None else scale

    def probabilities(self, similarities: np.ndarray) -> np.ndarray:
        """Probabilities of texts for images.

        Parameters
        ----------
        similarities : numpy.ndarray
            As for `probabilities_of`.

        Returns
        -------
        numpy.ndarray
            As of `probabilities_of`.

        Raises
        ------
        ModelError, ValueError
            As `load`.
        """
        return probabilities_of(similarities, *self._scale, self.scoring)

    def close(self) -> None:
        """Release the part for texts; vectors of texts are still kept.

        It stays in memory as long as another encoder uses it.
        """
        part, self._part = self._part, None
        if part is not None and part.is_on_cuda:
            from orangecontrib.imageanalytics.engine.streams import release_memory

            del part
            release_memory()


def probabilities_of(
    similarities: np.ndarray, scale: float, bias: float, scoring: str
) -> np.ndarray:
    """Probabilities of texts for images.

    They are ``softmax(scale * similarity + bias)`` over the texts, or
    ``sigmoid(scale * similarity + bias)``.

    Parameters
    ----------
    similarities : numpy.ndarray
        Cosine similarities, shape (..., n texts).
    scale, bias : float
        What the network has learned.
    scoring : {"softmax", "sigmoid"}

    Returns
    -------
    numpy.ndarray
        float64, the same shape.

    References
    ----------
    Radford et al. 2021, https://arxiv.org/abs/2103.00020 (softmax);
    Zhai et al. 2023, https://arxiv.org/abs/2303.15343 (sigmoid).
    """
    scores = scale * np.asarray(similarities, float) + bias
    return expit(scores) if scoring == SIGMOID else softmax(scores, axis=-1)


def _ignore(_fraction: float) -> None:
    pass
