"""The page on which a network of a Python package is chosen by its name."""

from AnyQt.QtCore import QEvent, Qt, Signal
from AnyQt.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.registry import FAMILIES, family_names
from orangecontrib.imageanalytics.widgets.embedding.name_search import NameModel
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    show_placeholder,
    text_label,
)
from orangecontrib.imageanalytics.widgets.utils.two_texts import TwoTexts

MOVES = (Qt.Key_Up, Qt.Key_Down, Qt.Key_PageUp, Qt.Key_PageDown)


class NamePage(QWidget):
    """Search among the names of all networks of torchvision, timm and open_clip."""

    changed = Signal()
    taken = Signal(object)
    #: More names, as they are looked up
    found = Signal(tuple)

    def __init__(self):
        super().__init__()
        self.search = QLineEdit(
            placeholderText="Search, for example: resnet 50",
            clearButtonEnabled=True,
            toolTip="Words or parts of them, in any order",
        )
        show_placeholder(self.search)
        label = QLabel("&Search:")
        label.setBuddy(self.search)
        self.search.textChanged.connect(self._find)
        self.search.installEventFilter(self)
        self.model = NameModel(self)
        self.view = QListView(uniformItemSizes=True)
        self.view.setAccessibleName("Networks")
        self.view.setModel(self.model)
        self.view.setItemDelegate(TwoTexts(self.view))
        self.view.selectionModel().currentChanged.connect(self.changed)
        self.view.doubleClicked.connect(self.take)
        self.count_label = QLabel()
        self.problem_label = text_label()
        self.problem_label.hide()
        note = text_label(
            "Networks of the Python packages torchvision and timm, and those of "
            "open_clip (clip), which know words. Nothing is downloaded before you "
            "agree to it."
        )
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.search, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.count_label)
        layout.addWidget(self.problem_label)
        layout.addWidget(note)
        self._families = iter(FAMILIES)
        self._lookup: Background | None = None

    def start(self):
        """Look up the names, one family after the other."""
        family = next(self._families, None)
        self._lookup = None
        if family is not None:
            self._lookup = Background(self, self._add, self._failed)
            self._lookup.start(family_names, family)
        self._count()

    @property
    def busy(self) -> bool:
        """Whether names are being looked up."""
        return self._lookup is not None

    def stop(self):
        """Stop waiting for results."""
        if self._lookup is not None:
            self._lookup.cancel()

    def _add(self, names):
        id = self.id
        self.model.extend(names)
        self.found.emit(tuple(names))
        self._select(id)
        self.start()

    def _failed(self, error):
        text = str(error)
        if not isinstance(error, ModelError):
            text = f"The names could not be looked up: {text}"
        before = self.problem_label.text()
        self.problem_label.setText(f"{before}\n{text}" if before else text)
        self.problem_label.show()
        self.start()

    def _find(self, text):
        id = self.id
        self.model.search(text)
        self._select(id)
        self._count()

    def _select(self, id):
        """Keep the choice while it is found; otherwise Enter takes the first name."""
        row = self.model.row_of(id)
        if row < 0 and self.search.text().strip() and self.model.rowCount():
            row = 0
        self.view.setCurrentIndex(self.model.index(row, 0))
        self.changed.emit()

    def _count(self):
        found, total = self.model.rowCount(), self.model.total
        if self.busy:
            text = "Looking up the names…"
            if found:
                text = f"{found:,} {pl(found, 'network')}; looking up more names…"
        elif total and not found:
            text = "No name contains all of these words."
        elif found < total:
            text = f"{found:,} of {total:,} networks"
        else:
            text = f"{total:,} networks"
        self.count_label.setText(text)

    def eventFilter(self, watched, event):
        """Let arrow keys move in the list while the user types."""
        if event.type() == QEvent.KeyPress and event.key() in MOVES:
            QApplication.sendEvent(self.view, event)
            return True
        return super().eventFilter(watched, event)

    @property
    def id(self) -> str:
        """The id of the chosen network; empty if there is none."""
        return self.view.currentIndex().data(Qt.UserRole) or ""

    def is_ready(self) -> bool:
        """Whether a network is chosen."""
        return bool(self.id)

    def take(self):
        """Emit the chosen network."""
        if self.is_ready():
            self.taken.emit(Choice(self.id))
