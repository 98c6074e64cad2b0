"""Datasets that `embed_dataset` has written."""

import os

import pyarrow.dataset


def read(folder):
    """All rows, by path."""
    table = pyarrow.dataset.dataset(folder).to_table()
    return {row["path"]: row for row in table.to_pylist()}


def names(folder):
    """The files in a folder."""
    return sorted(os.listdir(folder))
