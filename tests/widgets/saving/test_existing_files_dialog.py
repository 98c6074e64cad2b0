import os

from Orange.widgets.tests.base import WidgetTest
from saved_files import tree
from saving_widget import NAMES, SavingTest


class TestExisting(SavingTest, WidgetTest):
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
        assert "1 of 6 files already exists" in self.widget.question.text()
        self.answer("Cancel")
        assert tree(self.out) == NAMES[:1]
        assert self.kept()
        assert self.widget.bt_save.text() == "Save"
        assert self.widget.question is None

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
        self.widget.question.reject()
        self.wait()
        assert tree(self.out) == NAMES[:1]

    def test_changes_close_the_question(self):
        self.save()
        self.choose(self.widget.file_options.format_combo, "jpeg")
        assert self.widget.question is None
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
        assert self.widget.question is None
        assert tree(self.out) == NAMES
        assert self.kept()
        assert "Press Save to be asked" in str(self.widget.Warning.existed)
        self.save()
        self.answer("Overwrite")
        assert not self.kept()
        assert not self.widget.Warning.existed.is_shown()
