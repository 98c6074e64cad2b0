"""Questions to the user before a network is downloaded or opened."""

from typing import ClassVar

from AnyQt.QtCore import QObject, Signal
from AnyQt.QtWidgets import QMessageBox, QWidget

from orangecontrib.imageanalytics.errors import TrustNeededError
from orangecontrib.imageanalytics.widgets.embedding.download_question import (
    ask_to_download,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Facts
from orangecontrib.imageanalytics.widgets.embedding.trust_question import ask_to_trust


class Consent(QObject):
    """
    Asks the questions of a widget, one at a time, and remembers the answers.

    Parameters
    ----------
    parent : QWidget

    Attributes
    ----------
    vouched : TrustNeededError or None
        The file that the user last agreed to open.
    """

    #: The user has agreed.
    given = Signal()

    #: Networks that the user has agreed to download since Orange was started
    agreed: ClassVar[set[str]] = set()

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._parent = parent
        self._question: QMessageBox | None = None
        self.vouched: TrustNeededError | None = None

    def is_needed(self, facts: Facts) -> bool:
        """Whether the user has to be asked before a network is downloaded."""
        return facts.must_download and facts.network.id not in self.agreed

    def ask_to_download(self, facts: Facts) -> None:
        """Ask whether a network may be downloaded."""

        def answered(may_download):
            self._question = None
            if may_download:
                self.agreed.add(facts.network.id)
                self.given.emit()

        if not self._is_asking():
            self._question = ask_to_download(self._parent, facts, answered)

    def ask_to_trust(self, needed: TrustNeededError, by_workflow: bool) -> None:
        """Ask whether a file that can run code may be opened; see `ask_to_trust`."""

        def answered(may_open):
            self._question = None
            if may_open:
                self.vouched = needed
                self.given.emit()

        if not self._is_asking():
            self._question = ask_to_trust(self._parent, needed, by_workflow, answered)

    def close(self) -> None:
        """Close the question that is open, as if the answer were no."""
        if self._question is not None:
            self._question.reject()

    def _is_asking(self) -> bool:
        if self._question is None:
            return False
        self._question.raise_()
        self._question.activateWindow()
        return True
