"""The work of Explain Images, which runs in a thread."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from Orange.base import Model
from Orange.data import Table

from orangecontrib.imageanalytics.explain import (
    Explaining,
    Explanation,
    save_heat_maps,
)
from orangecontrib.imageanalytics.images.intensity import Intensity
from orangecontrib.imageanalytics.widgets.utils.threads import (
    PROGRESS_SECONDS,
    progress_reporter,
)


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
    """The result of saving: how many maps, where, and why rows could not be saved."""

    folder: str
    n_maps: int
    failures: dict[int, str]


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
    report = progress_reporter(state, partial=False)
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
    report = progress_reporter(state, partial=False)
    failures = save_heat_maps(explaining, folder, kind, strength, intensity, report)
    n_maps = len(explaining.explanations) - len(failures)
    return Saved(folder, n_maps, failures)
