"""Check folders for changes from time to time, in a thread."""

import logging
import time
from functools import partial

from AnyQt.QtCore import QObject, QTimer, Signal

from orangecontrib.imageanalytics.import_images.watch import Changes, FolderWatch
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)


class FolderWatcher(QObject):
    """
    Reports changes in folders.

    It compares folders itself, since network drives do not report changes, and the
    systems that do so limit the number of folders. Looks that take long are less
    frequent.

    Attributes
    ----------
    interval : float
        Seconds between two looks.
    settling : float
        Seconds between two looks while files are being written.
    share : float
        The greatest part of the time that looks may take.
    """

    #: A `Changes`, after each look; there may be none.
    looked = Signal(object)

    interval = 3.0
    settling = 1.0
    share = 0.1

    def __init__(self, parent: QObject):
        super().__init__(parent)
        self._watch: FolderWatch | None = None
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._look)
        self._background = Background(self, self._done, self._failed)

    @property
    def active(self) -> bool:
        """Whether folders are watched."""
        return self._watch is not None

    def start(self, watch: FolderWatch) -> None:
        """Watch folders instead of the previous ones."""
        self.stop()
        self._watch = watch
        self._wait(self.interval)

    def take(self, changes: Changes) -> None:
        """From now on, report differences from these changes."""
        if self._watch is None:
            return
        # A look that is under way compares with what was taken before.
        self._background.cancel()
        self._watch.take(changes)
        self._wait(self.interval)

    def stop(self) -> None:
        """Stop watching."""
        self._timer.stop()
        self._background.cancel()
        if self._watch is not None:
            self._watch.cancelled = True
        self._watch = None

    def close(self) -> None:
        """Stop permanently."""
        self.stop()
        end_task(self._background)

    def _wait(self, seconds: float) -> None:
        self._timer.start(round(1000 * seconds))

    def _look(self):
        self._background.start(partial(_timed_look, self._watch))

    def _done(self, result):
        changes, seconds = result
        if changes is None:
            return
        pause = self.settling if changes.n_waiting else self.interval
        self._wait(max(pause, seconds / self.share))
        self.looked.emit(changes)

    def _failed(self, error):
        log.error("Watching folders failed", exc_info=error)
        self._wait(10 * self.interval)


def _timed_look(watch: FolderWatch) -> tuple[Changes | None, float]:
    start = time.monotonic()
    changes = watch.look()
    return changes, time.monotonic() - start
