"""The list of classes."""

import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtGui import QColor
from AnyQt.QtWidgets import QColorDialog

from orangecontrib.imageanalytics.labels import LabelClass
from orangecontrib.imageanalytics.widgets.labelling.class_list import ClassList
from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS


@pytest.fixture
def classes():
    classes = ClassList()
    yield classes
    classes.deleteLater()


def given(count):
    return {
        number + 5: LabelClass(f"kind {number}", "#0072b2") for number in range(count)
    }


def test_texts(classes):
    classes.show_classes(given(11), {5: 1200}, {5: 3})
    model = classes.view.model()
    assert model.item(0).text() == "1   kind 0"
    assert model.item(0).data(DETAILS) == "1,200 + 3?"
    assert model.item(1).data(DETAILS) == "0"
    spoken = model.item(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert "1,200 labelled, 3 proposed" in spoken
    assert model.item(10).text().endswith("kind 10")
    assert "press" not in model.item(9).toolTip()
    assert classes.number_of_key(9) == 13
    assert classes.number_of_key(10) is None


def test_the_current_class_stays(classes):
    classes.show_classes(given(3), {}, {})
    classes.view.setCurrentIndex(classes.view.model().index(1, 0))
    classes.show_classes(
        {number: c for number, c in given(3).items() if number > 5}, {}, {}
    )
    assert classes.current() == 6
    classes.show_classes({}, {}, {})
    assert classes.current() is None
    assert not classes.remove_button.isEnabled()
    classes.remove_button.click()


def test_color(classes, monkeypatch):
    chosen = []
    classes.recolored.connect(lambda *change: chosen.append(change))
    classes.show_classes(given(1), {}, {})
    for color in (QColor(), QColor("#010203")):
        monkeypatch.setattr(QColorDialog, "getColor", lambda *_, color=color: color)
        classes.color_button.click()
    assert chosen == [(5, "#010203")]


def test_names_that_look_like_markup(classes):
    classes.show_classes({0: LabelClass("<b>x</b>", "#000000")}, {}, {})
    assert "&lt;b&gt;" in classes.view.model().item(0).toolTip()
