import os
import threading
import time
from types import SimpleNamespace
from typing import ClassVar
from unittest.mock import patch

import numpy as np
import pytest
from AnyQt.QtGui import QTextDocument
from AnyQt.QtWidgets import QMessageBox
from Orange.data import Domain, StringVariable, Table
from Orange.distance import Cosine
from Orange.widgets.data.owneighbors import OWNeighbors
from Orange.widgets.evaluate.owtestandscore import OWTestAndScore
from Orange.widgets.model.owlogisticregression import OWLogisticRegression
from Orange.widgets.tests.base import WidgetTest
from Orange.widgets.unsupervised import owdistances
from Orange.widgets.unsupervised.owdistances import OWDistances
from Orange.widgets.unsupervised.owhierarchicalclustering import (
    OWHierarchicalClustering,
)
from Orange.widgets.unsupervised.owtsne import OWtSNE

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.widgets import owimageembedding as module
from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding
from orangecontrib.imageanalytics.widgets.utils.network_choice import Choice, look_up
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog


class FakeEmbedder:
    """Does as its class attributes say, without a network."""

    made: ClassVar[list] = []
    downloaded: ClassVar[list] = []
    gate = None  # an Event: works until it is set
    error = None
    device = "CPU"
    device_at_end = "CPU"

    def __init__(self, model, device, layer, fit, preprocessing):
        self.model, self.asked_device = model, device
        self.layer, self.fit, self.preprocessing = layer, fit, preprocessing
        self.failures = {}
        self.cancelled = False
        self.begun = threading.Event()
        FakeEmbedder.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @staticmethod
    def download(model, callback):
        FakeEmbedder.downloaded.append(model)
        callback(0)
        callback(1)

    def __call__(self, data, col, callback):
        self.column = col
        self.begun.set()
        try:
            while self.gate is not None and not self.gate.wait(0.02):
                callback(0.5)
            if self.error is not None:
                raise self.error
            callback(1)
        except module.Cancelled:
            self.cancelled = True
            raise
        self.statistics = SimpleNamespace(
            seconds=75, n_cached=2, device=self.device_at_end
        )
        return data, None, 0


@pytest.fixture
def fake(monkeypatch):
    for name in ("made", "downloaded"):
        monkeypatch.setattr(FakeEmbedder, name, [])
    for name in ("gate", "error", "device", "device_at_end"):
        monkeypatch.setattr(FakeEmbedder, name, getattr(FakeEmbedder, name))
    monkeypatch.setattr(module, "ImageEmbedder", FakeEmbedder)
    return FakeEmbedder


@pytest.fixture
def agreed(monkeypatch):
    """No consent yet in this session; no weights but the packaged ones."""
    monkeypatch.setattr(OWImageEmbedding, "agreed", set())
    return OWImageEmbedding.agreed


@pytest.fixture
def data(photos):
    return ImportImages()(os.path.dirname(os.path.dirname(photos[0])))[0]


class Base(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, data, photos, agreed, tmp_path, monkeypatch):
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.setattr(
            "orangecontrib.imageanalytics.networks.weights.checkpoints_folder",
            lambda: str(tmp_path / "checkpoints"),
        )
        self.data, self.photos, self.agreed = data, photos, agreed

    def setUp(self):
        super().setUp()
        self.widget = self.create_widget(OWImageEmbedding)

    def embed(self, data):
        self.send_signal("Images", data)
        self.wait_until_finished(timeout=60000)
        return self.get_output("Embeddings"), self.get_output("Skipped Images")

    def choose(self, combo, value):
        combo.setCurrentIndex(combo.findData(value))
        combo.activated.emit(combo.currentIndex())


