import errno
import os
import threading
from unittest.mock import patch

import pytest
from AnyQt.QtCore import QTimer
from AnyQt.QtWidgets import QFileDialog
from Orange.data import DiscreteVariable, Table
from Orange.widgets.tests.base import WidgetTest
from PIL import Image

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.save_images import FORMATS, Encoding
from orangecontrib.imageanalytics.widgets import owsaveimages as module
from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog

NAMES = [f"{'first' if n < 3 else 'second'}/photo {n}.png" for n in range(6)]
ENCODE = Encoding.__call__
OLD = {
    "auto_save": True,
    "controlAreaVisible": True,
    "dirname": "/home/ana/out",
    "file_format_index": 1,
    "image_attr_current_index": 1,
    "last_dir": "/home/ana",
    "savedWidgetGeometry": None,
    "scale_index": 2,
    "use_scale": True,
    "__version__": 1,
}


def tree(folder):
    return sorted(
        os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/")
        for where, _, names in os.walk(folder)
        for name in names
    )


def no_images_are_being_saved():
    return not any(t.name.startswith("saving") for t in threading.enumerate())


class Base(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, photos, tmp_path, monkeypatch):
        monkeypatch.setattr(OWSaveImages, "chosen_folders", set())
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
            (button or self.widget.browse_button).click()

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
            for button in self.widget._question.buttons()
            if button.text().replace("&", "") == text
        )
        button.click()
        self.wait()

    def status(self):
        return self.widget.status_label.text()

    def settle(self):
        """Wait until nothing more is going to happen by itself."""
        timers = [t for t in self.widget.findChildren(QTimer) if t.isSingleShot()]

        def is_quiet():
            return self.widget.task is None and not any(t.isActive() for t in timers)

        self.process_events(is_quiet, 30_000)
        self.process_events()

    def hold(self):
        """Make saving wait for the event that is returned."""
        gate = threading.Event()

        def slow(encoding, content, page):
            gate.wait(60)
            return ENCODE(encoding, content, page)

        self.monkeypatch.setattr(Encoding, "__call__", slow)
        return gate


