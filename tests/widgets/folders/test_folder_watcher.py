import threading

import pytest
from AnyQt.QtCore import QObject

from orangecontrib.imageanalytics.import_images.folders import Listing
from orangecontrib.imageanalytics.import_images.watch import Changes
from orangecontrib.imageanalytics.widgets.folders.folder_watcher import FolderWatcher


class Watch:
    """Stands in for `FolderWatch`."""

    def __init__(self, *n_new):
        self.n_new = list(n_new)
        self.cancelled = False
        self.taken = []
        self.threads = set()
        self.n_looks = 0
        self.gate = threading.Event()
        self.gate.set()

    def look(self):
        self.n_looks += 1
        self.threads.add(threading.get_ident())
        assert self.gate.wait(20)
        if self.cancelled:
            return None
        n_new = self.n_new.pop(0) if self.n_new else 0
        if isinstance(n_new, Exception):
            raise n_new
        return Changes(Listing([]), {}, n_new=n_new, n_waiting=n_new)

    def take(self, changes):
        self.taken.append(changes)


@pytest.fixture
def seen():
    return []


@pytest.fixture
def watcher(seen):
    parent = QObject()
    watcher = FolderWatcher(parent)
    watcher.interval = watcher.settling = 0.001
    watcher.looked.connect(seen.append)
    yield watcher
    watcher.close()


def test_looks_again_and_again_in_a_thread(watcher, seen, until):
    watch = Watch(0, 3)
    watcher.start(watch)
    assert watcher.active
    until(lambda: len(seen) >= 3)
    assert [changes.n_new for changes in seen[:3]] == [0, 3, 0]
    assert threading.get_ident() not in watch.threads


def test_stops(watcher, seen, until):
    watch = Watch()
    watch.gate.clear()
    watcher.start(watch)
    until(lambda: watch.n_looks)
    watcher.stop()
    assert watch.cancelled and not watcher.active
    watch.gate.set()
    other = Watch(1)
    watcher.start(other)
    until(lambda: other.n_looks > 1)
    # Of the first, nothing was told.
    assert watch.n_looks == 1 and seen[0].n_new == 1


def test_takes(watcher, seen, until):
    watch = Watch(2)
    watcher.start(watch)
    until(lambda: seen)
    watcher.take(seen[0])
    assert watch.taken == seen[:1]
    n_before = len(seen)
    until(lambda: len(seen) > n_before)
    watcher.stop()
    watcher.take(seen[0])
    assert watch.taken == seen[:1]


def test_what_was_found_meanwhile_is_not_told_after_taking(watcher, seen, until):
    watch = Watch(2, 2)
    watcher.start(watch)
    until(lambda: seen)
    watch.gate.clear()
    until(lambda: watch.n_looks == 2)
    watcher.take(seen[0])
    watch.gate.set()
    until(lambda: len(seen) > 1)
    assert [changes.n_new for changes in seen[:2]] == [2, 0]


def test_long_looks_come_less_often(watcher, until, seen, monkeypatch):
    waits = []
    monkeypatch.setattr(FolderWatcher, "_wait", lambda self, s: waits.append(s))
    watcher.interval, watcher.settling = 3.0, 1.0
    for n_waiting, seconds, expected in ((0, 0.1, 3), (1, 0.01, 1), (0, 2, 20)):
        changes = Changes(Listing([]), {}, n_waiting=n_waiting)
        watcher._done((changes, seconds))
        assert waits.pop() == expected


def test_goes_on_after_an_error(watcher, until, seen, caplog):
    watcher.start(Watch(ZeroDivisionError("odd"), 1))
    until(lambda: seen)
    assert seen[0].n_new == 1
    assert "Watching folders failed" in caplog.text


def test_closing_ends_the_thread(watcher, until):
    watch = Watch()
    watcher.start(watch)
    until(lambda: watch.n_looks)
    watcher.close()
    assert not watcher.active
