"""The folder that Save Images writes into."""

import os
from typing import ClassVar

from AnyQt.QtCore import Signal
from AnyQt.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStyle,
    QWidget,
)
from Orange.widgets.widget import OWWidget

from orangecontrib.imageanalytics.widgets.utils.form_parts import show_placeholder


class SavingFolder(QWidget):
    """
    Shows the folder; the user can choose another.

    Parameters
    ----------
    owner : OWWidget
        Has the settings ``dirname``, the folder, and ``last_dir``.
    """

    #: The user has pressed the button.
    asked = Signal()

    #: Folders that were chosen by hand since Orange was started. Workflows come from
    #: others, too: what they name is not written into unasked.
    chosen: ClassVar[set[str]] = set()

    def __init__(self, owner: OWWidget):
        super().__init__()
        self._owner = owner
        self.edit = QLineEdit(readOnly=True, placeholderText="No folder chosen")
        show_placeholder(self.edit)
        self.button = QPushButton(
            "...",
            icon=self.style().standardIcon(QStyle.SP_DirOpenIcon),
            autoDefault=False,
            toolTip="Choose a folder",
        )
        self.button.clicked.connect(lambda: self.asked.emit())
        self.button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.edit)
        row.addWidget(self.button)
        self._show()

    def _show(self):
        folder = self._owner.dirname
        self.edit.setText(folder)
        self.edit.setToolTip(folder)
        self.edit.setCursorPosition(0)

    def choose(self) -> bool:
        """Let the user choose the folder.

        Returns
        -------
        bool
            Whether one was chosen.
        """
        folder = QFileDialog.getExistingDirectory(
            self, "Choose the Folder to Save Into", self._start()
        )
        if not folder:
            return False
        folder = os.path.normpath(folder)
        self._owner.dirname = folder
        self._owner.last_dir = os.path.dirname(folder)
        self.confirm()
        self._show()
        return True

    def _start(self) -> str:
        """Where the dialog begins."""
        folder = self._owner.dirname
        for place in (folder, os.path.dirname(folder), self._owner.last_dir):
            if place and os.path.isdir(place):
                return place
        return os.path.expanduser("~")

    def can_be(self) -> bool:
        """Whether there is such a folder, or one can be made."""
        # A workflow from another computer may name places that are not on this one.
        folder = self._owner.dirname
        return bool(folder) and os.path.isdir(os.path.dirname(folder))

    def confirm(self) -> None:
        """The user wants to save into this folder."""
        if self._owner.dirname:
            self.chosen.add(self._owner.dirname)

    @property
    def is_confirmed(self) -> bool:
        """Whether images may be saved into it unasked."""
        return self._owner.dirname in self.chosen
