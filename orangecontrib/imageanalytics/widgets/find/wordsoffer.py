"""What is offered if words are needed, but the network does not know any."""

from __future__ import annotations

import math
from collections.abc import Sequence

from AnyQt.QtCore import Signal
from AnyQt.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    text_label,
    wrap,
)


class WordsOffer(QFrame):
    """
    A text, and a button for each network that knows words.

    Parameters
    ----------
    networks : sequence of Network
    """

    #: The user has chosen the network of this id.
    chosen = Signal(str)

    def __init__(self, networks: Sequence[Network]):
        super().__init__()
        self.setFrameShape(QFrame.StyledPanel)
        self.label = text_label()
        wrap(self.label)
        self.buttons: list[QPushButton] = []
        line = QHBoxLayout()
        for network in networks:
            button = QPushButton(
                network.name, autoDefault=False, toolTip=network.description
            )
            button.clicked.connect(lambda _=False, id=network.id: self.chosen.emit(id))
            self.buttons.append(button)
            line.addWidget(button)
        line.addStretch()
        self._networks = networks
        self._advice = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.label)
        layout.addLayout(line)
        self.hide()

    def offer(self, name: str, left_out: bool) -> None:
        """
        Say that a network does not know words, and offer others.

        Parameters
        ----------
        name : str
            Of the network.
        left_out : bool
            Whether there are examples, by which images are found nevertheless.
        """
        if self.isHidden():  # looks at files, which is too much for each key press
            self._look_up()
        text = f"{name} does not know words"
        text += ", so only the examples are used." if left_out else "."
        self.label.setText(f"{text} {self._advice}")
        self.show()

    def _look_up(self) -> None:
        """Find out which networks can be used, and how large the others are."""
        missing = ""
        for button, network in zip(self.buttons, self._networks, strict=True):
            reason = network.not_installed
            missing = missing or reason
            button.setText(network.name + _size(network))
            button.setEnabled(not reason)
        self._advice = "These networks do:"
        if missing:
            self._advice = f"{missing}. Then restart Orange."


def _size(network: Network) -> str:
    if network.available():
        return ""
    size = network.megabytes
    return f" ({size:,.0f} MB)" if size and not math.isnan(size) else ""
