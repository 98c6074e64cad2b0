"""The cache of downloaded images, kept between runs as HTTP allows (RFC 9111).

hishel decides what may be kept and for how long, and keeps it in one SQLite
database that several threads and processes may share. Problems with the database cost
time, never images.
"""

import contextlib
import functools
import logging
import os
import sqlite3

from orangecontrib.imageanalytics.cache_folder import (
    cannot_be_cleared,
    user_cache,
)

log = logging.getLogger(__name__)

DATABASE = "downloads.sqlite"
CACHE_BYTES = 1_000_000_000  # by default
BUSY_SECONDS = 5  # for which another program may hold the database


def cache_info(cache_dir: str = "") -> dict:
    """The contents of the cache of downloads.

    Parameters
    ----------
    cache_dir : str
        Folder of the cache; "" is the default one. It need not exist.

    Returns
    -------
    dict
        "folder" (str), "bytes" (int, on disk), "entries" (int) and "limit" (int,
        in bytes, by default).
    """
    path = _database(cache_dir)
    files = [name for name in _files(path) if os.path.isfile(name)]
    entries = 0
    if path in files:
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(_connect(path)) as connection,
        ):
            # The others are half written or removed already.
            query = "SELECT count(*) FROM entries WHERE expires_at IS NULL"
            (entries,) = connection.execute(query).fetchone()
    return {
        "folder": os.path.dirname(path),
        "bytes": sum(map(os.path.getsize, files)),
        "entries": entries,
        "limit": CACHE_BYTES,
    }


def clear_cache(cache_dir: str = "") -> None:
    """Remove all images from the cache of downloads, even while it is in use.

    Parameters
    ----------
    cache_dir : str
        Folder of the cache; "" is the default one. It need not exist.

    Raises
    ------
    OSError
        The cache cannot be changed, or another program is using it.
    """
    path = _database(cache_dir)
    if not os.path.isfile(path):
        return
    try:
        with contextlib.closing(_open_sound(path)) as storage:
            _drop_all(storage.connection)
    except sqlite3.OperationalError as error:
        raise cannot_be_cleared(path, error) from error
    except sqlite3.DatabaseError as error:
        log.warning("The cache of downloads is damaged and removed: %s", error)
        _remove(path)


def _drop_all(connection: sqlite3.Connection) -> None:
    for table in ("streams", "entries"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def open_cache(cache_dir: str, cache_bytes: int):
    """The storage for hishel's transport; None, with a warning, if it cannot be used.

    Parameters
    ----------
    cache_dir : str
        Folder of the cache; "" is the default one.
    cache_bytes : int
        Size above which the least recently used images leave the cache.
    """
    try:
        path = _database(cache_dir)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return _open_sound(path, max_size=cache_bytes)
    except (OSError, sqlite3.Error) as error:
        log.warning("Downloaded images are not cached: %s", error)
        return None


def _open_sound(path: str, **options):
    try:
        return _open_database(path, **options)
    except (OSError, sqlite3.OperationalError):
        raise
    except Exception as error:
        log.warning("The cache of downloads is damaged and begun anew: %s", error)
    _remove(path)
    return _open_database(path, **options)


def remove_cache(cache_dir: str) -> None:
    """Remove the files of a damaged cache, unless they are open elsewhere."""
    _remove(_database(cache_dir))


def _remove(path: str) -> None:
    for name in _files(path):
        with contextlib.suppress(FileNotFoundError):
            os.remove(name)


def _connect(path: str, **options) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, **options)


def _open_database(path: str, **options):
    import hishel

    _tell_cache_errors_once()
    connection = _connect(path, check_same_thread=False, isolation_level=None)
    try:
        # Writes are tried first: hishel answers a failure with log messages only.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
        storage = hishel.SqliteStorage(connection=connection, **options)
        storage.get_entries("")  # makes the tables
        connection.execute("SELECT count(*) FROM entries").fetchone()
    except BaseException:
        connection.close()
        raise
    return storage


@functools.cache
def _tell_cache_errors_once() -> None:
    # hishel logs a traceback for each image that it cannot store: on a full disk,
    # as many as there are images.
    hishel_log = logging.getLogger("hishel")
    hishel_log.addHandler(_FirstError())
    hishel_log.propagate = False


class _FirstError(logging.Handler):
    def __init__(self):
        super().__init__(logging.ERROR)
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else record.getMessage()
        # A RuntimeError says that a fetcher was closed during a download.
        if not self._told and not isinstance(cause, RuntimeError):
            self._told = True
            log.warning("The cache of downloads cannot be used: %s", cause)


def _database(cache_dir: str) -> str:
    return os.path.join(cache_dir or os.path.join(user_cache(), "http"), DATABASE)


def _files(path: str) -> list[str]:
    # The database last: left alone, the other two would be taken for a new one's.
    return [path + "-wal", path + "-shm", path]
