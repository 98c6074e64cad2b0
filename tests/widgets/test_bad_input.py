"""What a user may connect by mistake; no widget may do more than say so.

Widgets are found, not listed: a new one is tested as soon as there is a module.
"""

import numpy as np
import pytest
from all_widgets import table, widget_classes
from helpers import PATIENCE
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    Table,
)
from Orange.widgets.tests.base import WidgetTest
from scipy import sparse


class Subclass(Table):
    """As other add-ons have: text, spectra, time series."""


def no_images():
    return table(["some words", "/no/such/file.png", "http://", "\0", "data:,x", "."])


def all_missing():
    return table(["", None, np.nan])


def empty():
    return table([])


def subclass(photos):
    return table(photos, cls=Subclass)


def sparse_data(photos):
    attributes = [ContinuousVariable("a"), ContinuousVariable("b")]
    return table(photos, attributes, X=sparse.csr_matrix(np.eye(len(photos), 2)))


def categorical(photos):
    variable = DiscreteVariable("image", values=[*photos, "nowhere.png"])
    variable.attributes["type"] = "image"
    domain = Domain([], None, [variable])
    metas = np.array([[0], [len(photos)], [np.nan]], dtype=object)
    return Table.from_numpy(domain, np.empty((3, 0)), metas=metas)


def same_names(photos):
    """Columns named as those that widgets add."""
    names = ["n0", "n1", "Selected"]
    attributes = [ContinuousVariable(name) for name in names]
    return table(photos, attributes, X=np.ones((len(photos), 3)))


CASES = {
    "nothing": lambda _: None,
    "empty": lambda _: empty(),
    "empty_iris": lambda _: Table("iris")[:0],
    "iris": lambda _: Table("iris"),
    "zoo": lambda _: Table("zoo"),
    "no_images": lambda _: no_images(),
    "all_missing": lambda _: all_missing(),
    "subclass": subclass,
    "sparse": sparse_data,
    "categorical": categorical,
    "same_names": same_names,
}
# How many of the six images, where there are any, a widget should take.
GOOD = {"subclass": 6, "sparse": 6, "categorical": 1, "same_names": 6}


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
        unexpected = [m for m in widget.Error.active if "unexpected" in str(m)]
        assert not unexpected
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