class TestEmbedding(Base):
    """With a real network, the default one."""

    def test_embeddings(self):
        embedded, skipped = self.embed(self.data)
        assert embedded.X.shape == (6, 1280)
        assert np.isfinite(embedded.X).all()
        assert skipped is None
        assert "6 images embedded" in self.widget.status_label.text()
        assert self.widget.device_label.text().startswith("in use: ")
        assert not self.widget.cancel_button.isEnabled()
        assert not self.widget.Error.active

    def test_skipped(self):
        with open(self.photos[1], "wb") as file:
            file.write(b"broken")
        os.remove(self.photos[2])
        with self.data.unlocked():
            self.data.metas[3, 1] = ""
        embedded, skipped = self.embed(self.data)
        assert len(embedded) == 3
        assert len(skipped) == 3
        assert str(self.widget.Warning.images_skipped) == "3 images were skipped."
        self.widget.status_label.linkActivated.emit("#skipped")
        (dialog,) = self.widget.findChildren(SkippedDialog)
        assert list(dialog.model) == [
            [self.photos[1], "not a picture"],
            [self.photos[2], "file not found"],
            ["(missing)", "no image is named"],
        ]
        dialog.close()
        self.widget.send_report()
        assert "file not found" in self.widget.report_html
        assert "3 skipped" in self.widget.report_html
        assert "#skipped" not in self.widget.report_html

    def test_one_skipped(self):
        os.remove(self.photos[0])
        self.embed(self.data)
        assert str(self.widget.Warning.images_skipped) == "1 image was skipped."

    def test_all_skipped(self):
        for path in self.photos:
            os.remove(path)
        embedded, skipped = self.embed(self.data)
        assert embedded is None
        assert len(skipped) == 6

    def test_no_gpu(self):
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available() or torch.backends.mps.is_available():
            pytest.skip("there is a GPU")
        self.choose(self.widget.device_combo, "gpu")
        embedded, _ = self.embed(self.data)
        assert len(embedded) == 6
        assert "The CPU is used." in str(self.widget.Warning.no_gpu)
        assert self.widget.device_label.text() == "in use: CPU"
        self.choose(self.widget.device_combo, "cpu")
        self.wait_until_finished()
        assert not self.widget.Warning.no_gpu.is_shown()

    def test_straight_into_other_widgets(self):
        embedded, _ = self.embed(self.data)
        distances = self.send_to(
            OWDistances, "Data", embedded, metric_id=owdistances.Cosine
        )
        matrix = self.get_output("Distances", distances)
        np.testing.assert_allclose(matrix, Cosine(embedded), atol=1e-6)
        assert matrix[0, 1:].min() > 0.001
        self.send_to(OWHierarchicalClustering, "Distances", matrix)
        tsne = self.send_to(OWtSNE, "Data", embedded)
        assert len(self.get_output("Data", tsne)) == 6
        regression = self.send_to(OWLogisticRegression, "Data", embedded)
        assert self.get_output("Model", regression)(embedded).shape == (6,)
        neighbors = self.create_widget(OWNeighbors)
        signals = [("Data", embedded), ("Reference", embedded[:1])]
        self.send_signals(signals, widget=neighbors)
        assert len(self.get_output("Neighbors", neighbors)) == 5
        self.check_scores(embedded, self.get_output("Learner", regression))

    def send_to(self, cls, name, value, **settings):
        settings["__version__"] = cls.settings_version
        widget = self.create_widget(cls, settings)
        self.send_signal(name, value, widget=widget)
        self.wait_until_finished(widget, timeout=30000)
        assert not widget.Error.active
        return widget

    def check_scores(self, embedded, learner):
        scores = self.create_widget(
            OWTestAndScore, {"resampling": OWTestAndScore.LeaveOneOut}
        )
        self.send_signals([("Data", embedded), ("Learner", learner)], widget=scores)
        self.wait_until_finished(scores, timeout=30000)
        results = self.get_output("Evaluation Results", scores)
        assert results.predicted.shape == (1, 6)
        assert not results.failed[0]


