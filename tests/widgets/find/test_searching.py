import threading

import pytest
from AnyQt.QtCore import QObject

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.widgets.find.question import Question, Sorting
from orangecontrib.imageanalytics.widgets.find.searching import PAUSE, Searcher


class FakeFinder:
    """Finds what it is asked for; waits for `gate` at questions in `slow`."""

    def __init__(self):
        self.asked, self.stopped, self.tables = [], [], []
        self.slow, self.gate = set(), threading.Event()
        self.error = None

    def find(self, question, say, check):
        self.asked.append(question.examples)
        say("Finding…")
        if self.error is not None:
            raise self.error
        while question.examples in self.slow and not self.gate.wait(0.01):
            try:
                check()
            except Cancelled:
                self.stopped.append(question.examples)
                raise
        return question.examples

    def sort(self, sorting, say, check):
        return sorting.names

    def table(self, answer):
        self.tables.append(answer)
        return f"table of {answer}"


@pytest.fixture
def finder():
    finder = FakeFinder()
    yield finder
    finder.gate.set()


@pytest.fixture
def searcher():
    parent = QObject()
    searcher = Searcher(parent)
    searcher.log = []
    for name in ("said", "answered", "failed"):
        signal = getattr(searcher, name)
        signal.connect(lambda what, name=name: searcher.log.append((name, what)))
    searcher.finished.connect(lambda *what: searcher.log.append(("finished", what)))
    yield searcher
    searcher.shutdown()


def of(*examples):
    return Question(examples=examples)


def test_answer_comes_before_the_table(searcher, finder, until):
    searcher.ask(finder, of("a"))
    assert searcher.busy
    until(lambda: not searcher.busy)
    assert searcher.log == [
        ("said", "Finding…"),
        ("answered", ("a",)),
        ("finished", (("a",), "table of ('a',)")),
    ]
    searcher.ask(finder, Sorting(("cat", "dog")))
    until(lambda: not searcher.busy)
    assert searcher.log[-2] == ("answered", ("cat", "dog"))


def test_only_the_last_of_many_is_asked(searcher, finder, until):
    for text in ("a", "ab", "abc"):
        searcher.ask(finder, of(text), at_once=False)
    assert searcher.busy
    assert searcher._timer.interval() == PAUSE
    until(lambda: not searcher.busy)
    assert finder.asked == [("abc",)]


def test_the_latest_wins(searcher, finder, until):
    finder.slow = {("a",)}
    searcher.ask(finder, of("a"))
    until(lambda: finder.asked)
    searcher.ask(finder, of("b"))
    until(lambda: not searcher.busy)
    assert finder.stopped == [("a",)]
    assert finder.tables == [("b",)]
    answers = [what for name, what in searcher.log if name != "said"]
    assert answers == [("b",), (("b",), "table of ('b',)")]


def test_at_once_does_not_wait_for_the_pause(searcher, finder, until):
    searcher.ask(finder, of("a"), at_once=False)
    searcher.ask(finder, of("ab"))
    assert not searcher._timer.isActive()
    until(lambda: not searcher.busy)
    assert finder.asked == [("ab",)]


def test_cancel(searcher, finder, until):
    finder.slow = {("a",)}
    searcher.ask(finder, of("a"))
    until(lambda: finder.asked)
    searcher.cancel()
    assert not searcher.busy
    until(lambda: finder.stopped)
    searcher.ask(finder, of("b"), at_once=False)
    searcher.cancel()
    assert not searcher.busy
    assert not [name for name, _ in searcher.log if name != "said"]


def test_error(searcher, finder, until):
    finder.error = ValueError("nothing to look for")
    searcher.ask(finder, of("a"))
    until(lambda: not searcher.busy)
    assert searcher.log[-1] == ("failed", finder.error)
    assert not finder.tables
