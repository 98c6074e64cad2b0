"""The work of Twins, which runs in a thread."""

import time
from dataclasses import dataclass

from Orange.data import Table, Variable

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.twins import TwinFinder, Twins

_SECONDS = 0.1  # between two reports of progress


@dataclass(frozen=True)
class Task:
    """
    What to do.

    Attributes
    ----------
    data : Table
    column : Variable
        Of images.
    method : str
    threshold : float
        As for `find_twins`.
    known : dict
        As for `TwinFinder`.
    finder : TwinFinder or None
        That of the same data, column and method, if one has come to an end.
    """

    data: Table
    column: Variable
    method: str
    threshold: float
    known: dict
    finder: TwinFinder | None = None


@dataclass(frozen=True)
class Found:
    """The result: the finder, for the next threshold, and the twins."""

    finder: TwinFinder
    twins: Twins


def find(task: Task, state) -> Found:
    """
    Find the twins.

    Parameters
    ----------
    task : Task
    state : TaskState
        Receives the progress, and says whether to stop.

    Raises
    ------
    Cancelled
        The work was stopped.
    ValueError
        There are no vectors.
    """
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        if state.is_interruption_requested():
            raise Cancelled("cancelled")
        now = time.monotonic()
        if now - last > _SECONDS:
            last = now
            state.set_progress_value(100 * fraction)
            state.set_partial_result(fraction)

    report(0)
    finder = task.finder
    if finder is None:
        finder = TwinFinder(task.data, task.method, task.column, task.known)
    return Found(finder, finder.find(task.threshold, report))
