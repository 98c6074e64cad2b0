"""Read many images in threads, with only a few of them in memory."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import helper
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.sources import is_remote, split_page

log = logging.getLogger(__name__)

MOST_THREADS = 8
TICK_SECONDS = 0.2  # between two looks at whether to stop
#: Results that wait to be taken, for each thread.
AHEAD = 4

Result = TypeVar("Result")


def read_each(
    sources: Sequence[str],
    read: Callable[[str, bytes | None], Result],
    n_processors: int,
    callback: Callable[[int, int], None] = lambda n_done, n_all: None,
) -> Iterator[Result | ImageError]:
    """
    Apply a function to the sources of images, in threads.

    Parameters
    ----------
    sources : sequence of str
        Paths or URLs.
    read : callable
        Takes a source, and the content of its file if that was downloaded. It may
        raise `ImageError`.
    n_processors : int
        How many processors this process may use.
    callback : callable
        Called in this thread, several times a second, with the number of images done
        and the number of all images. An exception that it raises stops the work.

    Yields
    ------
    object
        In the order of the sources: what the function returned, or the `ImageError`
        that says why the image cannot be read.
    """
    remote = any(map(is_remote, sources))
    n_threads = MOST_THREADS if remote else min(n_processors, MOST_THREADS)
    stopped, threads, waiting = threading.Event(), set(), iter(sources)
    running: deque = deque()
    with (
        Fetcher() if remote else contextlib.nullcontext() as fetcher,
        ThreadPoolExecutor(
            n_threads, initializer=lambda: threads.add(threading.get_ident())
        ) as pool,
    ):
        try:
            for done in range(len(sources)):
                for source in itertools.islice(
                    waiting, AHEAD * n_threads - len(running)
                ):
                    job = pool.submit(_try, read, source, fetcher, stopped)
                    running.append(job)
                future = running.popleft()
                while True:
                    callback(done, len(sources))
                    with contextlib.suppress(FutureTimeout):
                        result = future.result(TICK_SECONDS)
                        break
                callback(done + 1, len(sources))
                yield result
        finally:
            stopped.set()
            for future in running:
                future.cancel()
            helper.stop(threads)


def _try(read, source: str, fetcher: Fetcher | None, stopped: threading.Event):
    try:
        content = None
        if is_remote(source):
            content = fetcher.fetch(split_page(source)[0], stopped)
        return read(source, content)
    except ImageError as error:
        # A new one: the traceback of the old one keeps the image in memory.
        return ImageError(str(error), error.transient)
    except MemoryError:
        return ImageError("not enough memory")
    except Exception as error:
        log.exception("Reading %s", source)
        return ImageError(f"unexpected error ({type(error).__name__})")
