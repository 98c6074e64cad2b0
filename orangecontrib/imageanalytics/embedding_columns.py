"""Columns of a table that hold vectors and know how these are computed.

Whatever transforms another table to the domain of these columns, such as a trained
model or Apply Domain, therefore embeds the images of that table.
"""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

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
from orangecontrib.imageanalytics.engine.results import Embedded
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.images.intensity import (
    ATTRIBUTE,
    column_intensity,
    intensity_text,
)
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.networks.spec import (
    EmbeddingSpec,
    NetworkReference,
)
from orangecontrib.imageanalytics.networks.stoppable import POLL, StoppableWork

#: Called with the number of images whenever a transformation embeds some. Returns
#: the callback that receives the fraction done and may raise `Cancelled`. Programs
#: with windows set it to show progress.
watch: Callable[[int], AbstractContextManager[Callable[[float], None]]]
watch = lambda _n_images: contextlib.nullcontext(lambda _fraction: None)  # noqa: E731

# How long the network of a transformation is kept for the next one.
KEPT_SECONDS = 30

#: Names of columns of vectors, also in tables that were read from text files.
NUMBERED = re.compile(r"n\d+")
# Copied at once, so that vectors in another order are not held a second time.
ROWS_AT_ONCE = 500

_last = threading.local()
_substitute = threading.local()


@contextlib.contextmanager
def substituted(find: Callable[[EmbedImages, int], Embedded | None]) -> Iterator[None]:
    """Within it, transformations in this thread take other vectors than usual.

    Parameters
    ----------
    find : callable
        Called with the computation and the number of rows. Returns the vectors of
        these rows, or None to embed the images as usual.
    """
    before = getattr(_substitute, "find", None)
    _substitute.find = find
    try:
        yield
    finally:
        _substitute.find = before


@dataclass(frozen=True)
class EmbedImages:
    """The computation that the columns of one embedding share.

    Pickles hold a few values, never weights. Two objects are equal if they give the
    same image the same vector, even if their network files are in different places.

    Attributes
    ----------
    column : str
        Name of the column with the images, in any part of a table.
    spec : EmbeddingSpec
        Contains a reference to the network. Another version of the package may
        preprocess images for it differently.
    """

    column: str
    spec: EmbeddingSpec

    @classmethod
    def of(cls, spec: EmbeddingSpec, column: str) -> EmbedImages:
        """The computation that a specification gives for a column of images."""
        return cls(column, spec.portable())

    def __setstate__(self, state: dict):
        """Restore a pickle, also one of an earlier version with separate values."""
        if "spec" not in state:
            state = dict(state)
            column = state.pop("column")
            network = NetworkReference(state.pop("model"), state.pop("weights"))
            state = {"column": column, "spec": EmbeddingSpec(network, **state)}
        self.__dict__.update(state)

    def __call__(self, data: Table | Instance):
        """Embed the images of a table, through the cache.

        Returns
        -------
        Embedded or None
            None when the table has no such column, or the column is empty.

        Raises
        ------
        DomainTransformationError
            When images cannot be embedded because the network is not on this
            computer, has changed, or fails.
        """
        if isinstance(data, Instance):
            return self._embed_instance(data)
        find = getattr(_substitute, "find", None)
        if find is not None and (found := find(self, len(data))) is not None:
            return found
        try:
            sources = column_sources(data, self.column)
        except ValueError:  # as Orange does when columns are missing
            return None
        if not any(sources):
            return None
        try:
            with watch(len(sources)) as callback:
                return self._embed(sources, callback)
        except Cancelled as error:
            raise DomainTransformationError("Embedding was cancelled.") from error
        except (ModelError, ValueError, RuntimeError, OSError, MemoryError) as error:
            raise DomainTransformationError(str(error) or "no memory") from error

    def _embed_instance(self, instance):
        # Orange asks each column by itself.
        cell = str(instance[self.column]) if self.column in instance.domain else None
        last = getattr(_last, "embedded", None)
        if last is None or last[0]() is not instance or last[1:3] != (self, cell):
            table = Table.from_list(instance.domain, [instance])
            _last.embedded = last = weakref.ref(instance), self, cell, self(table)
        return last[3]

    def _embed(self, sources, callback):
        with _keeper.lend(self, callback) as embedder:
            embedded = embedder(sources, callback)
        if embedded.failures:
            source, reason = next(iter(embedded.failures.items()))
            warnings.warn(
                f"Images that could not be embedded: {len(embedded.failures)}, "
                f"the first: {source}: {reason}",
                RuntimeWarning,
                stacklevel=2,
            )
        return embedded

    def make_embedder(self) -> Embedder:
        """Make an embedder for these columns; it never downloads a network.

        Raises
        ------
        ModelError, ValueError
            When there is no such network, or its weights have changed.
        """
        return Embedder(self.spec.found(), may_download=False)


