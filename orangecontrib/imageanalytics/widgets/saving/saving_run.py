"""The work of Save Images as the user sees it: progress, buttons and results."""

import logging

from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.save_images import Saving, count_reasons
from orangecontrib.imageanalytics.widgets.saving.existing_files_dialog import (
    ExistingFilesDialog,
)
from orangecontrib.imageanalytics.widgets.saving.saving_status import (
    SavingStatus,
    summary,
)
from orangecontrib.imageanalytics.widgets.saving.saving_task import (
    Question,
    begin,
    save,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog

log = logging.getLogger(__name__)


class SavingRunMixin(ConcurrentWidgetMixin):
    """
    What `OWSaveImages` does while images are saved and afterwards.

    The widget has the messages; its `save_file` and `save_file_as` are what the buttons
    do, and its `show_ready` shows what would be saved.

    Attributes
    ----------
    saving : Saving or None
        What is being saved, or was stopped and can be continued.
    failures : list of (str, str)
        Images of the last run that were not saved, and why.
    question : ExistingFilesDialog or None
        While the user is asked about existing files.
    """

    def __init__(self):
        ConcurrentWidgetMixin.__init__(self)
        self.saving: Saving | None = None
        self.failures: list[tuple[str, str]] = []
        self.question: ExistingFilesDialog | None = None
        self._folder = ""
        self._hint: str | None = None

    # Layout -----------------------------------------------------------------------

    def _make_status_box(self):
        self.status = SavingStatus()
        self.status.failures_asked.connect(self.show_failures)
        gui.vBox(self.controlArea, "Status").layout().addWidget(self.status)

    def _make_buttons(self):
        self.bt_save = gui.button(
            self.buttonsArea, self, "Save", callback=self.save_file, autoDefault=False
        )
        self.bt_save_as = gui.button(
            self.buttonsArea,
            self,
            "Save As…",
            callback=self.save_file_as,
            autoDefault=False,
        )
        self.bt_save_as.setToolTip("Choose a folder and save into it")

    def show_text(self, text: str, can_save: bool = True):
        """Show a text while nothing is being saved, and update the buttons."""
        self.status.show_text(text)
        self.bt_save.setText("Save" if self.saving is None else "Go On")
        self.bt_save.setEnabled(can_save)
        self.bt_save_as.setEnabled(can_save)

    def _show_progress(self, text, n_done=0, n_all=0):
        self.status.show_progress(text, n_done, n_all)
        self.bt_save.setText("Stop")
        self.bt_save_as.setEnabled(False)

    # Start and stop -----------------------------------------------------------------

    def run(self, data: Table, folder: str, options: dict, ask: bool, hint: str | None):
        """
        Save images in a thread.

        Parameters
        ----------
        data, folder, options
            As for `Saving`.
        ask : bool
            Whether to ask what to do with existing files, if there are any.
        hint : str or None
            What can be done about files that existed and were left as they are; None
            to say nothing of these.
        """
        self.clear_results()
        self._folder, self._hint = folder, hint
        self.start(begin, (data, folder), options, ask)
        self._show_progress("Looking at the folder…")

    def go_on(self):
        """Save what is left after a stop."""
        self.clear_results()
        self._save_the_rest()

    def _save_the_rest(self):
        self.start(save, self.saving)
        n_all = self.saving.total
        self.on_partial_result((n_all - self.saving.n_left, n_all))

    def stop(self):
        """Stop; saved files stay, and another click continues."""
        self.cancel()
        if self.saving is None:
            self.show_ready()
            return
        n_done = self.saving.total - self.saving.n_left
        self.show_text(f"{n_done:,} of {self.saving.total:,} images done.")
        self.Information.stopped()

    def give_up(self):
        """Cancel saving, and forget what was stopped."""
        self.cancel()
        self.saving = None
        if self.question is not None:
            self.question.reject()
        self.clear_results()

    def clear_results(self):
        """Forget the previous run."""
        self.failures = []
        self.Error.clear()
        self.Information.clear()
        self.Warning.existed.clear()
        self.Warning.not_saved.clear()

    # Results --------------------------------------------------------------------------

    def on_partial_result(self, result: Saving | tuple[int, int]):
        if isinstance(result, Saving):
            self.saving = result
            result = 0, result.total
        n_done, n_all = result
        text = f"Saving: {n_done:,} of {n_all:,} images done…"
        self._show_progress(text, n_done, n_all)

    def on_done(self, result: Saving | Question):
        self.saving = None
        if isinstance(result, Question):
            self.show_ready()
            self.ask(result.saving, result.n_existing)
        else:
            self._show_result(result)

    def ask(self, saving: Saving, n_existing: int):
        """Ask what to do with existing files, and continue with the answer."""
        self.question = ExistingFilesDialog(saving, n_existing, self)

        def answered(_):
            answer, self.question = self.question.answer(), None
            if answer is not None:
                self.saving = saving
                saving.existing = answer
                self._save_the_rest()

        self.question.finished.connect(answered)
        # Not exec, since its event loop would run inside that of the workflow.
        self.question.open()

    def _show_result(self, saving: Saving):
        self.failures = saving.failures
        n_existed, n_failed = len(saving.skipped), len(saving.failures)
        if n_existed and self._hint is not None:
            text = (
                f"{n_existed:,} "
                f"{pl(n_existed, 'file existed and was|files existed and were')} "
                f"left as {pl(n_existed, 'it is|they are')}."
            )
            self.Warning.existed(f"{text} {self._hint}".rstrip())
        if n_failed:
            reasons = count_reasons(saving.failures)
            self.Warning.not_saved(
                f"{n_failed:,} {pl(n_failed, 'image was|images were')} not saved: "
                f"{reasons}"
            )
        self.show_text(summary(saving))

    def on_exception(self, ex: Exception):
        self.saving, text = None, "No image was saved."
        if isinstance(ex, OSError):
            reason = ex.strerror or ex
            self.Error.folder(f"The folder {self._folder} cannot be used: {reason}.")
            text = "No image was saved. Save As… takes another folder."
        else:
            log.exception("Saving failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self.show_text(text)

    def show_failures(self):
        """Open the list of images that were not saved."""
        SkippedDialog(
            self.failures, self, "Images Not Saved", "Images not saved"
        ).show()
