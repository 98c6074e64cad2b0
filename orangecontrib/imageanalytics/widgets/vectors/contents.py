"""What a file or folder of vectors contains, as the user sees it."""

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from orangecontrib.imageanalytics.widgets.utils.form_parts import text_label
from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip
from orangecontrib.imageanalytics.widgets.vectors import texts
from orangecontrib.imageanalytics.widgets.vectors.loading_task import Found


class Contents(QWidget):
    """A list of names and values, and the folder of the images."""

    #: The user wants to say that the images are in another folder.
    change_asked = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        # Long paths can be scrolled and copied.
        self.images_field = QLineEdit(readOnly=True, frame=False)
        palette = self.images_field.palette()
        palette.setColor(QPalette.Base, Qt.transparent)
        self.images_field.setPalette(palette)
        self.change_button = QPushButton(
            "Change…",
            autoDefault=False,
            toolTip="Choose the folder of the images, if they were moved",
        )
        self.change_button.clicked.connect(lambda: self.change_asked.emit())
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self._images = QWidget()
        row = QHBoxLayout(self._images)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.images_field, 1)
        row.addWidget(self.change_button)
        self.form.addRow("Folder of images:", self._images)

    def show_found(self, found: Found | None, images_folder: str = "") -> None:
        """
        Show what there is.

        Parameters
        ----------
        found : Found or None
        images_folder : str
            The folder of the images, if the user has chosen another one.
        """
        while self.form.rowCount() > 1:  # that of the images stays
            self.form.removeRow(0)
        rows = texts.contents(found) if found is not None else []
        for number, (name, value) in enumerate(rows):
            self.form.insertRow(number, f"{name}:", text_label(value))
        has_folder = found is not None and bool(found.images)
        self._images.setVisible(has_folder)
        self.form.labelForField(self._images).setVisible(has_folder)
        self.show_images_folder(images_folder or (found.images if found else ""))

    def show_images_folder(self, folder: str) -> None:
        """Show another folder of images."""
        self.images_field.setText(folder)
        self.images_field.setCursorPosition(0)
        self.images_field.setToolTip(plain_tooltip(folder))
