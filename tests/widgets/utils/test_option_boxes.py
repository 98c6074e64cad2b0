from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.tests.base import GuiTest
from Orange.widgets.widget import OWWidget

from orangecontrib.imageanalytics.widgets.utils.option_boxes import (
    AlignedForms,
    OptionBoxes,
)


class TestOptionBoxes(GuiTest):
    def setUp(self):
        self.area = QWidget()
        self.area.setLayout(QVBoxLayout())
        self.options = OptionBoxes(self.area)

    def tearDown(self):
        self.area.deleteLater()

    def left(self, field):
        """Where a field begins in the window."""
        return field.mapTo(self.area, field.rect().topLeft()).x()

    def add(self, title, *labels):
        self.options.add_box(title)
        fields = [QComboBox() for _ in labels]
        for label, field in zip(labels, fields, strict=True):
            self.options.add_row(label, field, f"About {label}")
        return fields

    def test_fields_of_all_boxes_begin_below_each_other(self):
        fields = [*self.add("A", "A:", "Longer:"), *self.add("B", "The longest one:")]
        check = QCheckBox("Check")
        self.options.add_row("", check)
        self.area.show()
        assert len({self.left(field) for field in [*fields, check]}) == 1

    def test_part_with_several_rows(self):
        class Part:
            fields = QComboBox(), QCheckBox("Check")

            def add_rows(self, form):
                form.addRow("The longest one:", self.fields[0])
                form.addRow("", self.fields[1])

        (first,) = self.add("A", "A:")
        self.options.add_box("B")
        self.options.add_part(Part())
        self.area.show()
        assert self.left(first) == self.left(Part.fields[0])

    def test_labels_that_become_longer_are_not_cut(self):
        first, second = *self.add("A", "A:"), *self.add("B", "B:")
        self.area.show()
        before = self.left(second)
        self.area.hide()
        label = first.parent().findChild(QFormLayout).labelForField(first)
        label.setText("As long as it is in German:")
        self.area.show()
        assert QTest.qWaitFor(lambda: self.left(second) > before)
        assert self.left(first) == self.left(second)
        assert label.width() >= label.sizeHint().width()

    def test_larger_font(self):
        first, second = *self.add("A", "A:"), *self.add("B", "Longer:")
        self.area.show()
        before = self.left(second)
        font = self.area.font()
        font.setPointSize(3 * font.pointSize())
        self.area.setFont(font)
        assert QTest.qWaitFor(lambda: self.left(second) > before)
        assert self.left(first) == self.left(second)

    def test_control_area_is_as_wide_as_its_contents(self):
        class Widget(OWWidget):
            name = "Widget"

        widget = Widget()
        options = OptionBoxes(widget.controlArea)
        options.add_box("A")
        button = QPushButton("Short")
        options.add_row("A:", button)
        widget.show()
        before = widget.left_side.width()
        button.setText("Much longer than what the widget had room for, as in German")
        area, left = widget.controlArea, widget.left_side
        assert QTest.qWaitFor(lambda: before < area.sizeHint().width() <= left.width())
        widget.onDeleteWidget()
        widget.deleteLater()

    def test_tooltips(self):
        (field,) = self.add("A", "Label:")
        label = field.parent().findChild(QFormLayout).labelForField(field)
        assert field.toolTip() == label.toolTip() == "About Label:"

    def test_forms_made_elsewhere(self):
        area = QWidget()
        layout = QVBoxLayout(area)
        fields = []
        for label in ("A:", "A longer one:"):
            form = QFormLayout()
            layout.addLayout(form)
            fields.append(QComboBox())
            form.addRow(label, fields[-1])
            form.addRow(QWidget())  # has no label
        AlignedForms(area)
        area.show()
        assert fields[0].x() == fields[1].x()
        area.deleteLater()
