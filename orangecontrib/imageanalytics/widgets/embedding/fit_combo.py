"""The choice of how an image is fitted into the square that the network sees."""

from AnyQt.QtCore import Signal

from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice, Facts
from orangecontrib.imageanalytics.widgets.embedding.option_control import OptionControl
from orangecontrib.imageanalytics.widgets.utils.two_texts import DetailedCombo

#: The name and the effect of each fit.
FIT_TEXTS = {
    "crop": ("Crop", "the middle square"),
    "stretch": ("Stretch", "all of it, squeezed"),
    "pad": ("Pad", "all of it, with margins"),
}
#: The default, by the fit that the network was trained with; empty if not known.
AS_TRAINED = {
    "": "As trained",
    "crop": "As trained (crop)",
    "stretch": "As trained (stretch)",
    "pad": "As trained (pad)",
}
TIP = """\
<p>How an image is fitted into the square that the network sees.</p>
<p>Crop takes the middle square, which suits photos; images from microscopes and
scanners lose their edges. Stretch and Pad keep the whole image.</p>"""


class FitCombo(OptionControl, DetailedCombo):
    """The fits; an empty value stands for the one that the network was trained with."""

    #: The user has chosen another.
    chosen = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setToolTip(TIP)
        self.add(AS_TRAINED[""], "")
        for fit, (text, details) in FIT_TEXTS.items():
            self.add(text, fit, details)
        self.activated.connect(lambda index: self.chosen.emit(self.itemData(index)))

    def set_value(self, value: str) -> None:
        """As `OptionControl.set_value`."""
        self.choose(value)

    @property
    def text(self) -> str:
        """The choice, for reports."""
        return self.currentText()

    def show_network(self, choice: Choice, facts: Facts | None) -> None:
        """Say what the network was trained with."""
        fit = "" if facts is None else facts.network.preprocessing.fit
        self.setItemText(0, AS_TRAINED[fit])
        self.describe(0, "")
