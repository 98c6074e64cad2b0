"""A bar that offers labels from the autosave."""

import datetime

from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.widgets.utils.form_parts import wrap


class OfferBar(QFrame):
    """Asks whether to take over labels that were autosaved; hidden at first."""

    #: The user wants them.
    accepted = Signal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.label = QLabel()
        wrap(self.label)
        self.take_button = QPushButton("&Take Over", autoDefault=False)
        self.take_button.clicked.connect(self._take)
        self.dismiss_button = QPushButton("&Not Now", autoDefault=False)
        self.dismiss_button.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.take_button)
        layout.addWidget(self.dismiss_button)
        self.hide()

    def offer(self, n_images: int, changed: float) -> None:
        """
        Show the bar.

        Parameters
        ----------
        n_images : int
            How many labels there are.
        changed : float
            From when, in seconds since 1970.
        """
        when = datetime.datetime.fromtimestamp(changed).strftime("%Y-%m-%d %H:%M")
        self.label.setText(
            f"{n_images:,} {pl(n_images, 'label')} of these images "
            f"{pl(n_images, 'was|were')} autosaved on {when}, but not saved with this "
            "workflow."
        )
        self.show()

    def _take(self) -> None:
        self.hide()
        self.accepted.emit()
