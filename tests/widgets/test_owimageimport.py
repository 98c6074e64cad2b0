import os
import shutil
import threading
from unittest.mock import patch

import pytest
from AnyQt.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from AnyQt.QtGui import QDragEnterEvent, QDropEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QFileDialog
from helpers import make_image
from image_files import save_stack
from Orange.widgets.tests.base import WidgetTest
from orangewidget.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.widgets import owimageimport
from orangecontrib.imageanalytics.widgets.owimageimport import (
    OWImportImages,
    OWImportImagesDropHandler,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog


def copy(source, target):
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(source, target)


class SlowImport:
    """Reads until it is stopped."""

    def __init__(self, **_):
        self.cancelled = False
        self.begun = threading.Event()

    def read(self, folders):
        self.begun.set()
        while not self.cancelled:
            threading.Event().wait(0.01)


class TestOWImportImages(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, photos, tmp_path, until):
        self.wait_for = until
        self.photos = str(tmp_path / "photos")
        self.tmp = tmp_path

    def setUp(self):
        super().setUp()
        self.widget = self.create_widget(OWImportImages)

    def choose(self, combo, value):
        combo.setCurrentIndex(combo.findData(value))
        combo.activated.emit(combo.currentIndex())

    def drop(self, *folders, modifiers=Qt.NoModifier):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(folder) for folder in folders])
        event = QDropEvent(QPointF(5, 5), Qt.CopyAction, data, Qt.LeftButton, modifiers)
        self.widget.dropEvent(event)
        return event

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
        assert text in self.widget.status.label.text()
        combo = self.widget.pages_combo
        combo.setCurrentIndex(combo.findData("all"))
        combo.activated.emit(combo.currentIndex())
        table = self.output()
        assert len(table) == 10
        assert str(table[0]["page"]) == "Z 1, DAPI"
        assert "more pages" not in self.widget.status.label.text()
        assert self.widget.settingsHandler.pack_data(self.widget)["pages"] == "all"
        self.widget.send_report()
        assert "All as rows" in self.widget.report_html

    def test_left_out(self):
        folder = os.path.join(self.photos, "@eaDir")
        os.mkdir(folder)
        self.make(self.photos)
        assert len(self.output()) == 6
        assert "1 left out" in self.widget.status.label.text()
        self.widget.status.label.linkActivated.emit("#left-out")
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
        assert "Choose a folder" in widget.status.label.text()
        assert not widget.folder_choice.reload_button.isEnabled()

    def test_folder(self):
        widget = self.make(self.photos)
        data = self.output()
        assert len(data) == 6
        assert data.name == "photos"
        assert data.domain.class_var.values == ("first", "second")
        assert widget.status.label.text() == "6 images / 2 categories"

    def test_skipped_are_a_click_away(self):
        bad = os.path.join(self.photos, "first", "bad.jpg")
        with open(bad, "wb") as file:
            file.write(b"nothing")
        widget = self.make(self.photos)
        assert "skipped</a>" in widget.status.label.text()
        widget.status.label.linkActivated.emit("#skipped")
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

    def choose_columns(self, *names):
        combo = self.widget.columns_combo
        combo.showPopup()
        combo.choose(names)
        combo.hidePopup()

    def test_columns(self):
        widget = self.make(self.photos)
        assert "format" not in self.output().domain
        assert widget.columns_combo.text() == "(None)"
        self.choose_columns("format", "brightness")
        table = self.output()
        assert [meta.name for meta in table.domain.metas][-2:] == [
            "format",
            "brightness",
        ]
        assert widget.settingsHandler.pack_data(widget)["columns"] == [
            "format",
            "brightness",
        ]
        widget.send_report()
        assert "Format, Brightness" in widget.report_html

    def test_fewer_columns_need_no_reading(self):
        widget = self.make(self.photos, columns=["format", "brightness"])
        assert widget.columns_combo.chosen() == ["format", "brightness"]
        assert "brightness" in self.output().domain
        listing = widget._listing
        self.choose_columns("brightness")
        assert "format" not in self.output().domain
        assert widget._listing is listing
        self.choose_columns("brightness")  # the same as before
        assert widget.task is None
        self.choose_columns("brightness", "contrast")
        assert "contrast" in self.output().domain
        assert widget._listing is not listing

    def test_columns_of_images_that_are_added(self):
        widget = self.make(self.photos, columns=["format"], watch="load")
        before = len(self.output())
        make_image(9).save(os.path.join(self.photos, "first", "new.png"))
        self.process_events(lambda: len(self.output()) > before, 60_000)
        formats = [str(row["format"]) for row in self.output()]
        assert "PNG" in formats and "?" not in formats
        widget.watch = "off"

    def test_columns_that_are_none(self):
        widget = self.make(self.photos, columns=["format", "no such column"])
        assert widget.columns == []

    def test_subfolders(self):
        widget = self.make(self.photos)
        widget.controls.subfolders.click()
        assert self.output() is None
        assert widget.Warning.no_images.is_shown()
        text = "Choose another folder or include the subfolders."
        assert text in widget.status.label.text()
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
        assert "press Reload to try again" in widget.status.label.text()
        os.rename(self.photos, gone)
        widget.folder_choice.reload_button.click()
        assert len(self.output()) == 6
        assert not widget.Error.folder.is_shown()

    def test_file_instead_of_folder(self):
        file = os.path.join(self.photos, "first", "photo 0.jpg")
        widget = self.make(file)
        assert f"{file} is not a folder." in str(widget.Error.folder)

    def test_unexpected_error(self):
        with patch.object(
            owimageimport.ImportImages, "read", side_effect=ZeroDivisionError("odd")
        ):
            widget = self.make(self.photos)
        assert "odd" in str(widget.Error.unexpected)

    def test_browse_and_recent(self):
        other = str(self.tmp / "photos" / "first")
        widget = self.make(self.photos)
        with patch.object(QFileDialog, "getExistingDirectory", return_value=other):
            widget.folder_choice.browse_button.click()
        assert len(self.output()) == 3
        assert self.paths() == [other, self.photos]
        assert widget.folder_choice.combo.itemText(0) == "first"
        widget.folder_choice.combo.activated.emit(1)
        assert len(self.output()) == 6
        assert self.paths() == [self.photos, other]
        with patch.object(QFileDialog, "getExistingDirectory", return_value=""):
            widget.folder_choice.browse()
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
            assert widget.status.busy
            widget.status.cancel_button.click()
            assert importer.cancelled
            assert widget.Information.cancelled.is_shown()
            assert self.output() is None
            widget.stop()
        widget.folder_choice.reload_button.click()
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
        assert self.drop(self.photos).isAccepted()
        assert len(self.output()) == 6
        file = os.path.join(self.photos, "first", "photo 0.jpg")
        assert not self.drop(self.photos, file).isAccepted()
        assert not widget.canDropUrl(QUrl("https://example.org/photos"))
        assert not widget.canDropUrl(QUrl.fromLocalFile(self.photos + "/no"))

    def test_drop_on_canvas(self):
        handler = OWImportImagesDropHandler()
        assert handler.canDropFiles([self.photos])
        assert not handler.canDropFiles([self.photos, self.photos + "/no"])
        settings = handler.parametersFromFiles([self.photos])
        self.widget = self.create_widget(OWImportImages, settings)
        assert len(self.output()) == 6
        first, second = (os.path.join(self.photos, x) for x in ("first", "second"))
        settings = handler.parametersFromFiles([second, first])
        self.widget = self.create_widget(OWImportImages, settings)
        assert len(self.output()) == 6
        assert self.widget.folders == [second, first]

    def test_drag(self):
        widget = self.make()
        for path, accepted in ((self.photos, True), (self.photos + "/no", False)):
            data = QMimeData()
            data.setUrls([QUrl.fromLocalFile(path)])
            event = QDragEnterEvent(
                QPoint(5, 5), Qt.CopyAction, data, Qt.LeftButton, Qt.NoModifier
            )
            widget.dragEnterEvent(event)
            assert event.isAccepted() == accepted

    @property
    def halves(self):
        return [os.path.join(self.photos, name) for name in ("first", "second")]

    def test_several_folders(self):
        widget = self.make(*self.halves, n_folders=2)
        table = self.output()
        assert len(table) == 6
        assert table.name == "first and 1 more"
        assert table.domain.class_var.values == ("first", "second")
        text = "6 images / 2 categories / 2 folders"
        assert widget.status.label.text() == text
        assert widget.folder_choice.several.isVisibleTo(widget)
        assert widget.folder_choice.list.count() == 2
        assert widget.folder_choice.combo.currentIndex() == -1
        widget.send_report()
        assert all(half in widget.report_html for half in self.halves)
        # One alone is shown without a list of one.
        widget.folder_choice.combo.activated.emit(1)
        assert len(self.output()) == 3
        assert widget.folders == self.halves[1:]
        assert not widget.folder_choice.several.isVisibleTo(widget)

    def test_folders_are_added_and_removed(self):
        first, second = self.halves
        widget = self.make(first)
        module = "orangecontrib.imageanalytics.widgets.folders.folder_choice"
        with patch(f"{module}.choose_folders", return_value=[second, first]):
            widget.folder_choice.add_button.click()
        assert len(self.output()) == 6
        assert widget.folders == [first, second]
        settings = widget.settingsHandler.pack_data(widget)
        assert settings["n_folders"] == 2
        with patch(f"{module}.choose_folders", return_value=[]):
            widget.folder_choice.add_button.click()
        assert widget.folders == [first, second]
        assert not widget.folder_choice.remove_button.isEnabled()
        widget.folder_choice.list.item(0).setSelected(True)
        widget.folder_choice.remove_button.click()
        assert len(self.output()) == 3
        assert widget.folders == [second]
        assert os.path.exists(first)
        # What was removed is among the recent ones.
        assert self.paths() == [second, first]

    def test_drop_several(self):
        first, second = self.halves
        widget = self.make(self.photos)
        self.drop(first, second)
        assert len(self.output()) == 6 and widget.folders == [first, second]
        self.drop(second)
        assert len(self.output()) == 3 and widget.folders == [second]
        self.drop(first, modifiers=Qt.ShiftModifier)
        assert len(self.output()) == 6 and widget.folders == [second, first]

    def test_some_folders_are_missing(self):
        gone = str(self.tmp / "gone")
        widget = self.make(gone, self.photos, n_folders=2)
        assert len(self.output()) == 6
        assert f"The folder {gone} was not found." in str(widget.Warning.missing)
        assert not widget.Error.folder.is_shown()
        assert "(not found)" in widget.folder_choice.list.item(0).text()
        assert widget.folders == [gone, self.photos]
        os.rename(self.photos, gone)
        widget.folder_choice.reload_button.click()
        assert len(self.output()) == 6
        assert "not found" not in widget.folder_choice.list.item(0).text()

    def test_all_folders_are_missing(self):
        gone = [str(self.tmp / name) for name in ("gone", "lost")]
        widget = self.make(*gone, n_folders=2)
        assert self.output() is None
        assert all(folder in str(widget.Error.folder) for folder in gone)
        assert "(not found)" in widget.folder_choice.list.item(1).text()

    def test_a_folder_inside_another(self):
        widget = self.make(self.halves[0], self.photos, n_folders=2)
        assert len(self.output()) == 6
        assert "inside another" in widget.folder_choice.list.item(0).text()

    def test_workflows_with_one_folder(self):
        """Saved before there could be several, whatever the last widget has read."""
        recent = [RecentPath.create(folder, []) for folder in (*self.halves, "/gone")]
        defaults = OWImportImages.settingsHandler.defaults
        with patch.dict(defaults, {"n_folders": 3}):
            self.widget = self.create_widget(OWImportImages, {"recent_paths": recent})
            assert len(self.output()) == 3
        assert self.widget.folders == self.halves[:1]

    def test_several_folders_move_with_the_workflow(self):
        widget = self.make(
            *self.halves, n_folders=2, env={"basedir": str(self.tmp / "photos")}
        )
        stored = widget.settingsHandler.pack_data(widget)
        os.rename(self.photos, str(self.tmp / "moved"))
        env = {"basedir": str(self.tmp / "moved")}
        self.widget = self.create_widget(OWImportImages, stored, env=env)
        assert len(self.output()) == 6

    def test_a_workflow_that_came_without_its_folder(self):
        """It has only the relative path; the program's own folder is not read."""
        recent = RecentPath("", "basedir", "images")
        env = {"basedir": str(self.tmp)}
        settings = {"recent_paths": [recent]}
        self.widget = self.create_widget(OWImportImages, settings, env=env)
        assert self.output() is None
        assert str(self.tmp / "images") in str(self.widget.Error.folder)

    def test_bad_settings(self):
        for name, value in (
            ("n_folders", "x"),
            ("n_folders", -1),
            ("n_folders", 99),
            ("category_from", None),
            ("pages", 3),
            ("watch", ["x"]),
            ("name_pattern", 7),
            ("subfolders", "x"),
        ):
            with self.subTest(name=name, value=value):
                self.make(self.photos, **{name: value})
                assert len(self.output()) == 6

    def test_class_from_the_name(self):
        for name in ("cat_1", "cat_2", "dog_1", "notes"):
            copy(
                self.halves[0] + "/photo 0.jpg", str(self.tmp / "named" / f"{name}.jpg")
            )
        widget = self.make(str(self.tmp / "named"))
        assert self.output().domain.class_var is None
        assert not widget.name_choice.isVisibleTo(widget)
        self.choose(widget.category_combo, "name")
        assert widget.name_choice.isVisibleTo(widget)
        values = ("cat", "dog", "notes")
        assert self.output().domain.class_var.values == values
        choice = widget.name_choice
        self.choose(choice.combo, "")
        self.wait_for(lambda: widget.name_pattern == "{class}_*")
        assert self.output().domain.class_var.values == ("cat", "dog")
        assert "1 without a category" in widget.status.label.text()
        widget.status.label.linkActivated.emit("#unmatched")
        (dialog,) = widget.findChildren(SkippedDialog)
        assert dialog.model[0][0].endswith("notes.jpg")
        dialog.close()
        # A pattern that is being typed changes the preview, not the output.
        choice.field.setText("")
        QTest.keyClicks(choice.field, "{class}*")
        self.wait_for(lambda: choice.preview.topLevelItem(0).text(0) == "c")
        assert widget.name_pattern == "{class}_*"
        QTest.keyClick(choice.field, Qt.Key_Return)
        self.wait_for(lambda: widget.name_pattern == "{class}*")
        assert self.output().domain.class_var.values == ("c", "d", "n")
        widget.send_report()
        assert "Name of the file ({class}*)" in widget.report_html

    def test_images_are_not_read_again_for_other_categories(self):
        widget = self.make(self.photos)
        with patch.object(
            owimageimport.ImportImages, "read", side_effect=AssertionError
        ):
            for value in ("none", "name", "path"):
                self.choose(widget.category_combo, value)
                assert len(self.output()) == 6

    def test_a_bad_pattern_in_a_workflow(self):
        for pattern, message in (
            ("{clas}", "is not known"),
            ("(?P<class>(?R)*.)", "takes too long"),
        ):
            widget = self.make(self.photos, category_from="name", name_pattern=pattern)
            table = self.output()
            assert len(table) == 6 and table.domain.class_var is None
            assert message in str(widget.Warning.pattern)
            problem = widget.name_choice.problem
            self.wait_for(problem.text)
            assert message in problem.text()

    def watching(self, how, **settings):
        widget = self.make(self.photos, watch=how, **settings)
        widget._watcher.interval = widget._watcher.settling = 0.001
        widget._watch_changed()
        return widget

    def add_image(self, name="first/new.jpg"):
        copy(self.halves[0] + "/photo 0.jpg", os.path.join(self.photos, name))

    def test_show_what_is_new(self):
        widget = self.watching("show")
        assert not widget.status.news_button.isVisibleTo(widget)
        self.add_image()
        self.add_image("third/new.jpg")
        button = widget.status.news_button
        self.wait_for(lambda: button.text() == "2 new images - Reload")
        assert button.isVisibleTo(widget)
        assert len(self.get_output("Data")) == 6
        button.click()
        table = self.output()
        assert len(table) == 8
        assert table.domain.class_var.values == ("first", "second", "third")
        assert not button.isVisibleTo(widget)
        os.remove(os.path.join(self.photos, "first", "new.jpg"))
        self.wait_for(lambda: button.text() == "1 removed image - Reload")
        button.click()
        assert len(self.output()) == 7
        self.choose(widget.watch_combo, "off")
        assert not widget._watcher.active

    def test_load_what_is_new(self):
        widget = self.watching("load")
        for number in range(20):
            self.add_image(f"first/new {number}.jpg")
        self.wait_for(lambda: len(self.get_output("Data") or ()) == 26)
        self.wait_until_finished()
        shutil.rmtree(self.halves[1])
        self.wait_for(lambda: len(self.get_output("Data") or ()) == 23)
        self.wait_until_finished()
        assert not widget.status.news_button.isVisibleTo(widget)

    def test_nothing_is_watched_unless_asked_for(self):
        widget = self.make(self.photos)
        assert widget.watch == "off" and not widget._watcher.active
        self.choose(widget.watch_combo, "show")
        assert widget._watcher.active
        widget.set_folder(str(self.tmp / "gone"))
        self.wait_until_finished()
        assert not widget._watcher.active
        assert widget.Error.folder.is_shown()

    def test_a_folder_that_cannot_be_reached_any_more(self):
        widget = self.watching("load")
        away = str(self.tmp / "away")
        os.rename(self.photos, away)
        self.wait_for(widget.Warning.unreachable.is_shown)
        assert self.photos in str(widget.Warning.unreachable)
        assert len(self.output()) == 6
        os.rename(away, self.photos)
        self.wait_for(lambda: not widget.Warning.unreachable.is_shown())
        assert len(self.output()) == 6

    def test_deletion_stops_watching(self):
        widget = self.watching("load")
        widget.onDeleteWidget()
        assert not widget._watcher.active

    def test_cancelling_stops_watching(self):
        widget = self.watching("load")
        widget._remake()
        widget.stop()
        assert not widget._watcher.active
        assert self.output() is None

    def test_no_images_says_what_to_do(self):
        widget = self.make(self.photos, subfolders=False)
        assert "or include the subfolders" in str(widget.Warning.no_images)

    def test_report(self):
        widget = self.make(self.photos)
        widget.send_report()
        assert self.photos in widget.report_html
        assert "6 images" in widget.report_html
        self.make().send_report()
