"""Texts of the standard buttons of dialogs."""

from AnyQt.QtWidgets import QDialogButtonBox, QMessageBox


def translate_buttons(box: QMessageBox | QDialogButtonBox) -> None:
    """
    Give the standard buttons of a dialog texts in the language of the other texts.

    Qt's own are in English, since Orange does not load Qt's translations.

    Parameters
    ----------
    box : QMessageBox or QDialogButtonBox
        Its Cancel and Close get texts, if it has them.
    """
    for kind, text in ((box.Cancel, "Cancel"), (box.Close, "Close")):
        button = box.button(kind)
        if button is not None:
            button.setText(text)
