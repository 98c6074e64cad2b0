"""Files on this computer that may hold images."""

import errno
import os
import stat
from typing import BinaryIO

from orangecontrib.imageanalytics.errors import ImageError


def open_local(path: str) -> BinaryIO:
    """
    Open a file that may hold an image.

    Parameters
    ----------
    path : str
        Path of an ordinary file, or of a link to one.

    Returns
    -------
    binary file object
        Open for reading, at its start.

    Raises
    ------
    ImageError
        There is no such file, it may not be read, or it is not a file.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ImageError("is a folder")
        if not stat.S_ISREG(mode):
            # A pipe would block until somebody writes to it.
            raise ImageError("not an ordinary file")
        return open(path, "rb")
    except OSError as error:
        raise unreadable(error, path) from error
    except ValueError as error:
        raise ImageError("not a valid path") from error


# Network drives have these at times, and computers that do too much.
_TRANSIENT = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}


def unreadable(error: OSError, path: str) -> ImageError:
    """Make the error for a file that cannot be read, in plain words."""
    return ImageError(_reason(error, path), transient=error.errno in _TRANSIENT)


def _reason(error: OSError, path: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "broken link" if os.path.islink(path) else "file not found"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, NotADirectoryError):
        return "file not found"
    if error.errno == errno.ELOOP:
        return "a link that leads to itself"
    if error.errno == errno.ENAMETOOLONG:
        return "the path is too long"
    return f"cannot be read ({error.strerror or error})"
