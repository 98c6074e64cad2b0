import dataclasses
import json
import os
import shutil
import threading
import time
from types import MappingProxyType, SimpleNamespace
from typing import ClassVar
from unittest.mock import patch

import numpy as np
import pytest
import torch
from AnyQt.QtGui import QTextDocument
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QMessageBox
from helpers import make_harmful_file, make_image, make_network_file
from image_files import save_stack
from Orange.data import Domain, StringVariable, Table
from Orange.distance import Cosine
from Orange.widgets.data.owneighbors import OWNeighbors
from Orange.widgets.data.owtransform import OWTransform
from Orange.widgets.evaluate.owpredictions import OWPredictions
from Orange.widgets.evaluate.owtestandscore import OWTestAndScore
from Orange.widgets.model.owloadmodel import OWLoadModel
from Orange.widgets.model.owlogisticregression import OWLogisticRegression
from Orange.widgets.model.owsavemodel import OWSaveModel
from Orange.widgets.tests.base import WidgetTest
from Orange.widgets.unsupervised import owdistances
from Orange.widgets.unsupervised.owdistances import OWDistances
from Orange.widgets.unsupervised.owhierarchicalclustering import (
    OWHierarchicalClustering,
)
from Orange.widgets.unsupervised.owtsne import OWtSNE
from Orange.widgets.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder, clear_cache
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.checkpoints import CheckpointNetwork
from orangecontrib.imageanalytics.networks.files import trust
from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    NETWORKS,
    find_network,
)
from orangecontrib.imageanalytics.widgets import owimageembedding as module
from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding
from orangecontrib.imageanalytics.widgets.utils import embedding_task
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

    def __init__(self, model, device, layer, fit, intensity):
        self.model, self.asked_device = model.id, device
        self.layer, self.fit, self.intensity = layer, fit, intensity
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
        FakeEmbedder.downloaded.append(model.id)
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
        except Cancelled:
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
    monkeypatch.setattr(embedding_task, "ImageEmbedder", FakeEmbedder)
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

    def until(self, condition):
        self.process_events(condition, timeout=30_000)

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

    def test_says_what_is_needed(self):
        assert "Connect Import Images" in self.widget.status_label.text()
        self.send_signal(self.widget.Inputs.images, Table("iris"))
        assert "no column with images" in self.widget.status_label.text()
        assert "no column with images" in str(self.widget.Warning.no_image_attribute)
        self.send_signal(self.widget.Inputs.images, None)
        assert "Connect Import Images" in self.widget.status_label.text()

    def test_intensity(self):
        folder = os.path.dirname(os.path.dirname(self.photos[0]))
        save_stack(os.path.join(folder, "cells.tif"), n_planes=2)
        data, _ = ImportImages(pages="all")(folder)
        automatic, _ = self.embed(data)
        choice = self.widget.intensity_choice
        choice.combo.setCurrentIndex(2)
        choice.combo.activated.emit(2)
        self.wait_until_finished(timeout=60000)
        ranged = self.get_output("Embeddings")
        assert self.widget.intensity == "0:4095"
        assert ranged.domain["image"].attributes["intensity"] == "0:4095"
        assert "intensity" not in automatic.domain["image"].attributes
        # The rows of pages, the first four, are others.
        different = (ranged.X != automatic.X).any(axis=1)
        assert different[:4].all()
        settings = self.widget.settingsHandler.pack_data(self.widget)
        widget = self.create_widget(OWImageEmbedding, settings)
        assert widget.intensity_choice.text == "from 0 to 4095"
        self.widget.send_report()
        assert "from 0 to 4095" in self.widget.report_html

    def test_intensity_that_is_nonsense(self):
        for value in ("bright", "5:1", None, 7):
            widget = self.create_widget(OWImageEmbedding, {"intensity": value})
            assert widget.intensity == "auto"
            assert widget.intensity_choice.text == "Automatic"

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
            [self.photos[1], "not an image"],
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

    def test_deletion_waits_little(self):
        """As when the thread is importing torch."""
        with patch.object(FakeEmbedder, "__enter__", lambda _: time.sleep(3)):
            self.send_signal("Images", self.data)
            start = time.perf_counter()
            self.widget.onDeleteWidget()
            assert time.perf_counter() - start < 0.8

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
        assert "VGG-19 (575 MB)" in question.text()
        assert "https://download.pytorch.org" in question.informativeText()
        self.answer("Cancel")
        assert len(self.fake.made) == 1
        assert self.widget._question is None
        assert self.widget.Warning.download_needed.is_shown()
        assert self.get_output("Embeddings") is None
        self.choose(self.widget.network_combo, DEFAULT)
        self.wait_until_finished()
        assert self.get_output("Embeddings") is self.data

    def test_question_is_asked_once(self):
        self.embed(self.data)
        self.choose(self.widget.network_combo, "vgg19")
        question = self.widget._question
        self.widget.download_button.click()
        assert self.widget._question is question
        assert self.widget.findChildren(QMessageBox) == [question]
        question.reject()
        assert self.widget._question is None
        self.widget.download_button.click()
        assert self.widget._question is not None
        self.answer("Cancel")

    def test_question_goes_with_the_widget(self):
        self.embed(self.data)
        self.choose(self.widget.network_combo, "vgg19")
        question = self.widget._question
        self.widget.onDeleteWidget()
        assert not question.isVisible()

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
        reporter = embedding_task.Reporter("VGG-16", 6, reporter_state)
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

    def test_version_2_opens_unchanged(self):
        widget = self.opened(device="cpu", embedder="squeezenet", __version__=2)
        assert (widget.embedder, widget.layer, widget.fit) == ("squeezenet", "", "")
        (made,) = self.fake.made
        assert (made.layer, made.fit) == (None, None)
        assert widget.own_networks == []

    def test_odd_settings(self):
        """As from a later version, or a file written by hand."""
        odd = [None, 7, {"model": 3}, {"model": "squeezenet"}, {"nothing": 1}]
        odd += [{"model": "timm:a", "preprocessing": 3}, {"model": "timm:b"}]
        widget = self.opened(own_networks=odd, fit="twist", __version__=3)
        assert widget.own_networks == [{"model": "timm:b"}]
        assert widget.fit == ""
        assert widget.fit_combo.currentText() == "As trained (crop)"

    def test_settings_of_other_types(self):
        settings = {
            "own_networks": 5,
            "old_column_index": "a",
            "last_dir": 5,
            "layer": 5,
            "fit": [],
        }
        widget = self.opened(**settings, __version__=3)
        assert widget.own_networks == []
        assert widget.image_column.name == "image"
        assert widget.last_dir == ""
        assert self.get_output("Embeddings") is self.data

    def test_networks_of_other_types(self):
        for odd in (5, None, [], {"a": 1}):
            widget = self.opened(embedder=odd, __version__=3)
            assert widget.embedder == DEFAULT
            assert str(odd) in str(widget.Warning.network_replaced)
        for odd in ([], "a", {}, -1, 2.5):
            widget = self.opened(cb_embedder_current_id=odd, __version__=1)
            assert widget.embedder == DEFAULT
            assert widget.Warning.network_replaced.is_shown()

    def test_place_without_a_name(self):
        own = [{"model": "/some/cells.pt", "prefix": "basedir"}]
        settings = {"embedder": "squeezenet", "own_networks": own, "__version__": 3}
        self.widget = self.create_widget(
            OWImageEmbedding, settings, env={"basedir": os.getcwd()}
        )
        assert self.widget.own_networks == []

    def test_unknown_device(self):
        assert self.opened(device="abacus", __version__=2).device == "auto"


