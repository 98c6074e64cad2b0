import threading

import pytest

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.image_grid.interruptible import part, run


def test_result_and_reports_in_this_thread():
    reported = []

    def work(report):
        report(0.5)
        report(1)
        return threading.get_ident()

    def report(fraction):
        reported.append((fraction, threading.get_ident()))

    assert run(work, report) != threading.get_ident()
    assert reported == [(0.5, threading.get_ident()), (1, threading.get_ident())]


def test_errors_come_through():
    def work(report):
        raise KeyError("within")

    with pytest.raises(KeyError, match="within"):
        run(work, lambda _: None)


def test_silent_work_is_left_behind():
    may_go_on, ended = threading.Event(), threading.Event()

    def work(report):
        may_go_on.wait(60)
        try:
            report(0.5)
        except Cancelled:
            ended.set()
            raise

    def report(fraction):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run(work, report)
    assert not ended.is_set()
    may_go_on.set()
    assert ended.wait(60)


def test_other_work_waits_for_what_was_left_behind():
    """Otherwise who starts and stops again and again would fill the memory."""
    may_end, begun = threading.Event(), threading.Event()
    running, seen, ticks = set(), [], []

    def silent(_report):
        running.add("silent")
        begun.set()
        may_end.wait(60)
        running.remove("silent")

    def stop(_fraction):
        if begun.is_set():
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(silent, stop)

    def stop_while_waiting(fraction):
        assert fraction == 0
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run(lambda _: running.add("stopped"), stop_while_waiting)

    def tick(_fraction):
        ticks.append(set(running))
        if len(ticks) == 3:
            may_end.set()

    assert run(lambda _: seen.append(set(running)) or "done", tick) == "done"
    assert ticks[:3] == [{"silent"}] * 3
    assert seen == [set()]


def test_silent_work_is_reported_on():
    enough = threading.Event()
    reported = []

    def report(fraction):
        reported.append(fraction)
        if len(reported) == 3:
            enough.set()

    def work(report):
        report(0.25)
        assert enough.wait(60)

    run(work, report)
    assert reported[:3] == [0.25] * 3


def test_part():
    reported = []
    report = part(reported.append, 0.5, 0.75)
    for fraction in (0, 0.5, 1):
        report(fraction)
    assert reported == [0.5, 0.625, 0.75]
