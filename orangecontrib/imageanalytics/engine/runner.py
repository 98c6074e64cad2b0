"""The interface of engines that run a network, and the choice between them.

Two engines run networks: OpenVINO on the CPU, where it is up to three times as fast as
torch and starts without it, and torch everywhere else.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.engine.device import (
    AUTOMATIC,
    OPENVINO_DEVICES,
    check_precision,
    may_have_gpu,
)
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.networks.network import not_here
from orangecontrib.imageanalytics.networks.openvino_library import library
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.networks.torch_library import (
    missing_torch,
    without_torch,
)

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.engine.device_decoding import DeviceDecoder

log = logging.getLogger(__name__)

OPENVINO, TORCH = "openvino", "torch"
ENGINES = (AUTOMATIC, OPENVINO, TORCH)


class Runner(ABC):
    """A network on a processor, loaded when it is first needed.

    Safe to use from several threads at once.

    Parameters
    ----------
    spec : EmbeddingSpec
    batch_size : int
        Number of images in a batch.
    may_download : bool
        Whether weights that are not on this computer are downloaded.

    Attributes
    ----------
    batch_size : int
    preprocessing : Preprocessing
    intensity : "auto", "full" or (float, float)
        As for `EmbeddingSpec`.
    threads_per_stream : int
        How many threads should call this for each one that computes.
    """

    threads_per_stream = 1

    def __init__(self, spec: EmbeddingSpec, batch_size: int, may_download: bool):
        self.spec = spec
        self.batch_size = batch_size
        self.may_download = may_download
        self.preprocessing = spec.preprocessing
        self.intensity = spec.intensity

    @property
    def decoder(self) -> DeviceDecoder | None:
        """The decoder on the device; None if the CPU decodes all images."""
        return None

    @property
    @abstractmethod
    def precision(self) -> str:
        """The precision, one of `PRECISIONS`, as far as it is known so far."""

    @property
    @abstractmethod
    def device_name(self) -> str:
        """The device, as shown to users."""

    @abstractmethod
    def load(self, callback=None) -> None:
        """Load the network, unless it is loaded.

        Parameters
        ----------
        callback : callable, optional
            Called with the fraction of a download of the weights that is done.

        Raises
        ------
        ModelError
            When the network is not available or does not work.
        ValueError
            When it has no such layer.
        """

    @abstractmethod
    def __call__(
        self, squares: np.ndarray, cancelled: threading.Event
    ) -> tuple[np.ndarray, str]:
        """Vectors of a batch.

        Parameters
        ----------
        squares : numpy.ndarray
            uint8, shape (n, size, size, 3), RGB.
        cancelled : threading.Event
            Makes the call raise when set.

        Returns
        -------
        vectors : numpy.ndarray
            float32, shape (n, n_features).
        precision : str
            Precision with which the vectors were computed.

        Raises
        ------
        Cancelled
            When `cancelled` is set.
        ModelError
            When there is not enough memory for one image; also as for `load`.
        ValueError
            As for `load`.
        """

    def _load_backbone(self, callback):
        """The network in torch, on the CPU."""
        network = self.spec.network
        network.check_installed()
        from orangecontrib.imageanalytics.networks import backbone

        if not (self.may_download or network.available()):
            raise not_here(network)
        return backbone.load_backbone(network, self.spec.layer, callback)

    def close(self) -> None:  # noqa: B027
        """Release the memory of the network permanently.

        Most engines have nothing to do here: it is released together with them.
        """

    def sharing(self) -> contextlib.AbstractContextManager:
        """A context in which several threads may call this."""
        return contextlib.nullcontext()

    def start_thread(self) -> None:  # noqa: B027
        """Must be called first in each of these threads; most engines do nothing."""


def look(cancelled: threading.Event) -> None:
    """
    Raises
    ------
    Cancelled
        When `cancelled` is set.
    """
    if cancelled.is_set():
        raise Cancelled


def out_of_memory() -> ModelError:
    """Make the error for too little CPU memory for one image."""
    return ModelError(
        "There is not enough memory for this network; "
        "choose a smaller one or close other programs."
    )


def choose_runner(
    spec: EmbeddingSpec,
    device: str = AUTOMATIC,
    batch_size: int | None = None,
    may_download: bool = True,
    engine: str = AUTOMATIC,
) -> Runner:
    """Choose the best engine for a network, or the requested one.

    Parameters
    ----------
    spec : EmbeddingSpec
        Its precision is one of `PRECISIONS`. The default on a GPU is half precision.
        On the CPU, it is half if the processor has instructions for it and it keeps
        the vectors of this network.
    device : str
        ``"auto"``, or as `choose_device` and `OPENVINO_DEVICES` name them.
    batch_size : int, optional
        Number of images in a batch; the default depends on the device.
    may_download : bool
        As for `Runner`.
    engine : {"auto", "openvino", "torch"}
        By default OpenVINO on the CPU if it is installed.

    Raises
    ------
    ValueError
        When there is no such device, precision or engine, or when it needs torch, which
        is not installed.
    ModelError
        When neither OpenVINO nor torch can be used.
    """
    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise ValueError(f"'{engine}' is not an engine, should be one of: {known}")
    check_precision(spec.precision)
    arguments = batch_size, may_download
    if engine != TORCH and _is_for_openvino(device, engine):
        return _openvino_runner(spec, device, *arguments)
    if missing_torch():
        raise _no_torch(spec, device, engine)
    from orangecontrib.imageanalytics.engine.torch_runner import TorchRunner

    runner = TorchRunner(spec, device, *arguments)
    no_gpu = device == AUTOMATIC and runner.device.type == "cpu"
    if no_gpu and engine != TORCH and _has_openvino():
        return _openvino_runner(spec, "cpu", *arguments)
    return runner


def _no_torch(spec, device: str, engine: str) -> Exception:
    """Make the error for what only torch can do where it is not installed."""
    if engine == TORCH:
        return ValueError(without_torch("The engine 'torch'"))
    if device not in (AUTOMATIC, "cpu"):
        return ValueError(without_torch(f"The device '{device}'"))
    return ModelError(without_torch(f"{spec.network.name} without OpenVINO"))


def _openvino_runner(spec, device, *arguments) -> Runner:
    from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner

    return OpenVinoRunner(spec, device, *arguments)


def _is_for_openvino(device: str, engine: str) -> bool:
    """Whether OpenVINO should run the network, decided without torch."""
    is_asked = device in OPENVINO_DEVICES or engine == OPENVINO
    if is_asked and not _has_openvino():
        raise ValueError("OpenVINO cannot be used here: pip install openvino")
    if device == AUTOMATIC:
        is_for_gpu = engine != OPENVINO and not missing_torch() and may_have_gpu()
        return _has_openvino() and not is_for_gpu
    if device == "cpu" or device in OPENVINO_DEVICES:
        return _has_openvino()
    if engine == OPENVINO:
        raise ValueError(f"OpenVINO does not run on '{device}'")
    return False


@functools.cache
def _has_openvino() -> bool:
    if importlib.util.find_spec("openvino") is None:
        return False
    try:
        library().Core()
    except Exception as error:  # of whatever kind: a library of the system is missing
        log.info("OpenVINO does not start, so torch is used: %s", error)
        return False
    return True
