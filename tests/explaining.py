"""Images and models for the tests of explanations."""

import numpy as np
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)
from PIL import Image

from orangecontrib.imageanalytics.embedding_columns import EmbedImages, append_vectors
from orangecontrib.imageanalytics.engine.runner import Runner
from orangecontrib.imageanalytics.networks.network import MAP_OF
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

SIDE = 7
SIZE = 224  # of the default network
SPEC = EmbeddingSpec.choose("efficientnet-lite0", fit="stretch")
#: Left and top of what is pasted, in an image of 200 x 100 pixels, and its sides.
PLACES = ((20, 60), (150, 10), (100, 40))
THING = (40, 30)


class ColourRunner(Runner):
    """A network whose features are the colours and their squares, averaged."""

    precision = "float32"
    device_name = "stand-in"

    def __init__(self, spec, *_):
        super().__init__(spec, 4, False)
        self.n_calls = 0

    def load(self, callback=None):
        if callback is not None:
            callback(0)

    def __call__(self, squares, cancelled):
        self.n_calls += 1
        numbers = squares / 255.0
        features = np.concatenate([numbers, numbers**2], axis=3)
        cell = SIZE // SIDE
        n, size = len(squares), len(squares[0])
        if self.spec.layer.startswith(MAP_OF):
            cells = features.reshape(n, size // cell, cell, size // cell, cell, 6)
            positions = cells.mean((2, 4)).reshape(n, -1)
            features = np.concatenate([np.full((n, 1), SIDE), positions], axis=1)
        else:
            features = features.mean((1, 2))
        return features.astype(np.float32), self.precision


def composed(folder, colour=(255, 0, 0), places=PLACES):
    """Paths of blue images, each with something of a colour at a place."""
    paths = []
    for number, place in enumerate(places):
        image = Image.new("RGB", (200, 100), (0, 0, 120))
        image.paste(Image.new("RGB", THING, colour), place)
        paths.append(str(folder / f"{number}.png"))
        image.save(paths[-1])
    return paths


def is_inside(peak, place):
    """Whether a peak is where something was pasted."""
    x, y = peak[0] * 200, peak[1] * 100
    left, top = place
    return left <= x <= left + THING[0] and top <= y <= top + THING[1]


def images_table(paths, attributes=(), X=None):
    variable = StringVariable("image")
    variable.attributes["type"] = "image"
    X = np.empty((len(paths), 0)) if X is None else X
    metas = np.array(paths, object).reshape(-1, 1)
    return Table.from_numpy(Domain(attributes, None, [variable]), X, metas=metas)


def training_data(is_class=True, spec=SPEC, n_classes=2):
    """Vectors as those of `ColourRunner`; the first feature decides."""
    random = np.random.default_rng(0)
    n_rows = 60
    X = random.random((n_rows, 3))
    X = np.concatenate([X, X**2], axis=1).astype(np.float32)
    y = X[:, 0]
    target = ContinuousVariable("redness")
    if is_class:
        y = np.minimum(np.floor(X[:, 0] * n_classes), n_classes - 1)
        names = ["blue", "red", "very red"][:n_classes]
        target = DiscreteVariable("colour", names)
    table = images_table([f"{row}.png" for row in range(n_rows)])
    embedded = append_vectors(table, X, EmbedImages.of(spec, "image"))
    domain = embedded.domain
    return Table.from_numpy(
        Domain(domain.attributes, target, domain.metas),
        embedded.X,
        y,
        embedded.metas,
    )