def texts(combo) -> list[str]:
    return [combo.itemText(index) for index in range(combo.count())]


class TestLayerAndFit(Base):
    """With real networks."""

    def open_layers(self):
        combo = self.widget.layer_combo
        combo.showPopup()
        before = texts(combo)
        self.until(lambda: self.widget._stages is not None)
        combo.hidePopup()
        return before, texts(combo)

    def test_stages_are_looked_up_when_the_list_is_opened(self):
        combo = self.widget.layer_combo
        assert texts(combo) == ["Default (before the classifier)", "Class scores"]
        before, after = self.open_layers()
        assert before[-1] == "Looking up the stages…"
        assert after[2:] == [
            "Stage 1 of 5 (early)",
            "Stage 2 of 5 (early)",
            "Stage 3 of 5 (middle)",
            "Stage 4 of 5 (middle)",
            "Stage 5 of 5 (late)",
        ]
        assert combo.itemData(2) == "features.1"
        assert combo.currentIndex() == 0

    def test_closed_before_they_came(self):
        combo = self.widget.layer_combo
        gate = threading.Event()
        with patch.object(module, "look_up_stages", lambda _: gate.wait(10) and ()):
            combo.showPopup()
            combo.hidePopup()
            assert "Looking up the stages…" not in texts(combo)
            combo.showPopup()
            combo.hidePopup()
            gate.set()
            self.until(lambda: self.widget._stages is not None)
        assert not combo.view().isVisible()

    def test_no_stages(self):
        def fail(_):
            raise ModelError("no")

        with patch.object(module, "look_up_stages", fail):
            _, after = self.open_layers()
        assert after == ["Default (before the classifier)", "Class scores"]

    def test_stage(self):
        self.embed(self.data)
        self.open_layers()
        self.choose(self.widget.layer_combo, "features.3")
        self.wait_until_finished(timeout=60000)
        embedded = self.get_output("Embeddings")
        with ImageEmbedder(layer="features.3") as embedder:
            expected = embedder(self.data)[0]
        np.testing.assert_array_equal(embedded.X, expected.X)
        assert embedded.domain == expected.domain
        n = embedded.X.shape[1]
        assert f"{n} features" in self.widget.network_label.text()
        self.widget.send_report()
        assert "Stage 2 of 5" in self.widget.report_html
        self.widget = self.create_widget(
            OWImageEmbedding, self.widget.settingsHandler.pack_data(self.widget)
        )
        assert self.widget.layer_combo.currentText() == "Stage features.3"
        self.embed(self.data)
        assert self.widget.layer_combo.currentText() == "Stage 2 of 5 (early)"
        # Of another network it would be another stage, or none.
        self.choose(self.widget.network_combo, "squeezenet")
        assert self.widget.layer == ""
        assert self.widget.layer_combo.currentText() == "Default (class scores)"
        assert texts(self.widget.layer_combo)[1:] == [
            "Before the classifier",
            "Class scores",
        ]

    def test_class_scores_have_names(self):
        self.embed(self.data)
        self.choose(self.widget.layer_combo, "logits")
        self.wait_until_finished(timeout=60000)
        names = [v.name for v in self.get_output("Embeddings").domain.attributes]
        assert len(names) == 1000
        assert "tabby" in names

    def test_layer_that_is_no_more(self):
        settings = {"layer": "features.99", "__version__": 3}
        self.widget = self.create_widget(OWImageEmbedding, settings)
        assert self.widget.layer_combo.currentText() == "Stage features.99"
        embedded, _ = self.embed(self.data)
        assert embedded.X.shape == (6, 1280)
        warning = str(self.widget.Warning.layer_replaced)
        assert "EfficientNet-Lite0 has no layer 'features.99'" in warning
        assert self.widget.layer == ""
        assert self.widget.layer_combo.currentIndex() == 0
        self.choose(self.widget.layer_combo, "logits")
        assert not self.widget.Warning.layer_replaced.is_shown()

    def test_fit(self):
        combo = self.widget.fit_combo
        assert texts(combo) == ["As trained (crop)", "Crop", "Stretch", "Pad"]
        cropped, _ = self.embed(self.data)
        self.choose(combo, "stretch")
        self.wait_until_finished(timeout=60000)
        stretched = self.get_output("Embeddings")
        assert np.abs(stretched.X - cropped.X).max() > 0.1
        self.choose(combo, "crop")  # as trained, from the cache
        self.wait_until_finished(timeout=60000)
        np.testing.assert_array_equal(self.get_output("Embeddings").X, cropped.X)
        self.choose(self.widget.network_combo, "squeezenet")
        assert combo.itemText(0) == "As trained (stretch)"
        assert self.widget.fit == "crop"

    def test_class_scores_of_a_network_without_a_classifier(self):
        network = SimpleNamespace(has_classifier=False, has_layers=True)
        task = SimpleNamespace(choice=Choice("timm:a"), layer="logits")
        assert embedding_task._find_layer(task, network, None) == ("", "logits")
        network.has_classifier = True
        assert embedding_task._find_layer(task, network, None) == ("logits", "")

    def test_progress_is_named(self):
        assert self.widget.progress_bar.accessibleName()

    def test_known_vectors_need_no_network(self):
        embedded, _ = self.embed(self.data)
        with patch(
            "orangecontrib.imageanalytics.networks.backbone.load_backbone",
            side_effect=AssertionError,
        ):
            self.embed(None)
            again, _ = self.embed(self.data)
        np.testing.assert_array_equal(again.X, embedded.X)
        assert not self.widget.Error.active


