import pytest
from AnyQt.QtWidgets import QWidget
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.widgets.embedding.download_question import (
    ask_to_download,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice, Facts


class TestDownloadQuestion(GuiTest):
    @pytest.fixture(autouse=True)
    def no_downloads(self, monkeypatch, tmp_path):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def ask(self):
        self.parent, self.answers = QWidget(), []
        network = find_network("vgg16")
        facts = Facts(Choice("vgg16"), network, False, network.megabytes)
        return ask_to_download(self.parent, facts, self.answers.append)

    def test_text(self):
        question = self.ask()
        assert question.text() == "Download the network VGG-16 (553 MB)?"
        text = question.informativeText()
        assert "https://download.pytorch.org" in text
        assert find_network("vgg16").weights.path in text
        assert "license of the weights is BSD-3-Clause." in text
        question.reject()

    def test_answers(self):
        for name, answer in (("Download", True), ("Cancel", False)):
            question = self.ask()
            assert question.isVisible()
            (button,) = (b for b in question.buttons() if b.text().strip("&") == name)
            button.click()
            assert self.answers == [answer]

    def test_closed(self):
        self.ask().reject()
        assert self.answers == [False]
