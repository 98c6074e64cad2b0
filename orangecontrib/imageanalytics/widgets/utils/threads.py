"""Functions for widgets that work in a thread."""

import concurrent.futures
import time
from collections.abc import Callable

from orangecontrib.imageanalytics.errors import Cancelled

PROGRESS_SECONDS = 0.1  # between two reports of progress


def progress_reporter(
    state, partial: bool = True, seconds: float = 0
) -> Callable[[float], None]:
    """
    Make a callback with which work in a thread reports its progress.

    Parameters
    ----------
    state : TaskState
        Receives the progress, and says whether to stop.
    partial : bool
        Whether the fraction is also a partial result.
    seconds : float
        The shortest time between two reports; others are dropped.

    Returns
    -------
    callable
        Takes the fraction done, from 0 to 1. Raises `Cancelled` if the task was
        cancelled.
    """
    last = -seconds

    def report(fraction: float) -> None:
        nonlocal last
        if state.is_interruption_requested():
            raise Cancelled("cancelled")
        now = time.monotonic()
        if now - last >= seconds:
            last = now
            state.set_progress_value(100 * fraction)
            if partial:
                state.set_partial_result(fraction)

    return report


def end_task(widget, seconds: float = 1):
    """Cancel a widget's task when the widget is deleted, and wait briefly for its end.

    Unlike the mixin's `shutdown`, this does not wait for a thread that is blocked, for
    example by a network drive or by the import of a large library.

    Parameters
    ----------
    widget : ConcurrentWidgetMixin
    seconds : float
        The longest to wait.
    """
    state = widget.task
    widget.cancel()
    if state is not None:
        concurrent.futures.wait([state.future], timeout=seconds)
