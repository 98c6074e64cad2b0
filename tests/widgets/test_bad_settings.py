"""Settings that are not what a widget saves; each widget has to open all the same.

Widgets and their settings are found, not listed.
"""

import gc
import math

import numpy as np
import pytest
from all_widgets import table, widget_classes
from AnyQt.QtWidgets import QDialog
from helpers import PATIENCE
from Orange.data import ContinuousVariable
from Orange.widgets.settings import Context, ContextSetting
from Orange.widgets.tests.base import WidgetTest
from orangewidget.settings import VERSION_KEY

from orangecontrib.imageanalytics.widgets.utils.checked_settings import is_valid

BAD = {
    "none": None,
    "text": "x",
    "empty text": "",
    "zero byte": "\0",
    "negative": -1,
    "very negative": -(10**30),
    "huge": 10**30,
    "fraction": 0.5,
    "infinity": math.inf,
    "nan": math.nan,
    "bytes": b"\xff",
    "list": [None],
    "pair": ("x", 101),
    "set": {"x"},
    "dictionary": {"x": None},
    "object": object(),
}
FEW = {case: BAD[case] for case in ("none", "text", "huge", "list", "object")}


def settings_of(cls):
    settings = dict(cls.settingsHandler.provider.settings)
    # Orange's own; only its dialog knows which keys this may have.
    settings.pop("visual_settings", None)
    return settings


def parts_of(cls):
    """Parts of a widget with settings of their own, such as its graph."""
    return cls.settingsHandler.provider.providers


def all_bad(cls, value):
    """Every setting of a widget and of its parts with this value."""
    return dict.fromkeys(settings_of(cls), value) | {
        name: dict.fromkeys(part.settings, value)
        for name, part in parts_of(cls).items()
    }


def data_of(photos):
    attributes = [ContinuousVariable(name) for name in "abc"]
    X = np.random.default_rng(0).random((len(photos), 3))
    return table(photos, attributes, X=X)


def bad_contexts(cls, value, domain):
    """Contexts that are none, or with the value for each setting of a widget."""
    contexts = [value, Context(), Context(values=value)]
    names = [n for n, s in settings_of(cls).items() if isinstance(s, ContextSetting)]
    if names:
        attributes, metas = cls.settingsHandler.encode_domain(domain)
        for encoded in (value, (value, -2), (value, 101), (value, -3), (value, -4)):
            values = dict.fromkeys(names, encoded)
            contexts.append(Context(values=values))
            contexts.append(Context(attributes=attributes, metas=metas, values=values))
    return contexts


@pytest.mark.slow
class TestBadSettings(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, photos, slot_errors):
        self.photos = photos
        self.slot_errors = slot_errors
        self.n_checked = 0
        # Of so many widgets, some would be collected in a thread that is not Qt's.
        gc.disable()
        yield
        gc.enable()

    def test_all_at_once(self):
        for cls in widget_classes():
            for case, value in BAD.items():
                with self.subTest(widget=cls.__name__, case=case):
                    self.check(cls, all_bad(cls, value))

    def test_each(self):
        for cls in widget_classes():
            for name in (*settings_of(cls), *parts_of(cls)):
                for case in ("none", "text", "huge", "list"):
                    with self.subTest(widget=cls.__name__, setting=name, case=case):
                        self.open(cls, {name: BAD[case]}).onDeleteWidget()

    def test_each_of_old_versions(self):
        old = {
            "OWSaveImages": [
                "file_format_index", "scale_index", "image_attr_current_index"
            ],
            "OWImageEmbedding": ["cb_embedder_current_id", "cb_image_attr_current_id"],
            "OWImageGrid": ["cell_fit", "imageAttr"],
            "OWImageViewer": ["imageSize", "titleAttr", "imageAttr"],
            "OWImportImages": ["recent_paths"],
        }  # fmt: skip
        for cls in widget_classes():
            for case, value in FEW.items():
                with self.subTest(widget=cls.__name__, case=case):
                    stored = dict.fromkeys(old.get(cls.__name__, ()), value)
                    self.check(cls, {VERSION_KEY: 1, **stored})

    def test_defaults_of_the_user(self):
        for cls in widget_classes():
            for case, value in FEW.items():
                with self.subTest(widget=cls.__name__, case=case):
                    before = cls.settingsHandler.defaults
                    cls.settingsHandler.defaults = all_bad(cls, value)
                    try:
                        self.check(cls, None)
                    finally:
                        cls.settingsHandler.defaults = before

    def test_contexts(self):
        for cls in widget_classes():
            for case, value in FEW.items():
                with self.subTest(widget=cls.__name__, case=case):
                    self.check(cls, {"context_settings": value})
                    contexts = bad_contexts(cls, value, data_of(self.photos).domain)
                    self.check(cls, {"context_settings": contexts})

    def open(self, cls, stored):
        if stored is not None:
            stored = {VERSION_KEY: cls.settings_version, **stored}
        widget = self.create_widget(cls, stored_settings=stored)
        assert not self.slot_errors, self.slot_errors
        for name, setting in settings_of(cls).items():
            assert is_valid(setting, getattr(widget, name)), name
        for part, provider in parts_of(cls).items():
            for name, setting in provider.settings.items():
                value = getattr(getattr(widget, part), name)
                assert is_valid(setting, value), (part, name)
        return widget

    def check(self, cls, stored):
        """It opens with the defaults, works, and saves what it can open again."""
        widget = self.open(cls, stored)
        for signal in cls.get_signals("inputs"):
            if signal.name in ("Data", "Images"):
                self.send_signal(signal.name, data_of(self.photos), widget=widget)
        self.wait_until_finished(widget, timeout=PATIENCE)
        self.process_events()
        assert not [m for m in widget.Error.active if "unexpected" in str(m)]
        widget.send_report()
        packed = cls.settingsHandler.pack_data(widget)
        widget.onDeleteWidget()
        self.open(cls, packed).onDeleteWidget()
        self.n_checked += 1
        if self.n_checked % 25 == 0:
            gc.collect()


def test_no_setting_hides_what_qt_has():
    for cls in widget_classes():
        for name in settings_of(cls):
            assert not hasattr(QDialog, name), (cls.__name__, name)
