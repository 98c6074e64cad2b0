"""Searches in a thread, of which the latest wins."""

from __future__ import annotations

from AnyQt.QtCore import QObject, QTimer, Signal
from Orange.data import Table
from Orange.widgets.utils.concurrent import ConcurrentMixin

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.widgets.find.finder import Finder, Found, Sorted
from orangecontrib.imageanalytics.widgets.find.question import Question, Sorting

#: Milliseconds without a key being pressed after which a search begins.
PAUSE = 150


class Searcher(QObject, ConcurrentMixin):
    """
    Asks a `Finder`, after a pause, and says what it has found.

    Parameters
    ----------
    parent : QObject
    """

    #: A text: something that takes long has begun.
    said = Signal(str)
    #: Found or Sorted: what to show.
    answered = Signal(object)
    #: Found or Sorted, and the table with its columns.
    finished = Signal(object, object)
    #: Why there is no answer.
    failed = Signal(object)

    def __init__(self, parent: QObject):
        QObject.__init__(self, parent)
        ConcurrentMixin.__init__(self)
        self._finder: Finder | None = None
        self._what: Question | Sorting | None = None
        self._timer = QTimer(self, singleShot=True, interval=PAUSE)
        self._timer.timeout.connect(self._begin)

    @property
    def busy(self) -> bool:
        """Whether there will be an answer."""
        return self._timer.isActive() or self.task is not None

    def ask(
        self, finder: Finder, what: Question | Sorting, at_once: bool = True
    ) -> None:
        """Search, and forget what was asked before."""
        self.cancel()
        self._finder, self._what = finder, what
        if at_once:
            self._begin()
        else:
            self._timer.start()

    def cancel(self) -> None:
        """Forget what was asked."""
        self._timer.stop()
        super().cancel()

    def _begin(self) -> None:
        self.start(search, self._finder, self._what)

    def on_partial_result(self, result: str | Found | Sorted) -> None:
        """As of the mixin: an answer without its table, or a text."""
        if isinstance(result, str):
            self.said.emit(result)
        else:
            self.answered.emit(result)

    def on_done(self, result: tuple[Found | Sorted, Table]) -> None:
        """As of the mixin."""
        self.finished.emit(*result)

    def on_exception(self, ex: Exception) -> None:
        """As of the mixin."""
        self.failed.emit(ex)


def search(
    finder: Finder, what: Question | Sorting, state
) -> tuple[Found | Sorted, Table]:
    """Run in a thread: find or sort images, then make the table."""

    def check():
        if state.is_interruption_requested():
            raise Cancelled

    def say(text):
        check()
        state.set_partial_result(text)

    check()
    answer = (finder.find if isinstance(what, Question) else finder.sort)(
        what, say, check
    )
    check()
    state.set_partial_result(answer)
    return answer, finder.table(answer)
