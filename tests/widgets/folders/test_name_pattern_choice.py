import threading

import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest

from orangecontrib.imageanalytics.widgets.folders import name_pattern_choice as module
from orangecontrib.imageanalytics.widgets.folders.name_pattern_choice import (
    NamePatternChoice,
)

NAMES = ["cat_1.jpg", "dog_1.jpg", "cat_2.jpg", "notes <1>.jpg"]


@pytest.fixture
def choice():
    choice = NamePatternChoice()
    choice.show()
    choice.told = []
    choice.changed.connect(choice.told.append)
    yield choice
    choice.close_threads()
    choice.close()
    choice.deleteLater()


def rows(choice):
    items = map(choice.preview.topLevelItem, range(choice.preview.topLevelItemCount()))
    return [(item.text(0), item.text(1), item.text(2)) for item in items]


def pick(choice, preset):
    choice.combo.setCurrentIndex(choice.combo.findData(preset))
    choice.combo.activated.emit(choice.combo.currentIndex())


def test_preview(choice, until):
    choice.set_names(NAMES)
    until(lambda: rows(choice))
    assert rows(choice) == [
        ("cat", "2", "cat_1.jpg"),
        ("dog", "1", "dog_1.jpg"),
        ("notes <", "1", "notes <1>.jpg"),
    ]
    assert choice.summary.text() == "3 categories"
    choice.set_pattern("{class}_*")
    until(lambda: len(rows(choice)) == 2)
    summary = choice.summary.text()
    assert "1 of 4 names</a> without a category, such as notes &lt;1&gt;" in summary
    asked = []
    choice.unmatched_asked.connect(asked.append)
    choice.summary.linkActivated.emit("#")
    assert asked == [["notes <1>.jpg"]]
    assert choice.told == []


def test_without_names(choice, until):
    assert "When there are images" in choice.summary.text()
    choice.set_pattern("cat")
    until(lambda: choice.problem.text())


def test_presets_and_patterns(choice, until):
    choice.set_names(NAMES)
    assert not choice.field.isVisible()
    pick(choice, "before-number")
    until(lambda: choice.told == ["before-number"])
    assert choice.text == "Text before the number at the end"
    pick(choice, "")
    assert choice.field.isVisible() and choice.field.text() == "{class}_*"
    until(lambda: choice.told[1:] == ["{class}_*"])
    assert choice.text == "{class}_*"
    # The field keeps what was typed.
    choice.field.setText("{class}-*")
    pick(choice, "start")
    until(lambda: choice.told[2:] == ["start"])
    pick(choice, "")
    until(lambda: choice.told[3:] == ["{class}-*"])


def test_typing(choice, until):
    choice.set_names(NAMES)
    choice.set_pattern("{class}_*")
    choice.field.clear()
    QTest.keyClicks(choice.field, "{class")
    until(lambda: choice.problem.text())
    assert choice.problem.isVisible() and rows(choice) == []
    QTest.keyClick(choice.field, Qt.Key_Return)
    QTest.keyClicks(choice.field, "}_")
    until(lambda: choice.problem.text() == "")
    QTest.keyClicks(choice.field, "#")
    until(lambda: len(rows(choice)) == 2)
    assert choice.told == []
    QTest.keyClick(choice.field, Qt.Key_Return)
    until(lambda: choice.told == ["{class}_#"])
    # Nothing was changed since.
    choice.field.editingFinished.emit()
    assert not choice._trying.busy


def test_a_pattern_that_takes_too_long_is_told(choice, until):
    choice.set_names([200 * "a" + ".jpg"])
    choice.set_pattern("{class}_*")
    choice.field.setText("(?P<class>(?R)*a)")
    choice.field.editingFinished.emit()
    until(lambda: "takes too long" in choice.problem.text())
    assert choice.told == []


def test_typing_gives_up_what_was_begun(choice, until, monkeypatch):
    begun, ended = [], []
    count = module.count_classes

    def wait(pattern, names, cancelled):
        begun.append(pattern)
        if len(begun) == 1:
            ended.append(cancelled.__self__.wait(20))
        return count(pattern, names, cancelled)

    monkeypatch.setattr(module, "count_classes", wait)
    choice.set_names(NAMES)
    until(lambda: begun)
    choice.set_pattern("{class}_*")
    until(lambda: len(rows(choice)) == 2)
    assert ended == [True]


def test_names_that_come_in_after_the_pattern_was_entered(choice, until):
    choice.set_names(NAMES)
    choice.set_pattern("{class}_*")
    choice.field.setText("{class}_#")
    choice.field.editingFinished.emit()
    choice.set_names(NAMES[:2])
    until(lambda: choice.told == ["{class}_#"])


def test_many_classes(choice, until, monkeypatch):
    monkeypatch.setattr(module, "_MOST_CLASSES", 3)
    choice.set_names([f"{letter}1.jpg" for letter in "abcdef"])
    until(lambda: rows(choice))
    assert len(rows(choice)) == 3
    assert choice.summary.text() == "6 categories"


def test_nothing_is_tried_in_this_thread(choice, until, monkeypatch):
    threads = set()

    class Pattern(module.NamePattern):
        def __init__(self, text):
            threads.add(threading.get_ident())
            super().__init__(text)

    monkeypatch.setattr(module, "NamePattern", Pattern)
    choice.set_names(NAMES)
    choice.set_pattern("{class}_*")
    pick(choice, "start")
    until(lambda: choice.told)
    assert threads and threading.get_ident() not in threads
