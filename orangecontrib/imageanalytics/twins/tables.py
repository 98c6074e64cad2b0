"""Tables with the groups of twins, and without twins."""

from __future__ import annotations

import numpy as np
from Orange.data import DiscreteVariable, Table
from Orange.data.util import get_unique_names

from orangecontrib.imageanalytics.meta_columns import add_metas
from orangecontrib.imageanalytics.twins.finding import Twins
from orangecontrib.imageanalytics.twins.folds import twin_folds

FOLD_NAME, GROUP_NAME = "fold", "group"
DEFAULT_FOLDS = 10


def with_groups(table: Table, twins: Twins, n_folds: int = DEFAULT_FOLDS) -> Table:
    """
    Add the groups of twins to a table, and folds for an honest cross-validation.

    Parameters
    ----------
    table : Orange.data.Table
    twins : Twins
        Of this table.
    n_folds : int
        Number of folds; fewer if there are not as many images.

    Returns
    -------
    Orange.data.Table
        With two more categorical metas. ``fold`` has a value for each row, and twins
        have the same; Orange's widget Test and Score and ``CrossValidationFeature``
        take it as folds. ``group`` is missing for rows without twins.
    """
    classes = np.zeros(len(table))
    if table.domain.has_discrete_class:
        classes = table.Y
    folds = twin_folds(twins.groups, classes, n_folds)
    groups = np.where(twins.groups > 0, twins.groups - 1.0, np.nan)
    names = get_unique_names(table.domain, [FOLD_NAME, GROUP_NAME], equal_numbers=False)
    counts = int(folds.max(initial=-1)) + 1, twins.n_groups
    variables = [
        DiscreteVariable(name, [str(n) for n in range(1, count + 1)])
        for name, count in zip(names, counts, strict=True)
    ]
    return add_metas(table, variables, (folds, groups))


def without_twins(table: Table, twins: Twins) -> Table:
    """
    Leave out all but the largest of each group of twins.

    Parameters
    ----------
    table : Orange.data.Table
    twins : Twins
        Of this table.

    Returns
    -------
    Orange.data.Table
        The other rows, as they are.
    """
    return table[twins.kept]
