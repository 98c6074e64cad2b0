"""Measure which twins are found among photos and altered copies of them.

python benchmarks/twins.py FOLDER ...

Each photo is copied resized, recompressed, cropped, brighter and mirrored. Recall is
the share of these copies that are found to be twins of their photo; precision is the
share of pairs found that are of the same photo, among all photos and copies of a
folder. For each method, the table shows several thresholds. --speed 20000 measures the
time without reading, with random vectors and hashes.
"""

import argparse
import os
import tempfile
import time

import numpy as np
from Orange.data import ContinuousVariable, Domain, Table
from PIL import Image, ImageEnhance, ImageOps

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.twins import TwinFinder
from orangecontrib.imageanalytics.twins.fingerprints import (
    HASH_BITS,
    Fingerprint,
    Fingerprints,
)

CROPPED = 0.05  # of width and height
BRIGHTER = 1.3
ALTERED = ("resized", "recompressed", "cropped", "brighter", "mirrored")
MODELS = ("efficientnet-lite0", "squeezenet")
THRESHOLDS = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5)
COLUMNS = "{:9} {:19} {:>9} {:>9} " + " ".join(f"{{:>{len(k) + 1}}}" for k in ALTERED)


def alterations(image):
    """Altered copies and the quality with which to save them."""
    width, height = image.size
    half = max(1, width // 2), max(1, height // 2)
    box = 0, 0, width - round(CROPPED * width), height - round(CROPPED * height)
    yield image.resize(half, Image.Resampling.LANCZOS), 90
    yield image, 30
    yield image.crop(box), 90
    yield ImageEnhance.Brightness(image).enhance(BRIGHTER), 90
    yield ImageOps.mirror(image), 90


def make_copies(folder, target, limit):
    """Write photos and their copies as JPEGs; return how many photos there are."""
    table, _ = ImportImages(category="none")(folder)
    for number, path in enumerate(table.get_column("image")[:limit]):
        with Image.open(os.path.join(folder, path)) as photo:
            image = ImageOps.exif_transpose(photo).convert("RGB")
        image.save(os.path.join(target, f"{number:05d} original.jpg"), quality=95)
        for name, (copy, quality) in zip(ALTERED, alterations(image), strict=True):
            path = os.path.join(target, f"{number:05d} {name}.jpg")
            copy.save(path, quality=quality)
    return min(len(table), limit or len(table))


def report(finder, label):
    """Print a line for each threshold."""
    names = [name.partition(" ") for name in finder.table.get_column("image name")]
    photos = np.array([int(number) for number, _, _ in names])
    kinds = np.array([kind for _, _, kind in names])
    for threshold in THRESHOLDS if finder.method != "content" else (0.0,):
        twins = finder.find(threshold)
        groups = twins.groups
        n_pairs = n_right = 0
        for rows in twins.members():
            _, counts = np.unique(photos[rows], return_counts=True)
            n_pairs += pairs(counts.sum())
            n_right += pairs(counts).sum()
        original = np.zeros(photos.max() + 1, dtype=int)
        original[photos[kinds == "original"]] = groups[kinds == "original"]
        found = (groups > 0) & (groups == original[photos])
        print(
            COLUMNS.format(
                finder.method,
                label,
                f"{threshold:g}",
                f"{n_right / n_pairs:.3f}" if n_pairs else "-",
                *(f"{found[kinds == kind].mean():.2f}" for kind in ALTERED),
            )
        )


def pairs(count):
    return count * (count - 1) // 2


def measure(folder, arguments):
    """Print the table of a folder."""
    with tempfile.TemporaryDirectory() as target:
        n_photos = make_copies(folder, target, arguments.limit)
        table, _ = ImportImages(category="none")(target)
        print(f"\n{os.path.basename(folder)}: {n_photos} photos, {len(table)} images")
        print(COLUMNS.format("method", "", "threshold", "precision", *ALTERED))
        report(TwinFinder(table, "content"), "")
        report(TwinFinder(table, "hash"), "")
        for model in arguments.models:
            with ImageEmbedder(model, cache=False) as embedder:
                embedded, *_ = embedder(table)
            report(TwinFinder(embedded, "vectors"), model)
            report(TwinFinder(embedded, "both"), model)


def measure_speed(count, n_features=1280):
    """Print how long it takes to compare images whose hashes or vectors are known."""
    random = np.random.default_rng(0)
    # As of images: a few directions explain most of the differences between vectors.
    basis = random.normal(size=(200, n_features)) / np.arange(1, 201)[:, None]
    X = random.normal(size=(count, 200)) @ basis + 0.1
    X[::10] = X[1::10] + random.normal(scale=0.01, size=X[::10].shape)
    domain = Domain([ContinuousVariable(f"n{i}") for i in range(n_features)])
    table = Table.from_numpy(domain, X)
    bits = random.integers(0, 256, (2, count, HASH_BITS // 8), dtype=np.uint8)
    bits[0, ::10] = bits[0, 1::10]
    bits[0, ::10, 0] ^= 1
    prints = [
        Fingerprint(str(row).encode(), (1, 1), 1, one.tobytes(), other.tobytes())
        for row, (one, other) in enumerate(zip(*bits, strict=True))
    ]
    for method in ("vectors", "hash", "both"):
        # Images are not read: what would be read of them is given.
        finder = TwinFinder(table, "vectors")
        if method != "vectors":
            finder._fingerprints = Fingerprints(prints)
        if method == "hash":
            finder._attributes = []
        start = time.perf_counter()
        twins = finder.find()
        seconds = time.perf_counter() - start
        print(f"{method}: {count:,} images, {twins.n_groups:,} groups, {seconds:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    parser.add_argument("--models", nargs="*", default=MODELS, metavar="ID")
    parser.add_argument("--limit", type=int, help="photos of each folder")
    parser.add_argument("--speed", type=int, metavar="N", help="time for N images")
    arguments = parser.parse_args()
    for folder in map(os.path.abspath, arguments.folders):
        measure(folder, arguments)
    if arguments.speed:
        measure_speed(arguments.speed)


if __name__ == "__main__":
    main()
