import pytest
from AnyQt.QtCore import QLocale
from Orange.widgets.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.embedding.intensity_choice import (
    IntensityChoice,
    is_intensity,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import error_color


class TestIntensityChoice(GuiTest):
    def setUp(self):
        super().setUp()
        self.choice = IntensityChoice()
        self.heard = []
        self.choice.chosen.connect(self.heard.append)

    def choose(self, index):
        self.choice.combo.setCurrentIndex(index)
        self.choice.combo.activated.emit(index)

    def enter(self, *texts):
        for field, text in zip(self.choice.ends, texts, strict=True):
            field.setText(text)
            field.textEdited.emit(text)
        self.choice.ends[1].editingFinished.emit()

    def are_ends_shown(self):
        return all(not field.isHidden() for field in self.choice.ends)

    def test_automatic_at_first(self):
        assert self.choice.text == "Automatic"
        assert not self.are_ends_shown()
        assert self.heard == []

    def test_choices(self):
        self.choose(1)
        self.choose(1)
        assert self.heard == ["full"] and not self.are_ends_shown()
        self.choose(2)
        assert self.heard[1:] == ["0:4095"] and self.are_ends_shown()
        assert self.choice.text == "from 0 to 4095"
        self.choose(0)
        assert self.heard[2:] == ["auto"] and not self.are_ends_shown()

    def test_ends(self):
        self.choose(2)
        self.enter("100", "700.5")
        assert self.heard[1:] == ["100:700.5"]
        self.enter("-1000", "400")
        assert self.heard[2:] == ["-1000:400"]
        assert self.choice.text == "from -1000 to 400"
        # The list opened again changes nothing.
        self.choose(2)
        assert len(self.heard) == 3

    def test_ends_that_are_no_range_are_red(self):
        self.choose(2)
        for texts in (("5", "1"), ("1", "1"), ("", "1"), ("1", "-")):
            self.enter(*texts)
            assert len(self.heard) == 1, texts
            assert (
                error_color(self.choice.palette()) in self.choice.ends[0].styleSheet()
            )
        self.enter("1", "5")
        assert self.heard[1:] == ["1:5"]
        assert self.choice.ends[0].styleSheet() == ""

    def test_numbers_of_other_languages(self):
        german = QLocale("de_DE")
        self.choice.setLocale(german)
        self.choose(2)
        self.enter("0,5", "1,5")
        assert self.heard[-1] == "0.5:1.5"
        self.choice.set_value("0.25:2")
        assert [field.text() for field in self.choice.ends] == ["0,25", "2"]

    def test_set_value_is_silent(self):
        for value, text in (("full", "Full range"), ("0.1:5", "from 0.1 to 5")):
            self.choice.set_value(value)
            assert self.choice.text == text
        assert self.heard == []

    def test_long_numbers_are_kept(self):
        self.choice.set_value("123456.789:1000000000")
        self.choice.ends[0].editingFinished.emit()
        assert self.heard == []


@pytest.mark.parametrize("value", ["auto", "full", "0:4095", "-1.5:1e9"])
def test_values(value):
    assert is_intensity(value)


@pytest.mark.parametrize("value", ["", "bright", "5:1", "1", "1:2:3", "nan:1"])
def test_what_is_none(value):
    assert not is_intensity(value)
