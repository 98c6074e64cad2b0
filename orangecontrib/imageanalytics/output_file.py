"""Saving embedded pictures to a file, whole or not at all."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable

import numpy as np
from Orange.data import Table
from Orange.data.io import FileFormat
from xlsxwriter.exceptions import XlsxFileError

from orangecontrib.imageanalytics.errors import ImageAnalyticsError


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
            with tempfile.TemporaryDirectory(prefix=".", dir=self._folder) as scratch:
                # Orange compresses by the extension, and .GZ is none to it.
                name = os.path.basename(self._target).lower()
                partial = os.path.join(scratch, name)
                self._save(partial, table)
                _flush_to_disk(partial)
                self._check_place()
                if os.path.exists(self._target):
                    shutil.copymode(self._target, partial)
                os.replace(partial, self._target)
        except FileExistsError:
            raise
        except (OSError, XlsxFileError) as error:
            raise OSError(f"cannot write {self.path}: {error}") from error

    def _check_place(self):
        if os.path.isdir(self._target):
            raise FileExistsError(f"{self.path} is a folder")
        if os.path.exists(self._target) and not self.overwrite:
            raise FileExistsError(f"{self.path} exists; --force overwrites it")


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
    paths, vectors, origin = _paths_and_vectors(table)
    # A text array of fixed width loads without allow_pickle.
    np.savez(path, paths=np.array(paths, dtype=str), vectors=vectors, origin=origin)


def _write_parquet(path: str, table: Table) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    paths, vectors, origin = _paths_and_vectors(table)
    column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
    content = pa.table({"path": paths, "vector": column})
    pyarrow.parquet.write_table(
        content.replace_schema_metadata({"origin": origin}), path
    )


def _paths_and_vectors(table: Table) -> tuple[list[str], np.ndarray, str]:
    image = table.domain["image"]
    vectors = np.ascontiguousarray(table.X, dtype=np.float32)
    return list(table.get_column(image)), vectors, image.attributes.get("origin", "")


def _flush_to_disk(path: str) -> None:
    """Make sure that a power cut after the renaming cannot leave an empty file."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
