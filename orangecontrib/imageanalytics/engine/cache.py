"""Cache of computed vectors, on disk.

One SQLite database holds two tables. The key of ``vectors`` consists of the SHA-256 of
the image's bytes and the *space*, which stands for network, weights, preprocessing and
precision. ``files`` holds the SHA-256 of a file with its size and time of change; as
long as these are the same, the file need not be read again.
"""

from __future__ import annotations

import glob
import logging
import os
import sqlite3
import threading
import time
import warnings
import zlib

import numpy as np

from orangecontrib.imageanalytics.cache_folder import (
    cannot_be_cleared,
    user_cache,
)

log = logging.getLogger(__name__)

# The number changes with the tables below.
FILE_NAME = "vectors-1.sqlite"
DAMAGED = ".damaged"
SIZE_VARIABLE = "ORANGE_IMAGEANALYTICS_CACHE_MB"
DEFAULT_MEGABYTES = 2048

SCHEMA = """
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS vectors (
        id INTEGER PRIMARY KEY,
        space BLOB NOT NULL,
        digest BLOB NOT NULL,
        used INTEGER NOT NULL,
        vector BLOB NOT NULL,
        UNIQUE (digest, space)
    );
    CREATE INDEX IF NOT EXISTS vectors_used ON vectors (used);
    CREATE TABLE IF NOT EXISTS files (
        path BLOB PRIMARY KEY,
        size INTEGER NOT NULL,
        changed INTEGER NOT NULL,
        digest BLOB NOT NULL
    ) WITHOUT ROWID;
"""
# How long to wait while another process holds the database: during work, which must
# not be delayed; and while the database is made or cleared.
BUSY_SECONDS = 0.2
PATIENT_SECONDS = 5
MOST_WAITING = 4096  # vectors kept in memory while it is held
FLUSH_SECONDS = 1  # after which what is computed is written
FLUSH_ROWS = 256
TOUCH_SECONDS = 3600  # to which the time of the last use is exact
SETTLED_SECONDS = 2
EARLIEST = -(1 << 63)  # time of change that SQLite's integers hold
LOOKUP_ROWS = 500  # SQLite before 3.32 takes 999 parameters a statement


