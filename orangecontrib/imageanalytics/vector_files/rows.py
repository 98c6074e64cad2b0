"""Read rows from many files, a few row groups at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from Orange.data import Domain, Table
from Orange.data.util import get_unique_names

from orangecontrib.imageanalytics.embedding_columns import vector_variables
from orangecontrib.imageanalytics.errors import DatasetError
from orangecontrib.imageanalytics.images.intensity import (
    ATTRIBUTE,
    AUTOMATIC,
    intensity_text,
)
from orangecontrib.imageanalytics.images.sources import resolve
from orangecontrib.imageanalytics.vector_files.columns import (
    CATEGORY,
    PATH,
    Column,
    ImageColumn,
    TextColumn,
    make_column,
)
from orangecontrib.imageanalytics.vector_files.conditions import (
    as_expression,
    columns_to_read,
)
from orangecontrib.imageanalytics.vector_files.dataset import (
    ERROR,
    VECTOR,
    Group,
    VectorDataset,
    origin_of,
)
from orangecontrib.imageanalytics.vector_files.files import unreadable
from orangecontrib.imageanalytics.vector_files.in_threads import in_threads

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

#: The most rows without vectors that are listed; the others are only counted.
MOST_SKIPPED = 10_000
_SKIPPED_COLUMNS = (PATH, "width", "height", CATEGORY, ERROR)
# The part of the time that is planned for finding rows rather than reading them.
_LOOKING = 0.3


class _Seen(NamedTuple):
    """What was found out about a group: rows with vectors; the rows without."""

    n_rows: int
    skipped: pa.Table


class _Rows(NamedTuple):
    """Rows of a group.

    Attributes
    ----------
    columns : pyarrow.Table
        All but the vectors.
    vectors : numpy.ndarray
        Shape (n rows, n_features).
    n_without : int
        Number of rows that were left out, since they lack a vector.
    """

    columns: pa.Table
    vectors: np.ndarray
    n_without: int


class RowReader:
    """
    Reads rows of a dataset: first `look`, then `read`.

    Parameters
    ----------
    dataset : VectorDataset
    columns, where, images, callback
        As for `read_dataset`.

    Attributes
    ----------
    with_vectors : bool
        Whether vectors are read.
    counts : numpy.ndarray
        int, shape (n groups,): rows with vectors that meet the condition. Known after
        `look`.
    n_skipped : int
        Number of rows without vectors that meet the condition.
    problems : dict of str to DatasetError
        The error for each file that cannot be read.

    Raises
    ------
    ValueError
        As `read_dataset`.
    """

    def __init__(
        self,
        dataset: VectorDataset,
        columns: Sequence[str] | None = None,
        where: ds.Expression | list | None = None,
        images: str | os.PathLike | None = None,
        callback: Callable[[float], None] | None = None,
    ):
        self._dataset = dataset
        self._columns = columns_to_read(dataset, columns)
        self.with_vectors = VECTOR in self._columns
        self._where = as_expression(dataset, where)
        self._images = images
        self._callback = callback or (lambda _fraction: None)
        self._fraction = 0.0
        self._groups = list(dataset.groups())
        self._whole_paths = len(dataset.origins()) > 1
        self.counts = np.array([group.n_rows for group in self._groups], int)
        self.problems = dict(dataset.problems)
        self.n_skipped = 0
        self._skipped: list[pa.Table] = []

    def _in_threads(self, function: Callable, items: Sequence, end: float) -> Iterator:
        """Results for items, whose last element is a group; failures are noted."""
        poll = lambda: self._callback(self._fraction)  # noqa: E731
        start = self._fraction
        results = in_threads(function, items, self._dataset.n_threads, poll)
        for number, (item, result) in enumerate(results):
            self._fraction = start + (end - start) * number / len(items)
            if isinstance(result, Exception):
                self._fail(item[-1], result)
            else:
                yield item, result
        self._fraction = end
        poll()

    def _fail(self, group: Group, error: Exception):
        place, file = self._dataset.place, group.part.file
        self.problems.setdefault(place.name(file), unreadable(place, file, error))

    # Which rows there are ---------------------------------------------------------

    def look(self) -> None:
        """Count the rows of each group, and find those without vectors."""
        items = [
            (number, group)
            for number, group in enumerate(self._groups)
            if group.n_errors or self._where is not None
        ]
        self.counts[[number for number, _ in items]] = 0  # of groups that fail
        for (number, _), seen in self._in_threads(self._look_at, items, _LOOKING):
            self.counts[number] = seen.n_rows
            self.n_skipped += len(seen.skipped)
            if len(seen.skipped) and sum(map(len, self._skipped)) < MOST_SKIPPED:
                self._skipped.append(seen.skipped)

    def _look_at(self, item: tuple[int, Group]) -> _Seen:
        import pyarrow.compute as pc

        _, group = item
        schema = self._dataset.schema
        columns = [name for name in _SKIPPED_COLUMNS if name in schema.names]
        if group.n_errors == 0:
            skipped = schema.empty_table().select(columns)
        else:
            skipped = self._rows(group, columns, self._with(pc.field(ERROR).is_valid()))
        if self._where is None:
            return _Seen(group.n_rows - len(skipped), skipped)
        fragment = self._dataset.fragment(group)
        matching = fragment.scanner(schema, filter=self._with_vector(group))
        return _Seen(matching.count_rows(), skipped)

    def _with(self, condition: ds.Expression) -> ds.Expression:
        """The user's condition and another one."""
        return condition if self._where is None else condition & self._where

    def _with_vector(self, group: Group) -> ds.Expression | None:
        """The condition for rows with vectors; None for all rows of the group."""
        import pyarrow.compute as pc

        if group.n_errors == 0:
            return self._where
        return self._with(pc.field(ERROR).is_null())

    def _rows(self, group: Group, columns, condition) -> pa.Table:
        fragment = self._dataset.fragment(group)
        table = fragment.to_table(
            self._dataset.schema, columns=columns, filter=condition, use_threads=False
        )
        if PATH in columns and self._whole_paths:
            origin = origin_of(group.part.schema)
            paths = [path and resolve(path, origin) for path in table[PATH].to_pylist()]
            index = table.column_names.index(PATH)
            table = table.set_column(index, table.schema.field(index), [paths])
        return table

    # Their values -----------------------------------------------------------------

    def read(self, chosen: Sequence[np.ndarray | None], n_rows: int) -> Table:
        """
        Read rows into a table.

        Parameters
        ----------
        chosen : sequence of (numpy.ndarray or None)
            The rows of each group, counted among those that `counts` counts; None
            for all.
        n_rows : int
            Their number.

        Returns
        -------
        Orange.data.Table
            It has fewer rows if files turn out to be damaged or vectors are missing.
        """
        columns = self._make_columns(self._columns, n_rows)
        n_features = self._dataset.n_features if self.with_vectors else 0
        X = np.empty((n_rows, n_features))
        work = [
            (rows, group)
            for rows, group, count in zip(
                chosen, self._groups, self.counts.tolist(), strict=True
            )
            if (count if rows is None else len(rows))
        ]
        n_read = 0
        for _, rows in self._in_threads(self._read_group, work, 1):
            part = slice(n_read, n_read + len(rows.columns))
            for column in columns:
                column.put(part, rows.columns[column.field])
            X[part] = rows.vectors
            n_read = part.stop
            self.n_skipped += rows.n_without
        return self._make_table(columns, X, n_read)

    def _read_group(self, item: tuple[np.ndarray | None, Group]) -> _Rows:
        import pyarrow.compute as pc

        rows, group = item
        columns = [name for name in self._columns if name != ERROR]
        table = self._rows(group, columns, self._with_vector(group))
        if rows is not None:
            table = table.take(rows)
        if not self.with_vectors:
            return _Rows(table, np.empty((len(table), 0)), 0)
        n_without = table[VECTOR].null_count
        if n_without:
            table = table.filter(pc.is_valid(table[VECTOR]))
        file = self._dataset.place.name(group.part.file)
        vectors = _numbers(table[VECTOR], self._dataset.n_features, file)
        return _Rows(table.drop_columns([VECTOR]), vectors, n_without)

    def skipped_table(self) -> Table | None:
        """The images without vectors and the reasons; None if there are none."""
        import pyarrow as pa

        if not self._skipped:
            return None
        rows = pa.concat_tables(self._skipped)[:MOST_SKIPPED]
        columns = self._make_columns(rows.column_names, len(rows))
        columns.append(TextColumn(ERROR, len(rows)))
        for column in columns:
            column.put(slice(None), rows[column.field])
        table = self._make_table(columns, None, len(rows))
        table.name = "Skipped images"
        return table

    # The table --------------------------------------------------------------------

    def _make_columns(self, names: Sequence[str], n_rows: int) -> list[Column]:
        """Columns of the table except vectors and errors, images first."""
        columns = []
        for name in names:
            if name in (VECTOR, ERROR):
                continue
            column = make_column(self._dataset.schema.field(name), n_rows)
            if isinstance(column, ImageColumn):
                self._mark(column)
                columns.insert(0, column)
            elif column is not None:
                columns.append(column)
        return columns

    def _mark(self, column: ImageColumn) -> None:
        """Say where the images are, and with which intensities they were seen."""
        given = self._images
        origin = self._dataset.find_images() if given is None else os.fspath(given)
        if origin:
            column.attributes["origin"] = origin
        spec = self._dataset.spec
        if spec is not None and spec.intensity != AUTOMATIC:
            column.attributes[ATTRIBUTE] = intensity_text(spec.intensity)

    def _make_table(self, columns: list[Column], X, n_rows: int) -> Table:
        category, metas = None, []
        y = np.empty((n_rows, 0))
        for column in columns:
            for variable, values in column.variables(n_rows):
                if column.field == CATEGORY and variable.is_discrete:
                    if variable.values:
                        category, y = variable, values
                else:
                    metas.append((variable, values))
        M = np.empty((n_rows, len(metas)), dtype=object)
        for index, (_, values) in enumerate(metas):
            M[:, index] = values
        domain = Domain([], category, _with_unique_names(metas))
        table = Table.from_numpy(domain, np.empty((n_rows, 0)), y, M)
        if X is not None:
            dataset = self._dataset
            variables = vector_variables(
                domain, X.shape[1], dataset.compute, dataset.class_names
            )
            with table.unlocked_reference():
                table.X = X[:n_rows]
            table.domain = Domain(variables, category, domain.metas)
        return table


def _with_unique_names(metas) -> list:
    """The variables; one whose name an earlier one has gets another."""
    variables, names = [], []
    for variable, _ in metas:
        name = get_unique_names(names, variable.name) if names else variable.name
        names.append(name)
        variables.append(variable if variable.name == name else variable.renamed(name))
    return variables


def _numbers(vectors: pa.ChunkedArray, n_features: int, file: str) -> np.ndarray:
    """Vectors as an array, shape (n rows, n_features), nan for missing numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.unique(pc.list_value_length(vectors)).to_pylist()
    for length in lengths:
        if length != n_features:
            raise DatasetError(
                f"{file}: a vector has {length} numbers, but others have {n_features}."
            )
    numbers = pc.list_flatten(vectors).cast(pa.float64(), safe=False)
    return numbers.to_numpy().reshape(-1, n_features)
