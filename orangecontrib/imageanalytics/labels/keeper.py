"""Keeps what was labelled: always the latest state, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orangecontrib.imageanalytics.labels.autosave import Autosave
from orangecontrib.imageanalytics.labels.record import (
    Identify,
    LabeledImage,
    Record,
    identify,
    labeled_images,
    not_among,
)
from orangecontrib.imageanalytics.labels.session import LabelSession


@dataclass(frozen=True)
class Memory:
    """
    Everything of which a record is made; making one reads the labelled files.

    Attributes
    ----------
    parts : tuple of (LabelSession, sequence of str)
        Sessions that nobody changes any more, and the sources of their images. The
        first has the classes. If an image is in several, the first counts.
    absent : tuple of LabeledImage
        Images that are in none of them.
    changed : float
        When the labels were changed last, in seconds since 1970.
    name, known : str
        As for `Record`.
    """

    parts: tuple[tuple[LabelSession, Sequence[str]], ...] = ()
    absent: tuple[LabeledImage, ...] = ()
    changed: float = 0.0
    name: str = ""
    known: str = ""

    @classmethod
    def of(cls, record: Record) -> Memory:
        """The memory of what a record says."""
        session = LabelSession(0, record.classes)
        images = tuple(record.images)
        return cls(((session, ()),), images, record.changed, record.name, record.known)

    def record(self, identify: Identify = identify) -> Record:
        """
        Make the record.

        Parameters
        ----------
        identify : callable
            Gives SHA-256 and size for a source.
        """
        classes = list(self.parts[0][0].classes.values()) if self.parts else []
        images: list[LabeledImage] = []
        for session, sources in self.parts:
            images += not_among(labeled_images(session, sources, identify), images)
        images += not_among(self.absent, images)
        return Record(classes, images, self.changed, self.name, self.known)


class Keeper:
    """
    Autosaves memories in a thread. While one is written, only the latest waits.

    Parameters
    ----------
    saved : callable
        Called in the thread with each `Record` that was saved, or the exception that
        prevented it; no more after `close`.
    folder : str, optional
        As for `Autosave`.

    Attributes
    ----------
    wanted, since
        As for `Autosave.save`; to be set before the first memory.
    """

    def __init__(self, saved: Callable, folder: str | None = None):
        self._saved = saved
        self._autosave = Autosave(folder)
        self._changed = threading.Condition()
        self._waiting: Memory | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self.wanted, self.since = "", 0.0

    @property
    def path(self) -> str:
        """Path of the autosave; empty before the first one."""
        return self._autosave.path

    def keep(self, memory: Memory) -> None:
        """Save a memory soon."""
        with self._changed:
            self._waiting = memory
            if self._thread is None:
                # Not a daemon: the program ends when everything is saved.
                self._thread = threading.Thread(target=self._work, name="labels")
                self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until everything is saved; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, seconds)

    def close(self) -> None:
        """Save what waits, without waiting for it, and let go of the file."""
        with self._changed:
            self._closed = True
            if self._thread is None:
                self._autosave.close()

    def _work(self) -> None:
        while (memory := self._next()) is not None:
            try:
                record = memory.record()
                self._autosave.save(record, self.wanted, self.since)
            except Exception as error:
                # Whatever it is, the next state must be saved.
                record = error
            with self._changed:
                if not self._closed:
                    self._saved(record)

    def _next(self) -> Memory | None:
        with self._changed:
            memory, self._waiting = self._waiting, None
            if memory is None:
                self._thread = None
                if self._closed:
                    self._autosave.close()
                self._changed.notify_all()
            return memory
