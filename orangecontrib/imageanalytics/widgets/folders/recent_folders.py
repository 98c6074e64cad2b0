"""The folders that a widget reads, and those that it has read before."""

import os
from collections.abc import Iterable, Sequence

from Orange.widgets.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.vector_files.files import is_url

MOST = 20
Places = Sequence[tuple[str, str]]  # names and folders that paths may start from


class RecentFolders:
    """
    The folders that are read, followed by recent ones.

    Nothing here accesses the disk, since drives that are not available would block.
    Only `located` does, in a thread.

    Parameters
    ----------
    stored : list of RecentPath
        The saved setting; anything but a RecentPath is dropped.
    n_read : int
        The number of those that are read.

    Attributes
    ----------
    paths : list of RecentPath
    n_read : int
    """

    def __init__(self, stored: object = (), n_read: object = 1):
        if not isinstance(stored, list | tuple):
            stored = ()
        self.paths = [path for path in stored if isinstance(path, RecentPath)]
        n_read = n_read if isinstance(n_read, int) and n_read > 0 else 1
        self.n_read = min(n_read, len(self.paths))
        self._is_located = False
        self._keep_most()

    @property
    def read(self) -> list[RecentPath]:
        """The folders that are read."""
        return self.paths[: self.n_read]

    def set(self, folders: Iterable[str | RecentPath], places: Places) -> None:
        """Read only these folders."""
        chosen: list[RecentPath] = []
        for folder in folders:
            known = isinstance(folder, RecentPath)
            recent = folder if known else recent_folder(folder, places)
            if recent not in chosen:
                chosen.append(recent)
        self._read_first(chosen)

    def add(self, folders: Iterable[str | RecentPath], places: Places) -> None:
        """Read additional folders."""
        self.set([*self.read, *folders], places)

    def remove(self, rows: Iterable[int]) -> None:
        """Stop reading some of the folders, which are counted from 0."""
        rows = set(rows)
        kept = [recent for row, recent in enumerate(self.read) if row not in rows]
        self._read_first(kept)

    def _read_first(self, folders: list[RecentPath]) -> None:
        others = [recent for recent in self.paths if recent not in folders]
        self.paths = [*folders, *others]
        self.n_read = len(folders)
        self._is_located = False
        self._keep_most()

    def _keep_most(self) -> None:
        del self.paths[max(MOST, self.n_read) :]

    def locate(self, folders: list[RecentPath]) -> None:
        """Replace the folders that are read by those that `located` has found."""
        self.paths[: self.n_read] = folders
        self._is_located = True

    def start_from(self, places: Places) -> None:
        """Update the folders that are read after search places have changed."""
        # Before, their absolute paths may be those of another computer.
        if self._is_located:
            self.locate([recent_folder(recent.abspath, places) for recent in self.read])


def recent_folder(path: str, places: Places) -> RecentPath:
    """A folder, relative to the first of some places that contain it.

    Addresses, such as ``s3://bucket/vectors``, stay as they are.
    """
    if is_url(path):
        return RecentPath(path, None, None)
    path = os.path.normpath(path)
    for name, base in places:
        # RecentPath.create does not see a workflow saved among the images.
        if os.path.normpath(base) == path:
            return RecentPath(path, name, os.curdir)
    return RecentPath.create(path, places)


def located(folders: Iterable[RecentPath], places: Places) -> list[RecentPath]:
    """
    Where folders are on this computer.

    Parameters
    ----------
    folders : iterable of RecentPath
    places : sequence of (str, str)

    Returns
    -------
    list of RecentPath
        One for each; those that are not found are unchanged.
    """
    return [_located(recent, places) for recent in folders]


def _located(recent: RecentPath, places: Places) -> RecentPath:
    if is_url(recent.abspath):
        return recent
    found = recent.resolve(places)
    path = found.abspath if found else recent.search(places)
    if not path and not recent.abspath:
        # A workflow that came with its images has no more than the relative path.
        bases = [base for name, base in places if name == recent.prefix]
        path = os.path.join(*bases, recent.relpath or "") if bases else None
    return recent_folder(path, places) if path else recent