class TestSaving(Base):
    def test_save(self):
        self.give(self.data)
        assert self.status().startswith("6 images to save.")
        self.choose_folder()
        assert not os.path.exists(self.out)
        self.save()
        assert tree(self.out) == NAMES
        assert self.status() == "6 images saved."
        assert self.widget.bt_save.text() == "Save"
        assert not self.widget.Warning.active

    def test_save_asks_for_a_folder_first(self):
        self.give(self.data)
        self.choose_folder("", self.widget.bt_save)
        assert self.widget.task is None
        self.choose_folder(self.out, self.widget.bt_save)
        self.wait()
        assert tree(self.out) == NAMES
        assert self.widget.last_dir == str(self.tmp_path)
        assert self.widget.folder_edit.text() == self.out

    def test_says_what_comes_next(self):
        assert self.widget.folder_edit.text() == ""
        assert self.widget.folder_edit.placeholderText() == "No folder chosen"
        self.give(self.data)
        assert self.status() == "6 images to save. Press Save to choose a folder."
        self.choose_folder()
        assert self.status() == "6 images to save."

    def test_save_as(self):
        self.give(self.data)
        self.choose_folder(self.out, self.widget.bt_save_as)
        self.wait()
        other = str(self.tmp_path / "other")
        self.choose_folder(other, self.widget.bt_save_as)
        self.wait()
        assert tree(self.out) == tree(other) == NAMES
        assert self.widget.dirname == other

    def test_folder_of_another_computer(self):
        self.widget = self.create_widget(
            OWSaveImages, stored_settings={"dirname": "/no/such/place"}
        )
        self.give(self.data)
        self.choose_folder("", self.widget.bt_save)
        assert self.widget.task is None
        assert not os.path.exists("/no")

    def test_nothing_to_save(self):
        for data, status in (
            (None, "Connect a table with images, to save them as files."),
            (Table("iris"), NO_IMAGE_COLUMN),
        ):
            self.give(data)
            assert self.status() == status
            assert not self.widget.bt_save.isEnabled()
            assert not self.widget.bt_save_as.isEnabled()
            shown = self.widget.Warning.no_image_attribute.is_shown()
            assert shown == (data is not None)
        self.give(self.data)
        assert self.widget.bt_save.isEnabled()
        assert not self.widget.Warning.no_image_attribute.is_shown()

    def test_options(self):
        self.give(self.data)
        self.choose_folder()
        self.choose(self.widget.file_options.format_combo, "jpeg")
        self.widget.file_options.scale_check.click()
        self.widget.file_options.width_spin.setValue(50)
        self.widget.file_options.height_spin.setValue(40)
        self.choose(self.widget.file_options.fit_combo, "crop")
        self.choose_variable("folder_column", None)
        self.choose_variable("name_column", self.data.domain["width"])
        self.save()
        names = ["320.jpg", *(f"320 ({n}).jpg" for n in range(2, 7))]
        assert tree(self.out) == sorted(names)
        with Image.open(os.path.join(self.out, "320.jpg")) as image:
            assert image.size == (50, 40)
        self.widget.send_report()

    def test_input_of_a_network(self):
        self.give(self.data)
        self.choose_folder()
        self.widget.file_options.scale_check.click()
        self.choose(self.widget.file_options.scale_combo, "efficientnet-lite2")
        self.choose(self.widget.file_options.fit_combo, "stretch")
        self.save()
        with Image.open(os.path.join(self.out, NAMES[0])) as image:
            assert image.size == (260, 260)
        self.widget.send_report()

    def test_copies(self):
        self.give(self.data)
        self.choose_folder()
        self.choose(self.widget.file_options.format_combo, "jpeg")
        self.save()
        for path in self.photos:
            kind, name = path.split(os.sep)[-2:]
            with (
                open(path, "rb") as one,
                open(f"{self.out}/{kind}/{name}", "rb") as two,
            ):
                assert one.read() == two.read()

    def test_what_can_be_chosen(self):
        w = self.widget
        ids = [
            w.file_options.format_combo.itemData(i)
            for i in range(w.file_options.format_combo.count())
        ]
        assert ids == [format.id for format in FORMATS]
        assert not w.file_options.quality_spin.isEnabled()
        for format in FORMATS:
            self.choose(w.file_options.format_combo, format.id)
            assert w.file_options.quality_spin.isEnabled() == format.lossy
        assert not w.file_options.scale_combo.isEnabled()
        assert not w.file_options.fit_combo.isEnabled()
        w.file_options.scale_check.click()
        assert w.file_options.scale_combo.isEnabled()
        assert w.file_options.width_spin.isEnabled()
        w.file_options.width_spin.setValue(77)
        self.choose(w.file_options.scale_combo, "inception-v3")
        assert not w.file_options.width_spin.isEnabled()
        assert (
            w.file_options.width_spin.value()
            == w.file_options.height_spin.value()
            == 299
        )
        self.choose(w.file_options.scale_combo, "size")
        assert (
            w.file_options.width_spin.value(),
            w.file_options.height_spin.value(),
        ) == (77, 640)

    def test_subfolders_are_of_the_class_by_default(self):
        self.give(self.data)
        assert self.widget.folder_column is self.data.domain.class_var
        group = DiscreteVariable("group", values=["x", "y"])
        data = self.data.add_column(group, [0, 1] * 3, to_metas=True)
        self.give(data)
        self.choose_variable("folder_column", data.domain["group"])
        self.choose_folder()
        self.save()
        assert len(os.listdir(os.path.join(self.out, "y"))) == 3
        self.give(None)
        self.give(data)
        assert self.widget.folder_column == data.domain["group"]
        self.choose_variable("folder_column", None)
        self.give(data)
        assert self.widget.folder_column is None


