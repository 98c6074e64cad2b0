"""The work of a worker: embed a part and write its file.

Each worker process has the network once, in the plugin that the job registers. One
part at a time uses it, in as many threads as the worker may use, so that parts need
little memory and finish soon.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from distributed import WorkerPlugin, get_worker

from orangecontrib.imageanalytics.distributed.job import Job
from orangecontrib.imageanalytics.distributed.listing import Part, members_of
from orangecontrib.imageanalytics.distributed.output import (
    Output,
    part_name,
    piece_name,
)
from orangecontrib.imageanalytics.distributed.part_files import PartResult, PartWriter
from orangecontrib.imageanalytics.engine import device
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.errors import Cancelled, ImageError
from orangecontrib.imageanalytics.networks.registry import find_network, is_file_name

ROWS_AT_ONCE = 10_000  # that are embedded before they are written
REPORT_SECONDS = 1.0
# What a row says whose image stops the worker process.
KILLS = "the process that read this image was killed"


@dataclass(frozen=True)
class Options:
    """
    How the workers run the network.

    Attributes
    ----------
    device, batch_size, engine
        As for `ImageEmbedder`.
    cache : bool
        Whether to keep vectors on the workers' disks, too.
    trust : bool
        Whether the user vouches for the network's file.
    threads : int or None
        Threads of each worker process; by default, those that Dask gave to it.
    """

    device: str = "auto"
    batch_size: int | None = None
    engine: str = "auto"
    cache: bool = False
    trust: bool = False
    threads: int | None = None


class EmbeddingPlugin(WorkerPlugin):
    """
    The network of a job in a worker process.

    Parameters
    ----------
    name : str
        Name of the plugin, and of the topic of its reports.
    job : Job
        With a portable specification.
    address : str
        The output.
    options : Options
    """

    def __init__(self, name: str, job: Job, address: str, options: Options):
        self.name = name
        self.job, self.address, self.options = job, address, options

    def setup(self, worker) -> None:
        """Called by Dask, in each worker process."""
        self.worker = worker
        self.lock = threading.Lock()
        self._embedder = None

    def teardown(self, worker) -> None:
        """Called by Dask when the job ends or the worker stops."""
        if self._embedder is not None:
            self._embedder.close()

    def load(self) -> tuple[Embedder, int]:
        """
        The embedder with its network, and the length of its vectors.

        Raises
        ------
        ModelError, ValueError
            When the network cannot be used on this computer.
        """
        if self._embedder is None:
            device.limit_workers(self._n_threads())
            options = self.options
            embedder = Embedder(
                self._found_spec(),
                options.device,
                options.batch_size,
                use_cache=options.cache,
                engine=options.engine,
            )
            size = embedder.spec.preprocessing.size
            blank = np.zeros((1, size, size, 3), np.uint8)
            vectors, _ = embedder.runner(blank, threading.Event())
            self._embedder, self._n_features = embedder, vectors.shape[1]
        return self._embedder, self._n_features

    def _n_threads(self) -> int:
        if self.options.threads is not None:
            return self.options.threads
        n_threads = self.worker.state.nthreads
        if self.options.device not in ("auto", "cuda"):
            return n_threads
        # dask-cuda starts a worker with one thread for each GPU and lists them all
        # here, this worker's first. Each of them needs its share of the processors.
        n_gpus = len(os.environ.get("CUDA_VISIBLE_DEVICES", "").split(","))
        if "CUDA_VISIBLE_DEVICES" in os.environ and device.may_have_gpu():
            return max(n_threads, device.processors() // n_gpus)
        return n_threads

    def _found_spec(self):
        """The specification with this computer's network."""
        spec = self.job.spec
        reference = spec.network
        of_file = None
        if is_file_name(reference.id):
            of_file = dict(reference.about) or spec.preprocessing
        network = find_network(reference.id, of_file)
        network.weights.ensure(network.name)
        found = spec.found()  # with the weights that the user has there
        if self.options.trust:
            found.network.vouch()
        return found

    def check_wanted(self, key: str) -> None:
        """
        Raises
        ------
        Cancelled
            When nobody waits for this task any more.
        """
        task = self.worker.state.tasks.get(key)
        if task is None or task.state in ("cancelled", "released", "forgotten"):
            raise Cancelled

    def report(self, key: str, n_images: int) -> None:
        """Tell how many images of a task are done."""
        self.worker.loop.add_callback(
            self.worker.log_event, self.name, {"key": key, "n_images": n_images}
        )


