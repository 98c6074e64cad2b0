"""In which order rows of a table are shown: sorted, and in groups."""

import re
from collections.abc import Sequence

import numpy as np
from Orange.data import DiscreteVariable, StringVariable, Table, Variable

# Python refuses to read numbers of more than 4,300 digits.
_DIGITS = re.compile(r"(\d{1,300})")
#: Characters that are compared; whole data URLs would take long.
MAX_TEXT = 1000


def ordered_rows(
    data: Table | None,
    rows: Sequence[int],
    sort_by: Variable | None,
    descending: bool,
    group_by: DiscreteVariable | None,
) -> tuple[list[int], list[str | None], list[int]]:
    """
    Sort rows of a table, then put them into groups.

    Parameters
    ----------
    data : Table or None
        The table; there may be none if the rows are neither sorted nor grouped.
    rows : sequence of int
        Rows of it.
    sort_by : Variable or None
        As for `sorted_rows`; None leaves them in their order.
    descending : bool
        As for `sorted_rows`.
    group_by : DiscreteVariable or None
        As for `grouped_rows`; without it, there are no groups.

    Returns
    -------
    list of int, list of (str or None), list of int
        As of `grouped_rows`.
    """
    rows = list(rows)
    if sort_by is not None:
        rows = sorted_rows(data, rows, sort_by, descending)
    return (rows, [], []) if group_by is None else grouped_rows(data, rows, group_by)


def sorted_rows(
    data: Table, rows: Sequence[int], variable: Variable, descending: bool = False
) -> list[int]:
    """
    Sort rows of a table; equal ones stay in their order.

    Parameters
    ----------
    data : Table
        The table.
    rows : sequence of int
        Rows of it.
    variable : Variable
        The column to sort by. Categories have their own order; in texts, capitals do
        not matter, and numbers count as such: "image 9" is before "image 10". Only the
        first `MAX_TEXT` characters are compared.
    descending : bool
        The greatest first. Missing values are last in any case.

    Returns
    -------
    list of int
    """
    values = data.get_column(variable)
    if isinstance(variable, StringVariable):
        texts = {row: variable.str_val(values[row]) for row in rows}
        keys = {row: _text_key(text) for row, text in texts.items()}
        unknown = variable.str_val(variable.Unknown)
        missing = {row for row, text in texts.items() if text == unknown}
    else:
        # In a meta column, numbers are objects.
        numbers = values.astype(float)
        keys = dict(enumerate(numbers.tolist()))
        missing = set(np.flatnonzero(np.isnan(numbers)).tolist())
    known = [row for row in rows if row not in missing]
    # Unlike turning the list around, this leaves equal ones in their order.
    known.sort(key=keys.__getitem__, reverse=descending)
    return known + [row for row in rows if row in missing]


def _text_key(text: str) -> list:
    # Every other part is a number, so that equal places hold equal types.
    parts = _DIGITS.split(text[:MAX_TEXT].casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def grouped_rows(
    data: Table, rows: Sequence[int], variable: DiscreteVariable
) -> tuple[list[int], list[str | None], list[int]]:
    """
    Put rows of a table into groups; within these they stay in their order.

    Parameters
    ----------
    data : Table
        The table.
    rows : sequence of int
        Rows of it.
    variable : DiscreteVariable
        The column that says in which group a row is.

    Returns
    -------
    list of int
        The rows, group by group in the order of the variable's values.
    list of (str or None)
        The values, of those that occur; None, the last one, is for missing values.
    list of int
        How many rows each has.
    """
    rows = np.asarray(rows, dtype=int)
    values = data.get_column(variable).astype(float)[rows]
    groups = np.where(np.isnan(values), len(variable.values), values).astype(int)
    order = np.argsort(groups, kind="stable")
    found, counts = np.unique(groups, return_counts=True)
    names = [*variable.values, None]
    return rows[order].tolist(), [names[group] for group in found], counts.tolist()
