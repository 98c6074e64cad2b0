"""Read the weight files that come with dependencies as arrays, without torch.

Such a file is a pickle, and pickles can run code. Therefore its hash is checked first,
and then it may contain nothing but arrays, numbers and containers of them.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from orangecontrib.imageanalytics.errors import ModelError, first_line
from orangecontrib.imageanalytics.networks.weights import check_sha256

# How files begin that torch before 1.6 has written. Source: torch.serialization.
MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read_arrays(path: str, sha256: str) -> dict:
    """Arrays of a weight file by name.

    Parameters
    ----------
    path : str
        A pickle of NumPy arrays (``.pkl``), or a state dict that torch before version
        1.6 has written.
    sha256 : str
        As for `check_sha256`.

    Returns
    -------
    dict
        The content of a pickle; numpy.ndarray by name for a state dict.

    Raises
    ------
    ModelError
        When the file cannot be read, has another hash, or holds anything else.
    """
    try:
        with open(path, "rb") as file:
            check_sha256(file, path, sha256)
            if path.endswith(".pkl"):
                return _ArrayUnpickler(file).load()
            return _read_state_dict(file)
    except ModelError:
        raise
    except Exception as error:  # of whatever kind: the bytes may be anything
        reason = first_line(error)
        raise ModelError(f"The weight file {path} cannot be read: {reason}") from error


def _read_state_dict(file) -> dict[str, np.ndarray]:
    magic, version, system = (_Unpickler(file).load() for _ in range(3))
    if (magic, version) != (MAGIC, VERSION) or not system["little_endian"]:
        raise pickle.UnpicklingError("it is not a file of torch before version 1.6")
    tensors = _TensorUnpickler(file).load()
    keys = _Unpickler(file).load()
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _read_storage(file, dtypes[key]) for key in keys}
    return {
        name: _array(tensor, storages[tensor.storage.key])
        for name, tensor in tensors.items()
    }


def _read_storage(file, dtype: np.dtype) -> bytes:
    n_bytes = int.from_bytes(file.read(8), "little") * dtype.itemsize
    content = file.read(n_bytes)
    if len(content) < n_bytes:
        raise EOFError("it is incomplete")
    return content


def _array(tensor: _Tensor, content: bytes) -> np.ndarray:
    dtype = tensor.storage.dtype
    strides = [dtype.itemsize * step for step in tensor.strides]
    start = dtype.itemsize * tensor.offset
    # NumPy checks that it lies inside the content.
    array = np.ndarray(tensor.shape, dtype, content, start, strides)
    return array.copy(order="C")


class _Storage(NamedTuple):
    """The numbers of one or more tensors, which come later in the file."""

    key: str
    dtype: np.dtype


class _Tensor(NamedTuple):
    """Where the numbers of a tensor are; offset and strides are counts of numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage, offset, shape, strides, *_) -> _Tensor:
    """What torch calls ``_rebuild_tensor_v2``; the rest is for training."""
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """Reads containers, numbers and texts, and only what is allowed besides them."""

    allowed: dict[tuple[str, str], object] = {}  # noqa: RUF012

    def find_class(self, module, name):
        try:
            return self.allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed") from None

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to other objects")


class _TensorUnpickler(_Unpickler):
    """Reads a dictionary of tensors, without their numbers."""

    allowed = {  # noqa: RUF012
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        **{("torch", name): dtype for name, dtype in _DTYPES.items()},
    }

    def persistent_load(self, pid):
        kind, dtype, key, _device, _size, view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise pickle.UnpicklingError("it holds more than tensors")
        return _Storage(key, dtype)


def _reconstruct(subtype, shape, dtype):
    """The empty array that unpickling fills.

    NumPy's own function has moved between its versions 1 and 2.
    """
    return np.ndarray.__new__(subtype, shape, dtype)


class _ArrayUnpickler(_Unpickler):
    """Reads NumPy arrays."""

    allowed = {  # noqa: RUF012
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    }
