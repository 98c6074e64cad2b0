"""A base of tests of Label Images, and data for them."""

import numpy as np
import pytest
from all_widgets import table
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from helpers import PATIENCE, make_image
from Orange.data import ContinuousVariable
from Orange.widgets.tests.base import WidgetTest

from orangecontrib.imageanalytics.labels import NO_CLASS
from orangecontrib.imageanalytics.widgets.owlabelimages import OWLabelImages

N_IMAGES = 24
N_FEATURES = 6


def vectors_of(n_images):
    """Two groups of images that differ, first the ones and then the others."""
    rng = np.random.default_rng(0)
    X = rng.normal(0, 0.3, (n_images, N_FEATURES))
    X[: n_images // 2, 0] += 3
    X[n_images // 2 :, 1] += 3
    return X


def embedded(paths, X=None):
    X = vectors_of(len(paths)) if X is None else X
    attributes = [ContinuousVariable(f"n{i}") for i in range(X.shape[1])]
    return table(paths, attributes, X=X)


@pytest.fixture
def image_paths(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for number in range(N_IMAGES):
        path = folder / f"{number:02}.png"
        make_image(number, (24, 24)).save(path)
        paths.append(str(path))
    return paths


class LabelImagesTest(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, image_paths, fresh_cache, tmp_path):
        self.paths, self.tmp_path = image_paths, tmp_path

    def setUp(self):
        self.widget = self.new_widget()

    def new_widget(self, record=None):
        settings = {"order": "given"}
        if record is not None:
            settings["record"] = record
        return self.create_widget(OWLabelImages, stored_settings=settings)

    def settle(self, widget=None):
        widget = widget or self.widget
        self.wait_until_finished(widget, timeout=PATIENCE)
        assert QTest.qWaitFor(
            lambda: widget.task is None and not widget._round_due, PATIENCE
        )
        self.wait_until_finished(widget, timeout=PATIENCE)

    def send(self, data, widget=None, signal="Images"):
        self.send_signal(signal, data, widget=widget or self.widget)
        self.settle(widget)

    def start(self, names=("cat", "dog")):
        self.send(embedded(self.paths))
        for name in names:
            self.widget.add_class(name)
        self.settle()

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.widget.view, key, modifier)
        self.settle()

    def label(self, image, key):
        self.widget.label_sheet.select_images(np.array([image]))
        self.press(key)

    def names(self, widget=None):
        session = (widget or self.widget).session
        classes = session.classes
        return {
            image: classes[number].name
            for image, number in enumerate(session.labels.tolist())
            if number != NO_CLASS
        }
