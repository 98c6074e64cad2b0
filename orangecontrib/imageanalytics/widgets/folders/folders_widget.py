"""The base of a widget that reads folders: which ones, and how they are chosen."""

import os

from AnyQt.QtCore import QUrl
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.filedialogs import OWUrlDropBase

from orangecontrib.imageanalytics.widgets.folders.folder_choice import (
    FolderChoice,
    adds_to_others,
    dropped_folders,
)
from orangecontrib.imageanalytics.widgets.folders.recent_folders import RecentFolders


class OWFoldersBase(OWUrlDropBase, openclass=True):
    """
    Keeps folders in the settings, shows them in a box, and takes dropped ones.

    A subclass calls `_make_folder_box` and defines `load`, which is called when other
    folders are to be read.
    """

    #: RecentPath objects; the first `n_folders` are read
    recent_paths = Setting([])
    n_folders: int = Setting(1)

    def __init__(self):
        super().__init__()
        self.recent = RecentFolders(self.recent_paths, self.n_folders)
        self._keep_recent()

    @classmethod
    def migrate_settings(cls, settings: dict, _version: int | None):
        # Not what is the default now, which is how many were read last.
        settings.setdefault("n_folders", 1)

    def _make_folder_box(self):
        self.folder_choice = FolderChoice()
        self.folder_choice.chosen.connect(self.set_folders)
        self.folder_choice.added.connect(self.add_folders)
        self.folder_choice.removed.connect(self.remove_folders)
        self.folder_choice.reload.connect(self.load)
        gui.vBox(self.controlArea, "Folder").layout().addWidget(self.folder_choice)

    def load(self):
        """Start to read the folders."""
        raise NotImplementedError

    @property
    def folders(self) -> list[str]:
        """The folders that are read."""
        return [recent.abspath for recent in self.recent.read]

    @property
    def folder(self) -> str | None:
        """The first folder that is read; None until one was chosen."""
        return next(iter(self.folders), None)

    def set_folder(self, path: str):
        """Read another folder, and remember it."""
        self.set_folders([path])

    def set_folders(self, paths: list):
        """Read these folders instead of the present ones."""
        self.recent.set(paths, self._places())
        self._folders_changed()

    def add_folders(self, paths: list):
        """Read additional folders."""
        self.recent.add(paths, self._places())
        self._folders_changed()

    def remove_folders(self, rows: list[int]):
        """Stop reading some of the folders, which themselves stay as they are."""
        self.recent.remove(rows)
        self._folders_changed()

    def _folders_changed(self):
        self._keep_recent()
        self.load()

    def _keep_recent(self):
        self.recent_paths, self.n_folders = self.recent.paths, self.recent.n_read

    def _places(self):
        base = self.workflowEnv().get("basedir")
        return [("basedir", base)] if base else []

    def workflowEnvChanged(self, key, value, oldvalue):
        """The workflow was saved in another folder."""
        if key == "basedir":
            self.recent.start_from(self._places())
            self._keep_recent()

    # Drag and drop --------------------------------------------------------------------

    def canDropUrl(self, url: QUrl) -> bool:
        return url.isLocalFile() and os.path.isdir(url.toLocalFile())

    def handleDroppedUrl(self, url: QUrl) -> None:
        self.set_folder(url.toLocalFile())

    def dragEnterEvent(self, event):
        event.setAccepted(bool(dropped_folders(event.mimeData())))

    def dragMoveEvent(self, event):
        # Other drags did not enter. Not looked up again, as folders may be far away.
        event.accept()

    def dropEvent(self, event):
        folders = dropped_folders(event.mimeData())
        event.setAccepted(bool(folders))
        if folders and adds_to_others(event):
            self.add_folders(folders)
        elif folders:
            self.set_folders(folders)
