"""The choice of a network in Image Embedding, and what is known about it."""

import dataclasses
import html
import logging
import os

from AnyQt.QtCore import QObject, Qt, Signal
from AnyQt.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QPushButton
from Orange.widgets.widget import OWWidget

from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.widgets.embedding.chosen_network import ChosenNetwork
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    Facts,
    look_up,
    read_choices,
)
from orangecontrib.imageanalytics.widgets.embedding.network_combo import NetworkCombo
from orangecontrib.imageanalytics.widgets.embedding.other_network_dialog import (
    OtherNetworkDialog,
)
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.form_parts import narrow, wrap
from orangecontrib.imageanalytics.widgets.utils.texts import capitalized

log = logging.getLogger(__name__)


class NetworkChooser(QObject):
    """
    A list of networks, a button for any other, and a description of the chosen one.

    Parameters
    ----------
    owner : OWWidget
        Has the settings ``embedder``, ``own_networks``, ``layer`` and ``last_dir``, and
        an `EmbeddingSettingsHandler`.
    narrow : bool
        Whether descriptions are broken into lines.

    Attributes
    ----------
    facts : Facts or None
        What is known about the chosen network; None until it is looked up.
    by_workflow : bool
        Whether the network was named by the settings and not chosen by the user.
    """

    #: The user has chosen another network; its layer is the default one.
    chosen = Signal()
    #: The network has changed, or more is known about it.
    updated = Signal()
    #: The network was looked up.
    looked_up = Signal()

    def __init__(self, owner: OWWidget, narrow: bool = False):
        super().__init__(owner)
        self._owner = owner
        self._is_narrow = narrow
        self.by_workflow = not owner.is_new
        own = [*read_choices(owner.own_networks), *owner.settingsHandler.recent]
        places = self.places() if self.by_workflow else None
        self._chosen = ChosenNetwork(owner.embedder, own, places)
        self.facts: Facts | None = None
        self._n_features: int | None = None
        self._is_default_layer = not owner.layer
        self._looking_up = Background(self, self.take_facts, self._not_looked_up)
        self._dialog: OtherNetworkDialog | None = None
        self._make_controls()
        self._network_changed()

    def _make_controls(self):
        self.combo = NetworkCombo()
        narrow(self.combo)
        self.combo.activated.connect(lambda i: self.use(self.combo.itemData(i)))
        self.other_button = QPushButton(
            "Other…", autoDefault=False, toolTip="Other network…"
        )
        self.other_button.clicked.connect(lambda: self.choose_other())
        self.label = QLabel()
        wrap(self.label)
        if self._is_narrow:
            # There is room for the usual ones, so that what is below stays there.
            lines = QLabel("<small>x<br/>x</small><br/>x")
            self.label.setMinimumHeight(lines.sizeHint().height())
            self.label.setAlignment(Qt.AlignTop)
            return
        # The window keeps its width whichever is chosen.
        widest = max(QLabel(_usual_text(n)).sizeHint().width() for n in NETWORKS)
        self.label.setMinimumWidth(widest)

    def add_rows(self, form: QFormLayout) -> None:
        """Put the controls into a form."""
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.other_button)
        form.addRow("&Network:", row)
        form.labelForField(row).setBuddy(self.combo)
        form.addRow("", self.label)

    # What is chosen -------------------------------------------------------------------

    @property
    def choice(self) -> Choice:
        """The chosen network."""
        return self._chosen.choice

    @property
    def name(self) -> str:
        """The name of the chosen network, as shown to users."""
        return self.facts.network.name if self.facts else self.choice.label

    def places(self) -> list[tuple[str, str]]:
        """Where the workflow is, as search paths of `RecentPath`."""
        base = self._owner.workflowEnv().get("basedir")
        return [("basedir", base)] if base else []

    def to_save(self) -> list[dict]:
        """What a workflow has to save about a network that is not listed."""
        return self._chosen.choice_as_settings(self.places())

    def relocate(self) -> bool:
        """Look for the file of a network where the workflow is now.

        Returns
        -------
        bool
            Whether the place has changed.
        """
        # A file that was found stays the same wherever the workflow is saved.
        if not self.choice.relpath:
            return False
        found = self.choice.relocated(self.places())
        if found == self.choice:
            return False
        self._chosen.rename(found)
        self._network_changed()
        return True

    def choose_other(self) -> None:
        """Open the window in which any other network can be chosen."""
        if self._dialog is not None:
            self._dialog.raise_()
            self._dialog.activateWindow()
            return
        base = self._owner.workflowEnv().get("basedir")
        folder = self._owner.last_dir or base or os.path.expanduser("~")
        self._dialog = dialog = OtherNetworkDialog(
            folder, self._chosen.own, self._owner
        )
        dialog.chosen.connect(self._use_other)
        dialog.finished.connect(self._forget_dialog)
        # Not exec, since its event loop would run inside that of the workflow.
        dialog.open()

    def _forget_dialog(self):
        self._dialog = None

    def _use_other(self, choice: Choice):
        if choice.is_file:
            self._owner.last_dir = os.path.dirname(choice.model)
        if choice != self.choice:
            self._use(choice)
        else:
            self._remember(choice)
            self._show()

    def use(self, model: str) -> None:
        """Use a network of the list, as if the user had chosen it there."""
        if model != self.choice.model:
            self._use(self._chosen.find(model))

    def _use(self, choice: Choice):
        self.by_workflow = False
        self._is_default_layer = True
        self._remember(choice)
        self._network_changed()
        self.chosen.emit()

    def _remember(self, choice: Choice):
        self._chosen.choose(choice)
        if not choice.is_listed:
            self._owner.settingsHandler.remember(choice)

    def _network_changed(self):
        self._looking_up.cancel()
        self.facts = self._n_features = None
        self.look_again()
        self._show()

    # What is known of it --------------------------------------------------------------

    def look_up(self) -> None:
        """Find out about the chosen network in a thread."""
        self._looking_up.start(look_up, self.choice)

    def look_again(self) -> None:
        """Check at once whether the file of a listed network was added or removed."""
        if self.choice.is_listed:
            self.facts = look_up(self.choice)

    def is_about(self, facts: Facts) -> bool:
        """Whether facts are those of the chosen network."""
        return self.choice in (facts.choice, facts.pinned)

    def take_facts(self, facts: Facts) -> None:
        """Take over what was looked up in a thread."""
        self._pin(facts)
        self.facts = facts
        self._show()
        self.looked_up.emit()

    def take_result(self, facts: Facts, n_features: int | None) -> None:
        """Take over what is known after images were embedded."""
        self.facts = facts
        if n_features is not None:
            self._n_features = n_features
        self._show()

    def set_layer(self, layer: str) -> None:
        """Show the length of the vectors at another layer, if it is known."""
        self._is_default_layer = not layer
        self._n_features = None
        self._show()

    def _pin(self, facts):
        """Remember the exact weights, since versions differ in their defaults."""
        choice, pinned = self.choice, facts.pinned
        if choice != pinned:
            self._chosen.rename(pinned)
            self._owner.settingsHandler.remember(pinned, instead=choice)

    def stop_looking_up(self) -> None:
        """Ignore the result of a running lookup."""
        self._looking_up.cancel()

    def close(self) -> None:
        """Close the window and ignore the results of running threads."""
        self.stop_looking_up()
        if self._dialog is not None:
            self._dialog.reject()

    @property
    def n_features(self) -> int | None:
        """Length of the vectors, if it is known."""
        if self._n_features is None and self._is_default_layer and self.facts:
            return self.facts.network.n_features
        return self._n_features

    # What is shown --------------------------------------------------------------------

    def _show(self):
        self._owner.embedder = self.choice.model
        self._owner.own_networks = self._chosen.own_as_settings()
        self.combo.show_own(self._chosen.own)
        self.combo.choose(self.choice.model)
        path = self.choice.model if self.choice.is_file else ""
        self.combo.setToolTip(path or self.combo.currentText())
        self.label.setToolTip("")
        self.label.setText(self._description())
        self.updated.emit()

    def _description(self) -> str:
        if self.facts is not None:
            return describe(self.facts, self.n_features)
        family = self.choice.family
        text = f"From {family}" if family else "From a file"
        return f"{text}<br/><small>&nbsp;</small>"

    def _not_looked_up(self, error: Exception):
        """Say why the chosen network cannot be used."""
        log.info("Looking up %s failed", self.choice, exc_info=error)
        reason = html.escape(str(error))
        self.label.setText(f"Cannot be used:<br/><small>{reason}</small>")
        self.label.setToolTip(f"<p>{reason}</p>")


def _usual_text(network: Network) -> str:
    """The two lines about a network whose package is installed."""
    facts = dataclasses.replace(look_up(Choice(network.id)), not_installed="")
    return describe(facts, network.n_features)


def describe(facts: Facts, n_features: int | None) -> str:
    """Two lines about a network, the second one small."""
    text = facts.describe(n_features)
    description = facts.not_installed or facts.network.description
    return f"{capitalized(text)}<br/><small>{description}</small>"
