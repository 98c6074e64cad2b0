"""Hosts on the internet: which of them are dead, and why one does not answer."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from orangecontrib.imageanalytics.errors import ImageError

log = logging.getLogger(__name__)


class Unavailable(ImageError):
    """The server fails for now, so an old copy will do."""

    transient = True


class Hosts:
    """Remembers which hosts are dead.

    One failure is enough for a host that has never answered. A host that has answered
    before may fail a few times.

    Parameters
    ----------
    patience : int
        Number of failures in a row that are too many for a host that has answered.
        This is the number of simultaneous downloads.
    """

    def __init__(self, patience: int):
        self._patience = patience
        self._lock = threading.Lock()
        self._answered: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._dead: dict[str, str] = {}

    def check(self, host: str) -> None:
        """
        Raises
        ------
        Unavailable
            The host is dead.
        """
        reason = self._dead.get(host)
        if reason is not None:
            raise Unavailable(reason)

    def answered(self, host: str) -> None:
        """The host has answered, so it is not dead."""
        with self._lock:
            self._answered.add(host)
            self._failures[host] = 0
            self._dead.pop(host, None)

    def failed(self, host: str, reason: str) -> None:
        """The host did not answer, which may mean that it is dead."""
        with self._lock:
            self._failures[host] += 1
            if host not in self._answered or self._failures[host] >= self._patience:
                self._dead.setdefault(host, reason)


class Transport:
    """The transport below the cache; asks only hosts that are not dead.

    It has the methods of `httpx.BaseTransport` but does not derive from it, so
    that httpx need not be imported with this module. The client inside brings what
    a bare transport lacks: proxies from the environment.
    """

    def __init__(self, hosts: Hosts):
        import httpx

        self._hosts = hosts
        # Downloads given up keep their connection, so no limit may make others wait.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        try:
            self._client = httpx.Client(limits=limits)
        except (ImportError, ValueError) as error:
            log.warning("The proxy that the environment names is not used: %s", error)
            self._client = httpx.Client(limits=limits, trust_env=False)

    def handle_request(self, request):
        """
        As `httpx.BaseTransport.handle_request`.

        Raises
        ------
        Unavailable
            The host is dead or does not answer, or its server fails.
        """
        import httpx

        if "offline" in request.extensions:
            raise Unavailable(request.extensions["offline"])
        host = host_of(str(request.url))
        self._hosts.check(host)
        try:
            response = self._send(request)
        except (httpx.TimeoutException, httpx.ConnectError, httpx.ProxyError) as error:
            phase = "connect" if isinstance(error, httpx.ConnectTimeout) else "read"
            reason = why_no_answer(error, host, request.extensions["timeout"][phase])
            self._hosts.failed(host, reason)
            raise Unavailable(reason) from error
        self._hosts.answered(host)
        if response.is_server_error:
            response.close()
            raise Unavailable(status_text(response.status_code))
        return response

    def _send(self, request):
        import httpx

        try:
            return self._client.send(request, stream=True)
        except httpx.ConnectError:
            # Costs no time, unlike a timeout, and is often a moment's fault.
            return self._client.send(request, stream=True)

    def close(self) -> None:
        """Close connections."""
        self._client.close()


def host_of(url: str) -> str:
    """The host in an address, with the port if there is one."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def status_text(code: int) -> str:
    """What a status of HTTP means, such as ``"404 Not Found"``."""
    import httpx

    return f"{code} {httpx.codes.get_reason_phrase(code)}".strip()


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def why_no_answer(error: BaseException, host: str, seconds: float) -> str:
    """Why a host did not answer within some seconds, as shown to users."""
    for cause in causes(error):
        if isinstance(cause, TimeoutError):
            return f"no answer from {host} within {seconds:g} s"
        if isinstance(cause, socket.gaierror):
            return f"no host is named {host}"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of {host} is not valid"
    return f"cannot connect to {host}"