class VectorCache:
    """The open cache.

    Problems with it cost time, never results. A damaged database is set aside and a
    new one begun; a database that cannot be written is not used. In both cases there
    is a warning. The cache may be used from several threads and processes.

    Parameters
    ----------
    folder : str, optional
        Where the database is; by default in Orange's cache folder.
    limit : int, optional
        Size in bytes above which the vectors least recently used are dropped. By
        default from the environment variable ``ORANGE_IMAGEANALYTICS_CACHE_MB``
        (in MiB), or 2 GiB.
    """

    def __init__(self, folder: str | None = None, limit: int | None = None):
        self.path = os.path.join(folder or user_cache(), FILE_NAME)
        self.limit = cache_limit() if limit is None else limit
        self._lock = threading.RLock()
        self._database = None
        self._new, self._touched, self._files = [], [], []
        self._flushed = time.monotonic()
        self._attempt(self._open)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Write what is left and close the database."""
        with self._lock:
            self.flush()
            self._disconnect()

    def find_files(self, files, space: bytes) -> dict[str, np.ndarray]:
        """Vectors of files that have not changed since they were embedded.

        Parameters
        ----------
        files : list of (str, int, int)
            Path, size in bytes and time of change in nanoseconds.
        space : bytes
            Space of the vectors.

        Returns
        -------
        dict
            Path to vector, float32, shape (n_features,), for files in the cache.
        """
        found = {}
        for start in range(0, len(files), LOOKUP_ROWS):
            part = files[start : start + LOOKUP_ROWS]
            found.update(self._attempt(self._find_files, part, space) or {})
        return found

    def _find_files(self, files, space):
        stamps = {_key(path): (path, size, time) for path, size, time in files}
        marks = ",".join("?" * len(stamps))
        rows = self._database.execute(
            "SELECT path, size, changed, id, used, vector FROM files "
            f"JOIN vectors USING (digest) WHERE space = ? AND path IN ({marks})",
            (space, *stamps),
        )
        found = {}
        for key, size, changed, row, used, vector in rows:
            path, *stamp = stamps[key]
            if stamp == [size, changed]:
                found[path] = _unpacked(vector)
                self._touch(row, used)
        return found

    def find(self, digest: bytes, space: bytes) -> np.ndarray | None:
        """The vector of an image with this SHA-256; None if there is none."""
        return self._attempt(self._find, digest, space)

    def _find(self, digest, space):
        row = self._database.execute(
            "SELECT id, used, vector FROM vectors WHERE digest = ? AND space = ?",
            (digest, space),
        ).fetchone()
        if row is None:
            return None
        self._touch(*row[:2])
        return _unpacked(row[2])

    def _touch(self, row, used):
        if time.time() - used > TOUCH_SECONDS:
            self._touched.append(row)

    def add(self, digest: bytes, space: bytes, vector: np.ndarray):
        """Keep a vector; it is on disk about a second later."""
        with self._lock:
            row = (space, digest, int(time.time()), _packed(vector))
            self._new.append(row)

    def add_file(self, path: str, size: int, changed: int, digest: bytes):
        """Remember what a file holds while its size and time stay the same."""
        with self._lock:
            self._files.append((_key(path), size, changed, digest))

    def flush_if_due(self):
        """Write pending entries if there are many or they are old."""
        old = time.monotonic() - self._flushed > FLUSH_SECONDS
        if old or len(self._new) >= FLUSH_ROWS:
            self.flush()

    def flush(self):
        """Write pending entries."""
        with self._lock:
            written = self._attempt(self._write)
            if written or self._database is None or len(self._new) > MOST_WAITING:
                self._new, self._touched, self._files = [], [], []
            self._flushed = time.monotonic()

    def _write(self):
        if not (self._new or self._touched or self._files):
            return True
        now = int(time.time())
        with self._database as database:
            database.executemany(
                "INSERT OR REPLACE INTO vectors (space, digest, used, vector) "
                "VALUES (?, ?, ?, ?)",
                self._new,
            )
            database.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", self._files
            )
            database.executemany(
                "UPDATE vectors SET used = ? WHERE id = ?",
                [(now, row) for row in self._touched],
            )
        if (self._new or self._files) and self._bytes() > self.limit:
            self._drop_oldest()
        return True

    def _drop_oldest(self):
        """Drop vectors until a tenth of the limit is free."""
        count = self._value("SELECT count(*) FROM vectors")
        excess = 1 - 0.9 * self.limit / self._bytes()
        with self._database as database:
            database.execute(
                "DELETE FROM vectors WHERE id IN "
                "(SELECT id FROM vectors ORDER BY used, id LIMIT ?)",
                (int(np.ceil(count * excess)),),
            )
            database.execute(
                "DELETE FROM files WHERE digest NOT IN (SELECT digest FROM vectors)"
            )
        self._database.execute("PRAGMA incremental_vacuum").fetchall()

    def clear(self, space: bytes | None = None):
        """Drop all vectors, or those of one space.

        Raises
        ------
        OSError
            When they cannot be dropped.
        """
        with self._lock:
            self._new, self._touched, self._files = [], [], []
            if self._database is None:
                raise OSError(f"{self.path} cannot be opened")
            try:
                self._be_patient(PATIENT_SECONDS)
                self._clear(space)
                self._be_patient(BUSY_SECONDS)
            except sqlite3.OperationalError as error:
                raise cannot_be_cleared(self.path, error) from error
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)
                if self._database is None:
                    raise cannot_be_cleared(self.path, error) from error
                self._clear(space)

    def _clear(self, space):
        with self._database as database:
            if space is None:
                database.execute("DELETE FROM vectors")
                database.execute("DELETE FROM files")
                for path in self._set_aside():
                    os.remove(path)
            else:
                database.execute("DELETE FROM vectors WHERE space = ?", (space,))
        self._database.execute("PRAGMA incremental_vacuum").fetchall()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def info(self) -> dict:
        """``folder``, ``bytes`` used, ``entries`` (vectors) and ``limit`` in bytes."""
        entries = self._attempt(self._value, "SELECT count(*) FROM vectors")
        aside = sum(os.path.getsize(path) for path in self._set_aside())
        return {
            "folder": os.path.dirname(self.path),
            "bytes": (self._attempt(self._bytes) or 0) + aside,
            "entries": entries or 0,
            "limit": self.limit,
        }

    def _bytes(self):
        pages = self._value("PRAGMA page_count") - self._value("PRAGMA freelist_count")
        return pages * self._value("PRAGMA page_size")

    def _set_aside(self):
        """Files of damaged databases."""
        return glob.glob(glob.escape(self.path) + DAMAGED + "*")

    def _value(self, statement):
        return self._database.execute(statement).fetchone()[0]

    # What can go wrong ----------------------------------------------------------

    def _attempt(self, operation, *arguments):
        """The result of an operation on the database; None if it fails."""
        with self._lock:
            if self._database is None and operation != self._open:
                return None
            try:
                return operation(*arguments)
            except (sqlite3.OperationalError, OSError) as error:
                if "locked" in str(error):
                    log.info("The cache was busy: %s", error)
                else:
                    self._give_up(error)
            except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
                # Damage shows in many ways, in messages that are no text, too.
                self._begin_anew(error)
            return None

    def _open(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._database = sqlite3.connect(
            self.path, timeout=PATIENT_SECONDS, check_same_thread=False
        )
        # Not each time: it waits for whoever is writing.
        if not self._value("SELECT count(*) FROM sqlite_master WHERE name = 'files'"):
            self._database.executescript(SCHEMA)
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._be_patient(BUSY_SECONDS)

    def _be_patient(self, seconds):
        self._database.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")

    def _disconnect(self):
        if self._database is not None:
            self._database.close()
            self._database = None

    def _give_up(self, error):
        self._disconnect()
        warnings.warn(
            f"Vectors are not cached: {self.path} cannot be used ({error}).",
            RuntimeWarning,
            stacklevel=4,
        )

    def _begin_anew(self, error):
        self._disconnect()
        aside = self.path + DAMAGED
        warnings.warn(
            f"The cache of vectors was damaged ({error}). It is now {aside}; "
            "a new one was begun.",
            RuntimeWarning,
            stacklevel=4,
        )
        try:
            # The database is last, or the other two files would be used with a new one.
            for ending in ("-wal", "-shm", ""):
                if os.path.exists(self.path + ending):
                    os.replace(self.path + ending, aside + ending)
            self._open()
        except (OSError, sqlite3.Error) as second:
            self._give_up(second)


def cache_limit() -> int:
    """Size in bytes to which the cache may grow."""
    text = os.environ.get(SIZE_VARIABLE, "")
    megabytes = int(text) if text.isdecimal() else DEFAULT_MEGABYTES
    return megabytes * 2**20


def is_settled(changed: int) -> bool:
    """Whether a file's time of change, in nanoseconds, is reliable.

    A file that changes again within the clock tick of its file system keeps its time
    stamp, so that of a very recent file is not reliable. Some systems date files that
    have no time to the year 1601, which the database cannot hold.
    """
    return changed >= EARLIEST and time.time() - changed / 1e9 > SETTLED_SECONDS


def _packed(vector: np.ndarray) -> bytes:
    # SQLite has no checksums, and a wrong number is worse than none.
    content = vector.tobytes()
    return content + zlib.crc32(content).to_bytes(4, "little")


def _unpacked(content: bytes) -> np.ndarray:
    if zlib.crc32(content[:-4]) != int.from_bytes(content[-4:], "little"):
        raise ValueError("a vector's checksum is wrong")
    return np.frombuffer(content[:-4], np.float32)


def _key(path: str) -> bytes:
    # Bytes, since a name that is no valid text cannot be stored as text.
    return os.fsencode(os.path.abspath(path))
