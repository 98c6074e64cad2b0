"""Files of any address, open for reading, or copied to this computer as they stream."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from orangecontrib.imageanalytics.errors import Cancelled, ImageError, first_line
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.images.addresses import check_address, invalid
from orangecontrib.imageanalytics.images.hosts import (
    host_of,
    status_text,
    why_no_answer,
)
from orangecontrib.imageanalytics.images.local_files import open_local
from orangecontrib.imageanalytics.images.sources import is_url
from orangecontrib.imageanalytics.images.web import CHUNK, USER_AGENT

CONNECT_SECONDS = 10
READ_SECONDS = 20


@contextlib.contextmanager
def opened_file(address: str) -> Iterator[BinaryIO]:
    """
    A file, open for reading and seekable, whatever its size.

    Parameters
    ----------
    address : str
        A path, or an address in a store or on the web. From the web, it is copied to a
        temporary file first.

    Yields
    ------
    binary file object

    Raises
    ------
    ImageError
        It cannot be read.
    """
    if stores.is_store(address):
        with stores.open_file(address) as file:
            yield file
    elif is_url(address):
        with tempfile.TemporaryFile() as file:
            copy(address, file)
            file.seek(0)
            yield file
    else:
        with open_local(address) as file:
            yield file


def copy(
    address: str, target: BinaryIO, cancelled: threading.Event | None = None
) -> None:
    """
    Copy a file in a store or on the web to an open file, a part at a time.

    Parameters
    ----------
    address : str
    target : binary file object
        Open for writing; empty.
    cancelled : threading.Event, optional
        Stops the copying when set.

    Raises
    ------
    ImageError
        It cannot be read, although it was tried several times.
    Cancelled
        When stopped.
    OSError
        It cannot be written.
    """
    if stores.is_store(address):
        with stores.open_file(address) as file:
            _write(iter(lambda: file.read(stores.BLOCK_BYTES), b""), target, cancelled)
        return
    check_address(address)
    if not address.lower().startswith("http"):
        raise ImageError("cannot be read from an ftp address; copy the file here")

    def download() -> None:
        target.seek(0)
        target.truncate()  # what an earlier attempt has written
        _download(address, lambda parts: _write(parts, target, cancelled))

    stores.retry(address, download)


def _write(parts, target, cancelled):
    for part in parts:
        look(cancelled)
        target.write(part)


def look(cancelled: threading.Event | None) -> None:
    """
    Raises
    ------
    Cancelled
        The event is set.
    """
    if cancelled is not None and cancelled.is_set():
        raise Cancelled("the copying was stopped")


def _download(address: str, take: Callable) -> None:
    import httpx

    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    host = host_of(address)
    try:
        with httpx.stream(
            "GET", address, headers=headers, timeout=timeout, follow_redirects=True
        ) as response:
            code = response.status_code
            if not response.is_success:
                passing = code >= 500 or code in (408, 429)
                raise ImageError(status_text(code), transient=passing)
            take(response.iter_raw(CHUNK * 16))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise invalid(first_line(error)) from error
    except (httpx.ConnectError, httpx.TimeoutException, httpx.ProxyError) as error:
        reason = why_no_answer(error, host, READ_SECONDS)
        raise ImageError(reason, transient=True) from error
    except httpx.HTTPError as error:
        raise ImageError(f"the connection to {host} broke", transient=True) from error
