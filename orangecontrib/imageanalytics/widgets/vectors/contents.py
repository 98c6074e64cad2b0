"""What a file or folder of vectors contains, as the user sees it."""

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
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
        self.form = QFormLayout()
        images = QHBoxLayout()
        images.addWidget(text_label("Folder of images:"))
        images.addWidget(self.images_field, 1)
        images.addWidget(self.change_button)
        self._images = QWidget()
        self._images.setLayout(images)
        images.setContentsMargins(0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self.form)
        layout.addWidget(self._images)

    def show_found(self, found: Found | None, images_folder: str = "") -> None:
        """
        Show what there is.

        Parameters
        ----------
        found : Found or None
        images_folder : str
            The folder of the images, if the user has chosen another one.
        """
        while self.form.rowCount():
            self.form.removeRow(0)
        if found is not None:
            for name, value in texts.contents(found):
                self.form.addRow(f"{name}:", text_label(value))
        self._images.setVisible(found is not None and bool(found.images))
        self.show_images_folder(images_folder or (found.images if found else ""))

    def show_images_folder(self, folder: str) -> None:
        """Show another folder of images."""
        self.images_field.setText(folder)
        self.images_field.setCursorPosition(0)
        self.images_field.setToolTip(plain_tooltip(folder))
