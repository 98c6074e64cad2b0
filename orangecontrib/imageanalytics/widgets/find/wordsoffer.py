"""What is offered if words are typed, but the network knows none."""

from __future__ import annotations

import math
from collections.abc import Sequence

from AnyQt.QtCore import Signal
from AnyQt.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from orangecontrib.imageanalytics.networks import clip_networks
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    text_label,
    wrap,
)

NETWORKS_DO = " These networks do:"
NOT_INSTALLED = (
    " These networks do, but they need the package open_clip_torch. To install it, run "
    f"this command, then restart Orange: {clip_networks.INSTALL}"
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
        Say that a network knows no words, and offer others.

        Parameters
        ----------
        name : str
            Of the network.
        left_out : bool
            Whether there are examples, by which images are found nevertheless.
        """
        text = f"{name} knows no words"
        text += ", so only the examples are used." if left_out else "."
        is_installed = clip_networks.is_installed()
        text += NETWORKS_DO if is_installed else NOT_INSTALLED
        self.label.setText(text)
        for button, network in zip(self.buttons, self._networks, strict=True):
            button.setText(network.name + _size(network))
            button.setEnabled(is_installed)
        self.show()


def _size(network: Network) -> str:
    if network.available():
        return ""
    size = network.megabytes
    return f" ({size:,.0f} MB)" if size and not math.isnan(size) else ""
