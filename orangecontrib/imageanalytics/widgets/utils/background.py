"""A second thread for a widget or dialog, beside that of its main work."""

from collections.abc import Callable

from AnyQt.QtCore import QObject
from Orange.widgets.utils.concurrent import ConcurrentMixin


class Background(QObject, ConcurrentMixin):
    """Runs one function at a time in a thread; the last one asked for counts.

    The thread touches nothing of Qt, so that its parent may go at any time.

    Parameters
    ----------
    parent : QObject
    done : callable
        Called in the parent's thread with what the function returned.
    failed : callable
        Called with the exception that it raised.
    """

    def __init__(self, parent: QObject, done: Callable, failed: Callable):
        QObject.__init__(self, parent)
        ConcurrentMixin.__init__(self)
        self._done, self._failed = done, failed

    @property
    def busy(self) -> bool:
        """Whether a function runs whose result is awaited."""
        return self.task is not None

    def start(self, function: Callable, *args):
        """Call a function in the thread; what ran before is not awaited any more."""
        super().start(lambda _state: function(*args))

    def on_done(self, result):
        self._done(result)

    def on_exception(self, ex):
        self._failed(ex)
