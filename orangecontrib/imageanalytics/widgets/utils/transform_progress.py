"""Shows the progress of embedding while Orange waits for it.

Predictions and other widgets transform their data in the GUI thread, where the columns
of an embedding then embed images. A window shows the progress and can stop it.
"""

import time
from contextlib import contextmanager

from AnyQt.QtCore import Qt, QThread
from AnyQt.QtWidgets import QApplication, QProgressDialog
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.errors import Cancelled

PATIENCE = 1  # seconds after which it appears
STEPS = 1000


@contextmanager
def watch_embedding(n_images: int):
    """Show a window with the progress if it takes long; see `embedding_columns.watch`.

    Parameters
    ----------
    n_images : int

    Yields
    ------
    callable
        Takes the fraction done; raises `Cancelled` when the user has pressed Cancel. It
        does nothing in threads other than the GUI's.
    """
    application = QApplication.instance()
    if application is None or QThread.currentThread() is not application.thread():
        yield lambda _fraction: None
        return
    dialog = _make_dialog(n_images)
    start = time.monotonic()

    def tell(fraction):
        if time.monotonic() - start >= PATIENCE:
            dialog.forceShow()
        # Since it is modal, this also lets it be drawn and Cancel be pressed.
        dialog.setValue(min(round(STEPS * fraction), STEPS - 1))
        if dialog.wasCanceled():
            raise Cancelled

    try:
        yield tell
    finally:
        dialog.close()
        dialog.deleteLater()


class _Dialog(QProgressDialog):
    """Makes `forceShow` accessible, which is protected."""


def _make_dialog(n_images) -> QProgressDialog:
    dialog = _Dialog(
        f"Embedding {n_images:,} {pl(n_images, 'image')} that a model or another "
        "table asks for…",
        "Cancel",
        0,
        STEPS,
        QApplication.activeWindow(),
    )
    dialog.setWindowTitle("Image Embedding")
    dialog.setWindowModality(Qt.ApplicationModal)
    # Qt's own would wait for the first progress, which may take long to come.
    dialog.setMinimumDuration(2**30)
    dialog.setAutoReset(False)
    return dialog