class TestExisting(Base):
    def setUp(self):
        super().setUp()
        self.precious = os.path.join(self.out, NAMES[0])
        os.makedirs(os.path.dirname(self.precious))
        with open(self.precious, "wb") as file:
            file.write(b"precious")
        self.give(self.data)
        self.choose_folder()

    def kept(self):
        with open(self.precious, "rb") as file:
            return file.read() == b"precious"

    def test_cancel(self):
        self.save()
        assert "1 file of 6 exists already" in self.widget._question.text()
        self.answer("Cancel")
        assert tree(self.out) == NAMES[:1]
        assert self.kept()
        assert self.widget.bt_save.text() == "Save"
        assert self.widget._question is None

    def test_skip(self):
        self.save()
        self.answer("Skip")
        assert tree(self.out) == NAMES
        assert self.kept()
        assert self.status() == "5 images saved, 1 existed."
        assert not self.widget.Warning.existed.is_shown()

    def test_rename(self):
        self.save()
        self.answer("Rename")
        assert tree(self.out) == sorted(["first/photo 0 (2).png", *NAMES])
        assert self.kept()

    def test_overwrite(self):
        self.save()
        self.answer("Overwrite")
        assert tree(self.out) == NAMES
        assert not self.kept()

    def test_closing_the_question_is_cancel(self):
        self.save()
        self.widget._question.reject()
        self.wait()
        assert tree(self.out) == NAMES[:1]

    def test_changes_close_the_question(self):
        self.save()
        self.choose(self.widget.file_options.format_combo, "jpeg")
        assert self.widget._question is None
        self.save()
        assert len(tree(self.out)) == 7

    def test_without_asking(self):
        self.choose(self.widget.file_options.existing_combo, "skip")
        self.save()
        assert self.kept()
        assert "1 file existed" in str(self.widget.Warning.existed)
        self.choose(self.widget.file_options.existing_combo, "rename")
        self.save()
        assert self.kept()
        assert len(tree(self.out)) == 12
        self.choose(self.widget.file_options.existing_combo, "overwrite")
        self.save()
        assert not self.kept()
        assert len(tree(self.out)) == 12

    def test_autosave_does_not_ask(self):
        self.widget.auto_check.click()
        self.give(self.data)
        self.wait()
        assert self.widget._question is None
        assert tree(self.out) == NAMES
        assert self.kept()
        assert "Press Save to be asked" in str(self.widget.Warning.existed)
        self.save()
        self.answer("Overwrite")
        assert not self.kept()
        assert not self.widget.Warning.existed.is_shown()


class TestAutosave(Base):
    def test_new_data(self):
        self.choose_folder()
        self.widget.auto_check.click()
        self.give(self.data[:3])
        self.wait()
        assert tree(self.out) == NAMES[:3]
        self.give(self.data[3:])
        self.wait()
        assert tree(self.out) == NAMES

    def test_options(self):
        self.give(self.data)
        self.widget.auto_check.click()
        assert self.widget.Warning.no_folder.is_shown()
        self.monkeypatch.setattr(module, "AUTOSAVE_MILLISECONDS", 50)
        self.choose_folder()
        self.wait()
        assert tree(self.out) == NAMES
        assert not self.widget.Warning.no_folder.is_shown()
        for format in ("bmp", "gif", "webp"):
            self.choose(self.widget.file_options.format_combo, format)
        self.process_events(lambda: len(tree(self.out)) == 12, 30_000)
        self.wait()
        assert {name[-4:] for name in tree(self.out)} == {".png", "webp"}

    def test_off(self):
        self.choose_folder()
        self.give(self.data)
        self.choose(self.widget.file_options.format_combo, "jpeg")
        self.settle()
        assert not os.path.exists(self.out)

    def test_opened_workflow_writes_nothing(self):
        """Neither with new data nor with other options, until Save is pressed."""
        os.makedirs(self.out)
        settings = {"auto_save": True, "dirname": self.out, "existing": "overwrite"}
        self.widget = self.create_widget(OWSaveImages, stored_settings=settings)
        assert self.widget.auto_save
        self.give(self.data)
        self.choose(self.widget.file_options.format_combo, "jpeg")
        self.settle()
        assert tree(self.out) == []
        assert self.widget.Warning.autosave_waits.is_shown()
        self.save()
        assert len(tree(self.out)) == 6
        assert not self.widget.Warning.autosave_waits.is_shown()
        self.choose(self.widget.file_options.format_combo, "png")
        self.process_events(lambda: len(tree(self.out)) == 12, 30_000)


