"""A second thread for a widget or dialog, besides that of its main work."""

from collections.abc import Callable

from AnyQt.QtCore import QObject
from Orange.widgets.utils.concurrent import ConcurrentMixin


class Background(QObject, ConcurrentMixin):
    """Runs one function at a time in a thread; only the last result is delivered.

    The thread does not use Qt, so its parent may be deleted at any time.

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
        """Whether a function is running."""
        return self.task is not None

    def start(self, function: Callable, *args):
        """Call a function in the thread, and ignore the result of the one before."""
        super().start(lambda _state: function(*args))

    def on_done(self, result):
        self._done(result)

    def on_exception(self, ex):
        self._failed(ex)