@pytest.mark.usefixtures("fake")
class TestRuns(Base):
    """What starts, stops and follows a run."""

    @pytest.fixture(autouse=True)
    def embedder(self, fake):
        self.fake = fake

    def slow(self):
        self.fake.gate = threading.Event()
        return self.fake.gate

    def begin(self):
        self.send_signal("Images", self.data)
        embedder = self.wait_for_embedder(1)
        assert embedder.begun.wait(5)
        return embedder

    def wait_for_embedder(self, count):
        self.process_events(lambda: len(self.fake.made) >= count)
        return self.fake.made[count - 1]

    def test_result(self):
        embedded, skipped = self.embed(self.data)
        assert embedded is self.data
        assert skipped is None
        text = self.widget.status_label.text()
        assert "6 images embedded in 1 min 15 s" in text
        assert "2 of them were known" in text

    def test_progress(self):
        gate = self.slow()
        self.begin()
        label, bar = self.widget.status_label, self.widget.progress_bar
        self.process_events(lambda: label.text().startswith("3 of 6 images"))
        assert self.widget.status_stack.currentWidget() is bar
        assert bar.value() == bar.maximum() / 2
        assert self.widget.device_label.text() == "in use: CPU"
        assert self.widget.cancel_button.isEnabled()
        gate.set()
        self.wait_until_finished()
        assert not self.widget.cancel_button.isEnabled()

    def test_cancel_and_go_on(self):
        gate = self.slow()
        embedder = self.begin()
        start = time.perf_counter()
        self.widget.cancel_button.click()
        assert self.get_output("Embeddings") is None
        self.process_events(lambda: embedder.cancelled)
        assert time.perf_counter() - start < 1
        assert self.widget.Information.cancelled.is_shown()
        gate.set()
        self.widget.apply_box.button.click()
        self.wait_until_finished()
        assert self.get_output("Embeddings") is self.data
        assert not self.widget.Information.cancelled.is_shown()
        assert not self.widget.apply_box.button.isEnabled()
        assert self.widget.apply_box.button.text() == "Apply Automatically"

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
        self.wait_until_finished()
        assert self.get_output("Embeddings") is self.data

    def test_new_input_while_running(self):
        gate = self.slow()
        first = self.begin()
        other = self.data[:2]
        self.send_signal("Images", other)
        second = self.wait_for_embedder(2)
        assert second.begun.wait(5)
        assert first.cancelled
        gate.set()
        self.wait_until_finished()
        assert self.get_output("Embeddings") is other

    def test_data_removed_while_running(self):
        self.slow()
        first = self.begin()
        self.send_signal("Images", None)
        self.process_events(lambda: first.cancelled)
        assert self.get_output("Embeddings") is None
        assert not self.widget.cancel_button.isEnabled()

    def test_deletion_stops_the_thread(self):
        self.slow()
        self.begin()
        future = self.widget.task.future
        self.widget.onDeleteWidget()
        assert future.done()

    def test_deletion_waits_a_second_at_most(self):
        """As when the thread is importing torch."""
        with patch.object(FakeEmbedder, "__enter__", lambda _: time.sleep(3)):
            self.send_signal("Images", self.data)
            start = time.perf_counter()
            self.widget.onDeleteWidget()
            assert time.perf_counter() - start < 2.5

    def test_same_choice_computes_nothing(self):
        self.embed(self.data)
        self.choose(self.widget.network_combo, self.widget.embedder)
        self.choose(self.widget.device_combo, self.widget.device)
        self.widget.column_combo.activated.emit(0)
        assert self.widget.task is None
        assert len(self.fake.made) == 1

    def test_another_choice_computes(self):
        self.embed(self.data)
        self.choose(self.widget.network_combo, "squeezenet")
        self.wait_until_finished()
        self.choose(self.widget.device_combo, "cpu")
        self.wait_until_finished()
        assert [e.model for e in self.fake.made] == [DEFAULT, *["squeezenet"] * 2]
        assert [e.asked_device for e in self.fake.made] == ["auto", "auto", "cpu"]

    def test_apply_when_asked(self):
        self.widget.controls._auto_apply.click()
        self.embed(self.data)
        self.choose(self.widget.network_combo, "squeezenet")
        assert self.widget.task is None
        self.widget.apply_box.button.click()
        self.wait_until_finished()
        assert self.fake.made[-1].model == "squeezenet"

    def test_missing_weights(self):
        self.fake.error = ModelError("VGG: put x into the folder 'o & n'.")
        embedded, _ = self.embed(self.data)
        assert embedded is None
        assert str(self.widget.Error.network_missing) == str(self.fake.error)
        shown = self.widget.status_label.text()
        assert shown.startswith("<")  # or Qt takes it as plain
        text = QTextDocument()
        text.setHtml(shown)
        assert text.toPlainText() == str(self.fake.error)
        self.fake.error = None
        self.widget.apply_box.button.click()
        self.wait_until_finished()
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
        assert self.widget.device_label.text() == "in use: CPU"


