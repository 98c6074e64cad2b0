"""Files that are written completely or not at all, such as tables of vectors."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from urllib.parse import quote

import numpy as np
from Orange.data import Table
from Orange.data.io import FileFormat
from xlsxwriter.exceptions import XlsxFileError

from orangecontrib.imageanalytics.embedding_columns import EmbeddingFeature
from orangecontrib.imageanalytics.vector_files.description import (
    ROWS_PER_GROUP,
    describe,
    vector_array,
    vector_schema,
)
from orangecontrib.imageanalytics.vector_files.files import require_pyarrow

ROWS_AT_ONCE = 10_000
_HINT = "; --force overwrites it"


class OutputFile:
    """A file to be written later.

    All that can be known to fail is checked at once, so that nobody waits an hour
    for vectors that cannot be saved.

    Parameters
    ----------
    path : str
        The extension says the format: any that Orange writes, ``.npz`` or
        ``.parquet``.
    overwrite : bool
        Whether to replace a file that exists.

    Raises
    ------
    ValueError
        The extension is not known.
    ImageAnalyticsError
        The format needs a package that is not installed.
    OSError
        The file exists, or its folder does not or cannot be written to.
    """

    def __init__(self, path: str, overwrite: bool = False):
        self.path = path
        self.overwrite = overwrite
        self._save = _writer(path)
        target = os.path.realpath(path)
        _check_place(path, target, overwrite, _HINT)
        folder = os.path.dirname(target)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"no permission to write into {folder}")

    def write(self, table: Table) -> None:
        """Write the table.

        Parameters
        ----------
        table : Table
            Vectors in the attributes, paths in the meta ``image``.

        Raises
        ------
        OSError
            Nothing was written; the text names the file and the reason.
        """
        try:
            with replaced_file(self.path, self.overwrite, _HINT) as partial:
                self._save(partial, table)
        except FileExistsError:
            raise
        except (OSError, XlsxFileError) as error:
            raise OSError(f"cannot write {self.path}: {error}") from error


@contextlib.contextmanager
def replaced_file(path: str, overwrite: bool = False, hint: str = "") -> Iterator[str]:
    """
    Write a file that only appears when it is complete.

    Parameters
    ----------
    path : str
        The file.
    overwrite : bool
        Whether to replace a file that exists.
    hint : str
        What to add to the message that it exists.

    Yields
    ------
    str
        Path of a file to write; it is renamed at the end, or removed if an exception
        was raised.

    Raises
    ------
    OSError
        The file exists, or its folder does not or cannot be written to.
    """
    target = os.path.realpath(path)  # a link stays and its target is replaced
    _check_place(path, target, overwrite, hint)
    with tempfile.TemporaryDirectory(prefix=".", dir=os.path.dirname(target)) as folder:
        # Orange chooses compression by the extension and does not know .GZ.
        partial = os.path.join(folder, os.path.basename(target).lower())
        yield partial
        _flush_to_disk(partial)
        _check_place(path, target, overwrite, hint)
        if os.path.exists(target):
            shutil.copymode(target, partial)
        os.replace(partial, target)


def _check_place(path: str, target: str, overwrite: bool, hint: str) -> None:
    if os.path.isdir(target):
        raise FileExistsError(f"{path} is a folder")
    if os.path.exists(target) and not overwrite:
        raise FileExistsError(f"{path} exists{hint}")


def _writer(path: str) -> Callable[[str, Table], None]:
    """The function that writes a table in the format of the file's extension."""
    writers = {ext: writer.write for ext, writer in FileFormat.writers.items()}
    writers.update({".npz": _write_npz, ".parquet": _write_parquet})
    name = os.path.basename(path).lower()
    extension = max((ext for ext in writers if name.endswith(ext)), key=len, default="")
    if not extension:
        raise ValueError(
            f"the format of {path} is not known; "
            "choose .tab, .csv, .xlsx, .pkl, .npz or .parquet"
        )
    if extension == ".parquet":
        require_pyarrow("writing .parquet")
    return writers[extension]


