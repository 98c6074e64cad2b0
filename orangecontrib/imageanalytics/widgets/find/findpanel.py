"""Where the user says what is looked for: words, examples, classes."""

from __future__ import annotations

from AnyQt.QtCore import Signal
from AnyQt.QtGui import QKeySequence
from AnyQt.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.find_images import word_networks
from orangecontrib.imageanalytics.widgets.find.classnames import ClassNames
from orangecontrib.imageanalytics.widgets.find.descriptionlines import DescriptionLines
from orangecontrib.imageanalytics.widgets.find.examplestrip import ExampleStrip
from orangecontrib.imageanalytics.widgets.find.question import FIND, SORT
from orangecontrib.imageanalytics.widgets.find.wordsoffer import WordsOffer
from orangecontrib.imageanalytics.widgets.utils.form_parts import FittingStack


class FindPanel(QWidget):
    """
    The choice of what is done, above what it is done with.

    Attributes
    ----------
    lines : DescriptionLines
    strip : ExampleStrip
    classes : ClassNames
    offer : WordsOffer
    """

    #: The user has chosen what is done: ``"find"`` or ``"sort"``.
    mode_chosen = Signal(str)

    def __init__(self):
        super().__init__()
        self.lines = DescriptionLines()
        self.strip = ExampleStrip()
        self.classes = ClassNames()
        self.offer = WordsOffer(word_networks())
        key = QKeySequence(QKeySequence.StandardKey.Find).toString(
            QKeySequence.SequenceFormat.NativeText
        )
        self.buttons = {
            FIND: QRadioButton(
                "&Find", toolTip=f"Find images by words and by example ({key})"
            ),
            SORT: QRadioButton(
                "Sort &into classes",
                toolTip="Give each image the class whose name describes it best",
            ),
        }
        self.add_button = QPushButton(
            "&Add Description", autoDefault=False, toolTip="Add another description"
        )
        self.add_button.clicked.connect(lambda: self.lines.add())
        modes = QHBoxLayout()
        for mode, button in self.buttons.items():
            button.clicked.connect(lambda _=False, mode=mode: self._choose(mode))
            modes.addWidget(button)
        modes.addStretch()
        modes.addWidget(self.add_button)
        self._pages = FittingStack()
        self._pages.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
        self._pages.addWidget(self._find_page())
        self._pages.addWidget(self.classes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.addLayout(modes)
        layout.addWidget(self._pages)
        layout.addWidget(self.offer)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)

    def _find_page(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.lines)
        layout.addWidget(self.strip)
        return page

    def show_mode(self, mode: str) -> None:
        """Show the controls of ``"find"`` or ``"sort"``, without emitting signals."""
        self.buttons[mode].setChecked(True)
        self.add_button.setVisible(mode == FIND)
        self._pages.setCurrentIndex(0 if mode == FIND else 1)

    def focus(self) -> None:
        """Go to the words."""
        if self.buttons[FIND].isChecked():
            self.lines.focus()
        else:
            self.classes.focus()

    def _choose(self, mode: str) -> None:
        self.show_mode(mode)
        self.mode_chosen.emit(mode)
