"""Do the same with many files in threads, and keep able to stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from typing import TypeVar

from orangecontrib.imageanalytics.networks.stoppable import POLL

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    n_threads: int,
    poll: Callable[[], None],
) -> Iterator[tuple[Item, Result | Exception]]:
    """
    Call a function with each item in a few threads, a few ahead.

    Parameters
    ----------
    function : callable
    items : iterable
    n_threads : int
        Twice as many items are under way at most, so memory does not depend on their
        number.
    poll : callable
        Called in this thread while it waits; it may raise an exception to stop, which
        does not wait for the threads.

    Yields
    ------
    item, result
        In the order of the items; the exception of a call that raised one.
    """
    waiting: deque[tuple[Item, Future]] = deque()
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="vectors")
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) >= 2 * n_threads:
                yield _first(waiting, poll)
        while waiting:
            yield _first(waiting, poll)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _first(waiting, poll):
    item, future = waiting.popleft()
    poll()
    while True:
        try:
            return item, future.exception(POLL) or future.result()
        except TimeoutError:
            poll()
