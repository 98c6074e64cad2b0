"""Files that are written completely or not at all, such as tables of vectors."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
from Orange.data import Table
from Orange.data.io import FileFormat
from xlsxwriter.exceptions import XlsxFileError

from orangecontrib.imageanalytics.errors import ImageAnalyticsError

ROWS_AT_ONCE = 10_000


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
        self._target = os.path.realpath(path)  # a link stays and its target is replaced
        self._folder = os.path.dirname(self._target)
        self._check_place()
        if not os.path.isdir(self._folder):
            raise FileNotFoundError(f"there is no folder {self._folder}")
        if not os.access(self._folder, os.W_OK):
            raise PermissionError(f"no permission to write into {self._folder}")

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
            self._check_place()
            with replaced_file(self.path, self.overwrite) as partial:
                self._save(partial, table)
        except FileExistsError:
            raise
        except (OSError, XlsxFileError) as error:
            raise OSError(f"cannot write {self.path}: {error}") from error

    def _check_place(self):
        _check_place(self.path, self._target, self.overwrite, "; --force overwrites it")


@contextlib.contextmanager
def replaced_file(path: str, overwrite: bool = False) -> Iterator[str]:
    """
    Write a file that only appears when it is complete.

    Parameters
    ----------
    path : str
        The file.
    overwrite : bool
        Whether to replace a file that exists.

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
    _check_place(path, target, overwrite)
    with tempfile.TemporaryDirectory(prefix=".", dir=os.path.dirname(target)) as folder:
        # Orange chooses compression by the extension and does not know .GZ.
        partial = os.path.join(folder, os.path.basename(target).lower())
        yield partial
        _flush_to_disk(partial)
        _check_place(path, target, overwrite)
        if os.path.exists(target):
            shutil.copymode(target, partial)
        os.replace(partial, target)


def _check_place(path: str, target: str, overwrite: bool, hint: str = "") -> None:
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
    if extension == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ImageAnalyticsError(
            "writing .parquet needs pyarrow: "
            "pip install 'Orange3-ImageAnalytics[parquet]'"
        )
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

    paths, origin = _paths_and_origin(table)
    n_features = table.X.shape[1]
    vector = pa.list_(pa.float32(), n_features)
    schema = pa.schema({"path": pa.string(), "vector": vector}, {"origin": origin})
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for part in _parts(len(table)):
            numbers = table.X[part].astype(np.float32, order="C").ravel()
            vectors = pa.FixedSizeListArray.from_arrays(numbers, n_features)
            writer.write_table(pa.table([paths[part], vectors], schema))


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
