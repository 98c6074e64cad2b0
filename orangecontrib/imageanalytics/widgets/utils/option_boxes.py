"""Boxes of options in which all fields begin below each other."""

from AnyQt.QtCore import QEvent, QObject
from AnyQt.QtWidgets import QFormLayout, QScrollArea, QWidget
from Orange.widgets import gui
from Orange.widgets.widget import OWWidget


class AlignedForms(QObject):
    """
    Makes the labels of all forms in a control area as wide as the longest one.

    So their fields begin below each other, in any language and font. An area that
    scrolls becomes as wide as its contents, also when they change.

    Parameters
    ----------
    area : QWidget
        The control area.
    """

    def __init__(self, area: QWidget):
        super().__init__(area)
        self._area = area
        area.installEventFilter(self)

    def eventFilter(self, watched, event) -> bool:
        """Measure the labels before the area is shown, and when it looks different."""
        kinds = QEvent.Type
        changes = kinds.Polish, kinds.Show, kinds.FontChange, kinds.StyleChange
        if event.type() in changes:
            self.align()
        elif event.type() == kinds.LayoutRequest:
            self._show_all()
        return super().eventFilter(watched, event)

    def align(self) -> None:
        """Make all labels as wide as the longest one is now."""
        labels = [
            item.widget()
            for form in self._area.findChildren(QFormLayout)
            for row in range(form.rowCount())
            if (item := form.itemAt(row, QFormLayout.ItemRole.LabelRole)) is not None
        ]
        width = max((label.sizeHint().width() for label in labels), default=0)
        for label in labels:
            label.setMinimumWidth(width)

    def _show_all(self) -> None:
        """Make what the area scrolls in as wide as the area, so that nothing is cut.

        Qt tells only what scrolls that the contents need more room, not its layout.
        """
        viewport = self._area.parentWidget()
        scroll_area = viewport.parentWidget() if viewport is not None else None
        if not isinstance(scroll_area, QScrollArea):
            return
        if self._area.sizeHint().width() > viewport.width():
            scroll_area.updateGeometry()


class OptionBoxes(AlignedForms):
    """
    Adds boxes with rows to a control area: a label at the left, a field at the right.

    Parameters
    ----------
    area : QWidget
        The control area, which has a layout.
    """

    def __init__(self, area: QWidget):
        super().__init__(area)
        self._form: QFormLayout | None = None

    def add_box(self, title: str) -> QWidget:
        """
        Begin another box.

        Parameters
        ----------
        title : str
            What is written above it.

        Returns
        -------
        QWidget
            The box. What is added to its layout comes below its rows.
        """
        box = gui.vBox(self._area, title)
        self._form = QFormLayout()
        policies = QFormLayout.FieldGrowthPolicy
        self._form.setFieldGrowthPolicy(policies.AllNonFixedFieldsGrow)
        box.layout().addLayout(self._form)
        return box

    def add_row(self, label: str, field: QWidget, tip: str = "") -> None:
        """
        Add a row to the last box.

        Parameters
        ----------
        label : str
            What is written before the field; empty for a check box.
        field : QWidget
            What is set.
        tip : str, optional
            The tooltip of both.
        """
        self._form.addRow(label, field)
        if tip:
            field.setToolTip(tip)
        if tip and label:
            self._form.labelForField(field).setToolTip(tip)

    def add_part(self, part) -> None:
        """Let a part with a method ``add_rows`` add its rows to the last box."""
        part.add_rows(self._form)

    def add_columns(
        self, widget: OWWidget, name: str, label: str, model, callback, tip: str = ""
    ) -> None:
        """
        Add a list of columns to choose from to the last box.

        Parameters
        ----------
        widget : OWWidget
        name : str
            The widget's setting.
        label : str
            What is written before the list.
        model : VariableListModel
            The columns.
        callback : callable
            Called when the user has chosen.
        tip : str, optional
            What the column is for.
        """
        combo = gui.comboBox(
            None,
            widget,
            name,
            callback=callback,
            contentsLength=12,
            searchable=True,
            model=model,
        )
        self.add_row(label, combo, tip)
