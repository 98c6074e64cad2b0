"""The images of a sheet of thumbnails, as Qt's views want to have them."""

import html
from collections.abc import Callable, Iterable, Sequence

from AnyQt.QtCore import QAbstractListModel, QModelIndex, Qt
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.sources import is_data
from orangecontrib.imageanalytics.widgets.utils.thumbnails import (
    Box,
    Thumbnail,
    ThumbnailLoader,
)

#: Path or URL of a row, and its `Thumbnail` if it is loaded.
SourceRole = int(Qt.ItemDataRole.UserRole) + 1
ThumbnailRole = int(Qt.ItemDataRole.UserRole) + 2
#: What `set_details` gives for a row.
DetailsRole = int(Qt.ItemDataRole.UserRole) + 3

MAX_TOOLTIP = 300


def row_titles(
    data: Table | None, variable: Variable | None, rows: Sequence[int]
) -> Callable[[int], str]:
    """
    Titles of images, made when they are asked for: few are in sight.

    Parameters
    ----------
    data : Table or None
        Where the images come from.
    variable : Variable or None
        The column with the titles; without one they are empty.
    rows : sequence of int
        Row of the table for each image.

    Returns
    -------
    callable
        From the number of an image to its title; "" where it is missing.
    """
    if data is None or variable is None:
        return lambda row: ""
    text, values = variable.str_val, data.get_column(variable)
    unknown = text(variable.Unknown)

    def title(row: int) -> str:
        written = text(values[rows[row]])
        return "" if written == unknown else written

    return title


class ThumbnailModel(QAbstractListModel):
    """
    Images in rows.

    Parameters
    ----------
    loader : ThumbnailLoader
        Where the thumbnails come from.
    parent : QObject, optional
        Owner.
    """

    def __init__(self, loader: ThumbnailLoader, parent=None):
        super().__init__(parent)
        self.loader = loader
        self._sources: Sequence[str] = ()
        self._title: Callable[[int], str] = lambda row: ""
        self._details: Callable[[int], list] = lambda row: []

    def set_images(
        self,
        sources: Sequence[str],
        title: Callable[[int], str] = lambda row: "",
        intensity: Intensity = AUTOMATIC,
    ) -> None:
        """
        Show these images.

        Parameters
        ----------
        sources : sequence of str
            Path or URL for each row.
        title : callable
            Gives the title of a row; called when the row is painted.
        intensity : "auto", "full" or (float, float)
            As for `decode`.
        """
        self.beginResetModel()
        self.loader.set_intensity(intensity)
        self._sources, self._title = sources, title
        self._details = lambda row: []
        self.endResetModel()
        self.loader.refresh()

    def set_title(self, title: Callable[[int], str]) -> None:
        """Change the titles; the images and the selection stay."""
        self._title = title
        if self._sources:
            last = self.index(len(self._sources) - 1)
            role = Qt.ItemDataRole.DisplayRole
            self.dataChanged.emit(self.index(0), last, [role])

    def set_details(self, details: Callable[[int], list]) -> None:
        """Give, by a function of the row, what windows list beside its image."""
        self._details = details

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Number of images."""
        return 0 if parent is not None and parent.isValid() else len(self._sources)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole):
        """Title, source, thumbnail or tooltip of a row; nothing is loaded."""
        if not index.isValid():
            return None
        row = index.row()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._title(row)
        if role == SourceRole:
            return self._sources[row]
        if role == ThumbnailRole:
            return self.loader.get(self._sources[row])
        if role == DetailsRole:
            return self._details(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tooltip(row)
        return None

    def match(self, start, role, value, hits=1, flags=Qt.MatchFlag.MatchStartsWith):
        """Rows whose title starts with what was typed, from `start` on and around."""
        count, typed = len(self._sources), str(value).casefold()
        if role != Qt.ItemDataRole.DisplayRole or hits != 1 or not count:
            return super().match(start, role, value, hits, flags)
        for step in range(count):
            row = (start.row() + step) % count
            if self._title(row).casefold().startswith(typed):
                return [self.index(row)]
        return []

    def request(self, rows: Iterable[int], box: Box) -> None:
        """Have the thumbnails of these rows loaded, and no others."""
        self.loader.request((self._sources[row] for row in rows), box)

    def _tooltip(self, row: int) -> str:
        source, title = self._sources[row], self._title(row)
        thumbnail = self.loader.get(source)
        address = shown_source(source)
        lines = [html.escape(shortened(address, MAX_TOOLTIP))]
        if title and title not in address:
            lines.insert(0, f"<b>{html.escape(shortened(title, MAX_TOOLTIP))}</b>")
        if thumbnail is not None and thumbnail.error:
            lines.append(f"<b>Cannot be shown:</b> {html.escape(thumbnail.error)}")
        elif thumbnail is not None:
            lines.append(describe(thumbnail))
        # Without a tag, Qt would show "&amp;" as it is written.
        return f"<qt>{'<br>'.join(lines)}</qt>"


def shown_source(source: str) -> str:
    """A source as a person would write it: data URLs without the data."""
    if is_data(source):
        return source.partition(",")[0] + ",…"
    return source


def describe(thumbnail: Thumbnail) -> str:
    """Size of an image in pixels and, for a file, in bytes."""
    text = f"{readable_pixels(thumbnail.size)} pixels"
    if thumbnail.stamp is not None:
        text += f", {readable_bytes(thumbnail.stamp[0])}"
    return text


def readable_pixels(size: tuple[int, int]) -> str:
    """Width and height as people write them."""
    return f"{size[0]:,} × {size[1]:,}"  # noqa: RUF001


def readable_bytes(n_bytes: int) -> str:
    """A number of bytes as people write it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes} bytes"


def shortened(text: str, length: int) -> str:
    """A text on one line, cut to a number of characters."""
    text = " ".join(text[: 2 * length].split())
    return text if len(text) <= length else text[: length - 1] + "…"
