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
        text = f"{name} does not know words"
        text += ", so only the examples are used." if left_out else "."
        for button, network in zip(self.buttons, self._networks, strict=True):
            button.setText(network.name + _size(network))
            button.setEnabled(not network.not_installed)
        missing = [n.not_installed for n in self._networks if n.not_installed]
        do = f"{missing[0]}. Then restart Orange." if missing else "These networks do:"
        self.label.setText(f"{text} {do}")
        self.show()


def _size(network: Network) -> str:
    if network.available():
        return ""
    size = network.megabytes
    return f" ({size:,.0f} MB)" if size and not math.isnan(size) else ""
