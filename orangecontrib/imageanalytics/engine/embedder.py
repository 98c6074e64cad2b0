"""From image sources to vectors: the cache, the device and the network together."""

from __future__ import annotations

import contextlib
import threading

from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.engine.device import AUTOMATIC, PRECISIONS
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.networks.extractor import Extractor


class Embedder:
    """Embeds lists of sources; the network is loaded when it is first needed.

    Parameters
    ----------
    extractor : Extractor
    device, batch_size, precision, engine
        As for `choose_runner`.
    use_cache : bool
        Whether vectors are kept on disk and those kept are used.
    may_download : bool
        As for `Runner`.
    """

    def __init__(
        self,
        extractor: Extractor,
        device: str = "auto",
        batch_size: int | None = None,
        precision: str | None = None,
        use_cache: bool = True,
        may_download: bool = True,
        engine: str = AUTOMATIC,
    ):
        self.extractor = extractor
        self._options = (device, batch_size, precision, may_download, engine)
        self._use_cache = use_cache
        self._runner = None
        self._lock = threading.Lock()

    @property
    def runner(self):
        """The network on its device, perhaps not loaded yet; may import torch.

        Raises
        ------
        ValueError
            When there is no such device, precision or engine.
        """
        from orangecontrib.imageanalytics.engine.runner import choose_runner

        with self._lock:
            if self._runner is None:
                self._runner = choose_runner(self.extractor, *self._options)
            return self._runner

    def close(self) -> None:
        """Give back the memory that the network takes.

        Calls that run meanwhile raise `Cancelled`.
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
    ):
        """Embed sources.

        Parameters
        ----------
        sources : list of (str or None)
            Paths or URLs; None where missing.
        callback : callable, optional
            Called in this thread with the fraction done. What it raises stops the
            work; what is finished is in the cache.
        cancelled : threading.Event, optional
            Stops the work when set.
        failures : dict, optional
            Filled on the way with sources and the reasons why they have no vector.

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
        from orangecontrib.imageanalytics.engine.pipeline import Run

        callback = callback or (lambda _fraction: None)
        cancelled = cancelled or threading.Event()

        def look():
            if cancelled.is_set():
                raise Cancelled
            callback(0)

        look()
        runner = self.runner  # may take seconds
        look()
        with VectorCache() if self._use_cache else contextlib.nullcontext() as cache:
            return Run(
                runner=runner,
                space=self.extractor.key,
                cache=cache,
                callback=callback,
                cancelled=cancelled,
                failures={} if failures is None else failures,
            )(sources)

    def clear_cache(self) -> None:
        """Forget the vectors of this extractor.

        Raises
        ------
        OSError
            When that cannot be done.
        """
        with VectorCache() as cache:
            for precision in PRECISIONS:
                cache.clear(self.extractor.key(precision))
