from AnyQt.QtCore import Qt
from embedding_widget import texts
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice
from orangecontrib.imageanalytics.widgets.embedding.network_combo import NetworkCombo
from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS


class TestNetworkCombo(GuiTest):
    def test_own(self):
        combo = NetworkCombo()
        assert len(texts(combo)) == len(NETWORKS)
        own = [Choice("timm:a.b"), Choice("/some/cells.pt")]
        combo.show_own(own)
        combo.show_own(own)
        assert texts(combo)[len(NETWORKS) :] == ["", "a.b", "cells.pt"]
        assert combo.itemData(len(NETWORKS) + 2) == "/some/cells.pt"
        assert combo.itemData(len(NETWORKS) + 2, Qt.ToolTipRole) == "/some/cells.pt"
        assert combo.itemData(len(NETWORKS) + 1, DETAILS) == "timm"
        combo.show_own([])
        assert len(texts(combo)) == len(NETWORKS)

    def test_everything_is_drawn(self):
        combo = NetworkCombo()
        combo.show_own([Choice("timm:a.b")])
        combo.show()
        combo.showPopup()
        image = combo.view().viewport().grab().toImage()
        line = combo.view().visualRect(combo.model().index(len(NETWORKS), 0))
        background = image.pixelColor(1, line.center().y())
        drawn = image.pixelColor(line.center().x(), line.center().y())
        combo.hidePopup()
        assert 3 < line.height() < 15
        assert drawn != background

    def test_details_are_spoken(self):
        combo = NetworkCombo()
        index = combo.findData("vgg16")
        text = combo.itemData(index, Qt.AccessibleTextRole)
        assert text.startswith("VGG-16: 4,096 features")
