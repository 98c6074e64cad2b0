import os
import threading
from unittest.mock import patch

import pytest
from AnyQt.QtCore import QMimeData, QPointF, Qt, QUrl
from AnyQt.QtGui import QDropEvent
from AnyQt.QtWidgets import QApplication, QFileDialog
from image_files import save_stack
from Orange.widgets.tests.base import WidgetTest
from orangewidget.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.widgets import owimageimport
from orangecontrib.imageanalytics.widgets.owimageimport import (
    OWImportImages,
    OWImportImagesDropHandler,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog


class SlowImport:
    """Reads until it is stopped."""

    def __init__(self, **_):
        self.cancelled = False
        self.skipped = []
        self.begun = threading.Event()

    def __call__(self, folder):
        self.begun.set()
        while not self.cancelled:
            threading.Event().wait(0.01)
        return None, 0


class TestOWImportImages(WidgetTest):
    @pytest.fixture(autouse=True)
    def folders(self, photos, tmp_path):
        self.photos = str(tmp_path / "photos")
        self.tmp = tmp_path

    def setUp(self):
        super().setUp()
        self.widget = self.create_widget(OWImportImages)

    def make(self, *folders, env=None, **settings):
        recent = [RecentPath.create(folder, []) for folder in folders]
        self.widget = self.create_widget(
            OWImportImages, {"recent_paths": recent, **settings}, env=env or {}
        )
        self.wait_until_finished()
        return self.widget

    def output(self):
        self.wait_until_finished()
        return self.get_output("Data")

    def paths(self):
        return [recent.abspath for recent in self.widget.recent_paths]

    def test_pages(self):
        save_stack(os.path.join(self.photos, "cells.tif"), n_planes=2)
        self.make(self.photos)
        assert len(self.output()) == 7
        text = "1 file has more pages than the one that is used"
        assert text in self.widget.info_label.text()
        combo = self.widget.pages_combo
        combo.setCurrentIndex(combo.findData("all"))
        combo.activated.emit(combo.currentIndex())
        table = self.output()
        assert len(table) == 10
        assert str(table[0]["page"]) == "Z 1, DAPI"
        assert "more pages" not in self.widget.info_label.text()
        assert self.widget.settingsHandler.pack_data(self.widget)["pages"] == "all"
        self.widget.send_report()
        assert "All as rows" in self.widget.report_html

    def test_left_out(self):
        folder = os.path.join(self.photos, "@eaDir")
        os.mkdir(folder)
        self.make(self.photos)
        assert len(self.output()) == 6
        assert "1 left out" in self.widget.info_label.text()
        self.widget.info_label.linkActivated.emit("#left-out")
        (dialog,) = self.widget.findChildren(SkippedDialog)
        assert dialog.windowTitle() == "Files and Folders Left Out"
        reason = "thumbnails of a Synology disk station"
        assert list(dialog.model) == [[folder, reason]]
        dialog.close()

    def test_settings_that_are_nonsense(self):
        for nonsense in (None, [None], ["a"]):
            widget = self.create_widget(
                OWImportImages, stored_settings={"recent_paths": nonsense}
            )
            assert widget.recent_paths == []

    def test_no_folder(self):
        widget = self.make()
        assert self.output() is None
        assert "No folder" in widget.info_label.text()
        assert not widget.reload_button.isEnabled()

    def test_folder(self):
        widget = self.make(self.photos)
        data = self.output()
        assert len(data) == 6
        assert data.name == "photos"
        assert data.domain.class_var.values == ("first", "second")
        assert widget.info_label.text() == "6 images / 2 categories"

    def test_skipped_are_a_click_away(self):
        bad = os.path.join(self.photos, "first", "bad.jpg")
        with open(bad, "wb") as file:
            file.write(b"nothing")
        widget = self.make(self.photos)
        assert "skipped</a>" in widget.info_label.text()
        widget.info_label.linkActivated.emit("#skipped")
        (dialog,) = widget.findChildren(SkippedDialog)
        assert list(dialog.model) == [[bad, "not an image"]]
        dialog.copy()
        assert QApplication.clipboard().text() == f"{bad}\tnot an image"
        dialog.close()

    def test_category(self):
        widget = self.make(self.tmp)
        values = self.output().domain.class_var.values
        assert values == ("photos/first", "photos/second")
        for value, expected in (("top", None), ("none", None), ("path", values)):
            combo = widget.category_combo
            combo.setCurrentIndex(combo.findData(value))
            combo.activated.emit(combo.currentIndex())
            assert widget.category_from == value
            class_var = self.output().domain.class_var
            assert (class_var and class_var.values) == expected

    def test_subfolders(self):
        widget = self.make(self.photos)
        widget.controls.subfolders.click()
        assert self.output() is None
        assert widget.Warning.no_images.is_shown()
        widget.controls.subfolders.click()
        assert len(self.output()) == 6
        assert not widget.Warning.no_images.is_shown()

    def test_settings_from_elsewhere(self):
        widget = self.make(self.photos, category_from="no such thing")
        assert widget.category_from == "path"

    def test_vanished_folder(self):
        gone = str(self.tmp / "gone")
        widget = self.make(gone)
        assert self.output() is None
        assert gone in str(widget.Error.folder)
        os.rename(self.photos, gone)
        widget.reload_button.click()
        assert len(self.output()) == 6
        assert not widget.Error.folder.is_shown()

    def test_file_instead_of_folder(self):
        file = os.path.join(self.photos, "first", "photo 0.jpg")
        widget = self.make(file)
        assert f"{file} is not a folder." in str(widget.Error.folder)

    def test_unexpected_error(self):
        with patch.object(
            owimageimport.ImportImages, "__call__", side_effect=ZeroDivisionError("odd")
        ):
            widget = self.make(self.photos)
        assert "odd" in str(widget.Error.unexpected)

    def test_browse_and_recent(self):
        other = str(self.tmp / "photos" / "first")
        widget = self.make(self.photos)
        with patch.object(QFileDialog, "getExistingDirectory", return_value=other):
            widget.browse_button.click()
        assert len(self.output()) == 3
        assert self.paths() == [other, self.photos]
        assert widget.folder_combo.itemText(0) == "first"
        widget.folder_combo.activated.emit(1)
        assert len(self.output()) == 6
        assert self.paths() == [self.photos, other]
        with patch.object(QFileDialog, "getExistingDirectory", return_value=""):
            widget.browse()
        assert self.paths() == [self.photos, other]

    def test_most_recent(self):
        folders = [str(self.tmp / str(i)) for i in range(30)]
        widget = self.make(*folders)
        widget.set_folder(self.photos)
        assert self.paths() == [self.photos, *folders[:19]]

    def test_workflow_moves(self):
        old, new = str(self.tmp / "old"), str(self.tmp / "new")
        recent = RecentPath(os.path.join(old, "images"), "basedir", "images")
        os.makedirs(new)
        os.rename(self.photos, os.path.join(new, "images"))
        self.widget = self.create_widget(
            OWImportImages, {"recent_paths": [recent]}, env={"basedir": new}
        )
        assert len(self.output()) == 6
        assert self.paths() == [os.path.join(new, "images")]

    def test_workflow_among_its_images(self):
        widget = self.make(self.photos, env={"basedir": self.photos})
        (recent,) = widget.recent_paths
        assert (recent.prefix, recent.relpath) == ("basedir", ".")
        moved = str(self.tmp / "moved")
        os.rename(self.photos, moved)
        self.widget = self.create_widget(
            OWImportImages, {"recent_paths": [recent]}, env={"basedir": moved}
        )
        assert len(self.output()) == 6

    def test_workflow_is_saved(self):
        widget = self.make(self.photos)
        with patch.object(widget, "load") as load:
            with patch.object(
                widget, "workflowEnv", return_value={"basedir": str(self.tmp)}
            ):
                widget.workflowEnvChanged("basedir", str(self.tmp), None)
                widget.workflowEnvChanged("else", "", None)
            load.assert_not_called()
        (recent,) = widget.recent_paths
        assert (recent.prefix, recent.relpath) == ("basedir", "photos")

    def test_cancel(self):
        with patch.object(owimageimport, "ImportImages", SlowImport):
            self.widget = widget = self.create_widget(
                OWImportImages, {"recent_paths": [RecentPath.create(self.photos, [])]}
            )
            importer = widget._importer
            assert importer.begun.wait(5)
            assert widget.info_stack.currentIndex() == 1
            widget.cancel_button.click()
            assert importer.cancelled
            assert widget.Information.cancelled.is_shown()
            assert self.output() is None
            widget.stop()
        widget.reload_button.click()
        assert len(self.output()) == 6
        assert not widget.Information.cancelled.is_shown()

    def test_another_folder_while_reading(self):
        with patch.object(owimageimport, "ImportImages", SlowImport):
            self.widget = widget = self.create_widget(
                OWImportImages, {"recent_paths": [RecentPath.create("/gone", [])]}
            )
            first = widget._importer
        widget.set_folder(self.photos)
        assert first.cancelled
        assert len(self.output()) == 6

    def test_deletion_stops_the_thread(self):
        with patch.object(owimageimport, "ImportImages", SlowImport):
            widget = self.create_widget(
                OWImportImages, {"recent_paths": [RecentPath.create(self.photos, [])]}
            )
            future = widget.task.future
            widget.onDeleteWidget()
            assert future.done()

    def test_drop_on_widget(self):
        widget = self.make()
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(self.photos)])
        event = QDropEvent(
            QPointF(5, 5), Qt.CopyAction, data, Qt.LeftButton, Qt.NoModifier
        )
        widget.dropEvent(event)
        assert len(self.output()) == 6
        assert not widget.canDropUrl(QUrl("https://example.org/photos"))
        assert not widget.canDropUrl(QUrl.fromLocalFile(self.photos + "/no"))

    def test_drop_on_canvas(self):
        handler = OWImportImagesDropHandler()
        assert handler.canDropFile(self.photos)
        assert not handler.canDropFile(os.path.join(self.photos, "no"))
        settings = handler.parametersFromFile(self.photos)
        self.widget = self.create_widget(OWImportImages, settings)
        assert len(self.output()) == 6

    def test_report(self):
        widget = self.make(self.photos)
        widget.send_report()
        assert self.photos in widget.report_html
        assert "6 images" in widget.report_html
        self.make().send_report()
