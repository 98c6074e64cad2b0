"""How Parquet files of vectors describe themselves.

The metadata of their schema has the key `KEY`. Its value is JSON, an object with all
that determines the vectors of an image::

    {"network": {"id": "efficientnet-lite0", "fingerprint": "57934...", "about": []},
     "layer": "penultimate",
     "preprocessing": {"size": 224, "fit": "crop", ...},
     "preprocessing_version": 2,
     "precision": null,
     "intensity": "auto",
     "classes": [],
     "version": "1.0.0"}

Keys that a later version adds are ignored.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.engine.device import PRECISIONS
from orangecontrib.imageanalytics.errors import DatasetError, ModelError
from orangecontrib.imageanalytics.images.intensity import as_intensity
from orangecontrib.imageanalytics.networks.files.preparation import check_values
from orangecontrib.imageanalytics.networks.preprocessing import (
    VERSION,
    Preprocessing,
)
from orangecontrib.imageanalytics.networks.spec import (
    EmbeddingSpec,
    NetworkReference,
)

if TYPE_CHECKING:
    import pyarrow as pa

#: Key of the schema's metadata under which a file describes its vectors.
KEY = b"orangecontrib.imageanalytics"
#: Key of the folder or address to which the paths in the file are relative.
ORIGIN = b"origin"
#: Key of the length of the vectors, as decimal digits.
LENGTH = b"n_features"

#: Rows that are written together: of these, readers take all or none. A sample of
#: a large dataset reads less if there are few.
ROWS_PER_GROUP = 1000

PACKAGE = "Orange3-ImageAnalytics"
_OPTIONAL = ("resize", "channels", "fit")  # of preprocessing


def describe(spec: EmbeddingSpec, class_names: Sequence[str] = ()) -> dict:
    """
    Describe an embedding, as values that JSON can hold.

    Parameters
    ----------
    spec : EmbeddingSpec
        With a network, or with a reference to one. The fingerprint of its weights
        must be known, so they must be on this computer.
    class_names : sequence of str, optional
        Names of the numbers, if the vectors are scores of classes and the user asked
        for these.

    Returns
    -------
    dict
        `spec_of` makes an equal specification of it.
    """
    network = spec.portable().network if _is_found(spec) else spec.network
    intensity = spec.intensity
    return {
        "network": {
            "id": network.id,
            "fingerprint": network.fingerprint,
            "about": [list(pair) for pair in network.about],
        },
        "layer": spec.layer,
        "preprocessing": {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(spec.preprocessing).items()
        },
        "preprocessing_version": VERSION,
        "precision": spec.precision,
        "intensity": intensity if isinstance(intensity, str) else list(intensity),
        "classes": list(class_names),
        "version": _version(),
    }


def _is_found(spec: EmbeddingSpec) -> bool:
    return not isinstance(spec.network, NetworkReference)


def _version() -> str:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:  # run from its source
        return ""


def spec_of(description: Mapping, where: str = "The description") -> EmbeddingSpec:
    """
    The embedding that was described.

    Parameters
    ----------
    description : mapping
        What `describe` gave, also in a later version.
    where : str
        Name of the file, for messages.

    Returns
    -------
    EmbeddingSpec
        With a reference to the network; see `EmbeddingSpec.found`.

    Raises
    ------
    DatasetError
        When something is missing or of the wrong type.
    """
    try:
        return EmbeddingSpec(
            network=_reference(description["network"]),
            layer=_text(description["layer"], "layer"),
            preprocessing=_preprocessing(description["preprocessing"]),
            precision=_precision(description.get("precision")),
            intensity=as_intensity(description.get("intensity")),
        )
    except KeyError as error:
        raise _damaged(where, f"it lacks {error.args[0]}") from error
    except (ValueError, TypeError, AttributeError, ModelError) as error:
        raise _damaged(where, str(error)) from error


def _reference(values: Mapping) -> NetworkReference:
    fingerprint = values["fingerprint"]
    return NetworkReference(
        id=_text(values["id"], "the name of the network"),
        fingerprint=None if fingerprint is None else _text(fingerprint, "fingerprint"),
        about=tuple((_text(key, "about"), value) for key, value in values["about"]),
    )


def _preprocessing(values: Mapping) -> Preprocessing:
    names = [field.name for field in dataclasses.fields(Preprocessing)]
    known = {name: values[name] for name in names if name not in _OPTIONAL}
    known |= {name: values[name] for name in _OPTIONAL if values.get(name) is not None}
    check_values(known, "preprocessing")
    return Preprocessing(**{"resize": None, **known})


def _precision(value) -> str | None:
    if value is not None and value not in PRECISIONS:
        raise ValueError(f"the precision {value!r} is not known")
    return value


def _text(value, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is no text")
    return value


def class_names(description: Mapping, n_features: int) -> tuple[str, ...]:
    """Names of the numbers in the vectors; empty if they have none.

    Parameters
    ----------
    description : mapping
    n_features : int
        Length of the vectors. A list of names of another length is ignored.
    """
    names = description.get("classes")
    if not isinstance(names, list) or len(names) != n_features:
        return ()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def description_of(metadata: Mapping | None, where: str) -> dict | None:
    """
    The description in the metadata of a schema.

    Parameters
    ----------
    metadata : mapping of bytes to bytes, or None
        ``pyarrow.Schema.metadata``.
    where : str
        Name of the file, for messages.

    Returns
    -------
    dict or None
        None if the file has none.

    Raises
    ------
    DatasetError
        When it cannot be read.
    """
    text = (metadata or {}).get(KEY)
    if text is None:
        return None
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, f"it is no JSON: {error}") from error
    if not isinstance(description, dict):
        raise _damaged(where, "it is no JSON object")
    return description


def _damaged(where: str, reason: str) -> DatasetError:
    return DatasetError(f"{where}: the description of the vectors is damaged: {reason}")


def vector_schema(
    n_features: int, description: Mapping | None = None, origin: str = ""
) -> pa.Schema:
    """
    The columns of a file of vectors.

    Parameters
    ----------
    n_features : int
        Length of the vectors.
    description : mapping, optional
        From `describe`.
    origin : str
        The folder or address to which paths are relative; empty if they are complete.

    Returns
    -------
    pyarrow.Schema
        ``path``; ``vector``, a list of `n_features` float32, null if there is none.
        Its type is that of lists of any length, because pyarrow before version 26
        cannot read null among lists of a fixed length;
        ``width`` and ``height`` in pixels, null if they are unknown; ``category``, null
        if there is none; ``error``, null or the reason why there is no vector.
    """
    import pyarrow as pa

    metadata = {ORIGIN: origin.encode(), LENGTH: str(n_features).encode()}
    if description is not None:
        metadata[KEY] = json.dumps(dict(description)).encode()
    columns = {
        "path": pa.string(),
        "vector": pa.list_(pa.float32()),
        "width": pa.int32(),
        "height": pa.int32(),
        "category": pa.string(),
        "error": pa.string(),
    }
    return pa.schema(columns, metadata)


def vector_array(vectors: np.ndarray, is_missing: np.ndarray | None = None):
    """
    Values of the column ``vector``.

    Parameters
    ----------
    vectors : numpy.ndarray
        Shape (n vectors, n_features), real numbers.
    is_missing : numpy.ndarray, optional
        bool, shape (n rows,): true in rows that have no vector. There are as many
        others as vectors. Without it, all rows have one.

    Returns
    -------
    pyarrow.ListArray
        Lists of float32, null where a vector is missing.
    """
    import pyarrow as pa

    n_vectors, n_features = vectors.shape
    if is_missing is None:
        is_missing = np.zeros(n_vectors, bool)
    ends = np.cumsum(np.where(is_missing, 0, n_features))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    numbers = vectors.astype(np.float32, order="C").ravel()
    return pa.ListArray.from_arrays(offsets, numbers, mask=pa.array(is_missing))
