import os

from Orange.data import DiscreteVariable, Table
from Orange.widgets.tests.base import WidgetTest
from saved_files import tree
from saving_widget import NAMES, SavingTest

from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN


class TestSaving(SavingTest, WidgetTest):
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

    def test_says_what_comes_next(self):
        assert self.widget.folder.edit.text() == ""
        assert self.widget.folder.edit.placeholderText() == "No folder chosen"
        self.give(self.data)
        assert self.status() == "6 images to save. Press Save to choose a folder."
        self.choose_folder()
        assert self.status() == "6 images to save."

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


class TestAutosave(SavingTest, WidgetTest):
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


class TestSettings(SavingTest, WidgetTest):
    def test_saved_and_restored(self):
        self.choose(self.widget.file_options.format_combo, "webp")
        self.widget.file_options.quality_spin.setValue(55)
        self.choose(self.widget.file_options.existing_combo, "rename")
        settings = self.widget.settingsHandler.pack_data(self.widget)
        widget = self.create_widget(OWSaveImages, stored_settings=settings)
        assert widget.file_options.format_combo.currentData() == "webp"
        assert widget.file_options.quality_spin.value() == 55
        assert widget.file_options.existing_combo.currentData() == "rename"

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

    def test_bad_values(self):
        bad = {"width": "x", "height": 0, "format": None, "quality": 101}
        for version in (1, 2):
            settings = {**bad, "__version__": version}
            widget = self.create_widget(OWSaveImages, stored_settings=settings)
            assert (widget.image_width, widget.image_height) == (640, 640)
            assert (widget.format, widget.quality) == ("png", 90)
            assert not widget.Warning.format_replaced.is_shown()
