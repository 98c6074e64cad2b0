"""The files of a dataset, and what their footers tell."""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.errors import (
    DatasetError,
    ImageAnalyticsError,
    first_line,
)
from orangecontrib.imageanalytics.vector_files.description import (
    KEY,
    LENGTH,
    ORIGIN,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.fs

ENDINGS = (".parquet", ".pq", ".parq")
_URL = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # longer than a drive's letter


def require_pyarrow(purpose: str) -> None:
    """
    Raises
    ------
    ImageAnalyticsError
        pyarrow is not installed. The message starts with the purpose.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ImageAnalyticsError(
            f"{purpose} needs pyarrow: pip install 'Orange3-ImageAnalytics[parquet]'"
        )


def is_url(path: str) -> bool:
    """Whether a dataset is at an address that fsspec understands, not in a folder."""
    return _URL.match(path) is not None and "://" in path


@dataclass(frozen=True)
class Place:
    """Where the files of a dataset are.

    Attributes
    ----------
    filesystem : pyarrow.fs.FileSystem
    files : tuple of str
        Their paths in the file system, sorted.
    root : str
        What is left out of the paths in messages.
    """

    filesystem: pa.fs.FileSystem
    files: tuple[str, ...]
    root: str

    def name(self, file: str) -> str:
        """Path of a file as it is shown to the user."""
        return file.removeprefix(self.root).lstrip("/\\") or file


def find_files(path: str) -> Place:
    """
    The Parquet files in a folder and its subfolders, or a single one.

    Files and folders whose names begin with a dot or underscore are ignored: they are
    unfinished, or no data.

    Parameters
    ----------
    path : str
        Path of a file or folder, or an address that fsspec understands.

    Raises
    ------
    DatasetError
        When there is no such file or folder, or no Parquet file in it.
    ImageAnalyticsError
        When fsspec is needed and not installed.
    """
    place = _find_remote(path) if is_url(path) else _find_local(path)
    if not place.files:
        raise DatasetError(f"There is no Parquet file in the folder {path}.")
    return place


def _find_local(path: str) -> Place:
    import pyarrow.fs

    filesystem = pyarrow.fs.LocalFileSystem()
    if os.path.isfile(path):
        return Place(filesystem, (path,), os.path.dirname(path))
    if not os.path.isdir(path):
        raise DatasetError(f"There is no file or folder {path}.")
    files: list[str] = []
    for folder, folders, names in os.walk(path, onerror=_raise):
        folders[:] = sorted(filter(_is_data, folders))
        files += [os.path.join(folder, name) for name in names if _is_part(name)]
    return Place(filesystem, tuple(sorted(files)), path)


def _raise(error: OSError):
    reason = error.strerror or error
    raise DatasetError(f"{error.filename} cannot be read: {reason}") from error


def _find_remote(path: str) -> Place:
    if importlib.util.find_spec("fsspec") is None:
        raise ImageAnalyticsError(
            f"reading {path} needs fsspec: "
            "pip install 'Orange3-ImageAnalytics[distributed]'"
        )
    import fsspec.core
    import pyarrow.fs

    try:
        # Others may have written there since it was listed.
        filesystem, root = fsspec.core.url_to_fs(path, use_listings_cache=False)
        is_file = filesystem.isfile(root)
        found = [root] if is_file else sorted(filesystem.find(root))
    except Exception as error:  # each file system has its own
        raise DatasetError(f"{path} cannot be read: {first_line(error)}") from error
    if is_file:
        files, root = (root,), root.rpartition("/")[0]
    else:
        files = tuple(file for file in found if _is_data_below(root, file))
    if not found:
        raise DatasetError(f"There is no file or folder {path}.")
    handler = pyarrow.fs.FSSpecHandler(filesystem)
    return Place(pyarrow.fs.PyFileSystem(handler), files, root)


def _is_data_below(root: str, file: str) -> bool:
    *folders, name = file.removeprefix(root).strip("/").split("/")
    return all(map(_is_data, folders)) and _is_part(name)


def _is_data(name: str) -> bool:
    return not name.startswith((".", "_"))


def _is_part(name: str) -> bool:
    return _is_data(name) and name.lower().endswith(ENDINGS)


@dataclass(frozen=True)
class Part:
    """What the footer of a file tells.

    Attributes
    ----------
    file : str
        As in `Place`.
    schema : pyarrow.Schema
    rows : numpy.ndarray
        int, shape (n groups,): rows of each group.
    errors : numpy.ndarray
        int, shape (n groups,): rows with an error, -1 where it is not known.
    text_bytes : int
        Size of the paths, in bytes.
    """

    file: str
    schema: pa.Schema
    rows: np.ndarray
    errors: np.ndarray
    text_bytes: int


def read_part(place: Place, file: str) -> Part:
    """
    Read the footer of a file.

    Raises
    ------
    DatasetError
        When the file is no Parquet file, is damaged, or cannot be read. The message
        does not name the folder.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with place.filesystem.open_input_file(file) as stream:
            if not stream.size():
                raise DatasetError(f"{place.name(file)} is empty.")
            opened = pq.ParquetFile(stream)
            metadata, schema = opened.metadata, _with_own_metadata(opened.schema_arrow)
            groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
            return Part(
                file=file,
                schema=schema,
                rows=np.array([group.num_rows for group in groups], int),
                errors=np.array([_count_errors(group) for group in groups], int),
                text_bytes=sum(map(_path_bytes, groups)),
            )
    except pa.ArrowInvalid as error:
        raise DatasetError(
            f"{place.name(file)} is no Parquet file, or it is damaged: "
            f"{first_line(error)}"
        ) from error
    except DatasetError:
        raise
    except Exception as error:  # those of the file system, too
        raise unreadable(place, file, error) from error


def _with_own_metadata(schema: pa.Schema) -> pa.Schema:
    """The same without what other programs add, which may differ in each file."""
    metadata = schema.metadata or {}
    own = {key: metadata[key] for key in (KEY, LENGTH, ORIGIN) if key in metadata}
    return schema.with_metadata(own)


def unreadable(place: Place, file: str, error: Exception) -> DatasetError:
    """Make the error for a file whose rows cannot be read."""
    if isinstance(error, DatasetError):
        return error
    reason = first_line(error)
    return DatasetError(f"{place.name(file)} cannot be read: {reason}")


def _column(group, name: str):
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema == name:
            return column
    return None


def _count_errors(group) -> int:
    column = _column(group, "error")
    if column is None:
        return 0
    statistics = column.statistics
    if statistics is None or not statistics.has_null_count:
        return -1
    return group.num_rows - statistics.null_count


def _path_bytes(group) -> int:
    column = _column(group, "path")
    return 0 if column is None else column.total_uncompressed_size