class TestThread(Base):
    def test_stop_and_go_on(self):
        gate = self.hold()
        self.give(self.data)
        self.choose_folder()
        self.widget.bt_save.click()
        self.process_events(lambda: self.widget.saving is not None, 30_000)
        assert self.widget.bt_save.text() == "Stop"
        assert not self.widget.progress_bar.isHidden()
        self.widget.bt_save.click()
        assert self.widget.task is None
        assert self.widget.bt_save.text() == "Go On"
        assert self.widget.Information.stopped.is_shown()
        gate.set()
        self.save()
        assert tree(self.out) == NAMES
        assert self.status() == "6 images saved."
        assert self.widget.bt_save.text() == "Save"
        assert not self.widget.Information.stopped.is_shown()

    def test_changes_after_stop_start_anew(self):
        self.choose(self.widget.file_options.existing_combo, "rename")
        for change in (
            lambda: self.give(self.data),
            lambda: self.choose(self.widget.file_options.format_combo, "bmp"),
            lambda: self.choose_folder(str(self.tmp_path / "other")),
        ):
            self.give(self.data)
            self.choose_folder()
            gate = self.hold()
            self.widget.bt_save.click()
            self.process_events(lambda: self.widget.saving is not None, 30_000)
            self.widget.bt_save.click()
            assert self.widget.bt_save.text() == "Go On"
            change()
            gate.set()
            # The images that were being saved end before the gate is a new one.
            self.process_events(no_images_are_being_saved, 30_000)
            self.settle()
            assert self.widget.bt_save.text() == "Save"
            assert self.widget.saving is None
            assert not self.widget.Information.stopped.is_shown()

    def test_new_data_while_saving(self):
        gate = self.hold()
        self.give(self.data)
        self.choose_folder()
        self.widget.bt_save.click()
        self.process_events(lambda: self.widget.saving is not None, 30_000)
        self.give(None)
        assert self.widget.task is None
        assert self.status().startswith("Connect")
        gate.set()
        self.process_events(no_images_are_being_saved, 30_000)
        self.settle()
        assert self.status().startswith("Connect")

    def test_deleted_while_saving(self):
        gate = self.hold()
        self.give(self.data)
        self.choose_folder()
        self.widget.bt_save.click()
        self.process_events(lambda: self.widget.saving is not None, 30_000)
        self.monkeypatch.setattr(
            module, "end_task", lambda widget: widget.cancel() or gate.set()
        )
        self.widget.onDeleteWidget()

    def test_nothing_is_decoded_in_the_gui_thread(self):
        threads = set()

        def watch(encoding, content, page):
            threads.add(threading.current_thread())
            return ENCODE(encoding, content, page)

        self.monkeypatch.setattr(Encoding, "__call__", watch)
        self.give(self.data)
        self.choose_folder()
        self.save()
        assert threads
        assert threading.main_thread() not in threads


class TestProblems(Base):
    def test_missing_and_damaged(self):
        os.remove(self.photos[0])
        with open(self.photos[1], "wb") as file:
            file.write(b"no image")
        self.give(self.data)
        self.choose_folder()
        self.save()
        assert tree(self.out) == NAMES[2:]
        text = str(self.widget.Warning.not_saved)
        assert "2 images were not saved: " in text
        assert "file not found (1)" in text
        assert "not an image (1)" in text
        assert self.status().startswith("4 images saved, <a ")
        self.widget.status_label.linkActivated.emit("#failures")
        (dialog,) = self.widget.findChildren(SkippedDialog)
        assert [row[0] for row in dialog.model] == self.photos[:2]
        self.widget.send_report()
        self.give(self.data[2:])
        assert not self.widget.Warning.not_saved.is_shown()

    def test_disk_full(self):
        def full(*_, **__):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.monkeypatch.setattr("orangecontrib.imageanalytics.save_images.write", full)
        self.give(self.data)
        self.choose_folder()
        self.save()
        text = str(self.widget.Warning.not_saved)
        assert text == "6 images were not saved: the disk is full (6)"
        assert tree(self.out) == []

    def test_folder_is_a_file(self):
        with open(self.out, "wb"):
            pass
        self.give(self.data)
        self.choose_folder()
        self.save()
        assert self.out in str(self.widget.Error.folder)
        text = "No image was saved. Save As… takes another folder."
        assert self.status() == text
        assert self.widget.bt_save.text() == "Save"

    def test_bugs_are_told(self):
        def fail(*_):
            raise RuntimeError("a bug")

        self.monkeypatch.setattr(module, "begin", fail)
        self.give(self.data)
        self.choose_folder()
        self.save()
        assert "a bug" in str(self.widget.Error.unexpected_error)


