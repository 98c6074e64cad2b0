"""The images that serve as examples, small, in a row."""

from __future__ import annotations

import os
from collections.abc import Sequence

from AnyQt.QtCore import QMimeData, QModelIndex, QPoint, Qt, Signal
from AnyQt.QtGui import QAction
from AnyQt.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.images.formats import extensions
from orangecontrib.imageanalytics.images.intensity import Intensity
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader

EDGE = 48
CACHE_BYTES = 20_000_000
MORE_KEY = "M"
NO_EXAMPLES = "No examples. Drop image files here, or select images below and press M."


class _StripGeometry(FlowGeometry):
    """Images of one size."""

    smallest = largest = EDGE


class ExampleStrip(QWidget):
    """
    The examples, and buttons to add and remove some.

    Those that are given to `set_examples` as fixed come after the user's own, and
    cannot be removed here.
    """

    #: Rows of examples that the user does not want.
    removed = Signal(list)
    #: Paths of images that the user wants as examples.
    files_chosen = Signal(list)
    #: The images that are selected elsewhere are wanted as examples.
    more_asked = Signal()

    def __init__(self):
        super().__init__()
        self._n_own = 0
        self._folder = ""
        self.loader = ThumbnailLoader(self, CACHE_BYTES)
        self.view = SheetView(_StripGeometry(EDGE), ExtendedSelection)
        self.view.setModel(ThumbnailModel(self.loader, self))
        self.view.setAccessibleName("Examples")
        self.view.setFixedHeight(EDGE + 2 * FlowGeometry.wide + 10)
        self.view.set_message(NO_EXAMPLES)
        self.view.setTabKeyNavigation(False)
        self.view.selection_changed.connect(self._enable)
        self.view.menu_requested.connect(self._show_menu)
        remove = QAction("Remove", self.view)
        remove.setShortcuts(["Delete", "Backspace"])
        remove.setShortcutContext(Qt.WidgetShortcut)
        remove.triggered.connect(lambda: self.remove())
        self.view.addAction(remove)
        self.more_button = self._make_button(
            "&More Like This",
            f"Use the selected images as examples, too ({MORE_KEY})",
            self.more_asked.emit,
        )
        self.files_button = self._make_button(
            "Fi&les…",
            "Choose image files as examples; they can also be dropped here",
            self.choose_files,
        )
        self.remove_button = self._make_button(
            "&Remove",
            "Remove the selected examples, or all of them (Delete)",
            self.remove,
        )
        buttons = QHBoxLayout()
        for button in (self.more_button, self.files_button, self.remove_button):
            buttons.addWidget(button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.view)
        layout.addLayout(buttons)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)
        self.enable_more(False)
        self._enable()

    def _make_button(self, text: str, tip: str, clicked) -> QPushButton:
        button = QPushButton(text, toolTip=tip, autoDefault=False)
        button.clicked.connect(lambda: clicked())
        return button

    def set_examples(
        self,
        own: Sequence[str],
        fixed: Sequence[str] = (),
        intensity: Intensity = "auto",
    ) -> None:
        """
        Show other examples.

        Parameters
        ----------
        own : sequence of str
            Sources of those that the user has chosen.
        fixed : sequence of str
            Sources of those that the user cannot remove.
        intensity : "auto", "full" or (float, float)
            As for `decode`.
        """
        self._n_own = len(own)
        names = [""] * len(own) + ["From the input Examples"] * len(fixed)
        self.view.model().set_images(
            [*own, *fixed], lambda row: [names[row]], intensity
        )
        self.view.set_message("" if own or fixed else NO_EXAMPLES)
        self._enable()

    def enable_more(self, enabled: bool) -> None:
        """Say whether images are selected elsewhere."""
        self.more_button.setEnabled(enabled)

    def choose_files(self) -> None:
        """Let the user choose image files."""
        endings = " ".join(f"*{ending}" for ending in sorted(extensions()))
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Choose Examples", self._folder, f"Images ({endings});;All files (*)"
        )
        if paths:
            self._folder = os.path.dirname(paths[0])
            self.files_chosen.emit(paths)

    def remove(self) -> None:
        """Remove the user's examples that are selected, or all if none is selected."""
        selected = self.view.selected_rows() or range(self._n_own)
        rows = [row for row in selected if row < self._n_own]
        if rows:
            self.removed.emit(rows)

    def close_loader(self) -> None:
        """Stop loading, permanently."""
        self.loader.close()

    def _enable(self) -> None:
        rows = self.view.selected_rows()
        own = any(row < self._n_own for row in rows) if rows else self._n_own > 0
        self.remove_button.setEnabled(own)

    def _show_menu(self, index: QModelIndex, place: QPoint) -> None:
        self.menu(index).exec(place)

    def menu(self, index: QModelIndex) -> QMenu:
        """The menu of an example."""
        chosen = self.view.selected_rows()
        rows = chosen if index.row() in chosen else [index.row()]
        own = [row for row in rows if row < self._n_own]
        menu = QMenu(self.view)
        menu.setAttribute(Qt.WA_DeleteOnClose)
        action = menu.addAction("Remove")
        action.triggered.connect(lambda: self.removed.emit(own))
        action.setEnabled(bool(own))
        return menu


def dropped_files(data: QMimeData) -> list[str]:
    """The paths of dropped files; empty if something else is among what is dropped."""
    urls = data.urls()
    paths = [url.toLocalFile() for url in urls if url.isLocalFile()]
    return paths if len(paths) == len(urls) else []
