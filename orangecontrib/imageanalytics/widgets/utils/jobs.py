"""Threads that do the jobs that are wanted now, and drop others."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """
    An image to be loaded.

    Attributes
    ----------
    source : str
        Path or URL.
    box : (int, int) or None
        As for `ThumbnailLoader.request`.
    known : Thumbnail or None
        What was loaded before.
    intensity : "auto", "full" or (float, float)
        As for `decode`.
    cancelled : threading.Event
        Set when the image is no longer wanted.
    """

    source: str
    box: tuple[int, int] | None
    known: Any
    intensity: Intensity = AUTOMATIC
    cancelled: threading.Event = field(default_factory=threading.Event)


class Work(Protocol):
    """The work on a job, in a thread."""

    downloads: "Downloads"

    def __call__(self, job: Job) -> None:
        """Do it."""

    def fail(self, job: Job, error: Exception) -> None:
        """Report an unexpected error."""


class Workers:
    """
    Threads that work off a list of jobs, which may be replaced at any time.

    Parameters
    ----------
    n_threads : int
        How many there are at most; they are started when they are needed.
    work : Work
        What they do.
    """

    def __init__(self, n_threads: int, work: "Work"):
        self._n_threads = n_threads
        self._work = work
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: dict[str, Job] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False

    def replace(self, jobs: Iterable[Job]) -> None:
        """Do only these jobs, in this order."""
        with self._changed:
            wanted = {job.source: job for job in jobs}
            for source, running in self._running.items():
                job = wanted.get(source)
                if job is None or job.box != running.box:
                    running.cancelled.set()
                elif not running.cancelled.is_set():
                    del wanted[source]  # otherwise nothing would come of it
            self._waiting = deque(wanted.values())
            self._start_threads()
            self._changed.notify_all()

    def close(self) -> None:
        """Drop all jobs and end the threads."""
        self.replace(())
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether all is done."""
        with self._changed:
            return not self._waiting and not self._running

    def _start_threads(self) -> None:
        missing = min(self._n_threads, len(self._waiting)) - len(self._threads)
        for _ in range(missing):
            thread = threading.Thread(target=self._run, name="thumbnails", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._work(job)
            except Exception as error:
                log.exception("Loading %s", job.source)
                self._work.fail(job, error)
            finally:
                with self._changed:
                    if self._running.get(job.source) is job:
                        del self._running[job.source]
        self._work.downloads.tidy()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            job = self._waiting.popleft()
            self._running[job.source] = job
            return job


class Downloads:
    """One `Fetcher` for the threads; made and closed in them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._fetcher: Fetcher | None = None
        self._n_users = 0
        self._outdated = False

    def renew(self) -> None:
        """Forget which hosts are dead, as soon as no download is under way."""
        # Without the lock: that would make the GUI wait for a fetcher being made.
        self._outdated = True

    def tidy(self) -> None:
        """Close what `renew` has made outdated, if nobody uses it."""
        with self._lock:
            self._close_outdated()

    def fetch(self, url: str, cancelled: threading.Event) -> bytes:
        """As `Fetcher.fetch`."""
        with self._borrowed() as fetcher:
            return fetcher.fetch(url, cancelled)

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Fetcher]:
        with self._lock:
            self._close_outdated()
            if self._fetcher is None:
                self._fetcher = Fetcher()
            self._n_users += 1
        try:
            yield self._fetcher
        finally:
            with self._lock:
                self._n_users -= 1
                self._close_outdated()

    def _close_outdated(self) -> None:
        if self._outdated and not self._n_users:
            self._outdated = False
            if self._fetcher is not None:
                self._fetcher.close()
                self._fetcher = None
