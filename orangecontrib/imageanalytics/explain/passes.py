"""Images for a network, and passes of many of them through it in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from orangecontrib.imageanalytics.engine.device import workers
from orangecontrib.imageanalytics.engine.runner import Runner, look
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import helper
from orangecontrib.imageanalytics.images.decode import content_header, decode
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.sources import (
    is_remote,
    opened,
    split_page,
)

TICK_SECONDS = 0.1  # between two looks at whether to stop

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Seen:
    """An image as the network sees it.

    Attributes
    ----------
    square : numpy.ndarray
        uint8, shape (size, size, 3), RGB.
    edges : tuple of float
        As in `HeatMap`.
    size : (int, int)
        Width and height of the image, in pixels.
    """

    square: np.ndarray
    edges: tuple[float, float, float, float]
    size: tuple[int, int]


class Passes:
    """Runs a network on images, in threads; a context manager.

    Parameters
    ----------
    runner : Runner
    cancelled : threading.Event
        Stops the work when set.
    """

    def __init__(self, runner: Runner, cancelled: threading.Event):
        self.runner, self._cancelled = runner, cancelled
        self._n_threads = workers() * runner.threads_per_stream
        self._threads: set[int] = set()
        self._fetcher: Fetcher | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Passes:
        self._pool = ThreadPoolExecutor(
            self._n_threads, "explaining", initializer=self._start_thread
        )
        self._sharing = self.runner.sharing()
        self._sharing.__enter__()
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is not None:
            self._cancelled.set()
            helper.stop(self._threads)
        # Threads still in a layer or decoder end after it; nobody waits.
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._sharing.__exit__(None, None, None)
        if self._fetcher is not None:
            self._fetcher.close()

    def _start_thread(self) -> None:
        self.runner.start_thread()
        self._threads.add(threading.get_ident())

    def each(
        self,
        function: Callable[[Item], Outcome],
        items: Iterable[Item],
        tick: Callable[[], None],
    ) -> Iterator[Outcome | ImageError]:
        """Call a function with each item, in threads.

        Parameters
        ----------
        function : callable
        items : iterable
        tick : callable
            Called several times a second; an exception that it raises stops the work.

        Yields
        ------
        object
            Results, in the order of the items; an `ImageError` that was raised instead
            of one.

        Raises
        ------
        Cancelled
            When stopped.
        """
        futures = [self._pool.submit(function, item) for item in items]
        try:
            for future in futures:
                while not future.done():
                    look(self._cancelled)
                    tick()
                    wait([future], TICK_SECONDS, FIRST_COMPLETED)
                try:
                    outcome = future.result()
                except ImageError as error:
                    outcome = error
                yield outcome
        finally:
            for future in futures:
                future.cancel()

    def see(self, source: str) -> Seen:
        """Read an image.

        Raises
        ------
        ImageError
            When it cannot be read.
        """
        content = None
        if is_remote(source):
            content = self._fetch(split_page(source)[0])
        preprocessing = self.runner.preprocessing
        try:
            with opened(source, content) as (readable, page):
                header = content_header(readable, page)
                image = decode(
                    readable, preprocessing.decode_size, page, self.runner.intensity
                )
        except MemoryError:
            raise ImageError("too large for this computer's memory") from None
        square = preprocessing.square(image)
        size = header.width, header.height
        return Seen(square, preprocessing.edges(*image.size), size)

    def _fetch(self, url: str) -> bytes:
        with self._lock:
            if self._fetcher is None:
                self._fetcher = Fetcher()
        return self._fetcher.fetch(url, self._cancelled)

    def vectors(self, squares: np.ndarray) -> np.ndarray:
        """Vectors of squares, in this thread.

        Parameters
        ----------
        squares : numpy.ndarray
            uint8, shape (n, size, size, 3), RGB.

        Returns
        -------
        numpy.ndarray
            float32, shape (n, length of the runner's vectors).
        """
        return self.runner(squares, self._cancelled)[0]

    def positions(self, square: np.ndarray) -> np.ndarray:
        """Vectors at all positions in a square, of a network up to its map.

        Parameters
        ----------
        square : numpy.ndarray
            uint8, shape (size, size, 3), RGB.

        Returns
        -------
        numpy.ndarray
            float32, shape (side * side, n_features), line by line.
        """
        (numbers,) = self.vectors(square[None])
        side = round(float(numbers[0]))
        return numbers[1:].reshape(side * side, -1)
