"""The choice of the layer whose output becomes the vector."""

import logging
from collections.abc import Sequence

from AnyQt.QtCore import Qt, Signal

from orangecontrib.imageanalytics.networks.network import (
    JOINT,
    LOGITS,
    PENULTIMATE,
    Network,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    Facts,
    look_up_stages,
)
from orangecontrib.imageanalytics.widgets.embedding.option_control import OptionControl
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.texts import capitalized
from orangecontrib.imageanalytics.widgets.utils.two_texts import DetailedCombo

log = logging.getLogger(__name__)

TIP = """\
<p>Which layer of the network gives the vectors.</p>
<p>The default suits most images. Early stages tell colours and textures apart, late
ones objects: for tissues, minerals or fabrics an earlier stage may do better.</p>"""
_LAYERS = {
    JOINT: "shared with words",
    PENULTIMATE: "before the classifier",
    LOGITS: "class scores",
}
_LAYER_TIPS = {
    JOINT: "Vectors that can be compared with those of texts",
    PENULTIMATE: "The input of the classifier: what the network sees in an image",
    LOGITS: "One number for each class that the network was trained to tell apart",
}
# The penultimate layer of networks that know words.
_BEFORE_WORDS = (
    "before the projection",
    "What the network sees in an image, before it is made comparable with texts",
)
_STAGE_TIPS = (
    ("early", "Colours, edges and textures"),
    ("middle", "Patterns and parts"),
    ("late", "Parts and whole objects"),
)


class LayerCombo(OptionControl, DetailedCombo):
    """The layers of a network; an empty value stands for its default.

    Stages are looked up in a thread when the list is opened, since that takes seconds.
    """

    #: The user has chosen another.
    chosen = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setToolTip(TIP)
        self.setMaxVisibleItems(20)
        self._value = ""
        self._choice: Choice | None = None
        self._network: Network | None = None
        self._stages: Sequence[str] | None = None
        self._open = False
        self._looking_up = Background(self, self.show_stages, self._no_stages)
        self.activated.connect(self._activated)

    def set_value(self, value: str) -> None:
        """As `OptionControl.set_value`."""
        self._value = value
        self._fill()

    @property
    def text(self) -> str:
        """The choice, for reports."""
        return self.currentText()

    def show_network(self, choice: Choice, facts: Facts | None) -> None:
        """Offer the layers of a network."""
        # Once it is looked up, it may have another name.
        is_same = self._choice in (choice, facts and facts.choice)
        if not is_same:
            self.stop()
            self._stages = None
        self._choice = choice
        self._network = facts.network if facts else None
        self._fill()

    def show_stages(self, stages: Sequence[str]) -> None:
        """Offer the stages of the network, too."""
        self._stages = stages
        self._fill()

    def stop(self) -> None:
        """As `OptionControl.stop`."""
        self._looking_up.cancel()

    def _activated(self, index: int) -> None:
        layer = self.itemData(index)
        if layer is not None:
            self._value = layer
            self.chosen.emit(layer)

    def _no_stages(self, error: Exception) -> None:
        log.info("No stages of %s", self._choice, exc_info=error)
        self.show_stages(())

    # The list -------------------------------------------------------------------------

    def _has_only_output(self) -> bool:
        if self._network is None:
            return self._choice is not None and self._choice.is_file
        return not self._network.has_layers

    @property
    def _knows_words(self) -> bool:
        return self._network is not None and self._network.knows_words

    def _fill(self) -> None:
        was_open = self._open
        highlighted = self.view().currentIndex().data(Qt.UserRole)
        if was_open:  # its size would not change
            self.hidePopup()
        self.clear()
        only_output = self._has_only_output()
        if only_output:
            classes = self._network is not None and self._network.classes
            self.add("Class scores" if classes else "Output of the network", "")
        else:
            self._add_default()
            self._add_layers()
            self._add_stages()
        self.setEnabled(not only_output)
        self.setCurrentIndex(max(self.findData(self._value), 0))
        if was_open:
            self.showPopup()
            self._highlight(highlighted)

    def _highlight(self, layer) -> None:
        index = self.findData(layer)
        if index >= 0:
            self.view().setCurrentIndex(self.model().index(index, 0))

    def _add_default(self) -> None:
        if self._network is None:
            self.add("Default", "")
        else:
            layer = self._network.layer
            self.add(f"Default ({_LAYERS[layer]})", "", "", _LAYER_TIPS[layer])

    def _add_layers(self) -> None:
        for layer, text in _LAYERS.items():
            if _is_offered(self._network, layer):
                tip = _LAYER_TIPS[layer]
                if layer == PENULTIMATE and self._knows_words:
                    text, tip = _BEFORE_WORDS
                self.add(capitalized(text), layer, "", tip)

    def _add_stages(self) -> None:
        stages = self._stages
        for index, name in enumerate(stages or ()):
            where, tip = _STAGE_TIPS[3 * index // len(stages)]
            text = f"Stage {index + 1} of {len(stages)} ({where})"
            self.add(text, name, name, tip)
        if stages is None and self._value not in ("", *_LAYERS):
            self.add(f"Stage {self._value}", self._value, self._value)

    def showPopup(self):
        """Open the list; the stages may be added later."""
        if self._stages is None and self._choice and not self._has_only_output():
            if not self._looking_up.busy:
                self._looking_up.start(look_up_stages, self._choice)
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


def _is_offered(network: Network | None, layer: str) -> bool:
    if network is None:
        return layer != JOINT
    if layer == JOINT and not network.knows_words:
        return False
    if layer == LOGITS:
        # By name they have columns with the names of the classes, if known.
        return network.has_classifier
    return network.layer != layer
