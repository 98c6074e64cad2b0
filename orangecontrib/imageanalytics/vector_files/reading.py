"""Read rows of a dataset into a table, all or a random sample."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import psutil
from Orange.data import Table

from orangecontrib.imageanalytics.errors import DatasetError
from orangecontrib.imageanalytics.vector_files.dataset import VectorDataset
from orangecontrib.imageanalytics.vector_files.rows import RowReader

if TYPE_CHECKING:
    import pyarrow.dataset as ds


@dataclass
class Loaded:
    """
    What was read.

    Attributes
    ----------
    table : Orange.data.Table
        The rows with vectors.
    skipped : Orange.data.Table or None
        Images without vectors, and the reasons; at most `rows.MOST_SKIPPED` of them.
    n_skipped : int
        Their number, in the whole dataset.
    n_matching : int
        Number of rows with vectors from which the sample was drawn.
    problems : dict of str to DatasetError
        The error for each file that cannot be read.
    """

    table: Table
    skipped: Table | None
    n_skipped: int
    n_matching: int
    problems: dict[str, DatasetError] = field(default_factory=dict)


def read_dataset(
    path: str | os.PathLike,
    columns: Sequence[str] | None = None,
    sample: int | None = None,
    where: ds.Expression | list | None = None,
    seed: int = 0,
    callback: Callable[[float], None] | None = None,
    images: str | os.PathLike | None = None,
) -> Table:
    """
    Read vectors that were saved as Parquet, by this package or another.

    Parameters
    ----------
    path : str or path-like
        A Parquet file or a folder of them: a path, or an address such as
        ``s3://bucket/vectors`` if fsspec is installed. Files whose names begin with a
        dot or underscore are ignored.
    columns : sequence of str, optional
        The columns of the file to be read; by default all that a table can hold.
    sample : int, optional
        Read a random sample of so many rows, each with a vector. Only the row groups
        that contain them are read, a few at a time.
    where : pyarrow.dataset.Expression or list, optional
        Read only rows that meet a condition, such as ``[("category", "==", "cat")]``;
        as for ``filters`` of `pyarrow.parquet.read_table`. The sample is taken from
        these rows.
    seed : int
        Another seed gives another sample.
    callback : callable, optional
        Called in this thread with the fraction done, 0 to 1. An exception that it
        raises stops the work.
    images : str or path-like, optional
        The folder or address of the images, if they were moved. By default, it is the
        one that the file tells, or the folder of the same name near the file.

    Returns
    -------
    Orange.data.Table
        The columns ``image name``, ``image``, ``width`` and ``height`` as those of
        `ImportImages`, the class ``category`` with the values that occur, further
        columns of the file as metas, and the vectors as attributes ``n0`` ... If the
        file says how they were computed, other images are embedded in the same way
        when they are transformed to this domain, for instance by a model. Images
        without vectors are left out; a warning gives their number.

    Raises
    ------
    DatasetError
        When a file cannot be read, files have different embeddings, or the table does
        not fit into memory. The message names the file and the reason.
    ValueError
        When there is no such column, or the condition cannot be applied.
    ImageAnalyticsError
        When pyarrow or fsspec is not installed.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.vector_files import read_dataset
    >>> table = read_dataset("vectors/", sample=10_000)
    """
    callback = callback or (lambda _fraction: None)
    dataset = VectorDataset(path, lambda fraction: callback(0.2 * fraction))
    _raise_first(dataset.problems)
    loaded = load(
        dataset,
        columns,
        sample,
        where,
        seed,
        lambda fraction: callback(0.2 + 0.8 * fraction),
        images=images,
    )
    _raise_first(loaded.problems)
    if loaded.n_skipped:
        warnings.warn(
            f"{dataset.path}: images without vectors, left out: {loaded.n_skipped}",
            RuntimeWarning,
            stacklevel=2,
        )
    return loaded.table


def _raise_first(problems):
    for error in problems.values():
        raise error


def load(
    dataset: VectorDataset,
    columns: Sequence[str] | None = None,
    sample: int | None = None,
    where: ds.Expression | list | None = None,
    seed: int = 0,
    callback: Callable[[float], None] | None = None,
    images: str | os.PathLike | None = None,
) -> Loaded:
    """
    Read rows of a dataset; files that are damaged are left out.

    Parameters
    ----------
    dataset : VectorDataset
    columns, sample, where, seed, callback, images
        As for `read_dataset`.

    Raises
    ------
    DatasetError
        When the table does not fit into memory.
    ValueError
        As `read_dataset`.
    """
    if sample is not None and sample < 0:
        raise ValueError("sample should be a whole number, at least 0")
    reader = RowReader(dataset, columns, where, images, callback)
    reader.look()
    n_matching = int(reader.counts.sum())
    n_rows = n_matching if sample is None else min(sample, n_matching)
    _check_memory(dataset, n_rows, reader.with_vectors)
    table = reader.read(choose(reader.counts, n_rows, seed), n_rows)
    table.name = _name(dataset.path)
    return Loaded(
        table,
        reader.skipped_table(),
        reader.n_skipped,
        n_matching,
        reader.problems,
    )


def _name(path: str) -> str:
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return os.path.splitext(name)[0] or path


def free_memory() -> int:
    """Bytes of memory that programs can use without others being swapped out."""
    return psutil.virtual_memory().available


def _check_memory(dataset: VectorDataset, n_rows: int, with_vectors: bool) -> None:
    needed, free = dataset.table_bytes(n_rows, with_vectors), free_memory()
    if needed > free:
        raise DatasetError(
            f"{dataset.path}: a table of {n_rows:,} rows needs {needed / 1e9:.1f} GB "
            f"of memory, but {free / 1e9:.1f} GB are free. Read a sample."
        )


def choose(counts: np.ndarray, n_rows: int, seed: int) -> list[np.ndarray | None]:
    """
    Choose rows at random.

    Parameters
    ----------
    counts : numpy.ndarray
        int, shape (n groups,): rows in each group.
    n_rows : int
        The number of rows to be chosen.
    seed : int

    Returns
    -------
    list of (numpy.ndarray or None)
        The rows of each group, sorted; None for all.
    """
    total = int(counts.sum())
    if n_rows >= total:
        return [None] * len(counts)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(total, n_rows, replace=False, shuffle=False))
    starts = np.concatenate(([0], np.cumsum(counts)))
    places = np.searchsorted(rows, starts)
    return [
        rows[places[group] : places[group + 1]] - starts[group]
        for group in range(len(counts))
    ]
