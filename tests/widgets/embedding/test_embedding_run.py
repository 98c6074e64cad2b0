"""What starts, stops and follows a run of Image Embedding."""

import threading
from unittest.mock import patch

from AnyQt.QtGui import QTextDocument
from embedding_widget import FakeEmbedder, FakeEmbeddingTest

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.widgets.owimageembedding import (
    NO_DATA,
    NO_ROWS,
)
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN


class TestRun(FakeEmbeddingTest):
    def slow(self):
        self.fake.gate = threading.Event()
        self.addCleanup(self.fake.gate.set)
        return self.fake.gate

    def begin(self):
        self.send_signal("Images", self.data)
        return self.wait_for_embedder(1)

    def wait_for_embedder(self, count):
        self.until(lambda: len(self.fake.made) >= count)
        embedder = self.fake.made[count - 1]
        self.until(embedder.begun.is_set)
        return embedder

    def test_nothing_to_embed(self):
        assert self.status == NO_DATA
        assert "Connect Import Images" in NO_DATA
        self.embed(self.data[:0])
        assert self.status == NO_ROWS
        self.embed(self.data[:, self.data.domain.class_vars])
        assert self.status == NO_IMAGE_COLUMN
        assert self.widget.Warning.no_image_attribute.is_shown()
        self.embed(None)
        assert self.status == NO_DATA
        assert not self.fake.made

    def test_result(self):
        embedded, skipped = self.embed(self.data)
        assert embedded is self.data
        assert skipped is None
        assert "6 images embedded in 1 min 15 s" in self.status
        assert "2 had been embedded before" in self.status
        assert self.device == "in use: CPU"
        self.embed(None)
        assert self.device == ""

    def test_progress(self):
        gate = self.slow()
        self.begin()
        bar = self.widget.status.progress_bar
        self.until(lambda: self.status.startswith("3 of 6 images"))
        assert self.is_shown(bar)
        assert bar.value() == bar.maximum() / 2
        assert self.device == "in use: CPU"
        assert self.widget.cancel_button.isEnabled()
        gate.set()
        self.finish()
        assert not self.is_shown(bar)
        assert not self.widget.cancel_button.isEnabled()

    def test_cancel_and_go_on(self):
        gate = self.slow()
        embedder = self.begin()
        self.widget.cancel_button.click()
        assert self.get_output("Embeddings") is None
        assert "Press Apply" in str(self.widget.Information.cancelled)
        self.until(embedder.cancelled.is_set)
        gate.set()
        button = self.widget.apply_box.button
        assert button.text() == "Apply"
        button.click()
        self.finish()
        assert self.get_output("Embeddings") is self.data
        assert not self.widget.Information.cancelled.is_shown()
        assert not button.isEnabled()
        assert button.text() == "Apply Automatically"

    def test_switching_auto_apply_after_cancel(self):
        gate = self.slow()
        self.begin()
        self.widget.cancel_button.click()
        gate.set()
        checkbox, button = self.widget.apply_box.checkbox, self.widget.apply_box.button
        checkbox.click()
        assert button.isEnabled()
        assert button.text() == "Apply"
        checkbox.click()
        self.finish()
        assert self.get_output("Embeddings") is self.data

    def test_new_input_while_running(self):
        gate = self.slow()
        first = self.begin()
        other = self.data[:2]
        self.send_signal("Images", other)
        self.wait_for_embedder(2)
        assert first.cancelled.is_set()
        gate.set()
        self.finish()
        assert self.get_output("Embeddings") is other

    def test_data_removed_while_running(self):
        self.slow()
        first = self.begin()
        self.send_signal("Images", None)
        self.until(first.cancelled.is_set)
        assert self.get_output("Embeddings") is None
        assert not self.widget.cancel_button.isEnabled()

    def test_deletion_stops_the_thread(self):
        self.slow()
        embedder = self.begin()
        self.widget.onDeleteWidget()
        self.until(embedder.cancelled.is_set)

    def test_deletion_does_not_wait_for_what_cannot_be_stopped(self):
        """As when the thread is importing torch."""
        entered, gate = threading.Event(), threading.Event()
        opened = []

        def block(embedder):
            entered.set()
            opened.append(gate.wait(60))
            return embedder

        with patch.object(FakeEmbedder, "__enter__", block):
            self.send_signal("Images", self.data)
            self.until(entered.is_set)
            self.widget.onDeleteWidget()
            gate.set()
            self.until(lambda: opened)
        assert opened == [True]

    def test_same_choice_computes_nothing(self):
        self.embed(self.data)
        self.choose("Network", DEFAULT)
        self.choose_device("auto")
        self.choose("Layer", "")
        self.choose("Fit", "")
        self.widget.column_combo.activated.emit(0)
        self.finish()
        assert len(self.fake.made) == 1

    def test_another_choice_computes(self):
        self.embed(self.data)
        self.choose("Network", "squeezenet")
        self.finish()
        self.choose_device("cpu")
        self.finish()
        assert [e.model for e in self.fake.made] == [DEFAULT, *["squeezenet"] * 2]
        assert [e.asked_device for e in self.fake.made] == ["auto", "auto", "cpu"]

    def test_apply_when_asked(self):
        self.apply_by_hand()
        self.embed(self.data)
        self.choose("Network", "squeezenet")
        self.finish()
        assert len(self.fake.made) == 1
        self.widget.apply_box.button.click()
        self.finish()
        assert self.fake.made[-1].model == "squeezenet"

    def test_missing_weights(self):
        self.fake.error = ModelError("VGG: put x into the folder 'o & n'.")
        embedded, _ = self.embed(self.data)
        assert embedded is None
        assert str(self.widget.Error.network_missing) == str(self.fake.error)
        assert self.status.startswith("<")  # or Qt takes it as plain
        text = QTextDocument()
        text.setHtml(self.status)
        assert text.toPlainText() == str(self.fake.error)
        self.fake.error = None
        self.widget.apply_box.button.click()
        self.finish()
        assert not self.widget.Error.network_missing.is_shown()
        assert self.get_output("Embeddings") is self.data

    def test_out_of_memory(self):
        for error in (MemoryError(), RuntimeError("CUDA out of memory. Tried to")):
            self.fake.error = error
            self.embed(self.data)
            assert self.widget.Error.out_of_memory.is_shown()

    def test_unexpected_error(self):
        self.fake.error = ZeroDivisionError("something odd")
        self.embed(self.data)
        assert "something odd" in str(self.widget.Error.unexpected_error)
        self.fake.error = KeyError()
        self.embed(self.data)
        assert "KeyError" in str(self.widget.Error.unexpected_error)

    def test_gpu_fails(self):
        self.fake.device = "NVIDIA Something (cuda:0)"
        self.embed(self.data)
        assert "NVIDIA Something" in str(self.widget.Warning.gpu_failed)
        assert self.device == "in use: CPU"
