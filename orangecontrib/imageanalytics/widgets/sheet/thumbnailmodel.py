"""The images of a sheet of thumbnails, as a model for Qt's views."""

import html
from collections.abc import Callable, Iterable, Sequence

from AnyQt.QtCore import QAbstractListModel, QModelIndex, Qt
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.members import split_member
from orangecontrib.imageanalytics.images.sources import (
    is_data,
    page_source,
    split_page,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
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


Labels = Callable[[int], Sequence[str]]
Details = Callable[[int], list]


def row_labels(
    data: Table | None, variables: Sequence[Variable], rows: Sequence[int]
) -> Labels:
    """
    Labels of images, made when they are asked for: few are in sight.

    Parameters
    ----------
    data : Table or None
        Where the images come from.
    variables : sequence of Variable
        The columns with the labels.
    rows : sequence of int
        Row of the table for each image.

    Returns
    -------
    callable
        From the number of an image to its labels, one for each column; "" where a
        value is missing.
    """
    if data is None:
        return lambda row: ()
    columns = [
        (
            variable.str_val,
            data.get_column(variable),
            variable.str_val(variable.Unknown),
        )
        for variable in variables
    ]

    def labels(row: int) -> list[str]:
        written = (
            (text(values[rows[row]]), unknown) for text, values, unknown in columns
        )
        return ["" if label == unknown else label for label, unknown in written]

    return labels


def no_labels(row: int) -> Sequence[str]:
    """Labels of images that have none."""
    return ()


def no_details(row: int) -> list:
    """Details of images about which nothing else is known."""
    return []


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
        self._labels: Labels = no_labels
        self._details: Details = no_details
        self._rows_of: dict[str, list[int]] | None = None

    def set_images(
        self,
        sources: Sequence[str],
        labels: Labels = no_labels,
        intensity: Intensity = AUTOMATIC,
    ) -> None:
        """
        Show these images; those that are loaded are not loaded again.

        Parameters
        ----------
        sources : sequence of str
            Path or URL for each row.
        labels : callable
            Gives the labels of a row; called when the row is painted.
        intensity : "auto", "full" or (float, float)
            As for `decode`.
        """
        self.beginResetModel()
        self.loader.set_intensity(intensity)
        self._sources, self._labels, self._rows_of = sources, labels, None
        self._details = no_details
        self.endResetModel()

    def set_labels(self, labels: Labels) -> None:
        """Change the labels; the images and the selection stay."""
        self._labels = labels
        if self._sources:
            last = self.index(len(self._sources) - 1)
            role = Qt.ItemDataRole.DisplayRole
            self.dataChanged.emit(self.index(0), last, [role])

    def set_details(self, details: Details) -> None:
        """Give, by a function of the row, what windows list beside its image."""
        self._details = details

    def labels(self, row: int) -> Sequence[str]:
        """What is written below an image, line by line."""
        return [shown_label(text) for text in self._labels(row)]

    def source(self, row: int) -> str:
        """Path or URL of an image."""
        return self._sources[row]

    def thumbnail(self, row: int) -> Thumbnail | None:
        """What is loaded of an image; nothing is loaded for it."""
        return self.loader.get(self._sources[row])

    def is_current(self, row: int, box: Box) -> bool:
        """Whether a request for an image would load nothing."""
        return self.loader.is_current(self._sources[row], box)

    def rows_of(self, source: str) -> list[int]:
        """The rows that show a source."""
        if self._rows_of is None:
            self._rows_of = {}
            for row, own in enumerate(self._sources):
                self._rows_of.setdefault(own, []).append(row)
        return self._rows_of.get(source, [])

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Number of images."""
        return 0 if parent is not None and parent.isValid() else len(self._sources)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole):
        """Labels, source, thumbnail or tooltip of a row; nothing is loaded."""
        if not index.isValid():
            return None
        row = index.row()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row)
        if role == SourceRole:
            return self._sources[row]
        if role == ThumbnailRole:
            return self.thumbnail(row)
        if role == DetailsRole:
            return self._details(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tooltip(row)
        return None

    def match(self, start, role, value, hits=1, flags=Qt.MatchFlag.MatchStartsWith):
        """Rows whose text starts with what was typed, from `start` on and around."""
        count, typed = len(self._sources), str(value).casefold()
        if role != Qt.ItemDataRole.DisplayRole or hits != 1 or not count:
            return super().match(start, role, value, hits, flags)
        for step in range(count):
            row = (start.row() + step) % count
            if self._text(row).casefold().startswith(typed):
                return [self.index(row)]
        return []

    def request(self, rows: Iterable[int], box: Box) -> None:
        """Request the thumbnails of these rows, and no others."""
        self.loader.request((self._sources[row] for row in rows), box)

    def _text(self, row: int) -> str:
        return ", ".join(filter(None, self.labels(row)))

    def description(self, row: int) -> list[str]:
        """Where an image is from, and its size or what is wrong with it, as HTML."""
        thumbnail = self.thumbnail(row)
        lines = [html.escape(shortened(shown_source(self._sources[row]), MAX_TOOLTIP))]
        if thumbnail is not None and thumbnail.error:
            lines.append(f"<b>Cannot be shown:</b> {html.escape(thumbnail.error)}")
        elif thumbnail is not None:
            lines.append(describe(thumbnail))
        return lines

    def _tooltip(self, row: int) -> str:
        title, lines = self._text(row), self.description(row)
        if title and title not in shown_source(self._sources[row]):
            lines.insert(0, f"<b>{html.escape(shortened(title, MAX_TOOLTIP))}</b>")
        # Without a tag, Qt would show "&amp;" as it is written.
        return f"<qt>{'<br>'.join(lines)}</qt>"


def shown_source(source: str) -> str:
    """A source as a person would write it.

    Data URLs are without the data, and files in tar files without their places.
    """
    if is_data(source):
        return source.partition(",")[0] + ",…"
    address, page = split_page(source)
    if (found := split_member(address)) is not None:
        shard, member = found
        shown = f"{shard}: {member.name}"
        return shown if page is None else page_source(shown, page)
    return source


def shown_label(text: str) -> str:
    """A label as it is written: of a file in a tar file, the name there."""
    found = split_member(split_page(text)[0]) if "#member=" in text else None
    return text if found is None else found[1].name


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
