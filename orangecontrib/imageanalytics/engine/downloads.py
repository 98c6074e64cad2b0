"""Download images from the internet while others are embedded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.fetch import Fetcher

TICK_SECONDS = 0.2  # between two looks at whether to stop
# Downloaded images are held in memory until they are decoded: so many wait.
FETCHED_AHEAD = 4


class Downloads:
    """Downloads images in a thread, a few ahead of those that are taken.

    Parameters
    ----------
    urls : list of str
    cancelled : threading.Event
        Ends the thread when set.
    is_cached : bool
        Whether to keep files on disk and use the files that are kept there.
    """

    def __init__(self, urls: list[str], cancelled: threading.Event, is_cached: bool):
        self._urls, self._cancelled, self._is_cached = urls, cancelled, is_cached
        self._arrived: queue.Queue = queue.Queue(FETCHED_AHEAD)
        threading.Thread(target=self._fetch, daemon=True).start()

    def __iter__(self) -> Iterator[tuple[str, bytes | ImageError] | None]:
        """Yield addresses, each with its content or why there is none.

        While nothing arrives, yield None from time to time.
        """
        while True:
            try:
                answer = self._arrived.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if answer is None:
                return
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def _fetch(self):
        try:
            options = {} if self._is_cached else {"cache_dir": None}
            with Fetcher(**options) as fetcher:
                for answer in fetcher.fetch_all(self._urls, self._cancelled):
                    self._put(answer)
        except Exception as error:  # for the thread that waits
            self._put(error)
        self._put(None)

    def _put(self, answer):
        while not self._cancelled.is_set():
            try:
                return self._arrived.put(answer, timeout=TICK_SECONDS)
            except queue.Full:
                continue
