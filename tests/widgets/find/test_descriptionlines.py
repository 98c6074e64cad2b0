import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest

from orangecontrib.imageanalytics.widgets.find.descriptionlines import (
    MOST_SEEN,
    DescriptionLines,
)


@pytest.fixture
def lines():
    lines = DescriptionLines()
    lines.changes = []
    lines.changed.connect(lambda: lines.changes.append(lines.lines))
    lines.show()
    yield lines
    lines.close()


def test_one_line_has_no_weight(lines):
    (part,) = lines.parts
    assert lines.lines == [("", 1.0, False)]
    assert part.weight.isHidden()
    assert part.remove_button.isHidden()


def test_typing(lines):
    QTest.keyClicks(lines.parts[0].edit, "dog")
    assert [text for ((text, *_),) in lines.changes] == ["d", "do", "dog"]
    entered = []
    lines.entered.connect(lambda: entered.append(True))
    QTest.keyClick(lines.parts[0].edit, Qt.Key.Key_Return)
    assert entered == [True]


def test_another_line(lines):
    lines.add()
    assert len(lines.parts) == 1  # the empty one is there already
    lines.parts[0].edit.setText("a dog")
    lines.add()
    first, second = lines.parts
    assert not first.weight.isHidden()
    second.negative.click()
    second.edit.setText("a drawing")
    second.weight.setValue(2.5)
    assert lines.changes[-1] == [("a dog", 1.0, False), ("a drawing", 2.5, True)]
    assert second.weight.accessibleName() == "Weight of description 2"


def test_removing(lines):
    lines.set_lines([(text, 1.0, False) for text in "abc"])
    assert lines.changes == []
    lines.parts[1].remove_button.click()
    assert [text for text, *_ in lines.lines] == ["a", "c"]
    assert lines.parts[1].edit.accessibleName() == "Description 2"
    lines.parts[0].remove_button.click()
    assert lines.parts[0].weight.isHidden()
    assert lines.lines == [("c", 1.0, False)]


def test_height(lines):
    heights = []
    for count in (1, 2, MOST_SEEN, MOST_SEEN + 3):
        lines.set_lines([("x", 1.0, False)] * count)
        heights.append(lines.sizeHint().height())
    assert heights[0] < heights[1] < heights[2] == heights[3]
