"""Search the names of several thousand networks."""

from collections.abc import Iterable

from AnyQt.QtCore import QAbstractListModel, QModelIndex, Qt

from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS


class NameModel(QAbstractListModel):
    """The names that contain all the searched words.

    Names that begin with the first word come first.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        self._all: list[str] = []
        self._words: list[str] = []
        self._found: list[str] = []

    @property
    def total(self) -> int:
        """The number of all names, including those that are not found."""
        return len(self._all)

    def extend(self, ids: Iterable[str]):
        """Add networks.

        Parameters
        ----------
        ids : iterable of str
            Such as ``"timm:resnet18.a1_in1k"``.
        """
        self._all.extend(ids)
        self._filter()

    def search(self, text: str):
        """Search for words, in any order and in upper or lower case."""
        self._words = text.lower().split()
        self._filter()

    def _filter(self):
        self.beginResetModel()
        words = self._words
        self._found = [
            id for id in self._all if all(word in id.lower() for word in words)
        ]
        if words:
            self._found.sort(key=lambda id: not _name(id).lower().startswith(words[0]))
        self.endResetModel()

    def row_of(self, id: str) -> int:
        """The row of a network among those found; -1 if it is not found."""
        return self._found.index(id) if id in self._found else -1

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._found)

    def data(self, index, role=Qt.DisplayRole):
        if not index.isValid():
            return None
        id = self._found[index.row()]
        if role in (Qt.DisplayRole, Qt.ToolTipRole):
            return _name(id)
        if role == DETAILS:
            return id.partition(":")[0]
        if role == Qt.AccessibleTextRole:
            return f"{_name(id)}, {id.partition(':')[0]}"
        return id if role == Qt.UserRole else None


def _name(id: str) -> str:
    return id.partition(":")[2]
