"""Colours of rows by a variable, as Orange has them for it."""

import numpy as np
from AnyQt.QtGui import QColor
from Orange.data import ContinuousVariable, DiscreteVariable, Variable
from Orange.widgets import gui  # noqa: F401 - gives variables their colours
from Orange.widgets.utils.colorpalettes import NAN_COLOR

#: Kinds of variables that have colours, for the lists of columns to choose from.
COLORABLE = (DiscreteVariable, ContinuousVariable)
#: Stands for missing values where values are numbered.
MISSING = -1


class Coloring:
    """
    Colours of rows by a variable: each value has its own, missing ones are grey.

    Parameters
    ----------
    variable : DiscreteVariable or ContinuousVariable
        The variable, of which the colours are taken, too.
    values : array_like
        Its values in the rows, as a column of a table has them. Infinite numbers
        count as missing.

    Attributes
    ----------
    variable : Variable
        The variable.
    rgb : numpy.ndarray of uint8, shape (n, 3)
        Colours of the rows.
    indices : numpy.ndarray of int, shape (n,)
        For a categorical variable the numbers of the values, for a numeric one 0;
        `MISSING` where a value is missing.
    range : (float, float) or None
        Least and greatest value of a numeric variable; None if it has none.

    Raises
    ------
    TypeError
        The variable is of a kind that has no colours, such as text.
    """

    def __init__(self, variable: Variable, values):
        if not isinstance(variable, COLORABLE):
            raise TypeError(f"'{variable.name}' is neither categorical nor numeric")
        self.variable = variable
        # In a meta column, numbers are objects.
        values = np.asarray(values).astype(float)
        known = np.isfinite(values)
        values[~known] = np.nan
        self.range: tuple[float, float] | None = None
        self.indices = np.full(len(values), MISSING)
        if self.is_categorical:
            self.indices[known] = values[known].astype(int)
            # `MISSING` is the last of these.
            self.rgb = np.vstack([variable.colors, NAN_COLOR]).astype(np.uint8)[
                self.indices
            ]
        else:
            self.indices[known] = 0
            if known.any():
                self.range = float(values[known].min()), float(values[known].max())
            self.rgb = self.colors_of(values)

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def is_categorical(self) -> bool:
        """Whether the variable has values to count, rather than a range."""
        return isinstance(self.variable, DiscreteVariable)

    def qcolors(self) -> list[QColor]:
        """Colours of the rows; equal ones may be the same object."""
        distinct, places = np.unique(self.rgb, axis=0, return_inverse=True)
        colors = [QColor(*map(int, color)) for color in distinct]
        return [colors[place] for place in places.ravel()]

    def colors_of(self, numbers) -> np.ndarray:
        """
        Colors of numbers on the scale of a numeric variable.

        Parameters
        ----------
        numbers : array_like of float, shape (n,)
            Finite numbers, or nan.

        Returns
        -------
        numpy.ndarray of uint8, shape (n, 3)
        """
        # Palettes multiply by 255, for which the greatest floats are too large.
        limits = [limit / 1024 for limit in self.range or ()]
        numbers = np.asarray(numbers, dtype=float) / 1024
        return self.variable.palette.values_to_colors(numbers, *limits)

    def steps(self, count: int) -> np.ndarray:
        """
        Numbers spread evenly over the range of a numeric variable.

        Parameters
        ----------
        count : int
            How many, the least and the greatest value included.

        Returns
        -------
        numpy.ndarray of float, shape (n,)
            Ascending and distinct, thus a single one if all values are equal; empty
            if the variable has no range.
        """
        if self.range is None:
            return np.zeros(0)
        low, high = self.range
        part = np.linspace(0, 1, count)
        # The difference between two large numbers may be too large.
        return np.unique(low * (1 - part) + high * part)

    def color_of(self, index: int) -> QColor:
        """Colour of a value of a categorical variable, or of `MISSING`."""
        rgb = NAN_COLOR if index == MISSING else self.variable.colors[index]
        return QColor(*map(int, rgb))

    def rows_of(self, index: int) -> np.ndarray:
        """Numbers of the rows with a value, or of those where it is `MISSING`."""
        return np.flatnonzero(self.indices == index)

    def counts(self, rows: np.ndarray | None = None) -> dict[int, int]:
        """
        How many rows have each value that occurs.

        Parameters
        ----------
        rows : numpy.ndarray of bool, optional
            The rows to count; all of them if it is left out.

        Returns
        -------
        dict of int to int
            In the order of the values, `MISSING` last; for a numeric variable only
            0, for the rows with a number, and `MISSING`.
        """
        indices = self.indices if rows is None else self.indices[rows]
        found, numbers = np.unique(indices, return_counts=True)
        counted = dict(zip(found.tolist(), numbers.tolist(), strict=True))
        if MISSING in counted:
            counted[MISSING] = counted.pop(MISSING)
        return counted


def row_coloring(data, variable: Variable | None, rows=...) -> Coloring | None:
    """
    Colours of the rows of a table.

    Parameters
    ----------
    data : Table or None
        The table.
    variable : Variable or None
        A column of it that is categorical or numeric.
    rows : index, optional
        The rows to colour, as an index into an array; all if it is left out.

    Returns
    -------
    Coloring or None
        None if there is no table or no variable.
    """
    if data is None or variable is None:
        return None
    return Coloring(variable, data.get_column(variable)[rows])
