"""The list of classes: their keys, colors, names, and how many images they have."""

from AnyQt.QtCore import QItemSelectionModel, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QColor, QStandardItem, QStandardItemModel
from AnyQt.QtWidgets import (
    QColorDialog,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.labels.session import LabelClass
from orangecontrib.imageanalytics.widgets.utils.form_parts import show_placeholder
from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip
from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS, TwoTexts

#: Classes that have a key; the others are given with the mouse.
N_KEYS = 9
MIN_LINES = 5
_NUMBER, _NAME = int(DETAILS) + 1, int(DETAILS) + 2


class ClassList(QWidget):
    """
    Shows the classes and reports what the user wants to do with them.

    It changes nothing by itself: the widget calls `show_classes` afterwards.
    """

    #: A name was entered for another class.
    added = Signal(str)
    #: Number of a class, and its new name.
    renamed = Signal(int, str)
    #: Number of a class, and its new color as ``#rrggbb``.
    recolored = Signal(int, str)
    #: Number of a class.
    removed = Signal(int)
    #: Number of the class that the selected images are to get.
    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._filling = False
        self.name_edit = QLineEdit(placeholderText="New class")
        self.name_edit.setAccessibleName("Name of a new class")
        show_placeholder(self.name_edit)
        self.name_edit.returnPressed.connect(self._add)
        self.name_edit.textChanged.connect(self._enable)
        self.add_button = self._button("&Add", self._add, "Add a class with this name")
        self._make_view()
        self.rename_button = self._button(
            "&Rename", self._edit, "Give the current class another name (F2)"
        )
        self.color_button = self._button(
            "C&olor…", self._choose_color, "Give the current class another color"
        )
        self.remove_button = self._button(
            "Re&move",
            self._remove,
            "Remove the current class (Delete); its images are then without one. "
            "Ctrl+Z takes it back.",
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(_row(self.name_edit, self.add_button))
        layout.addWidget(self.view)
        buttons = self.rename_button, self.color_button, self.remove_button
        layout.addLayout(_row(*buttons))
        self._enable()

    def _make_view(self) -> None:
        self.view = _ListView(self)
        self.view.setModel(QStandardItemModel(self))
        self.view.setItemDelegate(_ClassDelegate(self.view))
        triggers = QListView.EditTrigger
        self.view.setEditTriggers(triggers.EditKeyPressed)
        self.view.setUniformItemSizes(True)
        self.view.setAccessibleName("Classes")
        self.view.model().itemChanged.connect(self._on_item_changed)
        self.view.clicked.connect(self._pick)
        self.view.entered_key.connect(self._pick)
        self.view.selectionModel().currentChanged.connect(self._enable)
        self.view.delete_key.connect(self._remove)

    def _button(self, text: str, slot, tip: str) -> QPushButton:
        button = QPushButton(text, autoDefault=False, toolTip=tip)
        button.clicked.connect(lambda _=False: slot())
        return button

    def show_classes(
        self,
        classes: dict[int, LabelClass],
        counts: dict[int, int],
        proposed: dict[int, int],
    ) -> None:
        """
        Show the classes.

        Parameters
        ----------
        classes : dict of int to LabelClass
            By their numbers, in their order.
        counts, proposed : dict of int to int
            How many images have been given each of them, and for how many it is
            proposed.
        """
        model = self.view.model()
        self._filling = True
        numbers = [model.item(row).data(_NUMBER) for row in range(model.rowCount())]
        if numbers != list(classes):
            self._fill(list(classes))
        for row, (number, given) in enumerate(classes.items()):
            item = model.item(row)
            self._describe(item, row, given)
            self._count(item, counts.get(number, 0), proposed.get(number, 0))
        self._filling = False
        self._enable()

    def _fill(self, numbers: list[int]) -> None:
        current, model = self.current(), self.view.model()
        model.clear()
        for number in numbers:
            item = QStandardItem()
            item.setData(number, _NUMBER)
            model.appendRow(item)
        if numbers:
            row = numbers.index(current) if current in numbers else len(numbers) - 1
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            selection = self.view.selectionModel()
            selection.setCurrentIndex(model.index(row, 0), flag)

    @staticmethod
    def _describe(item: QStandardItem, row: int, given: LabelClass) -> None:
        key = f"{row + 1}" if row < N_KEYS else "–"  # noqa: RUF001
        item.setData(given.name, _NAME)
        item.setText(f"{key}   {given.name}")
        item.setData(QColor(given.color), Qt.ItemDataRole.DecorationRole)
        tip = f"Click to give the selected images the class {given.name}"
        if row < N_KEYS:
            tip += f", or press {key}"
        item.setToolTip(plain_tooltip(tip))

    @staticmethod
    def _count(item: QStandardItem, count: int, proposed: int) -> None:
        text = f"{count:,}" + (f" + {proposed:,}?" if proposed else "")
        spoken = f"{item.text()}: {count:,} labelled"
        if proposed:
            spoken += f", {proposed:,} proposed"
        item.setData(text, DETAILS)
        item.setData(spoken, Qt.ItemDataRole.AccessibleTextRole)

    def current(self) -> int | None:
        """Number of the current class."""
        index = self.view.currentIndex()
        return index.data(_NUMBER) if index.isValid() else None

    def number_of_key(self, key: int) -> int | None:
        """Number of the class with a key from 1; None if there is none."""
        item = self.view.model().item(key - 1) if 1 <= key <= N_KEYS else None
        return None if item is None else item.data(_NUMBER)

    # What the user does

    def _enable(self, *_) -> None:
        self.add_button.setEnabled(bool(self.name_edit.text().strip()))
        has_current = self.view.currentIndex().isValid()
        for button in (self.rename_button, self.color_button, self.remove_button):
            button.setEnabled(has_current)

    def _add(self) -> None:
        name = self.name_edit.text().strip()
        if name:
            self.added.emit(name)

    def _pick(self, index) -> None:
        self.picked.emit(index.data(_NUMBER))

    def _edit(self) -> None:
        index = self.view.currentIndex()
        if index.isValid():
            self.view.edit(index)

    def _on_item_changed(self, item: QStandardItem) -> None:
        if not self._filling:
            self.renamed.emit(item.data(_NUMBER), item.text())

    def _choose_color(self) -> None:
        index = self.view.currentIndex()
        if not index.isValid():
            return
        before = index.data(Qt.ItemDataRole.DecorationRole)
        color = QColorDialog.getColor(before, self, "Color of the Class")
        if color.isValid():
            self.recolored.emit(index.data(_NUMBER), color.name())

    def _remove(self) -> None:
        if self.current() is not None:
            self.removed.emit(self.current())


class _ClassDelegate(TwoTexts):
    """Edits the name of a class, without its key."""

    def setEditorData(self, editor: QLineEdit, index) -> None:
        """Show the name; what the user has typed stays when counts change."""
        if not editor.isModified():
            editor.setText(index.data(_NAME))


class _ListView(QListView):
    """A list of at least some lines; Enter and Space choose an item."""

    entered_key = Signal(object)
    delete_key = Signal()

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def minimumSizeHint(self):
        size = super().minimumSizeHint()
        size.setHeight(MIN_LINES * (self.fontMetrics().height() + 6))
        return size

    def keyPressEvent(self, event) -> None:
        keys = Qt.Key
        index = self.currentIndex()
        choosing = (keys.Key_Space, keys.Key_Return, keys.Key_Enter)
        if event.key() in choosing and index.isValid():
            self.entered_key.emit(index)
            event.accept()
        elif event.key() == keys.Key_Delete:
            self.delete_key.emit()
            event.accept()
        else:
            super().keyPressEvent(event)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
