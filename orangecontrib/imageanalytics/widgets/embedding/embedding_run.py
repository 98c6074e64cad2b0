"""The work of Image Embedding as the user sees it: progress, buttons and results."""

import html
import logging

from AnyQt.QtWidgets import QPushButton, QStyle
from Orange.widgets import gui
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.errors import ModelError, TrustNeededError
from orangecontrib.imageanalytics.widgets.embedding.consent import Consent
from orangecontrib.imageanalytics.widgets.embedding.embedding_status import (
    EmbeddingStatus,
    summary,
)
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import (
    Progress,
    Result,
    Task,
    embed,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice, Facts
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog

log = logging.getLogger(__name__)

NOT_APPLIED = "Press Apply to embed the images."


class EmbeddingRunMixin(ConcurrentWidgetMixin):
    """
    What `OWImageEmbedding` does while images are embedded and afterwards.

    The widget has the outputs, the messages and the deferred method ``commit``, which
    starts a run, and the controls ``network``, ``options`` and ``device_choice``.
    """

    def __init__(self):
        ConcurrentWidgetMixin.__init__(self)
        self.skipped_images: list[tuple[str, str]] = []
        self._run_choice: Choice | None = None
        self._gave_up = False
        self._trust_needed: TrustNeededError | None = None
        self.consent = Consent(self)
        self.consent.given.connect(lambda: self.commit.now())

    # Layout -----------------------------------------------------------------------

    def _make_status_box(self):
        self.status = EmbeddingStatus()
        self.status.skipped_asked.connect(self.show_skipped)
        self.status.download_asked.connect(self.ask_to_download)
        self.status.open_asked.connect(self.ask_to_trust)
        gui.vBox(self.controlArea, "Status").layout().addWidget(self.status)

    def _make_buttons(self):
        self.apply_box = gui.auto_apply(self.buttonsArea, self, "_auto_apply")
        self.apply_box.checkbox.toggled.connect(self._auto_apply_toggled)
        self.cancel_button = QPushButton(
            "Cancel",
            icon=self.style().standardIcon(QStyle.SP_DialogCancelButton),
            autoDefault=False,
            enabled=False,
            toolTip="Stop embedding; finished vectors are kept",
            clicked=self.stop,
        )
        self.buttonsArea.layout().addWidget(self.cancel_button)

    def _auto_apply_toggled(self):
        if self._gave_up:
            if self._auto_apply:
                self.commit.now()
            else:
                self._offer_to_apply()

    def _offer_to_apply(self):
        # Else it is disabled while it is automatic, or nothing has changed.
        self.apply_box.button.setText("Apply")
        self.apply_box.button.setEnabled(True)

    # Start and stop -----------------------------------------------------------------

    def run(self, task: Task):
        """Embed images in a thread."""
        self.status.show_progress(Progress("Starting…"))
        self.cancel_button.setEnabled(True)
        self.network.stop_looking_up()
        self._run_choice = task.choice
        self.start(embed, task)

    def is_running(self, choice: Choice) -> bool:
        """Whether images are being embedded with a network."""
        return self.task is not None and self._run_choice == choice

    def stop(self):
        """Stop the work; the outputs are then empty."""
        if self.task is not None:
            self.cancel()
            self.Information.cancelled()
            self._give_up("Cancelled.")

    def cancel(self):
        self.cancel_button.setEnabled(False)
        super().cancel()

    def clear_results(self):
        """Forget the previous run."""
        self._gave_up = False
        self.skipped_images = []
        self.device_choice.show_used("")
        self.Error.clear()
        self.Information.clear()
        for message in (
            self.Warning.no_image_attribute,
            self.Warning.images_skipped,
            self.Warning.download_needed,
            self.Warning.trust_needed,
            self.Warning.no_gpu,
            self.Warning.gpu_failed,
        ):
            message.clear()
        self.apply_box.button.setText(
            "Apply Automatically" if self._auto_apply else "Apply"
        )

    # Questions ----------------------------------------------------------------------

    def ask_to_download(self):
        """Ask whether the network may be downloaded, and continue if so."""
        self.consent.ask_to_download(self.network.facts)

    def ask_to_trust(self):
        """Ask whether a file that can run code may be opened, and continue if so."""
        self.consent.ask_to_trust(self._trust_needed, self.network.by_workflow)

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
            self.device_choice.show_used(progress.device)
        elif self.network.is_about(progress):
            self.network.take_facts(progress)

    def on_done(self, result: Result | Facts):
        self.cancel_button.setEnabled(False)
        if isinstance(result, Result):
            self._show_result(result)
        elif self.network.is_about(result):
            self.network.take_facts(result)
            self.offer_download()
        else:
            self._give_up(NOT_APPLIED)

    def _show_result(self, result: Result):
        # Without automatic apply another choice may have been made meanwhile.
        if self.network.is_about(result.facts) and self.layer == result.layer:
            self._learn_from(result)
        self.device_choice.show_used(result.device)
        self.skipped_images = result.skipped_images
        n_skipped = len(result.skipped_images)
        if n_skipped:
            self.Warning.images_skipped(
                f"{n_skipped:,} {pl(n_skipped, 'image was|images were')}"
            )
        if result.no_gpu:
            self.Warning.no_gpu(result.no_gpu.rstrip(".") + ".")
        if result.gpu_failed:
            self.Warning.gpu_failed(result.gpu_failed)
        self.end(summary(result), result.embedded, result.skipped)

    def _learn_from(self, result: Result):
        """Take over what a result tells about the chosen network."""
        if result.missing_layer:
            self.Warning.layer_replaced(result.facts.network.name, result.missing_layer)
            self.options.set("layer", "")
            self.network.set_layer("")
        self.network.take_result(result.facts, result.n_features)
        if result.stages is not None:
            self.options.controls["layer"].show_stages(result.stages)

    def on_exception(self, ex: Exception):
        self.cancel_button.setEnabled(False)
        text = "No image was embedded."
        if isinstance(ex, TrustNeededError):
            self._offer_to_open(ex)
            return
        if isinstance(ex, ModelError | ValueError):  # the latter: no such layer
            log.info("Embedding failed", exc_info=ex)
            self.Error.network_missing(str(ex))
            # With a tag, Qt shows it as rich text and decodes escaped characters.
            text = f"<p>{html.escape(str(ex))}</p>"
        elif isinstance(ex, MemoryError) or "out of memory" in str(ex).lower():
            self.Error.out_of_memory()
        else:
            log.exception("Embedding failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._give_up(text)

    def _give_up(self, text: str):
        self.end(text)
        self._gave_up = True
        self._offer_to_apply()

    def end(self, text: str, embedded=None, skipped=None):
        """Show a text and send the outputs."""
        self.status.show_text(text)
        self.Outputs.embeddings.send(embedded)
        self.Outputs.skipped_images.send(skipped)

    def show_skipped(self):
        """Open the list of skipped images."""
        SkippedDialog(self.skipped_images, self).show()
