import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import threading
from unittest.mock import patch

import numpy as np
import pytest
from AnyQt.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from AnyQt.QtGui import QDragEnterEvent, QDropEvent
from AnyQt.QtWidgets import QFileDialog, QInputDialog, QPushButton
from helpers import PATIENCE
from Orange.classification import LogisticRegressionLearner
from Orange.widgets.tests.base import WidgetTest
from orangewidget.utils.filedialogs import RecentPath
from vector_parts import damage_rows, vectors_of, write_part

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.output_file import OutputFile
from orangecontrib.imageanalytics.widgets import owloadvectors
from orangecontrib.imageanalytics.widgets.owloadvectors import (
    OWLoadVectors,
    OWLoadVectorsDropHandler,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog
from orangecontrib.imageanalytics.widgets.vectors import loading_task

OWN_MODULE = owloadvectors.__name__


class TestOWLoadVectors(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, tmp_path, until, photos):
        self.wait_for = until
        self.tmp = tmp_path
        self.photos = str(tmp_path / "photos")

    def setUp(self):
        super().setUp()
        self.folder = self.tmp / "vectors"
        for part in range(3):
            numbers = range(10 * part, 10 * part + 10)
            write_part(self.folder / f"part-{part}.parquet", numbers)
        self.widget = self.create_widget(OWLoadVectors)

    def make(self, path=None, env=None, **settings):
        if path is not None:
            settings["recent_paths"] = [RecentPath.create(str(path), [])]
        self.widget = self.create_widget(OWLoadVectors, settings, env=env or {})
        return self.settled()

    def settled(self):
        self.wait_until_finished(timeout=PATIENCE)
        self.process_events()
        self.wait_until_finished(timeout=PATIENCE)
        return self.widget

    def output(self):
        self.settled()
        return self.get_output("Data")

    def numbers(self):
        return [int(path[2:-4]) for path in self.output().get_column("image")]

    def contents(self):
        form = self.widget.contents.form
        return {
            form.itemAt(row, form.LabelRole).widget().text(): (
                form.itemAt(row, form.FieldRole).widget().text()
            )
            for row in range(form.rowCount() - 1)
        }

    def status(self):
        return self.widget.status.label.text()

    def choose_sample(self, size):
        choice = self.widget.rows_choice
        choice.spin.setValue(size)
        choice.sample_button.setChecked(True)

    # What is there ------------------------------------------------------------------

    def test_nothing_was_chosen(self):
        widget = self.make()
        assert self.output() is None
        assert "Choose a Parquet file" in self.status()
        assert not widget.path_choice.reload_button.isEnabled()
        assert widget.contents_box.isHidden()
        widget.send_report()

    def test_folder(self):
        write_part(self.folder / "part-1.parquet", range(10, 20), failed=[12])
        widget = self.make(self.folder)
        data = self.output()
        expected = [number for number in range(30) if number != 12]
        assert self.numbers() == expected
        np.testing.assert_array_equal(data.X, vectors_of(expected))
        assert data.name == "vectors"
        assert self.contents() == {
            "Images:": "30 in 3 files, 1 without a vector",
            "Vectors:": "4 numbers each",
            "Network:": "EfficientNet-Lite0",
            "Layer:": "penultimate layer",
            "Categories:": "2",
        }
        assert self.status().startswith("29 images / 2 categories / 4 numbers each")
        assert "1 image is without a vector" in str(widget.Warning.images_skipped)
        (skipped,) = self.get_output("Skipped Images")
        assert (str(skipped["image"]), str(skipped["error"])) == (
            "a/12.png",
            "file is empty",
        )
        widget.status.label.linkActivated.emit("#skipped")
        (dialog,) = widget.findChildren(SkippedDialog)
        assert list(dialog.model) == [["a/12.png", "file is empty"]]
        dialog.close()
        widget.send_report()
        for text in ("EfficientNet-Lite0", "29 images", str(self.folder)):
            assert text in widget.report_html

    def test_other_path(self):
        self.make(self.folder)
        other = write_part(self.tmp / "other.parquet", [70, 71], failed=[])
        self.widget.path_choice.chosen.emit(other)
        assert self.numbers() == [70, 71]
        assert self.contents()["Images:"] == "2"
        recent = [path.abspath for path in self.widget.recent_paths]
        assert recent == [other, str(self.folder)]
        combo = self.widget.path_choice.combo
        assert combo.currentText() == "other.parquet"
        combo.activated.emit(1)
        assert len(self.output()) == 30

    def test_chosen_in_dialogs(self):
        choice = self.make().path_choice
        file = str(self.folder / "part-1.parquet")
        with patch.object(QFileDialog, "getOpenFileName", lambda *_: (file, "")):
            choice.browse_file()
        assert len(self.output()) == 10
        with patch.object(
            QFileDialog, "getExistingDirectory", lambda *_: str(self.folder)
        ):
            choice.browse_folder()
        assert len(self.output()) == 30
        with patch.object(QFileDialog, "getOpenFileName", lambda *_: ("", "")):
            choice.browse_file()
        assert len(self.output()) == 30

    def test_address(self):
        address = f"file://{self.folder}"
        choice = self.make().path_choice
        with patch.object(QInputDialog, "getText", lambda *_: (f" {address} ", True)):
            choice.ask_address()
        assert len(self.output()) == 30
        assert self.widget.recent_paths[0].abspath == address
        packed = self.widget.settingsHandler.pack_data(self.widget)
        self.widget = self.create_widget(OWLoadVectors, stored_settings=packed)
        assert len(self.output()) == 30
        assert choice.combo.currentText() == address

    def test_reload(self):
        self.make(self.folder)
        write_part(self.folder / "part-3.parquet", range(30, 40))
        self.widget.path_choice.reload_button.click()
        assert len(self.output()) == 40

    def test_workflow_that_was_moved(self):
        env = {"basedir": str(self.tmp)}
        self.make(env=env)
        self.widget.set_folder(str(self.folder))
        self.settled()
        packed = self.widget.settingsHandler.pack_data(self.widget)
        moved = self.tmp / "elsewhere"
        shutil.move(self.folder, moved / "vectors")
        self.widget = self.create_widget(
            OWLoadVectors, stored_settings=packed, env={"basedir": str(moved)}
        )
        assert len(self.output()) == 30
        assert self.widget.folder == str(moved / "vectors")

    # All or a sample ----------------------------------------------------------------

    def test_sample(self):
        self.make(self.folder)
        choice = self.widget.rows_choice
        assert not choice.another_button.isEnabled()
        self.choose_sample(7)
        first = self.numbers()
        assert len(first) == 7
        assert self.status().startswith("7 images of 30")
        choice.another_button.click()
        assert self.numbers() != first and len(self.numbers()) == 7
        self.widget.send_report()
        assert "random sample of 7" in self.widget.report_html

    def test_sample_is_the_same_in_a_saved_workflow(self):
        self.make(self.folder, rows="sample", sample_size=7, seed=3)
        numbers = self.numbers()
        packed = self.widget.settingsHandler.pack_data(self.widget)
        assert packed["rows"] == "sample" and packed["seed"] == 3
        self.widget = self.create_widget(OWLoadVectors, stored_settings=packed)
        assert self.numbers() == numbers
        self.widget.rows_choice.all_button.setChecked(True)
        assert len(self.output()) == 30

    def test_another_size_chooses_the_sample(self):
        self.make(self.folder)
        self.widget.rows_choice.spin.setValue(5)
        assert self.widget.rows == "sample"
        assert len(self.output()) == 5

    def test_memory_is_shown_before_loading(self):
        widget = self.make(self.folder, auto_load=False)
        assert self.output() is None
        assert "Press Load" in self.status()
        choice = widget.rows_choice
        assert "kB of memory" in choice.all_memory.text()
        dataset = widget.found.dataset
        choice.spin.lineEdit().setText("2")
        choice.spin.lineEdit().textEdited.emit("2")
        text = choice.sample_memory.text()
        assert text.startswith(str(dataset.table_bytes(2))[:3])
        button = self.load_button()
        assert button.isEnabled()
        button.click()
        assert len(self.output()) == 30

    def load_button(self):
        (button,) = (
            button
            for button in self.widget.buttonsArea.findChildren(QPushButton)
            if button.text() == "Load"
        )
        return button

    def test_loading_by_hand(self):
        self.make(self.folder, auto_load=False)
        self.load_button().click()
        assert len(self.output()) == 30
        self.choose_sample(4)
        assert len(self.output()) == 30
        self.load_button().click()
        assert len(self.output()) == 4

    def test_more_than_the_memory(self):
        with (
            patch.object(loading_task, "free_memory", lambda: 5000),
            patch.object(owloadvectors, "free_memory", lambda: 5000),
        ):
            widget = self.make(self.folder)
            assert self.output() is None
            assert widget.Error.out_of_memory.is_shown()
            assert "5.0 kB free" in widget.rows_choice.all_memory.text()
            self.choose_sample(3)
            assert len(self.output()) == 3
            assert not widget.Error.active
            widget.rows_choice.all_button.setChecked(True)
            assert self.output() is None
            assert widget.Error.out_of_memory.is_shown()

    # Failures -----------------------------------------------------------------------

    def failed(self, path, text):
        widget = self.make(path)
        assert self.output() is None
        assert text in str(widget.Error.unreadable), widget.Error.active
        assert "Nothing was read" in self.status()
        widget.send_report()

    def test_nothing_is_there(self):
        self.failed(self.tmp / "gone.parquet", "There is no file or folder")

    def test_empty_folder(self):
        (self.tmp / "empty").mkdir()
        self.failed(self.tmp / "empty", "no Parquet file in the folder")

    def test_no_parquet_file(self):
        (self.tmp / "a.parquet").write_bytes(b"text")
        self.failed(self.tmp / "a.parquet", "a.parquet is no Parquet file")

    def test_different_embeddings(self):
        write_part(self.folder / "part-3.parquet", description=None)
        self.failed(self.folder, "different embeddings")

    def test_without_pyarrow(self):
        real = importlib.util.find_spec

        def find_spec(name, *args):
            return None if name == "pyarrow" else real(name, *args)

        with patch("importlib.util.find_spec", find_spec):
            self.failed(self.folder, "pip install")

    def test_import_needs_no_pyarrow(self):
        """It is blocked, since pandas imports it, too."""
        code = f"import sys; sys.modules['pyarrow'] = None; import {OWN_MODULE}"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_one_file_is_damaged(self):
        (self.folder / "part-1.parquet").write_bytes(b"text")
        widget = self.make(self.folder)
        assert self.numbers() == [*range(10), *range(20, 30)]
        text = str(widget.Warning.damaged)
        assert text.startswith("1 file is left out: part-1.parquet is no Parquet file")
        self.choose_sample(3)
        self.settled()
        assert widget.Warning.damaged.is_shown()
        os.remove(self.folder / "part-1.parquet")
        widget.load()
        self.settled()
        assert not widget.Warning.damaged.is_shown()

    def test_the_rows_of_one_file_are_damaged(self):
        damage_rows(self.folder / "part-1.parquet")
        widget = self.make(self.folder)
        assert self.numbers() == [*range(10), *range(20, 30)]
        assert "part-1.parquet cannot be read" in str(widget.Warning.damaged)

    def test_what_nobody_thought_of(self):
        with patch.object(loading_task, "load", side_effect=ZeroDivisionError("odd")):
            widget = self.make(self.folder)
        assert widget.Error.unexpected.is_shown()
        assert self.output() is None
        with patch.object(loading_task, "load", side_effect=MemoryError):
            widget.load()
            self.settled()
        assert widget.Error.out_of_memory.is_shown()

    def test_vectors_of_others(self):
        path = write_part(self.tmp / "a.parquet", description=None)
        widget = self.make(path)
        assert len(self.output()) == 10
        assert widget.Information.unknown_embedding.is_shown()
        assert "Network:" not in self.contents()

    def test_settings_that_are_nonsense(self):
        for nonsense in (None, [None], ["a"]):
            self.widget = self.create_widget(
                OWLoadVectors, stored_settings={"recent_paths": nonsense}
            )
            assert self.widget.recent_paths == []

    # Images -------------------------------------------------------------------------

    def embedded(self):
        table, _ = ImportImages()(self.photos)
        with ImageEmbedder("squeezenet", "cpu") as embedder:
            embedded = embedder(table, col="image")[0]
        path = str(self.tmp / "embedded.parquet")
        OutputFile(path).write(embedded)
        return table, embedded, path

    def test_a_model_predicts_plain_images(self):
        plain, embedded, path = self.embedded()
        self.make(path)
        data = self.output()
        assert data.domain.attributes == embedded.domain.attributes
        assert not self.widget.Warning.active
        model = pickle.loads(pickle.dumps(LogisticRegressionLearner()(data)))
        np.testing.assert_array_equal(model(plain), plain.Y)

    def test_images_that_were_moved(self):
        _, _, path = self.embedded()
        widget = self.make(path)
        assert not widget.Warning.active
        shutil.move(self.photos, self.tmp / "elsewhere")
        widget.load()
        self.settled()
        assert widget.Warning.images_missing.is_shown()
        elsewhere = str(self.tmp / "elsewhere")
        with patch.object(QFileDialog, "getExistingDirectory", lambda *_: elsewhere):
            widget.contents.change_button.click()
        assert widget.contents.images_field.text() == elsewhere
        assert self.output().domain["image"].attributes["origin"] == elsewhere
        assert not widget.Warning.active
        packed = widget.settingsHandler.pack_data(widget)
        assert packed["images_folder"] == elsewhere
        # Another file has other images.
        widget.set_folder(str(self.folder))
        assert widget.images_folder == ""

    # Stopping -----------------------------------------------------------------------

    def test_cancel(self):
        entered, go_on, ended = (threading.Event() for _ in range(3))
        load = loading_task.load

        def slow(*args, callback, **options):
            entered.set()
            go_on.wait(60)
            try:
                return load(*args, callback=callback, **options)
            finally:
                ended.set()

        with patch.object(loading_task, "load", slow):
            self.widget = self.create_widget(
                OWLoadVectors,
                {"recent_paths": [RecentPath.create(str(self.folder), [])]},
            )
            self.wait_for(entered.is_set)
            self.wait_for(lambda: self.widget.found is not None)
            assert self.widget.status.busy
            self.widget.status.cancel_button.click()
            assert not self.widget.status.busy
            assert self.widget.task is None
            assert self.widget.Information.cancelled.is_shown()
            go_on.set()
            self.wait_for(ended.is_set)
        assert self.output() is None
        self.widget.path_choice.reload_button.click()
        assert len(self.output()) == 30
        assert not self.widget.Information.active

    def test_a_choice_while_it_looks(self):
        entered, go_on = threading.Event(), threading.Event()
        make = loading_task.VectorDataset

        def slow(*args):
            entered.set()
            go_on.wait(60)
            return make(*args)

        with patch.object(loading_task, "VectorDataset", slow):
            self.widget = self.create_widget(
                OWLoadVectors,
                {"recent_paths": [RecentPath.create(str(self.folder), [])]},
            )
            self.wait_for(entered.is_set)
            self.choose_sample(4)
            go_on.set()
            assert len(self.output()) == 4

    def test_closing_while_it_loads(self):
        self.make(self.folder)
        self.widget.load()
        self.widget.onDeleteWidget()

    # Drag and drop ------------------------------------------------------------------

    def drop(self, *paths):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        enter = QDragEnterEvent(
            QPoint(5, 5), Qt.CopyAction, data, Qt.LeftButton, Qt.NoModifier
        )
        self.widget.dragEnterEvent(enter)
        event = QDropEvent(
            QPointF(5, 5), Qt.CopyAction, data, Qt.LeftButton, Qt.NoModifier
        )
        self.widget.dropEvent(event)
        assert enter.isAccepted() == event.isAccepted()
        return event.isAccepted()

    def test_drop(self):
        self.make()
        assert self.drop(self.folder)
        assert len(self.output()) == 30
        assert self.drop(self.folder / "part-1.parquet")
        assert len(self.output()) == 10
        (self.tmp / "a.txt").touch()
        for paths in (
            [self.photos],
            [self.tmp / "a.txt"],
            [self.tmp / "gone"],
            [self.folder, self.folder / "part-1.parquet"],
            [],
        ):
            assert not self.drop(*paths)
        assert len(self.output()) == 10

    def test_drop_on_the_canvas(self):
        handler = OWLoadVectorsDropHandler()
        assert handler.canDropFile(str(self.folder))
        assert handler.canDropFile(str(self.folder / "part-0.parquet"))
        assert not handler.canDropFile(self.photos)
        settings = handler.parametersFromFile(str(self.folder))
        self.widget = self.create_widget(OWLoadVectors, stored_settings=settings)
        assert len(self.output()) == 30
