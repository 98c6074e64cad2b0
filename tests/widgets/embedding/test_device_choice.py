from embedding_widget import pick
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.embedding.device_choice import DeviceChoice


class TestDeviceChoice(GuiTest):
    def test_choice(self):
        choice, heard = DeviceChoice("gpu"), []
        choice.chosen.connect(heard.append)
        assert choice.combo.currentText() == "GPU"
        assert heard == []
        pick(choice.combo, "cpu")
        assert heard == ["cpu"]

    def test_in_use(self):
        choice = DeviceChoice("auto")
        assert choice.label.text() == choice.used == ""
        choice.show_used("NVIDIA Something")
        assert choice.label.text() == "in use: NVIDIA Something"
        assert choice.used == "NVIDIA Something"
        choice.show_used("")
        assert choice.label.text() == ""
