"""Which images of a table are in another one, too."""

from collections.abc import Sequence

import numpy as np
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.images.sources import column_sources


def rows_in_subset(
    data: Table,
    sources: Sequence[str | None],
    column: Variable | None,
    subset: Table,
) -> tuple[np.ndarray, int]:
    """
    Find the rows of a table that are in a subset.

    The same image is the same element, even in another table.

    Parameters
    ----------
    data : Table
        The table.
    sources : sequence of (str or None)
        Where the images of its rows are from.
    column : Variable or None
        Their column.
    subset : Table
        The other table.

    Returns
    -------
    numpy.ndarray of bool, shape (rows of data,)
        Which of the table's rows are in the subset.
    int
        How many of the subset's rows are in the table.
    """
    inside = np.isin(data.ids, subset.ids)
    found = np.isin(subset.ids, data.ids)
    if column is not None and column in subset.domain.metas:
        theirs = column_sources(subset, column)
        ours, wanted = set(sources) - {None}, set(theirs) - {None}
        inside |= np.array([source in wanted for source in sources])
        found |= np.array([source in ours for source in theirs])
    return inside, int(found.sum())
