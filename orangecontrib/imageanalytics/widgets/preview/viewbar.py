"""The bar below images in windows: what is shown, and buttons with their keys."""

from collections.abc import Callable

from AnyQt.QtCore import QSize, Qt
from AnyQt.QtGui import QPainter
from AnyQt.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip


class ViewBar(QWidget):
    """
    A text that is cut to the room there is, some facts, and buttons.

    Nothing in it takes the focus: keys belong to the window.
    """

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._text = _ElidedLabel(self)
        self._facts = QLabel(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._facts)
        layout.addSpacing(8)

    def add_button(
        self, text: str, keys: str, tip: str, slot: Callable, checkable: bool = False
    ) -> QToolButton:
        """
        Add a button at the right.

        Parameters
        ----------
        text : str
            On the button.
        keys : str
            Those that do the same; they are part of its tooltip.
        tip : str
            What it does.
        slot : callable
            Called without arguments when it is pressed.
        checkable : bool
            Whether it stays down.

        Returns
        -------
        QToolButton
        """
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(f"{tip} ({keys})")
        button.setAutoRaise(True)
        button.setCheckable(checkable)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda _=False: slot())
        self.layout().addWidget(button)
        return button

    def set_texts(self, text: str, facts: str) -> None:
        """Change what is written at the left, and before the buttons."""
        self._text.set_text(text)
        self._facts.setText(facts)

    def texts(self) -> tuple[str, str]:
        """What is written at the left, uncut, and before the buttons."""
        return self._text.text, self._facts.text()


class _ElidedLabel(QWidget):
    """A line of text, cut in its middle if there is too little room."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.text = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def set_text(self, text: str) -> None:
        if text != self.text:
            self.text = text
            self.setToolTip(plain_tooltip(text))
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(60, self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event) -> None:
        painter, metrics = QPainter(self), self.fontMetrics()
        elide = Qt.TextElideMode.ElideMiddle
        text = metrics.elidedText(self.text, elide, self.width())
        baseline = (self.height() - metrics.height()) // 2 + metrics.ascent()
        painter.drawText(0, baseline, text)
