"""Files in stores such as S3, through fsspec and the package that it has for each.

The packages find credentials, endpoints and other options by themselves: in the usual
places of each service, and in fsspec's own configuration. There is one filesystem for
a store in each process; threads share it. What fails for a moment is tried again.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from orangecontrib.imageanalytics.errors import ImageError, first_line
from orangecontrib.imageanalytics.images.hosts import causes, status_text

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

# The stores that fsspec can read, each with the package that it needs. Protocols that
# read other files (zip, reference), that are not stores (data, github), that ask the
# user in a browser (gdrive) or that let the address choose a server whose answers are
# unpickled (dask) are not among them.
PACKAGES = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "az": "adlfs",
    "dbfs": "requests",
    "dropbox": "dropboxdrivefs",
    "gcs": "gcsfs",
    "gs": "gcsfs",
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
    "lakefs": "lakefs-spec",
    "memory": "",
    "oci": "ocifs",
    "oss": "ossfs",
    "root": "fsspec-xrootd",
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "paramiko",
    "smb": "smbprotocol",
    "ssh": "paramiko",
    "tos": "tosfs",
    "webdav": "webdav4",
    "webhdfs": "requests",
}
#: Regular expression for the start of an address in a store.
PATTERN = rf"({'|'.join(PACKAGES)})://"
_STORE = re.compile(PATTERN, re.IGNORECASE)

# Seconds between two attempts, of which a random part is waited.
PAUSES = (0.5, 1.5, 4)
BLOCK_BYTES = 1 << 23  # that an open file asks for at once

Outcome = TypeVar("Outcome")

# Errors of the services' packages, which need not be installed.
_BROKEN_CONNECTION = {
    "ClientConnectionError",  # aiohttp
    "ClientPayloadError",
    "HTTPClientError",  # botocore
    "IncompleteReadError",
    "ResponseStreamingError",
    "SSHException",  # paramiko
    "ServiceRequestError",  # azure
    "ServiceResponseError",
    "TransportError",  # google
}
_NO_CREDENTIALS = {
    "ClientAuthenticationError",  # azure
    "DefaultCredentialsError",  # google
    "NoCredentialsError",  # botocore
    "PartialCredentialsError",
}
_WRONG_CREDENTIALS = {
    "AuthenticationException",  # paramiko
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "RefreshError",  # google
    "SignatureDoesNotMatch",
}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout"}


class Empty(ImageError):
    """The file is empty, or ends before the part that was asked for."""

    def __init__(self, reason: str = "file is empty"):
        super().__init__(reason)


class Status(NamedTuple):
    """What a store says about a file, or about a folder."""

    size: int
    version: str  # changes with the content, as an ETag does; "" if unknown
    is_folder: bool = False


def is_store(address: str) -> bool:
    """Whether an address is in a store (``s3://`` and others)."""
    return _STORE.match(address) is not None


def filesystem(address: str) -> tuple[AbstractFileSystem, str]:
    """The filesystem for an address.

    Parameters
    ----------
    address : str

    Returns
    -------
    fsspec.AbstractFileSystem
        The same one for all addresses in a store, in any thread of this process.
    str
        The path in that filesystem.

    Raises
    ------
    ImageError
        A package is missing, or the filesystem cannot be set up.
    """
    with _translated(address):
        return _filesystem(address)


_filesystems: dict[tuple, AbstractFileSystem] = {}
_lock = threading.Lock()


def _start_in_child() -> None:
    # Connections cannot be shared with the parent, nor a lock that it held.
    global _lock
    _lock = threading.Lock()
    _filesystems.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_in_child)


def _filesystem(address: str):
    protocol, colon, rest = address.partition(":")
    protocol = protocol.lower()
    try:
        import fsspec

        kind = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        package = PACKAGES[protocol]
        packages = ["fsspec"] + [package] * bool(package)
        raise ImageError(
            f"reading {protocol}:// needs {' and '.join(packages)}: "
            f"pip install {' '.join(packages)}"
        ) from error
    address = protocol + colon + rest
    options = kind._get_kwargs_from_urls(address)
    key = kind, repr(sorted(options.items()))
    with _lock:
        found = _filesystems.get(key)
        if found is None:
            options = _defaults(kind, fsspec.config.conf) | options
            found = kind(**options, use_listings_cache=False, skip_instance_cache=True)
            _filesystems[key] = found
    return found, kind._strip_protocol(address)


def _defaults(kind, configuration) -> dict:
    protocols = [kind.protocol] if isinstance(kind.protocol, str) else kind.protocol
    if "s3" not in protocols:
        return {}
    if "config_kwargs" in configuration.get("s3", {}):
        return {}
    # s3fs and this module try again; a third layer would multiply the attempts.
    retries = {"total_max_attempts": 1}
    return {"config_kwargs": {"retries": retries, "max_pool_connections": 32}}


def attempt(
    address: str, action: Callable[[AbstractFileSystem, str], Outcome]
) -> Outcome:
    """Do something with a file in a store, several times if it fails for a moment.

    Parameters
    ----------
    address : str
    action : callable
        Takes the filesystem and the path in it.

    Raises
    ------
    ImageError
        Why it failed; with `transient` if another attempt might succeed.
    """

    def act() -> Outcome:
        with _translated(address):
            return action(*_filesystem(address))

    return retry(address, act)


