"""Export labels to CSV, and read them back: buttons, dialogs and threads."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from AnyQt.QtCore import QObject
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from orangecontrib.imageanalytics.errors import Cancelled, ImageAnalyticsError
from orangecontrib.imageanalytics.labels import (
    NO_CLASS,
    LabeledImage,
    LabelSession,
    Proposals,
    Row,
    find,
    read_labels,
    shown_classes,
    write_labels,
)
from orangecontrib.imageanalytics.labels.csv_files import PERSON, PROPOSED
from orangecontrib.imageanalytics.labels.record import Found, identify
from orangecontrib.imageanalytics.widgets.utils.background import Background

FILTER = "Comma-separated values (*.csv)"


@dataclass
class Exported:
    """A file that was written, with its number of rows."""

    path: str
    n_rows: int


@dataclass
class ReadBack:
    """
    A file that was read.

    Attributes
    ----------
    path : str
    sources : sequence of str
        Of the images of the session.
    found : Found
        Where its images are among these.
    n_left_out : int
        Rows that were proposed, or incomplete.
    """

    path: str
    sources: Sequence[str]
    found: Found
    n_left_out: int


@dataclass
class Contents:
    """
    What is exported, as it was when the user asked for it.

    Attributes
    ----------
    session : LabelSession
    proposals : Proposals
    sources, cells : sequence of str
        Of the images: their sources, and how the table names them.
    absent : sequence of LabeledImage
        Labelled images that are not in the data.
    """

    session: LabelSession
    proposals: Proposals
    sources: Sequence[str]
    cells: Sequence[str]
    absent: Sequence[LabeledImage] = ()


class LabelFiles(QObject):
    """
    Writes and reads files of labels in a thread.

    Parameters
    ----------
    parent : QWidget
        Of the dialogs.
    """

    exported = Signal(object)
    read_back = Signal(object)
    #: A message that names the file.
    failed = Signal(str)
    export_asked = Signal()
    read_asked = Signal()

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self._parent = parent
        self._path = ""
        self._writer = Background(self, self.exported.emit, self._on_failed)
        self._reader = Background(self, self.read_back.emit, self._on_failed)
        self.export_button = QPushButton(
            "&Export…",
            autoDefault=False,
            toolTip="Write the classes, of which are yours and which are proposed, "
            "to a CSV file",
            clicked=lambda: self.export_asked.emit(),
        )
        self.read_button = QPushButton(
            "Read &Back…",
            autoDefault=False,
            toolTip="Read classes from a CSV file with the columns image and class",
            clicked=lambda: self.read_asked.emit(),
        )

    def buttons(self) -> QHBoxLayout:
        """A row with the buttons."""
        row = QHBoxLayout()
        row.addWidget(self.export_button)
        row.addWidget(self.read_button)
        return row

    @property
    def busy(self) -> bool:
        """Whether a file is being written or read."""
        return self._writer.busy or self._reader.busy

    def ask_path_to_write(self) -> str:
        """Let the user choose a file to write; empty if the user does not."""
        start = self._path or os.path.join(os.path.expanduser("~"), "labels.csv")
        path, _ = QFileDialog.getSaveFileName(
            self._parent, "Export Labels", start, FILTER
        )
        if path and not os.path.splitext(path)[1]:
            path += ".csv"
        self._path = path or self._path
        return path

    def ask_path_to_read(self) -> str:
        """Let the user choose a file to read; empty if the user does not."""
        start = self._path or os.path.expanduser("~")
        path, _ = QFileDialog.getOpenFileName(
            self._parent, "Read Labels Back", start, FILTER
        )
        self._path = path or self._path
        return path

    def write(self, path: str, contents: Contents) -> None:
        """Write a file; one that exists is replaced, as the dialog has asked."""
        self._writer.start(_write, path, contents)

    def read(self, path: str, sources: Sequence[str], origin: str) -> None:
        """Read a file, and find its images among the sources."""
        self._reader.start(_read, path, sources, origin)

    def _on_failed(self, error: Exception) -> None:
        if isinstance(error, Cancelled):
            return
        if not isinstance(error, ImageAnalyticsError):
            reason = getattr(error, "strerror", None) or error
            error = f"{self._path} cannot be written: {reason}."
        self.failed.emit(str(error))

    def close(self) -> None:
        """Ignore what is still being done."""
        self._writer.cancel()
        self._reader.cancel()


def _write(path: str, contents: Contents) -> Exported:
    session = contents.session
    numbers, by, certainty = shown_classes(session, contents.proposals)
    classes, rows = session.classes, []
    for image in np.flatnonzero(numbers != NO_CLASS).tolist():
        is_given = by[image] == 0
        sha256 = identify(contents.sources[image])[0] if is_given else ""
        rows.append(
            Row(
                contents.cells[image],
                classes[int(numbers[image])].name,
                PERSON if is_given else PROPOSED,
                float(certainty[image]),
                sha256,
            )
        )
    rows += [
        Row(image.source, image.class_name, PERSON, 1.0, image.sha256)
        for image in contents.absent
        if image.class_name
    ]
    write_labels(path, rows, overwrite=True)
    return Exported(path, len(rows))


def _read(path: str, sources: Sequence[str], origin: str) -> ReadBack:
    images, n_left_out = read_labels(path, origin)
    return ReadBack(path, sources, find(images, sources), n_left_out)
