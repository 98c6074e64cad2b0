"""The list in which a network is chosen."""

from collections.abc import Sequence

from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    look_up,
)
from orangecontrib.imageanalytics.widgets.utils.two_texts import DetailedCombo


class NetworkCombo(DetailedCombo):
    """The networks by name, with their details when the list is open.

    The user's own networks are below a line.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        for network in NETWORKS:
            self.addItem(network.name, network.id)
        self.refresh()

    def refresh(self):
        """Update which networks are on this computer."""
        for index, network in enumerate(NETWORKS):
            facts = look_up(Choice(network.id))
            details = facts.describe(network.n_features)
            self.describe(index, details, network.description)

    def show_own(self, choices: Sequence[Choice]):
        """Replace the user's own networks."""
        while self.count() > len(NETWORKS):
            self.removeItem(self.count() - 1)
        if choices:
            self.insertSeparator(len(NETWORKS))
        for choice in choices:
            tip = choice.model if choice.is_file else ""
            self.add(choice.label, choice.model, choice.origin, tip)
        self.setMaxVisibleItems(self.count())

    def showPopup(self):
        """Open the list, with up-to-date details."""
        self.refresh()
        super().showPopup()