class OwnBase(Base):
    """Networks that are not among those that everybody is offered."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        self.tmp, self.monkeypatch = tmp_path, monkeypatch

    def opened(self, env=(), **settings):
        self.widget = self.create_widget(
            OWImageEmbedding,
            {"__version__": 3, **settings},
            env=dict(env),
        )
        return self.widget

    def use(self, *choices):
        for choice in choices:
            self.widget.choose_other()
            dialog = self.widget._dialog
            dialog.chosen.emit(choice)
            dialog.accept()
            assert self.widget._dialog is None

    def own(self):
        combo = self.widget.network_combo
        return texts(combo)[len(NETWORKS) + 1 :]


class TestTrust(OwnBase):
    """Files that can run code, which a workflow may name."""

    VALUES = MappingProxyType({"size": 40, "mean": [0.5] * 3, "std": [0.2] * 3})

    @pytest.fixture(autouse=True)
    def harmful(self, tmp_path, nothing_trusted):
        self.mark, self.folder = tmp_path / "sprung", nothing_trusted
        self.path = make_harmful_file(tmp_path / "cells.pt2", self.mark)
        self.choice = Choice.of_file(self.path, dict(self.VALUES))

    def open_workflow(self):
        self.opened(embedder=self.path, own_networks=[self.choice.as_settings()])

    def answer(self, role):
        question = self.widget._question
        (button,) = (b for b in question.buttons() if question.buttonRole(b) == role)
        button.click()
        self.until(lambda: self.widget._question is None)

    def assert_not_opened(self):
        widget = self.widget
        assert not self.mark.exists()
        assert self.get_output("Embeddings") is None
        assert not widget.Error.active
        assert widget.Warning.trust_needed.is_shown()
        assert "cells.pt2 has not been opened" in widget.status_label.text()
        assert widget.status_stack.currentWidget() is widget.open_button
        assert widget._question is None

    def test_a_workflow_opens_nothing(self):
        self.open_workflow()
        self.embed(self.data)
        self.assert_not_opened()
        self.embed(self.data)  # nor at the second time
        self.assert_not_opened()
        self.widget.saveSettings()
        packed = self.widget.settingsHandler.pack_data(self.widget)
        assert "sha256" not in repr(packed) and "trust" not in repr(packed)

    def test_no(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.open_button.click()
        question = self.widget._question
        assert "The workflow asks for it" in question.informativeText()
        self.widget.open_button.click()
        assert self.widget._question is question  # there is only one
        self.answer(QMessageBox.RejectRole)
        QTest.qWait(20)
        self.assert_not_opened()

    def test_yes(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.open_button.click()
        self.answer(QMessageBox.AcceptRole)
        self.wait_until_finished(timeout=60000)
        assert self.mark.exists()
        assert self.get_output("Embeddings").X.shape == (6, 4)
        assert not self.widget.Warning.trust_needed.is_shown()
        # Remembered on this computer, not in the workflow.
        packed = self.widget.settingsHandler.pack_data(self.widget)
        assert "sha256" not in repr(packed)
        self.open_workflow()
        embedded, _ = self.embed(self.data)
        assert embedded.X.shape == (6, 4)
        shutil.rmtree(self.folder)
        trust._vouched.clear()
        self.mark.rmdir()
        clear_cache()
        self.opened(**packed)
        self.embed(self.data)
        self.assert_not_opened()

    def test_a_changed_file_is_asked_again(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.open_button.click()
        other = self.tmp / "other mark"
        make_harmful_file(self.path, other)
        self.answer(QMessageBox.AcceptRole)
        self.wait_until_finished(timeout=60000)
        assert not other.exists()
        self.assert_not_opened()

    def test_own_choice(self):
        self.send_signal("Images", self.data)
        self.wait_until_finished(timeout=60000)
        self.use(self.choice)
        self.wait_until_finished(timeout=60000)
        self.assert_not_opened_after_use()

    def assert_not_opened_after_use(self):
        assert not self.mark.exists()
        self.widget.open_button.click()
        assert "You have chosen it." in self.widget._question.informativeText()
        self.answer(QMessageBox.RejectRole)

    def test_another_network_instead(self):
        self.open_workflow()
        self.embed(self.data)
        self.choose(self.widget.network_combo, DEFAULT)
        self.wait_until_finished(timeout=60000)
        assert not self.widget.Warning.trust_needed.is_shown()
        assert self.get_output("Embeddings").X.shape == (6, 1280)

    def test_closed_while_it_is_asked(self):
        self.open_workflow()
        self.embed(self.data)
        self.widget.open_button.click()
        self.widget.onDeleteWidget()
        assert not self.mark.exists()


class TestWeights(OwnBase):
    """Of a known architecture: with layers, as the listed networks."""

    @pytest.fixture(autouse=True)
    def weights(self, tmp_path):
        from torchvision.models import squeezenet1_1

        self.path = str(tmp_path / "cells.pth")
        torch.save(squeezenet1_1(num_classes=3).state_dict(), self.path)
        given = {"architecture": "torchvision:squeezenet1_1", "classes": 3, "size": 64}
        self.choice = Choice.of_file(self.path, given)

    def test_layers(self):
        settings = {"embedder": self.path, "layer": "features.7"}
        self.opened(own_networks=[self.choice.as_settings()], **settings)
        embedded, _ = self.embed(self.data)
        widget = self.widget
        assert not widget.Error.active and not widget.Warning.layer_replaced.is_shown()
        assert widget.layer_combo.isEnabled()
        assert widget.layer == "features.7"
        assert embedded.X.shape == (6, 256)
        self.choose(widget.layer_combo, "logits")
        self.wait_until_finished(timeout=60000)
        assert self.get_output("Embeddings").X.shape == (6, 3)


class TestFile(OwnBase):
    VALUES = MappingProxyType({"size": 40, "mean": [0.5] * 3, "std": [0.2] * 3})

    def network(self, *parts) -> Choice:
        os.makedirs(self.tmp.joinpath(*parts[:-1]), exist_ok=True)
        path = make_network_file(self.tmp.joinpath(*parts))
        return Choice.of_file(path, dict(self.VALUES), self.widget._search_paths())

    def test_file(self):
        self.send_signal("Images", self.data)
        choice = self.network("cells.pt")
        self.use(choice)
        self.wait_until_finished(timeout=60000)
        embedded = self.get_output("Embeddings")
        with ImageEmbedder(choice.model, preprocessing=self.VALUES) as embedder:
            np.testing.assert_array_equal(embedded.X, embedder(self.data)[0].X)
        assert embedded.X.shape == (6, 4)
        widget = self.widget
        assert widget.network_combo.currentText() == "cells.pt"
        assert "4 features, on this computer" in widget.network_label.text()
        assert self.own() == ["cells.pt"]
        assert not widget.layer_combo.isEnabled()
        assert texts(widget.layer_combo) == ["Output of the network"]
        assert widget.last_dir == str(self.tmp)
        widget.send_report()
        assert "cells.pt, 4 features" in widget.report_html
        assert "Output of the network" in widget.report_html
        self.choose(widget.network_combo, DEFAULT)
        assert widget.layer_combo.isEnabled()
        assert self.own() == ["cells.pt"]

    def test_file_with_names_of_classes(self):
        path = make_network_file(self.tmp / "birds.pt")
        classes = ["wren", "robin", "crow", "kite"]
        with open(self.tmp / "birds.json", "w", encoding="utf-8") as file:
            json.dump({**self.VALUES, "classes": classes}, file)
        self.opened(embedder=path, layer="features", own_networks=[{"model": path}])
        embedded, _ = self.embed(self.data)
        assert [v.name for v in embedded.domain.attributes] == classes
        assert self.widget.layer_combo.currentText() == "Class scores"
        assert "no layer 'features'" in str(self.widget.Warning.layer_replaced)

    def test_what_is_expected_is_changed(self):
        self.send_signal("Images", self.data)
        choice = self.network("cells.pt")
        self.use(choice)
        self.wait_until_finished(timeout=60000)
        first = self.get_output("Embeddings").X
        other = {**self.VALUES, "mean": [0.1] * 3}
        self.use(Choice(choice.model, other))
        self.wait_until_finished(timeout=60000)
        assert np.abs(self.get_output("Embeddings").X - first).max() > 0.01
        assert self.own() == ["cells.pt"]

    def test_moves_with_the_workflow(self):
        old, new = self.tmp / "old", self.tmp / "new"
        self.opened(env={"basedir": str(old)})
        self.use(self.network("old", "nets", "cells.pt"))
        settings = self.widget.settingsHandler.pack_data(self.widget)
        assert settings["own_networks"][0]["relpath"] == "nets/cells.pt"
        os.rename(old, new)
        self.opened(env={"basedir": str(new)}, **settings)
        assert self.widget.embedder == str(new / "nets" / "cells.pt")
        assert self.own() == ["cells.pt"]
        embedded, _ = self.embed(self.data)
        assert embedded.X.shape == (6, 4)

    def test_workflow_is_saved(self):
        self.use(self.network("cells.pt"))
        env = {"basedir": str(self.tmp)}
        with patch.object(self.widget, "workflowEnv", return_value=env):
            self.widget.workflowEnvChanged("basedir", str(self.tmp), None)
            self.widget.workflowEnvChanged("else", "", None)
            packed = self.widget.settingsHandler.pack_data(self.widget)
        (own,) = packed["own_networks"]
        assert (own["prefix"], own["relpath"]) == ("basedir", "cells.pt")
        assert own["preprocessing"] == self.VALUES

    def test_file_is_found_where_the_workflow_is_saved(self):
        network = self.network("cells.pt")
        gone = dataclasses.replace(
            network, model="/gone/cells.pt", prefix="basedir", relpath="cells.pt"
        )
        self.opened(embedder=gone.model, own_networks=[gone.as_settings()])
        self.embed(self.data)
        assert self.widget.Error.network_missing.is_shown()
        env = {"basedir": str(self.tmp)}
        with patch.object(self.widget, "workflowEnv", return_value=env):
            self.widget.workflowEnvChanged("basedir", str(self.tmp), None)
        self.wait_until_finished(timeout=60000)
        assert self.get_output("Embeddings").X.shape == (6, 4)
        assert not self.widget.Error.active

    def test_missing(self):
        network = self.network("folder", "cells.pt")
        base = str(self.tmp / "elsewhere")
        gone = dataclasses.replace(
            network, model="/gone/cells.pt", prefix="basedir", relpath="cells.pt"
        )
        self.opened(
            env={"basedir": base},
            embedder=gone.model,
            own_networks=[gone.as_settings()],
        )
        assert self.widget.network_combo.currentText() == "cells.pt"
        embedded, _ = self.embed(self.data)
        assert embedded is None
        error = str(self.widget.Error.network_missing)
        assert "/gone/cells.pt" in error
        assert os.path.join(base, "cells.pt") in error
        assert "Other…" in error
        assert not self.widget.Warning.download_needed.is_shown()
        self.use(network)
        self.wait_until_finished(timeout=60000)
        assert self.get_output("Embeddings").X.shape == (6, 4)
        assert not self.widget.Error.active

    def test_missing_with_values_beside_it(self):
        self.opened(embedder="/gone/cells.pt2")
        self.embed(self.data)
        assert "/gone/cells.pt2" in str(self.widget.Error.network_missing)

    def test_last_five(self):
        names = [f"{number}.pt" for number in range(7)]
        self.use(*(self.network(name) for name in names))
        assert self.own() == ["6.pt", "5.pt", "4.pt", "3.pt", "2.pt"]
        self.widget.saveSettings()
        # Workflows go to others.
        packed = self.widget.settingsHandler.pack_data(self.widget)
        assert [own["model"] for own in packed["own_networks"]] == [
            self.widget.embedder
        ]
        assert "last_dir" not in packed
        # In another workflow.
        assert self.own_of_another(DEFAULT) == ["6.pt", "5.pt", "4.pt", "3.pt", "2.pt"]
        # What a workflow uses comes first, if it uses any.
        other = "timm:resnet18.a1_in1k"
        expected = ["resnet18.a1_in1k", "6.pt", "5.pt", "4.pt", "3.pt"]
        assert self.own_of_another(other) == expected

    def own_of_another(self, model):
        settings = {"embedder": model, "own_networks": [], "__version__": 3}
        self.widget = self.another(settings)
        return self.own()

    def another(self, settings=None, **env):
        # Of the very class: those that tests create share no settings.
        cls = type(self.widget)
        widget = cls.__new__(
            cls,
            signal_manager=self.signal_manager,
            stored_settings=settings,
            env=env,
        )
        widget.__init__()
        self.addCleanup(widget.onDeleteWidget)
        return widget

    def test_same_name_beside_another_workflow(self):
        """A network is chosen in one workflow, then another workflow is begun."""
        first, second = str(self.tmp / "first"), str(self.tmp / "second")
        self.opened(env={"basedir": first})
        chosen = self.network("first", "cells.pt")
        self.network("second", "cells.pt")
        self.use(chosen)
        self.widget.saveSettings()
        assert self.another(basedir=second).embedder == chosen.model
        other = self.another({"embedder": "squeezenet"}, basedir=second)
        assert [choice.model for choice in other._own] == [chosen.model]
        os.remove(chosen.model)
        assert self.another(basedir=second).embedder == chosen.model
        assert "relpath" not in str(self.widget.settingsHandler.defaults)

    def test_saved_beside_another_of_the_same_name(self):
        chosen = self.network("first", "cells.pt")
        self.network("second", "cells.pt")
        self.use(chosen)
        env = {"basedir": str(self.tmp / "second")}
        with patch.object(self.widget, "workflowEnv", return_value=env):
            self.widget.workflowEnvChanged("basedir", env["basedir"], None)
        assert self.widget.embedder == chosen.model

    def test_only_the_chosen_file_is_looked_at(self):
        names = [f"{number}.pt" for number in range(3)]
        self.use(*(self.network(name) for name in names))
        self.widget.saveSettings()
        looked_at = []
        settings = self.widget.settingsHandler.pack_data(self.widget)
        with patch.object(os.path, "exists", looked_at.append):
            new = self.another()
            assert not looked_at
            new.workflowEnvChanged("basedir", str(self.tmp), None)
            assert not looked_at
            self.another(settings, basedir=str(self.tmp))
        assert {os.path.basename(path) for path in looked_at} == {"2.pt"}

    def test_chosen_in_another_widget(self):
        other = self.another()
        self.use(self.network("cells.pt"))
        self.widget.saveSettings()
        other.saveSettings()
        self.widget = self.another()
        assert self.own() == ["cells.pt"]

    def test_recent_one_is_chosen_again(self):
        self.use(*(self.network(name) for name in ("a.pt", "b.pt", "c.pt")))
        combo = self.widget.network_combo
        with patch.object(combo, "show_own", wraps=combo.show_own) as show_own:
            self.choose(combo, str(self.tmp / "a.pt"))
        assert show_own.call_count == 1
        assert self.own() == ["a.pt", "c.pt", "b.pt"]
        assert combo.currentText() == "a.pt"
        self.widget.saveSettings()
        self.widget = self.another()
        assert self.own() == ["a.pt", "c.pt", "b.pt"]

    def test_other_expectation_while_it_works(self):
        """Without automatic apply the result is that of the choice before."""
        self.widget.controls._auto_apply.click()
        choice, gate = self.network("cells.pt"), threading.Event()
        self.use(choice)
        with patch.object(
            embedding_task, "look_up", lambda c: gate.wait(10) and look_up(c)
        ):
            self.send_signal("Images", self.data)
            other = Choice(choice.model, {**self.VALUES, "size": 32})
            self.use(other)
            gate.set()
            self.wait_until_finished(timeout=60000)
        self.until(lambda: not self.widget._looking_up.busy)
        assert self.widget._choice == other
        assert self.widget._facts.network.preprocessing.size == 32
        assert self.widget._n_features is None

    def test_error_is_about_its_own_file(self):
        self.widget.controls._auto_apply.click()
        self.use(self.network("cells.pt"))
        gate = threading.Event()

        def fail(_):
            gate.wait(10)
            raise ModelError("cells.pt is odd.")

        with patch.object(embedding_task, "look_up", fail):
            self.send_signal("Images", self.data)
            self.use(Choice("/gone/other.pt", dict(self.VALUES)))
            gate.set()
            self.wait_until_finished()
        assert str(self.widget.Error.network_missing) == "cells.pt is odd."

    def test_reason_without_automatic_apply(self):
        self.widget.controls._auto_apply.click()
        self.widget.show()
        width = self.widget.width()
        self.use(Choice(f"/gone/{'long' * 60}.pt", dict(self.VALUES)))
        label = self.widget.network_label
        self.until(lambda: "/gone/long" in label.text())
        assert "/gone/long" in label.toolTip()
        self.widget._show_text(f"<p>{label.toolTip()}</p>")
        # Layouts follow at some later turn of the loop.
        QTest.qWait(300)
        assert self.widget.width() == width
        self.choose(self.widget.network_combo, "squeezenet")
        assert label.toolTip() == ""


@dataclasses.dataclass(frozen=True)
class FakeWeights:
    """Those of another network, once they are there."""

    real: object
    file: str
    megabytes: float = float("nan")
    origin = "https://example.com"

    @property
    def path(self):
        return self.file

    @property
    def sha256(self):
        return self.real.sha256

    @property
    def fingerprint(self):
        return self.real.fingerprint + "x"

    def available(self):
        return os.path.exists(self.file)

    def ensure(self, name, callback=None):
        if not self.available():
            callback(0.5)
            with open(self.file, "w", encoding="utf-8"):
                pass
        return self.real.ensure(name)


class TestByName(OwnBase):
    """A family whose only network is `tiny`: in truth the default one."""

    @pytest.fixture(autouse=True)
    def family(self, folder, agreed):
        self.threads, self.megabytes = set(), float("nan")
        self.file = str(self.tmp / "weights")
        self.monkeypatch.setattr(
            "orangecontrib.imageanalytics.networks.torchvision_networks.find",
            self.find,
        )

    def find(self, name):
        self.threads.add(threading.current_thread())
        if name.partition(".")[0] != "tiny":
            raise ValueError(f"torchvision has no network {name}")
        network = find_network(DEFAULT)
        return dataclasses.replace(
            network,
            id="torchvision:tiny.V2",
            name="tiny (V2)",
            n_features=None,
            weights=FakeWeights(network.weights, self.file, self.megabytes),
        )

    def answer(self, text):
        question = self.widget._question
        (button,) = [b for b in question.buttons() if text in b.text()]
        button.click()

    def test_download_asks_first(self):
        self.embed(self.data)
        self.use(Choice("torchvision:tiny"))
        self.until(lambda: self.widget._question is not None)
        self.wait_until_finished()
        assert "tiny (V2) (size unknown)" in self.widget._question.text()
        assert self.widget.Warning.download_needed.is_shown()
        assert not os.path.exists(self.file)
        assert threading.main_thread() not in self.threads
        self.answer("Download")
        self.wait_until_finished(timeout=60000)
        assert self.get_output("Embeddings").X.shape == (6, 1280)
        assert os.path.exists(self.file)
        text = self.widget.network_label.text()
        assert "1,280 features, on this computer" in text

    def test_cancelled(self):
        self.megabytes = 42
        self.embed(self.data)
        self.use(Choice("torchvision:tiny"))
        self.until(lambda: self.widget._question is not None)
        self.wait_until_finished()
        assert "tiny (V2) (42 MB)" in self.widget._question.text()
        self.answer("Cancel")
        assert self.get_output("Embeddings") is None
        assert "42 MB" in self.widget.download_button.text()
        assert "Download of 42 MB" in self.widget.network_label.text()
        # Put there by hand meanwhile.
        open(self.file, "w", encoding="utf-8").close()
        self.widget.commit.now()
        self.wait_until_finished(timeout=60000)
        assert self.get_output("Embeddings") is not None

    def test_a_workflow_is_opened(self):
        """Nothing pops up and nothing is fetched."""
        self.opened(embedder="torchvision:tiny")
        assert self.widget.network_combo.currentText() == "tiny"
        self.embed(self.data)
        assert self.widget._question is None
        assert self.widget.Warning.download_needed.is_shown()
        assert self.get_output("Embeddings") is None
        assert threading.main_thread() not in self.threads

    def test_weights_are_remembered(self):
        """Another version may have others by default."""
        self.use(Choice("torchvision:tiny"))
        self.until(lambda: self.widget._facts is not None)
        assert self.widget.embedder == "torchvision:tiny.V2"
        assert self.widget.own_networks == [{"model": "torchvision:tiny.V2"}]
        assert self.own() == ["tiny"]
        assert self.widget.network_combo.currentText() == "tiny"
        assert self.widget.fit_combo.currentText() == "As trained (crop)"
        assert self.widget._question is None  # there is no data

    def test_another_choice_while_it_is_looked_up(self):
        gate = threading.Event()
        find = self.find
        self.widget.controls._auto_apply.click()
        self.send_signal("Images", self.data)
        with patch(
            "orangecontrib.imageanalytics.networks.torchvision_networks.find",
            lambda name: gate.wait(10) and find(name),
        ):
            self.use(Choice("torchvision:tiny"))
            self.widget.apply_box.button.click()
            self.choose(self.widget.network_combo, "squeezenet")
            gate.set()
            self.wait_until_finished()
        assert self.widget._question is None
        assert self.widget.embedder == "squeezenet"
        assert "1,000 features" in self.widget.network_label.text()
        assert not self.widget.Warning.download_needed.is_shown()
        assert self.widget.apply_box.button.isEnabled()

    def test_no_such_network(self):
        self.opened(embedder="torchvision:huge")
        self.embed(self.data)
        assert "no network huge" in str(self.widget.Error.network_missing)

    def test_timm_is_missing(self):
        def find(_):
            raise ModelError('timm is missing: pip install "x[timm]"')

        pytest.importorskip("timm")
        self.monkeypatch.setattr(
            "orangecontrib.imageanalytics.networks.timm_networks.find", find
        )
        self.opened(embedder="timm:a.b")
        self.embed(self.data)
        assert "pip install" in str(self.widget.Error.network_missing)

    def test_looked_up_and_asked_once(self):
        looked_up, asked = [], []

        def find(name):
            looked_up.append(name)
            return self.find(name)

        self.embed(self.data)
        target = "orangecontrib.imageanalytics.networks.torchvision_networks.find"
        ask = self.widget.ask_to_download
        self.monkeypatch.setattr(
            self.widget, "ask_to_download", lambda: asked.append(1) or ask()
        )
        with patch(target, find):
            self.use(Choice("torchvision:tiny"))
            self.until(lambda: self.widget._question is not None)
            self.wait_until_finished()
            self.until(lambda: not self.widget._looking_up.busy)
        assert len(looked_up) == 1
        assert len(asked) == 1
        self.answer("Cancel")

    def test_facts_come_with_the_result_alone(self):
        self.widget.controls._auto_apply.click()
        self.send_signal("Images", self.data)
        choice = Choice("torchvision:tiny")
        self.use(choice)
        self.until(lambda: self.widget._question is not None)
        self.answer("Cancel")
        self.widget._forget_facts()
        self.widget.on_done(look_up(choice))
        assert self.widget.Warning.download_needed.is_shown()

    def test_layer_is_looked_for_before_the_download(self):
        self.agreed.add("torchvision:tiny.V2")

        def fail(_network):
            raise ModelError("no stages")

        with patch.object(CheckpointNetwork, "stages", fail):
            self.opened(embedder="torchvision:tiny", layer="features.1")
            self.embed(self.data)
        assert "no stages" in str(self.widget.Error.network_missing)
        assert not os.path.exists(self.file)

    def test_other_is_clicked_twice(self):
        self.widget.choose_other()
        dialog = self.widget._dialog
        self.widget.choose_other()
        assert self.widget._dialog is dialog
        assert self.widget.findChildren(type(dialog)) == [dialog]

    def test_deleted_while_the_dialog_is_open(self):
        self.widget.choose_other()
        self.widget.onDeleteWidget()
        assert self.widget._dialog is None


class TestModels(OwnBase):
    """Models that were trained on embeddings, and tables of other images."""

    def setUp(self):
        super().setUp()
        path = make_network_file(self.tmp / "cells.pt")
        # So small a std that the images can be told apart.
        values = {"size": 40, "mean": [0.5] * 3, "std": [0.01] * 3}
        self.use(Choice.of_file(path, values))
        self.embedded, _ = self.embed(self.data)
        folder = self.tmp / "others"
        os.makedirs(folder)
        for index in range(4):
            make_image(index + 50, (80, 60)).save(folder / f"{index}.png")
        self.others = ImportImages()(str(folder))[0]
        with ImageEmbedder(self.widget._choice.model, **self.how()) as embedder:
            self.expected = embedder(self.others)[0]

    def how(self):
        return {"preprocessing": self.widget._choice.preprocessing}

    def model(self):
        learner = self.create_widget(OWLogisticRegression)
        self.send_signal("Data", self.embedded, widget=learner)
        self.wait_until_finished(learner)
        return self.get_output("Model", learner)

    def check_predictions(self, model):
        predictions = self.create_widget(OWPredictions)
        self.send_signals(
            [("Data", self.others), ("Predictors", model)], widget=predictions
        )
        self.wait_until_finished(predictions)
        predicted = self.get_output("Selected Predictions", predictions)
        values, probabilities = model(self.expected, model.ValueProbs)
        np.testing.assert_array_equal(predicted.get_column(model.name), values)
        (slot,) = predictions.predictors
        np.testing.assert_allclose(slot.results.unmapped_probabilities, probabilities)
        assert np.ptp(probabilities, axis=0).max() > 0.01

    def test_predictions(self):
        self.check_predictions(self.model())

    def test_saved_model(self):
        save = self.create_widget(OWSaveModel)
        self.send_signal("Model", self.model(), widget=save)
        save.filename, save.filter = str(self.tmp / "model.pkcls"), save.filters[0]
        save.save_file()
        load = self.create_widget(
            OWLoadModel, {"recent_paths": [RecentPath.create(save.filename, [])]}
        )
        assert not load.Error.active
        self.check_predictions(self.get_output("Model", load))

    def test_apply_domain(self):
        transform = self.create_widget(OWTransform)
        self.send_signals(
            [("Data", self.others), ("Template Data", self.embedded)], widget=transform
        )
        transformed = self.get_output("Transformed Data", transform)
        assert transformed.domain.attributes == self.embedded.domain.attributes
        np.testing.assert_array_equal(transformed.X, self.expected.X)


def with_columns(data: Table, *names) -> Table:
    """The table with other text columns instead of its metas."""
    domain = Domain([], data.domain.class_vars, [StringVariable(n) for n in names])
    metas = np.repeat(data.metas[:, 1:2], len(names), axis=1)
    return Table.from_numpy(domain, np.empty((len(data), 0)), data.Y, metas)