@pytest.mark.usefixtures("fake")
class TestDownload(Base):
    @pytest.fixture(autouse=True)
    def embedder(self, fake):
        self.fake = fake

    def test_a_workflow_is_opened(self):
        """Nothing pops up and nothing is fetched."""
        settings = {"embedder": "vgg16", "__version__": 2}
        self.widget = self.create_widget(OWImageEmbedding, settings)
        self.send_signal("Images", self.data)
        assert self.widget._question is None
        assert "VGG-16 has to be downloaded first (553 MB)" in str(
            self.widget.Warning.download_needed
        )
        button = self.widget.download_button
        assert self.widget.status_stack.currentWidget() is button
        assert not self.fake.made
        button.click()
        self.answer("Download")
        self.wait_until_finished()
        assert self.get_output("Embeddings") is self.data
        assert not self.widget.Warning.download_needed.is_shown()

    def answer(self, text):
        question = self.widget._question
        (button,) = [b for b in question.buttons() if text in b.text()]
        button.click()
        self.process_events()

    def test_user_chooses(self):
        self.embed(self.data)
        self.choose(self.widget.network_combo, "vgg19")
        question = self.widget._question
        assert isinstance(question, QMessageBox)
        assert "575 MB" in question.text()
        assert "https://download.pytorch.org" in question.informativeText()
        self.answer("Cancel")
        assert len(self.fake.made) == 1
        assert self.widget.Warning.download_needed.is_shown()
        assert self.get_output("Embeddings") is None
        self.choose(self.widget.network_combo, DEFAULT)
        self.wait_until_finished()
        assert self.get_output("Embeddings") is self.data

    def test_consent_holds_for_the_session(self):
        self.agreed.add("vgg19")
        self.embed(self.data)
        self.choose(self.widget.network_combo, "vgg19")
        self.wait_until_finished()
        assert self.widget._question is None
        assert self.fake.made[-1].model == "vgg19"

    def test_a_network_that_is_here_needs_no_download(self):
        """Chosen while another that is missing waits, without automatic apply."""
        self.widget._auto_apply = False
        self.widget.embedder = "vgg16"
        self.send_signal("Images", self.data)
        assert self.widget.Warning.download_needed.is_shown()
        combo = self.widget.network_combo
        index = combo.findData("squeezenet")
        combo.setCurrentIndex(index)
        combo.activated.emit(index)
        assert self.widget._question is None
        assert not self.widget.Warning.download_needed.is_shown()
        assert self.widget.status_stack.currentIndex() == 0

    def test_download_is_shown(self):
        reporter_state = SimpleNamespace(
            is_interruption_requested=lambda: False,
            set_status=lambda text: said.append(text),
            set_partial_result=lambda progress: None,
        )
        said = []
        reporter = module._Reporter("VGG-16", 6, reporter_state)
        reporter.downloading(0.25)
        reporter.megabytes = 553
        reporter._said = 0
        reporter.downloading(0.5)
        assert said == ["Downloading VGG-16: 25%", "Downloading VGG-16: 276 of 553 MB"]

    def test_details(self):
        for model, details in (
            ("vgg16", "4,096 features, download of 553 MB"),
            (DEFAULT, "1,280 features, on this computer"),
        ):
            facts = look_up(Choice(model))
            assert facts.describe(facts.network.n_features) == details


