"""Which columns are places on a plane, as t-SNE, MDS or PCA compute them."""

import re
from collections.abc import Sequence

from Orange.data import ContinuousVariable

# t-SNE, MDS, FreeViz and others: "t-SNE-x" and "t-SNE-y", "mds-x (1)" and so on
_X = re.compile(r"(.+)-x( \(\d+\))?", re.IGNORECASE)
# PCA, Manifold Learning, Correspondence Analysis, ...: "PC1" and "PC2"
_FIRST = re.compile(
    r"((?:PC|LD|C|Component|UMAP|t-?SNE|MDS|Dim|Dimension)[-_ ]?)([01])", re.IGNORECASE
)

Pair = tuple[ContinuousVariable, ContinuousVariable]


def projections(variables: Sequence[ContinuousVariable]) -> list[Pair]:
    """
    Pairs of columns that are places on a plane, recognised by their names.

    Parameters
    ----------
    variables : sequence of ContinuousVariable
        The numeric columns.

    Returns
    -------
    list of (ContinuousVariable, ContinuousVariable)
        The ones named x and y come first, and of those the last ones, which were
        computed last.
    """
    by_name = {variable.name.casefold(): variable for variable in variables}
    named, numbered = [], []
    for variable in variables:
        if match := _X.fullmatch(variable.name):
            other = by_name.get(f"{match[1]}-y{match[2] or ''}".casefold())
            named.append((variable, other))
        elif match := _FIRST.fullmatch(variable.name):
            other = by_name.get(f"{match[1]}{int(match[2]) + 1}".casefold())
            numbered.append((variable, other))
    # Of "C0", "C1", "C2" the first two.
    taken, pairs = set(), []
    for x, y in [*reversed(named), *numbered]:
        if y is not None and x not in taken:
            pairs.append((x, y))
            taken |= {x, y}
    return pairs


def proposed_axes(variables: Sequence[ContinuousVariable]) -> Pair | None:
    """
    The columns to place images by, as long as the user has not chosen any.

    Parameters
    ----------
    variables : sequence of ContinuousVariable
        The numeric columns.

    Returns
    -------
    (ContinuousVariable, ContinuousVariable) or None
        The first of `projections`, or else the first two columns; None if there are
        fewer than two.
    """
    if pairs := projections(variables):
        return pairs[0]
    return (variables[0], variables[1]) if len(variables) > 1 else None
