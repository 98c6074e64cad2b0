"""A list as small as a combo box, in which any number of items can be ticked."""

from collections.abc import Iterable

from AnyQt.QtCore import QAbstractItemModel, QEvent, QModelIndex, QSize, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QIcon, QPalette
from AnyQt.QtWidgets import (
    QComboBox,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionComboBox,
    QStyleOptionViewItem,
    QStylePainter,
)

from orangecontrib.imageanalytics.widgets.utils.form_parts import narrow
from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip
from orangecontrib.imageanalytics.widgets.utils.two_texts import is_separator

NONE = "(None)"
_ROW_PADDING, _SEPARATOR_HEIGHT = 4, 7


class CheckCombo(QComboBox):
    """
    Shows the names of the items that are ticked; its list stays open.

    Parameters
    ----------
    model : QAbstractItemModel
        The items; those that can be ticked have the flag `ItemIsUserCheckable`. It
        belongs to the combo box from now on.
    parent : QWidget, optional
        Owner.
    """

    #: The user has ticked or unticked one.
    changed = Signal()
    #: The list was closed.
    closed = Signal()

    def __init__(self, model: QAbstractItemModel, parent=None):
        super().__init__(parent)
        model.setParent(self)
        self.setModel(model)
        # Delegates of some styles show no boxes in the list of a combo.
        self.setItemDelegate(_TickDelegate(self))
        narrow(self)
        # Some styles show a menu as high as the screen instead of a list.
        self.setStyleSheet("QComboBox { combobox-popup: 0; }")
        self.setMaxVisibleItems(20)
        self.view().viewport().installEventFilter(self)
        self.view().installEventFilter(self)

    def ticked(self) -> list[int]:
        """The rows of the items that are ticked."""
        return [row for row in range(self.count()) if self._is_ticked(row)]

    def tick(self, rows: Iterable[int]) -> None:
        """Tick only the items in these rows, without emitting signals."""
        rows = set(rows)
        for row in range(self.count()):
            index = self._index(row)
            if self._can_be_ticked(index):
                self._tick(index, row in rows)
        self.show_ticked()

    def text(self) -> str:
        """What is seen while the list is closed."""
        names = (self._index(row).data() for row in self.ticked())
        return ", ".join(names) or NONE

    def tips(self) -> tuple[str, ...]:
        """What the tooltip says before the names."""
        return ()

    def _index(self, row: int) -> QModelIndex:
        return self.model().index(row, 0)

    @staticmethod
    def _can_be_ticked(index: QModelIndex) -> bool:
        return bool(index.flags() & Qt.ItemFlag.ItemIsUserCheckable)

    def _is_ticked(self, row: int) -> bool:
        state = self._index(row).data(Qt.ItemDataRole.CheckStateRole)
        return state is not None and Qt.CheckState(state) == Qt.CheckState.Checked

    def _tick(self, index: QModelIndex, ticked: bool) -> None:
        state = Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        self.model().setData(index, state, Qt.ItemDataRole.CheckStateRole)

    def _toggle(self, index: QModelIndex) -> None:
        if index.isValid() and self._can_be_ticked(index):
            self._tick(index, not self._is_ticked(index.row()))
            self.show_ticked()
            self.changed.emit()

    def show_ticked(self) -> None:
        """Show the names again, after items were ticked or have become others."""
        self.setToolTip(plain_tooltip(*self.tips(), self.text()))
        self.setAccessibleDescription(self.text())
        self.update()

    def eventFilter(self, watched, event) -> bool:
        """A click, Space or Enter ticks an item and leaves the list open."""
        kinds, keys, view = QEvent.Type, Qt.Key, self.view()
        if watched is view.viewport() and event.type() == kinds.MouseButtonRelease:
            self._toggle(view.indexAt(event.pos()))
            return True
        is_key = event.type() in (kinds.KeyPress, kinds.ShortcutOverride)
        ticks = keys.Key_Space, keys.Key_Return, keys.Key_Enter
        if watched is view and is_key and event.key() in ticks:
            if event.type() == kinds.KeyPress:
                self._toggle(view.currentIndex())
            event.accept()
            return True
        return super().eventFilter(watched, event)

    def hidePopup(self) -> None:
        """Close the list."""
        was_open = self.view().isVisible()
        super().hidePopup()
        if was_open:
            self.closed.emit()

    def wheelEvent(self, event) -> None:
        """Leave it to what scrolls: there is no item to go on to."""
        event.ignore()

    def paintEvent(self, event) -> None:
        """Draw the names of what is ticked."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        painter.setPen(self.palette().color(QPalette.ColorRole.Text))
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentIcon = QIcon()
        option.currentText = option.fontMetrics.elidedText(
            self.text(), Qt.TextElideMode.ElideRight, field.width() - 4
        )
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class _TickDelegate(QStyledItemDelegate):
    """Items with boxes, and lines between them."""

    def sizeHint(self, option, index) -> QSize:
        """Room for a box that does not touch the next one."""
        size = super().sizeHint(option, index)
        if is_separator(index):
            return QSize(size.width(), _SEPARATOR_HEIGHT)
        return size + QSize(0, _ROW_PADDING)

    def paint(self, painter, option, index) -> None:
        """Draw an item, or a line."""
        item = QStyleOptionViewItem(option)
        self.initStyleOption(item, index)
        color = item.palette.color(QPalette.ColorRole.Text)
        color.setAlphaF(0.5)
        painter.save()
        painter.setPen(color)
        if is_separator(index):
            middle = item.rect.center().y()
            painter.drawLine(item.rect.left(), middle, item.rect.right(), middle)
        else:
            super().paint(painter, option, index)
            if item.features & QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator:
                box = item.widget.style().subElementRect(
                    QStyle.SubElement.SE_ItemViewItemCheckIndicator, item, item.widget
                )
                # Boxes of some styles are not seen on dark backgrounds.
                painter.drawRect(box.adjusted(0, 0, -1, -1))
        painter.restore()
