"""Where the images of a file of vectors are, also after both were moved."""

from __future__ import annotations

import os
import re

from orangecontrib.imageanalytics.vector_files.files import is_url

_SEPARATORS = re.compile(r"[/\\]+")


def find_origin(origin: str, folder: str) -> str:
    """
    The folder of the images, if it was moved together with the vectors.

    Parameters
    ----------
    origin : str
        The folder or address where the images were.
    folder : str
        The folder of the vectors.

    Returns
    -------
    str
        `origin`, if it exists or no other folder is found. Otherwise, the folder of
        the same name in `folder` or in a folder above it.
    """
    if not origin or is_url(origin) or os.path.isdir(origin):
        return origin
    names = [name for name in _SEPARATORS.split(origin) if name]
    folder = os.path.abspath(folder)
    while True:
        # The longest common ending first: photos/2024 rather than any 2024.
        for start in range(len(names)):
            moved = os.path.join(folder, *names[start:])
            if os.path.isdir(moved):
                return moved
        parent = os.path.dirname(folder)
        if parent == folder:
            return origin
        folder = parent
