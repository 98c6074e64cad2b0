"""Tables of images to save, and what was saved."""

import os

import numpy as np
from Orange.data import DiscreteVariable, Domain, StringVariable, Table
from PIL import Image


def table(paths, classes=None, **columns):
    """Images, of classes if told, and other metas by their names."""
    class_var, Y = None, None
    if classes is not None:
        values = sorted({value for value in classes if value is not None})
        class_var = DiscreteVariable("kind", values=values)
        Y = [np.nan if c is None else values.index(c) for c in classes]
    metas = [StringVariable("image"), *map(StringVariable, columns)]
    metas[0].attributes["type"] = "image"
    domain = Domain([], class_var, metas)
    values = np.array([paths, *columns.values()], dtype=object).T
    return Table.from_numpy(domain, np.empty((len(paths), 0)), Y, values)


def tree(folder):
    """Paths of all files within, hidden ones too."""
    return sorted(
        os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/")
        for where, _, names in os.walk(folder)
        for name in names
    )


def read(path):
    """The content of a file."""
    with open(path, "rb") as file:
        return file.read()


class Enough(Exception):
    """What a callback raises to stop."""


def fill(folder):
    """Make a folder with files that are in the way, or nearly."""
    os.makedirs(folder)
    for name in ("photo 0.png", "photo 0 (2).png", "other.txt"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(name.encode())


#: The smallest PNG, in base 64
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


def pixels_of(path):
    """Of a file, which has to be in RGB; shape (height, width, 3)."""
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)
