import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtGui import (
    QColor,
    QImage,
    QPainter,
    QPalette,
    QStandardItem,
    QStandardItemModel,
)
from AnyQt.QtWidgets import QStyleOptionViewItem

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


@pytest.mark.parametrize("background", ["white", "#232629"])
def test_boxes_are_seen(background):
    model = QStandardItemModel()
    item = QStandardItem("")
    item.setCheckable(True)
    model.appendRow(item)
    combo = CheckCombo(model)
    image = QImage(100, 24, QImage.Format.Format_RGB32)
    image.fill(QColor(background))
    option = QStyleOptionViewItem()
    option.rect, option.widget = image.rect(), combo.view()
    option.palette = QPalette(QColor(background))
    option.palette.setColor(QPalette.ColorRole.Base, QColor(background))
    painter = QPainter(image)
    combo.itemDelegate().paint(painter, option, model.index(0, 0))
    painter.end()
    lightness = [image.pixelColor(x, 12).lightness() for x in range(100)]
    assert lightness[-1] == QColor(background).lightness()
    # The left and the right side of the box
    assert sum(abs(value - lightness[-1]) > 50 for value in lightness) >= 2


def test_separators_are_lines(combo):
    combo.insertSeparator(1)
    view = combo.view()
    combo.showPopup()
    rows = [view.visualRect(combo.model().index(row, 0)) for row in range(4)]
    assert rows[1].height() < rows[0].height() / 2
    image = view.viewport().grab(rows[1]).toImage()
    column = [image.pixelColor(30, y).lightness() for y in range(image.height())]
    assert max(column) - min(column) > 20
    combo.hidePopup()
