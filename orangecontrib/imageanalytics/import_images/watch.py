"""Find changes in folders after they were read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from orangecontrib.imageanalytics.images.sources import file_stamp
from orangecontrib.imageanalytics.import_images.folders import Listing, list_folders
from orangecontrib.imageanalytics.import_images.headers import (
    ImgData,
    ImgDataError,
    meta_data_reader,
)

Stamp = tuple[int, int]  # bytes, and nanoseconds of the last change
Files = dict[str, list[ImgData | ImgDataError]]  # what each file holds


@dataclass
class Changes:
    """The differences from the images that were taken last.

    Attributes
    ----------
    listing : Listing
        The folders and images as they are now.
    files : dict of str to list of (ImgData or ImgDataError)
        The images by their files.
    n_new, n_changed, n_removed : int
        Number of images.
    n_waiting : int
        Number of files that may still be being written.
    unreachable : list of OSError
        Why folders cannot be read at present. Their images stay in the listing.
    """

    listing: Listing
    files: Files
    n_new: int = 0
    n_changed: int = 0
    n_removed: int = 0
    n_waiting: int = 0
    unreachable: list[OSError] = field(default_factory=list)

    def __bool__(self):
        return bool(self.n_new or self.n_changed or self.n_removed)


class FolderWatch:
    """
    Compares folders with what was read from them, each time `look` is called.

    A file that is new or has changed waits until two looks in a row find it with the
    same size and time: until then, it may be half written. Only such files are read,
    so a look costs little more than listing the folders.

    Parameters
    ----------
    listing : Listing
        What was read; see `ImportImages.read`.
    subfolders : bool
        Whether to go into the folders within.
    pages : {"first", "all"}
        As for `ImportImages`.
    columns : sequence of str
        As for `ImportImages`.

    Attributes
    ----------
    cancelled : bool
        Set it, from any thread, to stop a look.
    """

    def __init__(
        self,
        listing: Listing,
        subfolders: bool = True,
        pages: str = "first",
        columns: Sequence[str] = (),
    ):
        self.cancelled = False
        self._subfolders = subfolders
        self._read = meta_data_reader(pages, columns)
        self._listing = listing
        # Filled by the first look: with many images that takes a while.
        self._taken: Files | None = None
        self._known: Files = {}
        self._stamps: dict[str, Stamp] = {}
        self._waiting: dict[str, Stamp] = {}

    def look(self) -> Changes | None:
        """
        Look for changes since the images were taken last.

        Returns
        -------
        Changes or None
            None if cancelled.
        """
        if self._taken is None:
            self._taken = self._known = _by_file(self._listing)
        listing = list_folders(
            self._listing.folders, self._subfolders, lambda: self.cancelled
        )
        unreachable = listing.missing + listing.unreadable
        self._keep_unreachable(listing, unreachable)
        known: Files = {}
        waiting: dict[str, Stamp] = {}
        for path in listing.paths:
            if self.cancelled:
                return None
            found = self._find(path, waiting)
            if found is not None:
                known[path] = found
        if self.cancelled:
            return None
        self._known, self._waiting = known, waiting
        listing.images = [image for images in known.values() for image in images]
        self._listing = listing
        changes = Changes(listing, known, n_waiting=len(waiting))
        changes.unreachable = unreachable
        _count(changes, self._taken)
        return changes

    def take(self, changes: Changes) -> None:
        """From now on, report differences from these changes."""
        self._taken = changes.files

    def _find(self, path: str, waiting: dict[str, Stamp]) -> list | None:
        """What is known about a file; it is read if it has changed and is complete."""
        known = self._known.get(path)
        stamp = file_stamp(path)
        if stamp is None:
            # It has just been removed, or cannot be reached.
            return known
        if known is not None and stamp == self._stamp_of(path, known, stamp):
            self._stamps[path] = stamp
            return known
        if self._waiting.get(path) != stamp:
            waiting[path] = stamp
            return known
        self._stamps[path] = stamp
        return self._read(path)

    def _stamp_of(self, path: str, known: list, stamp: Stamp) -> Stamp | None:
        """The stamp with which a file was read, as far as it is known."""
        if path in self._stamps:
            return self._stamps[path]
        # Read before watching began. A refused file may have been half written.
        is_same = known[0].isvalid and known[0].size == stamp[0]
        return stamp if is_same else None

    def _keep_unreachable(self, listing: Listing, errors: list[OSError]) -> None:
        """Keep the files in folders that cannot be read now, as if they still exist."""
        starts = tuple(os.path.join(error.filename, "") for error in errors)
        if starts:
            kept = [path for path in self._known if path.startswith(starts)]
            listing.paths += kept
            for folder in {os.path.dirname(path) for path in kept}:
                listing.roots[folder] = self._listing.roots[folder]


def _by_file(listing: Listing) -> Files:
    """The images by their files; those of one file follow each other."""
    files: Files = {}
    images = iter(listing.images)
    image = next(images, None)
    for path, following in zip(listing.paths, [*listing.paths[1:], ""], strict=True):
        files[path] = []
        while image is not None and image.path != following:
            if image.path != path and not image.path.startswith(f"{path}#page="):
                break
            files[path].append(image)
            image = next(images, None)
    return files


def _count(changes: Changes, before: Files) -> None:
    after = changes.files
    for path in before.keys() | after.keys():
        old, new = before.get(path, []), after.get(path, [])
        if old is new:
            continue
        n_old = sum(image.isvalid for image in old)
        n_new = sum(image.isvalid for image in new)
        changes.n_changed += min(n_old, n_new)
        changes.n_new += max(n_new - n_old, 0)
        changes.n_removed += max(n_old - n_new, 0)
