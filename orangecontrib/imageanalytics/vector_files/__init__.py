"""Parquet files of vectors, which describe how their vectors were computed."""

from orangecontrib.imageanalytics.vector_files.description import (
    KEY,
    ORIGIN,
    class_names,
    describe,
    description_of,
    spec_of,
    vector_schema,
)

__all__ = [
    "KEY",
    "ORIGIN",
    "class_names",
    "describe",
    "description_of",
    "spec_of",
    "vector_schema",
]
