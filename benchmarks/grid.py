"""How well neighbours on the grid agree with nearest neighbours, and how long it takes.

    python benchmarks/grid.py FOLDER [--model MODEL] [--count N ...] [--large N]

Shown is, for each layout, the mean share of the 8 nearest images on the grid that
are among the 8 nearest by the cosine of the vectors. With --large, a grid of that
many mixtures of the vectors is timed, too.
"""

import argparse
import os
import time

import numpy as np
from Orange.data import Table

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.image_grid import LAYOUTS, ImageGrid
from orangecontrib.imageanalytics.import_images import scan
from orangecontrib.imageanalytics.networks.registry import DEFAULT

N_NEAREST = 8


def nearest(distances):
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :N_NEAREST]


def agreement(vectors, grid_indices, size_x):
    """Mean share of the nearest on the grid that are nearest by cosine."""
    cells = np.flatnonzero(grid_indices >= 0)
    vectors = vectors[grid_indices[cells]]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    x, y = cells % size_x, cells // size_x
    on_grid = nearest((x[:, None] - x) ** 2.0 + (y[:, None] - y) ** 2.0)
    by_cosine = nearest(-vectors @ vectors.T)
    common = [
        len(np.intersect1d(*pair)) for pair in zip(on_grid, by_cosine, strict=True)
    ]
    return np.mean(common) / N_NEAREST


def measure(vectors, layout):
    start = time.perf_counter()
    grid = ImageGrid(Table.from_numpy(None, vectors), layout)
    grid.process()
    seconds = time.perf_counter() - start
    share = agreement(vectors, grid.grid_indices, grid.size_x)
    size = f"{grid.size_x} x {grid.size_y}"
    print(f"{len(vectors):6d} {layout:6s} {size:>9s} {share:6.3f} {seconds:7.1f} s")


def mixtures(vectors, count):
    random = np.random.default_rng(0)
    first, second = random.integers(len(vectors), size=(2, count))
    part = random.random((count, 1)) / 3
    return (1 - part) * vectors[first] + part * vectors[second]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="with photos")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--count", type=int, nargs="*", default=[], help="of photos")
    parser.add_argument("--large", type=int, help="time a grid of this many images")
    arguments = parser.parse_args()
    paths = list(scan(os.path.abspath(arguments.folder)))
    with ImageEmbedder(arguments.model) as embedder:
        vectors = np.array([v for v in embedder(paths) if v is not None])
    vectors = np.random.default_rng(0).permutation(vectors)
    for count in arguments.count or [len(vectors)]:
        for layout in LAYOUTS:
            measure(vectors[:count], layout)
    if arguments.large:
        measure(mixtures(vectors, arguments.large), "t-sne")


if __name__ == "__main__":
    main()
