"""Add columns with values that are known to tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from Orange.data import Domain, Table, Variable


def add_metas(
    table: Table, variables: Sequence[Variable], values: Sequence[np.ndarray]
) -> Table:
    """
    Add metas to a table, all at once.

    `Table.add_column` goes through all variables for each column, which takes 50 ms
    for a table with a thousand of them.

    Parameters
    ----------
    table : Orange.data.Table
    variables : sequence of Variable
    values : sequence of numpy.ndarray
        Numbers for each variable, shape (n rows,).

    Returns
    -------
    Orange.data.Table
        Shares its attributes and classes with `table`.
    """
    domain = table.domain
    extended = table.transform(
        Domain(domain.attributes, domain.class_vars, (*domain.metas, *variables))
    )
    with extended.unlocked(extended.metas):
        for variable, column in zip(variables, values, strict=True):
            extended.set_column(variable, column)
    return extended