@dataclass
class _Watch:
    """Stops a task that nobody waits for, and reports its progress."""

    plugin: EmbeddingPlugin
    key: str
    n_before: int = 0
    n_now: int = 0
    _reported: float = 0.0

    def __call__(self, fraction: float) -> None:
        self.plugin.check_wanted(self.key)
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            self.plugin.report(self.key, self.n_before + round(fraction * self.n_now))


def _here(name: str) -> tuple[EmbeddingPlugin, Output, str]:
    """The plugin in this process, its output, and the key of the running task."""
    worker = get_worker()
    plugin = worker.plugins[name]
    return plugin, Output(plugin.address), worker.get_current_task()


def embed_part(
    plugin_name: str, part: Part, start: int = 0, stop: int | None = None
) -> PartResult:
    """
    Embed a part, or a piece of it, and write its file.

    Parameters
    ----------
    plugin_name : str
    part : Part
    start, stop : int
        The rows of a piece. By default, these are all rows.

    Returns
    -------
    PartResult

    Raises
    ------
    ModelError, ValueError
        When the network cannot be used.
    OSError
        When the file cannot be written.
    Cancelled
        When nobody waits for the result.
    """
    plugin, output, key = _here(plugin_name)
    is_piece = start > 0 or stop is not None
    name = part_name(part.number)
    if is_piece:
        output.make_pieces_folder()
        name = piece_name(part.number, start)
    watch = _Watch(plugin, key)
    with plugin.lock:
        watch(0)
        embedder, n_features = plugin.load()
        with (
            output.complete(name) as path,
            _writer(plugin, path, n_features, part) as writer,
        ):
            try:
                for sources, categories in _chunks(part, start, stop):
                    watch.n_now = len(sources)
                    embedded = embedder(sources, watch, with_sizes=True)
                    writer.write(sources, categories, embedded)
                    watch.n_before += len(sources)
            except ImageError as error:  # the shard is damaged from here on
                writer.write_failures([part.shard], [], str(error))
    return writer.result


def count_rows(plugin_name: str, part: Part) -> int:
    """The number of images in a part."""
    _here(plugin_name)
    return sum(len(sources) for sources, _ in _contents(part))


def join_pieces(
    plugin_name: str, part: Part, starts: Sequence[int], killers: Sequence[int]
) -> PartResult:
    """
    Write the file of a part from the files of its pieces.

    Parameters
    ----------
    plugin_name : str
    part : Part
    starts : sequence of int
        First rows of the pieces that were embedded.
    killers : sequence of int
        Rows of images that stop the process which reads them. Together with the
        pieces, they make up the part.

    Returns
    -------
    PartResult
    """
    import pyarrow.parquet as pq

    plugin, output, key = _here(plugin_name)
    rows = dict(_rows(part, set(killers)))
    with plugin.lock:
        _, n_features = plugin.load()
        with (
            output.complete(part_name(part.number)) as path,
            _writer(plugin, path, n_features, part) as writer,
        ):
            for row in sorted([*starts, *killers]):
                plugin.check_wanted(key)
                if row in rows:
                    source, category = rows[row]
                    writer.write_failures([source], [category], KILLS)
                    continue
                with output.opened(piece_name(part.number, row)) as file:
                    piece = pq.ParquetFile(file)
                    for group in range(piece.num_row_groups):
                        writer.write_table(piece.read_row_group(group))
    return writer.result


def _writer(plugin, path, n_features, part) -> PartWriter:
    description = plugin.job.describe()["embedding"]
    return PartWriter(path, n_features, description, part.digest())


def _contents(part: Part) -> Iterator[tuple[Sequence, Sequence]]:
    """Sources and categories of a part, some rows at a time."""
    if part.shard is None:
        yield part.sources, part.categories
    else:
        yield from members_of(part)


def _rows(part: Part, wanted: set[int]) -> Iterator[tuple[int, tuple]]:
    """Some rows of a part by their numbers, each a source and its category."""
    row = 0
    for sources, categories in _contents(part):
        for source, category in itertools.zip_longest(sources, categories):
            if row in wanted:
                yield row, (source, category)
            row += 1


def _chunks(part: Part, start: int, stop: int | None) -> Iterator[tuple[list, list]]:
    """Sources and categories of consecutive rows, as many as are embedded at once."""
    row = 0
    for sources, categories in _contents(part):
        first = max(0, start - row)
        last = None if stop is None else max(0, stop - row)
        row += len(sources)
        sources, categories = sources[first:last], categories[first:last]
        for at in range(0, len(sources), ROWS_AT_ONCE):
            chunk = slice(at, at + ROWS_AT_ONCE)
            yield list(sources[chunk]), list(categories[chunk])
