"""A Dask cluster: its speed, what a part costs, and memory.

    python benchmarks/distributed.py FOLDER [--model efficientnet-lite0]
        [--images 1000] [--workers 2] [--parts 50] [--rounds 5]
    python benchmarks/distributed.py --rows 1000000

FOLDER: the photos in it are copied, and made different by a few bytes after the end of
the image.

*Speed*: worker processes with one thread each, and one process with as many threads.
Both embed the same copies in turn, many times; the ratio is of medians. Networks stay
loaded between rounds. The start is shown separately: workers and network, until a
first image is done.

*Parts*: the same images in many parts and in few. The difference is what a part takes
beyond its images: tasks, threads, and files.

*Memory*: the peaks of client, scheduler and worker, in a process each, at 1,000 rows
and at --rows. The list is a real one, but the images do not exist, and instead of a
network there is a stand-in, so that only what a run keeps counts.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

# This folder is on the path, where this file would be taken for Dask's package.
sys.path[:] = [
    folder
    for folder in sys.path
    if os.path.abspath(folder) != os.path.dirname(os.path.abspath(__file__))
]

FEW_ROWS, ROWS_IN_PART = 1000, 1000
N_FEATURES = 8
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
SPAWN = multiprocessing.get_context("spawn")


# Photos -------------------------------------------------------------------------------


def copies(photos, count, folder):
    """Copies of photos that all have different bytes, and their paths."""
    paths = []
    for index, photo in zip(range(count), itertools.cycle(photos), strict=False):
        with open(photo, "rb") as source:
            content = source.read()
        paths.append(os.path.join(folder, f"{index}{os.path.splitext(photo)[1]}"))
        with open(paths[-1], "wb") as target:
            target.write(content + index.to_bytes(4, "big"))
    return paths


# Threads ------------------------------------------------------------------------------


class Threads:
    """A process that embeds in some threads.

    Parameters
    ----------
    n_threads : int
    model : str
    """

    def __init__(self, n_threads, model):
        self._arguments = n_threads, model

    def __enter__(self):
        self._pool = ProcessPoolExecutor(1, mp_context=SPAWN)
        return self

    def __exit__(self, *_):
        self._pool.shutdown()

    def time(self, paths):
        """Seconds for embedding some images."""
        return self._pool.submit(_in_threads, paths, *self._arguments).result()


_embedders = []


def _in_threads(paths, n_threads, model):
    from orangecontrib.imageanalytics.engine.device import limit_workers
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

    if not _embedders:
        limit_workers(n_threads)
        _embedders.append(ImageEmbedder(model, "cpu", cache=False))
    start = time.perf_counter()
    vectors = _embedders[0](paths)
    assert all(vector is not None for vector in vectors)
    return time.perf_counter() - start


# Worker processes ---------------------------------------------------------------------


class Workers:
    """Processes on this computer that embed with one thread each.

    Parameters
    ----------
    n_workers : int
    model : str
    """

    def __init__(self, n_workers, model):
        self.n_workers, self._model = n_workers, model

    def __enter__(self):
        from distributed import Client, LocalCluster

        self._cluster = LocalCluster(
            n_workers=self.n_workers, threads_per_worker=1, dashboard_address=None
        )
        self._client = Client(self._cluster)
        self._client.run(keep_network)
        return self

    def __exit__(self, *_):
        self._client.close()
        self._cluster.close()

    def time(self, paths, n_parts):
        """Seconds for embedding some images, from the first task to the last result."""
        from orangecontrib.imageanalytics.distributed import embed_dataset

        with tempfile.TemporaryDirectory() as folder:
            summary = embed_dataset(
                paths,
                os.path.join(folder, "vectors"),
                self._model,
                cluster=self._client,
                device="cpu",
                part_size=-(-len(paths) // n_parts),
            )
        assert summary.images == len(paths) and not summary.failed
        return summary.seconds


def keep_network():
    """Let the runs in a worker process share their network."""
    from orangecontrib.imageanalytics.distributed.worker import EmbeddingPlugin

    load, kept = EmbeddingPlugin.load, []

    def load_once(plugin):
        if kept:
            plugin._embedder, plugin._n_features = kept[0]
        else:
            kept.append(load(plugin))
        return kept[0]

    EmbeddingPlugin.load = load_once
    EmbeddingPlugin.teardown = lambda plugin, worker: None


def measure_start(paths, model, n):
    """Seconds until threads and workers have embedded an image each."""
    seconds = {}
    for name, contestant, arguments in (
        ("threads", Threads(n, model), (paths[:n],)),
        ("workers", Workers(n, model), (paths[:n], n)),
    ):
        start = time.perf_counter()
        with contestant:
            contestant.time(*arguments)
            seconds[name] = time.perf_counter() - start
    return seconds


def measure_speed(paths, model, workers, n_rounds):
    """Print the speed of threads and of workers."""
    n = workers.n_workers
    starts = measure_start(paths, model, n)
    seconds = {"threads": [], "workers": []}
    with Threads(n, model) as threads:
        for index in range(n_rounds + 1):
            times = threads.time(paths), workers.time(paths, 2 * n)
            if index:  # the first loads the networks
                for values, value in zip(seconds.values(), times, strict=True):
                    values.append(value)
    print(f"\nSpeed: {model}, {len(paths)} images, median of {n_rounds} rounds")
    for name, text in ("threads", f"{n} threads"), ("workers", f"{n} workers"):
        speeds = [len(paths) / value for value in seconds[name]]
        print(
            f"  {text:10s} {statistics.median(speeds):7.1f} images/s "
            f"({min(speeds):.1f} to {max(speeds):.1f}); start {starts[name]:.1f} s"
        )
    pairs = zip(seconds["threads"], seconds["workers"], strict=True)
    ratios = sorted(threads / workers for threads, workers in pairs)
    medians = [statistics.median(values) for values in seconds.values()]
    print(
        f"  workers are {medians[0] / medians[1]:.2f} times as fast as threads "
        f"(in single rounds {ratios[0]:.2f} to {ratios[-1]:.2f}, "
        f"median {statistics.median(ratios):.2f})"
    )


def measure_parts(paths, workers, n_parts, n_rounds):
    """Print what a part takes beyond its images."""
    n = workers.n_workers
    extra = statistics.median(
        workers.time(paths, n_parts) - workers.time(paths, n) for _ in range(n_rounds)
    )
    print(
        f"\nParts: {len(paths)} images in {n_parts} parts and in {n}, "
        f"median of {n_rounds} rounds\n"
        f"  a part takes {extra * n / (n_parts - n) * 1000:.0f} ms of a worker "
        "beyond its images"
    )


# Memory -------------------------------------------------------------------------------


class StandIn:
    """In place of `Embedder`: vectors of ones, for images that need not exist."""

    def __init__(self, spec, *_arguments, **_options):
        self.spec = spec

    def runner(self, squares, _cancelled):
        import numpy as np

        return np.ones((len(squares), N_FEATURES), np.float32), "float32"

    def __call__(self, sources, *_arguments, **_options):
        import numpy as np

        from orangecontrib.imageanalytics.engine.results import Embedded

        n_rows = len(sources)
        return Embedded(
            vectors=np.ones((n_rows, N_FEATURES), np.float32),
            rows=np.arange(n_rows),
            failures={},
            statistics=None,
            sizes=np.ones((n_rows, 2), np.int32),
        )

    def close(self):
        pass


def use_stand_in():
    """Replace the network in a worker process."""
    from orangecontrib.imageanalytics.distributed import worker

    worker.Embedder = StandIn


def peak():
    """Most bytes that this process has taken."""
    if sys.platform == "linux":  # the other counts the process that began this one
        with open("/proc/self/status") as status:
            (line,) = [line for line in status if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


@contextlib.contextmanager
def cluster_processes(folder):
    """A scheduler and a worker, each in a process of its own; yield their address."""
    address = os.path.join(folder, "scheduler.json")
    options = ["--scheduler-file", address, "--no-dashboard"]
    local = ["--host", "127.0.0.1"]
    commands = [
        ["scheduler", *options, *local, "--port", "0"],
        ["worker", *options, *local, "--nworkers", "1", "--nthreads", "1"],
    ]
    with contextlib.ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *command],
                    cwd=folder,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.terminate)
        while not os.path.exists(address):
            time.sleep(0.1)
        yield address


def peaks_of(n_rows):
    """Seconds of a run with some rows, and the peaks of client, scheduler and worker.

    The client is this process, so that its peak is also that of earlier runs.
    """
    from distributed import Client

    from orangecontrib.imageanalytics.distributed import embed_dataset

    with tempfile.TemporaryDirectory() as folder:
        list_file = os.path.join(folder, "images.txt")
        with open(list_file, "w") as file:
            for index in range(n_rows):
                file.write(f"/images/of/a/large/collection/{index:08}.jpg\n")
        output = os.path.join(folder, "vectors")
        with (
            cluster_processes(folder) as address,
            Client(scheduler_file=address) as client,
        ):
            client.wait_for_workers(1)
            client.run(use_stand_in)
            summary = embed_dataset(
                list_file, output, cluster=client, part_size=ROWS_IN_PART
            )
            assert summary.images == n_rows and not summary.failed
            scheduler, workers = client.run_on_scheduler(peak), client.run(peak)
    return summary.seconds, (peak(), scheduler, *workers.values())


def measure_memory(n_rows):
    """Print how memory grows with the number of rows."""
    seconds_few, few = peaks_of(FEW_ROWS)
    seconds, many = peaks_of(n_rows)
    n_parts = -(-n_rows // ROWS_IN_PART)
    print(f"\nMemory: {FEW_ROWS} and {n_rows} rows, {ROWS_IN_PART} in a part")
    for name, before, after in zip(
        ("client", "scheduler", "worker"), few, many, strict=True
    ):
        print(
            f"  {name:10s} {before / 2**20:5.0f} MB and {after / 2**20:5.0f} MB: "
            f"{(after - before) / 2**20:+.0f} MB"
        )
    rate = (n_parts - 1) / max(seconds - seconds_few, 1e-9)
    print(f"  {rate:.0f} parts/s with one worker and no network")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="with photos; without: only memory")
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--parts", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="for memory (without FOLDER: 1000000)")
    arguments = parser.parse_args()
    if arguments.parts <= arguments.workers:
        parser.error("--parts should be more than --workers, to compare the two")
    if arguments.rows is None and arguments.folder is None:
        arguments.rows = 1_000_000
    if arguments.rows is not None:  # before anything else takes memory here
        measure_memory(arguments.rows)
    if arguments.folder is not None:
        measure_photos(arguments)


def measure_photos(arguments):
    from orangecontrib.imageanalytics.import_images import scan

    photos = list(scan(os.path.abspath(arguments.folder)))
    if not photos:
        sys.exit(f"No photos in {arguments.folder}")
    with tempfile.TemporaryDirectory() as folder:
        paths = copies(photos, arguments.images, folder)
        with Workers(arguments.workers, arguments.model) as workers:
            measure_speed(paths, arguments.model, workers, arguments.rounds)
            measure_parts(paths, workers, arguments.parts, arguments.rounds)


if __name__ == "__main__":
    main()
