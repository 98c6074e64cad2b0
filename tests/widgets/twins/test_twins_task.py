"""The work of Twins."""

import pytest
from all_widgets import table
from twin_images import save_copies

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.twins import NoVectorsError, TwinFinder
from orangecontrib.imageanalytics.widgets.twins.twins_task import Task, find


class State:
    """Takes the progress; stops when it is asked for the time `stop_at`."""

    def __init__(self, stop_at=None):
        self.fractions, self.n_asked, self.stop_at = [], 0, stop_at
        self.set_partial_result = self.fractions.append

    def set_progress_value(self, value):
        assert 0 <= value <= 100

    def is_interruption_requested(self):
        self.n_asked += 1
        return self.n_asked == self.stop_at


@pytest.fixture
def paths(tmp_path):
    return save_copies(tmp_path / "twins")


def make_task(paths, method="hash", **options):
    data = table(paths)
    options = {"threshold": 1.0, "known": {}, "n_folds": 3} | options
    return Task(data, data.domain["image"], method, **options)


def test_tables(paths):
    state = State()
    found = find(make_task(paths), state)
    assert found.twins.n_groups == 2
    assert len(found.single) == 3
    assert len(found.grouped) == 7
    assert found.grouped.domain["fold"].values == ("1", "2", "3")
    assert state.fractions == sorted(state.fractions)


def test_what_is_known_is_used(paths, monkeypatch):
    first = find(make_task(paths), State())
    monkeypatch.setattr(TwinFinder, "__init__", None)
    looser = find(make_task(paths, threshold=2.5, finder=first.finder), State())
    assert looser.finder is first.finder
    assert looser.twins.threshold == 2.5
    monkeypatch.setattr(TwinFinder, "find", None)
    other_folds = make_task(paths, finder=first.finder, twins=first.twins, n_folds=2)
    again = find(other_folds, State())
    assert again.twins is first.twins
    assert again.grouped.domain["fold"].values == ("1", "2")


@pytest.mark.parametrize("stop_at", [1, 2, 5, 20])
def test_stopped(paths, stop_at):
    known = {}
    state = State(stop_at)
    with pytest.raises(Cancelled):
        find(make_task(paths, known=known), state)
    assert state.n_asked == stop_at
    # What was read is kept for the next time.
    assert len(find(make_task(paths, known=known), State()).single) == 3


def test_without_vectors(paths):
    with pytest.raises(NoVectorsError):
        find(make_task(paths, "vectors"), State())
