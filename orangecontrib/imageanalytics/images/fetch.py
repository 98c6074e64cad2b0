"""Images from the web and from stores: in parallel, bounded.

Each download runs in its own daemon thread, and the caller waits with a deadline.
Therefore no server or name service can delay the caller, a cancellation or the end of
the program.

What was downloaded from the web is kept on disk between runs as HTTP allows; see
`http_cache`.
"""

import contextlib
import ftplib
import functools
import itertools
import logging
import queue
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping

from orangecontrib.imageanalytics.errors import ImageError, first_line
from orangecontrib.imageanalytics.images.addresses import check_address, invalid
from orangecontrib.imageanalytics.images.hosts import (
    Hosts,
    Transport,
    Unavailable,
    causes,
    host_of,
    status_text,
    why_no_answer,
)
from orangecontrib.imageanalytics.images.http_cache import (
    CACHE_BYTES,
    open_cache,
    remove_cache,
)
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

log = logging.getLogger(__name__)

MAX_REDIRECTS = 5
USER_AGENT = "Orange3-ImageAnalytics"
CHUNK = 1 << 16
PARTIAL = 206
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
        import httpx

        self._connect_timeout = connect_timeout
        self._total_timeout = total_timeout
        self._max_bytes = max_bytes
        self._workers = workers
        self._hosts = Hosts(patience=workers)
        timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        network = Transport(self._hosts)
        self._direct = self._cached = _client(network, timeout)
        self._cache_dir = cache_dir
        self._cache_damaged = False
        self._closed = False
        storage = None if cache_dir is None else open_cache(cache_dir, cache_bytes)
        if storage is not None:
            from hishel.httpx import CacheTransport

            cache = CacheTransport(network, storage, rfc={"shared": False})
            self._cached = _client(cache, timeout)

    def __enter__(self) -> "Fetcher":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and cache; downloads under way are given up."""
        # First, since downloads under way fail in odd ways from here on.
        self._closed = True
        self._cached.close()
        self._direct.close()
        if self._cache_damaged:
            with contextlib.suppress(OSError):
                remove_cache(self._cache_dir)

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
                if not is_store(url):
                    self._hosts.failed(host_of(url), self._too_slow())
                yield url, self._too_slow_error()

    def _run(self, url, deadline, ticket, finished) -> None:
        try:
            result = self._download(url, deadline)
        except ImageError as error:
            # A new one: the traceback of the old one keeps the download in memory.
            result = ImageError(str(error), error.transient)
        except Exception as error:
            if not self._closed:
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
        return self._from_web(url, deadline)

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
            part = self._from_web(shard, deadline, f"bytes={start}-{end - 1}")
        return member_data(member, part)

    def _from_web(self, url: str, deadline: float, part: str = "") -> bytes:
        scheme = url.partition(":")[0].lower()
        if scheme not in ("http", "https", "ftp"):
            raise ImageError("not an http, https or ftp address")
        check_address(url)
        if scheme == "ftp":
            if part:
                raise ImageError("tar files are not read over ftp")
            return self._ftp(url, deadline)
        if part:
            # Parts are not cached, and an old one would be of no use.
            return self._http(url, deadline, part=part)
        try:
            return self._http(url, deadline)
        except Unavailable as failure:
            any_age = {"rfc": {"shared": False, "allow_stale": True}}
            extensions = {"caching": any_age, "offline": str(failure)}
            return self._http(url, deadline, extensions)

    def _http(
        self,
        url: str,
        deadline: float,
        extensions: dict | None = None,
        part: str = "",
    ) -> bytes:
        import httpx

        try:
            address = httpx.URL(url)
            if part:
                return self._follow(self._direct, address, deadline, None, part)
            return self._cached_or_direct(address, deadline, extensions)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
            raise invalid(first_line(error)) from error
        except httpx.TimeoutException as error:
            reason = f"{host_of(url)} stopped sending"
            raise ImageError(reason, transient=True) from error
        except httpx.HTTPError as error:
            reason = f"the connection to {host_of(url)} broke"
            raise ImageError(reason, transient=True) from error

    def _cached_or_direct(self, address, deadline, extensions) -> bytes:
        import httpx

        if not self._cache_damaged:
            try:
                return self._follow(self._cached, address, deadline, extensions)
            except (ImageError, httpx.HTTPError, httpx.InvalidURL):
                raise
            except Exception as error:
                if self._closed:
                    raise
                # Whatever a damaged database leads to, the image can still be had.
                log.warning("The cache of downloads is damaged: %s", error)
                self._cache_damaged = True
        return self._follow(self._direct, address, deadline, extensions)

    def _follow(self, client, address, deadline, extensions, part="") -> bytes:
        headers = {"Range": part, "Accept-Encoding": "identity"} if part else {}
        request = client.build_request(
            "GET", address, headers=headers, extensions=extensions
        )
        for _ in range(1 + MAX_REDIRECTS):
            with contextlib.closing(client.send(request, stream=True)) as response:
                request = response.next_request
                if request is None and not response.is_success:
                    raise self._refused(response.status_code)
                if part and request is None and response.status_code != PARTIAL:
                    raise ImageError("the server does not send parts of files")
                announced = response.headers.get("content-length", "")
                if announced.isdecimal() and int(announced) > self._max_bytes:
                    raise ImageError(self._too_large())
                # A redirect's too: only what was read to the end is cached.
                content = self._read(response.iter_raw(), deadline)
            if request is None:
                return self._checked(response.headers, content)
            if request.url.scheme not in ("http", "https"):
                raise ImageError(f"redirected to a {request.url.scheme} address")
        raise ImageError("too many redirects")

    @staticmethod
    def _refused(code: int) -> ImageError:
        return ImageError(status_text(code), transient=code in (408, 429))

    def _ftp(self, url: str, deadline: float) -> bytes:
        from urllib.request import urlopen

        host = host_of(url)
        self._hosts.check(host)
        try:
            with urlopen(url, timeout=self._connect_timeout) as response:
                self._hosts.answered(host)
                chunks = iter(functools.partial(response.read, CHUNK), b"")
                return self._checked({}, self._read(chunks, deadline))
        except (OSError, EOFError) as error:
            for cause in causes(error):
                if isinstance(cause, ftplib.Error):
                    raise ImageError(str(cause)[:100]) from error
            reason = why_no_answer(error, host, self._connect_timeout)
            self._hosts.failed(host, reason)
            raise ImageError(reason) from error
        except ValueError as error:
            raise invalid(first_line(error)) from error

    def _read(self, chunks: Iterable[bytes], deadline: float) -> bytes:
        content = bytearray()
        for chunk in chunks:
            content += chunk
            if len(content) > self._max_bytes:
                raise ImageError(self._too_large())
            if time.monotonic() > deadline:
                raise self._too_slow_error()
        return bytes(content)

    def _checked(self, headers: Mapping[str, str], content: bytes) -> bytes:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            content = self._uncompressed(encoding, content)
        if not content:
            raise ImageError("the server sent an empty file")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            # Some servers say so of every file, images included.
            start = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
            if start.startswith(b"<") and b"<svg" not in start:
                raise ImageError(f"the server sent a web page ({kind}), not an image")
        return content

    def _uncompressed(self, encoding: str, content: bytes) -> bytes:
        # Not left to httpx: it would unpack whole chunks before their size is known.
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ImageError(f"compressed in an unknown way ({encoding[:40]})")
        decompressor = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
        try:
            plain = decompressor.decompress(content, self._max_bytes + 1)
        except zlib.error as error:
            raise ImageError("the compressed file is damaged") from error
        if len(plain) > self._max_bytes:
            raise ImageError(self._too_large())
        if not decompressor.eof:
            raise ImageError("the compressed file is cut short")
        return plain

    def _too_large(self) -> str:
        return f"more than {self._max_bytes / 1e6:g} MB"

    def _too_slow_error(self) -> ImageError:
        return ImageError(self._too_slow(), transient=True)

    def _too_slow(self) -> str:
        return f"not downloaded within {self._total_timeout:g} s"


def _client(transport, timeout):
    import httpx

    # Images hardly shrink further; gzip is for SVG.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
    return httpx.Client(
        transport=transport, timeout=timeout, headers=headers, trust_env=False
    )
