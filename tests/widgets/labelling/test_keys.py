"""Keys that label images."""

import pytest
from AnyQt.QtCore import QEvent, Qt
from AnyQt.QtGui import QKeyEvent
from AnyQt.QtWidgets import QApplication, QWidget

from orangecontrib.imageanalytics.widgets.labelling.keys import LabelKeys

Keys, Modifiers = Qt.Key, Qt.KeyboardModifier


@pytest.fixture
def pressed():
    """A function that presses a key; it gives what the view is told."""
    view = QWidget()
    keys, told = LabelKeys(view), []
    keys.digit.connect(told.append)
    for name in ("skip", "accept", "clear", "preview"):
        getattr(keys, name).connect(lambda name=name: told.append(name))

    def press(key, text="", modifiers=Modifiers.NoModifier, repeated=False):
        told.clear()
        kind = QEvent.Type.KeyPress
        QApplication.sendEvent(view, QKeyEvent(kind, key, modifiers, text, repeated))
        return list(told)

    yield press
    view.deleteLater()


def test_keys(pressed):
    assert pressed(Keys.Key_1, "1") == [1]
    assert pressed(Keys.Key_9, "9", Modifiers.KeypadModifier) == [9]
    # A French keyboard needs Shift.
    assert pressed(Keys.Key_Ampersand, "2", Modifiers.ShiftModifier) == [2]
    assert pressed(Keys.Key_0, "0") == []
    assert pressed(Keys.Key_1, "1", Modifiers.ControlModifier) == []
    assert pressed(Keys.Key_Space, " ") == ["skip"]
    assert pressed(Keys.Key_Delete) == ["clear"]
    assert pressed(Keys.Key_Backspace) == ["clear"]
    assert pressed(Keys.Key_P, "p") == ["preview"]
    assert pressed(Keys.Key_Left) == []


def test_a_key_that_is_held_does_not_accept_unseen_screens(pressed):
    assert pressed(Keys.Key_Return) == ["accept"]
    assert pressed(Keys.Key_Return, repeated=True) == []
    assert pressed(Keys.Key_Enter, modifiers=Modifiers.KeypadModifier) == ["accept"]
