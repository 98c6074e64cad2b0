"""From picture sources to vectors, through the cache and the network.

A batch of pictures is read, decoded and put through the network by one thread; as
many threads as there are processors each have a batch. On a CPU that is all there
is to sharing out the work; on a GPU, one batch is on the device while the others
are being decoded.
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

import numpy as np

from orangecontrib.imageanalytics.engine.cache import VectorCache, is_settled
from orangecontrib.imageanalytics.engine.device import workers
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

TICK_SECONDS = 0.2  # between two looks at whether to stop
# Downloaded pictures are held in memory until they are decoded: so many wait for
# a batch, and a batch has no more of them.
FETCHED_AHEAD = 4
MOST_FETCHED = 4
_PART_BYTES = 1 << 22


@dataclass
class Statistics:
    """What a run did; pictures are counted by rows, seconds are wall time."""

    n_images: int = 0
    n_embedded: int = 0
    n_failed: int = 0
    n_cached: int = 0
    seconds: float = 0.0
    device: str = ""


@dataclass
class Embedded:
    """The result of a run.

    Attributes
    ----------
    vectors : numpy.ndarray
        float32, shape (n different sources, n_features).
    rows : numpy.ndarray
        int, shape (n sources,): the row of `vectors`, -1 where there is none.
    failures : dict of str to str
        Source to the reason why it has no vector.
    statistics : Statistics
    """

    vectors: np.ndarray
    rows: np.ndarray
    failures: dict[str, str]
    statistics: Statistics

    def per_source(self) -> list[np.ndarray | None]:
        """The vector of each source, shape (n_features,), or None."""
        return [self.vectors[row] if row >= 0 else None for row in self.rows]

    def feature(self, index: int) -> np.ndarray:
        """One number a source, nan where there is no vector; shape (n sources,)."""
        values = np.full(len(self.rows), np.nan)
        embedded = self.rows >= 0
        if embedded.any():
            values[embedded] = self.vectors[self.rows[embedded], index]
        return values


@dataclass
class _Picture:
    """One picture on its way."""

    index: int
    source: str
    content: bytes | None = None
    stamp: tuple[int, int] | None = None  # size and time of change of a file
    digest: bytes | None = None
    same_as_other: bool = False
    square: object = None
    vector: np.ndarray | None = None
    cached: bool = False
    precision: str = ""
    reason: str | None = None


@dataclass
class Run:
    """Embeds a list of sources, once.

    Parameters
    ----------
    runner : Runner
        Loads the network when the first picture is to go through it.
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
        # finding its key again for each picture would take time.
        self.space = functools.cache(self.space)
        unique = list(dict.fromkeys(s for s in sources if s is not None))
        self._sources = unique
        self._vectors = np.empty((len(unique), 0), np.float32)
        self._from_cache = np.zeros(len(unique), bool)
        self._stamps: dict[int, tuple[int, int]] = {}
        self._claimed: set[bytes] = set()
        self._claim_lock = threading.Lock()
        self._digests: dict[str, bytes] = {}  # of files with several pages
        self._digest_lock = threading.Lock()
        self._threads: set[int] = set()
        self._settled: dict[bytes, _Picture] = {}
        self._waiting: dict[bytes, list[_Picture]] = {}
        self._pending = set()
        self._done = 0
        try:
            self._compute(self._look_up_files())
        finally:
            if self.cache is not None:
                self.cache.flush()
        self._tick()
        return self._result(sources, time.perf_counter() - start)

    def _result(self, sources, seconds):
        position = {source: index for index, source in enumerate(self._sources)}
        for source in self.failures:
            del position[source]
        rows = np.array([position.get(s, -1) for s in sources], dtype=int)
        embedded = rows >= 0
        statistics = Statistics(
            n_images=len(sources),
            n_embedded=int(embedded.sum()),
            n_failed=int((~embedded).sum()),
            n_cached=int(self._from_cache[rows[embedded]].sum()),
            seconds=seconds,
            device=self.runner.device_name,
        )
        return Embedded(self._vectors, rows, self.failures, statistics)

    # Files that have not changed --------------------------------------------------

    def _look_up_files(self) -> list[int]:
        """Take what the cache knows by path; return what is left to do."""
        left = []
        everything = range(len(self._sources))
        for start in range(0, len(everything), 500):
            self._tick()
            part = everything[start : start + 500]
            found = self._find_files(part) if self.cache is not None else {}
            for index in part:
                vector = found.get(self._sources[index])
                if vector is None:
                    left.append(index)
                else:
                    self._take(index, vector, cached=True)
        return left

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
        if not indices:
            return
        n_threads = min(workers(), len(indices))
        size = max(1, min(self.runner.batch_size, len(indices) // n_threads))
        pool = ThreadPoolExecutor(
            n_threads, "embedding", initializer=self._start_thread
        )
        with self.runner.sharing():
            try:
                for batch in self._batches(indices, size):
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
                # Threads still in a layer or in a decoder end after it, unheard.
                pool.shutdown(wait=False, cancel_futures=True)

    def _start_thread(self):
        self.runner.start_thread()
        self._threads.add(threading.get_ident())

    def _batches(self, indices, size):
        """Lists of local pictures, then of remote ones as they arrive."""
        remote, local = {}, []
        for index in indices:
            source = self._sources[index]
            if is_remote(source):
                remote.setdefault(split_page(source)[0], []).append(index)
            else:
                local.append(_Picture(index, source, stamp=self._stamps.get(index)))
        arriving = self._arriving(remote) if remote else iter(())
        for start in range(0, len(local), size):
            yield local[start : start + size]
        while batch := list(itertools.islice(arriving, min(size, MOST_FETCHED))):
            yield batch

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
                for index in remote[url]:
                    picture = _Picture(index, self._sources[index])
                    if isinstance(content, ImageError):
                        picture.reason = str(content)
                    else:
                        picture.content = content
                    yield picture

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

    def _process(self, batch: list[_Picture]) -> list[_Picture]:
        """Read, decode and embed; failures are in the pictures."""
        for picture in batch:
            if self.cancelled.is_set():
                raise Cancelled
            if picture.reason is None:
                self._load(picture)
        decoded = [picture for picture in batch if picture.square is not None]
        if decoded:
            squares = np.stack([picture.square for picture in decoded])
            vectors, precision = self.runner(squares, self.cancelled)
            for picture, vector in zip(decoded, vectors, strict=True):
                picture.square = None
                picture.vector, picture.precision = vector, precision
        return batch

    def _load(self, picture):
        """Make the square, unless its vector is known or another makes it."""
        try:
            with opened(picture.source, picture.content) as (content, page):
                picture.content = None
                picture.digest = self._digest(content, page)
                if not self._claim(picture.digest):
                    picture.same_as_other = True
                    return
                picture.vector = self._known(picture.digest)
                if picture.vector is not None:
                    picture.cached = True
                    return
                preprocessing = self.runner.preprocessing
                image = decode(
                    content, preprocessing.decode_size, page, self.runner.intensity
                )
            picture.square = preprocessing.square(image)
        except ImageError as error:
            picture.reason = str(error)
        except MemoryError:
            picture.reason = "too large for this computer's memory"

    def _digest(self, content, page) -> bytes:
        """SHA-256 of what is embedded: of a file, or of a page of it."""
        if isinstance(content, bytes):
            digest = hashlib.sha256(content).digest()
        else:
            # Once a run: the next rows are its next pages.
            with self._digest_lock:
                digest = self._digests.get(content.name)
                if digest is None:
                    digest = self._digests[content.name] = _digest_of_file(content)
        if page is None:
            return digest
        return hashlib.sha256(page_source(digest.hex(), page).encode()).digest()

    def _claim(self, digest) -> bool:
        with self._claim_lock:
            if digest in self._claimed:
                return False
            self._claimed.add(digest)
            return True

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
                for picture in future.result():
                    self._settle(picture)

    def _settle(self, picture):
        digest = picture.digest
        if picture.same_as_other:
            twin = self._settled.get(digest)
            if twin is None:
                self._waiting.setdefault(digest, []).append(picture)
                return
            picture.vector, picture.reason = twin.vector, twin.reason
            picture.cached = twin.cached
        elif digest is not None:
            self._settled[digest] = picture
            self._keep(picture)
        self._finish(picture)
        for other in self._waiting.pop(digest, ()):
            self._settle(other)

    def _keep(self, picture):
        """Into the cache."""
        if self.cache is None or picture.vector is None or picture.cached:
            return
        space = self.space(picture.precision)
        self.cache.add(picture.digest, space, picture.vector)

    def _finish(self, picture):
        if picture.vector is None:
            self.failures[picture.source] = picture.reason
            self._done += 1
            return
        if self.cache is not None and picture.stamp is not None:
            self.cache.add_file(picture.source, *picture.stamp, picture.digest)
        self._take(picture.index, picture.vector, picture.cached)
        # A row of the result instead of a copy: twins may still ask for it.
        picture.vector = self._vectors[picture.index]

    def _take(self, index, vector, cached):
        if not self._vectors.shape[1]:  # the first tells how long they are
            self._vectors = np.empty((len(self._vectors), len(vector)), np.float32)
        self._vectors[index] = vector
        self._from_cache[index] = cached
        self._done += 1

    def _tick(self):
        if self.cancelled.is_set():
            raise Cancelled
        self.callback(self._done / len(self._sources) if self._sources else 1.0)


def _digest_of_file(file) -> bytes:
    digest = hashlib.sha256()
    while part := file.read(_PART_BYTES):
        digest.update(part)
    file.seek(0)
    return digest.digest()
