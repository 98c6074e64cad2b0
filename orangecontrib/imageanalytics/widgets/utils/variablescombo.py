"""A list as small as a combo box, in which any number of variables can be ticked."""

from collections.abc import Sequence

from AnyQt.QtCore import QEvent, QModelIndex, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QIcon, QPalette
from AnyQt.QtWidgets import (
    QComboBox,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionComboBox,
    QStylePainter,
)
from Orange.data import Domain, Variable
from Orange.widgets.utils.itemmodels import DomainModel

from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip

NONE = "(None)"


class VariablesCombo(QComboBox):
    """
    Shows the names of the variables that are ticked; its list stays open.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    #: The user has ticked or unticked one.
    changed = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        self.variables = DomainModel(
            flags=flags | Qt.ItemFlag.ItemIsUserCheckable, parent=self
        )
        self.setModel(self.variables)
        # Delegates of some styles show no boxes in the list of a combo.
        self.setItemDelegate(QStyledItemDelegate(self))
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(12)
        # Some styles show a menu as high as the screen instead of a list.
        self.setStyleSheet("QComboBox { combobox-popup: 0; }")
        self.setMaxVisibleItems(20)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.view().viewport().installEventFilter(self)
        self.view().installEventFilter(self)

    def set_domain(self, domain: Domain | None) -> None:
        """Offer the variables of another domain; none is ticked."""
        self.variables.set_domain(domain)
        self._show_chosen()

    def chosen(self) -> list[Variable]:
        """The variables that are ticked, in the order of the list."""
        return [
            variable
            for row, variable in enumerate(self.variables)
            if isinstance(variable, Variable) and self._is_ticked(row)
        ]

    def choose(self, variables: Sequence[Variable]) -> None:
        """Tick only these variables, without emitting signals."""
        for row, variable in enumerate(self.variables):
            if isinstance(variable, Variable):
                self._tick(self.variables.index(row), variable in variables)
        self._show_chosen()

    def text(self) -> str:
        """What is seen while the list is closed."""
        return ", ".join(variable.name for variable in self.chosen()) or NONE

    def _is_ticked(self, row: int) -> bool:
        state = self.variables.index(row).data(Qt.ItemDataRole.CheckStateRole)
        return state is not None and Qt.CheckState(state) == Qt.CheckState.Checked

    def _tick(self, index: QModelIndex, ticked: bool) -> None:
        state = Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
        self.variables.setData(index, state, Qt.ItemDataRole.CheckStateRole)

    def _toggle(self, index: QModelIndex) -> None:
        if index.isValid() and index.flags() & Qt.ItemFlag.ItemIsUserCheckable:
            self._tick(index, not self._is_ticked(index.row()))
            self._show_chosen()
            self.changed.emit()

    def _show_chosen(self) -> None:
        self.setToolTip(plain_tooltip(self.text()))
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
