import os
import threading
from unittest.mock import patch

from AnyQt.QtWidgets import QFileDialog
from Orange.widgets.tests.base import WidgetTest
from saved_files import tree
from saving_widget import NAMES, SavingTest

from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages
from orangecontrib.imageanalytics.widgets.saving import saving_run
from orangecontrib.imageanalytics.widgets.saving.saving_task import begin


class TestFolder(SavingTest, WidgetTest):
    def test_save_asks_for_a_folder_first(self):
        self.give(self.data)
        self.choose_folder("", self.widget.bt_save)
        assert self.widget.task is None
        self.choose_folder(self.out, self.widget.bt_save)
        self.wait()
        assert tree(self.out) == NAMES
        assert self.widget.last_dir == str(self.tmp_path)
        assert self.widget.folder.edit.text() == self.out

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

    def test_the_same_folder_again_while_it_is_looked_at(self):
        gate = threading.Event()

        def slow(*args):
            gate.wait(60)
            return begin(*args)

        self.monkeypatch.setattr(saving_run, "begin", slow)
        self.give(self.data)
        self.choose_folder()
        self.widget.bt_save.click()
        self.choose_folder()
        assert self.widget.bt_save.text() == "Stop"
        assert not self.widget.status.bar.isHidden()
        gate.set()
        self.wait()
        assert tree(self.out) == NAMES

    def test_a_folder_of_a_workflow_is_not_confirmed(self):
        settings = {"dirname": self.out, "auto_save": True}
        self.widget = self.create_widget(OWSaveImages, stored_settings=settings)
        assert self.widget.folder.edit.text() == self.out
        assert self.widget.folder.can_be()
        assert not self.widget.folder.is_confirmed
        assert self.widget.Warning.autosave_waits.is_shown()
        self.choose_folder()
        assert self.widget.folder.is_confirmed
        assert not self.widget.Warning.autosave_waits.is_shown()

    def test_the_dialog_begins_at_a_folder_that_there_is(self):
        begun = []

        def choose(_parent, _title, start):
            begun.append(start)
            return ""

        here = str(self.tmp_path)
        for dirname, last_dir, expected in (
            (here, "", here),
            (self.out, "/", here),
            ("/no/such/place", here, here),
            ("", "", os.path.expanduser("~")),
        ):
            settings = {"dirname": dirname, "last_dir": last_dir}
            widget = self.create_widget(OWSaveImages, stored_settings=settings)
            with patch.object(QFileDialog, "getExistingDirectory", choose):
                assert not widget.folder.choose()
            assert begun.pop() == expected
            assert widget.dirname == dirname
