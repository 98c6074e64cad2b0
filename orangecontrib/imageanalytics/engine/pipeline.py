"""From image sources to vectors, through the cache and the network.

A batch of images is read, decoded and put through the network by one thread; as
many threads as there are processors, or twice as many where the engine has threads of
its own, each have a batch. On a CPU that is all there is to sharing out the work; on a
GPU, one batch is on the device while the others are being decoded, by the GPU itself
where it can.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import queue
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.engine.cache import VectorCache, is_settled
from orangecontrib.imageanalytics.engine.device import workers
from orangecontrib.imageanalytics.engine.results import Collector, Embedded
from orangecontrib.imageanalytics.engine.runner import Runner
from orangecontrib.imageanalytics.errors import Cancelled, ImageError
from orangecontrib.imageanalytics.images import helper
from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.sources import (
    is_remote,
    opened,
    page_source,
    split_page,
    stamp,
)

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.engine.device_decoding import Jpeg

TICK_SECONDS = 0.2  # between two looks at whether to stop
# Downloaded images are held in memory until they are decoded: so many wait for
# a batch, and a batch has no more of them.
FETCHED_AHEAD = 4
MOST_FETCHED = 4
MOST_DIGESTS = 100_000  # kept of files with several pages
_PART_BYTES = 1 << 22
# Content that a thread gathers before the device decodes it in one go.
_GATHERED_BYTES = 1 << 25


@dataclass
class _QueuedImage:
    """One image on its way; few are at a time."""

    index: int
    source: str
    content: bytes | None = None
    digest: bytes | None = None
    same_as_other: bool = False
    jpeg: Jpeg | None = None  # until the device has decoded it
    square: object = None
    vector: np.ndarray | None = None
    cached: bool = False
    precision: str = ""
    reason: str | None = None


@dataclass
class Pipeline:
    """Embeds a list of sources, once.

    Parameters
    ----------
    runner : Runner
        Loads the network when the first image is to go through it.
    space : callable
        From a precision to the key of the cache's space.
    cache : VectorCache or None
    callback : callable
        Called in the caller's thread, several times a second, with the fraction
        done. What it raises stops the run.
    cancelled : threading.Event
        Stops the run when set.
    """

    runner: Runner
    space: object
    cache: VectorCache | None
    callback: object
    cancelled: threading.Event
    failures: dict[str, str] = field(default_factory=dict)

    def __call__(self, sources: list[str | None]) -> Embedded:
        """Embed; `sources` are paths or URLs, None where missing.

        Raises
        ------
        Cancelled
            When stopped by `cancelled`; what was finished is in the cache.
        """
        start = time.perf_counter()
        # A file with the network that is changed meanwhile does not matter, and
        # finding its key again for each image would take time.
        self.space = functools.cache(self.space)
        self._results = Collector(sources, self.failures)
        self._sources = self._results.sources
        # Size and time of change of files; no file with a vector has the size 0.
        self._stamps = np.zeros((len(self._sources), 2), np.int64)
        # From the SHA-256 to the first image with it, for all that are the same.
        self._first: dict[bytes, int] = {}
        self._claim_lock = threading.Lock()
        self._twins: dict[int, list[int]] = {}  # that wait for their first
        self._digests: dict[str, bytes] = {}  # of files with several pages
        self._digest_lock = threading.Lock()
        self._threads: set[int] = set()
        self._pending = set()
        try:
            self._look_up_files()
            self._compute(self._results.waiting())
        finally:
            if self.cache is not None:
                self.cache.flush()
        self._tick()
        seconds = time.perf_counter() - start
        return self._results.embedded(seconds, self.runner.device_name)

    # Files that have not changed --------------------------------------------------

    def _look_up_files(self):
        """Take what the cache knows by path."""
        if self.cache is None:
            return
        everything = range(len(self._sources))
        for start in range(0, len(everything), 500):
            self._tick()
            part = everything[start : start + 500]
            found = self._find_files(part)
            for index in part:
                vector = found.get(self._sources[index])
                if vector is not None:
                    self._results.take(index, vector, cached=True)

    def _find_files(self, indices):
        files = []
        for index in indices:
            found = stamp(self._sources[index])
            if found is not None:
                if is_settled(found[1]):
                    self._stamps[index] = found
                files.append((self._sources[index], *found))
        return self.cache.find_files(files, self.space(self.runner.precision))

    # The rest ---------------------------------------------------------------------

    def _compute(self, indices):
        if not len(indices):
            return
        n_threads = min(workers() * self.runner.threads_per_stream, len(indices))
        pool = ThreadPoolExecutor(
            n_threads, "embedding", initializer=self._start_thread
        )
        with self.runner.sharing():
            try:
                for batch in self._batches(indices, n_threads):
                    self._pending.add(pool.submit(self._process, batch))
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
                # Threads in a layer or a decoder end after it; nobody waits for them.
                pool.shutdown(wait=False, cancel_futures=True)

    def _start_thread(self):
        self.runner.start_thread()
        self._threads.add(threading.get_ident())

    def _batches(self, indices, n_threads):
        """Lists of local images, then of remote ones as they arrive.

        The last are shorter, so that no thread works on while the others are done.
        """
        size, left = self.runner.batch_size, len(indices)
        remote = {}
        for index in map(int, indices):
            if is_remote(self._sources[index]):
                url, _page = split_page(self._sources[index])
                remote.setdefault(url, []).append(index)
        arriving = self._arriving(remote) if remote else iter(())
        for images, most in (
            (self._local(indices), size),
            (arriving, min(size, MOST_FETCHED)),
        ):
            while batch := list(
                itertools.islice(images, min(most, -(-left // n_threads)))
            ):
                left -= len(batch)
                yield batch

    def _local(self, indices):
        for index in map(int, indices):
            source = self._sources[index]
            if not is_remote(source):
                yield _QueuedImage(index, source)

    def _arriving(self, remote):
        """Download in the background from now on; give what has arrived."""
        arrived = queue.Queue(FETCHED_AHEAD)
        thread = threading.Thread(
            target=self._fetch, args=(list(remote), arrived), daemon=True
        )
        thread.start()

        def give():
            while (answer := self._next(arrived)) is not None:
                url, content = answer
                for index in remote.pop(url):
                    image = _QueuedImage(index, self._sources[index])
                    if isinstance(content, ImageError):
                        image.reason = str(content)
                    else:
                        image.content = content
                    yield image

        return give()

    def _fetch(self, urls, arrived):
        def put(answer):
            while not self.cancelled.is_set():
                try:
                    return arrived.put(answer, timeout=TICK_SECONDS)
                except queue.Full:
                    continue

        try:
            cache = {} if self.cache is not None else {"cache_dir": None}
            with Fetcher(**cache) as fetcher:
                for answer in fetcher.fetch_all(urls, self.cancelled):
                    put(answer)
        except Exception as error:  # for the thread that waits
            put(error)
        put(None)

    def _next(self, arrived):
        while True:
            try:
                answer = arrived.get(timeout=TICK_SECONDS)
            except queue.Empty:
                self._collect(0)
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer

    # In the threads -----------------------------------------------------------------

    def _process(self, batch: list[_QueuedImage]) -> list[_QueuedImage]:
        """Read, decode and embed; failures are in the images."""
        decoder = self.runner.decoder
        gathered = []
        for image in batch:
            if self.cancelled.is_set():
                raise Cancelled
            if image.reason is None:
                self._load(image, decoder)
            if image.jpeg is not None:
                gathered.append(image)
            if sum(len(p.jpeg.content) for p in gathered) > _GATHERED_BYTES:
                self._decode_on_device(gathered, decoder)
                gathered = []
        if gathered:
            self._decode_on_device(gathered, decoder)
        decoded = [image for image in batch if image.square is not None]
        if self.cancelled.is_set():  # or the network would be loaded for nobody
            raise Cancelled
        if decoded:
            squares = np.stack([image.square for image in decoded])
            vectors, precision = self.runner(squares, self.cancelled)
            for image, vector in zip(decoded, vectors, strict=True):
                image.square = None
                image.vector, image.precision = vector, precision
        return batch

    def _load(self, image, decoder):
        """Make the square, unless its vector is known or another makes it.

        What the device is to decode is left to `_decode_on_device`.
        """
        with (
            _NotingFailure(image),
            opened(image.source, image.content) as (content, page),
        ):
            image.content = None
            image.digest = self._digest(content, page)
            if not self._claim(image):
                image.same_as_other = True
                return
            image.vector = self._known(image.digest)
            if image.vector is not None:
                image.cached = True
                return
            if decoder is not None and page is None:
                image.jpeg = decoder.open(content)
            if image.jpeg is None:
                image.square = self._square(content, page)

    def _square(self, content, page=None):
        preprocessing = self.runner.preprocessing
        image = decode(content, preprocessing.decode_size, page, self.runner.intensity)
        return preprocessing.square(image)

    def _decode_on_device(self, images, decoder):
        """Make the squares there; here, where that fails."""
        squares = decoder([image.jpeg for image in images])
        for image, square in zip(images, squares, strict=True):
            content, image.jpeg = image.jpeg.content, None
            with _NotingFailure(image):
                image.square = self._square(content) if square is None else square

    def _digest(self, content, page) -> bytes:
        """SHA-256 of what is embedded: of a file, or of a page of it."""
        if isinstance(content, bytes):
            digest = hashlib.sha256(content).digest()
        else:
            # Once a run: the next rows are its next pages.
            with self._digest_lock:
                digest = self._digests.get(content.name)
                if digest is None:
                    if len(self._digests) == MOST_DIGESTS:
                        del self._digests[next(iter(self._digests))]
                    digest = self._digests[content.name] = _digest_of_file(content)
        if page is None:
            return digest
        return hashlib.sha256(page_source(digest.hex(), page).encode()).digest()

    def _claim(self, image) -> bool:
        """Whether an image is the first of those with the same bytes."""
        with self._claim_lock:
            first = self._first.setdefault(image.digest, image.index)
        return first == image.index

    def _known(self, digest):
        if self.cache is None:
            return None
        return self.cache.find(digest, self.space(self.runner.precision))

    # Back in the caller's thread ------------------------------------------------------

    def _collect(self, timeout=TICK_SECONDS):
        done, self._pending = wait(self._pending, timeout, FIRST_COMPLETED)
        self._settle_done(done)
        if self.cache is not None:
            self.cache.flush_if_due()
        for future in done:
            future.result()
        self._tick()

    def _settle_done(self, futures):
        """Take what is finished; batches that failed are left out."""
        for future in futures:
            finished = future.done() and not future.cancelled()
            if finished and future.exception() is None:
                for image in future.result():
                    self._settle(image)

    def _settle(self, image):
        if image.same_as_other:
            first = self._first[image.digest]
            if self._results.is_waiting(first):
                self._twins.setdefault(first, []).append(image.index)
            else:
                self._settle_twin(image.index, first, image.digest)
            return
        if image.vector is None:
            self._results.fail(image.index, image.reason)
        else:
            self._results.take(image.index, image.vector, image.cached)
            self._keep(image)
            self._keep_file(image.index, image.digest)
        for twin in self._twins.pop(image.index, ()):
            self._settle_twin(twin, image.index, image.digest)

    def _settle_twin(self, index, first, digest):
        if self._results.share(index, first):
            self._keep_file(index, digest)

    def _keep(self, image):
        """Into the cache."""
        if self.cache is not None and not image.cached:
            space = self.space(image.precision)
            self.cache.add(image.digest, space, image.vector)

    def _keep_file(self, index, digest):
        """Into the cache: what a file held when it had its stamp."""
        size, changed = self._stamps[index].tolist()
        if size:
            self.cache.add_file(self._sources[index], size, changed, digest)

    def _tick(self):
        if self.cancelled.is_set():
            raise Cancelled
        self.callback(self._results.fraction)


class _NotingFailure:
    """Lets an image fail; a generator, and the batch, would be kept by the error."""

    def __init__(self, image):
        self._image = image

    def __enter__(self):
        pass

    def __exit__(self, _kind, error, _traceback):
        if isinstance(error, ImageError):
            self._image.reason = str(error)
        elif isinstance(error, MemoryError):
            self._image.reason = "too large for this computer's memory"
        else:
            return False
        return True


def _digest_of_file(file) -> bytes:
    digest = hashlib.sha256()
    while part := file.read(_PART_BYTES):
        digest.update(part)
    file.seek(0)
    return digest.digest()
