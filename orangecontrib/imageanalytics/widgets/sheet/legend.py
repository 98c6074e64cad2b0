"""A legend of colours, with the number of rows of each."""

import numpy as np
from AnyQt.QtCore import QModelIndex, QRect, QSize, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QColor, QPainter, QPalette, QStandardItem, QStandardItemModel
from AnyQt.QtWidgets import (
    QLabel,
    QListView,
    QSizePolicy,
    QStyle,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.widgets.sheet.cellpainting import faded
from orangecontrib.imageanalytics.widgets.sheet.coloring import MISSING, Coloring
from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip
from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS, TwoTexts

IndexRole = DETAILS + 1
#: In lines of text: how high the gradient is, how many values are always in sight,
#: and how many are before the list scrolls.
GRADIENT_LINES, MIN_LINES, MAX_LINES = 6, 4, 24
WIDTH = 30  # in letters: a short name and how many of its images are selected
MISSING_NAME = "(missing)"


class Legend(QWidget):
    """
    Says what the colours of rows stand for: values with counts, or a range.

    Without a coloring it is hidden. Long lists scroll, long names are elided. The
    values are reached with Tab and the arrow keys; a click, Enter or Space on one is
    reported, so that the widget can select its rows.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    #: A value was clicked: its number (`MISSING` for missing values) and the keys,
    #: Qt.KeyboardModifier, that were held.
    clicked = Signal(int, object)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._coloring: Coloring | None = None
        self._title = _ElidedLabel(self)
        self._gradient = _Gradient(self)
        self._values = _Values(self)
        self._values.picked.connect(self._pick)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._title, self._gradient, self._values):
            layout.addWidget(widget)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.set_coloring(None)

    def set_coloring(self, coloring: Coloring | None) -> None:
        """
        Explain these colours; nothing is selected at first.

        Parameters
        ----------
        coloring : Coloring or None
            The colours; with None, the legend is hidden.
        """
        self._coloring = coloring
        counts = coloring.counts() if coloring is not None else {}
        self.setVisible(bool(counts))
        is_range = coloring is not None and not coloring.is_categorical
        self._gradient.setVisible(is_range and coloring.range is not None)
        self._counts = {
            index: count
            for index, count in counts.items()
            if index == MISSING or not is_range
        }
        self._values.setVisible(bool(self._counts))
        if coloring is not None:
            name = coloring.variable.name
            self._title.setText(name)
            self._values.setAccessibleName(f"Legend: {name}")
            self._gradient.set_coloring(coloring)
            self._values.show_values(coloring, self._counts)
        self.set_selected(None)
        self.updateGeometry()

    def set_selected(self, selected: np.ndarray | None) -> None:
        """
        Tell how many of each value are selected.

        Parameters
        ----------
        selected : numpy.ndarray of bool or None
            Which of the coloring's rows are.
        """
        chosen: dict[int, int] = {}
        if self._coloring is not None and selected is not None:
            chosen = self._coloring.counts(np.asarray(selected, dtype=bool))
        self._values.show_counts(self._counts, chosen)

    def rows(self) -> list[tuple[str, str]]:
        """The values and their counts, as they are written."""
        model = self._values.model()
        items = [model.item(row) for row in range(model.rowCount())]
        return [(item.text(), item.data(DETAILS)) for item in items]

    def _pick(self, index: QModelIndex, modifiers) -> None:
        self.clicked.emit(index.data(IndexRole), modifiers)


class _ElidedLabel(QLabel):
    """A line of text that does not force its width on others."""

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().averageCharWidth() * WIDTH
        return super().sizeHint().boundedTo(QSize(width, 10**6))

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def setText(self, text: str) -> None:
        # The text is a name, not markup.
        self.setTextFormat(Qt.TextFormat.PlainText)
        super().setText(text)
        self.setToolTip(plain_tooltip(text))

    def paintEvent(self, event) -> None:
        font = self.font()
        font.setBold(True)
        painter = QPainter(self)
        painter.setFont(font)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        text = painter.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, self.width()
        )
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter), text)


class _Gradient(QWidget):
    """The colours of a range, the greatest number at the top."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._coloring: Coloring | None = None
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_coloring(self, coloring: Coloring) -> None:
        self._coloring = coloring
        labels = self.labels()
        name = coloring.variable.name
        self.setAccessibleName(f"Legend: {name}, from the top: {', '.join(labels)}")
        self.setToolTip(plain_tooltip(*labels))
        self.update()

    def labels(self) -> list[str]:
        """What is written beside the colours, from the top."""
        if self._coloring is None or self._coloring.range is None:
            return []
        numbers = self._coloring.steps(3)[::-1]
        return list(dict.fromkeys(map(self._coloring.variable.str_val, numbers)))

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(
            metrics.averageCharWidth() * WIDTH, GRADIENT_LINES * metrics.height()
        )

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def paintEvent(self, event) -> None:
        labels = self.labels()
        if not labels:
            return
        painter, metrics = QPainter(self), self.fontMetrics()
        width, ratio = metrics.height(), self.devicePixelRatioF()
        strip = QRect(0, 0, width, self.height())
        if len(labels) == 1:
            painter.fillRect(strip, QColor(*map(int, self._single_color())))
        else:
            colors = self._coloring.variable.palette.color_strip(
                max(1, round(strip.height() * ratio)),
                max(1, round(width * ratio)),
                Qt.Orientation.Vertical,
            )
            painter.drawPixmap(strip, colors)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        places = {1: [0.5], 2: [0, 1], 3: [0, 0.5, 1]}[len(labels)]
        left, spare = width + width // 2, self.height() - metrics.height()
        for place, label in zip(places, labels, strict=True):
            text = metrics.elidedText(
                label, Qt.TextElideMode.ElideRight, max(0, self.width() - left)
            )
            painter.drawText(left, round(place * spare) + metrics.ascent(), text)

    def _single_color(self) -> np.ndarray:
        coloring = self._coloring
        return coloring.rgb[coloring.indices != MISSING][0]


class _Values(QListView):
    """Values with their colours and counts."""

    picked = Signal(QModelIndex, object)

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._pressed = QModelIndex()
        self.setModel(QStandardItemModel(self))
        self.setItemDelegate(_ValueDelegate(self))
        self.setSelectionMode(QListView.SelectionMode.NoSelection)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QListView.Shape.NoFrame)
        # As the gradient and the title, it stands on the window itself.
        self.viewport().setAutoFillBackground(False)
        self.setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        edge = round(self.fontMetrics().height() * 0.8)
        self.setIconSize(QSize(edge, edge))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def show_values(self, coloring: Coloring, counts: dict[int, int]) -> None:
        model = self.model()
        model.clear()
        for index in counts:
            name = MISSING_NAME
            if index != MISSING:
                name = coloring.variable.values[index]
            item = QStandardItem(" ".join(name.split()))
            item.setData(coloring.color_of(index), Qt.ItemDataRole.DecorationRole)
            item.setData(index, IndexRole)
            item.setToolTip(plain_tooltip(name, "Click to select its images"))
            model.appendRow(item)
        self.updateGeometry()

    def show_counts(self, counts: dict[int, int], selected: dict[int, int]) -> None:
        for row, (index, count) in enumerate(counts.items()):
            chosen, text = selected.get(index, 0), f"{count:,}"
            item = self.model().item(row)
            details = f"{chosen:,} of {text}" if chosen else text
            spoken = f"{details} selected" if chosen else text
            item.setData(details, DETAILS)
            item.setData(f"{item.text()}: {spoken}", Qt.ItemDataRole.AccessibleTextRole)

    def _line(self) -> int:
        return max(1, self.sizeHintForRow(0))

    def sizeHint(self) -> QSize:
        lines = min(self.model().rowCount(), MAX_LINES)
        width = self.fontMetrics().averageCharWidth() * WIDTH
        return QSize(width, lines * self._line())

    def minimumSizeHint(self) -> QSize:
        return QSize(0, min(self.model().rowCount(), MIN_LINES) * self._line())

    def mousePressEvent(self, event) -> None:
        super().mousePressEvent(event)
        self._pressed = QModelIndex()
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = self.indexAt(event.pos())

    def mouseReleaseEvent(self, event) -> None:
        super().mouseReleaseEvent(event)
        index, self._pressed = self._pressed, QModelIndex()
        if index.isValid() and index == self.indexAt(event.pos()):
            self.picked.emit(index, event.modifiers())

    def mouseDoubleClickEvent(self, event) -> None:
        # Two fast clicks, as with a key held that switches a value on and off.
        self.mousePressEvent(event)

    def keyPressEvent(self, event) -> None:
        keys, index = Qt.Key, self.currentIndex()
        if event.key() in (keys.Key_Space, keys.Key_Return, keys.Key_Enter):
            if index.isValid():
                self.picked.emit(index, event.modifiers())
            event.accept()
        else:
            super().keyPressEvent(event)


class _ValueDelegate(TwoTexts):
    """Marks what is under the mouse or has the focus."""

    def paint(self, painter, option: QStyleOptionViewItem, index: QModelIndex):
        states = QStyle.StateFlag
        option = QStyleOptionViewItem(option)
        if option.state & (states.State_MouseOver | states.State_HasFocus):
            highlight = option.palette.color(QPalette.ColorRole.Highlight)
            painter.fillRect(option.rect, faded(highlight, 0.2))
        # Styles mark these in other ways, or not at all.
        option.state &= ~(states.State_MouseOver | states.State_HasFocus)
        super().paint(painter, option, index)
