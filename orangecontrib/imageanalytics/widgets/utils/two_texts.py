"""List items with a name and, in a paler color at the right, details."""

from AnyQt.QtCore import QModelIndex, QRect, QSize, Qt
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

DETAILS = Qt.UserRole + 1
_GAP = 24  # pixels between a name and its details


class TwoTexts(QStyledItemDelegate):
    """Draws an item's name at the left and its details, paler, at the right."""

    def paint(self, painter, option, index: QModelIndex):
        if is_separator(index):
            self._paint_line(painter, option)
            return
        option = QStyleOptionViewItem(option)
        self.initStyleOption(option, index)
        details = index.data(DETAILS) or ""
        margin = QApplication.style().pixelMetric(QStyle.PM_FocusFrameHMargin) + 3
        room = option.rect.width() - 2 * margin
        if option.features & QStyleOptionViewItem.HasDecoration:
            room -= option.decorationSize.width() + 2 * margin
        if details:
            room -= option.fontMetrics.horizontalAdvance(details) + _GAP // 2
        text = option.fontMetrics.elidedText(option.text, Qt.ElideMiddle, room)
        option.text = text
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawControl(QStyle.CE_ItemViewItem, option, painter, option.widget)
        selected = bool(option.state & QStyle.State_Selected)
        role = QPalette.HighlightedText if selected else QPalette.Text
        color = option.palette.color(QPalette.Active, role)
        if not selected:  # else it would be too close to that of the selection
            color.setAlphaF(0.7)
        painter.save()
        painter.setPen(color)
        painter.setFont(option.font)
        painter.drawText(
            QRect(option.rect).adjusted(0, 0, -margin, 0),
            int(Qt.AlignRight | Qt.AlignVCenter),
            details,
        )
        painter.restore()

    @staticmethod
    def _paint_line(painter, option):
        color = option.palette.color(QPalette.Active, QPalette.Text)
        color.setAlphaF(0.25)
        painter.save()
        painter.setPen(color)
        middle = option.rect.center().y()
        painter.drawLine(
            option.rect.left() + 4, middle, option.rect.right() - 4, middle
        )
        painter.restore()

    def sizeHint(self, option, index) -> QSize:
        if is_separator(index):
            return QSize(0, 9)
        size = super().sizeHint(option, index)
        details = option.fontMetrics.horizontalAdvance(index.data(DETAILS) or "")
        gap = _GAP if details else 0
        return QSize(size.width() + gap + details, size.height() + 4)


class DetailedCombo(QComboBox):
    """A list of names whose details are seen when it is open."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setItemDelegate(TwoTexts(self))

    def add(self, text: str, value: str, details: str = "", tip: str = ""):
        """Append an item."""
        self.addItem(text, value)
        self.describe(self.count() - 1, details, tip)

    def describe(self, index: int, details: str, tip: str = ""):
        """Say something about an item."""
        self.setItemData(index, details, DETAILS)
        self.setItemData(index, tip or None, Qt.ToolTipRole)
        text = self.itemText(index)
        accessible = f"{text}: {details}" if details else text
        self.setItemData(index, accessible, Qt.AccessibleTextRole)

    def choose(self, value: str):
        """Show the item with a value."""
        self.setCurrentIndex(self.findData(value))

    def showPopup(self):
        """Open the list, wide enough for the details."""
        view = self.view()
        width = view.sizeHintForColumn(0) + view.verticalScrollBar().sizeHint().width()
        view.setMinimumWidth(width)
        super().showPopup()


def is_separator(index) -> bool:
    """As `QComboBox.insertSeparator` and Orange's models mark them."""
    return index.data(Qt.AccessibleDescriptionRole) == "separator"
