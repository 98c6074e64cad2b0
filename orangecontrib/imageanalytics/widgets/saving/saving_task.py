"""The work of Save Images, which runs in a thread."""

import time
from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.save_images import Saving
from orangecontrib.imageanalytics.widgets.utils.threads import PROGRESS_SECONDS


@dataclass(frozen=True)
class Question:
    """Some files exist; the user has to say what to do with them."""

    saving: Saving
    n_existing: int


def begin(task: tuple, options: dict, ask: bool, state) -> Saving | Question:
    """Run in a thread: choose names, look for files that have them, and save."""

    def look(*_):
        if state.is_interruption_requested():
            raise Cancelled

    saving = Saving(*task, **options, callback=look)
    look()
    state.set_partial_result(saving)
    n_existing = saving.n_existing(look) if ask else 0
    return Question(saving, n_existing) if n_existing else save(saving, state)


def save(saving: Saving, state) -> Saving:
    """Run in a thread: save what is left."""
    reported = 0.0

    def report(n_done, n_all):
        nonlocal reported
        if state.is_interruption_requested():
            raise Cancelled
        now = time.monotonic()
        if now - reported >= PROGRESS_SECONDS:
            reported = now
            state.set_progress_value(100 * n_done / max(n_all, 1))
            state.set_partial_result((n_done, n_all))

    saving(report)
    return saving