class TestSettings(Base):
    def create(self, **settings):
        return self.create_widget(OWSaveImages, stored_settings={**OLD, **settings})

    def test_formats_of_version_1(self):
        formats = ["png", "jpeg", "gif", "tiff", "pdf", "bmp", "png", "ico", "png"]
        for index, format in enumerate(formats):
            widget = self.create(file_format_index=index)
            assert widget.format == format
            assert widget.file_options.format_combo.currentData() == format
            replaced = widget.Warning.format_replaced
            assert replaced.is_shown() == (index == 6)
        self.choose(self.create(file_format_index=6).file_options.format_combo, "bmp")

    def test_scales_of_version_1(self):
        scales = [
            ("inception-v3", 0),
            ("squeezenet", 0),
            ("vgg16", 0),
            ("vgg19", 0),
            ("size", 256),
            ("size", 64),
            ("size", 256),
        ]
        for index, (scale, side) in enumerate(scales):
            widget = self.create(scale_index=index)
            assert widget.use_scale
            assert widget.fit == "stretch"
            assert (
                widget.scale_to
                == widget.file_options.scale_combo.currentData()
                == scale
            )
            if side:
                assert (
                    widget.image_width == widget.file_options.width_spin.value() == side
                )
                assert (
                    widget.image_height
                    == widget.file_options.height_spin.value()
                    == side
                )

    def test_the_rest_of_version_1(self):
        self.widget = self.create(dirname=self.out, image_attr_current_index=0)
        assert self.widget.dirname == self.out
        assert self.widget.last_dir == "/home/ana"
        assert self.widget.auto_save
        assert self.widget.existing == "ask"
        self.give(self.data)
        assert self.widget.image_column.name == "image"
        self.settle()
        assert not os.path.exists(self.out)
        assert self.widget.Warning.autosave_waits.is_shown()

    def test_column_of_version_1(self):
        self.widget = self.create(image_attr_current_index=1)
        data = self.data
        columns = module.image_columns(data)
        assert len(columns) > 1
        self.give(data)
        assert self.widget.image_column == columns[1]
        self.give(None)
        self.give(data)
        assert self.widget.image_column == columns[1]
        self.widget = self.create(image_attr_current_index=17)
        self.give(data)
        assert self.widget.image_column == columns[0]

    def test_odd_values(self):
        odd = {
            "format": "xyz",
            "scale_to": "painters",
            "fit": "?",
            "existing": "delete",
            "__version__": 2,
        }
        widget = self.create_widget(OWSaveImages, stored_settings=odd)
        assert widget.format == "png"
        assert widget.scale_to == "size"
        assert widget.fit == "keep"
        assert widget.existing == "ask"

    def test_sizes_of_version_2(self):
        settings = {"width": 300, "height": 200, "use_scale": True, "__version__": 2}
        widget = self.create_widget(OWSaveImages, stored_settings=settings)
        assert (widget.image_width, widget.image_height) == (300, 200)
        assert widget.file_options.width_spin.value() == 300
        assert widget.width() > 0 and widget.height() > 0

    def test_bad_values(self):
        bad = {"width": "x", "height": 0, "format": None, "quality": 101}
        for version in (1, 2):
            settings = {**bad, "__version__": version}
            widget = self.create_widget(OWSaveImages, stored_settings=settings)
            assert (widget.image_width, widget.image_height) == (640, 640)
            assert (widget.format, widget.quality) == ("png", 90)
            assert not widget.Warning.format_replaced.is_shown()

    def test_saved_and_restored(self):
        self.choose(self.widget.file_options.format_combo, "webp")
        self.widget.file_options.quality_spin.setValue(55)
        self.choose(self.widget.file_options.existing_combo, "rename")
        settings = self.widget.settingsHandler.pack_data(self.widget)
        widget = self.create_widget(OWSaveImages, stored_settings=settings)
        assert widget.file_options.format_combo.currentData() == "webp"
        assert widget.file_options.quality_spin.value() == 55
        assert widget.file_options.existing_combo.currentData() == "rename"
