"""How well images are told apart by their vectors, and how quickly these are made.

    python benchmarks/quality.py FOLDER [FOLDER ...] [--models ID[:LAYER] ...]
        [--fit crop stretch pad] [--limit N] [--folds 5] [--rounds 3]

Each FOLDER has a subfolder for each class. Shown are, for each network, the length
of the vectors; images a second without the cache, the median of rounds in which
all networks take turns, and its ratio to the default network's; and the share of
images that Orange's Logistic Regression and the 5 nearest neighbours (by cosine)
put into the right class in stratified cross-validation, with its standard error.
Last is the time of training one Logistic Regression.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from Orange.classification import KNNLearner, LogisticRegressionLearner
from Orange.evaluation import CA, CrossValidation
from threadpoolctl import threadpool_limits

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.preprocessing import FITS
from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network

MODELS = (
    "efficientnet-lite0",
    "efficientnet-lite2",
    "squeezenet",
    "squeezenet:penultimate",
)
SEED = 0
COLUMNS = "{:34s} {:>8s} {:>10s} {:>6s} {:>15s} {:>15s} {:>9s}"


@dataclass
class Contestant:
    """A network, the layer at which it is read, how it sees images; what came out."""

    model: str
    layer: str | None
    fit: str | None
    speeds: list[float] = field(default_factory=list)
    n_features: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0

    @property
    def name(self):
        return " ".join(filter(None, (self.model, self.layer, self.fit)))

    def embed(self, table):
        """Embed all images, and note how quickly it went."""
        with ImageEmbedder(
            self.model, cache=False, layer=self.layer, fit=self.fit
        ) as embedder:
            embedder.load()
            start = time.perf_counter()
            embedded, _, n_skipped = embedder(table, col="image")
            self.speeds.append(len(table) / (time.perf_counter() - start))
            if n_skipped:
                sys.exit(f"Images that could not be embedded: {embedder.failures}")
            return embedded, embedder.device

    def learn(self, embedded, folds):
        """Note how well models tell the classes apart."""
        self.n_features = len(embedded.domain.attributes)
        learners = [
            LogisticRegressionLearner(max_iter=10_000),  # as in Orange's widget
            KNNLearner(n_neighbors=5, metric="cosine"),
        ]
        validation = CrossValidation(k=folds, stratified=True, random_state=SEED)
        # On a busy machine, threads that wait for each other take ten times as long.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of Orange's arguments
            results = validation(embedded, learners)
        self.scores = dict(zip(("logistic", "nearest"), CA(results), strict=True))
        self.seconds = results.train_time[0] / folds


def choose(name, fit):
    """A contestant from ID[:LAYER]; names of networks may have colons, too."""
    model, layer = name, None
    try:
        find_network(model)
    except ValueError:
        model, _, layer = name.rpartition(":")
        find_network(model)
    return Contestant(model, layer, fit)


def read(folder, limit):
    """The images in a folder; at most `limit`, from all classes alike."""
    table, _ = ImportImages()(folder)
    if table is None or table.domain.class_var is None:
        sys.exit(f"{folder} has no subfolders with images")
    order = np.random.default_rng(SEED).permutation(len(table))
    classes = table.Y[order]
    ranks = np.empty(len(table), int)
    for value in np.unique(classes):
        ranks[classes == value] = np.arange((classes == value).sum())
    return table[np.sort(order[np.argsort(ranks, kind="stable")[:limit]])]


def report(folder, table, contestants, arguments):
    """Print the table of one folder."""
    for turn in range(arguments.rounds):
        for contestant in contestants:
            embedded, device = contestant.embed(table)
            if turn == 0:
                contestant.learn(embedded, arguments.folds)
    n_classes = len(np.unique(table.Y))
    print(
        f"\n{os.path.basename(folder)}: {len(table)} images of {n_classes} classes, "
        f"{arguments.folds} folds, on {device} ({os.cpu_count()} CPU cores)"
    )
    header = "network features images/s ratio logistic nearest training"
    print(COLUMNS.format(*header.split()))
    speeds = {id(c): statistics.median(c.speeds) for c in contestants}
    reference = min(contestants, key=lambda c: (c.model != DEFAULT, bool(c.layer)))
    for contestant in contestants:
        speed = speeds[id(contestant)]
        print(
            COLUMNS.format(
                contestant.name,
                str(contestant.n_features),
                f"{speed:.1f}",
                f"{speed / speeds[id(reference)]:.2f}",
                *(share(s, len(table)) for s in contestant.scores.values()),
                f"{contestant.seconds:.2f} s",
            )
        )


def share(score, count):
    error = (score * (1 - score) / count) ** 0.5
    return f"{score:.3f} +- {error:.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="ID[:LAYER]")
    parser.add_argument("--fit", nargs="+", choices=FITS, default=[None])
    parser.add_argument("--limit", type=int, help="images of each folder")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for folder in map(os.path.abspath, arguments.folders):
        contestants = [choose(m, f) for m in arguments.models for f in arguments.fit]
        present = [c for c in contestants if ImageEmbedder.available(c.model)]
        for model in dict.fromkeys(c.model for c in contestants if c not in present):
            print(f"{model} is left out: it is not on this computer")
        if present:
            report(folder, read(folder, arguments.limit), present, arguments)


if __name__ == "__main__":
    main()
