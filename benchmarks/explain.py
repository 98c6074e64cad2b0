"""Whether explanations point at the place that decides, where that place is known.

    python benchmarks/explain.py FOLDER [--backgrounds FOLDER] [--images 200]
        [--methods activation occlusion] [--part 0.4] [--deletion 20] [--classes]

FOLDER has a subfolder for each class. Its photos are pasted at random places on other
ones: textures of scikit-image, or the photos of another folder. One half of both is
for training: Logistic Regression on the vectors of the default network learns from
composed images and from the empty backgrounds whether there is a thing; with --classes,
which class it has, which is much more difficult. Images composed of the other half are
explained.

Shown are the share of these images that the model puts into the right class; then, for
each method, the share of all images in which the peak of the heat map for their class
is inside the thing, with its standard error, and what a random place would reach; the
share of the heat that is inside; seconds for an image; and the mean probability of the
class while the hottest parts are replaced one after the other, and while random parts
are (the lower, the better the map).
"""

import argparse
import os
import sys
import tempfile
import time
import warnings

import numpy as np
from Orange.classification import LogisticRegressionLearner
from Orange.data import DiscreteVariable, Domain, StringVariable, Table
from PIL import Image, ImageFilter

from orangecontrib.imageanalytics.explain import explain_images
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.import_images import ImportImages

SEED = 0
SIDE = 448  # pixels of a composed image
THING = "thing"
NOTHING = "background"  # name of the class of empty ones
TRAINING = 300  # images
N_TEXTURES = 24  # of each kind
CELLS, STEPS = 14, 14  # in which images are taken apart, and in how many steps
COLUMNS = "{:12s} {:>17s} {:>8s} {:>12s} {:>9s} {:>20s}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="things: a subfolder for each class")
    parser.add_argument("--backgrounds", help="folder of photos of other things")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--part", type=float, default=0.4, help="of the side: a thing")
    parser.add_argument("--deletion", type=int, default=20, help="images taken apart")
    parser.add_argument("--classes", action="store_true", help="tell things apart")
    methods = "activation", "occlusion"
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of Orange and scikit-learn
    random = np.random.default_rng(SEED)
    things, classes = read_things(options.folder)
    if not options.classes:
        things, classes = [(path, THING) for path, _ in things], [THING]
    with tempfile.TemporaryDirectory() as folder:
        if options.backgrounds:
            photos = sorted(read_files(options.backgrounds))
        else:
            photos = make_textures(random, folder)
        random.shuffle(things)
        random.shuffle(photos)
        known, unknown = (
            compose(things[half::2], photos[half::2], count, options.part, random, path)
            for half, count in ((0, TRAINING), (1, options.images))
            if (path := tempfile.mkdtemp(dir=folder))
        )
        labelled = [(path, name) for path, name, _ in known]
        empty = [(photo, NOTHING) for photo in photos[::2]]
        model = train(labelled + empty, [*classes, NOTHING])
        print(f"Images in the right class: {accuracy(model, unknown):.0%}")
        print(
            COLUMNS.format(
                *["method", "peak", "chance", "inside", "seconds", "deleted"]
            )
        )
        for method in options.methods:
            sys.stdout.flush()
            show(method, model, unknown, options.deletion, random)


def make_textures(random, folder):
    """Parts of photos of brick, grass and gravel, in different colors."""
    from skimage import data

    paths = []
    for name in ("brick", "grass", "gravel"):
        texture = getattr(data, name)()
        for number in range(N_TEXTURES):
            side = int(random.integers(180, 500))
            top, left = random.integers(0, len(texture) - side + 1, 2)
            part = texture[top : top + side, left : left + side, None]
            pixels = np.clip(part * random.uniform(0.6, 1.1, 3), 0, 255)
            paths.append(os.path.join(folder, f"{name} {number}.png"))
            Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return paths


def read_files(folder):
    """Paths of images."""
    table, _ = ImportImages()(folder)
    return column_sources(table, "image")


def read_things(folder):
    """Paths with classes, and the names of the classes."""
    table, _ = ImportImages()(folder)
    names = table.domain.class_var.values
    things = zip(column_sources(table, "image"), table.Y.astype(int), strict=True)
    return [(path, names[index]) for path, index in things], list(names)


def table_of(labelled, classes):
    """A table of paths with classes."""
    image = StringVariable("image")
    image.attributes["type"] = "image"
    paths, names = zip(*labelled, strict=True)
    return Table.from_numpy(
        Domain([], DiscreteVariable("class", classes), [image]),
        np.empty((len(paths), 0)),
        np.array([classes.index(name) for name in names], float),
        np.array(paths, object)[:, None],
    )


def train(labelled, classes):
    """A model for images."""
    with ImageEmbedder() as embedder:
        embedded, _, _ = embedder(table_of(labelled, classes))
    return LogisticRegressionLearner()(embedded)


