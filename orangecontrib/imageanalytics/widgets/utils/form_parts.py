"""Parts of forms that look the same in all windows."""

import html
from collections.abc import Callable

from AnyQt.QtCore import Qt
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QWidget,
)
from Orange.widgets import gui
from Orange.widgets.widget import OWWidget


def auto_send(owner: OWWidget, setting: str) -> QWidget:
    """
    Add the button that sends what is selected, also automatically.

    It is that of `Orange.widgets.gui.auto_send`, whose texts have no translation into
    the languages that only this add-on has.

    Parameters
    ----------
    owner : OWWidget
        Has the deferred method ``commit``.
    setting : str
        Name of the setting that says whether it is sent automatically.

    Returns
    -------
    QWidget
        With the attributes ``button`` and ``checkbox``.
    """
    return gui.auto_commit(
        owner.buttonsArea, owner, setting, "Send Selection", "Send Automatically"
    )


class FittingStack(QStackedWidget):
    """Pages whose size depends only on the one that is shown."""

    def sizeHint(self):
        """As the page that is shown."""
        return self.currentWidget().sizeHint()

    def minimumSizeHint(self):
        """As the page that is shown."""
        return self.currentWidget().minimumSizeHint()

    def setCurrentIndex(self, index: int):
        """Show another page."""
        super().setCurrentIndex(index)
        self.updateGeometry()


class _ScrollArea(QScrollArea):
    """Follows the size of its widget, which that of Qt measures only once."""

    def sizeHint(self):
        return self.widget().sizeHint()


def scrolling(widget: QWidget) -> QScrollArea:
    """As high as it has to be, or as there is room."""
    area = _ScrollArea(widgetResizable=True, frameShape=QScrollArea.NoFrame)
    area.setWidget(widget)
    area.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
    area.viewport().setAutoFillBackground(False)
    widget.setAutoFillBackground(False)
    return area


def text_label(text="") -> QLabel:
    """Text in several lines that can be selected."""
    label = QLabel(text, wordWrap=True)
    label.setTextInteractionFlags(
        Qt.TextSelectableByMouse | Qt.TextSelectableByKeyboard
    )
    label.setFocusPolicy(Qt.ClickFocus)
    return label


def as_html(text: str) -> str:
    """A text for labels that may show others with links.

    With a tag, Qt shows it as rich text and decodes escaped characters.
    """
    return f"<p>{html.escape(text)}</p>"


def show_placeholder(edit: QLineEdit | QPlainTextEdit | QComboBox):
    """In a colour that is seen with dark themes, too, which do not set it."""
    palette = edit.palette()
    color = palette.color(QPalette.Text)
    color.setAlphaF(0.5)
    palette.setColor(QPalette.PlaceholderText, color)
    edit.setPalette(palette)


def error_color(palette: QPalette) -> str:
    """A red in which text can be read on the background of a palette."""
    is_dark = palette.color(QPalette.Base).lightnessF() < 0.5
    return "#ff8a80" if is_dark else "#c62828"


def readable(palette: QPalette) -> QPalette:
    """A palette in which disabled fields are still readable."""
    palette = QPalette(palette)
    for role in (QPalette.Text, QPalette.WindowText, QPalette.ButtonText):
        color = palette.color(QPalette.Active, role)
        palette.setColor(QPalette.Disabled, role, color)
    return palette


def combo_of(choices) -> QComboBox:
    """Of pairs of a text and a value."""
    combo = QComboBox()
    for text, value in choices:
        combo.addItem(text, value)
    return combo


def setting_combo(
    owner, setting: str, choices, chosen: Callable[[], None]
) -> QComboBox:
    """
    The choice of a setting, of pairs of a text and a value.

    Parameters
    ----------
    owner : OWWidget
        Has the setting.
    setting : str
        Its name.
    choices : iterable of (str, object)
    chosen : callable
        Called after the user has chosen another value.
    """
    combo = combo_of(choices)
    combo.setCurrentIndex(combo.findData(getattr(owner, setting)))

    def choose(index):
        value = combo.itemData(index)
        if value != getattr(owner, setting):
            setattr(owner, setting, value)
            chosen()

    combo.activated.connect(choose)
    return combo


def three_numbers(name, lowest) -> tuple[list[QDoubleSpinBox], QHBoxLayout]:
    """One a channel, in a row."""
    row, spins = QHBoxLayout(), []
    for number in ("first", "second", "third"):
        spin = QDoubleSpinBox(minimum=lowest, maximum=255, decimals=4)
        spin.setButtonSymbols(QDoubleSpinBox.NoButtons)
        spin.setAlignment(Qt.AlignRight)
        spin.setAccessibleName(f"{name} of the {number} channel")
        spins.append(spin)
        row.addWidget(spin)
    row.addStretch()
    return spins, row


def at_the_left(widget) -> QHBoxLayout:
    """At the left and no wider than it has to be."""
    widget.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
    row = QHBoxLayout()
    row.addWidget(widget)
    row.addStretch()
    return row


def wrap(label: QLabel) -> None:
    """Break a long text into lines instead of making the window wider for it."""
    label.setWordWrap(True)
    # Else it does for a long word, which is cut off instead.
    label.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Preferred)


def narrow(combo: QComboBox, letters: int = 12) -> None:
    """Cut off long names in a list instead of making the window wider for them."""
    combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
    combo.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(letters)
