"""The work of Twins, which runs in a thread."""

from dataclasses import dataclass

from Orange.data import Table, Variable

from orangecontrib.imageanalytics.twins import (
    TwinFinder,
    Twins,
    with_groups,
    without_twins,
)
from orangecontrib.imageanalytics.widgets.utils.threads import (
    PROGRESS_SECONDS,
    progress_reporter,
)


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
    n_folds : int
        As for `with_groups`.
    finder : TwinFinder or None
        That of the same data, column and method, if one has come to an end.
    twins : Twins or None
        Those with the same threshold, if they are known.
    """

    data: Table
    column: Variable
    method: str
    threshold: float
    known: dict
    n_folds: int
    finder: TwinFinder | None = None
    twins: Twins | None = None


@dataclass(frozen=True)
class Found:
    """
    The result.

    Attributes
    ----------
    finder : TwinFinder
        For the next threshold.
    twins : Twins
    single, grouped : Table
        The tables without twins, and with groups and folds.
    """

    finder: TwinFinder
    twins: Twins
    single: Table
    grouped: Table


def find(task: Task, state) -> Found:
    """
    Find the twins, and make tables.

    Parameters
    ----------
    task : Task
    state : TaskState
        Receives the progress, and says whether to stop.

    Raises
    ------
    Cancelled
        The work was stopped.
    NoVectorsError
        There are no vectors.
    """
    report = progress_reporter(state, seconds=PROGRESS_SECONDS)
    report(0)
    finder = task.finder
    if finder is None:
        finder = TwinFinder(task.data, task.method, task.column, task.known)
    twins = task.twins
    if twins is None:
        twins = finder.find(task.threshold, report)
    single = without_twins(task.data, twins)
    report(1)
    return Found(finder, twins, single, with_groups(task.data, twins, task.n_folds))