def accuracy(model, composed):
    """The share of images that a model puts into the right class."""
    classes = list(model.domain.class_var.values)
    table = table_of([(path, name) for path, name, _ in composed], classes)
    return float(np.mean(model(table) == table.Y))


def compose(things, photos, count, part, random, folder):
    """Paste things on photos.

    Returns
    -------
    list of (str, str, (int, int, int, int))
        Path, class and place: left, top, right, bottom in pixels.
    """
    composed = []
    for number in range(count):
        path, name = things[number % len(things)]
        image = square(photos[number % len(photos)], SIDE)
        thing = fitted(path, round(part * SIDE))
        left = int(random.integers(SIDE - thing.width + 1))
        top = int(random.integers(SIDE - thing.height + 1))
        image.paste(thing, (left, top))
        target = os.path.join(folder, f"{number}.png")
        image.save(target)
        place = left, top, left + thing.width, top + thing.height
        composed.append((target, name, place))
    return composed


def square(path, side):
    """The middle of a photo."""
    image = Image.open(path).convert("RGB")
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.resize((side, side), box=(left, top, left + edge, top + edge))


def fitted(path, longest):
    """A photo that is at most so long."""
    image = Image.open(path).convert("RGB")
    scale = longest / max(image.size)
    return image.resize(tuple(max(1, round(scale * edge)) for edge in image.size))


def show(method, model, composed, n_deletion, random):
    """Print the line of a method."""
    hits, chances, insides, seconds, kept = [], [], [], [], []
    classes = list(model.domain.class_var.values)
    # The classes differ, and one call explains one.
    for name in sorted({name for _, name, _ in composed}):
        chosen = [item for item in composed if item[1] == name]
        table = table_of([(path, name) for path, name, _ in chosen], classes)
        start = time.perf_counter()
        explained = explain_images(table, model, name, method)
        seconds.append(time.perf_counter() - start)
        for row, (path, _, place) in enumerate(chosen):
            heat_map = explained.explanations[row].heat_map
            hit, chance, inside = measure(heat_map, place)
            hits.append(hit)
            chances.append(chance)
            insides.append(inside)
            kept.append((path, name, heat_map))
    share = np.mean(hits)
    error = np.sqrt(share * (1 - share) / len(hits))
    step = max(1, len(kept) // max(1, n_deletion))
    ours, others = delete(kept[::step][:n_deletion], model, random)
    print(
        COLUMNS.format(
            method,
            f"{100 * share:.1f} ± {100 * error:.1f} %",
            f"{100 * np.mean(chances):.0f} %",
            f"{100 * np.nanmean(insides):.0f} %",
            f"{sum(seconds) / len(hits):.2f}",
            f"{ours:.3f} : {others:.3f}",
        )
    )


def measure(heat_map, place):
    """Whether the peak is in a place, its part of the image, and that of the heat."""
    left, top, right, bottom = place
    x, y = (SIDE * part for part in heat_map.peak())
    heat = heat_map.heat(SIDE, SIDE)
    inside = heat[top:bottom, left:right].sum() / max(heat.sum(), 1e-30)
    hit = left <= x < right and top <= y < bottom
    return hit, (right - left) * (bottom - top) / SIDE**2, inside


def delete(explained, model, random):
    """Mean probabilities while parts of images are replaced by a blur.

    Returns
    -------
    float
        Hottest parts first.
    float
        In a random order.
    """
    if not explained:
        return np.nan, np.nan
    classes = list(model.domain.class_var.values)
    means = []
    for hottest in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, (path, name, heat_map) in enumerate(explained):
                order = random.permutation(CELLS**2)
                if hottest:
                    heat = heat_map.on_image(CELLS, CELLS).ravel()
                    order = np.argsort(-heat, kind="stable")
                for step, image in enumerate(without_parts(path, order)):
                    target = os.path.join(folder, f"{number} {step}.png")
                    image.save(target, compress_level=1)
                    paths.append((target, name))
            table = table_of(paths, classes)
            probabilities = model(table, model.Probs)
            means.append(probabilities[np.arange(len(table)), table.Y.astype(int)])
    return tuple(float(np.mean(values)) for values in means)


def without_parts(path, order):
    """An image while more and more of its parts are replaced."""
    image = Image.open(path).resize((SIDE // 2, SIDE // 2))
    pixels = np.array(image)
    blurred = np.array(image.filter(ImageFilter.GaussianBlur(SIDE / 20)))
    edge = SIDE // 2 // CELLS
    for part in np.array_split(order, STEPS):
        for cell in part:
            y, x = edge * (cell // CELLS), edge * (cell % CELLS)
            pixels[y : y + edge, x : x + edge] = blurred[y : y + edge, x : x + edge]
        yield Image.fromarray(pixels)


if __name__ == "__main__":
    main()
