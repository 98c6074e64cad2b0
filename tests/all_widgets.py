"""The widgets of the package, and data for them."""

import importlib
import pkgutil

import numpy as np
from Orange.data import Domain, StringVariable, Table
from Orange.widgets.widget import OWWidget

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
