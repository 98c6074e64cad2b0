import os
import threading
from unittest.mock import patch

import numpy as np
import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QFileDialog
from explaining import (
    PLACES,
    ColourRunner,
    composed,
    images_table,
    is_inside,
    training_data,
)
from helpers import PATIENCE
from Orange.classification import LogisticRegressionLearner, RandomForestLearner
from Orange.data import Table
from Orange.regression import LinearRegressionLearner
from Orange.widgets.tests.base import WidgetTest

from orangecontrib.imageanalytics.engine import runner
from orangecontrib.imageanalytics.explain import drawing
from orangecontrib.imageanalytics.widgets.owexplainimages import (
    NO_DATA,
    OWExplainImages,
)

SHARES = ["heat in the middle", "heat at the rim"]


class SlowRunner(ColourRunner):
    """Waits at each pass until it may go on."""

    gate = threading.Event()
    passes = 0

    def __call__(self, squares, cancelled):
        SlowRunner.passes += 1
        while SlowRunner.passes > 3 and not self.gate.wait(0.02):
            runner.look(cancelled)
        return super().__call__(squares, cancelled)


class TestOWExplainImages(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, tmp_path, until, monkeypatch):
        self.until, self.tmp, self.patch = until, tmp_path, monkeypatch
        self.run_with(ColourRunner)
        (tmp_path / "images").mkdir()
        self.paths = composed(tmp_path / "images")

    def run_with(self, kind):
        self.patch.setattr(runner, "choose_runner", lambda spec, *_: kind(spec))

    def setUp(self):
        super().setUp()
        self.widget = self.create_widget(OWExplainImages)
        self.images = images_table(self.paths)
        self.model = LogisticRegressionLearner()(training_data())

    def send(self, images="same", model="same", wait=True):
        widget = self.widget
        images = self.images if isinstance(images, str) else images
        model = self.model if isinstance(model, str) else model
        signals = [(widget.Inputs.model, model), (widget.Inputs.images, images)]
        self.send_signals(signals, widget=widget)
        if wait:
            self.settle()

    def settle(self):
        self.until(lambda: self.widget.task is None, PATIENCE / 1000)
        self.process_events()

    def output(self):
        return self.get_output(self.widget.Outputs.data)

    def choose_class(self, name):
        combo = self.widget.class_combo
        combo.setCurrentIndex(combo.findData(name))
        combo.activated.emit(combo.currentIndex())
        self.settle()

    def test_nothing(self):
        self.send(None, None)
        assert self.widget.view.look.message == NO_DATA
        assert self.output() is None
        assert not self.widget.run_button.isEnabled()
        assert not self.widget.save_button.isEnabled()
        self.send(None)
        assert self.output() is None

    def test_explains(self):
        self.send()
        widget = self.widget
        assert widget.status_label.text() == "Class activation map (exact)"
        assert [str(v) for v in self.output().domain.metas[-2:]] == SHARES
        assert set(self.output().get_column("explained class")) == {0}
        self.choose_class("red")
        assert set(self.output().get_column("explained class")) == {1}
        for row, place in enumerate(PLACES):
            assert is_inside(widget._explanations[row].heat_map.peak(), place)
        assert widget.view.look.overlay(0) is not None
        assert widget.panel.heated.overlay is not None
        assert widget.panel.caption.text().startswith("red: ")
        widget.send_report()

    def test_chosen_class_stays(self):
        self.widget = self.create_widget(OWExplainImages, {"target": "red"})
        self.send()
        assert self.widget.class_combo.currentText() == "red"
        assert set(self.output().get_column("explained class")) == {1}
        self.widget = self.create_widget(OWExplainImages, {"target": "green"})
        self.send()
        assert self.widget.class_combo.currentText() == "Predicted class"
        assert not self.widget.Error.active
        self.widget.send_report()
        assert "Predicted class" in self.widget.report_html
        assert "green" not in self.widget.report_html

    def test_regression(self):
        self.send(model=LinearRegressionLearner()(training_data(False)))
        assert not self.widget.class_combo.isEnabled()
        assert "prediction" in self.output().domain
        assert self.widget.panel.caption.text().startswith("prediction: ")

    def test_other_models(self):
        model = RandomForestLearner(n_estimators=3)(training_data())
        self.send(model=model)
        text = self.widget.status_label.text()
        assert text == "Occlusion, since the model is not linear in the vectors"
        self.widget.method_combo.setCurrentIndex(1)
        self.widget.method_combo.activated.emit(1)
        self.settle()
        assert "no exact map" in str(self.widget.Error.cannot_explain)
        assert self.output() is None

    def test_without_a_model(self):
        self.send(model=None)
        widget = self.widget
        assert widget.like_label.text() == "0.png"
        similarities = self.output().get_column("similarity")
        assert similarities[0] == pytest.approx(1)
        view = widget.view
        view.setCurrentIndex(view.model().index(2, 0))
        widget.like_button.click()
        self.settle()
        assert widget.like == 2 and widget.like_label.text() == "2.png"
        assert self.output().get_column("similarity")[2] == pytest.approx(1)
        widget.send_report()

    def test_current_image(self):
        self.send()
        widget = self.widget
        caption = widget.panel.caption.text()
        view = widget.view
        QTest.keyClick(view, Qt.Key.Key_End)
        assert widget._current == 2
        assert widget.panel.original._source == self.paths[2]
        assert widget.panel.caption.text() != caption
        widget.panel.original.set_zoom(2.0)
        assert widget.panel.heated.view() == widget.panel.original.view()

    def test_strength(self):
        self.send()
        self.widget.controls.strength.setValue(20)
        assert self.widget.view.look.opacity == pytest.approx(0.2)
        assert self.widget.panel.heated.opacity == pytest.approx(0.2)

    def test_stop_keeps_what_is_done(self):
        SlowRunner.passes = 0
        SlowRunner.gate = threading.Event()
        self.run_with(SlowRunner)
        many = images_table(self.paths * 20)
        self.send(many, wait=False)
        widget = self.widget
        self.until(lambda: SlowRunner.passes > 3)
        assert widget.run_button.text() == "Stop"
        thread = widget.task.future
        widget.run_button.click()
        assert widget.task is None and widget.run_button.text() == "Start"
        assert widget.Information.stopped.is_shown()
        self.until(thread.done)
        SlowRunner.gate.set()
        widget.run_button.click()
        self.settle()
        assert not widget.Information.stopped.is_shown()
        assert len(widget._explanations) == len(many)

    def test_coarse_maps_are_sent_when_stopped(self):
        model = RandomForestLearner(n_estimators=3)(training_data())
        SlowRunner.passes = 0
        SlowRunner.gate = threading.Event()
        SlowRunner.gate.set()
        self.run_with(SlowRunner)
        self.send(images_table(self.paths * 30), model, wait=False)
        self.until(lambda: self.widget._explanations, PATIENCE / 1000)
        self.widget.run_button.click()
        table = self.output()
        known = np.isfinite(table.get_column("probability"))
        assert 0 < known.sum() < len(table)

    def start_slowly(self):
        """Begin with many images, and stay at the fourth."""
        SlowRunner.passes = 0
        SlowRunner.gate = threading.Event()
        self.addCleanup(SlowRunner.gate.set)
        self.run_with(SlowRunner)
        self.send(images_table(self.paths * 20), wait=False)
        self.until(lambda: SlowRunner.passes > 3)
        self.run_with(ColourRunner)
        return self.widget.task.future

    def test_class_chosen_while_it_works(self):
        before = self.start_slowly()
        self.choose_class("red")
        self.until(before.done)
        table = self.output()
        assert set(table.get_column("explained class")) == {1}
        assert np.isfinite(table.get_column("probability")).all()

    def test_model_removed_while_it_works(self):
        before = self.start_slowly()
        self.send_signal(self.widget.Inputs.model, None, widget=self.widget)
        self.settle()
        self.until(before.done)
        assert np.isfinite(self.output().get_column("similarity")).all()
        assert "probability" not in self.output().domain

    def test_images_removed_while_it_works(self):
        before = self.start_slowly()
        self.send_signal(self.widget.Inputs.images, None, widget=self.widget)
        self.until(before.done)
        self.process_events()
        assert self.output() is None and not self.widget._explanations
        assert not self.widget.Error.active
        assert self.widget.view.look.message == NO_DATA

    def test_deleted_while_it_works(self):
        SlowRunner.passes = 0
        SlowRunner.gate = threading.Event()
        self.run_with(SlowRunner)
        self.send(wait=False)
        thread = self.widget.task.future
        self.widget.onDeleteWidget()
        self.until(thread.done)

    def test_images_that_cannot_be_read(self):
        images = images_table([*self.paths, "", str(self.tmp / "missing.png")])
        self.send(images)
        message = str(self.widget.Warning.failed)
        assert message.startswith("1 image could not be explained")
        assert "missing.png" in message
        assert len(self.output()) == len(images)

    def test_models_that_know_no_images(self):
        self.send(model=LogisticRegressionLearner()(Table("iris")))
        assert "Image Embedding" in str(self.widget.Error.cannot_explain)
        self.send()
        assert not self.widget.Error.active

    def test_models_that_fail(self):
        error = RuntimeError("broken")
        with patch.object(type(self.model), "predict", side_effect=error):
            self.send()
        assert "broken" in str(self.widget.Error.unexpected_error)
        assert self.output() is None

    def test_images_without_the_column(self):
        self.send(Table("iris"))
        assert self.widget.Error.no_image_attr.is_shown()
        assert self.output() is None

    def save(self, folder):
        with patch.object(QFileDialog, "getExistingDirectory", lambda *_: str(folder)):
            self.widget.save_button.click()
        self.settle()

    def test_save(self):
        self.send()
        out = self.tmp / "maps"
        self.save("")
        assert not out.exists()
        self.save(out)
        assert sorted(os.listdir(out)) == [f"{row} heat map.png" for row in range(3)]
        assert "3 heat maps saved" in str(self.widget.Information.saved)
        assert self.widget.last_dir == str(out)
        self.save(out)
        assert len(os.listdir(out)) == 6
        os.remove(self.paths[1])
        self.save(out)
        assert "1 heat map could not be saved" in str(self.widget.Warning.not_saved)
        # The explanations are still there.
        assert len(self.widget._explanations) == 3

    def test_each_row_that_is_not_saved_counts(self):
        self.send(images_table([*self.paths, self.paths[0]]))
        os.remove(self.paths[0])
        self.save(self.tmp / "maps")
        assert "2 heat maps saved" in str(self.widget.Information.saved)
        assert "2 heat maps could not" in str(self.widget.Warning.not_saved)

    def start_saving(self):
        """Begin to save, and stay at the first file."""
        may_go_on = threading.Event()
        self.addCleanup(may_go_on.set)
        self.patch.setattr(drawing, "_write", lambda *_: may_go_on.wait() and "")
        with patch.object(
            QFileDialog, "getExistingDirectory", lambda *_: str(self.tmp / "maps")
        ):
            self.widget.save_button.click()

    def test_stop_saving(self):
        self.send()
        self.start_saving()
        self.widget.run_button.click()
        assert self.widget.Information.saving_stopped.is_shown()
        assert not self.widget.Information.stopped.is_shown()
        assert self.widget.save_button.isEnabled()

    def test_new_images_while_saving(self):
        self.send()
        self.start_saving()
        self.send(images_table(self.paths[:1]))
        assert self.widget.Information.saving_stopped.is_shown()
        assert len(self.widget._explanations) == 1

    def test_failures_are_shown_when_stopped(self):
        self.run_with(SlowRunner)
        SlowRunner.passes = 0
        SlowRunner.gate = threading.Event()
        missing = str(self.tmp / "missing.png")
        model = RandomForestLearner(n_estimators=3)(training_data())
        self.send(images_table([missing, *self.paths]), model, wait=False)
        self.until(lambda: self.widget.explaining and self.widget.explaining.failures)
        self.widget.run_button.click()
        assert "missing.png" in str(self.widget.Warning.failed)

    def test_folder_that_cannot_be_made(self):
        self.send()
        file = self.tmp / "file"
        file.write_text("")
        self.save(file / "folder")
        assert self.widget.Error.cannot_save.is_shown()

    def test_keyboard(self):
        self.send()
        widget = self.widget
        fields = (
            widget.class_combo,
            widget.method_combo,
            widget.run_button,
            widget.controls.strength,
            widget.controls.image_size,
            widget.kind_combo,
            widget.save_button,
            widget.view,
        )
        for field in fields:
            assert field.focusPolicy() & Qt.FocusPolicy.TabFocus
