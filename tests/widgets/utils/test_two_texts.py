from AnyQt.QtCore import QRect
from AnyQt.QtGui import (
    QFont,
    QImage,
    QPainter,
    QPalette,
    QStandardItem,
    QStandardItemModel,
)
from AnyQt.QtWidgets import QListView, QStyle, QStyleOptionViewItem
from Orange.widgets.tests.base import GuiTest
from orangecanvas import styles

from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS, TwoTexts


class TestTwoTexts(GuiTest):
    def colors(self, is_selected):
        """Colors of the details of an item in dark colors, and what they may be."""
        view, model = QListView(), QStandardItemModel()
        item = QStandardItem("")
        item.setData("MMMM", DETAILS)
        model.appendRow(item)
        view.setModel(model)
        option = QStyleOptionViewItem()
        option.widget, option.palette = view, styles.breeze_dark()
        option.font = QFont(view.font().family(), 40)
        option.rect = QRect(0, 0, 400, 80)
        option.state = QStyle.StateFlag.State_Enabled | QStyle.StateFlag.State_Active
        if is_selected:
            option.state |= QStyle.StateFlag.State_Selected
        image = QImage(400, 80, QImage.Format.Format_RGB32)
        image.fill(option.palette.color(QPalette.ColorRole.Base))
        painter = QPainter(image)
        TwoTexts(view).paint(painter, option, model.index(0, 0))
        painter.end()
        found = {image.pixelColor(x, y).name() for x in range(400) for y in range(80)}
        return found, option.palette

    def test_details_can_be_read_in_the_selection(self):
        found, palette = self.colors(is_selected=True)
        assert palette.color(QPalette.ColorRole.HighlightedText).name() in found

    def test_details_are_paler_elsewhere(self):
        found, palette = self.colors(is_selected=False)
        assert len(found) > 1
        assert palette.color(QPalette.ColorRole.Text).name() not in found
