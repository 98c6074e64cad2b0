"""The widget Save Images with images, for its tests."""

import threading
from unittest.mock import patch

import pytest
from AnyQt.QtCore import QTimer
from AnyQt.QtWidgets import QFileDialog

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.save_images import Encoding
from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages
from orangecontrib.imageanalytics.widgets.saving.saving_folder import SavingFolder

NAMES = [f"{'first' if n < 3 else 'second'}/photo {n}.png" for n in range(6)]

ENCODE = Encoding.__call__


class SavingTest:
    """For a `WidgetTest`: the widget, a table of six photos, and what a user does."""

    @pytest.fixture(autouse=True)
    def fixtures(self, photos, tmp_path, monkeypatch):
        monkeypatch.setattr(SavingFolder, "chosen", set())
        self.monkeypatch = monkeypatch
        self.tmp_path, self.photos = tmp_path, photos
        self.out = str(tmp_path / "out")
        self.data = ImportImages()(str(tmp_path / "photos"))[0]

    def setUp(self):
        super().setUp()
        self.widget = self.create_widget(OWSaveImages)

    def give(self, data):
        self.send_signal("Data", data)

    def wait(self, widget=None):
        widget = widget or self.widget
        self.process_events(lambda: widget.task is None, 60_000)

    def choose_folder(self, folder=None, button=None):
        folder = self.out if folder is None else folder
        with patch.object(QFileDialog, "getExistingDirectory", return_value=folder):
            (button or self.widget.folder.button).click()

    def save(self):
        self.widget.bt_save.click()
        self.wait()

    def choose(self, combo, value):
        combo.setCurrentIndex(combo.findData(value))
        combo.activated.emit(combo.currentIndex())

    def choose_variable(self, name, variable):
        combo = self.widget.controls.__getattr__(name)
        index = list(combo.model()).index(variable)
        combo.setCurrentIndex(index)
        combo.activated.emit(index)

    def answer(self, text):
        (button,) = (
            button
            for button in self.widget.question.buttons()
            if button.text().replace("&", "") == text
        )
        button.click()
        self.wait()

    def status(self):
        return self.widget.status.text

    def settle(self):
        """Wait until nothing more is going to happen by itself."""
        timers = [t for t in self.widget.findChildren(QTimer) if t.isSingleShot()]

        def is_quiet():
            return self.widget.task is None and not any(t.isActive() for t in timers)

        self.process_events(is_quiet, 30_000)
        self.process_events()

    def hold(self):
        """Make saving wait for the event that is returned."""
        gate, self.held = threading.Event(), threading.Event()
        held = self.held

        def slow(encoding, content, page):
            held.set()
            gate.wait(60)
            return ENCODE(encoding, content, page)

        self.monkeypatch.setattr(Encoding, "__call__", slow)
        return gate

    def begin_to_save(self):
        """Press Save; returns the future of the run when it is held."""
        self.widget.bt_save.click()
        future = self.widget.task.future
        self.process_events(
            lambda: self.widget.saving is not None and self.held.is_set(), 60_000
        )
        return future
