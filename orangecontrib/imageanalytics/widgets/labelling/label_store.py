"""What a widget remembers: labels of images that come and go, and the autosave."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from AnyQt.QtCore import QObject
from AnyQt.QtCore import pyqtSignal as Signal

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.labels import (
    Keeper,
    LabelClass,
    LabeledImage,
    LabelSession,
    Memory,
    Record,
    autosaves,
    find,
)
from orangecontrib.imageanalytics.labels.record import Found, identify, not_among
from orangecontrib.imageanalytics.widgets.utils.background import Background

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownLabels:
    """
    Labels from another table.

    Attributes
    ----------
    classes : list of LabelClass
    images : list of LabeledImage
        Without the SHA-256 of their files, which is found out in the thread.
    """

    classes: list[LabelClass] = field(default_factory=list)
    images: list[LabeledImage] = field(default_factory=list)


@dataclass
class Offer:
    """Labels from an autosave: its record, and which images they belong to."""

    record: Record
    found: Found


@dataclass
class LookedUp:
    """
    What is known about images.

    Attributes
    ----------
    record : Record
        What was remembered.
    found : Found
        Where its images are.
    known : Found
        Where the images of the other table are, if it was not taken over before.
    known_classes : list of LabelClass
    known_fingerprint : str
    offer : Offer or None
        Labels in an autosave that is later than what was remembered.
    damaged : list of str
        New paths of autosaves that are damaged.
    """

    record: Record
    found: Found
    known: Found = field(default_factory=Found)
    known_classes: list[LabelClass] = field(default_factory=list)
    known_fingerprint: str = ""
    offer: Offer | None = None
    damaged: list[str] = field(default_factory=list)


class LabelStore(QObject):
    """
    Remembers the labels of images, also of those that are not in the data now.

    Parameters
    ----------
    parent : QObject
    stored : dict
        A record as `settings` gives it.
    """

    #: `LookedUp`, for the images that were looked up last.
    looked_up = Signal(object)
    #: The exception that prevented it.
    failed = Signal(object)
    #: The record that was autosaved, or the exception that prevented it.
    saved = Signal(object)

    def __init__(self, parent: QObject, stored: dict):
        super().__init__(parent)
        record = Record.from_dict(stored)
        self._before = Memory.of(record)
        self._saved_record = record
        self._keeper = Keeper(self.saved.emit)
        self._keeper.wanted, self._keeper.since = record.name, record.changed
        self.saved.connect(self._on_saved)
        self._background = Background(self, self._on_looked_up, self.failed.emit)
        self._stop = threading.Event()
        self._offers, self._has_sources = True, False
        #: Added while images are looked up.
        self._added: tuple[LabeledImage, ...] = ()
        #: By their numbers, the classes as absent images name them.
        self._names: dict[int, str] = {}

    @property
    def busy(self) -> bool:
        """Whether images are being looked up."""
        return self._background.busy

    @property
    def autosave_path(self) -> str:
        """Path of the autosave; empty before the first one."""
        return self._keeper.path

    def wait(self, seconds: float) -> bool:
        """Wait until everything is autosaved; return whether it is."""
        return self._keeper.wait(seconds)

    def classes(self) -> list[LabelClass]:
        """The classes that were remembered."""
        parts = self._before.parts
        return list(parts[0][0].classes.values()) if parts else []

    # Looking up

    def leave(self, session: LabelSession, sources: Sequence[str]) -> None:
        """Remember a session, since other images are coming."""
        self._before = self._memory(session, sources, self._before.changed)
        self._names = {}

    def follow(self, session: LabelSession) -> None:
        """Rename the classes of absent images as this session does from now on."""
        self._names = {n: given.name for n, given in session.classes.items()}

    def new_names(self, session: LabelSession) -> dict[str, str]:
        """By their old names, the classes that were renamed since `follow`."""
        classes = session.classes
        return {
            name: classes[number].name
            for number, name in self._names.items()
            if number in classes and classes[number].name != name
        }

    def look_up(self, sources: Sequence[str], known: KnownLabels) -> None:
        """Find out, in a thread, what is known about images."""
        self._stop.set()
        self._stop = stop = threading.Event()
        self._has_sources = bool(sources)

        def callback(_fraction):
            if stop.is_set():
                raise Cancelled

        saved, self._added = self._identities(), ()
        self._background.start(
            _look_up, self._before, saved, sources, known, self._offers, callback
        )

    def _on_looked_up(self, result: LookedUp) -> None:
        self._offers = self._offers and not self._has_sources
        known = result.known_fingerprint or result.record.known
        # Those that were added last come first.
        absent = (*self._added, *not_among(result.found.absent, self._added))
        self._before = replace(self._before, parts=(), absent=absent, known=known)
        self.looked_up.emit(result)

    def take_offer(self, offer: Offer, session: LabelSession) -> None:
        """Remember the images of an autosave that are not in the data, and go on."""
        self.add_absent(offer.found.absent, session)
        self._keeper.wanted = offer.record.name
        self._keeper.since = offer.record.changed

    def absent(self, session: LabelSession) -> tuple[LabeledImage, ...]:
        """Labelled images that are not in the data, classes named as in a session."""
        names, absent = self.new_names(session), self._before.absent
        if not names:
            return absent
        return tuple(
            replace(image, class_name=names.get(image.class_name, image.class_name))
            for image in absent
        )

    def add_absent(self, images: Sequence[LabeledImage], session: LabelSession) -> None:
        """Remember more images that are not in the data; their new classes count."""
        self._added = (*images, *not_among(self._added, images))
        absent = (*images, *not_among(self.absent(session), images))
        self._before = replace(self._before, absent=absent)
        self.follow(session)

    # Keeping

    def keep(self, session: LabelSession, sources: Sequence[str]) -> None:
        """Autosave the labels, in a thread."""
        self._before = replace(self._before, changed=time.time())
        self._keeper.keep(self._memory(session, sources, self._before.changed))

    def settings(self, session: LabelSession, sources: Sequence[str]) -> dict:
        """The record for a workflow; no file is read for it."""
        identities = self._identities()
        memory = self._memory(session, sources, self._before.changed)
        record = memory.record(lambda source: identities.get(source, ("", -1)))
        record.name = self._saved_record.name
        return record.as_dict() if record else {}

    def _identities(self) -> dict[str, tuple[str, int]]:
        """SHA-256 and sizes as they were when labels were last saved."""
        return {
            image.source: (image.sha256, image.n_bytes)
            for image in self._saved_record.images
            if image.sha256
        }

    def _memory(self, session, sources, changed: float) -> Memory:
        before = self._before
        parts = ((session.copy(), sources), *before.parts)
        name = self._saved_record.name
        absent = self.absent(session)
        return Memory(parts, absent, changed, name, before.known)

    def _on_saved(self, result) -> None:
        if isinstance(result, Record):
            self._saved_record = result
        else:
            log.warning("Labels could not be autosaved: %s", result)

    def close(self) -> None:
        """Stop looking up; what waits to be autosaved still is."""
        self._stop.set()
        self._background.cancel()
        self._keeper.close()


def _look_up(
    memory: Memory,
    saved: dict[str, tuple[str, int]],
    sources: Sequence[str],
    known: KnownLabels,
    with_offer: bool,
    callback: Callable[[float], None],
) -> LookedUp:
    # Files may have changed since their images were labelled.
    record = memory.record(lambda source: saved.get(source) or identify(source))
    result = LookedUp(record, find(record.images, sources, callback))
    found = find(known.images, sources, callback)
    if found.absent and sources:
        found = _find_by_content(known.images, sources, callback)
    fingerprint = _fingerprint(found, sources)
    if fingerprint and fingerprint != record.known:
        result.known, result.known_classes = found, known.classes
        result.known_fingerprint = fingerprint
    if with_offer and sources:
        result.offer = _offer(result, sources, callback)
    return result


def _fingerprint(found: Found, sources: Sequence[str]) -> str:
    """Stands for the classes that were found; empty if there are none."""
    if not found.names:
        return ""
    text = repr(sorted((sources[place], name) for place, name in found.names.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _find_by_content(images, sources, callback) -> Found:
    identified = []
    for image in images:
        callback(0)
        sha256, n_bytes = identify(image.source)
        identified.append(replace(image, sha256=sha256, n_bytes=n_bytes))
    return find(identified, sources, callback)


def _offer(result: LookedUp, sources, callback) -> Offer | None:
    record, names = result.record, result.found.names
    for _, saved in autosaves(result.damaged):
        callback(0)
        if record and saved.name != record.name:
            continue
        if saved.changed <= record.changed or not saved.n_labeled:
            continue
        found = find(saved.images, sources, callback)
        if any(names.get(image) != name for image, name in found.names.items()):
            return Offer(saved, found)
    return None


def labels_from(classes: list[LabelClass], names, sources) -> KnownLabels:
    """Labels of sources, those without a name or source left out."""
    images = [
        LabeledImage(source, name)
        for source, name in zip(sources, names, strict=True)
        if source and name
    ]
    return KnownLabels(classes, images)
