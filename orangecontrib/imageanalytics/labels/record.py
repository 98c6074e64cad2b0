"""What is kept of a session: in workflows, in the autosave and in CSV files.

A record names images by their paths and by the SHA-256 of their files. Images that were
moved or renamed are found by the latter.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from orangecontrib.imageanalytics.errors import ImageAnalyticsError
from orangecontrib.imageanalytics.labels.content import digest_of, size_of
from orangecontrib.imageanalytics.labels.session import (
    NO_CLASS,
    LabelClass,
    LabelSession,
)

VERSION = 1
_COLOR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)


class RecordError(ImageAnalyticsError):
    """A record is damaged, or from a later version."""


@dataclass(frozen=True)
class LabeledImage:
    """
    An image of a record.

    Attributes
    ----------
    source : str
        Path or URL; may be empty.
    class_name : str
        Empty for an image that was skipped.
    sha256 : str
        Of the file, in hexadecimal; empty if it is not known.
    n_bytes : int
        Size of the file; -1 if it is not known.
    """

    source: str
    class_name: str
    sha256: str = ""
    n_bytes: int = -1


@dataclass
class Record:
    """
    Classes and labelled images.

    Attributes
    ----------
    classes : list of LabelClass
    images : list of LabeledImage
    changed : float
        When the labels were changed last, in seconds since 1970.
    name : str
        Name of its autosave; empty if there is none.
    known : str
        Stands for the table of known labels that was taken over last.
    """

    classes: list[LabelClass] = field(default_factory=list)
    images: list[LabeledImage] = field(default_factory=list)
    changed: float = 0.0
    name: str = ""
    known: str = ""

    def __bool__(self) -> bool:
        return bool(self.classes or self.images)

    @property
    def n_labeled(self) -> int:
        """Number of images with a class."""
        return sum(bool(image.class_name) for image in self.images)

    def as_dict(self) -> dict:
        """The record as plain values, for JSON and settings of workflows."""
        return {
            "version": VERSION,
            "name": self.name,
            "changed": self.changed,
            "known": self.known,
            "classes": [[given.name, given.color] for given in self.classes],
            "images": [
                [image.source, image.class_name, image.sha256, image.n_bytes]
                for image in self.images
            ],
        }

    @classmethod
    def from_dict(cls, values: object) -> Record:
        """
        Make a record from what `as_dict` gives.

        Raises
        ------
        RecordError
            It is damaged, or from a later version.
        """
        if not isinstance(values, dict):
            raise RecordError("it does not contain labels")
        if not values:
            return cls()
        version = values.get("version")
        if isinstance(version, int) and version > VERSION:
            raise RecordError("it was written by a later version of the add-on")
        try:
            changed = float(values["changed"])
            if version != VERSION or not 0 <= changed < float("inf"):
                raise RecordError("it is damaged")
            return cls(
                [_class(*given) for given in values["classes"]],
                [_image(*image) for image in values["images"]],
                changed,
                _name(values.get("name", "")),
                _text(values.get("known", "")),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecordError("it is damaged") from error


def is_record(values: object) -> bool:
    """Whether these are values of a record, as in a setting."""
    try:
        Record.from_dict(values)
    except RecordError:
        return False
    return True


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _name(value: object) -> str:
    if not re.fullmatch(r"[0-9a-f-]*", _text(value)):
        raise ValueError("not the name of an autosave")  # but maybe a path
    return value


def _class(name: object, color: object) -> LabelClass:
    if not _text(name).strip() or not _COLOR.fullmatch(_text(color)):
        raise ValueError("not a class")
    return LabelClass(name, color)


def _image(source, class_name, sha256, n_bytes) -> LabeledImage:
    return LabeledImage(_text(source), _text(class_name), _text(sha256), int(n_bytes))


#: Gives the SHA-256 and the size of an image's file, as in `LabeledImage`.
Identify = Callable[[str], tuple[str, int]]


def identify(source: str) -> tuple[str, int]:
    """SHA-256 and size of an image's file, which is read if they are not known."""
    return digest_of(source), size_of(source)


def labeled_images(
    session: LabelSession, sources: Sequence[str], identify: Identify = identify
) -> list[LabeledImage]:
    """
    The images of a session that have a class or were skipped.

    Parameters
    ----------
    session : LabelSession
    sources : sequence of str
        Paths or URLs of its images.
    identify : callable
        Gives SHA-256 and size for a source.
    """
    classes, labels = session.classes, session.labels
    images = []
    for image in ((labels != NO_CLASS) | session.skipped).nonzero()[0].tolist():
        number, source = int(labels[image]), sources[image]
        name = "" if number == NO_CLASS else classes[number].name
        images.append(LabeledImage(source, name, *identify(source)))
    return images


