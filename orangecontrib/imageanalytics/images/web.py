"""Files on the web: limits, redirects, compression and the cache of downloads.

What was downloaded is kept on disk between runs as HTTP allows; see `http_cache`.
"""

import contextlib
import ftplib
import functools
import logging
import time
import zlib
from collections.abc import Iterable, Mapping

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
from orangecontrib.imageanalytics.images.http_cache import open_cache, remove_cache

log = logging.getLogger(__name__)

MAX_REDIRECTS = 5
USER_AGENT = "Orange3-ImageAnalytics"
CHUNK = 1 << 16
PARTIAL = 206


class Web:
    """Reads files over http, https and ftp; threads may share it.

    Parameters
    ----------
    hosts : Hosts
        Which hosts are known to be out of reach.
    connect_timeout, read_timeout, total_timeout, max_bytes, cache_dir, cache_bytes
        As for `fetch.Fetcher`.
    """

    def __init__(
        self,
        hosts: Hosts,
        connect_timeout: float,
        read_timeout: float,
        total_timeout: float,
        max_bytes: int,
        cache_dir: str | None,
        cache_bytes: int,
    ):
        import httpx

        self._hosts = hosts
        self._connect_timeout = connect_timeout
        self._total_timeout = total_timeout
        self._max_bytes = max_bytes
        timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        network = Transport(hosts)
        self._direct = self._cached = _client(network, timeout)
        self._cache_dir = cache_dir
        self._cache_damaged = False
        self.closed = False
        storage = None if cache_dir is None else open_cache(cache_dir, cache_bytes)
        if storage is not None:
            from hishel.httpx import CacheTransport

            cache = CacheTransport(network, storage, rfc={"shared": False})
            self._cached = _client(cache, timeout)

    def close(self) -> None:
        """Close connections and cache; downloads under way are given up."""
        # First, since downloads under way fail in odd ways from here on.
        self.closed = True
        self._cached.close()
        self._direct.close()
        if self._cache_damaged:
            with contextlib.suppress(OSError):
                remove_cache(self._cache_dir)

    def read(self, url: str, deadline: float, part: str = "") -> bytes:
        """
        The content of a file.

        Parameters
        ----------
        url : str
        deadline : float
            When to give up, as `time.monotonic` counts.
        part : str, optional
            The bytes that are wanted, such as ``"bytes=0-511"``.

        Raises
        ------
        ImageError
            The reason, such as "404 Not Found".
        """
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
                if self.closed:
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
                content = self._received(response.iter_raw(), deadline)
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
                return self._checked({}, self._received(chunks, deadline))
        except (OSError, EOFError) as error:
            for cause in causes(error):
                if isinstance(cause, ftplib.Error):
                    raise ImageError(str(cause)[:100]) from error
            reason = why_no_answer(error, host, self._connect_timeout)
            self._hosts.failed(host, reason)
            raise ImageError(reason) from error
        except ValueError as error:
            raise invalid(first_line(error)) from error

    def _received(self, chunks: Iterable[bytes], deadline: float) -> bytes:
        content = bytearray()
        for chunk in chunks:
            content += chunk
            if len(content) > self._max_bytes:
                raise ImageError(self._too_large())
            if time.monotonic() > deadline:
                raise self.too_slow()
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

    def too_slow(self) -> ImageError:
        """Make the error for a file that is not there by its deadline."""
        reason = f"not downloaded within {self._total_timeout:g} s"
        return ImageError(reason, transient=True)


def _client(transport, timeout):
    import httpx

    # Images hardly shrink further; gzip is for SVG.
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
    return httpx.Client(
        transport=transport, timeout=timeout, headers=headers, trust_env=False
    )
