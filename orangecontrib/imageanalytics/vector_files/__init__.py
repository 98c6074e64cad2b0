"""Parquet files of vectors, which describe how their vectors were computed."""

from orangecontrib.imageanalytics.vector_files.dataset import VectorDataset
from orangecontrib.imageanalytics.vector_files.description import (
    KEY,
    ORIGIN,
    ROWS_PER_GROUP,
    class_names,
    describe,
    description_of,
    spec_of,
    vector_array,
    vector_schema,
)
from orangecontrib.imageanalytics.vector_files.reading import read_dataset

__all__ = [
    "KEY",
    "ORIGIN",
    "ROWS_PER_GROUP",
    "VectorDataset",
    "class_names",
    "describe",
    "description_of",
    "read_dataset",
    "spec_of",
    "vector_array",
    "vector_schema",
]
