"""Classes that another table knows already."""

import numpy as np
from AnyQt.QtGui import QColor
from Orange.data import DiscreteVariable, Domain, Table

from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.labels import LabelClass
from orangecontrib.imageanalytics.labels.colors import next_color
from orangecontrib.imageanalytics.widgets.labelling.label_store import (
    KnownLabels,
    labels_from,
)
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    likely_image_columns,
)


def known_labels(data: Table | None) -> tuple[KnownLabels, str]:
    """
    The labels in a table.

    Parameters
    ----------
    data : Table or None
        With a column of images, and a categorical target; without one, a categorical
        column called ``class``.

    Returns
    -------
    KnownLabels
        Empty if there are none. Of a table with the column ``by``, as in the output
        All, only classes by a person.
    str
        Why there are none; empty if there are, or if there is no table.
    """
    if data is None:
        return KnownLabels(), ""
    columns = likely_image_columns(data)
    variable = _class_variable(data)
    if not columns:
        return KnownLabels(), "it has no column with images."
    if variable is None:
        return KnownLabels(), "it has no categorical target."
    values = data.get_column(variable)
    by_person = _by_person(data)
    texts = [" ".join(value.split()) for value in variable.values]
    names = [
        "" if np.isnan(value) or not given else texts[int(value)]
        for value, given in zip(values, by_person, strict=True)
    ]
    known = labels_from(_classes(variable), names, column_sources(data, columns[0]))
    return known, "" if known.images else "no image in it has a class."


def _class_variable(data: Table) -> DiscreteVariable | None:
    domain = data.domain
    if domain.class_var is not None:
        return domain.class_var if domain.class_var.is_discrete else None
    return _categorical(domain, "class")


def _categorical(domain: Domain, name: str) -> DiscreteVariable | None:
    if name not in domain:
        return None
    variable = domain[name]
    return variable if isinstance(variable, DiscreteVariable) else None


def _by_person(data: Table) -> np.ndarray:
    by = _categorical(data.domain, "by")
    if by is None or "person" not in by.values:
        return np.ones(len(data), dtype=bool)
    return data.get_column(by) == by.values.index("person")


def _classes(variable: DiscreteVariable) -> list[LabelClass]:
    """With the colors of the variable, if it has been given some."""
    chosen = variable.attributes.get("colors")
    chosen = chosen if isinstance(chosen, dict) else {}
    classes: list[LabelClass] = []
    for value in variable.values:
        name, color = " ".join(value.split()), QColor(str(chosen.get(value, "")))
        free = next_color(given.color for given in classes)
        if name and name not in {given.name for given in classes}:
            color = color.name() if color.isValid() else free
            classes.append(LabelClass(name, color))
    return classes