def retry(address: str, action: Callable[[], Outcome]) -> Outcome:
    """Do something several times if it fails for a moment.

    Parameters
    ----------
    address : str
        For the log.
    action : callable
        Raises an `ImageError` with `transient` if another attempt might succeed.

    Raises
    ------
    ImageError
        That of the last attempt.
    """
    for pause in (*PAUSES, None):
        try:
            return action()
        except ImageError as error:
            if not error.transient or pause is None:
                raise
            log.info("%s: %s; tried again", address, error)
        time.sleep(pause * random.uniform(0.5, 1))
    raise AssertionError


def read(address: str, max_bytes: int, start: int = 0, end: int | None = None) -> bytes:
    """
    The content of a file in a store, or a part of it.

    Parameters
    ----------
    address : str
    max_bytes : int
        Larger content is refused; no more than this is transferred.
    start, end : int
        The part, in bytes; by default all.

    Returns
    -------
    bytes
        The content; never empty. It is shorter than the part if the file ends there.

    Raises
    ------
    ImageError
        It cannot be read, is empty (`Empty`) or is too large.
    """
    stop = start + max_bytes + 1 if end is None else end
    if stop - start > max_bytes + 1:
        raise ImageError(f"larger than {max_bytes / 1e6:g} MB")
    content = attempt(
        address, lambda fs, path: fs.cat_file(path, start=start, end=stop)
    )
    if not content:
        raise Empty
    if len(content) > max_bytes:
        raise ImageError(f"larger than {max_bytes / 1e6:g} MB")
    return content


def status(address: str) -> Status:
    """
    Size and version of a file in a store, or that it is a folder.

    Raises
    ------
    ImageError
        There is no such file, or the store does not answer.
    """
    found = attempt(address, lambda fs, path: fs.info(path))
    return status_of(found)


def status_of(info: dict) -> Status:
    """The same from what fsspec says about a file."""
    version = next((info[key] for key in _VERSIONS if info.get(key) is not None), "")
    is_folder = info.get("type") == "directory"
    return Status(info.get("size") or 0, str(version).strip('"'), is_folder)


_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime")


def open_file(address: str) -> io.BufferedReader:
    """
    Open a file in a store for reading, at its start.

    It can be sought in. Each block is tried again if it fails for a moment.

    Raises
    ------
    ImageError
        As `status`; later, as `read`.
    """
    found = status(address)
    if found.is_folder:
        raise ImageError("is a folder")
    return io.BufferedReader(_File(address, found.size), BLOCK_BYTES)


class _File(io.RawIOBase):
    """A file of known size, read in ranges."""

    def __init__(self, address: str, size: int):
        self._address, self._size, self._position = address, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._position

    def seek(self, offset, whence=io.SEEK_SET):
        start = (0, self._position, self._size)[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer):
        start = self._position
        end = min(start + len(buffer), self._size)
        if start >= end:
            return 0
        content = read(self._address, len(buffer), start, end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


# Errors ----------------------------------------------------------------------------


@contextlib.contextmanager
def _translated(address: str):
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("not enough memory to read the file") from error
    except Exception as error:
        raise failure(error, address) from error


def failure(error: Exception, address: str) -> ImageError:
    """Why a store did not give what was asked for, in plain words.

    Parameters
    ----------
    error : Exception
        Raised by fsspec or by the package for the store.
    address : str
        What was asked for.

    Returns
    -------
    ImageError
        With `transient` if another attempt might succeed.
    """
    chain = list(causes(error))
    names = {kind.__name__ for cause in chain for kind in type(cause).__mro__}
    names |= {code for cause in chain if (code := _code(cause))}
    status = next((found for cause in chain if (found := _http_status(cause))), 0)
    where = place(address)
    if names & _NO_CREDENTIALS:
        return ImageError(f"no credentials for {where}")
    if names & _WRONG_CREDENTIALS:
        return ImageError(f"{where} does not accept the credentials")
    if "NoSuchBucket" in names:
        return ImageError(f"there is no bucket {where}")
    if status >= 500 or status in (408, 429) or names & _BUSY:
        reason = status_text(status) if status else "503 Service Unavailable"
        return ImageError(f"{where} is busy or fails ({reason})", transient=True)
    if status in (401, 403) or isinstance(error, PermissionError):
        return ImageError(f"access denied by {where}")
    if status == 404 or isinstance(error, FileNotFoundError):
        return ImageError("file not found")
    if status == 416:
        # Stores have no range to give of an empty file.
        return Empty()
    if isinstance(error, IsADirectoryError):
        return ImageError("is a folder")
    if "TimeoutError" in names:
        return ImageError(f"no answer from {where} in time", transient=True)
    if names & _BROKEN_CONNECTION or {"ConnectionError", "gaierror"} & names:
        return ImageError(f"cannot connect to {where}", transient=True)
    return ImageError(f"{where} cannot be read ({first_line(error)[:150]})")


def place(address: str) -> str:
    """Protocol and bucket or host of an address, without user and password."""
    protocol, _, rest = address.partition("://")
    return f"{protocol}://{rest.partition('/')[0].rpartition('@')[2]}"


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return str(response.get("Error", {}).get("Code", ""))
    return ""


def _http_status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    for name in ("status_code", "status", "code"):  # azure, aiohttp, google
        found = getattr(error, name, None)
        if isinstance(found, int | str) and re.fullmatch(r"[45]\d\d", str(found)):
            return int(found)
    return 0
