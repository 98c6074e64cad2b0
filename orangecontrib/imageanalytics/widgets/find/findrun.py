"""The work of Find Images as the user sees it: images are embedded, then searched."""

from __future__ import annotations

import logging

from AnyQt.QtCore import QTimer
from AnyQt.QtWidgets import QStyle
from Orange.data import Table
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.find_images import ExamplesError
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import (
    NetworkTask,
    Progress,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Facts
from orangecontrib.imageanalytics.widgets.embedding.network_run import NetworkRunMixin
from orangecontrib.imageanalytics.widgets.find.find_task import Vectors, embed_images
from orangecontrib.imageanalytics.widgets.find.finder import Finder, Found, Sorted
from orangecontrib.imageanalytics.widgets.find.question import (
    FIND,
    SORT,
    Question,
    Sorting,
)
from orangecontrib.imageanalytics.widgets.find.searching import Searcher
from orangecontrib.imageanalytics.widgets.utils.form_parts import as_html

log = logging.getLogger(__name__)

#: Milliseconds after which it is said what takes long.
PATIENCE = 300
NOTHING_ASKED = {
    FIND: "Type what to find, or select an image and press M: more like this.",
    SORT: "Type the names of two or more classes.",
}
STOPPED = "Cancelled."


class FindRunMixin(NetworkRunMixin):
    """
    What `OWFindImages` does while images are embedded and searched.

    The widget defines `network_task`, `question`, `show_answer`, `take_table`, `go_on`
    and `can_embed`, and the property ``is_locating``: whether there will be other
    examples.

    Attributes
    ----------
    finder : Finder or None
        Searches the images, once these have vectors.
    """

    nothing_done = "The images cannot be searched."

    def __init__(self):
        NetworkRunMixin.__init__(self)
        self.finder: Finder | None = None
        self._may_ask = False  # only after a choice, not when a workflow is opened
        self._status = ""  # of the images, while nothing else is to be said
        self.searcher = Searcher(self)
        self.searcher.answered.connect(self._on_answered)
        self.searcher.finished.connect(self._on_finished)
        self.searcher.failed.connect(self._on_failed)
        self.searcher.said.connect(self._on_said)
        self._said = ""
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE)
        self._patience.timeout.connect(self._say)

    # For the widget to define

    def network_task(self) -> NetworkTask:
        """What is to be embedded."""
        raise NotImplementedError

    def question(self) -> Question | Sorting:
        """What is looked for, so far as the network can answer it."""
        raise NotImplementedError

    def show_answer(self, answer: Found | Sorted | None) -> None:
        """Show what was found; None if nothing is looked for."""
        raise NotImplementedError

    def take_table(self, table: Table | None) -> None:
        """Send the table with the columns of what is shown."""
        raise NotImplementedError

    # Embedding

    def embed_images(self) -> None:
        """Find or compute the vectors of the images, and then search."""
        self.forget()
        self.network.look_again()
        self.run(embed_images, self.network_task())
        self._update_button()

    def forget(self) -> None:
        """Stop all work, and forget the vectors and the answer."""
        self.cancel()
        if self.finder is not None:
            self.finder.close()
            self.finder = None
        self.Error.network_missing.clear()
        self.Error.out_of_memory.clear()
        self.Error.unexpected_error.clear()
        self.Information.cancelled.clear()
        self.clear_questions()
        self._status = ""

    def stop(self) -> None:
        """Stop the work; or continue it, if it was stopped."""
        if self.task is not None:
            self.cancel()
            self.Information.cancelled()
            self.end(STOPPED)
        elif self.searcher.busy:
            self.searcher.cancel()
            self._end_search()
            self.Information.cancelled()
            self.status.show_text(STOPPED)
        elif self.finder is None:
            self.go_on()
        else:
            self.ask()
        self._update_button()

    def cancel(self) -> None:
        """Stop all work."""
        self.searcher.cancel()
        super().cancel()
        self._end_search()
        self._update_button()

    def setInvalidated(self, state: bool) -> None:
        """As in Orange; while something is searched, there will be other outputs."""
        super().setInvalidated(state or self.searcher.busy or self.is_locating)

    def _update_button(self) -> None:
        """The button stops what runs, or continues what was stopped."""
        busy = self.task is not None or self.searcher.busy
        cancelled = self.Information.cancelled.is_shown()
        lacks_vectors = self.finder is None and self.can_embed()
        was_stopped = not busy and (cancelled or lacks_vectors)
        icon = QStyle.SP_BrowserReload if was_stopped else QStyle.SP_DialogCancelButton
        text, tip = "Cancel", "Stop; finished vectors are kept"
        if was_stopped:
            text = "Continue" if cancelled else "Try Again"
            tip = "Go on where it stopped"
        self.cancel_button.setText(text)
        self.cancel_button.setToolTip(tip)
        self.cancel_button.setIcon(self.style().standardIcon(icon))
        self.cancel_button.setEnabled(busy or was_stopped)

    def can_embed(self) -> bool:
        """Whether there are images, and no question has to be answered first."""
        raise NotImplementedError

    def on_done(self, result: Vectors | Facts) -> None:
        """Search, now that there are vectors; or ask for the download."""
        self.network.take_facts(result.facts if isinstance(result, Vectors) else result)
        if isinstance(result, Facts):
            self.offer_download()
            if self._may_ask:
                self.ask_to_download()
        else:
            self._take_vectors(result)
        self._may_ask = False
        self._update_button()

    def on_exception(self, ex: Exception) -> None:
        """Say why the images have no vectors."""
        super().on_exception(ex)
        self._may_ask = False
        self._update_button()

    def _take_vectors(self, vectors: Vectors) -> None:
        n_features = vectors.images.vectors.shape[1] or None
        self.network.take_result(vectors.facts, n_features)
        self.take_skipped(vectors.skipped)
        if not vectors.n_images:
            self.end(_skipped_text("No image could be embedded", vectors))
            return
        count = vectors.n_images
        self._status = _skipped_text(f"{count:,} {pl(count, 'image')}", vectors)
        self.finder = Finder(vectors)
        self.ask()

    # Searching

    def ask(self, at_once: bool = True) -> None:
        """Look for what is asked for, as soon as there are vectors and examples."""
        if self.finder is None or self.is_locating:
            return
        self.Information.cancelled.clear()
        question = self.question()
        if question:
            self.searcher.ask(self.finder, question, at_once)
            self.setInvalidated(True)
        else:
            self.searcher.cancel()
            self._end_search()
            self.show_answer(None)
            self.take_table(None)
        self._update_button()

    def _on_said(self, text: str) -> None:
        self._said = text
        self._patience.start()

    def _say(self) -> None:
        self.status.show_progress(Progress(self._said))

    def _on_answered(self, answer: Found | Sorted) -> None:
        self._patience.stop()
        self.Error.cannot_find.clear()
        self.show_answer(answer)

    def _on_finished(self, answer: Found | Sorted, table: Table) -> None:
        self._end_search()
        self.take_table(table)
        self._update_button()

    def _on_failed(self, error: Exception) -> None:
        self._end_search()
        text = str(error) or type(error).__name__
        if not isinstance(error, ExamplesError | ModelError | ValueError):
            log.exception("Searching failed", exc_info=error)
        self.show_answer(None)
        self.take_table(None)
        self.Error.cannot_find(text)
        self.status.show_text(as_html(text))
        self._update_button()

    def _end_search(self) -> None:
        self._patience.stop()
        self.Error.cannot_find.clear()
        if self.task is None:
            self.setInvalidated(False)

    def show_status(self, *texts: str) -> None:
        """Show texts, and how many images there are."""
        lines = [text for text in (*texts, self._status) if text]
        self.status.show_text("<br/>".join(lines))


def _skipped_text(text: str, vectors: Vectors) -> str:
    count = len(vectors.skipped)
    return f'{text}, <a href="#skipped">{count:,} skipped</a>' if count else text
