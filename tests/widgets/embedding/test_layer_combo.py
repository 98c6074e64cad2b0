import dataclasses
import threading

import pytest
from AnyQt.QtCore import Qt
from embedding_widget import pick, texts
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.widgets.embedding import layer_combo
from orangecontrib.imageanalytics.widgets.embedding.layer_combo import LayerCombo
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    look_up,
)

SQUEEZENET, VGG = Choice("squeezenet"), Choice("vgg16")
LOOKING_UP = "Looking up the stages…"


class TestLayerCombo(GuiTest):
    @pytest.fixture(autouse=True)
    def stages(self, monkeypatch, until):
        """Looked up when the test opens the gate."""
        self.gate, self.stages, self.asked = threading.Event(), ("a", "b", "c"), []

        def look_up_stages(choice):
            self.asked.append(choice)
            self.gate.wait(60)
            if isinstance(self.stages, Exception):
                raise self.stages
            return self.stages

        self.until = until
        monkeypatch.setattr(layer_combo, "look_up_stages", look_up_stages)
        yield
        self.gate.set()

    def setUp(self):
        super().setUp()
        self.combo, self.heard = LayerCombo(), []
        self.combo.chosen.connect(self.heard.append)

    def tearDown(self):
        self.combo.hidePopup()
        self.combo.stop()
        super().tearDown()

    def show_network(self, choice, network=None):
        facts = look_up(choice)
        if network is not None:
            facts = dataclasses.replace(facts, network=network)
        self.combo.show_network(choice, facts)

    def let_stages_come(self):
        self.gate.set()
        self.until(lambda: LOOKING_UP not in texts(self.combo))

    def test_before_it_is_looked_up(self):
        self.combo.show_network(Choice("timm:a"), None)
        assert texts(self.combo) == ["Default", "Before the classifier", "Class scores"]
        self.combo.set_value("layer3")
        assert self.combo.text == "Stage layer3"
        assert self.heard == []

    def test_user_chooses(self):
        self.show_network(SQUEEZENET)
        pick(self.combo, "penultimate")
        assert self.heard == ["penultimate"]
        self.combo.show_stages(("a", "b"))  # the choice stays
        assert self.combo.text == "Before the classifier"
        pick(self.combo, "b")
        assert self.heard == ["penultimate", "b"]

    def test_penultimate_where_it_is_the_default(self):
        self.show_network(VGG)
        self.combo.set_value("penultimate")
        assert self.combo.text == "Default (before the classifier)"

    def test_open_while_the_stages_come(self):
        self.show_network(SQUEEZENET)
        self.combo.show()
        self.combo.showPopup()
        last = self.combo.count() - 1
        assert self.combo.itemText(last) == LOOKING_UP
        assert not self.combo.model().item(last).flags() & Qt.ItemIsEnabled
        self.let_stages_come()
        assert self.combo.view().isVisible()
        assert texts(self.combo)[3:] == [
            "Stage 1 of 3 (early)",
            "Stage 2 of 3 (middle)",
            "Stage 3 of 3 (late)",
        ]
        assert "Colours" in self.combo.itemData(3, Qt.ToolTipRole)
        self.combo.hidePopup()
        self.combo.showPopup()
        assert self.asked == [SQUEEZENET]  # they are known

    def test_closed_before_they_came(self):
        self.show_network(SQUEEZENET)
        for _ in range(2):
            self.combo.showPopup()
            self.combo.hidePopup()
            assert LOOKING_UP not in texts(self.combo)
        self.gate.set()
        self.until(lambda: "Stage 1 of 3 (early)" in texts(self.combo))
        assert self.asked == [SQUEEZENET]
        assert not self.combo.view().isVisible()

    def test_no_stages(self):
        self.stages = ModelError("no")
        self.show_network(SQUEEZENET)
        self.combo.showPopup()
        self.let_stages_come()
        assert texts(self.combo)[1:] == ["Before the classifier", "Class scores"]

    def test_another_network_while_they_are_looked_up(self):
        self.show_network(SQUEEZENET)
        self.combo.showPopup()
        self.combo.hidePopup()
        self.show_network(VGG)
        self.gate.set()
        self.combo.showPopup()
        self.let_stages_come()
        assert self.asked[-1] == VGG
        assert len(texts(self.combo)) == 2 + 3

    def test_another_name_of_the_same_network(self):
        """As when it is looked up which weights are meant."""
        choice = Choice("torchvision:squeezenet1_1")
        self.combo.show_network(choice, None)
        self.combo.showPopup()
        facts = dataclasses.replace(look_up(SQUEEZENET), choice=choice)
        self.combo.show_network(Choice("torchvision:squeezenet1_1.V1"), facts)
        self.let_stages_come()
        assert self.asked == [choice]
        assert "Stage 1 of 3 (early)" in texts(self.combo)

    def test_highlighted_row_is_kept_when_the_stages_come(self):
        self.show_network(SQUEEZENET)
        self.combo.show()
        self.combo.showPopup()
        view = self.combo.view()
        view.setCurrentIndex(self.combo.model().index(2, 0))
        self.let_stages_come()
        assert view.currentIndex().data() == "Class scores"
        view.setCurrentIndex(self.combo.model().index(4, 0))
        self.combo.show_stages(("b",))
        assert view.currentIndex().data(Qt.UserRole) == "b"

    def test_no_class_scores_without_a_classifier(self):
        for has_classifier, expected in ((False, []), (True, ["Class scores"])):
            network = dataclasses.replace(
                find_network("vgg16"), has_classifier=has_classifier
            )
            self.show_network(VGG, network)
            assert texts(self.combo)[1:] == expected

    def test_network_that_knows_words(self):
        self.show_network(Choice("clip-vit-b-32"))
        assert texts(self.combo) == [
            "Default (shared with words)",
            "Before the projection",
        ]
        assert "comparable with texts" in self.combo.itemData(1, Qt.ToolTipRole)
        self.combo.set_value("joint")
        assert self.combo.currentIndex() == 0
        self.show_network(VGG)
        assert not any("words" in text for text in texts(self.combo))

    def test_file(self):
        self.combo.show_network(Choice("/some/cells.pt"), None)
        assert texts(self.combo) == ["Output of the network"]
        assert not self.combo.isEnabled()
        self.show_network(VGG)
        assert self.combo.isEnabled()
        network = dataclasses.replace(find_network("vgg16"), has_layers=False)
        self.show_network(VGG, network)
        assert texts(self.combo) == ["Class scores"]
        assert not self.combo.isEnabled()
