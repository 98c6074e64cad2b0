"""The work of Explain Images, which runs in a thread."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from Orange.base import Model
from Orange.data import Table

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.explain import (
    Explaining,
    Explanation,
    save_heat_maps,
)
from orangecontrib.imageanalytics.images.intensity import Intensity

PROGRESS_SECONDS = 0.1  # between two reports


@dataclass(frozen=True)
class Task:
    """
    What is to be explained.

    Attributes
    ----------
    data : Table
    model : Model or None
    target, like, method, column
        As for `Explaining`.
    first : callable
        As for `Explaining.run`.
    """

    data: Table
    model: Model | None
    target: str | None
    like: int | None
    method: str
    column: str | None
    first: Callable[[], int | None]


@dataclass(frozen=True)
class Saved:
    """The result of saving: how many maps, where, and what could not be saved."""

    folder: str
    n_maps: int
    failures: dict[str, str]


def explain(task: Task, state) -> Explaining:
    """
    Explain all images.

    Partial results are the `Explaining`, once, and then lists of `Explanation`.

    Raises
    ------
    Cancelled, ValueError, ModelError
        As `Explaining.run`.
    """
    explaining = Explaining(
        task.data,
        task.model,
        target=task.target,
        like=task.like,
        method=task.method,
        column=task.column,
    )
    state.set_partial_result(explaining)
    report = _reporter(state)
    waiting: list[Explanation] = []
    sent = 0.0
    for new in explaining.run(report, task.first):
        waiting += new
        if time.monotonic() - sent >= PROGRESS_SECONDS:
            state.set_partial_result(waiting)
            waiting, sent = [], time.monotonic()
    state.set_partial_result(waiting)
    return explaining


def save(
    explaining: Explaining,
    folder: str,
    kind: str,
    strength: float,
    intensity: Intensity,
    state,
) -> Saved:
    """Save the heat maps; see `save_heat_maps`."""
    report = _reporter(state)
    failures = save_heat_maps(explaining, folder, kind, strength, intensity, report)
    n_maps = len(explaining.explanations) - len(failures)
    return Saved(folder, n_maps, failures)


def _reporter(state) -> Callable[[float], None]:
    def report(fraction):
        if state.is_interruption_requested():
            raise Cancelled
        state.set_progress_value(100 * fraction)

    return report
