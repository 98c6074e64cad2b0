"""The options of embedding, each with its setting, control and argument.

An option is a field of `EmbeddingSpec`. To offer a new one, add a line to `OPTIONS`:
Image Embedding gets the setting and the control from there, passes the value to
`ImageEmbedder` and lists it in reports.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from AnyQt.QtCore import QObject, Signal
from AnyQt.QtWidgets import QFormLayout
from Orange.widgets.settings import Setting
from Orange.widgets.widget import OWWidget

from orangecontrib.imageanalytics.images.intensity import AUTOMATIC
from orangecontrib.imageanalytics.networks.preprocessing import FITS
from orangecontrib.imageanalytics.widgets.embedding.fit_combo import FitCombo
from orangecontrib.imageanalytics.widgets.embedding.intensity_choice import (
    IntensityChoice,
    is_intensity,
)
from orangecontrib.imageanalytics.widgets.embedding.layer_combo import LayerCombo
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice, Facts
from orangecontrib.imageanalytics.widgets.embedding.option_control import OptionControl
from orangecontrib.imageanalytics.widgets.utils.checked_settings import one_of


@dataclass(frozen=True)
class Option:
    """
    An option of embedding.

    Attributes
    ----------
    name : str
        Name of the field of `EmbeddingSpec`, which is also that of the argument of
        `ImageEmbedder` and of the setting.
    label : str
        Label of the control, with its shortcut key.
    control : type of OptionControl
    default : str
        Default of the setting; an empty text leaves the choice to the network.
    valid : callable, optional
        Whether a text is a usable value; by default all are.
    """

    name: str
    label: str
    control: type[OptionControl]
    default: str = ""
    valid: Callable[[str], bool] | None = None


OPTIONS = (
    Option("layer", "&Layer:", LayerCombo),
    Option("fit", "&Fit:", FitCombo, valid=one_of("", *FITS)),
    Option("intensity", "&Intensity:", IntensityChoice, AUTOMATIC, is_intensity),
)


class OptionSettings:
    """A base class that gives a widget a setting for each option."""


for _option in OPTIONS:
    _setting = Setting(_option.default, valid=_option.valid)
    setattr(OptionSettings, _option.name, _setting)


class EmbeddingOptions(QObject):
    """
    The controls of the options.

    Parameters
    ----------
    owner : OWWidget
        Has the settings of `OptionSettings`.

    Attributes
    ----------
    controls : dict of str to OptionControl
        By the names of the options.
    """

    #: The user has changed the option of this name.
    changed = Signal(str)

    def __init__(self, owner: OWWidget):
        super().__init__(owner)
        self._owner = owner
        self.controls: dict[str, OptionControl] = {}
        for option in OPTIONS:
            control = self.controls[option.name] = option.control()
            control.set_value(getattr(owner, option.name))
            control.chosen.connect(partial(self._choose, option.name))

    def add_rows(self, form: QFormLayout) -> None:
        """Put the controls and their labels into a form."""
        for option in OPTIONS:
            form.addRow(option.label, self.controls[option.name])

    def arguments(self) -> dict[str, str | None]:
        """The options as arguments of `ImageEmbedder`."""
        return {o.name: getattr(self._owner, o.name) or None for o in OPTIONS}

    def set(self, name: str, value: str) -> None:
        """Set an option in the program, not by the user."""
        setattr(self._owner, name, value)
        self.controls[name].set_value(value)

    def show_network(self, choice: Choice, facts: Facts | None) -> None:
        """Adapt the controls to the network; see `OptionControl`."""
        for control in self.controls.values():
            control.show_network(choice, facts)

    def report_items(self) -> list[tuple[str, str]]:
        """Names and values of the options, for reports."""
        return [
            (option.label.replace("&", "").rstrip(":"), self.controls[option.name].text)
            for option in OPTIONS
        ]

    def stop(self) -> None:
        """Ignore the results of running threads."""
        for control in self.controls.values():
            control.stop()

    def _choose(self, name: str, value: str) -> None:
        if value != getattr(self._owner, name):
            setattr(self._owner, name, value)
            self.changed.emit(name)
