"""The messages of Image Embedding about its work, and buttons to continue it."""

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import (
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.widgets.embedding.embedding_task import (
    Progress,
    Result,
    duration,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import wrap


class EmbeddingStatus(QWidget):
    """A text, with a progress bar or a button below it if needed.

    There is room for two lines, and the widgets below are stacked, so that the window
    keeps its size.
    """

    #: The user wants the list of skipped images.
    skipped_asked = Signal()
    #: The user has pressed Download.
    download_asked = Signal()
    #: The user has pressed Open.
    open_asked = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.label = QLabel()
        wrap(self.label)
        # Most texts have one or two lines.
        self.label.setMinimumHeight(QLabel("x<br/>x").sizeHint().height())
        self.label.setAlignment(Qt.AlignTop)
        # Users who download a file by hand copy its address from here.
        self.label.setTextInteractionFlags(Qt.TextBrowserInteraction)
        self.label.linkActivated.connect(lambda _: self.skipped_asked.emit())
        self.progress_bar = QProgressBar()
        self.progress_bar.setAccessibleName("Progress")
        self.download_button = QPushButton("Download…", autoDefault=False)
        self.download_button.clicked.connect(lambda: self.download_asked.emit())
        self.open_button = QPushButton("Open…", autoDefault=False)
        self.open_button.clicked.connect(lambda: self.open_asked.emit())
        self._nothing = QLabel()
        self._stack = QStackedWidget()
        self._stack.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)
        for part in (
            self._nothing,
            self.progress_bar,
            self.download_button,
            self.open_button,
        ):
            self._stack.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(self._stack)

    @property
    def text(self) -> str:
        """The text that is shown, which may have links."""
        return self.label.text()

    def show_text(self, text: str) -> None:
        """Show a text, which may have links."""
        self._show(text, self._nothing)

    def show_progress(self, progress: Progress) -> None:
        """Show the progress."""
        is_known = progress.fraction is not None
        self.progress_bar.setRange(0, 1000 if is_known else 0)
        if is_known:
            self.progress_bar.setValue(round(1000 * progress.fraction))
        self._show(progress.text, self.progress_bar)

    def offer_download(self, text: str, size: str) -> None:
        """Show a text and a button for a download."""
        self.download_button.setText(f"Download ({size})…")
        self._show(text, self.download_button)

    def offer_to_open(self, text: str) -> None:
        """Show a text and a button to open a file that could run programs."""
        self._show(text, self.open_button)

    def _show(self, text, part):
        self.label.setText(text)
        self._stack.setCurrentWidget(part)


def summary(result: Result) -> str:
    """How many images were embedded, with a link to the skipped ones."""
    n_embedded = len(result.embedded) if result.embedded else 0
    n_skipped = len(result.skipped_images)
    skipped = f'<a href="#skipped">{n_skipped:,} skipped</a>'
    if not n_embedded:
        return f"No image was embedded, {skipped}"
    seconds = result.seconds
    time_taken = duration(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    text = f"{n_embedded:,} {pl(n_embedded, 'image')} embedded in {time_taken}"
    if n_skipped:
        text += f", {skipped}"
    if result.n_cached:
        text += f"<br/>{result.n_cached:,} had been embedded before"
    return text
