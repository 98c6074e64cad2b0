"""Tables with the classes of images."""

from __future__ import annotations

import numpy as np
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table
from Orange.data.util import get_unique_names

from orangecontrib.imageanalytics.labels.csv_files import PERSON, PROPOSED
from orangecontrib.imageanalytics.labels.quick_model import Proposals
from orangecontrib.imageanalytics.labels.session import NO_CLASS, LabelSession
from orangecontrib.imageanalytics.meta_columns import add_metas

#: By whom a class is, as the column ``by`` has it.
BY = (PERSON, PROPOSED)


def labeled_table(
    data: Table, rows: np.ndarray, session: LabelSession, name: str = "class"
) -> Table | None:
    """
    The images that a person has labelled.

    Parameters
    ----------
    data : Table
        A table of images.
    rows : numpy.ndarray of int, shape (images,)
        Its rows with the images of the session.
    session : LabelSession
    name : str
        Name of the column with the class.

    Returns
    -------
    Table or None
        These rows, with the class as target; other targets become metas. None if there
        are none.
    """
    has_class = session.labels != NO_CLASS
    if not has_class.any():
        return None
    name = get_unique_names(data.domain, name, equal_numbers=False)
    variable, values = class_column(session, session.labels[has_class], name)
    return _with_class(data[rows[has_class]], variable, values)


def all_table(
    data: Table,
    rows: np.ndarray,
    session: LabelSession,
    proposals: Proposals,
    name: str = "class",
) -> Table:
    """
    All rows, with the classes that a person has given or the model has proposed.

    Parameters
    ----------
    data, rows, session, name
        As for `labeled_table`.
    proposals : Proposals
        For the images of the session.

    Returns
    -------
    Table
        With the class as target, and two metas: ``by`` is ``person`` or ``proposed``,
        ``certainty`` is from 0 to 1. They are missing where there is no class.
    """
    numbers, by, certainty = shown_classes(session, proposals)
    name = get_unique_names(data.domain, name, equal_numbers=False)
    variable, values = class_column(session, numbers, name)
    whole = [np.full(len(data), np.nan) for _ in range(3)]
    for column, own in zip(whole, (values, by, certainty), strict=True):
        column[rows] = own
    table = _with_class(data, variable, whole[0])
    names = get_unique_names(table.domain, ["by", "certainty"], equal_numbers=False)
    metas = (
        DiscreteVariable(names[0], BY),
        ContinuousVariable(names[1], number_of_decimals=2),
    )
    return add_metas(table, metas, whole[1:])


def shown_classes(
    session: LabelSession, proposals: Proposals
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Classes by a person or else proposed, with whose they are and how certain.

    Parameters
    ----------
    session : LabelSession
    proposals : Proposals

    Returns
    -------
    classes : numpy.ndarray of int, shape (images,)
        Numbers of classes; `NO_CLASS` where there is none.
    by : numpy.ndarray of float, shape (images,)
        0 for a person, 1 for the model, nan where there is no class.
    certainty : numpy.ndarray of float, shape (images,)
        1 for a person; nan where there is no class.
    """
    proposed = proposals.classes
    is_given = session.labels != NO_CLASS
    is_proposed = ~is_given & (proposed != NO_CLASS)
    for removed in set(np.unique(proposed[is_proposed]).tolist()) - set(
        session.classes
    ):
        # The class was removed since the model was trained.
        is_proposed &= proposed != removed
    classes = np.where(is_proposed, proposed, session.labels)
    by = np.where(is_given, 0.0, np.where(is_proposed, 1.0, np.nan))
    certainty = np.where(is_given, 1.0, proposals.certainty)
    certainty[~is_given & ~is_proposed] = np.nan
    return classes, by, certainty


def class_column(
    session: LabelSession, numbers: np.ndarray, name: str
) -> tuple[DiscreteVariable, np.ndarray]:
    """
    A column with classes.

    Parameters
    ----------
    session : LabelSession
    numbers : numpy.ndarray of int, shape (n,)
        Numbers of its classes; `NO_CLASS` where there is none.
    name : str
        Name of the column.

    Returns
    -------
    DiscreteVariable
        With the colors of the classes.
    numpy.ndarray of float, shape (n,)
        Its values, nan where there is no class.
    """
    classes = session.classes
    variable = DiscreteVariable(name, [given.name for given in classes.values()])
    if classes:
        variable.attributes["colors"] = {
            given.name: given.color for given in classes.values()
        }
    places = {number: place for place, number in enumerate(classes)}
    values = [places.get(number, np.nan) for number in numbers.tolist()]
    return variable, np.array(values, dtype=float)


def _with_class(data: Table, variable: DiscreteVariable, values: np.ndarray) -> Table:
    """The table with another target, without a copy of its attributes."""
    domain = data.domain
    metas = (*domain.metas, *domain.class_vars)
    table = data.transform(Domain([], [variable], metas))
    with table.unlocked_reference():
        table.X = data.X
    if len(table):  # Orange does not unlock empty arrays
        with table.unlocked(table.Y):
            table.Y[:] = values
    table.domain = Domain(domain.attributes, [variable], metas)
    return table
