"""How well examples find images of the same kind, and how long a query takes.

    python benchmarks/find.py FOLDER [FOLDER ...] [--models ID[:LAYER] ...]
        [--examples N ...] [--count N] [--features N]

Each FOLDER has a subfolder for each class. Shown is, for each network, the precision at
10: the share of the 10 best images, without the examples, that are of the class of the
examples. Each image is an example once, together with others of its class. `nearest`
scores images by the most similar example instead of all examples. The rest is the time
of a query for many images, whose vectors are drawn, and its ratio to that of a query
that does not keep the vectors of unit length.
"""

import argparse
import os
import statistics
import sys
import time

import numpy as np

from orangecontrib.imageanalytics.engine.unit_length import normalise, normalised
from orangecontrib.imageanalytics.find_images import (
    LazyEmbedder,
    Query,
    best_first,
    choose_spec,
)
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.registry import find_network

MODELS = (
    "efficientnet-lite0",
    "efficientnet-lite2",
    "squeezenet",
    "squeezenet:penultimate",
)
N_BEST = 10
ROUNDS = 7
COLUMNS = "{:34s} {:>8s} {:>9s} {:>9s}"


def vectors_of(table, name):
    """Vectors of unit length from ID[:LAYER]; names of networks may have colons."""
    model, layer = name, None
    try:
        find_network(model)
    except ValueError:
        model, _, layer = name.rpartition(":")
    failures = {}
    with LazyEmbedder(choose_spec(model=model, layer=layer)) as embedder:
        found = embedder.table(table, failures=failures)
    if failures:
        sys.exit(f"Images that could not be embedded: {failures}")
    return found.vectors[found.rows]


def precisions(vectors, classes, n_examples):
    """Precision at 10 by the mean of the examples and by the nearest, and random."""
    random = np.random.default_rng(0)
    all_found = []
    for row, label in enumerate(classes):
        others = np.setdiff1d(np.flatnonzero(classes == label), [row])
        n_others = min(n_examples - 1, len(others))
        rows = [row, *random.choice(others, n_others, replace=False)]
        examples = vectors[rows]
        drawn = random.random(len(vectors))
        found = []
        for scores in (
            Query(examples=examples).scores(vectors),
            (vectors @ examples.T).max(axis=1),
            drawn,
        ):
            scores[rows] = np.nan
            found.append((classes[best_first(scores, N_BEST)] == label).mean())
        all_found.append(found)
    return np.mean(all_found, axis=0)


def report(folder, models, numbers):
    """Print the table of one folder."""
    table, _ = ImportImages()(folder)
    if table is None or table.domain.class_var is None:
        sys.exit(f"{folder} has no subfolders with images")
    n_classes = len(table.domain.class_var.values)
    print(f"\n{os.path.basename(folder)}: {len(table)} images of {n_classes} classes")
    print(COLUMNS.format("network", "examples", "precision", "nearest"))
    for n_examples in numbers:
        for model in models:
            all_examples, nearest, drawn = precisions(
                vectors_of(table, model), table.Y, n_examples
            )
            row = (model, str(n_examples), f"{all_examples:.3f}", f"{nearest:.3f}")
            print(COLUMNS.format(*row))
        print(COLUMNS.format("random", str(n_examples), f"{drawn:.3f}", ""))


def median(function):
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def time_queries(count, n_features):
    """Print how long a query takes."""
    vectors = np.random.default_rng(0).random((count, n_features), dtype=np.float32)
    normalise(vectors)
    query = Query(examples=vectors[:3])
    once = median(lambda: best_first(query.scores(vectors), 100))
    anew = median(lambda: best_first(query.scores(normalised(vectors)), 100))
    print(
        f"\nquery of {count} x {n_features} vectors: {1000 * once:.0f} ms, "
        f"{once / anew:.2f} of one that scales them each time"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="ID[:LAYER]")
    parser.add_argument("--examples", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--count", type=int, default=100_000, help="of drawn vectors")
    parser.add_argument("--features", type=int, default=1280, help="of drawn vectors")
    arguments = parser.parse_args()
    for folder in map(os.path.abspath, arguments.folders):
        report(folder, arguments.models, arguments.examples)
    time_queries(arguments.count, arguments.features)


if __name__ == "__main__":
    main()
