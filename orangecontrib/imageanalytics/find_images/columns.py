"""Columns of scores and classes, which are computed for the images of any table."""

from __future__ import annotations

from Orange.data import Table

from orangecontrib.imageanalytics.find_images.classes import WordClasses
from orangecontrib.imageanalytics.find_images.query import Query
from orangecontrib.imageanalytics.find_images.vectors import ImageVectors


def append_scores(
    table: Table, vectors: ImageVectors, query: Query, name: str = "score"
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


def append_classes(
    table: Table, vectors: ImageVectors, classes: WordClasses, name: str = "class"
) -> Table:
    """Make a table with classes and their probabilities.

    Parameters
    ----------
    table, vectors
        As for `append_scores`.
    classes : WordClasses
    name : str
        Name of the column with the class.

    Returns
    -------
    Table
        With all rows, in their order. The class becomes the class variable if the
        table has none, otherwise a meta column. The probabilities are meta columns
        named like the classes, ``class (cat)``. All are computed for other tables.
    """
