"""Images a second in torch on the CPU for batches of several sizes.

    python benchmarks/batch_size.py FOLDER [MODEL ...]

The sizes are run in turn, three times; shown is the ratio of medians to batches
of one.
"""

import argparse
import os
import statistics
import time

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import scan

SIZES = (1, 2, 4, 8, 16)


def speed(paths, model, batch_size):
    with ImageEmbedder(
        model, "cpu", batch_size, cache=False, engine="torch"
    ) as embedder:
        embedder.load()
        start = time.perf_counter()
        embedder(paths)
        return len(paths) / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="with photos")
    parser.add_argument(
        "models", nargs="*", default=["squeezenet", "efficientnet-lite0"]
    )
    arguments = parser.parse_args()
    paths = list(scan(os.path.abspath(arguments.folder)))
    for model in arguments.models:
        speeds = {size: [] for size in SIZES}
        for _ in range(3):
            for size in SIZES:
                speeds[size].append(speed(paths, model, size))
        medians = {size: statistics.median(speeds[size]) for size in SIZES}
        for size, median in medians.items():
            ratio = median / medians[1]
            print(f"{model:20s} {size:3d} {median:7.1f} images/s {ratio:5.2f}")


if __name__ == "__main__":
    main()
