"""The legend: values, counts, and what a click or a key on them does."""

import numpy as np
import pytest
from AnyQt.QtCore import QSize, Qt
from AnyQt.QtGui import QColor
from AnyQt.QtTest import QSignalSpy, QTest
from AnyQt.QtWidgets import QStyleOptionViewItem
from Orange.data import ContinuousVariable, DiscreteVariable, TimeVariable

from orangecontrib.imageanalytics.widgets.sheet.coloring import MISSING, Coloring
from orangecontrib.imageanalytics.widgets.sheet.legend import MIN_LINES, Legend

KIND = DiscreteVariable("kind", values=["ants", "bees", "cats"])
KEYS = Qt.KeyboardModifier


@pytest.fixture
def legend():
    legend = Legend()
    legend.show()
    yield legend
    legend.deleteLater()


def center(values, row):
    return values.visualRect(values.model().index(row, 0)).center()


def clicks(spy):
    return [(index, modifiers) for index, modifiers in spy]


def test_values_that_occur_are_counted(legend):
    legend.set_coloring(Coloring(KIND, [2, 0, 2, np.nan]))
    assert legend.isVisible()
    assert legend.rows() == [("ants", "1"), ("cats", "2"), ("(missing)", "1")]


def test_selected_rows(legend):
    coloring = Coloring(KIND, [0, 0, 0, 1, 1])
    legend.set_coloring(coloring)
    legend.set_selected(np.array([True, True, False, False, False]))
    assert legend.rows() == [("ants", "2 of 3"), ("bees", "2")]
    legend.set_selected(None)
    assert legend.rows() == [("ants", "3"), ("bees", "2")]
    legend.set_selected(np.array([1, 1, 1, 1, 1]))
    assert legend.rows() == [("ants", "3 of 3"), ("bees", "2 of 2")]
    legend.set_coloring(coloring)
    assert legend.rows() == [("ants", "3"), ("bees", "2")]


def test_short_names_remain_whole_beside_counts_of_selected_rows(legend):
    variable = DiscreteVariable("kind", values=["longsleeve"])
    legend.set_coloring(Coloring(variable, np.zeros(120)))
    legend.set_selected(np.arange(120) < 10)
    legend.resize(legend.sizeHint())
    assert legend.rows() == [("longsleeve", "10 of 120")]
    index = legend._values.model().index(0, 0)
    wanted = legend._values.itemDelegate().sizeHint(option_of(legend._values), index)
    assert wanted.width() <= legend._values.viewport().width()


def option_of(view):
    option = QStyleOptionViewItem()
    option.initFrom(view)
    option.font, option.fontMetrics = view.font(), view.fontMetrics()
    option.decorationSize = view.iconSize()
    option.widget = view
    return option


def test_nothing_to_explain(legend):
    legend.set_coloring(Coloring(KIND, []))
    assert not legend.isVisible()
    legend.set_coloring(Coloring(KIND, [1]))
    assert legend.isVisible()
    legend.set_coloring(None)
    legend.set_selected(np.zeros(0, dtype=bool))
    assert not legend.isVisible()


def test_clicks_and_keys(legend):
    legend.set_coloring(Coloring(KIND, [2, 0, 2, np.nan]))
    legend.resize(legend.sizeHint())
    values, spy = legend._values, QSignalSpy(legend.clicked)
    left, right = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
    QTest.mouseClick(values.viewport(), left, pos=center(values, 1))
    QTest.mouseClick(
        values.viewport(), left, KEYS.ControlModifier, pos=center(values, 2)
    )
    QTest.mouseClick(values.viewport(), right, pos=center(values, 0))
    QTest.mousePress(values.viewport(), left, pos=center(values, 0))
    QTest.mouseRelease(values.viewport(), left, pos=center(values, 1))
    assert clicks(spy) == [(2, KEYS.NoModifier), (MISSING, KEYS.ControlModifier)]

    assert values.focusPolicy() & Qt.FocusPolicy.TabFocus
    QTest.keyClick(values, Qt.Key.Key_Home)
    QTest.keyClick(values, Qt.Key.Key_Space)
    QTest.keyClick(values, Qt.Key.Key_Down)
    QTest.keyClick(values, Qt.Key.Key_Return, KEYS.ShiftModifier)
    assert clicks(spy)[2:] == [(0, KEYS.NoModifier), (2, KEYS.ShiftModifier)]


