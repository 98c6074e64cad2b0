"""Columns of Parquet files as columns of a table."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    StringVariable,
    TimeVariable,
    Variable,
)

from orangecontrib.imageanalytics.images.sources import file_name

if TYPE_CHECKING:
    import pyarrow as pa

# As Import Images calls the columns.
IMAGE, IMAGE_NAME = "image", "image name"
#: The columns of a file that hold images and their classes
PATH, CATEGORY = "path", "category"


class Column(ABC):
    """A column whose values arrive a part at a time.

    Parameters
    ----------
    field : str
        Its name in the file.
    n_rows : int

    Attributes
    ----------
    values : numpy.ndarray
        Shape (n_rows,).
    """

    dtype: type = float
    missing: object = np.nan

    def __init__(self, field: str, n_rows: int):
        self.field = field
        self.values = np.full(n_rows, self.missing, dtype=self.dtype)

    @abstractmethod
    def put(self, part: slice, values: pa.ChunkedArray) -> None:
        """Set the values of some rows."""

    @abstractmethod
    def variables(self, n_rows: int) -> list[tuple[Variable, np.ndarray]]:
        """The columns of the table, and the values of the first rows."""


class TextColumn(Column):
    """Any text."""

    dtype = object
    missing = ""

    def put(self, part, values):
        """As `Column.put`."""
        self.values[part] = [text or "" for text in values.to_pylist()]

    def variables(self, n_rows):
        """As `Column.variables`."""
        return [(StringVariable(self.field), self.values[:n_rows])]


class ImageColumn(TextColumn):
    """Paths or addresses of images; the name of the file becomes another column.

    Attributes
    ----------
    attributes : dict of str to str
        Those of the variable.
    """

    def __init__(self, field: str, n_rows: int):
        super().__init__(field, n_rows)
        self.attributes = {"type": "image"}

    def variables(self, n_rows):
        """As `Column.variables`; in the order of Import Images."""
        image = StringVariable(IMAGE)
        image.attributes.update(self.attributes)
        paths = self.values[:n_rows]
        names = np.empty(n_rows, dtype=object)
        names[:] = [os.path.splitext(file_name(path))[0] for path in paths]
        return [(StringVariable(IMAGE_NAME), names), (image, paths)]


class NumberColumn(Column):
    """Numbers; those that are too large for a float are rounded."""

    def __init__(self, field: str, n_rows: int, n_decimals: int | None = None):
        super().__init__(field, n_rows)
        self._n_decimals = n_decimals

    def put(self, part, values):
        """As `Column.put`."""
        import pyarrow as pa

        numbers = values.cast(pa.float64(), safe=False)
        self.values[part] = numbers.to_numpy()

    def variables(self, n_rows):
        """As `Column.variables`."""
        variable = ContinuousVariable(self.field, number_of_decimals=self._n_decimals)
        return [(variable, self.values[:n_rows])]


class TimeColumn(Column):
    """Dates and times."""

    def __init__(self, field: str, n_rows: int, has_time: bool):
        super().__init__(field, n_rows)
        self._has_time = has_time

    def put(self, part, values):
        """As `Column.put`."""
        import pyarrow as pa

        microseconds = values.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        self.values[part] = microseconds.cast(pa.float64(), safe=False).to_numpy()
        self.values[part] /= 1e6

    def variables(self, n_rows):
        """As `Column.variables`."""
        variable = TimeVariable(self.field, have_date=1, have_time=int(self._has_time))
        return [(variable, self.values[:n_rows])]


class CategoryColumn(Column):
    """Categories; the variable has those that occur, sorted."""

    def __init__(self, field: str, n_rows: int):
        super().__init__(field, n_rows)
        self._codes: dict[str, int] = {}

    def put(self, part, values):
        """As `Column.put`."""
        import pyarrow as pa

        if not pa.types.is_dictionary(values.type):
            values = values.cast(pa.string()).dictionary_encode()
        encoded = values.unify_dictionaries().combine_chunks()
        names = encoded.dictionary.cast(pa.string()).to_pylist()
        codes = self._codes
        known = [
            np.nan if name is None else codes.setdefault(name, len(codes))
            for name in names
        ]
        indices = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        self.values[part] = np.array([*known, np.nan])[indices]

    def variables(self, n_rows):
        """As `Column.variables`."""
        values = self.values[:n_rows]
        occurring = set(np.unique(values[~np.isnan(values)]).astype(int).tolist())
        names = sorted(n for n, code in self._codes.items() if code in occurring)
        places = np.full(len(self._codes) + 1, np.nan)
        for place, name in enumerate(names):
            places[self._codes[name]] = place
        indices = np.where(np.isnan(values), -1, values).astype(int)
        return [(DiscreteVariable(self.field, names), places[indices])]


def make_column(field: pa.Field, n_rows: int) -> Column | None:
    """
    The column for a field of a file, None if a table cannot hold its values.

    Parameters
    ----------
    field : pyarrow.Field
    n_rows : int
    """
    import pyarrow.types as types

    kind, name = field.type, field.name
    if types.is_dictionary(kind) and name == PATH:
        kind = kind.value_type
    if types.is_dictionary(kind):
        return CategoryColumn(name, n_rows) if _is_text(kind.value_type) else None
    if _is_text(kind) and name != CATEGORY:
        return (ImageColumn if name == PATH else TextColumn)(name, n_rows)
    is_category = name == CATEGORY and (_is_text(kind) or types.is_integer(kind))
    if is_category or types.is_boolean(kind):
        return CategoryColumn(name, n_rows)
    if types.is_integer(kind):
        return NumberColumn(name, n_rows, 0)
    if types.is_floating(kind) or types.is_decimal(kind):
        return NumberColumn(name, n_rows)
    if types.is_timestamp(kind) or types.is_date(kind):
        return TimeColumn(name, n_rows, types.is_timestamp(kind))
    return None


def _is_text(kind) -> bool:
    import pyarrow.types as types

    checks = types.is_string, types.is_large_string, types.is_string_view, types.is_null
    return any(check(kind) for check in checks)
