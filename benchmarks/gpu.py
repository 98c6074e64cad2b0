"""How much of a GPU's speed is left when images have to be read and decoded.

    python benchmarks/gpu.py [FOLDER | --photos N --size WIDTH HEIGHT]
        [--device cuda] [--models ID ...] [--threads N ...] [--smoke]

For each network it shows images a second of the network alone, on batches that are on
the device already; end to end, from files to vectors; and the ratio of these. Then the
same with images decoded by the CPU, by 1, 2, 4, ... threads. What is planned once in a
process is not in these times; it is shown first. Without FOLDER, photos are made.
Weights that are not on this computer are drawn at random: that takes as long. With
--smoke all is so small that it runs on any CPU within a minute; there, the network
alone has one thread.
"""

import argparse
import dataclasses
import itertools
import os
import re
import sys
import tempfile
import threading
import time
from io import BytesIO
from unittest import mock

import numpy as np
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_sample_images

from orangecontrib.imageanalytics.engine import pipeline
from orangecontrib.imageanalytics.engine.device import workers
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.engine.runner import TORCH
from orangecontrib.imageanalytics.engine.torch_runner import TorchRunner
from orangecontrib.imageanalytics.import_images import scan
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

MODELS = ("efficientnet-lite0", "resnet50", "torchvision:vit_b_16")
N_PHOTOS, PHOTO_SIZE, SECONDS = 4096, (1600, 1200), 2
SMALL_MODELS = ("efficientnet-lite0", "squeezenet", "torchvision:shufflenet_v2_x0_5")
FEW_PHOTOS, SMALL_SIZE, FEW_SECONDS = 8, (640, 480), 0.2
LINE = "  {:34s} {:9.1f} images/s {}"


@dataclasses.dataclass
class RandomWeights:
    """Weights in a file that nobody has trained."""

    path: str
    fingerprint: str = "random"
    sha256: str = ""  # whatever is in it
    megabytes: float = 0
    others: tuple = ()  # files of a tokenizer, which images do not need

    def available(self):
        return True

    def ensure(self, name, callback=None):
        return self.path

    def check_unchanged(self):
        pass


def choose(model, folder):
    """A network, with random weights unless its own are here."""
    spec = EmbeddingSpec.choose(model)
    network = spec.network
    if network.available():
        return spec
    path = os.path.join(folder, re.sub(r"\W", "_", network.id) + ".pt")
    # The whole network, of which `build` makes only what images go through, and that
    # without weights.
    make = getattr(network, "_create", network.build)
    torch.save(make("cpu").state_dict(), path)
    network = dataclasses.replace(network, weights=RandomWeights(path))
    return dataclasses.replace(spec, network=network)


def make_photos(folder, count, size):
    """Photos that differ in a comment, as equal ones would be embedded once."""
    contents = []
    for image in load_sample_images().images:
        file = BytesIO()
        Image.fromarray(image).resize(size).save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    for index, content in zip(range(count), itertools.cycle(contents), strict=False):
        comment = b"\xff\xfe\x00\x06" + index.to_bytes(4, "big")
        with open(os.path.join(folder, f"{index}.jpg"), "wb") as file:
            file.write(content[:2] + comment + content[2:])


def forward_rate(runner, seconds):
    """Images a second of the network alone."""
    size = runner.preprocessing.size
    shape = runner.batch_size, size, size, 3
    squares = torch.randint(256, shape, dtype=torch.uint8).to(runner.device)

    def run(least, seconds=0.0):
        start, count = time.perf_counter(), 0
        while count < least or time.perf_counter() - start < seconds:
            # A few, as those that are given but not computed yet fill a queue.
            for _ in range(4):
                runner.forward(squares, runner.device, runner.precision)
            if runner.device.type == "cuda":
                torch.cuda.synchronize(runner.device)
            count += 4
        return count * len(squares) / (time.perf_counter() - start)

    with runner.sharing():
        runner.start_thread()
        run(8)
        return run(4, seconds)


def first_seconds(runner):
    """Seconds that a batch of one image and a whole batch take for the first time."""
    size, start = runner.preprocessing.size, time.perf_counter()
    with runner.sharing():
        for n in (1, runner.batch_size):
            squares = np.zeros((n, size, size, 3), np.uint8)
            runner(squares, threading.Event())
    return time.perf_counter() - start


def whole_rate(embedder, paths):
    """Images a second from files to vectors."""
    embedder(paths[: embedder.runner.batch_size])
    start = time.perf_counter()
    embedded = embedder(paths)
    seconds = time.perf_counter() - start
    if embedded.failures:
        sys.exit(f"Images that could not be embedded: {embedded.failures}")
    return len(paths) / seconds


def thread_counts():
    """1, 2, 4, ... and as many as there are by default."""
    powers = itertools.takewhile(lambda n: n < workers(), (2**n for n in range(9)))
    return [*powers, workers()]


def measure(spec, device, paths, seconds, threads):
    embedder = Embedder(spec, device, use_cache=False, engine=TORCH)
    runner = embedder.runner
    runner.load()
    print(f"{spec.network.name}, {runner.precision}", end="")
    print(f", batches of {runner.batch_size}")
    print(f"  {'the first batches':34s} {first_seconds(runner):9.1f} s")
    alone = forward_rate(runner, seconds)
    print(LINE.format("network alone", alone, ""))

    def show(what):
        rate = whole_rate(embedder, paths)
        print(LINE.format(what, rate, f"{rate / alone:5.2f}"), flush=True)

    if runner.decoder is not None:
        show("decoded on the device")
    for n_threads in threads:
        with (
            mock.patch.object(TorchRunner, "decoder", None),
            mock.patch.object(pipeline, "workers", lambda n=n_threads: n),
        ):
            show(f"decoded by {n_threads} threads of the CPU")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="with photos")
    parser.add_argument("--photos", type=int, metavar="N", help="so many are made")
    parser.add_argument("--size", type=int, nargs=2, help="theirs, in pixels")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--threads", type=int, nargs="+", help="that decode")
    parser.add_argument("--smoke", action="store_true", help="see whether it runs")
    arguments = parser.parse_args()
    small = arguments.smoke
    seconds = FEW_SECONDS if small else SECONDS
    models = arguments.models or (SMALL_MODELS if small else MODELS)
    threads = arguments.threads or thread_counts()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder
        if folder is None:
            folder = os.path.join(scratch, "photos")
            os.mkdir(folder)
            count = arguments.photos or (FEW_PHOTOS if small else N_PHOTOS)
            size = arguments.size or (SMALL_SIZE if small else PHOTO_SIZE)
            make_photos(folder, count, size)
        paths = list(scan(os.path.abspath(folder)))
        specs = [choose(model, scratch) for model in models]
        print(TorchRunner(specs[0], arguments.device).device_name)
        print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
        print(f"{len(paths)} photos")
        for spec in specs:
            measure(spec, arguments.device, paths, seconds, threads)


if __name__ == "__main__":
    main()
