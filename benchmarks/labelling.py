"""How many images have to be labelled, in different orders, for a good model.

    python benchmarks/labelling.py FOLDER [FOLDER ...] [--orders ORDER ...]
        [--seeds 10] [--at-a-time 1] [--most N] [--speed]

Each FOLDER has a subfolder for each class. A simulated user labels images in the order
in which Label Images shows them, a few at a time, and makes no mistakes. A third of the
images is left out and predicted by the quick model after each round. Shown are, for
each order, the accuracy after some numbers of labels; how many labels are needed for
90 % of the accuracy with all labels; and how many until 90 % of the images that the
user labels have the right class, from the user or proposed. Both are with mean and
standard deviation over the seeds, and with how many fewer that is than in random order.

With --speed, the time for 10,000 random vectors of 1280 numbers is measured instead.
"""

import argparse
import os
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.labels.orders import (
    RANDOM,
    TYPICAL,
    UNCERTAIN,
    Orders,
)
from orangecontrib.imageanalytics.labels.quick_model import (
    Points,
    Proposals,
    QuickModel,
    no_proposals,
    reduced,
)
from orangecontrib.imageanalytics.labels.session import NO_CLASS

ENOUGH = 0.9
SHOWN = (20, 40, 60, 80, 100, 150)
OTHER_SEEDS = 1000


def embedded(folder):
    """Vectors, from the cache if they are there, and classes of the images."""
    table, _ = ImportImages()(folder)
    if table is None or table.domain.class_var is None:
        sys.exit(f"{folder} has no subfolders with images")
    with ImageEmbedder() as embedder:
        table, _, _ = embedder(table, col="image")
    return table.X, table.Y.astype(int)


class SimulatedUser:
    """Labels two thirds of the images, and knows their classes."""

    def __init__(self, vectors, classes, seed):
        mixed = np.random.default_rng(seed).permutation(len(classes))
        self.classes, self.seed = classes, seed
        self.pool = np.sort(mixed[len(mixed) // 3 :])
        self.tested = np.sort(mixed[: len(mixed) // 3])
        # The model knows all images, as in the widget; only the pool is labelled.
        self.points = reduced(vectors)
        pool = Points(self.points.values[self.pool], self.points.usable[self.pool])
        # Not the numbers that have split the images.
        self.orders = Orders(pool, len(self.pool), seed + OTHER_SEEDS)

    def final_accuracy(self):
        """Accuracy with all labels."""
        labels = np.full(len(self.classes), NO_CLASS)
        labels[self.pool] = self.classes[self.pool]
        return self._accuracy(QuickModel(self.points).propose(labels))

    def label(self, order, at_a_time, most):
        """Numbers of labels; accuracies and shares of right classes after them."""
        model, proposals = QuickModel(self.points), no_proposals(len(self.classes))
        labels = np.full(len(self.classes), NO_CLASS)
        counts, accuracies, rights = [], [], []
        while (labels != NO_CLASS).sum() < min(most, len(self.pool)):
            own = Proposals(
                proposals.classes[self.pool],
                proposals.certainty[self.pool],
                proposals.margin[self.pool],
            )
            shown = self.pool[self.orders(order, labels[self.pool], own)]
            chosen = shown[labels[shown] == NO_CLASS][:at_a_time]
            labels[chosen] = self.classes[chosen]
            proposals = model.propose(labels)
            counts.append(int((labels != NO_CLASS).sum()))
            accuracies.append(self._accuracy(proposals))
            shown = np.where(labels != NO_CLASS, labels, proposals.classes)[self.pool]
            rights.append((shown == self.classes[self.pool]).mean())
        return np.array(counts), np.array(accuracies), np.array(rights)

    def _accuracy(self, proposals):
        right = proposals.classes[self.tested] == self.classes[self.tested]
        return float(right.mean())


def report(folder, arguments):
    """Print the table of one folder."""
    vectors, classes = embedded(folder)
    most = arguments.most or len(classes)
    needed, right, curves, finals = {}, {}, {}, []
    for seed in range(arguments.seeds):
        user = SimulatedUser(vectors, classes, seed)
        final = user.final_accuracy()
        finals.append(final)
        for order in arguments.orders:
            counts, accuracies, rights = user.label(order, arguments.at_a_time, most)
            needed.setdefault(order, []).append(
                first(counts, accuracies >= ENOUGH * final)
            )
            right.setdefault(order, []).append(first(counts, rights >= ENOUGH))
            at = np.interp(SHOWN, counts, accuracies, right=np.nan)
            curves.setdefault(order, []).append(at)
    print(
        f"\n{os.path.basename(folder)}: {len(classes)} images of "
        f"{len(np.unique(classes))} classes, {arguments.seeds} seeds, "
        f"{arguments.at_a_time} at a time; accuracy with all "
        f"{len(user.pool)} labels {np.mean(finals):.3f} +- {np.std(finals):.3f}"
    )
    print(
        "order      "
        + "".join(f"{n:>7d}" for n in SHOWN)
        + "      for 90 % fewer   90 % right fewer"
    )
    for order in arguments.orders:
        means = np.mean(curves[order], axis=0)
        columns = [f"{order:11s}", *(f"{mean:7.3f}" for mean in means), "   "]
        for found in (needed, right):
            own, random = np.array(found[order]), np.mean(found.get(RANDOM, [np.nan]))
            fewer = 1 - own.mean() / random
            columns.append(f"{own.mean():6.1f} +- {own.std():4.1f} {fewer:4.0%} ")
        print("".join(columns))


def first(counts, is_enough):
    """The first of some numbers for which it is enough, or else the last."""
    found = np.flatnonzero(is_enough)
    return int(counts[found[0]] if len(found) else counts[-1])


def report_speed():
    """Print how long the parts take."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(10_000, 1280))
    labels = np.full(len(vectors), NO_CLASS)
    labels[:200] = rng.integers(0, 10, 200)
    start = time.perf_counter()
    points = reduced(vectors)
    print(f"reduction, once: {time.perf_counter() - start:.2f} s")
    model = QuickModel(points)
    for text in ("first", "next"):
        start = time.perf_counter()
        proposals = model.propose(labels)
        print(f"{text} model: {time.perf_counter() - start:.3f} s")
        labels[200:210] = rng.integers(0, 10, 10)
    orders = Orders(points, len(labels))
    for order in (UNCERTAIN, TYPICAL, TYPICAL):
        start = time.perf_counter()
        orders(order, labels, proposals)
        print(f"order {order}: {time.perf_counter() - start:.3f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", metavar="FOLDER")
    choices = (RANDOM, TYPICAL, UNCERTAIN)
    parser.add_argument("--orders", nargs="+", choices=choices, default=choices)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--at-a-time", type=int, default=1)
    parser.add_argument("--most", type=int, help="labels in each run")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    # On a busy machine, threads that wait for each other take ten times as long.
    with threadpool_limits(1):
        if arguments.speed:
            report_speed()
        for folder in map(os.path.abspath, arguments.folders):
            report(folder, arguments)


if __name__ == "__main__":
    main()
