"""Work that stops at once, even in functions that do not report progress."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import TypeVar

from orangecontrib.imageanalytics.errors import Cancelled

#: Takes the fraction done, from 0 to 1; an exception that it raises ends the work.
Report = Callable[[float], None]
T = TypeVar("T")

TICK_SECONDS = 0.1
_END = object()
#: Work that was left behind and has not ended yet.
_abandoned: set[Future] = set()


def run(work: Callable[[Report], T], report: Report) -> T:
    """
    Run a function in another thread and report its progress in this one.

    `report` is called whenever the work reports, and several times a second while it
    does not, so it can stop libraries that compute for a long time and take no
    callback. The thread then ends when the work next reports. Until it has ended, no
    other work begins, so threads and their memory do not pile up.

    Parameters
    ----------
    work : callable
        Called with a `Report` of its own. It must not change what others can see,
        since it may go on for a while after this function has raised.
    report : callable
        An exception that it raises ends this call at once.

    Returns
    -------
    object
        The result of `work`.
    """
    _wait_for_abandoned(report)
    told: SimpleQueue = SimpleQueue()
    abandoned = threading.Event()

    def tell(fraction: float) -> None:
        if abandoned.is_set():
            raise Cancelled("cancelled")
        told.put(fraction)

    fraction, pool = 0.0, ThreadPoolExecutor(1)
    future = pool.submit(work, tell)
    future.add_done_callback(lambda _: told.put(_END))
    try:
        while True:
            with contextlib.suppress(Empty):
                fraction = told.get(timeout=TICK_SECONDS)
            if fraction is _END:
                return future.result()
            report(fraction)
    finally:
        abandoned.set()
        _abandoned.add(future)
        future.add_done_callback(_abandoned.discard)
        pool.shutdown(wait=False)


def _wait_for_abandoned(report: Report) -> None:
    """Wait for all work that was left behind."""
    while left := _abandoned.copy():
        report(0)
        wait(left, TICK_SECONDS)


def part(report: Report, start: float, end: float) -> Report:
    """A `Report` for a part of the work, as fractions of the whole."""
    return lambda fraction: report(start + (end - start) * fraction)
