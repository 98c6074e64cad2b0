"""A Parquet file, or a folder of them, with vectors: what is in it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.errors import DatasetError, first_line
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.vector_files.columns import CATEGORY, IMAGE, PATH
from orangecontrib.imageanalytics.vector_files.description import (
    LENGTH,
    ORIGIN,
    class_names,
    description_of,
    spec_of,
)
from orangecontrib.imageanalytics.vector_files.files import (
    Part,
    Place,
    find_files,
    is_url,
    read_part,
    require_pyarrow,
    unreadable,
)
from orangecontrib.imageanalytics.vector_files.in_threads import in_threads
from orangecontrib.imageanalytics.vector_files.origins import find_origin

if TYPE_CHECKING:
    import pyarrow as pa

VECTOR, ERROR = "vector", "error"
# Reading from a disk takes the processor's time, from a server mostly patience.
THREADS_LOCAL, THREADS_REMOTE = 4, 16
#: Row groups in which categories are counted before they are loaded
MOST_GROUPS_COUNTED = 200
# Bytes of a Python object of text, besides its letters, and of a number.
_TEXT_BYTES, _NUMBER_BYTES = 49, 24


@dataclass(frozen=True)
class Group:
    """Some rows of a file that are read together, a row group.

    Attributes
    ----------
    part : Part
    index : int
    n_rows : int
    n_errors : int
        -1 if it is unknown.
    """

    part: Part
    index: int
    n_rows: int
    n_errors: int


class VectorDataset:
    """
    A file or folder of vectors, as its footers describe it.

    Parameters
    ----------
    path : str or path-like
        A Parquet file, or a folder of them; a path or an address for fsspec.
    callback : callable, optional
        Called with the fraction done, 0 to 1; an exception that it raises ends the
        work.

    Attributes
    ----------
    path : str
    n_rows : int
        Number of rows, with and without vectors.
    n_failed : int or None
        Number of images that have no vector; None if footers do not tell.
    n_features : int
        Length of the vectors; 0 if there are none.
    spec : EmbeddingSpec or None
        How they were computed; None if the files do not say so.
    class_names : tuple of str
        Names of their numbers, if they are scores of classes and named.
    schema : pyarrow.Schema
        The columns of all files.
    n_files : int
    problems : dict of str to DatasetError
        The error for each file that cannot be read. The other attributes leave it out.

    Raises
    ------
    DatasetError
        When nothing can be read, or the files do not belong together.
    ImageAnalyticsError
        When a package is missing.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        callback: Callable[[float], None] | None = None,
    ):
        require_pyarrow("reading Parquet files")
        path = os.fspath(path)
        self.path = path if is_url(path) else os.path.expanduser(path)
        self.problems: dict[str, DatasetError] = {}
        callback = callback or (lambda _fraction: None)
        self.place = self._find(callback)
        self.parts = self._read_parts(callback)
        self.schema = self._common_schema()
        self._describe()

    @property
    def n_threads(self) -> int:
        """Number of threads that read."""
        return THREADS_REMOTE if is_url(self.path) else THREADS_LOCAL

    def _find(self, callback) -> Place:
        ((_, place),) = in_threads(find_files, [self.path], 1, partial(callback, 0))
        if isinstance(place, Exception):
            raise place
        return place

    def _read_parts(self, callback) -> list[Part]:
        files = self.place.files
        parts: list[Part] = []
        schemas: list[pa.Schema] = []
        read = partial(read_part, self.place)
        results = in_threads(
            read,
            files,
            self.n_threads,
            lambda: callback((len(parts) + len(self.problems)) / len(files)),
        )
        for file, part in results:
            if isinstance(part, Exception):
                self.problems[self.place.name(file)] = part
            else:
                parts.append(_with_shared_schema(part, schemas))
        if not parts:
            raise next(iter(self.problems.values()))
        self._schemas = schemas
        return parts

    def _common_schema(self) -> pa.Schema:
        import pyarrow as pa

        common = self._schemas[0]
        for schema in self._schemas[1:]:
            try:
                common = pa.unify_schemas(
                    [common, schema], promote_options="permissive"
                )
            except pa.ArrowException as error:
                raise DatasetError(
                    f"{self._file_of(schema)} does not belong to the others: "
                    f"{first_line(error)}"
                ) from error
            for name in (PATH, VECTOR):
                if (name in schema.names) != (name in self._schemas[0].names):
                    lacking = schema if name not in schema.names else self._schemas[0]
                    raise DatasetError(
                        f"{self._file_of(lacking)} has no column {name}, but other "
                        "files of the folder have one."
                    )
        return common

    def _file_of(self, schema) -> str:
        part = next(part for part in self.parts if part.schema is schema)
        return self.place.name(part.file)

    def _describe(self):
        self.n_features = self._find_length()
        first, self.class_names, self.spec = self._schemas[0], (), None
        for schema in self._schemas:
            file = self._file_of(schema)
            description = description_of(schema.metadata, file)
            spec = None if description is None else spec_of(description, file)
            names = class_names(description or {}, self.n_features)
            if schema is first:
                self.spec, self.class_names = spec, names
            elif spec != self.spec or names != self.class_names:
                raise DatasetError(
                    f"{self._file_of(first)} and {file} have different embeddings: "
                    f"{_difference(self.spec, spec)}. Put the files into different "
                    "folders."
                )

    def _find_length(self) -> int:
        """Length of the vectors; where the files do not tell, that of the first one."""
        import pyarrow.types as types

        if VECTOR not in self.schema.names:
            return 0
        lengths: dict[int, str] = {}
        for schema in self._schemas:
            kind = schema.field(VECTOR).type
            if types.is_fixed_size_list(kind):
                lengths.setdefault(kind.list_size, self._file_of(schema))
            elif types.is_list(kind) or types.is_large_list(kind):
                length = _length_in(schema)
                if length:
                    lengths.setdefault(length, self._file_of(schema))
            else:
                raise DatasetError(
                    f"{self._file_of(schema)}: the column vector holds no lists of "
                    f"numbers, but {kind}."
                )
        if len(lengths) > 1:
            (length, file), (other, other_file) = list(lengths.items())[:2]
            raise DatasetError(
                f"Vectors have different lengths: {length} in {file}, {other} in "
                f"{other_file}."
            )
        return next(iter(lengths), 0) or self._length_of_first()

    def _length_of_first(self) -> int:
        import pyarrow.compute as pc

        is_there = pc.field(VECTOR).is_valid()
        problem = None
        for group in self.groups():
            try:
                first = self.fragment(group).head(1, columns=[VECTOR], filter=is_there)
            except Exception as error:  # those of the file system, too
                problem = problem or unreadable(self.place, group.part.file, error)
                continue
            if len(first):
                return len(first[VECTOR][0])
        if problem is not None:
            raise problem
        return 0

    @property
    def n_files(self) -> int:
        """As above."""
        return len(self.parts)

    @cached_property
    def n_rows(self) -> int:
        """As above."""
        return int(sum(part.rows.sum() for part in self.parts))

    @cached_property
    def n_failed(self) -> int | None:
        """As above."""
        if any((part.errors < 0).any() for part in self.parts):
            return None
        return int(sum(part.errors.sum() for part in self.parts))

    def count_categories(self) -> int | None:
        """Number of categories; None if that takes long or a file is damaged."""
        import pyarrow.compute as pc

        groups = list(self.groups())
        if len(groups) > MOST_GROUPS_COUNTED or is_url(self.path):
            return None
        names: set = set()
        if CATEGORY in self.schema.names:
            for group in groups:
                try:
                    table = self.fragment(group).to_table(columns=[CATEGORY])
                except Exception:  # whoever loads the rows will say why
                    return None
                names.update(pc.unique(table[CATEGORY]).to_pylist())
        return len(names - {None})

    @property
    def compute(self) -> EmbedImages | None:
        """How the vectors of other images are computed; None if it is not known."""
        return None if self.spec is None else EmbedImages(IMAGE, self.spec)

    def origins(self) -> set[str]:
        """The folders or addresses to which paths are relative; "" for none."""
        return {origin_of(schema) for schema in self._schemas}

    def find_images(self) -> str:
        """The folder or address of the images, as far as it is one for all of them.

        A local folder is looked for near the dataset if it was moved. Empty if the
        paths are complete.
        """
        origins = self.origins()
        if len(origins) > 1:
            return ""
        (origin,) = origins
        if is_url(self.path):
            return origin
        is_folder = os.path.isdir(self.path)
        return find_origin(
            origin, self.path if is_folder else os.path.dirname(self.path)
        )

    def groups(self) -> Iterator[Group]:
        """All groups of rows, in their order."""
        for part in self.parts:
            pairs = zip(part.rows.tolist(), part.errors.tolist(), strict=True)
            for index, (n_rows, n_errors) in enumerate(pairs):
                yield Group(part, index, n_rows, n_errors)

    def fragment(self, group: Group):
        """The rows of a group as pyarrow reads them."""
        import pyarrow.dataset as ds

        return ds.ParquetFileFormat().make_fragment(
            group.part.file, self.place.filesystem, row_groups=[group.index]
        )

    def table_bytes(self, n_rows: int, with_vectors: bool = True) -> int:
        """
        The memory that a table of some of the rows takes, estimated.

        Parameters
        ----------
        n_rows : int
        with_vectors : bool
        """
        row = self._bytes_of_others
        if with_vectors:
            row += 8 * self.n_features  # the numbers are float64
        return round(n_rows * row)

    @cached_property
    def _bytes_of_others(self) -> float:
        n_columns = len(self.schema.names) - (VECTOR in self.schema.names)
        text = sum(part.text_bytes for part in self.parts) / max(self.n_rows, 1)
        # Of the path, a second column has the name of the file.
        return 8 + n_columns * (8 + _NUMBER_BYTES) + 2 * (_TEXT_BYTES + text)


