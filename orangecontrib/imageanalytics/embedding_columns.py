"""Vectors as columns of a table: an embedding is a transformation of its pictures.

The columns know how they were computed, so whatever transforms another table to
their domain (a trained model, Apply Domain) embeds the pictures of that table.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
from Orange.data import ContinuousVariable, Domain, Instance, Table
from Orange.data.table import DomainTransformationError
from Orange.data.util import (
    SharedComputeValue,
    get_unique_names,
    get_unique_names_duplicates,
)
from scipy import sparse

from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.networks.extractor import Extractor
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.registry import is_file_name

#: Called with the number of pictures whenever a transformation embeds some; gives
#: the callback that is told the fraction done and may raise `Cancelled`. Programs
#: with windows set it to show what keeps them busy.
watch: Callable[[int], AbstractContextManager[Callable[[float], None]]]
watch = lambda _n_pictures: contextlib.nullcontext(lambda _fraction: None)  # noqa: E731

_last = threading.local()


@dataclass(frozen=True)
class EmbedPictures:
    """What the columns of one embedding share: how they are computed.

    Pickles hold these few values, never weights. Two are equal when they give the
    same picture the same vector, wherever a file with the network lies.

    Attributes
    ----------
    column : str
        Name of the column with the pictures, wherever it is in a table.
    weights : str
        Fingerprint of the network's weights.
    layer, fit : str
        As for `Extractor.choose`.
    precision : str or None
        None: as suits the device, which may be another one each time.
    preprocessing : Preprocessing or None
        Of a network from a file: what it expects of its input.
    model : str
        Where to find the network: as for `find_network`.
    """

    column: str
    weights: str
    layer: str
    fit: str
    precision: str | None
    preprocessing: Preprocessing | None
    model: str = field(compare=False)

    @classmethod
    def of(cls, extractor: Extractor, column: str, precision: str | None):
        """How `extractor` embeds the pictures of a column."""
        network = extractor.network
        return cls(
            column=column,
            weights=network.weights.fingerprint,
            layer=extractor.layer,
            fit=extractor.preprocessing.fit,
            precision=precision,
            preprocessing=(
                extractor.preprocessing if is_file_name(network.id) else None
            ),
            model=network.id,
        )

    def __call__(self, data: Table | Instance):
        """Embed the pictures of a table, through the cache.

        Returns
        -------
        Embedded or None
            None when the table has no such column.

        Raises
        ------
        DomainTransformationError
            When the network is not on this computer or is another one by now.
        """
        if isinstance(data, Instance):
            return self._embed_instance(data)
        try:
            sources = column_sources(data, self.column)
        except ValueError:  # as Orange does where columns are missing
            return None
        try:
            with watch(len(sources)) as callback:
                return self._embed(sources, callback)
        except (ModelError, ValueError) as error:
            raise DomainTransformationError(str(error)) from error
        except Cancelled as error:
            raise DomainTransformationError("Embedding was cancelled.") from error

    def _embed_instance(self, instance):
        # Orange asks each column by itself.
        last = getattr(_last, "embedded", None)
        if last is None or last[0]() is not instance or last[1] != self:
            table = Table.from_list(instance.domain, [instance])
            _last.embedded = last = weakref.ref(instance), self, self(table)
        return last[2]

    def _embed(self, sources, callback):
        embedder = Embedder(self._extractor(), precision=self.precision)
        embedded = embedder(sources, callback)
        if embedded.failures:
            source, reason = next(iter(embedded.failures.items()))
            warnings.warn(
                f"Pictures that could not be embedded: {len(embedded.failures)}, "
                f"the first: {source}: {reason}",
                RuntimeWarning,
                stacklevel=2,
            )
        return embedded

    def _extractor(self) -> Extractor:
        extractor = Extractor.choose(
            self.model, self.layer, self.fit, self.preprocessing
        )
        network = extractor.network
        if network.weights.fingerprint != self.weights:
            raise ModelError(
                f"{network.name} has changed: it is not the network with which "
                "these columns were made"
            )
        if not network.available():
            # Not downloaded unasked.
            raise ModelError(
                f"The network {network.name} is not on this computer. Choose it in "
                "the widget Image Embedding, or run: python -m "
                f"orangecontrib.imageanalytics download {network.id}"
            )
        return extractor


class EmbeddingFeature(SharedComputeValue):
    """One number of the vectors.

    Parameters
    ----------
    compute_shared : EmbedPictures
    index : int
        Which one.
    """

    def __init__(self, compute_shared: EmbedPictures, index: int):
        super().__init__(compute_shared)
        self.index = index

    def compute(self, data, shared_data):
        """Its values for the rows of a table, nan where there is no vector.

        Parameters
        ----------
        data : Table or Instance
        shared_data : Embedded or None

        Returns
        -------
        numpy.ndarray or float
            Shape (n rows,).
        """
        if isinstance(data, Instance):
            return np.nan if shared_data is None else shared_data.feature(self.index)[0]
        if shared_data is None:
            return np.full(len(data), np.nan)
        return shared_data.feature(self.index)

    def __eq__(self, other):
        return super().__eq__(other) and self.index == other.index

    def __hash__(self):
        return hash((super().__hash__(), self.index))


def split_by_vectors(
    data: Table,
    vectors: Sequence[np.ndarray | None],
    compute: EmbedPictures | None = None,
    names: Sequence[str] = (),
) -> tuple[Table | None, Table | None]:
    """The rows that have vectors, with these, and the others.

    Parameters
    ----------
    data : Table
    vectors : list of (numpy.ndarray or None)
        A vector, shape (n_features,), for each row, or None.
    compute, names
        As for `append_vectors`.

    Returns
    -------
    embedded, skipped : Table or None
        None where there are no such rows.
    """
    has_vector = np.array([vector is not None for vector in vectors], bool)
    skipped = embedded = None
    if not has_vector.all():
        skipped = data[~has_vector]
        skipped.name = "Skipped images"
    if has_vector.any():
        rows = data if skipped is None else data[has_vector]
        matrix = np.stack([vector for vector in vectors if vector is not None])
        embedded = append_vectors(rows, matrix, compute, names)
        embedded.name = "Embedded images"
    return embedded, skipped


def append_vectors(
    data: Table,
    vectors: np.ndarray,
    compute: EmbedPictures | None = None,
    names: Sequence[str] = (),
) -> Table:
    """A table with vectors as further attributes.

    Parameters
    ----------
    data : Table
    vectors : numpy.ndarray
        Shape (n rows, n_features).
    compute : EmbedPictures, optional
        How the vectors of other tables are computed; by default they are not.
    names : sequence of str, optional
        Of the attributes. Unless there are as many as features, these are called
        ``n0`` ... and are hidden from lists of attributes.

    Returns
    -------
    Table
        Of the same class.
    """
    hidden = len(names) != vectors.shape[1]
    names = _column_names(data.domain, vectors.shape[1], names)
    # First as plain columns: those with a way to compute them would be computed.
    table = data.transform(_extended(data.domain, map(ContinuousVariable, names)))
    n_old = len(data.domain.attributes)
    if sparse.issparse(table.X):
        with table.unlocked_reference():
            table.X = sparse.hstack((table.X[:, :n_old], vectors), "csr")
    else:
        with table.unlocked(table.X):
            table.X[:, n_old:] = vectors
    table.domain = _extended(data.domain, _variables(names, compute, hidden))
    return table


def _column_names(domain, n_features, names) -> list[str]:
    if len(names) == n_features:
        # Classes may share a name: ImageNet's crane is a bird and a machine.
        names = get_unique_names_duplicates(list(names))
        return get_unique_names(domain, names, equal_numbers=False)
    return get_unique_names(domain, [f"n{index}" for index in range(n_features)])


def _variables(names, compute, hidden):
    for index, name in enumerate(names):
        feature = None if compute is None else EmbeddingFeature(compute, index)
        variable = ContinuousVariable(name, compute_value=feature)
        if hidden:
            # Keeps them out of the long lists in which attributes are chosen.
            variable.attributes["hidden"] = True
        yield variable


def _extended(domain: Domain, variables) -> Domain:
    return Domain((*domain.attributes, *variables), domain.class_vars, domain.metas)
