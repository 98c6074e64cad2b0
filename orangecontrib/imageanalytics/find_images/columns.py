"""Columns of scores and classes, which are computed for the images of any table."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    Instance,
    Table,
    Variable,
)
from Orange.data.table import DomainTransformationError
from Orange.data.util import SharedComputeValue, get_unique_names

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.find_images.classes import WordClasses
from orangecontrib.imageanalytics.find_images.query import Query
from orangecontrib.imageanalytics.find_images.vectors import (
    ImageVectors,
    spread,
)

SCORE, CLASS = "score", "class"

# Columns ask for those of the same vectors one after the other. By the ids of classes
# and vectors, as long as the vectors exist.
_probabilities: dict[tuple[int, int], tuple[WordClasses, np.ndarray]] = {}


class _ImageColumn(SharedComputeValue):
    """Values that are computed from the vectors of images.

    They share `EmbedImages` with the columns of Image Embedding, so Orange embeds the
    images of a table once for all of them. Nothing is downloaded. Images that cannot
    be embedded get missing values.

    Parameters
    ----------
    compute_shared : EmbedImages
    source : Query or WordClasses
        What the images are compared to.
    """

    def __init__(self, compute_shared: EmbedImages, source: Query | WordClasses):
        super().__init__(compute_shared)
        self.source = source

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

        Raises
        ------
        DomainTransformationError
            When the vectors of the network have another length than before.
        """
        is_row = isinstance(data, Instance)
        values = np.full(1 if is_row else len(data), np.nan)
        if shared_data is not None and (shared_data.rows >= 0).any():
            vectors, rows = shared_data.of_unit_length
            try:
                values = spread(rows, self.of_vectors(vectors).astype(float))
            except ValueError as error:
                raise DomainTransformationError(str(error)) from error
        return float(values[0]) if is_row else values

    def of_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """The values for unit vectors; shape (n vectors,)."""
        raise NotImplementedError

    def __eq__(self, other):
        return super().__eq__(other) and self.source == other.source

    def __hash__(self):
        return hash((super().__hash__(), self.source))


class ImageScore(_ImageColumn):
    """The scores of images for a `Query`, the source."""

    InheritEq = True  # to tell Orange that this is meant

    def of_vectors(self, vectors):
        """As `Query.scores`."""
        return self.source.scores(vectors)


class ImageClass(_ImageColumn):
    """The class of images, of `WordClasses`, the source."""

    InheritEq = True

    def of_vectors(self, vectors):
        """As `WordClasses.indices`."""
        return self.source.indices(_probabilities_of(self.source, vectors))


class ClassProbability(_ImageColumn):
    """The probability of a class, of `WordClasses`, the source.

    Parameters
    ----------
    compute_shared, source
        As for `ImageClass`.
    index : int
        Index of the class.
    """

    def __init__(self, compute_shared: EmbedImages, source: WordClasses, index: int):
        super().__init__(compute_shared, source)
        self.index = index

    def of_vectors(self, vectors):
        """A column of `WordClasses.probabilities`."""
        return _probabilities_of(self.source, vectors)[:, self.index]

    def __eq__(self, other):
        return super().__eq__(other) and self.index == other.index

    def __hash__(self):
        return hash((super().__hash__(), self.index))


def _probabilities_of(classes: WordClasses, vectors: np.ndarray) -> np.ndarray:
    """As `WordClasses.probabilities`, computed once for all columns of a table."""
    key = id(classes), id(vectors)
    if key not in _probabilities:
        # With the classes, whose id would else be given to others.
        _probabilities[key] = classes, classes.probabilities(vectors)
        weakref.finalize(vectors, _probabilities.pop, key, None)
    return _probabilities[key][1]


def append_scores(
    table: Table, vectors: ImageVectors, query: Query, name: str = SCORE
) -> Table:
    """Make a table with the scores of its images as an additional meta column.

    Parameters
    ----------
    table : Table
        The one that `vectors` are of.
    vectors : ImageVectors
    query : Query
    name : str
        Name of the column; a number is added if it is taken.

    Returns
    -------
    Table
        With all rows, in their order. The last meta column is that of the scores: nan
        for images without a vector. Other tables that are transformed to its domain
        get their scores computed.
    """
    return with_scores(table, vectors.compute, query, vectors.scores(query), name)


def with_scores(
    table: Table,
    compute: EmbedImages,
    query: Query,
    scores: np.ndarray,
    name: str = SCORE,
) -> Table:
    """As `append_scores`, with scores that are known.

    Parameters
    ----------
    table, query, name
        As for `append_scores`.
    compute : EmbedImages
        How the vectors of the images are computed.
    scores : numpy.ndarray
        Shape (n rows,): those of the images for the query.
    """
    variable = ContinuousVariable(
        get_unique_names(table.domain, name),
        number_of_decimals=4,
        compute_value=ImageScore(_shared(table.domain, compute), query),
    )
    return _with_columns(table, [], [variable], [scores])


def append_classes(
    table: Table, vectors: ImageVectors, classes: WordClasses, name: str = CLASS
) -> Table:
    """Make a table with classes and their probabilities.

    Parameters
    ----------
    table, vectors
        As for `append_scores`.
    classes : WordClasses
    name : str
        Name of the column with the class; a number is added if it is taken.

    Returns
    -------
    Table
        With all rows, in their order. The class becomes the class variable if the
        table has none, otherwise a meta column. The probabilities are meta columns
        named after the classes, such as ``class (cat)``. All of them are computed for
        other tables, too.
    """
    domain = table.domain
    compute = _shared(domain, vectors.compute)
    name = get_unique_names(domain, name)
    chosen = DiscreteVariable(
        name, classes.values, compute_value=ImageClass(compute, classes)
    )
    names = [f"{name} ({value})" for value in classes.names]
    probabilities = [
        ContinuousVariable(
            column,
            number_of_decimals=3,
            compute_value=ClassProbability(compute, classes, index),
        )
        for index, column in enumerate(get_unique_names(domain, names))
    ]
    values = classes.probabilities(vectors.vectors)
    columns = [
        spread(vectors.rows, classes.indices(values).astype(float)),
        *spread(vectors.rows, values).T,
    ]
    if domain.class_vars:
        return _with_columns(table, [], [chosen, *probabilities], columns)
    return _with_columns(table, [chosen], probabilities, columns)


def _shared(domain: Domain, compute: EmbedImages) -> EmbedImages:
    """An equal object that columns have already: Orange calls each object once."""
    for variable in (*domain.variables, *domain.metas):
        other = getattr(variable.compute_value, "compute_shared", None)
        if other == compute:
            return other
    return compute


def _with_columns(
    table: Table,
    class_vars: Sequence[Variable],
    metas: Sequence[Variable],
    columns: Sequence[np.ndarray],
) -> Table:
    """Append class and meta columns whose values are known."""
    new = (*class_vars, *metas)
    # Orange would compute their values otherwise.
    plain = [variable.copy(compute_value=None) for variable in new]
    n_classes = len(class_vars)
    extended = table.transform(
        _extended(table.domain, plain[:n_classes], plain[n_classes:])
    )
    with extended.unlocked(extended.Y, extended.metas):
        for variable, column in zip(plain, columns, strict=True):
            extended.set_column(variable, column)
    extended.domain = _extended(table.domain, class_vars, metas)
    return extended


def _extended(domain: Domain, class_vars, metas) -> Domain:
    return Domain(
        domain.attributes,
        (*domain.class_vars, *class_vars),
        (*domain.metas, *metas),
    )