@pytest.mark.usefixtures("fake")
class TestSettings(Base):
    @pytest.fixture(autouse=True)
    def embedder(self, fake):
        self.fake = fake

    def opened(self, **settings):
        self.widget = self.create_widget(OWImageEmbedding, settings)
        self.embed(self.data)
        return self.widget

    def test_old_numbers(self):
        expected = ["inception-v3", "squeezenet", "vgg16", "vgg19"]
        for number, name in enumerate(expected):
            widget = self.opened(cb_embedder_current_id=number, __version__=1)
            assert widget.embedder == name
            assert not widget.Warning.network_replaced.is_shown()

    def test_networks_that_are_no_more(self):
        for number, name in enumerate(["Painters", "DeepLoc", "openface"], start=4):
            widget = self.opened(cb_embedder_current_id=number, __version__=1)
            assert widget.embedder == DEFAULT
            warning = str(widget.Warning.network_replaced)
            assert name in warning
            assert "EfficientNet-Lite0" in warning
            assert self.fake.made[-1].model == DEFAULT

    def test_warning_goes_with_a_choice(self):
        widget = self.opened(embedder="from the future", __version__=2)
        assert "from the future" in str(widget.Warning.network_replaced)
        self.choose(widget.network_combo, "squeezenet")
        assert not widget.Warning.network_replaced.is_shown()

    def test_old_column_number(self):
        widget = self.opened(cb_image_attr_current_id=1, __version__=1)
        assert widget.image_column.name == "image name"
        assert self.fake.made[-1].column.name == "image name"
        # It is spent: other data starts with its own first column.
        self.embed(with_columns(self.data, "a", "b"))
        assert widget.image_column.name == "a"

    def test_bad_old_numbers(self):
        widget = self.opened(
            cb_image_attr_current_id=7, cb_embedder_current_id=99, __version__=1
        )
        assert widget.image_column.name == "image"
        assert widget.embedder == DEFAULT
        assert "Network 99 is not available" in str(widget.Warning.network_replaced)

    def test_saved_and_opened_again(self):
        widget = self.opened(device="cpu", embedder="squeezenet", __version__=2)
        widget.column_combo.setCurrentIndex(1)
        widget.column_combo.activated.emit(1)
        self.wait_until_finished()
        saved = widget.settingsHandler.pack_data(widget)
        assert saved["embedder"] == "squeezenet"
        again = self.opened(**saved)
        assert again.image_column.name == "image name"
        assert again.device == "cpu"
        assert again.network_combo.currentText() == "SqueezeNet"
        assert again.device_combo.currentText() == "CPU"

    def test_column_is_remembered_by_name(self):
        self.embed(with_columns(self.data, "a", "b"))
        self.widget.column_combo.activated.emit(1)
        self.embed(self.data)
        assert self.widget.image_column.name == "image"
        self.embed(with_columns(self.data, "x", "b"))
        self.embed(with_columns(self.data, "c", "a", "b"))
        self.embed(with_columns(self.data, "a", "b"))
        assert self.widget.image_column.name == "b"

    def test_unknown_device(self):
        assert self.opened(device="abacus", __version__=2).device == "auto"


def with_columns(data: Table, *names) -> Table:
    """The table with other text columns instead of its metas."""
    domain = Domain([], data.domain.class_vars, [StringVariable(n) for n in names])
    metas = np.repeat(data.metas[:, 1:2], len(names), axis=1)
    return Table.from_numpy(domain, np.empty((len(data), 0)), data.Y, metas)
