import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtGui import QStandardItem, QStandardItemModel

from orangecontrib.imageanalytics.widgets.utils.checkcombo import NONE, CheckCombo


@pytest.fixture
def combo():
    model = QStandardItemModel()
    for name, extra in (("a", True), ("heading", False), ("b", True)):
        item = QStandardItem(name)
        item.setCheckable(extra)
        model.appendRow(item)
    combo = CheckCombo(model)
    yield combo
    combo.hidePopup()


def test_ticked(combo):
    assert combo.text() == NONE
    combo.tick([0, 1])  # of which one cannot be ticked
    assert combo.ticked() == [0]
    combo.tick([2, 0])
    assert combo.ticked() == [0, 2]
    assert combo.text() == "a, b"
    assert combo.accessibleDescription() == "a, b"
    assert "a, b" in combo.toolTip()


def test_model_belongs_to_it(combo):
    assert combo.model().parent() is combo


def test_items_that_cannot_be_ticked(combo):
    changes = []
    combo.changed.connect(lambda: changes.append(combo.ticked()))
    combo.showPopup()
    for row in range(3):
        combo._toggle(combo.model().index(row, 0))
    assert changes == [[0], [0, 2]]
    assert combo.model().item(0).checkState() == Qt.CheckState.Checked
