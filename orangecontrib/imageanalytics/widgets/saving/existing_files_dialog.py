"""The question what to do with files that exist."""

from AnyQt.QtCore import Qt
from AnyQt.QtWidgets import QMessageBox
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.save_images import Saving
from orangecontrib.imageanalytics.widgets.utils.standard_buttons import (
    translate_buttons,
)


class ExistingFilesDialog(QMessageBox):
    """
    Asks whether to skip, rename or overwrite.

    Parameters
    ----------
    saving : Saving
    n_existing : int
        How many of its files exist.
    parent : QWidget
    """

    def __init__(self, saving: Saving, n_existing: int, parent):
        super().__init__(
            QMessageBox.Question,
            "Files Exist",
            f"{n_existing:,} of {saving.total:,} {pl(saving.total, 'file')} already "
            f"{pl(n_existing, 'exists|exist')} in {saving.folder}.",
            parent=parent,
        )
        self.setInformativeText(
            "Skip them, give the new files other names, or overwrite them?"
        )
        # Roles let each desktop put the buttons in its own order; only one of these
        # cannot be undone.
        skip = self.addButton("Skip", QMessageBox.AcceptRole)
        rename = self.addButton("Rename", QMessageBox.AcceptRole)
        overwrite = self.addButton("Overwrite", QMessageBox.DestructiveRole)
        self.addButton(QMessageBox.Cancel)
        translate_buttons(self)
        self.setDefaultButton(skip)
        self.setAttribute(Qt.WA_DeleteOnClose)
        self._answers = {skip: "skip", rename: "rename", overwrite: "overwrite"}

    def answer(self) -> str | None:
        """The answer as `Saving` takes it; None if the user cancelled."""
        return self._answers.get(self.clickedButton())
