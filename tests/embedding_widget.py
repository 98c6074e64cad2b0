"""Image Embedding as its user sees it, for the tests of its parts."""

import os
import threading
from types import MappingProxyType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from AnyQt.QtWidgets import QLabel, QMessageBox
from helpers import PATIENCE, make_network_file
from Orange.data import Domain, StringVariable, Table
from Orange.widgets.tests.base import WidgetTest

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.widgets.embedding import embedding_task
from orangecontrib.imageanalytics.widgets.embedding.consent import Consent
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice
from orangecontrib.imageanalytics.widgets.embedding.other_network_dialog import (
    OtherNetworkDialog,
)
from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding

#: What the networks in files expect.
VALUES = MappingProxyType({"size": 40, "mean": [0.5] * 3, "std": [0.2] * 3})


class FakeEmbedder:
    """Does as its class attributes say, without a network."""

    made: ClassVar[list] = []
    downloaded: ClassVar[list] = []
    gate = None  # an Event: works until it is set
    error = None
    device = "CPU"
    device_at_end = "CPU"

    def __init__(self, model, device, **options):
        self.model, self.asked_device, self.options = model.id, device, options
        self.failures = {}
        self.cancelled = threading.Event()
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
            self.cancelled.set()
            raise
        self.statistics = SimpleNamespace(
            seconds=75, n_cached=2, device=self.device_at_end
        )
        return data, None, 0


class EmbeddingTest(WidgetTest):
    """A base for tests of the widget, with six images and real networks."""

    __test__ = False
    cls = OWImageEmbedding

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # Else bases would be tests in each module that imports them.
        cls.__test__ = cls.__name__.startswith("Test")

    @pytest.fixture(autouse=True)
    def fixtures(self, photos, tmp_path, monkeypatch):
        # No weights but the packaged ones, and no consent yet.
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.setattr(
            "orangecontrib.imageanalytics.networks.weights.checkpoints_folder",
            lambda: str(tmp_path / "checkpoints"),
        )
        monkeypatch.setattr(Consent, "agreed", set())
        self.photos, self.tmp, self.monkeypatch = photos, tmp_path, monkeypatch
        folder = os.path.dirname(os.path.dirname(photos[0]))
        self.data = ImportImages()(folder)[0]

    def setUp(self):
        super().setUp()
        self.widget = self.create_widget(self.cls)

    def opened(self, env=(), **settings):
        """The widget of a workflow with these settings."""
        settings = {"__version__": self.cls.settings_version, **settings}
        self.widget = self.create_widget(self.cls, settings, env=dict(env))
        return self.widget

    def another(self, settings=None, **env):
        """One more widget, which shares the last networks with the present one."""
        # Of the very class: those that tests create share no settings.
        cls = type(self.widget)
        widget = cls.__new__(
            cls, signal_manager=self.signal_manager, stored_settings=settings, env=env
        )
        widget.__init__()
        self.addCleanup(widget.onDeleteWidget)
        return widget

    def packed(self) -> dict:
        """What is saved with the workflow."""
        return self.widget.settingsHandler.pack_data(self.widget)

    def embed(self, data):
        self.send_signal("Images", data)
        self.finish()
        return self.get_output("Embeddings"), self.get_output("Skipped Images")

    def finish(self):
        self.wait_until_finished(timeout=PATIENCE)

    def until(self, condition):
        self.process_events(condition, timeout=PATIENCE)

    def report(self) -> str:
        self.widget.send_report()
        return self.widget.report_html

    # What the user sees and does ------------------------------------------------------

    def control(self, label):
        """The control beside a label, without the label's colon."""
        for found in self.widget.findChildren(QLabel):
            if found.text().replace("&", "") == f"{label}:":
                return found.buddy()
        raise AssertionError(f"there is nothing called {label}")

    def offered(self, label) -> list[str]:
        return texts(self.control(label))

    def shown(self, label) -> str:
        return self.control(label).currentText()

    def choose(self, label, value):
        pick(self.control(label), value)

    def choose_device(self, device):
        pick(self.control("Device").combo, device)

    @property
    def device(self) -> str:
        """What is said at the right of the list of devices."""
        return self.widget.device_choice.label.text()

    @property
    def status(self) -> str:
        return self.widget.status.label.text()

    @property
    def description(self) -> str:
        """What is said below the list of networks."""
        return self.widget.network.label.text()

    def own(self) -> list[str]:
        """The user's own networks in the list."""
        return self.offered("Network")[len(NETWORKS) + 1 :]

    def is_shown(self, part) -> bool:
        return not part.isHidden()

    def apply_by_hand(self):
        self.widget.apply_box.checkbox.click()

    def windows(self, kind) -> list:
        return [w for w in self.widget.findChildren(kind) if w.isVisible()]

    @property
    def question(self) -> QMessageBox | None:
        """The one that is open; there is never more than one."""
        questions = self.windows(QMessageBox)
        assert len(questions) <= 1
        return questions[0] if questions else None

    def answer(self, text):
        question = self.question
        (button,) = (b for b in question.buttons() if b.text().strip("&") == text)
        button.click()
        self.until(lambda: self.question is not question)

    def dialog(self) -> OtherNetworkDialog:
        """Press Other…"""
        self.widget.network.other_button.click()
        (dialog,) = self.windows(OtherNetworkDialog)
        return dialog

    def use(self, *choices):
        """Choose networks in the window behind Other…"""
        for choice in choices:
            dialog = self.dialog()
            dialog.chosen.emit(choice)
            dialog.accept()
            assert not self.windows(OtherNetworkDialog)

    def network_file(self, *parts) -> Choice:
        """A network in a file, its folders and name below the temporary one."""
        os.makedirs(self.tmp.joinpath(*parts[:-1]), exist_ok=True)
        return Choice.of_file(
            make_network_file(self.tmp.joinpath(*parts)), dict(VALUES)
        )


class FakeEmbeddingTest(EmbeddingTest):
    """The same with `FakeEmbedder`."""

    @pytest.fixture(autouse=True)
    def fake_embedder(self, fixtures):
        for name in ("made", "downloaded"):
            self.monkeypatch.setattr(FakeEmbedder, name, [])
        for name in ("gate", "error", "device", "device_at_end"):
            self.monkeypatch.setattr(FakeEmbedder, name, getattr(FakeEmbedder, name))
        self.monkeypatch.setattr(embedding_task, "ImageEmbedder", FakeEmbedder)
        self.fake = FakeEmbedder


def texts(combo) -> list[str]:
    return [combo.itemText(index) for index in range(combo.count())]


def pick(combo, value):
    """As a user chooses in a list."""
    combo.setCurrentIndex(combo.findData(value))
    combo.activated.emit(combo.currentIndex())


def with_columns(data: Table, *names) -> Table:
    """The table with other text columns instead of its metas."""
    domain = Domain([], data.domain.class_vars, [StringVariable(n) for n in names])
    metas = np.repeat(data.metas[:, 1:2], len(names), axis=1)
    return Table.from_numpy(domain, np.empty((len(data), 0)), data.Y, metas)
