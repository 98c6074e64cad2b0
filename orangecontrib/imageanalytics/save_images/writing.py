"""Write files without losing existing ones or leaving any half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable


def write(
    content: bytes,
    path: str,
    *,
    overwrite: bool = False,
    rename: Callable[[], str] | None = None,
) -> str | None:
    """
    Write a file under a temporary name, then rename it.

    Parameters
    ----------
    content : bytes
    path : str
        In a folder that exists.
    overwrite : bool
        Whether to replace a file of that name.
    rename : callable, optional
        Returns another path, for when there is a file of that name.

    Returns
    -------
    str or None
        The path of the file; None if there is one of that name, which is kept.

    Raises
    ------
    OSError
        It cannot be written.
    """
    partial = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.part")
    try:
        with open(partial, "xb") as file:
            file.write(content)
        while True:
            try:
                _move(partial, path, overwrite)
                return path
            except FileExistsError:
                if rename is None:
                    return None
            path = rename()
    finally:
        with contextlib.suppress(OSError):
            os.remove(partial)


def _move(partial: str, path: str, overwrite: bool) -> None:
    """Give a file its final name; FileExistsError if that is taken."""
    if overwrite:
        os.replace(partial, path)
    elif os.name == "nt":
        os.rename(partial, path)
    else:
        try:
            # Unlike rename, this fails if there is such a file.
            os.link(partial, path)
        except FileExistsError:
            raise
        except OSError:
            # Memory sticks have no links.
            if os.path.lexists(path):
                raise FileExistsError(path) from None
            os.rename(partial, path)


def is_own_subfolder(subfolder: str, folder: str) -> bool:
    """
    Whether a subfolder really lies in a folder, and is no link.

    Folders are compared, not their names: Windows and macOS ignore case, and macOS
    writes accented letters in another way.
    """
    parent = os.path.dirname(os.path.realpath(subfolder))
    return not os.path.islink(subfolder) and os.path.samefile(parent, folder)


def identity(path: str) -> tuple[int, int] | None:
    """Equal for two paths of the same file; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def problem(error: OSError, path: str) -> str:
    """Why a file cannot be written, in plain words."""
    folder = os.path.dirname(path)
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "the disk is read-only",
        errno.EACCES: f"no permission to write into {folder}",
        errno.EPERM: f"no permission to write into {folder}",
        errno.ENAMETOOLONG: "the path of the new file is too long",
        errno.EEXIST: f"{folder} is not a folder",
        errno.ENOTDIR: f"{folder} is not a folder",
    }
    default = f"cannot be written ({error.strerror or error})"
    return reasons.get(error.errno, default)
