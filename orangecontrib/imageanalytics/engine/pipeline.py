"""Turn image sources into vectors, with the cache and the network.

One thread reads and decodes a batch of images and runs the network on it. There are as
many threads as processors, or twice as many if the engine has its own threads. On a
CPU, the work is not divided any further. On a GPU, one batch is on the device while the
others are decoded, by the GPU itself if possible.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np

from orangecontrib.imageanalytics.engine.batches import BatchEmbedder, QueuedImage
from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.engine.device import workers
from orangecontrib.imageanalytics.engine.digests import Twins
from orangecontrib.imageanalytics.engine.downloads import TICK_SECONDS, Downloads
from orangecontrib.imageanalytics.engine.known_vectors import KnownVectors
from orangecontrib.imageanalytics.engine.results import Collector, Embedded
from orangecontrib.imageanalytics.engine.runner import Runner, look
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import helper
from orangecontrib.imageanalytics.images.sources import is_remote, split_page

# Downloaded images are held in memory until they are decoded: so many bytes, shared by
# all batches.
FETCHED_BYTES = 1 << 28
_FILES_AT_ONCE = 500  # that are looked up between two looks at whether to stop


@dataclass
class Pipeline:
    """Embeds a list of sources, once.

    Parameters
    ----------
    runner : Runner
        Loads the network when it is first needed.
    space : callable
        Takes a precision and returns the key of the cache's space.
    cache : VectorCache or None
    callback : callable
        Called in the caller's thread, several times a second, with the fraction
        done. An exception that it raises stops the run.
    cancelled : threading.Event
        Stops the run when set.
    failures : dict of str to str
        Filled with sources and why they have no vector.
    with_sizes : bool
        Whether to find the size of each image, in pixels. Each is then opened, also
        if its vector is in the cache.
    """

    runner: Runner
    space: Callable[[str], bytes]
    cache: VectorCache | None
    callback: Callable[[float], None]
    cancelled: threading.Event
    failures: dict[str, str] = field(default_factory=dict)
    with_sizes: bool = False

    def __call__(self, sources: list[str | None]) -> Embedded:
        """Embed sources, which are paths or URLs, or None if missing.

        Raises
        ------
        Cancelled
            When stopped by `cancelled`; finished vectors are in the cache.
        """
        start = time.perf_counter()
        self._results = Collector(sources, self.failures, self.with_sizes)
        self._sources = self._results.sources
        self._known = KnownVectors(self.cache, self.space, self._sources)
        self._twins = Twins()
        self._threads: set[int] = set()
        self._pending: set[Future] = set()
        try:
            self._look_up_files()
            self._compute(self._results.waiting())
        finally:
            self._known.flush()
        self._tick()
        seconds = time.perf_counter() - start
        return self._results.embedded(seconds, self.runner.device_name)

    def _look_up_files(self):
        """Take the cached vectors of files that have not changed."""
        if self.cache is None or self.with_sizes:
            return
        everything = range(len(self._sources))
        for start in range(0, len(everything), _FILES_AT_ONCE):
            self._tick()
            part = everything[start : start + _FILES_AT_ONCE]
            for index, vector in self._known.of_files(part, self.runner.precision):
                self._results.take(index, vector, cached=True)

    def _compute(self, indices: np.ndarray):
        if not len(indices):
            return
        n_threads = min(workers() * self.runner.threads_per_stream, len(indices))
        embed = BatchEmbedder(
            self.runner, self._known, self._twins, self.cancelled, self.with_sizes
        )
        pool = ThreadPoolExecutor(
            n_threads, "embedding", initializer=self._start_thread
        )
        with self.runner.sharing():
            try:
                for batch in self._batches(indices, n_threads):
                    self._pending.add(pool.submit(embed, batch))
                    while len(self._pending) >= 2 * n_threads:
                        self._collect()
                while self._pending:
                    self._collect()
            except BaseException:
                self.cancelled.set()
                helper.stop(self._threads)
                self._settle_done(self._pending)
                raise
            finally:
                # Threads still in a layer or decoder end after it; nobody waits.
                pool.shutdown(wait=False, cancel_futures=True)

    def _start_thread(self):
        self.runner.start_thread()
        self._threads.add(threading.get_ident())

    # Sharing out the work -----------------------------------------------------------

    def _batches(self, indices, n_threads) -> Iterator[list[QueuedImage]]:
        """Lists of local images, then of remote ones as they arrive.

        The last lists are shorter, so that all threads finish at about the same time.
        """
        size, left = self.runner.batch_size, len(indices)
        remote: dict[str, list[int]] = {}
        for index in map(int, indices):
            if is_remote(self._sources[index]):
                url, _page = split_page(self._sources[index])
                remote.setdefault(url, []).append(index)
        arriving = self._arriving(remote) if remote else iter(())
        local = self._local(indices)
        while batch := list(itertools.islice(local, min(size, -(-left // n_threads)))):
            left -= len(batch)
            yield batch
        most_bytes = FETCHED_BYTES // (2 * n_threads)
        batch, n_bytes = [], 0
        for image in arriving:
            if image is not None:
                batch.append(image)
                n_bytes += len(image.content or b"")
            full = len(batch) >= min(size, -(-left // n_threads))
            # A thread without work need not wait for a full one.
            idle = image is None and len(self._pending) < n_threads
            if batch and (full or idle or n_bytes >= most_bytes):
                left -= len(batch)
                yield batch
                batch, n_bytes = [], 0
        if batch:
            yield batch

    def _local(self, indices) -> Iterator[QueuedImage]:
        for index in map(int, indices):
            source = self._sources[index]
            if not is_remote(source):
                yield QueuedImage(index, source)

    def _arriving(self, remote: dict[str, list[int]]) -> Iterator[QueuedImage | None]:
        """Download in the background from now on; yield what has arrived.

        While nothing arrives, yield None from time to time.
        """
        is_cached = self.cache is not None
        downloads = Downloads(list(remote), self.cancelled, is_cached)

        def give():
            for answer in downloads:
                if answer is None:
                    self._collect(0)
                    yield None
                    continue
                url, content = answer
                for index in remote.pop(url):
                    image = QueuedImage(index, self._sources[index])
                    if isinstance(content, ImageError):
                        image.fail(content)
                    else:
                        image.content = content
                    yield image

        return give()

    # Results ------------------------------------------------------------------------

    def _collect(self, timeout=TICK_SECONDS):
        done, self._pending = wait(self._pending, timeout, FIRST_COMPLETED)
        self._settle_done(done)
        self._known.flush_if_due()
        for future in done:
            future.result()
        self._tick()

    def _settle_done(self, futures: Iterable[Future]):
        """Take finished batches, without those that failed."""
        for future in futures:
            finished = future.done() and not future.cancelled()
            if finished and future.exception() is None:
                for image in future.result():
                    self._settle(image)

    def _settle(self, image: QueuedImage):
        if image.same_as_other:
            first = self._twins.first(image.digest)
            if self._results.is_waiting(first):
                self._twins.wait(image.index, first)
            else:
                self._settle_twin(image.index, first, image.digest)
            return
        if image.size is not None:
            self._results.measure(image.index, image.size)
        if image.vector is None:
            self._results.fail(image.index, image.reason, image.transient)
        else:
            self._results.take(image.index, image.vector, image.cached)
            if not image.cached:
                self._known.keep(image.digest, image.vector, image.precision)
            self._known.keep_file(image.index, image.digest)
        for twin in self._twins.pop(image.index):
            self._settle_twin(twin, image.index, image.digest)

    def _settle_twin(self, index, first, digest):
        if self._results.share(index, first):
            self._known.keep_file(index, digest)

    def _tick(self):
        look(self.cancelled)
        self.callback(self._results.fraction)
