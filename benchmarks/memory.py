"""Peak memory: of embedding photos, of a million images, and of writing files.

    python benchmarks/memory.py FOLDER [--model efficientnet-lite0]
    python benchmarks/memory.py --images 1000000
    python benchmarks/memory.py --files 100000

Each is measured in processes of their own.

FOLDER: embedding 100 and 10,000 copies of the photos in it, made different by a few
bytes after the end of the image.

--images: embedding stand-ins with a network that is one, too, so that only what is
kept of each image counts. Bytes an image are those beyond the vectors, with and
without the paths, which are the caller's. The columns of a table count, too.

--files: writing so many vectors; counted is what that takes beyond the table.
"""

import argparse
import contextlib
import functools
import itertools
import multiprocessing
import os
import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from unittest import mock

import numpy as np
from Orange.data import ContinuousVariable, Domain, StringVariable, Table
from PIL import Image

from orangecontrib.imageanalytics.engine.runner import Runner
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages, scan
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.output_file import OutputFile

FEW = 1000
N_FEATURES = 8
N_FEATURES_IN_FILES = 512
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def peak(function, *arguments):
    """Most bytes that a process takes in which a function is called."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_peak_after, function, arguments).result()


def _peak_after(function, arguments):
    function(*arguments)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


# Photos -------------------------------------------------------------------------------


def copies(photos, count, folder):
    for index, photo in zip(range(count), itertools.cycle(photos), strict=False):
        with open(photo, "rb") as source:
            content = source.read()
        ending = os.path.splitext(photo)[1]
        with open(os.path.join(folder, f"{index}{ending}"), "wb") as target:
            target.write(content + index.to_bytes(4, "big"))


def embed_folder(images, model, cache_folder):
    os.environ["ORANGE_IMAGEANALYTICS_CACHE_DIR"] = cache_folder
    table, _ = ImportImages()(images)
    with ImageEmbedder(model, "cpu") as embedder:
        _, _, n_skipped = embedder(table)
    assert n_skipped == 0


def peak_of_photos(photos, count, model):
    with tempfile.TemporaryDirectory() as folder:
        images = os.path.join(folder, "images")
        os.mkdir(images)
        copies(photos, count, images)
        return peak(embed_folder, images, model, folder)


def measure_photos(folder, model):
    photos = list(scan(os.path.abspath(folder)))
    few, many = (
        peak_of_photos(photos, count, model) / 2**20 for count in (100, 10_000)
    )
    print(f"100: {few:.0f} MB, 10,000: {many:.0f} MB, difference: {many - few:.0f} MB")


# Stand-ins ----------------------------------------------------------------------------


class StandInRunner(Runner):
    """A network whose vectors are the colours of images of one pixel."""

    precision = "float32"
    batch_size = 64
    intensity = "auto"
    device_name = "stand-in"
    preprocessing = Preprocessing(1, None, (0, 0, 0), (1, 1, 1), "bilinear")

    def __init__(self):
        """Without a spec: it is asked for nothing else."""

    def load(self, callback=None):
        pass

    def __call__(self, squares, cancelled):
        pixels = squares.reshape(len(squares), 3)
        return np.tile(pixels, 3)[:, :N_FEATURES].astype(np.float32), self.precision


@contextlib.contextmanager
def opened(source, content=None):
    """For an image's content, its path."""
    yield source.encode(), None


def stand_in_paths(count):
    return [f"/images/of/a/large/collection/{index:08}.jpg" for index in range(count)]


@contextlib.contextmanager
def stand_ins():
    batches = "orangecontrib.imageanalytics.engine.batches"
    pixel = Image.new("RGB", (1, 1))
    embedder = ImageEmbedder("squeezenet", "cpu", cache=False)
    with (
        mock.patch(f"{batches}.opened", opened),
        mock.patch(f"{batches}.decode", lambda *_: pixel),
        mock.patch(
            "orangecontrib.imageanalytics.engine.embedder.Embedder.runner",
            StandInRunner(),
        ),
    ):
        yield embedder


def run_engine(count):
    with stand_ins() as embedder:
        result = embedder._embedder(stand_in_paths(count))
    assert result.vectors.shape == (count, N_FEATURES)


def embed_list(count):
    with stand_ins() as embedder:
        vectors = embedder(stand_in_paths(count))
    assert None not in map(type, vectors)


def embed_table(count):
    with stand_ins() as embedder:
        embedded, skipped, _ = embedder(table_of(count, 0))
    assert skipped is None and embedded.X.shape == (count, N_FEATURES)


def table_of(count, n_features):
    features = [ContinuousVariable(f"n{index}") for index in range(n_features)]
    domain = Domain(features, None, [StringVariable("image")])
    paths = np.array(stand_in_paths(count), dtype=object)
    return Table.from_numpy(domain, np.ones((count, n_features)), None, paths[:, None])


def measure_images(count):
    paths = (
        sum(map(sys.getsizeof, stand_in_paths(FEW))) / FEW + 8
    )  # a list refers to it
    vector = 4 * N_FEATURES
    print(f"a path is {paths:.0f} bytes, its columns in a table {2 * vector} bytes")
    for name, function in (
        ("the run", run_engine),
        ("a list", embed_list),
        ("a table", embed_table),
    ):
        grown = peak(function, count) - peak(function, FEW)
        each = grown / (count - FEW) - vector
        print(
            f"{name}: {each:.0f} bytes an image with its path, "
            f"{each - paths:.0f} without"
        )


# Files --------------------------------------------------------------------------------


def write(count, folder, ending=None):
    table = table_of(count, N_FEATURES_IN_FILES)
    if ending is not None:
        output = OutputFile(os.path.join(folder, f"vectors{ending}"), overwrite=True)
        for written in (table[:1], table):  # the first loads what writes
            output.write(written)


def measure_files(count):
    with tempfile.TemporaryDirectory() as folder:
        peak_of = functools.partial(peak, write, count, folder)
        table = peak_of()
        n_bytes = 4 * N_FEATURES_IN_FILES * count
        print(f"vectors: {n_bytes / 2**20:.0f} MB as float32")
        for ending in (".npz", ".parquet"):
            more = peak_of(ending) - table
            print(f"{ending}: {more / 2**20:.0f} MB beyond the table")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="with photos")
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--images", type=int, metavar="N", help="of stand-ins")
    parser.add_argument("--files", type=int, metavar="N", help="of so many vectors")
    arguments = parser.parse_args()
    if arguments.folder:
        measure_photos(arguments.folder, arguments.model)
    if arguments.images:
        measure_images(arguments.images)
    if arguments.files:
        measure_files(arguments.files)


if __name__ == "__main__":
    main()
