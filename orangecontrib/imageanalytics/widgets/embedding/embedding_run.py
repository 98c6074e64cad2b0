"""The work of Image Embedding as the user sees it: progress, buttons and results."""

from Orange.widgets import gui

from orangecontrib.imageanalytics.widgets.embedding.embedding_status import summary
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import (
    Progress,
    Result,
    Task,
    embed,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Facts
from orangecontrib.imageanalytics.widgets.embedding.network_run import NetworkRunMixin

APPLY, APPLY_AUTOMATICALLY = "Apply", "Apply Automatically"
NOT_APPLIED = "Press Apply to embed the images."


class EmbeddingRunMixin(NetworkRunMixin):
    """
    What `OWImageEmbedding` does while images are embedded and afterwards.

    The widget has the outputs, the messages and the deferred method ``commit``, which
    starts a run, and the controls ``network``, ``options`` and ``device_choice``.
    """

    def __init__(self):
        NetworkRunMixin.__init__(self)
        self._gave_up = False

    # Layout -----------------------------------------------------------------------

    def _make_buttons(self):
        # Orange's texts have no translation into languages that only this add-on has.
        self.apply_box = gui.auto_commit(
            self.buttonsArea, self, "_auto_apply", APPLY, APPLY_AUTOMATICALLY
        )
        self.apply_box.checkbox.toggled.connect(self._auto_apply_toggled)
        self.buttonsArea.layout().addWidget(self._make_cancel_button())

    def _auto_apply_toggled(self):
        if self._gave_up:
            if self._auto_apply:
                self.commit.now()
            else:
                self._offer_to_apply()

    def _offer_to_apply(self):
        # Else it is disabled while it is automatic, or nothing has changed.
        self.apply_box.button.setText(APPLY)
        self.apply_box.button.setEnabled(True)

    # Start and stop -----------------------------------------------------------------

    def embed(self, task: Task):
        """Embed images in a thread."""
        self.run(embed, task)

    def go_on(self):
        """Embed, now that the user has agreed to something."""
        self.commit.now()

    def stop(self):
        """Stop the work; the outputs are then empty."""
        if self.task is not None:
            self.cancel()
            self.Information.cancelled()
            self.give_up("Cancelled.")

    def clear_results(self):
        """Forget the previous run."""
        self._gave_up = False
        self.device_choice.show_used("")
        self.Error.clear()
        self.Information.clear()
        self.clear_questions()
        for message in (
            self.Warning.no_image_attribute,
            self.Warning.no_gpu,
            self.Warning.gpu_failed,
        ):
            message.clear()
        self.apply_box.button.setText(
            APPLY_AUTOMATICALLY if self._auto_apply else APPLY
        )

    # Results --------------------------------------------------------------------------

    def on_partial_result(self, progress: Progress | Facts):
        super().on_partial_result(progress)
        if isinstance(progress, Progress):
            self.device_choice.show_used(progress.device)

    def on_done(self, result: Result | Facts):
        self.cancel_button.setEnabled(False)
        if isinstance(result, Result):
            self._show_result(result)
        elif self.network.is_about(result):
            self.network.take_facts(result)
            self.offer_download()
        else:
            self.give_up(NOT_APPLIED)

    def _show_result(self, result: Result):
        # Without automatic apply another choice may have been made meanwhile.
        if self.network.is_about(result.facts) and self.layer == result.layer:
            self._learn_from(result)
        self.device_choice.show_used(result.device)
        self.take_skipped(result.skipped_images)
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

    def give_up(self, text: str):
        super().give_up(text)
        self._gave_up = True
        self._offer_to_apply()

    def end(self, text: str, embedded=None, skipped=None):
        """Show a text and send the outputs."""
        self.status.show_text(text)
        self.Outputs.embeddings.send(embedded)
        self.Outputs.skipped_images.send(skipped)
