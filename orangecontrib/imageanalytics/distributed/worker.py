"""The work of a worker: embed a part and write its file.

Each worker process has the network once, in the plugin that the job registers. One
part at a time uses it, in as many threads as the worker may use, so that parts need
little memory and finish soon.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from distributed import WorkerPlugin, get_worker

from orangecontrib.imageanalytics.distributed.job import Job, JobError
from orangecontrib.imageanalytics.distributed.listing import Part, members_of
from orangecontrib.imageanalytics.distributed.output import (
    Output,
    part_name,
    piece_name,
)
from orangecontrib.imageanalytics.distributed.part_files import PartResult, PartWriter
from orangecontrib.imageanalytics.engine import device
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.engine.results import Embedded
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.images.shards import ShardError, local_copy
from orangecontrib.imageanalytics.images.sources import is_url

ROWS_AT_ONCE = 10_000  # that are embedded before they are written
REPORT_SECONDS = 1.0
WAIT_SECONDS = 60  # for the plugin, in a worker that has just started
# Between attempts to read images from a store that does not answer. Each attempt
# consists of several, seconds apart.
PAUSES = (5.0, 30.0)
# So many images from the web may fail in any part without the run being stopped.
FEW = 10
# An image alone kills so many processes before it is given up.
ATTEMPTS = 3
# What a row says whose image kills the process.
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
        self._embedder = None
        self.lock = threading.Lock()  # last: with it, the plugin is ready

    def teardown(self, worker) -> None:
        """Called by Dask when the job ends or the worker stops."""
        embedder, self._embedder = self._embedder, None
        if embedder is not None:
            embedder.close()

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
        spec.network.named(spec.preprocessing).ensure_weights()
        found = spec.found()  # with the weights that the user has there
        if self.options.trust:
            found.network.vouch()
        return found

    def is_wanted(self, key: str) -> bool:
        """Whether anybody waits for the result of a task."""
        task = self.worker.state.tasks.get(key)
        return task is not None and task.state not in _UNWANTED

    def report(self, key: str, n_images: int) -> None:
        """Tell the client how many images of a task are done."""
        message = {"key": key, "n_images": n_images}
        self.worker.loop.add_callback(self.worker.log_event, self.name, message)


_UNWANTED = ("cancelled", "released", "forgotten")


class _Task:
    """
    A running task: what it belongs to, whether it is wanted, and how far it is.

    Parameters
    ----------
    plugin_name : str
    part : Part
        Without its images.
    """

    def __init__(self, plugin_name: str, part: Part):
        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self.plugin = self._find_plugin(plugin_name)
        self.output = Output(self.plugin.address)
        self._part = part
        self.cancelled = threading.Event()
        self._ended = threading.Event()
        self._n_done = self._n_now = 0
        self._reported = 0.0

    def _find_plugin(self, name: str) -> EmbeddingPlugin:
        """The plugin, which a worker that has just started may not have yet."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            plugin = self._worker.plugins.get(name)
            if hasattr(plugin, "lock"):
                return plugin
            time.sleep(0.05)
        raise RuntimeError(f"the worker {self._worker.address} did not get its plugin")

    @functools.cached_property
    def part(self) -> Part:
        """The part, with its images."""
        return self.output.with_images(self._part)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While no other task of this process works; `cancelled` is set when needed.

        Raises
        ------
        Cancelled
            When nobody waits for the result.
        """
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            with self.plugin.lock:
                self.check_wanted()
                yield
        finally:
            self._ended.set()

    def _watch(self):
        while not self._ended.wait(0.3):
            if not self.plugin.is_wanted(self._key):
                self.cancelled.set()
                return

    def check_wanted(self) -> None:
        """
        Raises
        ------
        Cancelled
            When nobody waits for the result.
        """
        if self.cancelled.is_set():
            raise Cancelled

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[PartWriter]:
        """Write a file of the output."""
        _, n_features = self.plugin.load()
        description = self.plugin.job.describe()["embedding"]
        with (
            self.output.complete(name) as path,
            PartWriter(path, n_features, description, self.part.digest()) as writer,
        ):
            yield writer

    def embed(self, sources: Sequence[str | None]) -> Embedded:
        """Embed rows, and those again that a busy store has not given."""
        embedder, _ = self.plugin.load()
        self._n_now = len(sources)
        embedded = embedder(sources, self._report, self.cancelled, with_sizes=True)
        for pause in PAUSES:
            if not embedded.transient:
                break
            self.cancelled.wait(pause)
            self.check_wanted()
            again = sorted(embedded.transient)
            _merge(
                sources,
                embedded,
                again,
                embedder(again, None, self.cancelled, with_sizes=True),
            )
        if _is_interrupted(embedded.transient, len(sources)):
            source = min(embedded.transient)
            raise JobError(f"{source}: {embedded.failures[source]}")
        self._n_done += len(sources)
        return embedded

    def _report(self, fraction: float) -> None:
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            self.plugin.report(self._key, self._n_done + round(fraction * self._n_now))

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[tuple]:
        """Sources and categories of consecutive rows, some at a time.

        Raises
        ------
        ShardError
            When the shard is damaged from here on.
        """
        row = 0
        for sources, categories in members_of(self.part, ROWS_AT_ONCE):
            first = max(0, start - row)
            last = None if stop is None else max(0, stop - row)
            row += len(sources)
            if sources[first:last]:
                yield sources[first:last], categories[first:last]

    def copied(self):
        """Have a local copy of the shard, in a context."""
        if self.part.shard is None:
            return contextlib.nullcontext()
        # Dask removes this folder of a worker that was killed.
        folder = self._worker.local_directory
        return local_copy(self.part.shard, folder, self.cancelled)


def _is_interrupted(failed: set[str], n_sources: int) -> bool:
    """Whether so many images failed for a moment that a later run should read them."""
    if len(failed) <= n_sources // 2:
        return False
    # Of a few web servers, each may be gone for good; a disk or store is not.
    return len(failed) > FEW or not all(map(_is_on_web, failed))


def _is_on_web(source: str) -> bool:
    return is_url(source) and not stores.is_store(source)


def _merge(sources, embedded: Embedded, again: list[str], later: Embedded) -> None:
    """Put the results of another attempt into those of the first."""
    # Where no image has a vector, the length of vectors is not known.
    if not embedded.vectors.shape[1]:
        embedded.vectors = later.vectors[:0]
    n_before = len(embedded.vectors)
    if later.vectors.shape[1]:
        embedded.vectors = np.concatenate([embedded.vectors, later.vectors])
    numbers = {source: number for number, source in enumerate(again)}
    for row, source in enumerate(sources):
        number = numbers.get(source)
        if number is None:
            continue
        if later.rows[number] >= 0:
            embedded.rows[row] = n_before + later.rows[number]
            embedded.failures.pop(source, None)
        embedded.sizes[row] = later.sizes[number]
    embedded.failures.update(later.failures)
    embedded.transient = later.transient


def embed_part(
    plugin_name: str, part: Part, start: int = 0, stop: int | None = None
) -> PartResult | None:
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
    PartResult or None
        None for a single image that has killed each process which read it.

    Raises
    ------
    ModelError, ValueError
        When the network cannot be used.
    OSError
        When the file cannot be written.
    JobError
        When a disk, store or server does not give the images for now.
    Cancelled
        When nobody waits for the result.
    """
    task = _Task(plugin_name, part)
    name = part_name(part.number) if stop is None else piece_name(part.number, start)
    with task.alone():
        # Dask asks again if the worker that knew the result was lost.
        with contextlib.suppress(FileNotFoundError):
            return PartResult.from_json(task.output.about(name))
        if stop is not None:
            task.output.make_pieces_folder()
        task.plugin.load()  # if this kills, it is not the image
        if stop == start + 1 and task.output.note_attempt(name) >= ATTEMPTS:
            return None
        with task.writing(name) as writer:
            try:
                with task.copied():
                    for sources, categories in task.rows(start, stop):
                        writer.write(sources, categories, task.embed(sources))
            except ShardError as error:
                if error.transient:
                    raise JobError(str(error)) from error
                writer.write_failures([part.shard], [], str(error))
    return writer.result


