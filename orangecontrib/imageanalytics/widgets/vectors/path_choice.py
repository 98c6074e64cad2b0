"""The choice of a file or folder of vectors, with recent ones."""

import os

from AnyQt.QtCore import QMimeData, Qt, Signal
from AnyQt.QtGui import QStandardItem
from AnyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFileIconProvider,
    QHBoxLayout,
    QInputDialog,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStyle,
    QWidget,
)

from orangecontrib.imageanalytics.vector_files.files import ENDINGS, is_url
from orangecontrib.imageanalytics.widgets.folders.folder_choice import short_name
from orangecontrib.imageanalytics.widgets.folders.recent_folders import RecentFolders
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    narrow,
    show_placeholder,
)

TIP = (
    "<p>Recent files and folders of vectors.</p>"
    "<p>They can also be dropped here from the desktop.</p>"
)
_FILTER = f"Parquet files ({' '.join('*' + ending for ending in ENDINGS)})"


class PathChoice(QWidget):
    """A list of recent files and folders, and buttons to choose others."""

    #: A path, an address or a RecentPath.
    chosen = Signal(object)
    reload = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._current = ""
        self.combo = QComboBox(toolTip=TIP)
        narrow(self.combo, 20)
        self.combo.setPlaceholderText("Choose a file or folder")
        show_placeholder(self.combo)
        self.combo.activated.connect(
            lambda index: self.chosen.emit(self.combo.itemData(index))
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo)
        for text, tip, clicked in (
            ("File…", "Choose a Parquet file", self.browse_file),
            ("Folder…", "Choose a folder of Parquet files", self.browse_folder),
            (
                "Address…",
                "Enter the address of vectors on a server, such as s3://bucket/vectors",
                self.ask_address,
            ),
        ):
            layout.addWidget(self._make_button(text, tip, clicked))
        self.reload_button = self._make_button(
            "Reload", "Look again what there is", self.reload.emit
        )
        icon = self.style().standardIcon(QStyle.SP_BrowserReload)
        self.reload_button.setIcon(icon)
        layout.addWidget(self.reload_button)

    def _make_button(self, text, tip, clicked) -> QPushButton:
        button = QPushButton(text, toolTip=tip, autoDefault=False)
        button.clicked.connect(lambda: clicked())
        button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
        return button

    def show_paths(self, recent: RecentFolders) -> None:
        """Show the recent files and folders, the first of which is read."""
        icons = QFileIconProvider()
        self.combo.clear()
        for path in recent.paths:
            name = path.abspath or path.relpath or ""
            is_file = name.lower().endswith(ENDINGS)  # not looked up: may be far away
            icon = icons.icon(icons.File if is_file else icons.Folder)
            item = QStandardItem(icon, name if is_url(name) else short_name(name))
            item.setToolTip(name)
            item.setData(path, Qt.UserRole)
            self.combo.model().appendRow(item)
        read = recent.read
        self._current = read[0].abspath if read else ""
        self.combo.setCurrentIndex(0 if read else -1)
        self.combo.setToolTip(self._current or TIP)
        self.combo.setEnabled(bool(recent.paths))
        self.reload_button.setEnabled(bool(read))

    def browse_file(self) -> None:
        """Let the user choose a file."""
        path, _ = QFileDialog.getOpenFileName(
            self, "Choose a Parquet File", self._beside(), _FILTER
        )
        if path:
            self.chosen.emit(path)

    def browse_folder(self) -> None:
        """Let the user choose a folder."""
        path = QFileDialog.getExistingDirectory(
            self, "Choose a Folder of Parquet Files", self._beside()
        )
        if path:
            self.chosen.emit(path)

    def ask_address(self) -> None:
        """Let the user enter an address."""
        address, accepted = QInputDialog.getText(
            self,
            "Address of Vectors",
            "Address of a Parquet file, or of a folder of them,\n"
            "such as s3://bucket/vectors:",
            QLineEdit.Normal,
            self._current if is_url(self._current) else "",
        )
        if accepted and address.strip():
            self.chosen.emit(address.strip())

    def _beside(self) -> str:
        if not self._current or is_url(self._current):
            return os.path.expanduser("~")
        return os.path.dirname(self._current)


def dropped_path(data: QMimeData) -> str:
    """The path of a dropped file or folder of vectors; "" for anything else."""
    urls = data.urls()
    if len(urls) != 1 or not urls[0].isLocalFile():
        return ""
    path = urls[0].toLocalFile()
    return path if may_have_vectors(path) else ""


def may_have_vectors(path: str) -> bool:
    """Whether this is a Parquet file, or a folder that contains one."""
    if os.path.isfile(path):
        return path.lower().endswith(ENDINGS)
    try:
        with os.scandir(path) as entries:
            return any(entry.name.lower().endswith(ENDINGS) for entry in entries)
    except OSError:
        return False
