"""The window that lists images that are not used, and why."""

import re

from AnyQt.QtCore import Qt
from AnyQt.QtGui import QAction
from AnyQt.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTableView,
    QVBoxLayout,
)
from Orange.widgets.utils.itemmodels import PyTableModel

from orangecontrib.imageanalytics.widgets.utils.standard_buttons import (
    translate_buttons,
)

_LONGEST = 300  # characters of a data URL that are of use to anybody


class SkippedDialog(QDialog):
    """Lists images with the reasons; it may stay open beside the widget.

    Parameters
    ----------
    skipped : list of (str, str)
        Image and reason.
    parent : QWidget, optional
    title : str
        Of the window.
    heading : str
        Stands above the list, before the number of images.
    """

    def __init__(
        self,
        skipped: list[tuple[str, str]],
        parent=None,
        title: str = "Skipped Images",
        heading: str = "Skipped images",
    ):
        super().__init__(parent)
        self.setAttribute(Qt.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(760, 380)
        rows = [[image[:_LONGEST], reason] for image, reason in skipped]
        self.model = PyTableModel(rows, parent=self)
        self.model.setHorizontalHeaderLabels(["Image", "Reason"])
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"{heading}: {len(rows):,}"))
        layout.addWidget(self._make_view())
        layout.addWidget(self._make_buttons())

    def _make_view(self):
        self.view = view = QTableView(self)
        view.setModel(self.model)
        view.setSelectionBehavior(QTableView.SelectRows)
        view.setTextElideMode(Qt.ElideMiddle)
        view.setWordWrap(False)
        view.setAlternatingRowColors(True)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(view.fontMetrics().height() + 8)
        view.horizontalHeader().setStretchLastSection(True)
        view.horizontalHeader().setDefaultAlignment(Qt.AlignLeft | Qt.AlignVCenter)
        view.setColumnWidth(0, 440)
        copy = QAction("Copy", view)
        copy.setShortcut("Ctrl+C")
        copy.setShortcutContext(Qt.WidgetShortcut)
        copy.triggered.connect(self.copy)
        view.addAction(copy)
        view.setContextMenuPolicy(Qt.ActionsContextMenu)
        return view

    def _make_buttons(self):
        buttons = QDialogButtonBox(QDialogButtonBox.Close, self)
        translate_buttons(buttons)
        button = buttons.addButton("Copy", QDialogButtonBox.ActionRole)
        button.setAutoDefault(False)
        button.setToolTip("Copy the selected rows, or all of them, as text")
        button.clicked.connect(self.copy)
        buttons.rejected.connect(self.reject)
        return buttons

    def copy(self):
        """Put the selected rows, or all, on the clipboard, tab-separated."""
        chosen = sorted({i.row() for i in self.view.selectedIndexes()})
        rows = [self.model[self.model.mapToSourceRows(row)] for row in chosen]
        lines = ["\t".join(row) for row in rows or list(self.model)]
        QApplication.clipboard().setText("\n".join(lines))


def without_links(text: str) -> str:
    """A label's text for a report, in which a click would open no list."""
    return re.sub(r"</?a\b[^>]*>", "", text)
