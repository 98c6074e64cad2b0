"""Labels as CSV files: written, and read back."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import ImageAnalyticsError
from orangecontrib.imageanalytics.images.sources import source_of
from orangecontrib.imageanalytics.labels.record import LabeledImage
from orangecontrib.imageanalytics.output_file import replaced_file

COLUMNS = ("image", "class", "by", "certainty", "sha256")
PERSON, PROPOSED = "person", "proposed"
MOST_BYTES = 1 << 28


class LabelFileError(ImageAnalyticsError):
    """A file of labels cannot be used; the message names it."""


@dataclass(frozen=True)
class Row:
    """A row of a file: as `COLUMNS`; the certainty is from 0 to 1."""

    image: str
    class_name: str
    by: str
    certainty: float
    sha256: str = ""


def write_labels(path: str, rows: Iterable[Row], overwrite: bool = False) -> None:
    """
    Write labels as CSV.

    Parameters
    ----------
    path : str
        The file; it appears when it is complete.
    rows : iterable of Row
    overwrite : bool
        Whether to replace a file that exists.

    Raises
    ------
    OSError
        The file exists, or cannot be written.
    """
    with (
        replaced_file(path, overwrite) as partial,
        open(
            partial, "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            certainty = f"{row.certainty:.4g}"
            writer.writerow([row.image, row.class_name, row.by, certainty, row.sha256])


def read_labels(path: str, origin: str = "") -> tuple[list[LabeledImage], int]:
    """
    Read labels from CSV.

    Columns may be separated by commas, semicolons or tabs, and stand in any order;
    only ``image`` and ``class`` must be there.

    Parameters
    ----------
    path : str
        The file.
    origin : str
        What relative paths start from; the folder of the file by default.

    Returns
    -------
    list of LabeledImage
        The labels that a person has given.
    int
        Number of rows that were proposed, or are without a class or an image, and are
        left out.

    Raises
    ------
    LabelFileError
        The file cannot be read, or has no such columns.
    """
    try:
        text = _text(path)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        header = [name.strip().lower() for name in next(reader, [])]
        if not {"image", "class"} <= set(header):
            raise LabelFileError(
                f"{path} has no columns 'image' and 'class' in its first line."
            )
        origin = origin or os.path.dirname(os.path.abspath(path))
        found = [_labeled(header, values, origin) for values in reader if values]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not a text file in UTF-8"
        raise LabelFileError(f"{path} cannot be read: {reason}.") from error
    images = [image for image in found if image is not None]
    return images, len(found) - len(images)


def _text(path: str) -> str:
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise LabelFileError(f"{path} is too large for a file of labels.")
    if b"\0" in content[:1000]:
        raise LabelFileError(f"{path} is not a text file in UTF-8.")
    return content.decode("utf-8-sig", errors="strict")


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _labeled(header: list[str], values: list[str], origin: str) -> LabeledImage | None:
    row = dict(zip(header, (value.strip() for value in values), strict=False))
    source = source_of(row.get("image", ""), origin)
    name = " ".join(row.get("class", "").split())
    by = row.get("by", "").lower() or PERSON
    if by != PERSON or not name or not (source or row.get("sha256")):
        return None
    return LabeledImage(source or "", name, row.get("sha256", "").lower())