def count_rows(plugin_name: str, part: Part) -> int:
    """The number of rows of a part, of which one may be about damage of the shard."""
    task = _Task(plugin_name, part)
    n_rows = 0
    with task.alone():
        try:
            with task.copied():
                for sources, _ in task.rows():
                    task.check_wanted()
                    n_rows += len(sources)
        except ShardError:
            n_rows += 1
    return n_rows


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
        Rows of images that kill the process which reads them. Together with the
        pieces, they make up the part.

    Returns
    -------
    PartResult
    """
    import pyarrow.parquet as pq

    task = _Task(plugin_name, part)
    with task.alone():
        lost = dict(_chosen_rows(task, set(killers)))
        with task.writing(part_name(part.number)) as writer:
            for row in sorted([*starts, *killers]):
                task.check_wanted()
                if row in lost:
                    source, category = lost[row]
                    writer.write_failures([source], [category], KILLS)
                    continue
                with task.output.opened(piece_name(part.number, row)) as file:
                    piece = pq.ParquetFile(file)
                    for group in range(piece.num_row_groups):
                        writer.write_table(piece.read_row_group(group))
    return writer.result


def _chosen_rows(task: _Task, wanted: set[int]) -> Iterator[tuple[int, tuple]]:
    """Some rows of a part by their numbers, each a source and its category."""
    if not wanted:
        return
    row = 0
    with contextlib.suppress(ShardError), task.copied():
        for sources, categories in task.rows():
            for source, category in zip(sources, categories, strict=True):
                if row in wanted:
                    yield row, (source, category)
                row += 1
