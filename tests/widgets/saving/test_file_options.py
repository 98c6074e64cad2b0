import os

from Orange.widgets.tests.base import WidgetTest
from PIL import Image
from saved_files import tree
from saving_widget import NAMES, SavingTest

from orangecontrib.imageanalytics.save_images import FORMATS


class TestFileOptions(SavingTest, WidgetTest):
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
        text = self.widget.file_options.scale_text()
        assert text == "50×40, crop to the middle"  # noqa: RUF001
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
        text = self.widget.file_options.scale_text()
        assert text == "EfficientNet-Lite2, stretch"
        self.widget.send_report()

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