def origin_of(schema: pa.Schema) -> str:
    """The folder or address to which the paths of a file are relative."""
    return (schema.metadata or {}).get(ORIGIN, b"").decode(errors="replace")


def _length_in(schema: pa.Schema) -> int:
    """The length of vectors that the metadata tell, 0 if they do not."""
    text = (schema.metadata or {}).get(LENGTH, b"")
    return int(text) if re.fullmatch(rb"[0-9]{1,9}", text) else 0


def _with_shared_schema(part: Part, schemas: list) -> Part:
    """The same with one of the schemas, if it has an equal one."""
    for schema in schemas:
        if schema.equals(part.schema, check_metadata=True):
            return replace(part, schema=schema)
    schemas.append(part.schema)
    return part


def _difference(one: EmbeddingSpec | None, other: EmbeddingSpec | None) -> str:
    if one is None or other is None:
        return "only one of them says how its vectors were computed"
    for name, text in (
        ("network", "network {} and {}"),
        ("layer", "layer {} and {}"),
        ("precision", "precision {} and {}"),
        ("intensity", "intensity {} and {}"),
        ("preprocessing", "preparation of images {} and {}"),
    ):
        values = getattr(one, name), getattr(other, name)
        if values[0] != values[1]:
            if name == "network":
                values = tuple(value.id for value in values)
                if values[0] == values[1]:
                    return f"{values[0]} has other weights"
            return text.format(*values)
    return "the names of the classes"
