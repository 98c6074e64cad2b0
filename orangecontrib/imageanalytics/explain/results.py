"""What is found out about the images, and as a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from Orange.data import ContinuousVariable, DiscreteVariable, Table
from Orange.data.util import get_unique_names

from orangecontrib.imageanalytics.explain.heat_maps import HeatMap
from orangecontrib.imageanalytics.meta_columns import add_metas

ACTIVATION, OCCLUSION = "activation", "occlusion"
METHODS = ("auto", ACTIVATION, OCCLUSION)


@dataclass(frozen=True)
class Explanation:
    """Why the result for an image is what it is.

    Attributes
    ----------
    row : int
        The row of the table.
    heat_map : HeatMap
    method : {"activation", "occlusion"}
    target : str
        The class that is explained; empty without classes.
    result : float
        The probability of this class, the predicted value, or the similarity.
    step, n_steps : int
        The map becomes finer until `step` is `n_steps`.
    """

    row: int
    heat_map: HeatMap
    method: str
    target: str
    result: float
    step: int = 1
    n_steps: int = 1

    @property
    def is_final(self) -> bool:
        """Whether the map will not become finer."""
        return self.step == self.n_steps


def explained_table(
    table: Table,
    explanations: dict[int, Explanation],
    classes: tuple[str, ...] = (),
    result: str = "result",
) -> Table:
    """A table with what was found out about its images.

    Parameters
    ----------
    table : Table
    explanations : dict of int to Explanation
        By row. Values of other rows are missing.
    classes : tuple of str
        Names of the classes, if there are any.
    result : str
        Name of the column with `Explanation.result`.

    Returns
    -------
    Table
        With the additional metas ``explained class`` (if there are classes), the
        result, and ``heat in the middle`` and ``heat at the rim``, the shares from 0
        to 1; see `HeatMap.shares`.
    """
    names = [result, "heat in the middle", "heat at the rim"]
    if classes:
        names.insert(0, "explained class")
    names = get_unique_names(table.domain, names)
    columns = np.full((len(table), len(names)), np.nan)
    for row, explanation in explanations.items():
        numbers = [explanation.result, *explanation.heat_map.shares()]
        if classes:
            numbers.insert(0, classes.index(explanation.target))
        columns[row] = numbers
    variables = [ContinuousVariable(name, number_of_decimals=3) for name in names]
    if classes:
        variables[0] = DiscreteVariable(names[0], classes)
    return add_metas(table, variables, columns.T)
