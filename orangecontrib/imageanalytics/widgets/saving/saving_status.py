"""How far Save Images is, and what has come of it."""

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.save_images import Saving


class SavingStatus(QWidget):
    """A text, which may have links, and a bar that shows progress."""

    #: The user wants the list of images that were not saved.
    failures_asked = Signal()

    def __init__(self):
        super().__init__()
        self.label = QLabel(wordWrap=True)
        self.label.setTextInteractionFlags(
            Qt.LinksAccessibleByMouse | Qt.LinksAccessibleByKeyboard
        )
        self.label.linkActivated.connect(lambda: self.failures_asked.emit())
        self.bar = QProgressBar(minimum=0)
        # Its place is kept, so that the window does not change its size.
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(self.bar)

    @property
    def text(self) -> str:
        """The text, with its links."""
        return self.label.text()

    def show_text(self, text: str) -> None:
        """Show a text alone."""
        self.label.setText(text)
        self.bar.hide()

    def show_progress(self, text: str, n_done: int = 0, n_all: int = 0) -> None:
        """Show a text and the bar, which only says that it is busy if `n_all` is 0."""
        self.label.setText(text)
        self.bar.setRange(0, n_all)
        self.bar.setValue(n_done)
        self.bar.show()


def summary(saving: Saving) -> str:
    """What was saved, with a link to what was not."""
    n_saved, n_existed = len(saving.saved), len(saving.skipped)
    text = f"{n_saved:,} {pl(n_saved, 'image')} saved"
    if n_existed:
        text += f", {n_existed:,} existed"
    if saving.failures:
        text += f', <a href="#failures">{len(saving.failures):,} not saved</a>'
    return text + "."
