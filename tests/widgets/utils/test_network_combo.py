from types import SimpleNamespace

from AnyQt.QtCore import Qt
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.networks.preprocessing import FITS
from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network
from orangecontrib.imageanalytics.widgets.utils.network_choice import Choice
from orangecontrib.imageanalytics.widgets.utils.network_combo import (
    FIT_TEXTS,
    FitCombo,
    LayerCombo,
    NetworkCombo,
)
from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS


def texts(combo):
    return [combo.itemText(index) for index in range(combo.count())]


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


class TestLayerCombo(GuiTest):
    def setUp(self):
        super().setUp()
        self.combo = LayerCombo()
        self.wanted = []
        self.combo.stages_wanted.connect(lambda: self.wanted.append(1))

    def tearDown(self):
        self.combo.hidePopup()
        super().tearDown()

    def test_before_it_is_looked_up(self):
        self.combo.show_layers(None, "", None)
        assert texts(self.combo) == ["Default", "Before the classifier", "Class scores"]
        self.combo.show_layers(None, "layer3", None)
        assert self.combo.currentText() == "Stage layer3"

    def test_penultimate_where_it_is_the_default(self):
        network = find_network("vgg16")
        self.combo.show_layers(network, "penultimate", ())
        assert self.combo.currentText() == "Default (before the classifier)"

    def test_open_while_the_stages_come(self):
        network = find_network("squeezenet")
        self.combo.show_layers(network, "", None)
        self.combo.show()
        self.combo.showPopup()
        assert self.wanted == [1]
        last = self.combo.count() - 1
        assert not self.combo.model().item(last).flags() & Qt.ItemIsEnabled
        self.combo.show_layers(network, "", ("a", "b", "c"))
        assert self.combo.view().isVisible()
        assert texts(self.combo)[3:] == [
            "Stage 1 of 3 (early)",
            "Stage 2 of 3 (middle)",
            "Stage 3 of 3 (late)",
        ]
        assert "Colours" in self.combo.itemData(3, Qt.ToolTipRole)
        self.combo.hidePopup()
        self.combo.showPopup()
        assert self.wanted == [1]  # they are known

    def test_highlighted_row_is_kept_when_the_stages_come(self):
        network = find_network("squeezenet")
        self.combo.show_layers(network, "", None)
        self.combo.show()
        self.combo.showPopup()
        view = self.combo.view()
        view.setCurrentIndex(self.combo.model().index(2, 0))
        self.combo.show_layers(network, "", ("a", "b", "c"))
        assert view.currentIndex().data() == "Class scores"
        view.setCurrentIndex(self.combo.model().index(4, 0))
        self.combo.show_layers(network, "", ("b",))
        assert view.currentIndex().data(Qt.UserRole) == "b"

    def test_no_class_scores_without_a_classifier(self):
        for has_classifier, expected in ((False, []), (True, ["Class scores"])):
            network = SimpleNamespace(
                layer="penultimate", classes="", has_classifier=has_classifier
            )
            self.combo.show_layers(network, "", ())
            assert texts(self.combo)[1:] == expected

    def test_file(self):
        self.combo.show_layers(None, "", None, only_output=True)
        assert texts(self.combo) == ["Output of the network"]
        assert not self.combo.isEnabled()
        self.combo.show_layers(find_network("vgg16"), "", None)
        assert self.combo.isEnabled()


class TestFitCombo(GuiTest):
    def test_trained(self):
        combo = FitCombo()
        assert combo.itemText(0) == "As trained"
        for model, fit in (("squeezenet", "stretch"), ("vgg16", "crop")):
            combo.show_trained(find_network(model))
            assert combo.itemText(0) == f"As trained ({fit})"
        combo.show_trained(None)
        assert texts(combo) == ["As trained", "Crop", "Stretch", "Pad"]

    def test_every_fit_can_be_chosen(self):
        assert tuple(FIT_TEXTS) == FITS
