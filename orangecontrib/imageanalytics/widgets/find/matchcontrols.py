"""How many images are matches, from which score, and which belong to no class."""

from __future__ import annotations

import bisect
import math

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QWidget,
)

from orangecontrib.imageanalytics.widgets.utils.form_parts import combo_of, narrow

BEST, SCORE = "best", "score"
LIMITS = (("The best", BEST), ("From a score", SCORE))
#: Numbers of images that the slider has.
COUNTS = (
    *range(1, 11), 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300,
    400, 500, 600, 800, 1000, 1500, 2000, 3000, 5000, 10_000,
)  # fmt: skip
#: Steps of the slider for scores, in the score 1.
STEPS = 1000


class LabelledSlider(QWidget):
    """
    A slider, and its value as a text.

    Parameters
    ----------
    name : str
        What it is for.
    tip : str
        The same in a sentence.
    widest : str
        The longest text.
    """

    #: The user has moved it.
    moved = Signal(int)

    def __init__(self, name: str, tip: str, widest: str):
        super().__init__()
        self.slider = QSlider(Qt.Horizontal)
        self.slider.setAccessibleName(name)
        self.slider.setToolTip(tip)
        self.slider.valueChanged.connect(self._on_moved)
        self.label = QLabel()
        self.label.setAlignment(Qt.AlignRight | Qt.AlignVCenter)
        width = self.label.fontMetrics().horizontalAdvance(widest)
        self.label.setMinimumWidth(width)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.label)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)

    def show_value(self, least: int, most: int, value: int, text: str) -> None:
        """Show a value within a range, without emitting signals."""
        self.slider.blockSignals(True)
        self.slider.setRange(least, most)
        self.slider.setPageStep(max(1, (most - least) // 10))
        self.slider.setValue(value)
        self.slider.blockSignals(False)
        self.show_text(text)

    def show_text(self, text: str) -> None:
        """Show the text of the value."""
        self.label.setText(text)
        self.slider.setAccessibleDescription(text)

    def _on_moved(self, value: int) -> None:
        self.moved.emit(value)


class MatchControls(QWidget):
    """
    The controls that decide which images are matches.

    Parameters
    ----------
    owner : OWWidget
        Has the settings ``limit_by``, ``count``, ``least_score``, which may be None,
        and ``other_below``.
    """

    #: The user has changed how many images match, or from which score.
    limit_changed = Signal()
    #: The user has changed which images belong to no class.
    other_changed = Signal()

    def __init__(self, owner):
        super().__init__()
        self._owner = owner
        self._scores = (0.0, 1.0)
        self.limit_combo = combo_of(LIMITS)
        narrow(self.limit_combo)
        self.limit_combo.setToolTip(
            "Whether a number of images are matches, or all from some score"
        )
        self.limit_combo.setCurrentIndex(self.limit_combo.findData(owner.limit_by))
        self.limit_combo.activated.connect(self._choose_limit)
        self.limit_slider = LabelledSlider(
            "How many images, or from which score",
            "How many images are matches, or what score they have at least",
            "10,000",
        )
        self.limit_slider.moved.connect(self._move_limit)
        self.other_slider = LabelledSlider(
            "Probability of the class at least",
            'Images whose class is less probable than this are called "other"',
            "100%",
        )
        self.other_slider.moved.connect(self._move_other)
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self.form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        self.form.addRow("S&how:", self.limit_combo)
        self.form.addRow("", self.limit_slider)
        self.form.addRow("&Other below:", self.other_slider)
        self.form.labelForField(self.other_slider).setBuddy(self.other_slider.slider)
        self._show_limit()
        self._show_other()

    def show_sorting(self, sorting: bool) -> None:
        """Show the controls for classes, or those for what is found."""
        for field, visible in (
            (self.limit_combo, not sorting),
            (self.limit_slider, not sorting),
            (self.other_slider, sorting),
        ):
            field.setVisible(visible)
            label = self.form.labelForField(field)
            if label is not None:
                label.setVisible(visible)

    def show_scores(self, least: float, most: float) -> None:
        """Say between which numbers the scores are."""
        self._scores = least, most
        self._show_limit()

    def limits(self) -> tuple[int | None, float | None]:
        """The number of images at most, and their score at least; None is no limit."""
        if self._owner.limit_by == BEST:
            return self._owner.count, None
        return None, self._owner.least_score

    def start_from(self, score: float | None) -> None:
        """Say which score continues what is shown, unless one was chosen."""
        if self._owner.least_score is None:
            self._owner.least_score = score
            self._show_limit()

    def report(self) -> str:
        """What is chosen, in words."""
        if self._owner.limit_by == BEST:
            return f"the best {self._owner.count:,}"
        return f"from a score of {self.limit_slider.label.text()}"

    def _show_limit(self) -> None:
        owner = self._owner
        if owner.limit_by == BEST:
            place = bisect.bisect_left(COUNTS, owner.count)
            self.limit_slider.show_value(0, len(COUNTS) - 1, place, f"{owner.count:,}")
            return
        least, most = (math.floor(STEPS * s) for s in self._scores)
        score = owner.least_score
        value = least if score is None else round(STEPS * score)
        # A score that no image has stays what it is, also as the end of the range.
        self.limit_slider.show_value(
            min(least, value), max(most, value), value, f"{value / STEPS:.3f}"
        )

    def _show_other(self) -> None:
        value = round(100 * self._owner.other_below)
        self.other_slider.show_value(0, 100, value, _percent(value))

    def _choose_limit(self, _index: int) -> None:
        limit = self.limit_combo.currentData()
        if limit != self._owner.limit_by:
            self._owner.limit_by = limit
            self._show_limit()
            self.limit_changed.emit()

    def _move_limit(self, value: int) -> None:
        if self._owner.limit_by == BEST:
            self._owner.count = COUNTS[value]
            self.limit_slider.show_text(f"{COUNTS[value]:,}")
        else:
            self._owner.least_score = value / STEPS
            self.limit_slider.show_text(f"{value / STEPS:.3f}")
        self.limit_changed.emit()

    def _move_other(self, value: int) -> None:
        self._owner.other_below = value / 100
        self.other_slider.show_text(_percent(value))
        self.other_changed.emit()


def _percent(value: int) -> str:
    return f"{value}%" if value else "none"
