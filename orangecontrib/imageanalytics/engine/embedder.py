"""Embed image sources with the cache, the device and the network together."""

from __future__ import annotations

import contextlib
import threading

from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.engine.compiled import find_about
from orangecontrib.imageanalytics.engine.device import AUTOMATIC, PRECISIONS
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec


class Embedder:
    """Embeds lists of sources; the network is loaded when it is first needed.

    Parameters
    ----------
    spec : EmbeddingSpec
    device, batch_size, engine
        As for `choose_runner`.
    use_cache : bool
        Whether to keep vectors on disk and use the vectors that are kept there.
    may_download : bool
        As for `Runner`.
    """

    def __init__(
        self,
        spec: EmbeddingSpec,
        device: str = "auto",
        batch_size: int | None = None,
        use_cache: bool = True,
        may_download: bool = True,
        engine: str = AUTOMATIC,
    ):
        self.spec = spec
        self._options = (device, batch_size, may_download, engine)
        self._use_cache = use_cache
        self._runner = None
        self._lock = threading.Lock()

    @property
    def runner(self):
        """The network on its device, possibly not loaded yet; may import torch.

        Raises
        ------
        ValueError
            When there is no such device, precision or engine.
        """
        from orangecontrib.imageanalytics.engine.runner import choose_runner

        with self._lock:
            if self._runner is None:
                self._runner = choose_runner(self.spec, *self._options)
            return self._runner

    def check_layer(self) -> None:
        """
        Raises
        ------
        ValueError
            When the network has no such layer, as far as that is known without its
            weights.
        """
        if find_about(self.spec) is not None:  # it has run before
            return
        self.spec.network.check_layer(self.spec.layer)

    def close(self) -> None:
        """Release the memory that the network takes.

        If OpenVINO runs the network, running calls finish on the CPU, and then the
        memory is released. Otherwise they raise `Cancelled`.
        """
        with self._lock:
            runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    def __call__(
        self,
        sources: list[str | None],
        callback=None,
        cancelled: threading.Event | None = None,
        failures: dict[str, str] | None = None,
        with_sizes: bool = False,
    ):
        """Embed sources.

        Parameters
        ----------
        sources : list of (str or None)
            Paths or URLs; None where missing.
        callback : callable, optional
            Called in this thread with the fraction done. An exception that it raises
            stops the work; finished vectors stay in the cache.
        cancelled : threading.Event, optional
            Stops the work when set.
        failures : dict, optional
            Filled during the call with sources and why they have no vector.
        with_sizes : bool
            Whether to find the sizes of the images, too. All of them are then opened.

        Returns
        -------
        Embedded

        Raises
        ------
        Cancelled
            When `cancelled` was set.
        ModelError, ValueError
            As `Runner` and `Runner.load`.
        """
        from orangecontrib.imageanalytics.engine.pipeline import Pipeline

        callback = callback or (lambda _fraction: None)
        cancelled = cancelled or threading.Event()

        def report_start(_fraction=0):
            if cancelled.is_set():
                raise Cancelled
            callback(0)

        report_start()
        runner = self.runner  # may take seconds
        report_start()
        if self._use_cache and self.spec.network.fingerprint is None:
            # The weights are needed to know which vectors are the network's.
            runner.load(report_start)
        with VectorCache() if self._use_cache else contextlib.nullcontext() as cache:
            return Pipeline(
                runner=runner,
                space=self.spec.key,
                cache=cache,
                callback=callback,
                cancelled=cancelled,
                failures={} if failures is None else failures,
                with_sizes=with_sizes,
            )(sources)

    def clear_cache(self) -> None:
        """Forget the vectors of this spec.

        Raises
        ------
        OSError
            When they cannot be dropped.
        ModelError
            As `EmbeddingSpec.key`.
        """
        with VectorCache() as cache:
            for precision in PRECISIONS:
                cache.clear(self.spec.key(precision))
