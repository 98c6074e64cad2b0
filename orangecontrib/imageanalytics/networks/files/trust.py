"""Remember which files that can run code the user has vouched for on this computer.

A file is known by the SHA-256 of its content, so the user is asked again about one that
was changed. The answers are kept in a JSON file in Orange's data folder, and never in
workflows, tables or models. That file counts only if nobody else can have written it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import os
import re
import stat
import tempfile

from orangecontrib.imageanalytics.cache_folder import user_data
from orangecontrib.imageanalytics.errors import TrustNeededError

log = logging.getLogger(__name__)

FILE = "trusted-networks.json"
MOST_BYTES = 10**7
LOCK_SECONDS = 10

# The answers of this run, in case the file cannot be written.
_vouched: set[str] = set()


def vouch(sha256: str, path: str) -> None:
    """Remember that the user allows a file to be opened.

    Parameters
    ----------
    sha256 : str
        SHA-256 of its content, in hexadecimal.
    path : str
        Its present path, for people who read the list.
    """
    _vouched.add(sha256)
    if sha256 in _read():
        return
    try:
        _remember(sha256, path)
    except (OSError, TimeoutError) as error:
        log.warning("The answer that %s may be opened was not saved: %s", path, error)


def is_vouched(sha256: str) -> bool:
    """Whether the user has vouched for a file with this content."""
    return sha256 in _vouched or sha256 in _read()


def check_vouched(path: str, content: bytes) -> str:
    """
    Parameters
    ----------
    path : str
        Path of a file.
    content : bytes
        Its content, which is about to be opened.

    Returns
    -------
    str
        SHA-256 of the content, in hexadecimal.

    Raises
    ------
    TrustNeededError
        When the user has not vouched for this content.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    if is_vouched(sha256):
        return sha256
    try:
        modified = os.path.getmtime(path)
    except OSError:  # it was moved meanwhile
        modified = 0.0
    raise TrustNeededError(path, sha256, len(content), modified)


def _path() -> str:
    return os.path.join(user_data(), FILE)


def _read() -> dict[str, dict]:
    """The saved answers, by SHA-256; none if the file cannot be trusted."""
    try:
        with open(_path(), "rb") as file:
            reason = _find_other_writers(os.fstat(file.fileno()))
            content = file.read(MOST_BYTES + 1)
    except OSError:
        return {}
    if reason:
        log.warning("%s %s, so no file is trusted", _path(), reason)
        return {}
    try:
        entries = json.loads(content)["files"]
        if len(content) <= MOST_BYTES and all(map(_is_entry, entries.items())):
            return entries
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    log.warning("%s is damaged, so no file is trusted", _path())
    return {}


def _find_other_writers(status: os.stat_result) -> str:
    """Who else may have written a file, in words; empty if nobody."""
    if os.name == "nt":  # there are no such bits, and the folder is the user's own
        return ""
    if _is_foreign(status):
        return "belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be changed by other users"
    return ""


def _is_foreign(status: os.stat_result) -> bool:
    return os.name != "nt" and status.st_uid not in (os.geteuid(), 0)


def _is_entry(entry) -> bool:
    sha256, about = entry
    return bool(re.fullmatch("[0-9a-f]{64}", sha256)) and isinstance(about, dict)


def _remember(sha256: str, path: str) -> None:
    from filelock import FileLock

    os.makedirs(user_data(), exist_ok=True)
    with FileLock(_path() + ".lock", timeout=LOCK_SECONDS):
        if os.path.exists(_path()) and _is_foreign(os.stat(_path())):
            raise PermissionError(f"{_path()} belongs to another user")
        now = datetime.datetime.now().isoformat(" ", "seconds")
        entries = _read() | {sha256: {"path": path, "vouched": now}}
        descriptor, partial = tempfile.mkstemp(prefix=".", dir=user_data())
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump({"files": entries}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, _path())
        except BaseException:
            os.remove(partial)
            raise
