import math
import pickle

import numpy as np
import pytest
from Orange.data import ContinuousVariable, Domain, StringVariable, Variable
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.widget import OWWidget
from orangewidget.settings import VERSION_KEY
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    CheckedSettingsHandler,
    all_between,
    between,
    limit,
    one_of,
)


class Widget(OWWidget):
    name = "Checked"
    settings_version = 2
    settingsHandler = CheckedSettingsHandler()
    number: int = Setting(5, valid=between(1, 10))
    fraction: float = Setting(0.5)
    word: str = Setting("one", valid=one_of("one", "two"))
    text: str | None = Setting(None)
    is_on: bool = Setting(True)
    words: list[str] = Setting(["a"])
    rows: list[tuple[int, int]] = Setting([], valid=all_between(0, 9))
    anything = Setting({"a": 1})

    @classmethod
    def migrate_settings(cls, settings, version):
        if version < 2:
            settings["number"] = settings.pop("digits")[0]


class ContextWidget(OWWidget):
    name = "Checked contexts"
    settingsHandler = CheckedDomainContextHandler()
    column: Variable | None = ContextSetting(None)


GOOD = [
    ("number", 10),
    ("number", np.int64(3)),
    ("fraction", 3),
    ("fraction", -0.25),
    ("word", "two"),
    ("text", "x"),
    ("text", None),
    ("is_on", False),
    ("is_on", 0),
    ("words", []),
    ("words", ["b", "c"]),
    ("rows", [(0, 9), (1, 1)]),
    ("anything", {}),
]
BAD = [
    *(
        ("number", value)
        for value in (0, 11, -(10**30), "5", None, 5.0, math.nan, True)
    ),
    *(("fraction", v) for v in ("0", None, math.nan, math.inf, True, 10**400)),
    *(("word", value) for value in ("three", None, 1, [], {})),
    *(("text", value) for value in (1, b"x", [])),
    *(("is_on", value) for value in (2, "yes", None, math.nan)),
    *(("words", value) for value in ("ab", ("a",), [1], None)),
    *(("rows", value) for value in ([(1,)], [(1, 10)], [[1, 2]], [None], [(1, "2")])),
    *(("anything", value) for value in (1, None, [])),
]


class TestSettings(GuiTest):
    def open(self, cls=Widget, **stored):
        stored.setdefault(VERSION_KEY, cls.settings_version)
        return cls.__new__(cls, stored_settings=stored)

    def test_good(self):
        for name, value in GOOD:
            with self.subTest(name=name, value=value):
                widget = self.open(**{name: value})
                assert getattr(widget, name) == value
                assert widget.replaced_settings == {}

    def test_bad(self):
        default = self.open()
        for name, value in BAD:
            with self.subTest(name=name, value=value):
                widget = self.open(**{name: value}, unknown=value)
                assert getattr(widget, name) == getattr(default, name)
                assert repr(widget.replaced_settings) == repr({name: value})

    def test_only_what_is_bad_is_replaced(self):
        widget = self.open(number=99, word="two", is_on=False)
        assert (widget.number, widget.word, widget.is_on) == (5, "two", False)

    def test_defaults_are_not_shared(self):
        widget = self.open(words=None)
        widget.words.append("b")
        assert self.open(words=None).words == ["a"]

    def test_the_declared_default_replaces_a_bad_one_of_the_user(self):
        before = Widget.settingsHandler.defaults
        Widget.settingsHandler.defaults = {"number": "x", "word": "two"}
        try:
            widget = self.open()
            assert (widget.number, widget.word) == (5, "two")
        finally:
            Widget.settingsHandler.defaults = before

    def test_migration(self):
        assert self.open(**{VERSION_KEY: 1, "digits": [7]}).number == 7
        for digits in ([70], None, "", 7):
            widget = self.open(**{VERSION_KEY: 1, "digits": digits, "word": "two"})
            assert widget.number == 5

    def test_pickled(self):
        stored = pickle.dumps({VERSION_KEY: 2, "number": 77, "word": "two"})
        widget = Widget.__new__(Widget, stored_settings=stored)
        assert (widget.number, widget.word) == (5, "two")
        stored = pickle.dumps({VERSION_KEY: 1, "context_settings": []})
        ContextWidget.__new__(ContextWidget, stored_settings=stored)

    def test_settings_that_are_none(self):
        for cls in (Widget, ContextWidget):
            for stored in (5, "x", ["number"], b"x", pickle.dumps([5]), object()):
                with self.subTest(widget=cls, stored=stored):
                    widget = cls.__new__(cls, stored_settings=stored)
                    assert widget.replaced_settings == {}
                    assert getattr(widget, "number", 5) == 5

    def test_contexts(self):
        domain = Domain([], None, [StringVariable("a"), StringVariable("b")])
        widget = self.open(ContextWidget)
        widget.column = domain["b"]
        widget.openContext(domain)
        widget.column = domain["b"]
        stored = widget.settingsHandler.pack_data(widget)
        again = ContextWidget.__new__(ContextWidget, stored_settings=stored)
        again.openContext(domain)
        assert again.column == domain["b"]
        for value in (("c", 103), ("b", 77), "b", 5, ("b",), (5, -2), ([1], -3)):
            stored["context_settings"][0].values["column"] = value
            again = ContextWidget.__new__(ContextWidget, stored_settings=stored)
            again.openContext(domain)
            assert (
                again.column is None or again.column in domain.variables + domain.metas
            )

    def test_hidden_columns(self):
        """Lists of columns leave them out, so a context must not choose them."""
        visible, hidden = ContinuousVariable("n0"), ContinuousVariable("n0")
        hidden.attributes["hidden"] = True
        widget = self.open(ContextWidget)
        widget.openContext(Domain([visible]))
        widget.column = visible
        stored = widget.settingsHandler.pack_data(widget)
        for variable, chosen in ((visible, visible), (hidden, None)):
            again = ContextWidget.__new__(ContextWidget, stored_settings=stored)
            again.openContext(Domain([variable]))
            assert again.column == chosen


@pytest.mark.parametrize("value", [None, "x", []])
def test_checks_may_raise(value):
    with pytest.raises(TypeError):
        between(1, 2)(value)


@pytest.mark.parametrize(
    "stored, limited",
    [
        ({"size": 7}, {"size": 10}),
        ({"size": 12.5, "other": 1}, {"size": 12, "other": 1}),
        ({"size": 10**6}, {"size": 20}),
        ({"size": "12", "other": 1}, {"other": 1}),
        ({}, {}),
    ],
)
def test_limit(stored, limited):
    limit(stored, "size", 10, 20)
    assert stored == limited
