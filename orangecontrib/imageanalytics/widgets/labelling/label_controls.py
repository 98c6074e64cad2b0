"""The control area of Label Images."""

from AnyQt.QtCore import QObject
from AnyQt.QtGui import QKeySequence
from AnyQt.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QShortcut
from Orange.widgets import gui
from Orange.widgets.utils.itemmodels import VariableListModel

from orangecontrib.imageanalytics.labels.orders import (
    AS_GIVEN,
    LIKE,
    RANDOM,
    TYPICAL,
    UNCERTAIN,
)
from orangecontrib.imageanalytics.widgets.labelling.class_list import ClassList
from orangecontrib.imageanalytics.widgets.utils.form_parts import setting_combo, wrap

MOST_AT_A_TIME = 100
ORDER_CHOICES = (
    ("Most uncertain first", UNCERTAIN),
    ("Most typical first", TYPICAL),
    ("Random", RANDOM),
    ("Like the selected image", LIKE),
    ("As in the data", AS_GIVEN),
)
TIPS = {
    "image_attr": "Column with paths or addresses of images",
    "order": "Which images are shown first. Those about which the model is most "
    "uncertain teach it most.",
    "at_a_time": "After how many labels the images are put into a new order. With 1, "
    "the fewest labels are needed.",
    "class_name": "Name of the column with the classes",
}


class LabelControls(QObject):
    """
    Makes the controls of the widget.

    Parameters
    ----------
    widget : OWLabelImages
        Has the settings, and the methods that are called.
    """

    def __init__(self, widget):
        super().__init__(widget)
        self._widget = widget
        self._make_classes()
        self._make_order()
        self._make_output()

    def _make_classes(self) -> None:
        widget = self._widget
        box = widget.options.add_box("Classes")
        self.class_list = ClassList()
        box.layout().addWidget(self.class_list)
        self.status = QLabel()
        wrap(self.status)
        box.layout().addWidget(self.status)
        self.undo_button = self._button("&Undo", widget.undo)
        self.redo_button = self._button("Re&do", widget.redo)
        row = QHBoxLayout()
        row.addWidget(self.undo_button)
        row.addWidget(self.redo_button)
        box.layout().addLayout(row)
        for keys, slot in (
            (QKeySequence("Ctrl+Z"), widget.undo),
            (QKeySequence("Ctrl+Shift+Z"), widget.redo),
            (QKeySequence("Ctrl+Y"), widget.redo),
        ):
            QShortcut(keys, widget).activated.connect(slot)

    def _button(self, text: str, slot) -> QPushButton:
        button = QPushButton(text, autoDefault=False, enabled=False)
        button.clicked.connect(lambda _=False: slot())
        return button

    def _make_order(self) -> None:
        widget, options = self._widget, self._widget.options
        options.add_box("Images")
        self.image_model = VariableListModel(parent=widget)
        options.add_columns(
            widget,
            "image_attr",
            "Column:",
            self.image_model,
            widget.change_column,
            TIPS["image_attr"],
        )
        self.order_combo = setting_combo(
            widget, "order", ORDER_CHOICES, widget.change_order
        )
        # "Like the selected image" may be chosen again, for another image.
        self.order_combo.activated.connect(self._choose_like_again)
        options.add_row("Order:", self.order_combo, TIPS["order"])
        spin = gui.spin(
            None,
            widget,
            "at_a_time",
            1,
            MOST_AT_A_TIME,
            callback=widget.change_order,
        )
        options.add_row("At a time:", spin, TIPS["at_a_time"])
        widget.add_size_slider()

    def _choose_like_again(self, index: int) -> None:
        if self.order_combo.itemData(index) == LIKE:
            self._widget.change_order()

    def _make_output(self) -> None:
        widget = self._widget
        box = widget.options.add_box("Labels")
        self.name_edit = QLineEdit(widget.class_name)
        self.name_edit.editingFinished.connect(self._change_name)
        widget.options.add_row("Column:", self.name_edit, TIPS["class_name"])
        box.layout().addLayout(widget.files.buttons())

    def _change_name(self) -> None:
        name = " ".join(self.name_edit.text().split()) or "class"
        self.name_edit.setText(name)
        if name != self._widget.class_name:
            self._widget.class_name = name
            self._widget.commit.deferred()

    def show_steps(self, undo: str, redo: str) -> None:
        """Say what can be undone and done again."""
        self.undo_button.setEnabled(bool(undo))
        self.redo_button.setEnabled(bool(redo))
        self.undo_button.setToolTip(f"{undo or 'Nothing to undo'} (Ctrl+Z)")
        self.redo_button.setToolTip(f"{redo or 'Nothing to redo'} (Ctrl+Shift+Z)")