class _Preparation(StoppableWork):
    """Makes an embedder, which takes seconds if torch has to be imported.

    Parameters
    ----------
    compute : EmbedImages
    kept : Embedder or None
        The previous embedder for the same computation. It is checked before reuse.
    """

    def __init__(self, compute: EmbedImages, kept: Embedder | None):
        super().__init__()
        self._compute = compute
        self.embedder = kept

    def work(self):
        """As `StoppableWork.work`."""
        embedder = self._compute.make_embedder()
        if self.embedder is None:
            _ = embedder.runner
            self.embedder = embedder


class _Keeper:
    """Keeps the network of the last transformation for a while.

    Orange may ask for the same table several times, in parts, or row by row. Only
    one thread at a time embeds; the others find its vectors in the cache.
    """

    def __init__(self):
        # The GUI thread may call this again while it shows a window.
        self._lock = threading.RLock()
        self._kept = None
        self._timer = None

    @contextlib.contextmanager
    def lend(self, compute: EmbedImages, callback):
        """Lend an embedder; `callback` is called while another thread has it."""
        while not self._lock.acquire(timeout=POLL):
            callback(0)
        try:
            if self._timer is not None:
                self._timer.cancel()
            same = self._kept is not None and self._kept[0] == compute
            made = _Preparation(compute, self._kept[1] if same else None)
            made.wait(lambda _fraction: callback(0))
            if self._kept is not None and self._kept[1] is not made.embedder:
                self._kept[1].close()
            self._kept = compute, made.embedder
            yield made.embedder
        finally:
            self._timer = threading.Timer(KEPT_SECONDS, self._drop)
            self._timer.daemon = True
            self._timer.start()
            self._lock.release()

    def _drop(self):
        # The thread that has the lock restarts the timer.
        if self._lock.acquire(blocking=False):
            if self._kept is not None:
                self._kept[1].close()
            self._kept = None
            self._lock.release()


_keeper = _Keeper()


