"""Peak memory of embedding 100 and 10,000 different photos.

    python benchmarks/memory.py FOLDER [--model efficientnet-lite0]

Each is run in a process of its own, from a folder of copies of the photos in
FOLDER, made different by a few bytes after the end of the picture.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile

from orangecontrib.imageanalytics.import_images import scan

CHILD = """
import resource, sys
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
table, _ = ImportImages()(sys.argv[1])
with ImageEmbedder(sys.argv[2], "cpu") as embedder:
    embedded, _, n_skipped = embedder(table)
assert n_skipped == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def copies(photos, count, folder):
    for index, photo in zip(range(count), itertools.cycle(photos), strict=False):
        with open(photo, "rb") as source:
            content = source.read()
        ending = os.path.splitext(photo)[1]
        with open(os.path.join(folder, f"{index}{ending}"), "wb") as target:
            target.write(content + index.to_bytes(4, "big"))


def peak(photos, count, model):
    with tempfile.TemporaryDirectory() as folder:
        pictures = os.path.join(folder, "pictures")
        os.mkdir(pictures)
        copies(photos, count, pictures)
        environment = {**os.environ, "ORANGE_IMAGEANALYTICS_CACHE_DIR": folder}
        answer = subprocess.run(
            [sys.executable, "-c", CHILD, pictures, model],
            env=environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        )
    return int(answer.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="with photos")
    parser.add_argument("--model", default="efficientnet-lite0")
    arguments = parser.parse_args()
    photos = list(scan(os.path.abspath(arguments.folder)))
    few, many = (peak(photos, count, arguments.model) for count in (100, 10_000))
    print(f"100: {few} MB, 10,000: {many} MB, difference: {many - few} MB")


if __name__ == "__main__":
    main()
