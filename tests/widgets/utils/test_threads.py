from unittest.mock import Mock

import pytest

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.widgets.utils import threads
from orangecontrib.imageanalytics.widgets.utils.threads import progress_reporter


def a_state(cancelled=False):
    return Mock(**{"is_interruption_requested.return_value": cancelled})


def reported(method):
    return [call.args[0] for call in method.call_args_list]


def test_reports_progress_in_percent_and_as_partial_result():
    state = a_state()
    report = progress_reporter(state)
    report(0)
    report(0.25)
    assert reported(state.set_progress_value) == [0, 25]
    assert reported(state.set_partial_result) == [0, 0.25]


def test_partial_results_may_be_left_to_the_work():
    state = a_state()
    progress_reporter(state, partial=False)(0.5)
    assert reported(state.set_progress_value) == [50]
    state.set_partial_result.assert_not_called()


def test_reports_that_come_too_soon_are_dropped(monkeypatch):
    state, now = a_state(), Mock()
    monkeypatch.setattr(threads.time, "monotonic", now)
    report = progress_reporter(state, seconds=2)
    for now.return_value, fraction in ((0, 0.1), (1, 0.2), (2, 0.3), (3, 0.4)):
        report(fraction)
    assert reported(state.set_partial_result) == [0.1, 0.3]


@pytest.mark.parametrize("seconds", [0, 1000])
def test_cancelled_work_stops_at_once(seconds):
    state = a_state()
    report = progress_reporter(state, seconds=seconds)
    report(0)
    state.is_interruption_requested.return_value = True
    with pytest.raises(Cancelled):
        report(0.5)
    assert reported(state.set_partial_result) == [0]
