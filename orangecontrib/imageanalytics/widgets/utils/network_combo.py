"""The lists in which a network, its layer and the fit are chosen."""

from collections.abc import Sequence

from AnyQt.QtCore import Qt, Signal

from orangecontrib.imageanalytics.networks.network import LOGITS, PENULTIMATE
from orangecontrib.imageanalytics.networks.registry import NETWORKS, Network
from orangecontrib.imageanalytics.widgets.utils.network_choice import (
    Choice,
    look_up,
)
from orangecontrib.imageanalytics.widgets.utils.two_texts import DetailedCombo

#: For each fit a word and what it does.
FIT_TEXTS = {
    "crop": ("Crop", "the middle square"),
    "stretch": ("Stretch", "all of it, squeezed"),
    "pad": ("Pad", "all of it, with margins"),
}
_LAYERS = {PENULTIMATE: "before the classifier", LOGITS: "class scores"}
_LAYER_TIPS = {
    PENULTIMATE: "What the network makes of an image just before it names a class",
    LOGITS: "One number for each class that the network was trained to tell apart",
}
_STAGE_TIPS = (
    ("early", "Colours, edges and textures"),
    ("middle", "Patterns and parts"),
    ("late", "Parts and whole objects"),
)


def _is_offered(network: Network | None, layer: str) -> bool:
    if network is None:
        return True
    if layer == LOGITS:
        # By name they have columns with the names of the classes, if known.
        return network.has_classifier
    return network.layer != layer


class NetworkCombo(DetailedCombo):
    """The networks by name, with their details when the list is open.

    Below a line are those of the user's own.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        for network in NETWORKS:
            self.addItem(network.name, network.id)
        self.refresh()

    def refresh(self):
        """Tell anew which networks are on this computer."""
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
        """Open the list as things are now."""
        self.refresh()
        super().showPopup()


class LayerCombo(DetailedCombo):
    """What of a network becomes the vector."""

    #: The list is about to be opened, and the stages are not in it yet.
    stages_wanted = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._stages = None
        self._open = False

    def show_layers(
        self,
        network: Network | None,
        layer: str,
        stages: Sequence[str] | None,
        only_output: bool = False,
    ):
        """Fill the list.

        Parameters
        ----------
        network : Network or None
            None: not looked up yet.
        layer : str
            The chosen one; empty: the default.
        stages : sequence of str or None
            None: not looked up yet.
        only_output : bool
            Whether there is nothing to choose, as with the file of a network.
        """
        was_open = self._open
        highlighted = self.view().currentIndex().data(Qt.UserRole)
        if was_open:  # its size would not change
            self.hidePopup()
        self._stages = () if only_output else stages
        self.clear()
        if only_output:
            classes = network is not None and network.classes
            self.add("Class scores" if classes else "Output of the network", "")
        else:
            self._add_default(network)
            self._add_layers(network)
            self._add_stages(layer, stages)
        self.setEnabled(not only_output)
        self.setCurrentIndex(max(self.findData(layer), 0))
        self.setMaxVisibleItems(20)
        if was_open:
            self.showPopup()
            self._highlight(highlighted)

    def _highlight(self, layer):
        index = self.findData(layer)
        if index >= 0:
            self.view().setCurrentIndex(self.model().index(index, 0))

    def _add_default(self, network):
        if network is None:
            self.add("Default", "")
        else:
            text = f"Default ({_LAYERS[network.layer]})"
            self.add(text, "", "", _LAYER_TIPS[network.layer])

    def _add_layers(self, network):
        for layer, text in _LAYERS.items():
            if _is_offered(network, layer):
                self.add(text.capitalize(), layer, "", _LAYER_TIPS[layer])

    def _add_stages(self, layer, stages):
        for index, name in enumerate(stages or ()):
            where, tip = _STAGE_TIPS[3 * index // len(stages)]
            text = f"Stage {index + 1} of {len(stages)} ({where})"
            self.add(text, name, name, tip)
        if stages is None and layer not in ("", *_LAYERS):
            self.add(f"Stage {layer}", layer, layer)

    def showPopup(self):
        """Open the list; the stages may come later."""
        if self._stages is None:
            self.stages_wanted.emit()
            self.add("Looking up the stages…", None)
            self.model().item(self.count() - 1).setFlags(Qt.NoItemFlags)
        self._open = True
        super().showPopup()

    def hidePopup(self):
        """Close the list."""
        self._open = False
        super().hidePopup()
        last = self.count() - 1
        if last > 0 and self.itemData(last) is None:
            self.removeItem(last)


class FitCombo(DetailedCombo):
    """How an image meets the square that the network sees."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.add("As trained", "")
        for fit, (text, details) in FIT_TEXTS.items():
            self.add(text, fit, details)

    def show_trained(self, network: Network | None):
        """Say what a network was trained with; None: not known yet."""
        known = ""
        if network:
            text, _details = FIT_TEXTS[network.preprocessing.fit]
            known = f" ({text.lower()})"
        self.setItemText(0, f"As trained{known}")
        self.describe(0, "")
