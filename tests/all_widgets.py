"""The widgets of the package, and data for them."""

import importlib
import pkgutil

import numpy as np
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)
from Orange.widgets.widget import OWWidget
from scipy import sparse

from orangecontrib.imageanalytics import widgets


def widget_classes():
    """Widgets are found, not listed: a new one is tested as soon as it is there."""
    for module in pkgutil.iter_modules(widgets.__path__, widgets.__name__ + "."):
        if module.name.rpartition(".")[2].startswith("ow"):
            members = vars(importlib.import_module(module.name)).values()
            for member in members:
                own = getattr(member, "__module__", None) == module.name
                if own and isinstance(member, type) and issubclass(member, OWWidget):
                    yield member


def image_column(name="image"):
    variable = StringVariable(name)
    variable.attributes["type"] = "image"
    return variable


def table(values, attributes=(), cls=Table, X=None):
    domain = Domain(attributes, None, [image_column()])
    metas = np.array(values, dtype=object).reshape(-1, 1)
    X = np.empty((len(metas), 0)) if X is None else X
    return cls.from_numpy(domain, X, metas=metas)


class Subclass(Table):
    """As other add-ons have: text, spectra, time series."""


def no_images():
    return table(["some words", "/no/such/file.png", "http://", "\0", "data:,x", "."])


def all_missing():
    return table(["", None, np.nan])


def empty():
    return table([])


def subclass(photos):
    return table(photos, cls=Subclass)


def sparse_data(photos):
    attributes = [ContinuousVariable("a"), ContinuousVariable("b")]
    return table(photos, attributes, X=sparse.csr_matrix(np.eye(len(photos), 2)))


def categorical(photos):
    variable = DiscreteVariable("image", values=[*photos, "nowhere.png"])
    variable.attributes["type"] = "image"
    domain = Domain([], None, [variable])
    metas = np.array([[0], [len(photos)], [np.nan]], dtype=object)
    return Table.from_numpy(domain, np.empty((3, 0)), metas=metas)


def same_names(photos):
    """Columns named as those that widgets add."""
    names = ["n0", "n1", "Selected"]
    attributes = [ContinuousVariable(name) for name in names]
    return table(photos, attributes, X=np.ones((len(photos), 3)))


#: What a user may connect by mistake.
BAD_CASES = {
    "nothing": lambda _: None,
    "empty": lambda _: empty(),
    "empty_iris": lambda _: Table("iris")[:0],
    "iris": lambda _: Table("iris"),
    "zoo": lambda _: Table("zoo"),
    "no_images": lambda _: no_images(),
    "all_missing": lambda _: all_missing(),
    "subclass": subclass,
    "sparse": sparse_data,
    "categorical": categorical,
    "same_names": same_names,
}
# How many of the six images, where there are any, a widget should take.
GOOD = {"subclass": 6, "sparse": 6, "categorical": 1, "same_names": 6}