def _write_npz(path: str, table: Table) -> None:
    """Write like ``numpy.savez``, but without copying all the data."""
    paths, origin = _paths_and_origin(table)
    # Text of fixed width loads without allow_pickle.
    text = np.dtype((str, max(map(len, paths), default=1)))
    with zipfile.ZipFile(path, "w") as file:
        _write_rows(file, "paths", paths, text)
        _write_rows(file, "vectors", table.X, np.dtype(np.float32))
        with file.open("origin.npy", "w") as stream:
            np.lib.format.write_array(stream, np.array(origin))


def _write_rows(
    file: zipfile.ZipFile, name: str, values: np.ndarray, dtype: np.dtype
) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": values.shape,
    }
    # ZipFile does not know the final length, so it has to allow for 4 GB.
    with file.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for part in _parts(len(values)):
            stream.write(values[part].astype(dtype).tobytes())


def _write_parquet(path: str, table: Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    columns = _parquet_columns(table)
    n_features = table.X.shape[1]
    origin = _portable_path(_paths_and_origin(table)[1])
    schema = vector_schema(n_features, _describe_columns(table), origin)
    schema = pa.schema([schema.field(name) for name in columns], schema.metadata)
    # Vectors hardly repeat.
    options = {"use_dictionary": [name for name in columns if name != "vector"]}
    with pyarrow.parquet.ParquetWriter(path, schema, **options) as writer:
        for part in _parts(len(table)):
            arrays = [
                column(part) if callable(column) else column[part]
                for column in columns.values()
            ]
            writer.write_table(pa.table(arrays, schema), ROWS_PER_GROUP)


def _parquet_columns(table: Table) -> dict[str, np.ndarray | Callable]:
    """Values of each column, or a function that gives those of a part."""
    paths, origin = _paths_and_origin(table)

    def path_part(part):
        return [_portable_path(path, origin) for path in paths[part]]

    def vector_part(part):
        return vector_array(table.X[part])

    columns = {"path": path_part, "vector": vector_part}
    for name in ("width", "height"):
        if name in table.domain and table.domain[name].is_continuous:
            columns[name] = _numbers(table.get_column(name))
    category = table.domain.class_var
    if category is not None and category.is_discrete:
        names = np.array([*category.values, None], dtype=object)
        y = table.get_column(category)
        columns["category"] = names[np.where(np.isnan(y), -1, y).astype(int)]
    return columns


def _numbers(values: np.ndarray):
    """Whole numbers as pyarrow takes them, null where they are missing."""
    import pyarrow as pa

    values = values.astype(float)
    missing = np.isnan(values)
    whole = np.where(missing, 0, values).astype(np.int32)
    return pa.array(whole, mask=missing)


def _portable_path(path: str, origin: str = "") -> str:
    """A path that is valid Unicode: a file URL if the name of the file is not."""
    try:
        path.encode()
        return path
    except UnicodeEncodeError:
        whole = os.path.abspath(os.path.join(origin, path))
        return "file://" + quote(os.fsencode(whole))


def _describe_columns(table: Table) -> dict | None:
    """The embedding of a table whose attributes are its vectors, None if unknown."""
    attributes = table.domain.attributes
    features = [variable.compute_value for variable in attributes]
    if not features or not isinstance(features[0], EmbeddingFeature):
        return None
    compute = features[0].compute_shared
    expected = [EmbeddingFeature(compute, i, "") for i in range(len(features))]
    if features != expected:
        return None
    # Columns of classes are those that are not hidden.
    is_named = not any(v.attributes.get("hidden") for v in attributes)
    names = [variable.name for variable in attributes] if is_named else ()
    return describe(compute.spec, names)


def _paths_and_origin(table: Table) -> tuple[np.ndarray, str]:
    image = table.domain["image"]
    return table.get_column(image), image.attributes.get("origin", "")


def _parts(n_rows: int) -> Iterator[slice]:
    """Split rows into parts that are written at once, so as not to copy them all."""
    for start in range(0, n_rows, ROWS_AT_ONCE):
        yield slice(start, start + ROWS_AT_ONCE)


def _flush_to_disk(path: str) -> None:
    """Make sure that a power cut after the renaming cannot leave an empty file."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
