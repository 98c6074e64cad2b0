"""The choice of one or more folders, with recent ones."""

import os

from AnyQt.QtCore import QMimeData, QSize, Qt, Signal
from AnyQt.QtGui import QAction, QDropEvent, QStandardItem
from AnyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QFileIconProvider,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QStyle,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.widgets.folders.folder_dialog import choose_folders
from orangecontrib.imageanalytics.widgets.folders.recent_folders import RecentFolders
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    narrow,
    show_placeholder,
)

_MOST_ROWS = 5
TIP = (
    "<p>Recent folders.</p><p>Folders can also be dropped here from the desktop. "
    "Hold Shift to add them to those that are read.</p>"
)


class FolderChoice(QWidget):
    """A list of recent folders, buttons, and the list of folders if there are several.

    It shows the folders given to `show_folders`, and emits the user's requests.
    """

    #: Folders, each a path or a RecentPath, to be read instead of the present ones.
    chosen = Signal(list)
    #: Paths of additional folders to be read.
    added = Signal(list)
    #: Rows of the folders that should no longer be read.
    removed = Signal(list)
    reload = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._first = ""
        self.combo = self._make_combo()
        self.browse_button = self._make_button(
            "…", QStyle.SP_DirOpenIcon, "Choose a folder", self.browse
        )
        self.add_button = self._make_button(
            "Add…",
            None,
            "Choose more folders, whose images are listed in the same table",
            self.add,
        )
        self.reload_button = self._make_button(
            "Reload", QStyle.SP_BrowserReload, "Read all again", self.reload.emit
        )
        line = QHBoxLayout()
        for part in (
            self.combo,
            self.browse_button,
            self.add_button,
            self.reload_button,
        ):
            line.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(self._make_several())

    def _make_combo(self) -> QComboBox:
        combo = QComboBox(toolTip=TIP)
        narrow(combo, 20)
        show_placeholder(combo)
        combo.activated.connect(lambda index: self._choose(combo.itemData(index)))
        return combo

    def _make_button(self, text, icon, tip, clicked) -> QPushButton:
        button = QPushButton(text, toolTip=tip, autoDefault=False)
        if icon is not None:
            button.setIcon(self.style().standardIcon(icon))
        button.clicked.connect(lambda: clicked())
        button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
        return button

    def _make_several(self) -> QWidget:
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.ExtendedSelection)
        self.list.setTextElideMode(Qt.ElideMiddle)
        self.list.setIconSize(QSize(16, 16))
        self.list.setAccessibleName("Folders that are read")
        remove = QAction("Remove", self.list)
        remove.setShortcuts(["Delete", "Backspace"])
        remove.setShortcutContext(Qt.WidgetShortcut)
        remove.triggered.connect(self.remove)
        self.list.addAction(remove)
        self.list.setContextMenuPolicy(Qt.ActionsContextMenu)
        self.list.itemSelectionChanged.connect(self._enable_remove)
        self.remove_button = self._make_button(
            "Remove",
            None,
            "Leave out the selected folders; nothing is deleted",
            self.remove,
        )
        self.several = QWidget()
        layout = QHBoxLayout(self.several)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addWidget(self.remove_button, 0, Qt.AlignTop)
        return self.several

    def show_folders(
        self, recent: RecentFolders, problems: dict[str, str] | None = None
    ) -> None:
        """
        Show which folders there are.

        Parameters
        ----------
        recent : RecentFolders
        problems : dict of str to str, optional
            Notes about some folders.
        """
        icon = QFileIconProvider().icon(QFileIconProvider.Folder)
        self.combo.clear()
        for folder in recent.paths:
            item = QStandardItem(icon, short_name(folder.abspath or folder.relpath))
            item.setToolTip(folder.abspath)
            item.setData(folder, Qt.UserRole)
            self.combo.model().appendRow(item)
        read = [folder.abspath for folder in recent.read]
        self._first = read[0] if read else ""
        self.combo.setPlaceholderText(
            f"{len(read)} folders" if read else "Choose a folder"
        )
        self.combo.setCurrentIndex(0 if len(read) == 1 else -1)
        self.combo.setToolTip(self._first if len(read) == 1 else TIP)
        self.combo.setEnabled(bool(recent.paths))
        self.reload_button.setEnabled(bool(read))
        self._show_several(read if len(read) > 1 else [], problems or {}, icon)

    def _show_several(self, folders: list[str], problems: dict[str, str], icon):
        warning = self.style().standardIcon(QStyle.SP_MessageBoxWarning)
        self.list.clear()
        row = max(self.list.fontMetrics().height(), self.list.iconSize().height()) + 6
        self.list.setFixedHeight(min(len(folders), _MOST_ROWS) * row + 6)
        for folder in folders:
            problem = problems.get(os.path.normpath(folder), "")
            text = f"{folder} ({problem})" if problem else folder
            item = QListWidgetItem(warning if problem else icon, text, self.list)
            item.setToolTip(text)
            item.setSizeHint(QSize(0, row))
        self.several.setVisible(bool(folders))
        self._enable_remove()

    def _enable_remove(self):
        self.remove_button.setEnabled(bool(self.list.selectedItems()))

    def _choose(self, folder: str | RecentPath):
        self.chosen.emit([folder])

    def browse(self):
        """Let the user choose another folder."""
        folder = QFileDialog.getExistingDirectory(
            self, "Choose a Folder", self._beside()
        )
        if folder:
            self._choose(folder)

    def add(self):
        """Let the user choose more folders."""
        folders = choose_folders(self, "Add Folders", self._beside())
        if folders:
            self.added.emit(folders)

    def remove(self):
        """Leave out the folders that are selected."""
        rows = sorted(index.row() for index in self.list.selectedIndexes())
        if rows:
            self.removed.emit(rows)

    def _beside(self) -> str:
        return os.path.dirname(self._first) if self._first else os.path.expanduser("~")


def short_name(path: str) -> str:
    """The name of a folder without its path."""
    return os.path.basename(os.path.normpath(path)) or path


def dropped_folders(data: QMimeData) -> list[str]:
    """The paths of dropped folders; empty if anything else is dropped."""
    urls = data.urls()
    paths = [url.toLocalFile() for url in urls if url.isLocalFile()]
    return paths if len(paths) == len(urls) and all(map(os.path.isdir, paths)) else []


def adds_to_others(event: QDropEvent) -> bool:
    """Whether dropped folders should be added, that is, whether Shift is held."""
    # The name of the method differs between Qt 5 and 6.
    modifiers = getattr(event, "modifiers", None) or event.keyboardModifiers
    return bool(modifiers() & Qt.ShiftModifier)