def test_many_values_scroll_and_long_names_are_elided(legend):
    names = [f"value with a name that is much too long {n}" for n in range(200)]
    variable = DiscreteVariable("x" * 1000, values=names)
    legend.set_coloring(Coloring(variable, np.arange(200)))
    values = legend._values
    line = values.sizeHintForRow(0)
    assert legend.minimumSizeHint().width() < 100
    assert legend.sizeHint().width() < 300
    assert legend.sizeHint().height() < 40 * line
    assert values.minimumSizeHint().height() == MIN_LINES * line
    legend.resize(150, 200)
    legend.grab()  # lays it out
    bar = values.verticalScrollBar()
    assert bar.maximum() > 0
    assert values.horizontalScrollBar().maximum() == 0
    # The last one is reached, and reported as what it is.
    QTest.keyClick(values, Qt.Key.Key_Home)
    QTest.keyClick(values, Qt.Key.Key_End)
    spy = QSignalSpy(legend.clicked)
    QTest.keyClick(values, Qt.Key.Key_Enter)
    assert clicks(spy) == [(199, KEYS.NoModifier)]
    assert bar.value() == bar.maximum()


def test_names_are_no_markup(legend):
    variable = DiscreteVariable("<b>k</b>", values=["<i>a</i>", "b\nc"])
    legend.set_coloring(Coloring(variable, [0, 1]))
    assert [name for name, _ in legend.rows()] == ["<i>a</i>", "b c"]
    model = legend._values.model()
    assert "&lt;i&gt;a&lt;/i&gt;" in model.item(0).toolTip()


def test_screen_readers_get_the_counts(legend):
    legend.set_coloring(Coloring(KIND, [0, 0, 1]))
    legend.set_selected(np.array([True, False, False]))
    model = legend._values.model()
    spoken = [
        model.item(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(2)
    ]
    assert spoken == ["ants: 1 of 2 selected", "bees: 1"]
    assert legend._values.accessibleName() == "Legend: kind"


def test_a_range(legend):
    legend.set_coloring(Coloring(ContinuousVariable("size"), [0, 10, 4, np.nan]))
    gradient = legend._gradient
    assert gradient.isVisible()
    assert gradient.labels() == ["10", "5", "0"]
    assert legend.rows() == [("(missing)", "1")]
    image = legend.grab().toImage()
    palette = ContinuousVariable("size").palette.palette
    top, bottom = (
        QColor(image.pixel(gradient.mapTo(legend, gradient.rect().topLeft()) + shift))
        for shift in (
            gradient.rect().topLeft(),
            gradient.rect().bottomLeft(),
        )
    )
    for color, expected in ((top, palette[-1]), (bottom, palette[0])):
        seen = color.red(), color.green(), color.blue()
        assert np.abs(np.subtract(seen, expected.astype(int))).max() < 16


def test_ranges_of_no_extent(legend):
    number = ContinuousVariable("size")
    legend.set_coloring(Coloring(number, [2.5, 2.5]))
    assert legend._gradient.labels() == ["2.5"]
    assert not legend._values.isVisible()
    legend.grab()
    legend.set_coloring(Coloring(number, [np.nan]))
    assert not legend._gradient.isVisible()
    assert legend.rows() == [("(missing)", "1")]
    huge = np.finfo(float).max
    legend.set_coloring(Coloring(number, [-huge, huge]))
    legend.grab()
    assert len(legend._gradient.labels()) == 3


def test_a_range_of_times(legend):
    variable = TimeVariable("date", have_date=1)
    legend.set_coloring(Coloring(variable, [0, 2 * 86400]))
    assert legend._gradient.labels() == ["1970-01-03", "1970-01-02", "1970-01-01"]


def test_it_takes_little_room(legend):
    legend.set_coloring(Coloring(ContinuousVariable("size"), [0, 10]))
    assert legend.minimumSizeHint().width() < 20
    legend.resize(QSize(10, 10))
    legend.grab()
