"""A run of a network as the user sees it: progress, questions and failures."""

import logging

from AnyQt.QtWidgets import QPushButton, QStyle, QWidget
from Orange.widgets import gui
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.localization import pl
from Orange.widgets.widget import Msg, OWWidget

from orangecontrib.imageanalytics.errors import ModelError, TrustNeededError
from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network
from orangecontrib.imageanalytics.widgets.embedding.consent import Consent
from orangecontrib.imageanalytics.widgets.embedding.embedding_status import (
    EmbeddingStatus,
)
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import Progress
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice, Facts
from orangecontrib.imageanalytics.widgets.utils.form_parts import as_html
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog

log = logging.getLogger(__name__)


class NetworkRunMixin(ConcurrentWidgetMixin):
    """
    For widgets that run a network on images, in a thread.

    The widget has the control ``network``, a `NetworkChooser`, and its messages are
    derived from those below. It defines `end`, `go_on` and `stop`.

    Attributes
    ----------
    skipped_images : list of (str, str)
        Images that the last run has skipped, and why.
    """

    class Warning(OWWidget.Warning):
        images_skipped = Msg("{} skipped.")
        network_replaced = Msg("{} is not available; {} is used instead.")
        download_needed = Msg("{} has to be downloaded first ({}).")
        trust_needed = Msg(
            "{} can run any program when it is opened. Press Open… to decide."
        )

    class Error(OWWidget.Error):
        network_missing = Msg("{}")
        out_of_memory = Msg(
            "There is not enough memory; choose a smaller network or close other "
            "programs."
        )
        unexpected_error = Msg("The images could not be embedded: {}")

    #: What is said if a run has failed.
    nothing_done = "No image was embedded."

    def __init__(self):
        ConcurrentWidgetMixin.__init__(self)
        self.skipped_images: list[tuple[str, str]] = []
        self._run_choice: Choice | None = None
        self._trust_needed: TrustNeededError | None = None
        self.consent = Consent(self)
        self.consent.given.connect(lambda: self.go_on())

    def go_on(self) -> None:
        """Start again, now that the user has agreed to something."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the work, because the user has pressed Cancel."""
        raise NotImplementedError

    def end(self, text: str) -> None:
        """Show a text and send the outputs: there is no result."""
        raise NotImplementedError

    # Layout -----------------------------------------------------------------------

    def _make_status_box(self) -> QWidget:
        self.status = EmbeddingStatus()
        self.status.skipped_asked.connect(self.show_skipped)
        self.status.download_asked.connect(self.ask_to_download)
        self.status.open_asked.connect(self.ask_to_trust)
        box = gui.vBox(self.controlArea, "Status")
        box.layout().addWidget(self.status)
        return box

    def _make_cancel_button(self) -> QPushButton:
        self.cancel_button = QPushButton(
            "Cancel",
            icon=self.style().standardIcon(QStyle.SP_DialogCancelButton),
            autoDefault=False,
            enabled=False,
            toolTip="Stop embedding; finished vectors are kept",
            clicked=self.stop,
        )
        return self.cancel_button

    # Start and stop -----------------------------------------------------------------

    def run(self, function, task) -> None:
        """Call a function of a task in a thread.

        Parameters
        ----------
        function : callable
            Called with the task and a `TaskState`.
        task : Task
        """
        self.status.show_progress(Progress("Starting…"))
        self.cancel_button.setEnabled(True)
        self.network.stop_looking_up()
        self._run_choice = task.choice
        self.start(function, task)

    def is_running(self, choice: Choice) -> bool:
        """Whether images are being embedded with a network."""
        return self.task is not None and self._run_choice == choice

    def cancel(self):
        self.cancel_button.setEnabled(False)
        super().cancel()

    def clear_questions(self) -> None:
        """Forget the skipped images of the last run, and what it has asked for."""
        self.skipped_images = []
        self.Warning.images_skipped.clear()
        self.Warning.download_needed.clear()
        self.Warning.trust_needed.clear()

    def warn_of_replaced(self) -> bool:
        """Warn if the network that the settings name is not available.

        Returns
        -------
        bool
            Whether that is so; the default network is used instead.
        """
        if "embedder" not in self.replaced_settings:
            return False
        wanted = self.replaced_settings["embedder"]
        self.Warning.network_replaced(wanted, find_network(DEFAULT).name)
        return True

    def network_arguments(self) -> dict:
        """Arguments of a `NetworkTask`: the network, and what the user agreed to."""
        return {
            "choice": self.network.choice,
            "agreed": frozenset(self.consent.agreed),
            "places": tuple(self.network.places()),
            "vouched": self.consent.vouched,
        }

    # Questions ----------------------------------------------------------------------

    def ask_to_download(self):
        """Ask whether the network may be downloaded, and continue if so."""
        self.consent.ask_to_download(self.network.facts)

    def ask_to_trust(self):
        """Ask whether a file that can run code may be opened, and continue if so."""
        self.consent.ask_to_trust(self._trust_needed, self.network.by_workflow)

    def must_download(self) -> bool:
        """Whether to ask first; False while nothing is known of the network."""
        facts = self.network.facts
        return facts is not None and self.consent.is_needed(facts)

    def offer_download(self):
        """Say that the network is not on this computer, and offer to download it."""
        facts = self.network.facts
        name = facts.network.name
        self.Warning.download_needed(name, facts.size)
        self.end("")
        self.status.offer_download(f"{name} is not on this computer yet.", facts.size)

    def _offer_to_open(self, needed: TrustNeededError):
        """Say that the user must agree before a file is opened, and offer to ask."""
        self._trust_needed = needed
        name = self.network.choice.label
        self.Warning.trust_needed(name)
        self.end("")
        self.status.offer_to_open(
            f"{name} has not been opened, since it can run any program."
        )

    # Results --------------------------------------------------------------------------

    def on_partial_result(self, progress: Progress | Facts):
        if isinstance(progress, Progress):
            self.status.show_progress(progress)
        elif self.network.is_about(progress):
            self.network.take_facts(progress)

    def take_skipped(self, skipped: list[tuple[str, str]]) -> None:
        """Keep the images that were skipped, and warn if there are any."""
        self.skipped_images = skipped
        n_skipped = len(skipped)
        if n_skipped:
            self.Warning.images_skipped(
                f"{n_skipped:,} {pl(n_skipped, 'image was|images were')}"
            )

    def on_exception(self, ex: Exception):
        self.cancel_button.setEnabled(False)
        text = self.nothing_done
        if isinstance(ex, TrustNeededError):
            self._offer_to_open(ex)
            return
        if isinstance(ex, ModelError | ValueError):  # the latter: no such layer
            log.info("Embedding failed", exc_info=ex)
            self.Error.network_missing(str(ex))
            text = as_html(str(ex))
        elif isinstance(ex, MemoryError) or "out of memory" in str(ex).lower():
            self.Error.out_of_memory()
        else:
            log.exception("Embedding failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self.give_up(text)

    def give_up(self, text: str) -> None:
        """Say why there is no result."""
        self.end(text)

    def network_to_save(self) -> list[dict]:
        """What a workflow has to save about a network that is not listed."""
        return self.network.to_save()

    def show_skipped(self):
        """Open the list of skipped images."""
        SkippedDialog(self.skipped_images, self).show()
