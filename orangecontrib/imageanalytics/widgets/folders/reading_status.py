"""The status of a widget that reads images, or has read them."""

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import (
    QGridLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QStyle,
    QVBoxLayout,
    QWidget,
)


class ReadingStatus(QWidget):
    """A text with links, or a bar that shows progress; and news, if there are any."""

    #: The user has pressed Cancel.
    cancelled = Signal()
    #: The user wants the news.
    news_asked = Signal()
    #: The address of a link in the text.
    link = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.label = QLabel(wordWrap=True)
        self.label.setAlignment(Qt.AlignLeft | Qt.AlignTop)
        self.label.setTextInteractionFlags(
            Qt.LinksAccessibleByMouse | Qt.LinksAccessibleByKeyboard
        )
        self.label.linkActivated.connect(self.link)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.label)
        self.stack.addWidget(self._make_progress())
        self.news_button = QPushButton(
            icon=self.style().standardIcon(QStyle.SP_BrowserReload), autoDefault=False
        )
        self.news_button.clicked.connect(lambda: self.news_asked.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.stack)
        layout.addWidget(self.news_button)
        self.show_news("")

    def _make_progress(self) -> QWidget:
        self.bar = QProgressBar(minimum=0, maximum=100)
        self.cancel_button = QPushButton(
            "Cancel",
            icon=self.style().standardIcon(QStyle.SP_DialogCancelButton),
            autoDefault=False,
        )
        self.cancel_button.clicked.connect(lambda: self.cancelled.emit())
        self.progress_label = QLabel()
        progress = QWidget()
        grid = QGridLayout(progress)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.bar, 0, 0)
        grid.addWidget(self.cancel_button, 0, 1)
        grid.addWidget(self.progress_label, 1, 0, 1, 2)
        return progress

    @property
    def busy(self) -> bool:
        """Whether progress is shown."""
        return self.stack.currentIndex() == 1

    def show_text(self, text: str) -> None:
        """Show a text, which may have links."""
        self.label.setText(text)
        self.stack.setCurrentIndex(0)

    def show_progress(self, percent: int, text: str) -> None:
        """Show the progress, from 0 to 100."""
        self.bar.setValue(percent)
        self.progress_label.setText(text)
        self.stack.setCurrentIndex(1)

    def show_news(self, text: str) -> None:
        """Show a button with this text to load news; an empty text hides it."""
        self.news_button.setText(text)
        self.news_button.setVisible(bool(text))
