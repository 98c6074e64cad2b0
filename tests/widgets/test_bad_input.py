"""What a user may connect by mistake; no widget may do more than say so.

Widgets are found, not listed: a new one is tested as soon as there is a module.
"""

import pytest
from all_widgets import BAD_CASES as CASES
from all_widgets import GOOD, widget_classes
from helpers import PATIENCE
from Orange.data import Table
from Orange.widgets.tests.base import WidgetTest


def test_widgets_are_found():
    names = {cls.__name__ for cls in widget_classes()}
    assert {"OWImportImages", "OWImageEmbedding"} <= names


class TestBadInput(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, photos):
        self.photos = photos

    def test_all(self):
        for cls in widget_classes():
            inputs = cls.get_signals("inputs")
            for case, make in CASES.items():
                for signal in inputs:
                    if issubclass(Table, signal.type):
                        with self.subTest(widget=cls.__name__, case=case):
                            self.check(cls, signal, make(self.photos))

    def check(self, cls, signal, data):
        widget = self.create_widget(cls)
        self.send_signal(signal.name, data, widget=widget)
        self.wait_until_finished(widget, timeout=PATIENCE)
        self.process_events()
        # "Unexpected" errors are for what nobody thought of.
        for name in dir(widget.Error):
            if name.startswith("unexpected"):
                message = getattr(widget.Error, name)
                assert not message.is_shown(), message.formatted
        widget.send_report()
        self.send_signal(signal.name, None, widget=widget)
        self.wait_until_finished(widget, timeout=PATIENCE)
        for output in cls.get_signals("outputs"):
            assert self.get_output(output.name, widget) is None
        widget.onDeleteWidget()

    def test_good_part_is_embedded(self):
        from orangecontrib.imageanalytics.widgets.owimageembedding import (
            OWImageEmbedding,
        )

        for case, n_good in GOOD.items():
            with self.subTest(case=case):
                widget = self.create_widget(OWImageEmbedding)
                data = CASES[case](self.photos)
                self.send_signal("Images", data, widget=widget)
                self.wait_until_finished(widget, timeout=PATIENCE)
                embedded = self.get_output("Embeddings", widget)
                assert len(embedded) == n_good
                assert isinstance(embedded, type(data))
                names = [a.name for a in embedded.domain.attributes]
                assert len(set(names)) == len(names)
