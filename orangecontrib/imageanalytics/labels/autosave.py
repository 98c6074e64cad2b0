"""The autosave of labels: a JSON file for each session, in the user's data folder."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress

from filelock import FileLock, Timeout

from orangecontrib.imageanalytics.cache_folder import user_data
from orangecontrib.imageanalytics.labels.record import Record, RecordError
from orangecontrib.imageanalytics.output_file import replaced_file

log = logging.getLogger(__name__)

MOST_BYTES = 1 << 29
#: Autosaves that are looked at, the latest first.
MOST_READ = 50
DAMAGED = "damaged"


def autosave_folder() -> str:
    """The folder of all autosaves; it may not exist."""
    return os.path.join(user_data(), "labels")


class Autosave:
    """
    Keeps the record of one session in a file that nobody else writes.

    Parameters
    ----------
    folder : str, optional
        The folder; that of the user by default.

    Attributes
    ----------
    path : str
        Path of the file; empty before it is first saved.
    """

    def __init__(self, folder: str | None = None):
        self._folder = folder or autosave_folder()
        self._lock: FileLock | None = None
        self.path = ""

    def save(self, record: Record, wanted: str = "", since: float = 0.0) -> str:
        """
        Write a record, completely or not at all.

        Parameters
        ----------
        record : Record
            Its attribute `name` is set.
        wanted : str
            Name of an autosave to go on with. Another one is begun if a session
            that is open has it, or if it was changed later than `since`.
        since : float
            When the labels with which this session has begun were changed last, in
            seconds since 1970.

        Returns
        -------
        str
            The name of the autosave.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        os.makedirs(self._folder, exist_ok=True)
        if self._lock is None:
            self._begin(wanted, since)
        record.name = os.path.basename(self.path).removesuffix(".json")
        with (
            replaced_file(self.path, overwrite=True) as partial,
            open(partial, "w", encoding="utf-8", errors="surrogatepass") as file,
        ):
            file.write(json.dumps(record.as_dict()))
        return record.name

    def _begin(self, wanted: str, since: float) -> None:
        for name in filter(None, (wanted, uuid.uuid4().hex)):
            path, lock = self._place(name), _lock_of(self._folder, name)
            try:
                lock.acquire()
            except Timeout:
                continue
            if name == wanted and _is_later(path, since):
                lock.release()
                continue
            self.path, self._lock = path, lock
            return

    def _place(self, name: str) -> str:
        return os.path.join(self._folder, f"{name}.json")

    def close(self) -> None:
        """Let other sessions go on with the autosave."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _lock_of(folder: str, name: str) -> FileLock:
    locks = os.path.join(folder, "locks")
    os.makedirs(locks, exist_ok=True)
    path = os.path.join(locks, f"{name}.lock")
    # Threads that save end; whoever closes the autosave is another one.
    return FileLock(path, timeout=0, thread_local=False)


def _is_later(path: str, since: float) -> bool:
    if not os.path.exists(path):
        return False
    try:
        return read_record(path).changed > since
    except (RecordError, OSError):
        return True  # so that it is kept


def read_record(path: str) -> Record:
    """
    Read an autosave.

    Raises
    ------
    RecordError
        It is damaged, or from a later version.
    OSError
        It cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise RecordError("it is too large")
    try:
        text = content.decode("utf-8", errors="surrogatepass")
        return Record.from_dict(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise RecordError("it is damaged") from error


def autosaves(
    damaged: list[str], folder: str | None = None
) -> Iterator[tuple[str, Record]]:
    """
    The autosaves of sessions that are not open, the latest first.

    Files that are damaged are renamed, so that they are kept.

    Parameters
    ----------
    damaged : list of str
        The new paths of damaged files are appended.
    folder : str, optional
        The folder; that of the user by default.

    Yields
    ------
    str
        Path of the file.
    Record
        Its content.
    """
    folder = folder or autosave_folder()
    for path in _latest(folder):
        name = os.path.basename(path).removesuffix(".json")
        lock = _lock_of(folder, name)
        try:
            with lock:
                record = read_record(path)
                record.name = name
        except Timeout:
            continue
        except RecordError as error:
            log.warning("Autosave %s cannot be used: %s", path, error)
            if error.__cause__ is not None:
                damaged.append(_put_aside(path))
            continue
        except OSError as error:
            log.warning("Autosave %s cannot be read: %s", path, error)
            continue
        yield path, record


def _latest(folder: str) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        found = [
            (entry.stat().st_mtime, entry.path)
            for entry in entries
            if entry.name.endswith(".json") and entry.is_file()
        ]
        return [path for _, path in sorted(found, reverse=True)[:MOST_READ]]
    return []


def _put_aside(path: str) -> str:
    """Rename a damaged file; return its new path, or the old one if that fails."""
    number = 1
    while os.path.exists(kept := f"{path}.{DAMAGED}-{number}"):
        number += 1
    try:
        os.rename(path, kept)
    except OSError as error:
        log.warning("%s cannot be renamed: %s", path, error)
        return path
    return kept
