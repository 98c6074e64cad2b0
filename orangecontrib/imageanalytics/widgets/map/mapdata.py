"""A table as a map: which rows are points, where they are, and which have images."""

import numpy as np
from Orange.data import ContinuousVariable, Table, Variable
from Orange.data.domain import filter_visible

from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.widgets.map.projections import projections
from orangecontrib.imageanalytics.widgets.sheet.subset import rows_in_subset

#: Larger numbers cannot be plotted.
MAX_NUMBER = 1e100


def numeric_columns(data: Table) -> list[ContinuousVariable]:
    """The columns that may say where images are, as Orange's lists have them.

    These leave out hidden columns, such as those of vectors.
    """
    domain = data.domain
    columns = (*domain.attributes, *domain.class_vars, *domain.metas)
    return [column for column in filter_visible(columns) if column.is_continuous]


class MapData:
    """
    The rows of a table as points, some of them with images.

    Parameters
    ----------
    table : Table
        The table.
    column : Variable
        Its column of images.
    axes : (ContinuousVariable, ContinuousVariable)
        Its columns that say where they are.

    Attributes
    ----------
    places : numpy.ndarray of float, shape (rows of the table, 2)
        Values of the axes.
    valid : numpy.ndarray of bool, shape (rows of the table,)
        Which rows are points: those whose place is known and finite.
    rows : numpy.ndarray of int, shape (points,)
        Their rows in the table.
    imaged : numpy.ndarray of int, shape (images,)
        The points that have an image.
    sources : list of str
        Where those images are from.
    """

    def __init__(
        self,
        table: Table,
        column: Variable,
        axes: tuple[ContinuousVariable, ContinuousVariable],
    ):
        self.table, self.column, self.axes = table, column, axes
        # In a meta column, numbers are objects.
        columns = [table.get_column(axis).astype(float) for axis in axes]
        self.places = np.column_stack(columns)
        self.valid = np.all(np.abs(self.places) <= MAX_NUMBER, axis=1)
        self.rows = np.flatnonzero(self.valid)
        self._sources = column_sources(table, column)
        have = [self._sources[row] is not None for row in self.rows]
        self.imaged = np.flatnonzero(np.array(have, dtype=bool))
        self.sources = [self._sources[row] for row in self.image_rows]

    @property
    def image_rows(self) -> np.ndarray:
        """Rows of the images in the table."""
        return self.rows[self.imaged]

    @property
    def has_images(self) -> bool:
        """Whether any row has an image, whether it is a point or not."""
        return any(source is not None for source in self._sources)

    @property
    def is_projection(self) -> bool:
        """Whether the axes have the same unit."""
        return self.axes in projections(numeric_columns(self.table))

    def shows_same_as(self, other: "MapData") -> bool:
        """Whether the same rows have the same images at the same places."""
        return (
            np.array_equal(self.table.ids, other.table.ids)
            and np.array_equal(self.places, other.places, equal_nan=True)
            and self._sources == other._sources
        )

    def inside(self, subset: Table) -> tuple[np.ndarray, int]:
        """
        Find out what is in a subset; see `rows_in_subset`.

        Parameters
        ----------
        subset : Table
            Rows of the table, or a table with some of its images.

        Returns
        -------
        numpy.ndarray of bool, shape (points,)
            Which points are in the subset.
        int
            How many of the subset's rows are in the table.
        """
        rows, n_found = rows_in_subset(self.table, self._sources, self.column, subset)
        return rows[self.valid], n_found
