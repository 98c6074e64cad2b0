"""The choice of the processor that runs the network."""

from AnyQt.QtCore import Signal
from AnyQt.QtWidgets import QHBoxLayout, QLabel, QWidget

from orangecontrib.imageanalytics.widgets.utils.form_parts import combo_of

DEVICES = (("Automatic", "auto"), ("GPU", "gpu"), ("CPU", "cpu"))


class DeviceChoice(QWidget):
    """A list of kinds of processors and, at its right, the one in use.

    Parameters
    ----------
    device : str
        The chosen kind.
    """

    #: The user has chosen one.
    chosen = Signal(str)

    def __init__(self, device: str):
        super().__init__()
        self._used = ""
        self.combo = combo_of(DEVICES)
        self.combo.setToolTip("The processor that runs the network")
        self.combo.setCurrentIndex(self.combo.findData(device))
        self.combo.activated.connect(
            lambda index: self.chosen.emit(self.combo.itemData(index))
        )
        self.label = QLabel()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.combo)
        row.addWidget(self.label, 1)
        self.setFocusProxy(self.combo)

    @property
    def used(self) -> str:
        """The name of the device in use; empty if there is none."""
        return self._used

    def show_used(self, device: str) -> None:
        """Show which device is in use; an empty text stands for none."""
        self._used = device
        self.label.setText(f"in use: {device}" if device else "")
