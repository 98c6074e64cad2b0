import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, StringVariable

from orangecontrib.imageanalytics.widgets.utils.variablescombo import VariablesCombo


@pytest.fixture
def combo():
    combo = VariablesCombo()
    numbers = [ContinuousVariable(f"n{i}") for i in range(2)]
    combo.set_domain(
        Domain(numbers, DiscreteVariable("kind"), [StringVariable("name")])
    )
    combo.changes = []
    combo.changed.connect(
        lambda: combo.changes.append([variable.name for variable in combo.chosen()])
    )
    combo.show()
    yield combo
    combo.hidePopup()
    combo.hide()


def test_items_are_ticked_with_the_mouse_and_the_list_stays_open(combo):
    combo.showPopup()
    view = combo.view()
    for name in ("name", "kind", "name"):
        row = [getattr(variable, "name", "") for variable in combo.variables].index(
            name
        )
        place = view.visualRect(combo.variables.index(row)).center()
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert view.isVisible()
    # In the order of the list
    assert combo.changes == [["name"], ["kind", "name"], ["kind"]]


def test_items_are_ticked_with_keys(combo):
    combo.showPopup()
    view = combo.view()
    view.setCurrentIndex(combo.variables.index(0))
    QTest.keyClick(view, Qt.Key.Key_Space)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert view.isVisible()
    assert combo.changes == [["kind"], []]


def test_text(combo):
    assert combo.text() == "(None)"
    domain = combo.variables[0], combo.variables[2]
    combo.choose(domain)
    assert combo.text() == "kind, name"
    assert combo.changes == []
    assert not combo.grab().isNull()
    combo.set_domain(None)
    assert combo.chosen() == []
    combo.choose([])
    assert combo.text() == "(None)"


def test_closed_is_told_once(combo):
    closed = []
    combo.closed.connect(lambda: closed.append(True))
    combo.hidePopup()
    assert not closed
    combo.showPopup()
    combo.hidePopup()
    assert closed == [True]
