import dataclasses

from AnyQt.QtCore import Signal
from AnyQt.QtWidgets import QCheckBox
from embedding_widget import FakeEmbeddingTest
from Orange.widgets.settings import Setting

from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.widgets.embedding import embedding_options
from orangecontrib.imageanalytics.widgets.embedding.embedding_options import (
    OPTIONS,
    Option,
)
from orangecontrib.imageanalytics.widgets.embedding.option_control import OptionControl
from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding


def test_every_field_is_offered_or_decided_otherwise():
    """The network is chosen by itself, precision follows from the device."""
    fields = {field.name for field in dataclasses.fields(EmbeddingSpec)}
    by_other_names = {"network", "preprocessing", "precision"}
    assert {o.name for o in OPTIONS} - {"fit"} == fields - by_other_names


def test_defaults_change_nothing():
    by_default = {option.name: option.default or None for option in OPTIONS}
    assert EmbeddingSpec.choose("squeezenet", **by_default) == EmbeddingSpec.choose(
        "squeezenet"
    )


class GreyCheck(OptionControl, QCheckBox):
    chosen = Signal(str)

    def __init__(self):
        super().__init__()
        self.clicked.connect(lambda on: self.chosen.emit("grey" if on else ""))

    def set_value(self, value):
        self.setChecked(bool(value))

    @property
    def text(self):
        return "yes" if self.isChecked() else "no"


class OWWithAnother(OWImageEmbedding):
    name = "Image Embedding With Another Option"
    grey: str = Setting("")


class TestANewOption(FakeEmbeddingTest):
    """One line in the table makes an option."""

    def setUp(self):
        super().setUp()
        another = Option("grey", "Gre&y:", GreyCheck)
        self.monkeypatch.setattr(embedding_options, "OPTIONS", (*OPTIONS, another))
        self.widget = self.create_widget(OWWithAnother)

    def test_it_is_used_saved_and_reported(self):
        self.embed(self.data)
        assert self.fake.made[-1].options["grey"] is None
        self.control("Grey").click()
        self.finish()
        assert self.fake.made[-1].options["grey"] == "grey"
        assert "yes" in self.report()
        again = self.create_widget(OWWithAnother, self.packed())
        assert again.grey == "grey"
        assert again.options.controls["grey"].isChecked()


def test_settings_follow_from_the_table():
    settings = OWImageEmbedding.settingsHandler.provider.settings
    for option in OPTIONS:
        assert settings[option.name].default == option.default
        assert settings[option.name].valid is option.valid