class EmbeddingFeature(SharedComputeValue):
    """One number of the vectors.

    Parameters
    ----------
    compute_shared : EmbedImages
    index : int
        Index of the number.
    name : str
        Name of the column. Images that cannot be embedded get their value from a
        plain column of this name, which tables read from text files have.
    """

    def __init__(self, compute_shared: EmbedImages, index: int, name: str):
        super().__init__(compute_shared)
        self.index = index
        self.name = name

    def compute(self, data, shared_data):
        """Values for the rows of a table, nan where there is no vector.

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
            value = np.nan
            if shared_data is not None:
                (value,) = shared_data.feature(self.index)
            is_lacking = np.isnan(value) and self._is_plain(data.domain)
            return float(data[self.name] if is_lacking else value)
        values = np.full(len(data), np.nan)
        if shared_data is not None:
            values = shared_data.feature(self.index)
        missing = np.isnan(values)
        if missing.any() and self._is_plain(data.domain):
            values[missing] = data.get_column(self.name)[missing]
        return values

    def _is_plain(self, domain) -> bool:
        if self.name not in domain:
            return False
        variable = domain[self.name]
        return variable.is_continuous and variable.compute_value is None

    def __eq__(self, other):
        return super().__eq__(other) and self.index == other.index

    def __hash__(self):
        return hash((super().__hash__(), self.index))


def split_by_vectors(
    data: Table,
    vectors: np.ndarray,
    rows: np.ndarray,
    compute: EmbedImages | None = None,
    names: Sequence[str] = (),
) -> tuple[Table | None, Table | None]:
    """Split a table into rows with vectors, which are appended, and the others.

    Parameters
    ----------
    data : Table
    vectors : numpy.ndarray
        Shape (n vectors, n_features).
    rows : numpy.ndarray
        int, shape (n rows of `data`,): the row of `vectors`, -1 where there is none.
    compute, names
        As for `append_vectors`.

    Returns
    -------
    embedded, skipped : Table or None
        None if there are no such rows.
    """
    has_vector = rows >= 0
    skipped = embedded = None
    if not has_vector.all():
        skipped = data[~has_vector]
        skipped.name = "Skipped images"
        _mark_intensity(skipped, compute)
    if has_vector.any():
        if skipped is not None:
            data, rows = data[has_vector], rows[has_vector]
        embedded = append_vectors(data, vectors, compute, names, rows)
        embedded.name = "Embedded images"
        _mark_intensity(embedded, compute)
    return embedded, skipped


def _mark_intensity(table: Table, compute: EmbedImages | None) -> None:
    """Make widgets show the images with the intensities that the network has seen."""
    variable = None if compute is None else table.domain[compute.column]
    if variable is None or column_intensity(variable) == compute.spec.intensity:
        return
    marked = variable.copy()
    marked.attributes[ATTRIBUTE] = intensity_text(compute.spec.intensity)
    domain = table.domain
    table.domain = Domain(
        *(
            [marked if other is variable else other for other in variables]
            for variables in (domain.attributes, domain.class_vars, domain.metas)
        )
    )


def append_vectors(
    data: Table,
    vectors: np.ndarray,
    compute: EmbedImages | None = None,
    names: Sequence[str] = (),
    rows: np.ndarray | None = None,
) -> Table:
    """Make a table with vectors as additional attributes.

    Parameters
    ----------
    data : Table
    vectors : numpy.ndarray
        Shape (n vectors, n_features).
    compute : EmbedImages, optional
        How the vectors of other tables are computed; by default they are not.
    names : sequence of str, optional
        Names of the attributes. If their number differs from that of the features,
        the attributes are called ``n0`` ... and are hidden from lists of attributes.
    rows : numpy.ndarray, optional
        int, shape (n rows of `data`,): the row of `vectors`; by default the same.

    Returns
    -------
    Table
        A table of the same class.
    """
    domain = data.domain
    variables = vector_variables(domain, vectors.shape[1], compute, names)
    if rows is None:
        rows = np.arange(len(data))
    if sparse.issparse(data.X):
        # Orange decides by the columns whether the table stays sparse.
        plain = [ContinuousVariable(variable.name) for variable in variables]
        table = data.transform(_extended(domain, plain))
        X = table.X[:, : len(domain.attributes)]
    else:
        # Without its attributes, so that these are copied only once.
        table = data.transform(Domain([], domain.class_vars, domain.metas))
        X = data.X
    with table.unlocked_reference():
        table.X = _beside(X, vectors, rows)
    table.domain = _extended(domain, variables)
    return table


def vector_variables(
    domain: Domain,
    n_features: int,
    compute: EmbedImages | None = None,
    names: Sequence[str] = (),
) -> list[ContinuousVariable]:
    """Make the attributes for vectors.

    Parameters
    ----------
    domain : Domain
        The other columns; names differ from theirs.
    n_features : int
        Length of the vectors.
    compute, names
        As for `append_vectors`.
    """
    hidden = len(names) != n_features
    names = _column_names(domain, n_features, names)
    return list(_variables(names, compute, hidden))


def _beside(X, vectors: np.ndarray, rows: np.ndarray):
    """Attributes with vectors to the right of them."""
    if sparse.issparse(X):
        return sparse.hstack((X, vectors[rows]), "csr")
    # The numbers are float64: Orange's distances and trees refuse others.
    n_old = X.shape[1]
    both = np.empty((len(rows), n_old + vectors.shape[1]))
    both[:, :n_old] = X
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        both[part, n_old:] = vectors[rows[part]]
    return both


def _column_names(domain, n_features, names) -> list[str]:
    if len(names) == n_features:
        # Classes may share a name: ImageNet's crane is a bird and a machine.
        names = get_unique_names_duplicates(list(names))
        return get_unique_names(domain, names, equal_numbers=False)
    return get_unique_names(domain, [f"n{index}" for index in range(n_features)])


def _variables(names, compute, hidden):
    for index, name in enumerate(names):
        feature = None if compute is None else EmbeddingFeature(compute, index, name)
        variable = ContinuousVariable(name, compute_value=feature)
        if hidden:
            # Keeps them out of the long lists in which attributes are chosen.
            variable.attributes["hidden"] = True
        yield variable


def _extended(domain: Domain, variables) -> Domain:
    return Domain((*domain.attributes, *variables), domain.class_vars, domain.metas)
