"""Check what a user asks of a dataset: columns, and conditions for rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.vector_files.columns import make_column
from orangecontrib.imageanalytics.vector_files.dataset import (
    ERROR,
    VECTOR,
    VectorDataset,
)

if TYPE_CHECKING:
    import pyarrow.dataset as ds

_NO_COLUMN = re.compile(r"No match for FieldRef\.(?:Name|Nested)\((.*?)\) in ")


def columns_to_read(dataset: VectorDataset, columns: Sequence[str] | None) -> list[str]:
    """
    The columns of the files that are to be read.

    Parameters
    ----------
    dataset : VectorDataset
    columns : sequence of str or None
        Those that the user names; None for all that a table can hold.

    Raises
    ------
    ValueError
        When there is no such column, or a table cannot hold its values.
    """
    schema = dataset.schema
    if columns is None:
        return [name for name in schema.names if _is_held(schema, name)]
    if isinstance(columns, str):
        raise ValueError("columns should be a list of names")
    for name in columns:
        if name not in schema.names:
            raise ValueError(_no_column(dataset, name))
        if not _is_held(schema, name):
            kind = schema.field(name).type
            raise ValueError(f"a table cannot hold column '{name}' ({kind})")
    return list(dict.fromkeys(columns))


def _is_held(schema, name: str) -> bool:
    if name in (VECTOR, ERROR):
        return True
    # Of files of others, names may not be unique.
    index = schema.get_field_index(name)
    return index >= 0 and make_column(schema.field(index), 0) is not None


def as_expression(
    dataset: VectorDataset, where: ds.Expression | list | None
) -> ds.Expression | None:
    """
    A condition for rows as pyarrow takes it.

    Parameters
    ----------
    dataset : VectorDataset
    where : pyarrow.dataset.Expression, list or None
        As for `read_dataset`.

    Raises
    ------
    ValueError
        When it is no condition, or cannot be applied to the columns.
    """
    if where is None:
        return None
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    try:
        if not isinstance(where, ds.Expression):
            where = pq.filters_to_expression(where)
        nothing = ds.dataset(dataset.schema.empty_table())
        nothing.count_rows(filter=where)
    except (pa.ArrowException, ValueError, TypeError, IndexError) as error:
        reason = first_line(error)
        if match := _NO_COLUMN.match(reason):
            reason = _no_column(dataset, match[1])
        raise ValueError(f"where cannot be applied: {reason}") from error
    return where


def _no_column(dataset: VectorDataset, name: str) -> str:
    names = ", ".join(dataset.schema.names)
    return f"there is no column '{name}'; the columns are {names}"