def not_among(
    images: Iterable[LabeledImage], before: Iterable[LabeledImage]
) -> list[LabeledImage]:
    """The images that are not among those before, even with another class."""
    known: dict[str, set[str]] = {}
    images = list(images)
    for image in before if images else ():
        known.setdefault(image.source, set()).add(image.sha256)
    return [image for image in images if not _may_be_in(known.get(image.source), image)]


def _may_be_in(digests: set[str] | None, image: LabeledImage) -> bool:
    """Whether one of the digests at the path of an image may be its own."""
    return bool(digests) and (
        not image.sha256 or "" in digests or image.sha256 in digests
    )


@dataclass
class Found:
    """
    Images of a record, found among others.

    Attributes
    ----------
    names : dict of int to str
        Names of the classes of images.
    skipped : list of int
        Images that were skipped.
    absent : list of LabeledImage
        Images of the record that are not there.
    changed : list of int
        Images whose files have changed since they were labelled.
    moved : int
        Number of images that have another path now.
    """

    names: dict[int, str] = field(default_factory=dict)
    skipped: list[int] = field(default_factory=list)
    absent: list[LabeledImage] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    moved: int = 0


def find(
    images: Sequence[LabeledImage],
    sources: Sequence[str],
    callback: Callable[[float], None] = lambda _fraction: None,
    digest: Callable[[str], str] = digest_of,
) -> Found:
    """
    Find the images of a record.

    An image is found by its path if its content is the same, or else by its content. If
    that is nowhere, its path suffices: the file has been edited. Only files that have
    the size of an image in the record are read.

    Parameters
    ----------
    images : sequence of LabeledImage
        What to look for.
    sources : sequence of str
        Paths or URLs of the images that are there.
    callback : callable
        Receives the fraction that is done; may raise an exception to stop.
    digest : callable
        Gives the SHA-256 for a source.

    Returns
    -------
    Found
    """
    return _Search(images, sources, callback, digest).run()


class _Search:
    def __init__(self, images, sources, callback, digest):
        self._images, self._sources = images, sources
        self._callback, self._digest = callback, digest
        self._free = [True] * len(sources)
        self._of_path: dict[str, deque[int]] = defaultdict(deque)
        for place, source in enumerate(sources):
            self._of_path[source].append(place)
        self._digests: dict[int, str] = {}
        # By their digests, and by these with the names of the files.
        self._of_content: dict[tuple[str, ...], deque[int]] = defaultdict(deque)

    def run(self) -> Found:
        self._read()
        found, rest = Found(), []
        for image in self._images:
            self._note(found, image, self._same_path(image), rest)
        rest, others = [], rest
        for image in others:
            place = self._same_content(image)
            found.moved += place is not None
            self._note(found, image, place, rest)
        for image in rest:
            place = self._first_free(self._of_path.get(image.source))
            if place is not None and image.sha256 and self._digests.get(place, ""):
                found.changed.append(place)
            self._note(found, image, place, found.absent)
        return found

    def _read(self):
        """Find out the digests that may be needed."""
        sizes = {image.n_bytes for image in self._images if image.sha256}
        paths = {image.source for image in self._images if image.sha256}
        if not sizes:
            return
        for place, source in enumerate(self._sources):
            if place % 100 == 0:
                self._callback(place / len(self._sources))
            # The size of images from files without it, such as CSV, is not known.
            if source in paths or -1 in sizes or size_of(source) in sizes:
                self._callback(place / len(self._sources))
                digest = self._digests[place] = self._digest(source)
                if digest:
                    self._of_content[(digest,)].append(place)
                    self._of_content[digest, _file_name(source)].append(place)

    def _same_path(self, image: LabeledImage) -> int | None:
        place = self._first_free(self._of_path.get(image.source))
        if place is None or not image.sha256:
            return place
        # What cannot be read, or is on the web, is known by its path alone.
        same = self._digests.get(place, "") in ("", image.sha256)
        return place if same else None

    def _same_content(self, image: LabeledImage) -> int | None:
        """Among equal files, the one with the same name is preferred."""
        for key in ((image.sha256, _file_name(image.source)), (image.sha256,)):
            place = self._first_free(self._of_content.get(key))
            if place is not None:
                return place
        return None

    def _first_free(self, places: deque[int] | None) -> int | None:
        while places and not self._free[places[0]]:
            places.popleft()  # it never becomes free again
        return places[0] if places else None

    def _note(self, found: Found, image, place: int | None, others: list):
        if place is None:
            others.append(image)
            return
        self._free[place] = False
        if image.class_name:
            found.names[place] = image.class_name
        else:
            found.skipped.append(place)


def _file_name(source: str) -> str:
    return os.path.basename(source.replace("\\", "/"))
