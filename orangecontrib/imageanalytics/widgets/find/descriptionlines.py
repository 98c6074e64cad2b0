"""Descriptions of images, typed one below another."""

from __future__ import annotations

from collections.abc import Iterable

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.widgets.find.question import (
    GREATEST_WEIGHT,
    LEAST_WEIGHT,
    Line,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    scrolling,
    show_placeholder,
)
from orangecontrib.imageanalytics.widgets.utils.texts import capitalized

#: Lines that are seen without scrolling.
MOST_SEEN = 5
PLACEHOLDER = "Describe images, for example: a cat on a sofa"


class DescriptionLine(QWidget):
    """
    One description: its text, its weight, and whether it is negative.

    Parameters
    ----------
    line : Line
        What it contains.
    """

    #: Something has been changed by the user.
    changed = Signal()
    #: The user has pressed Enter.
    entered = Signal()
    #: The user does not want it.
    removed = Signal()

    def __init__(self, line: Line = ("", 1.0, False)):
        super().__init__()
        text, weight, negative = line
        self.edit = QLineEdit(text, placeholderText=PLACEHOLDER)
        self.edit.setClearButtonEnabled(True)
        self.edit.setMinimumWidth(120)
        self.edit.setAcceptDrops(False)  # files are examples, wherever they are dropped
        show_placeholder(self.edit)
        self.edit.textChanged.connect(lambda _: self.changed.emit())
        self.edit.returnPressed.connect(self.entered)
        self.negative = QCheckBox("Not", checked=bool(negative))
        self.negative.setToolTip("Whether images like this come last instead of first")
        self.negative.toggled.connect(lambda _: self.changed.emit())
        self.weight = QDoubleSpinBox(
            minimum=LEAST_WEIGHT, maximum=GREATEST_WEIGHT, singleStep=0.5, decimals=1
        )
        self.weight.setPrefix("× ")  # noqa: RUF001
        self.weight.setValue(weight)
        self.weight.setToolTip("How much this counts, compared to the others")
        self.weight.valueChanged.connect(lambda _: self.changed.emit())
        self.remove_button = QToolButton(text="✕", toolTip="Remove this description")
        self.remove_button.setFocusPolicy(Qt.StrongFocus)
        self.remove_button.clicked.connect(lambda: self.removed.emit())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.negative, self.edit, self.weight, self.remove_button):
            layout.addWidget(part)

    @property
    def line(self) -> Line:
        """What it contains."""
        return self.edit.text(), self.weight.value(), self.negative.isChecked()

    def set_number(self, number: int, of: int) -> None:
        """Say which one it is; a single one has nothing to be weighed against."""
        named = f"description {number}" if of > 1 else "description"
        self.edit.setAccessibleName(capitalized(named))
        self.negative.setAccessibleName(f"Not, for {named}")
        self.weight.setAccessibleName(f"Weight of {named}")
        self.remove_button.setAccessibleName(f"Remove {named}")
        self.weight.setVisible(of > 1)
        self.remove_button.setVisible(of > 1)


class DescriptionLines(QWidget):
    """Lines with descriptions; there is always at least one."""

    #: Something has been changed by the user.
    changed = Signal()
    #: The user has pressed Enter.
    entered = Signal()

    def __init__(self):
        super().__init__()
        self.parts: list[DescriptionLine] = []
        inside = QWidget()
        self._lines = QVBoxLayout(inside)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(4)
        self._area = scrolling(inside)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._area)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
        self.set_lines([])

    @property
    def lines(self) -> list[Line]:
        """What the lines contain."""
        return [part.line for part in self.parts]

    def set_lines(self, lines: Iterable[Line]) -> None:
        """Replace all lines, without emitting signals."""
        for part in self.parts:
            self._discard(part)
        self.parts = []
        for line in lines:
            self._append(line)
        if not self.parts:
            self._append()
        self._number()

    def add(self) -> None:
        """Add an empty line, or go to the last one if it is empty."""
        if self.parts[-1].edit.text().strip():
            self._append()
            self._number()
            self.changed.emit()
        self.parts[-1].edit.setFocus(Qt.OtherFocusReason)
        self._area.ensureWidgetVisible(self.parts[-1])

    def focus(self) -> None:
        """Go to the first line, and select its text."""
        self.parts[0].edit.setFocus(Qt.ShortcutFocusReason)
        self.parts[0].edit.selectAll()

    def _append(self, line: Line = ("", 1.0, False)) -> None:
        part = DescriptionLine(line)
        part.changed.connect(self.changed)
        part.entered.connect(self.entered)
        part.removed.connect(lambda: self._remove(part))
        self.parts.append(part)
        self._lines.addWidget(part)

    def _remove(self, part: DescriptionLine) -> None:
        place = self.parts.index(part)
        self.parts.remove(part)
        self._discard(part)
        self._number()
        self.parts[max(0, place - 1)].edit.setFocus(Qt.OtherFocusReason)
        self.changed.emit()

    def _discard(self, part: DescriptionLine) -> None:
        self._lines.removeWidget(part)
        part.hide()
        part.deleteLater()

    def _number(self) -> None:
        count = len(self.parts)
        for place, part in enumerate(self.parts):
            part.set_number(place + 1, count)
        seen, gap = min(count, MOST_SEEN), self._lines.spacing()
        height = self.parts[0].sizeHint().height()
        self._area.setFixedHeight(seen * (height + gap) - gap)
