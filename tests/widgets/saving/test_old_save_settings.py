import os

from Orange.widgets.tests.base import WidgetTest
from saving_widget import SavingTest

from orangecontrib.imageanalytics.widgets import owsaveimages as module
from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages

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


class TestOldSettings(SavingTest, WidgetTest):
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

    def test_sizes_of_version_2(self):
        settings = {"width": 300, "height": 200, "use_scale": True, "__version__": 2}
        widget = self.create_widget(OWSaveImages, stored_settings=settings)
        assert (widget.image_width, widget.image_height) == (300, 200)
        assert widget.file_options.width_spin.value() == 300
        assert widget.width() > 0 and widget.height() > 0
