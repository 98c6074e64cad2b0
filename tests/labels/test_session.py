"""Classes, labels and undo."""

import numpy as np
import pytest

from orangecontrib.imageanalytics.labels import NO_CLASS, LabelClass, LabelSession
from orangecontrib.imageanalytics.labels.colors import COLORS
from orangecontrib.imageanalytics.labels.history import MOST_STEPS


@pytest.fixture
def session():
    session = LabelSession(5)
    session.add_class("cat")
    session.add_class("dog")
    return session


def test_classes(session):
    assert [c.name for c in session.classes.values()] == ["cat", "dog"]
    assert [c.color for c in session.classes.values()] == list(COLORS[:2])
    assert session.number_of("dog") == 1
    session.rename_class(1, "  big   dog ")
    assert session.classes[1].name == "big dog"
    session.recolor_class(1, "#010203")
    assert session.classes[1].color == "#010203"
    for name, number in (("", None), (" ", 0), ("cat", None), ("cat", 1)):
        with pytest.raises(ValueError):
            if number is None:
                session.add_class(name)
            else:
                session.rename_class(number, name)


def test_numbers_are_not_used_again(session):
    session.label([0], 0)
    session.label([1], 1)
    session.remove_class(0)
    assert session.labels.tolist() == [NO_CLASS, 1, NO_CLASS, NO_CLASS, NO_CLASS]
    assert session.add_class("horse") == 2
    session.undo()
    session.undo()
    assert session.labels[0] == 0


def test_labels(session):
    session.label([0, 3], 1)
    session.label_each([3, 4], [0, 1])
    session.skip([0, 1])
    assert session.labels.tolist() == [1, NO_CLASS, NO_CLASS, 0, 1]
    assert session.skipped.tolist() == [False, True, False, False, False]
    assert session.counts() == {0: 1, 1: 2}
    assert session.n_labeled == 3
    session.label([1], 0)
    assert not session.skipped.any()
    with pytest.raises(KeyError):
        session.label([0], 7)
    with pytest.raises(ValueError):
        session.labels[0] = 1


def test_undo(session):
    states = [(session.labels.tolist(), dict(session.classes))]
    for change in (
        lambda: session.label([0], 0),
        lambda: session.label([1, 2], 1),
        lambda: session.remove_class(0),
        lambda: session.recolor_class(1, "#000000"),
    ):
        change()
        states.append((session.labels.tolist(), dict(session.classes)))
    assert session.undo_text == "Color of class dog"
    for labels, classes in reversed(states[:-1]):
        assert session.undo()
        assert (session.labels.tolist(), session.classes) == (labels, classes)
    for labels, classes in states[1:]:
        assert session.redo()
        assert (session.labels.tolist(), session.classes) == (labels, classes)
    assert session.redo() == "" == session.redo_text


def test_what_changes_nothing_is_no_step(session):
    session.label([0], 0)
    session.undo()
    session.label([1], NO_CLASS)
    session.skip([])
    assert session.redo_text == "Label 1 image"


def test_steps_say_how_many_images(session):
    session.label([0, 1], 0)
    assert session.undo_text == "Label 2 images"
    session.skip([2])
    assert session.undo_text == "Skip 1 image"
    session.take([], {3: "cat"})
    assert session.undo_text == "Take over 1 image"


def test_take(session):
    session.label([0], 0)
    horse = LabelClass("horse", "#112233")
    names = {0: "dog", 1: "horse", 2: "cow"}
    assert session.take([horse], names, [3, 2]) == 2
    classes = session.classes
    given = [classes[n].name if n != NO_CLASS else "" for n in session.labels.tolist()]
    assert given == ["cat", "horse", "cow", "", ""]
    assert classes[session.number_of("horse")] == horse
    assert session.skipped.tolist() == [False, False, False, True, False]
    assert session.take([], names, overwrite=True) == 1
    assert session.labels[0] == 1
    session.undo()
    session.undo()
    assert list(session.classes) == [0, 1]


def test_copies_do_not_follow(session):
    copy = session.copy()
    session.label([0], 0)
    assert copy.n_labeled == 0 and copy.classes == session.classes
    assert copy.undo_text == ""
    session.forget_steps()
    assert session.undo() == ""
    assert session.n_labeled == 1


def test_empty():
    session = LabelSession(0, [LabelClass("cat", "#000000")])
    session.label([], 0)
    assert session.counts() == {0: 0}
    assert np.array_equal(session.labels, [])


def test_steps_do_not_fill_the_memory():
    session = LabelSession(1)
    session.add_class("cat")
    for _ in range(MOST_STEPS):
        session.label([0], 0)
        session.label([0], NO_CLASS)
    undone = 0
    while session.undo():
        undone += 1
    assert undone == MOST_STEPS
    assert len(session.classes) == 1  # that was too long ago
