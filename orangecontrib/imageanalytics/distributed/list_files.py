"""Files that list images: text, CSV and Parquet. They are read as they stream."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from orangecontrib.imageanalytics.errors import ImageAnalyticsError, first_line
from orangecontrib.imageanalytics.images.copies import opened_file

DELIMITERS = ",;\t|"
#: Names of columns that hold images, most likely.
LIKELY = {
    *("image", "images", "img", "image_path", "image_file", "image_url", "imageurl"),
    *("path", "paths", "file", "files", "filename", "file_name", "filepath"),
    *("file_path", "url", "urls", "uri", "source"),
}
_HEAD_BYTES = 1 << 13
# In the second line of Orange's own files, below the names.
_ORANGE_TYPES = {"string", "s", "text", "continuous", "c", "discrete", "d", "time", "t"}

Row = tuple[object, object]


class ListingError(ImageAnalyticsError):
    """Images cannot be listed; the message names the source and says why."""


def text_rows(address: str) -> Iterator[Row]:
    """
    The lines of a text file, without empty ones and those that start with ``#``.

    Parameters
    ----------
    address : str

    Yields
    ------
    (str, None)

    Raises
    ------
    ListingError, ImageError
        It cannot be read, or is not text.
    """
    with opened_file(address) as file, _text(file, address) as lines:
        for line in lines:
            line = line.strip()
            if line and not line.startswith("#"):
                yield line, None


def csv_rows(
    address: str, delimiter: str | None, column: str | None, category: str | None
) -> Iterator[Row]:
    """
    The images and categories in a CSV file.

    Parameters
    ----------
    address : str
    delimiter : str or None
        If None, it is recognised by the first line that is not empty.
    column, category : str or None
        Names of columns. If `column` is None, it is the only one that may hold images.

    Yields
    ------
    (str, str or None)

    Raises
    ------
    ListingError, ImageError
        It cannot be read, is not text or lacks a column.
    """
    with opened_file(address) as file, _text(file, address, newline="") as lines:
        start = _to_first_text(lines)
        if delimiter is None:
            delimiter = max(DELIMITERS, key="".join(start).count)
        reader = csv.reader(itertools.chain(start, lines), delimiter=delimiter)
        try:
            names = next(filter(None, reader), [])
            if not names:
                raise ListingError(f"{address} is empty; it has no columns")
            waiting, marked = _after_header(reader, names)
            if column is None and len(marked) == 1:
                (column,) = marked
            places = _places(address, names, column, category)
            for row in itertools.chain(waiting, reader):
                if row:  # not an empty line
                    yield _cells(row, *places)
        except csv.Error as error:
            reason = f"line {reader.line_num}: {error}"
            raise ListingError(f"{address} cannot be read: {reason}") from error


def _to_first_text(lines: Iterator[str]) -> list[str]:
    """The first line that is not empty, and the empty ones before it."""
    start = []
    for line in lines:
        start.append(line)
        if line.strip():
            break
    return start


def _after_header(reader, names: list[str]) -> tuple[list[list[str]], list[str]]:
    """Rows that were read too far, and the columns that Orange marked as images."""
    types = next(reader, None)
    if types is None:
        return [], []
    if not set(types) - _ORANGE_TYPES and any(types):
        flags = next(reader, [])
        pairs = zip(names, flags, strict=False)
        return [], [name for name, flag in pairs if "type=image" in flag]
    return [types], []


def _cells(row: Sequence[str], place: int, category: int | None) -> Row:
    def cell(number):
        return row[number] if number is not None and number < len(row) else None

    return cell(place), cell(category) or None


def _places(address, names, column, category) -> tuple[int, int | None]:
    """Numbers of the columns."""
    name = column_of(address, names, column)
    if category is not None and category not in names:
        raise _no_column(address, names, category)
    return names.index(name), None if category is None else names.index(category)


def column_of(address: str, names: Sequence[str], column: str | None) -> str:
    """
    The column with the images.

    Parameters
    ----------
    address : str
        Of the file, for messages.
    names : sequence of str
        All columns.
    column : str or None
        The one that was asked for; None for the only one that may hold images.

    Raises
    ------
    ListingError
        There is no such column, or it is not clear which one it is.
    """
    if column is not None:
        if column not in names:
            raise _no_column(address, names, column)
        return column
    likely = [name for name in names if name.strip().lower() in LIKELY]
    if len(names) == 1 or len(likely) == 1:
        return (likely or list(names))[0]
    raise ListingError(
        f"{address}: it is not clear which column holds the images; "
        f"name one of {_listed(names)}"
    )


def _no_column(address, names, column) -> ListingError:
    return ListingError(
        f"{address} has no column {column!r}; its columns are {_listed(names)}"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown


@contextlib.contextmanager
def _text(file: BinaryIO, address: str, newline: str | None = None):
    start = file.read(_HEAD_BYTES)
    file.seek(0)
    wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in start and not wide:
        raise ListingError(f"{address} is not a text file that lists images")
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        yield io.TextIOWrapper(file, encoding, newline=newline)
    except UnicodeDecodeError as error:
        raise ListingError(
            f"{address} is not a text file in UTF-8 that lists images"
        ) from error


@contextlib.contextmanager
def _parquet(address: str):
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ListingError(
            f"reading {address} needs pyarrow: pip install pyarrow"
        ) from error
    with opened_file(address) as file:
        try:
            yield pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            reason = first_line(error)[:200]
            raise ListingError(
                f"{address} cannot be read as Parquet: {reason}"
            ) from error


def parquet_rows(
    address: str, column: str | None, category: str | None, n_rows: int
) -> Iterator[Row]:
    """
    The images and categories in a Parquet file, a row group at a time.

    Parameters
    ----------
    address : str
    column, category : str or None
        As for `csv_rows`.
    n_rows : int
        Rows to have in memory at once.

    Yields
    ------
    (str or None, str or None)

    Raises
    ------
    ListingError, ImageError
        It cannot be read, or lacks a column of text.
    """
    with _parquet(address) as file:
        columns = _parquet_columns(address, file, column, category)
        for group in range(file.num_row_groups):
            batches = file.iter_batches(
                n_rows, row_groups=[group], columns=columns, use_threads=False
            )
            for batch in batches:
                # One column may be both.
                cells = [batch.column(name).to_pylist() for name in columns]
                categories = cells[1] if category else itertools.repeat(None)
                yield from zip(cells[0], categories, strict=False)


def _parquet_columns(address, file, column, category) -> list[str]:
    import pyarrow as pa

    schema = file.schema_arrow
    name = column_of(address, schema.names, column)
    if category is not None and category not in schema.names:
        raise _no_column(address, schema.names, category)
    kind = schema.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise ListingError(f"{address}: column {name!r} holds no text, but {kind}")
    return [name] if category is None else [name, category]
