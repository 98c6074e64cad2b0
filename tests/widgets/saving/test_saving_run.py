import errno
import os
import threading

from Orange.widgets.tests.base import WidgetTest
from saved_files import tree
from saving_widget import ENCODE, NAMES, SavingTest

from orangecontrib.imageanalytics.save_images import Encoding, saving
from orangecontrib.imageanalytics.widgets import owsaveimages as module
from orangecontrib.imageanalytics.widgets.saving import saving_run
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog


class TestThread(SavingTest, WidgetTest):
    def test_stop_and_go_on(self):
        gate = self.hold()
        self.give(self.data)
        self.choose_folder()
        self.begin_to_save()
        assert self.widget.bt_save.text() == "Stop"
        assert not self.widget.status.bar.isHidden()
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
            run = self.begin_to_save()
            self.widget.bt_save.click()
            assert self.widget.bt_save.text() == "Go On"
            change()
            gate.set()
            # Images that are being saved would wait at the next gate.
            self.process_events(run.done, 60_000)
            self.settle()
            assert self.widget.bt_save.text() == "Save"
            assert self.widget.saving is None
            assert not self.widget.Information.stopped.is_shown()

    def test_new_data_while_saving(self):
        gate = self.hold()
        self.give(self.data)
        self.choose_folder()
        run = self.begin_to_save()
        self.give(None)
        assert self.widget.task is None
        assert self.status().startswith("Connect")
        gate.set()
        self.process_events(run.done, 60_000)
        self.settle()
        assert self.status().startswith("Connect")

    def test_deleted_while_saving(self):
        gate = self.hold()
        self.give(self.data)
        self.choose_folder()
        self.begin_to_save()
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


class TestProblems(SavingTest, WidgetTest):
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
        self.widget.status.label.linkActivated.emit("#failures")
        (dialog,) = self.widget.findChildren(SkippedDialog)
        assert [row[0] for row in dialog.model] == self.photos[:2]
        self.widget.send_report()
        self.give(self.data[2:])
        assert not self.widget.Warning.not_saved.is_shown()

    def test_disk_full(self):
        def full(*_, **__):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.monkeypatch.setattr(saving, "write", full)
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

        self.monkeypatch.setattr(saving_run, "begin", fail)
        self.give(self.data)
        self.choose_folder()
        self.save()
        assert "a bug" in str(self.widget.Error.unexpected_error)
