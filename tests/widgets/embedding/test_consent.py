"""Nothing is downloaded or opened that could run code before the user agrees."""

import os
import shutil

import pytest
from AnyQt.QtWidgets import QMessageBox
from embedding_widget import VALUES, EmbeddingTest, FakeEmbeddingTest
from helpers import make_harmful_file

from orangecontrib.imageanalytics.image_embedder import clear_cache
from orangecontrib.imageanalytics.networks.files import trust
from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.widgets.embedding.consent import Consent
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice


class TestDownload(FakeEmbeddingTest):
    def test_a_workflow_is_opened(self):
        """Nothing pops up and nothing is fetched."""
        self.opened(embedder="vgg16")
        self.embed(self.data)
        assert self.question is None
        warning = str(self.widget.Warning.download_needed)
        assert "VGG-16 has to be downloaded first (553 MB)" in warning
        assert self.status == "VGG-16 is not on this computer yet."
        button = self.widget.status.download_button
        assert self.is_shown(button)
        assert button.text() == "Download (553 MB)…"
        assert not self.fake.made
        button.click()
        self.answer("Download")
        self.finish()
        assert self.fake.downloaded == ["vgg16"]
        assert self.get_output("Embeddings") is self.data
        assert not self.widget.Warning.download_needed.is_shown()
        assert not self.is_shown(button)

    def test_user_chooses(self):
        self.embed(self.data)
        self.choose("Network", "vgg19")
        assert "VGG-19 (575 MB)" in self.question.text()
        assert "https://download.pytorch.org" in self.question.informativeText()
        self.answer("Cancel")
        assert len(self.fake.made) == 1
        assert self.widget.Warning.download_needed.is_shown()
        assert self.get_output("Embeddings") is None
        self.choose("Network", DEFAULT)
        self.finish()
        assert self.get_output("Embeddings") is self.data

    def test_question_is_asked_once(self):
        self.embed(self.data)
        self.choose("Network", "vgg19")
        question = self.question
        self.widget.status.download_button.click()
        assert self.widget.findChildren(QMessageBox) == [question]
        question.reject()
        assert self.question is None
        self.widget.status.download_button.click()
        assert self.question is not None
        self.answer("Cancel")

    def test_question_goes_with_the_widget(self):
        self.embed(self.data)
        self.choose("Network", "vgg19")
        question = self.question
        self.widget.onDeleteWidget()
        assert not question.isVisible()

    def test_consent_holds_for_the_session(self):
        Consent.agreed.add("vgg19")
        self.embed(self.data)
        self.choose("Network", "vgg19")
        self.finish()
        assert self.question is None
        assert self.fake.made[-1].model == "vgg19"

    def test_a_network_that_is_here_needs_no_download(self):
        """Chosen while another that is missing waits, without automatic apply."""
        self.opened(embedder="vgg16", _auto_apply=False)
        self.embed(self.data)
        assert self.widget.Warning.download_needed.is_shown()
        self.choose("Network", "squeezenet")
        assert self.question is None
        assert not self.widget.Warning.download_needed.is_shown()
        assert not self.is_shown(self.widget.status.download_button)
        assert "Press Apply" in self.status


class TestTrust(EmbeddingTest):
    """Files that can run code, which a workflow may name."""

    @pytest.fixture(autouse=True)
    def harmful(self, fixtures, nothing_trusted):
        self.mark, self.folder = self.tmp / "sprung", nothing_trusted
        self.path = make_harmful_file(self.tmp / "cells.pt2", self.mark)
        self.file = Choice.of_file(self.path, dict(VALUES))

    def open_workflow(self):
        self.opened(embedder=self.path, own_networks=[self.file.as_settings()])

    def assert_not_opened(self):
        widget = self.widget
        assert not self.mark.exists()
        assert self.get_output("Embeddings") is None
        assert not widget.Error.active
        assert widget.Warning.trust_needed.is_shown()
        assert "cells.pt2 has not been opened" in self.status
        assert self.is_shown(widget.status.open_button)
        assert self.question is None

    def test_a_workflow_opens_nothing(self):
        self.open_workflow()
        for _ in range(2):  # nor at the second time
            self.embed(self.data)
            self.assert_not_opened()
        self.widget.saveSettings()
        packed = repr(self.packed())
        assert "sha256" not in packed and "trust" not in packed

    def test_no(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.status.open_button.click()
        question = self.question
        assert "The workflow asks for it" in question.informativeText()
        self.widget.status.open_button.click()
        assert self.question is question  # there is only one
        self.answer("Don't Open")
        self.finish()
        self.assert_not_opened()

    def test_yes(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.status.open_button.click()
        self.answer("Open")
        self.finish()
        assert self.mark.exists()
        assert self.get_output("Embeddings").X.shape == (6, 4)
        assert not self.widget.Warning.trust_needed.is_shown()
        # Remembered on this computer, not in the workflow.
        packed = self.packed()
        assert "sha256" not in repr(packed)
        self.open_workflow()
        embedded, _ = self.embed(self.data)
        assert embedded.X.shape == (6, 4)
        shutil.rmtree(self.folder)
        trust._vouched.clear()  # as in another session
        self.mark.rmdir()
        clear_cache()
        self.opened(**packed)
        self.embed(self.data)
        self.assert_not_opened()

    def test_a_changed_file_is_asked_again(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.status.open_button.click()
        other = self.tmp / "other mark"
        make_harmful_file(self.path, other)
        self.answer("Open")
        self.finish()
        assert not os.path.exists(other)
        self.assert_not_opened()

    def test_own_choice(self):
        self.embed(self.data)
        self.use(self.file)
        self.finish()
        assert not self.mark.exists()
        self.widget.status.open_button.click()
        assert "You have chosen it." in self.question.informativeText()
        self.answer("Don't Open")

    def test_another_network_instead(self):
        self.open_workflow()
        self.embed(self.data)
        self.choose("Network", DEFAULT)
        self.finish()
        assert not self.widget.Warning.trust_needed.is_shown()
        assert self.get_output("Embeddings").X.shape == (6, 1280)

    def test_closed_while_it_is_asked(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.status.open_button.click()
        question = self.question
        self.widget.onDeleteWidget()
        assert not question.isVisible()
        assert not self.mark.exists()
