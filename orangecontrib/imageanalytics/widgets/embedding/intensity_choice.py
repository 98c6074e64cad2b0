"""The choice of which numbers in an image are black and which white."""

from AnyQt.QtCore import Signal
from AnyQt.QtGui import QDoubleValidator
from AnyQt.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QWidget

from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    FULL,
    Intensity,
    as_intensity,
    intensity_text,
)
from orangecontrib.imageanalytics.widgets.embedding.option_control import OptionControl
from orangecontrib.imageanalytics.widgets.utils.form_parts import combo_of, error_color

CHOICES = (("Automatic", AUTOMATIC), ("Full range", FULL), ("From … to …", ""))
DEFAULT_RANGE = 0.0, 4095.0
TIP = """\
<p>Which numbers are black and which white, in images of more than 8 bits.</p>
<p>Automatic takes the range that the file declares, or that nearly all of its numbers
lie in. Give both ends if images are to be compared by brightness; they also hold for
images of 8 bits, whose numbers go from 0 to 255.</p>"""


def is_intensity(value: str) -> bool:
    """Whether a text is one that `intensity_text` could have written."""
    try:
        as_intensity(value)
    except ValueError:
        return False
    return True


class IntensityChoice(OptionControl, QWidget):
    """A list of choices, and two fields for the ends of a range.

    The value is a text in the form of `intensity_text`.
    """

    #: The user has chosen another.
    chosen = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._intensity: Intensity = AUTOMATIC
        self.combo = combo_of(CHOICES)
        self.combo.setToolTip(TIP)
        self.combo.activated.connect(self._choose)
        self.ends = [self._make_field(name) for name in ("black", "white")]
        self._to = QLabel("to")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo, 1)
        for part in (self.ends[0], self._to, self.ends[1]):
            layout.addWidget(part)
        self.setFocusProxy(self.combo)
        self.set_value(AUTOMATIC)

    def _make_field(self, colour: str) -> QLineEdit:
        field = QLineEdit(toolTip=f"This number, and what is beyond, is {colour}")
        field.setAccessibleName(f"Number that is {colour}")
        field.setValidator(QDoubleValidator(field))
        # Wide enough for the numbers of 16 bits, with a sign.
        field.setFixedWidth(field.fontMetrics().horizontalAdvance("-000000.0") + 8)
        field.editingFinished.connect(self._read_ends)
        field.textEdited.connect(self._mark)
        return field

    def set_value(self, value: str) -> None:
        """As `OptionControl.set_value`."""
        self._show(as_intensity(value))

    def _show(self, intensity: Intensity) -> None:
        self._intensity = intensity
        is_range = isinstance(intensity, tuple)
        self.combo.setCurrentIndex(
            len(CHOICES) - 1 if is_range else self.combo.findData(intensity)
        )
        for field, end in zip(
            self.ends, intensity if is_range else DEFAULT_RANGE, strict=True
        ):
            field.setText(field.locale().toString(float(end), "g", 12))
        for part in (*self.ends, self._to):
            part.setVisible(is_range)
        self._mark()

    @property
    def text(self) -> str:
        """The choice, for reports."""
        if isinstance(self._intensity, tuple):
            return "from {:g} to {:g}".format(*self._intensity)
        return self.combo.currentText()

    def _choose(self, index: int) -> None:
        value = self.combo.itemData(index)
        is_range = isinstance(self._intensity, tuple)
        if not value:
            value = self._intensity if is_range else DEFAULT_RANGE
        self._change(value)

    def _entered(self) -> Intensity | None:
        locale = self.locale()
        numbers = [locale.toDouble(field.text()) for field in self.ends]
        if not all(is_number for _, is_number in numbers):
            return None
        try:
            return as_intensity(tuple(number for number, _ in numbers))
        except ValueError:
            return None

    def _read_ends(self) -> None:
        entered = self._entered()
        if entered is not None:
            self._change(entered)

    def _change(self, intensity: Intensity) -> None:
        if intensity != self._intensity:
            self._show(intensity)
            self.chosen.emit(intensity_text(intensity))

    def _mark(self) -> None:
        """Show the ends in red unless they are a valid range."""
        is_range = self._entered() is not None
        style = "" if is_range else f"color: {error_color(self.palette())}"
        for field in self.ends:
            field.setStyleSheet(style)
