"""Images from the web and from stores: in parallel, bounded.

Each download runs in its own daemon thread, and the caller waits with a deadline.
Therefore no server or name service can delay the caller, a cancellation or the end of
the program.
"""

import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.hosts import Hosts, host_of
from orangecontrib.imageanalytics.images.http_cache import CACHE_BYTES
from orangecontrib.imageanalytics.images.members import (
    CHANGED,
    Member,
    check_size,
    is_compressed,
    member_data,
    split_member,
)
from orangecontrib.imageanalytics.images.sources import (
    is_remote,
    is_url,
    read_local,
)
from orangecontrib.imageanalytics.images.stores import Empty, is_store, read
from orangecontrib.imageanalytics.images.web import Web

log = logging.getLogger(__name__)

POLL = 0.1


class Fetcher:
    """Downloads images; a context manager.

    Threads may share one fetcher. A host that cannot be reached is not asked again
    during the life of the fetcher: its other addresses fail at once, with the same
    reason. When a server fails, a cached copy of any age is used, unless the server
    has forbidden that.

    Parameters
    ----------
    connect_timeout : float
        Longest wait for a connection, in seconds.
    read_timeout : float
        Longest silence of a server, in seconds.
    total_timeout : float
        Longest time for one image, redirects included, in seconds.
    max_bytes : int
        Largest image, in bytes, both as sent and uncompressed.
    workers : int
        Downloads at one time, which is also how many results wait in memory.
    cache_dir : str or None
        Folder of the cache; "" is the default one, None is no cache. If it
        cannot be used, a warning is logged and nothing is cached.
    cache_bytes : int
        Size above which the least recently used images leave the cache.
    """

    def __init__(
        self,
        connect_timeout: float = 10,
        read_timeout: float = 20,
        total_timeout: float = 120,
        max_bytes: int = 100_000_000,
        workers: int = 16,
        cache_dir: str | None = "",
        cache_bytes: int = CACHE_BYTES,
    ):
        self._total_timeout = total_timeout
        self._max_bytes = max_bytes
        self._workers = workers
        self._hosts = Hosts(patience=workers)
        self._web = Web(
            self._hosts,
            connect_timeout,
            read_timeout,
            total_timeout,
            max_bytes,
            cache_dir,
            cache_bytes,
        )

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and cache; downloads under way are given up."""
        self._web.close()

    def fetch(self, url: str, cancelled: threading.Event | None = None) -> bytes:
        """Download one image.

        Parameters
        ----------
        url : str
            An http, https or ftp address, an address in a store, or a file in a tar
            file with such an address.
        cancelled : threading.Event, optional
            Setting it ends the download at once.

        Returns
        -------
        bytes
            The file, uncompressed if the server compressed it for sending.

        Raises
        ------
        ImageError
            The reason, such as "404 Not Found".
        """
        for _, result in self.fetch_all([url], cancelled):
            if isinstance(result, ImageError):
                raise result
            return result
        raise ImageError("the download was cancelled")

    def fetch_all(
        self, urls: Iterable[str], cancelled: threading.Event | None = None
    ) -> Iterator[tuple[str, bytes | ImageError]]:
        """Download images in parallel.

        Parameters
        ----------
        urls : iterable of str
            As for `fetch`; read only as fast as results are taken.
        cancelled : threading.Event, optional
            Setting it ends the iteration at once, whatever the servers do.

        Yields
        ------
        tuple of (str, bytes or ImageError)
            An address and its file, or why there is none; as they come in.
        """
        urls = iter(urls)
        running: dict[object, tuple[str, float]] = {}
        finished: queue.SimpleQueue = queue.SimpleQueue()
        while cancelled is None or not cancelled.is_set():
            for url in itertools.islice(urls, self._workers - len(running)):
                ticket, deadline = object(), time.monotonic() + self._total_timeout
                running[ticket] = url, deadline
                arguments = (url, deadline, ticket, finished)
                threading.Thread(target=self._run, args=arguments, daemon=True).start()
            if not running:
                return
            try:
                ticket, result = finished.get(timeout=POLL)
            except queue.Empty:
                yield from self._give_up(running)
            else:
                # Those given up may end later; their result was told already.
                if ticket in running:
                    yield running.pop(ticket)[0], result

    def _give_up(self, running: dict) -> Iterator[tuple[str, ImageError]]:
        now = time.monotonic()
        for ticket, (url, deadline) in list(running.items()):
            if deadline <= now:
                del running[ticket]
                error = self._web.too_slow()
                if not is_store(url):
                    self._hosts.failed(host_of(url), str(error))
                yield url, error

    def _run(self, url, deadline, ticket, finished) -> None:
        try:
            result = self._download(url, deadline)
        except ImageError as error:
            # A new one: the traceback of the old one keeps the download in memory.
            result = ImageError(str(error), error.transient)
        except Exception as error:
            if not self._web.closed:
                log.warning("Unexpected error for %s", url, exc_info=True)
            result = ImageError(f"unexpected error ({type(error).__name__})")
        finished.put((ticket, result))

    def _download(self, url: str, deadline: float) -> bytes:
        if not is_remote(url) and is_url(url):
            return read_local(url, self._max_bytes)  # from a copy made meanwhile
        found = split_member(url)
        if found is not None:
            return self._member(*found, deadline)
        if is_store(url):
            return read(url, self._max_bytes)
        return self._web.read(url, deadline)

    def _member(self, shard: str, member: Member, deadline: float) -> bytes:
        if is_compressed(shard):
            raise ImageError(
                "in a compressed tar file, which has to be on this computer to be read"
            )
        check_size(member, self._max_bytes)
        start, end = member.start, member.end
        if is_store(shard):
            try:
                part = read(shard, end - start, start, end)
            except Empty as error:
                raise ImageError(CHANGED) from error
        else:
            part = self._web.read(shard, deadline, f"bytes={start}-{end - 1}")
        return member_data(member, part)
