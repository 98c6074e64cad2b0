"""The question whether a file may be opened that can run any program."""

import datetime
from collections.abc import Callable

from AnyQt.QtCore import Qt
from AnyQt.QtWidgets import QMessageBox, QWidget

from orangecontrib.imageanalytics.errors import TrustNeededError

MEANING = (
    "A network of this kind can run any program as you when it is opened: it could "
    "read, change and delete your files, and send them elsewhere. Open it only if you "
    "have made it, or trust whoever has.\n\n"
    "Your answer is remembered on this computer, for this file as it is now."
)


def ask_to_trust(
    parent: QWidget,
    needed: TrustNeededError,
    by_workflow: bool,
    answered: Callable[[bool], None],
) -> QMessageBox:
    """Ask whether a file may be opened.

    Parameters
    ----------
    parent : QWidget
    needed : TrustNeededError
        The error from the attempt to open it.
    by_workflow : bool
        Whether the workflow and not the user has chosen it.
    answered : callable
        Called once, with whether it may.

    Returns
    -------
    QMessageBox
        The window, which is open.
    """
    path = _shown(needed.path)
    name = path.replace("\\", "/").rpartition("/")[2]
    question = QMessageBox(
        QMessageBox.Warning, f"Open {name}", f"Open the network {name}?", parent=parent
    )
    # Not as HTML, which a name might look like.
    question.setTextFormat(Qt.PlainText)
    question.setInformativeText(
        f"File: {path}\n{_describe(needed)}\n{_say_who(by_workflow)}\n\n{MEANING}"
    )
    yes = question.addButton("Open", QMessageBox.AcceptRole)
    no = question.addButton("Don't Open", QMessageBox.RejectRole)
    yes.setAutoDefault(False)
    question.setDefaultButton(no)
    question.setEscapeButton(no)
    question.setAttribute(Qt.WA_DeleteOnClose)
    question.finished.connect(lambda _: answered(question.clickedButton() is yes))
    # Not exec, since its event loop would run inside that of the workflow.
    question.open()
    return question


def _shown(path: str) -> str:
    """Remove characters that would reverse or break the text."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in path)


def _describe(needed) -> str:
    large = needed.n_bytes >= 10**6
    number, unit = (
        (needed.n_bytes / 1e6, "MB") if large else (needed.n_bytes / 1e3, "kB")
    )
    size = f"Size: {number:,.1f} {unit}"
    if not needed.modified:
        return size
    when = datetime.datetime.fromtimestamp(needed.modified)
    return f"{size}\nLast changed: {when:%Y-%m-%d %H:%M}"


def _say_who(by_workflow: bool) -> str:
    if by_workflow:
        return "The workflow asks for it; you have not chosen it yourself."
    return "You have chosen it."
