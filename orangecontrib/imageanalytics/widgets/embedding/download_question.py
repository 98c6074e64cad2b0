"""The question whether a network may be downloaded."""

from collections.abc import Callable

from AnyQt.QtCore import Qt
from AnyQt.QtWidgets import QMessageBox, QWidget

from orangecontrib.imageanalytics.widgets.embedding.network_choice import Facts
from orangecontrib.imageanalytics.widgets.utils.standard_buttons import (
    translate_buttons,
)


def ask_to_download(
    parent: QWidget, facts: Facts, answered: Callable[[bool], None]
) -> QMessageBox:
    """Ask whether a network may be downloaded.

    Parameters
    ----------
    parent : QWidget
    facts : Facts
        What is known about the network.
    answered : callable
        Called once, with whether it may.

    Returns
    -------
    QMessageBox
        The window, which is open.
    """
    network = facts.network
    question = QMessageBox(
        QMessageBox.Question,
        f"Download {network.name}",
        f"Download the network {network.name} ({facts.size})?",
        parent=parent,
    )
    licence = f" The license of the weights is {network.licence}."
    question.setInformativeText(
        f"It is downloaded once, from {network.origin}, and kept in "
        f"{network.weights.path}. Images are never sent anywhere."
        f"{licence if network.licence else ''}"
    )
    yes = question.addButton("Download", QMessageBox.AcceptRole)
    question.addButton(QMessageBox.Cancel)
    translate_buttons(question)
    question.setDefaultButton(yes)
    question.setAttribute(Qt.WA_DeleteOnClose)
    question.finished.connect(lambda _: answered(question.clickedButton() is yes))
    # Not exec, since its event loop would run inside that of the workflow.
    question.open()
    return question
