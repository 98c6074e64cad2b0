"""Images by their content: they stay the same if they are moved or renamed."""

from __future__ import annotations

import threading
from collections import OrderedDict

from orangecontrib.imageanalytics.engine.digests import Digests
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.sources import is_remote, opened, stamp

MOST_KEPT = 200_000


class ContentDigests:
    """
    SHA-256 of the files of images; what is known is kept while files stay the same.

    Safe to use from several threads at once.
    """

    def __init__(self):
        self._known: OrderedDict[tuple, str] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, source: str) -> str:
        """
        The digest of an image.

        Parameters
        ----------
        source : str
            Path or URL.

        Returns
        -------
        str
            In hexadecimal; empty if the image is not on this computer, or cannot be
            read.
        """
        if is_remote(source):
            return ""
        key = source, stamp(source)
        with self._lock:
            known = self._known.get(key)
        if known is None:
            try:
                with opened(source) as (content, page):
                    known = Digests()(content, page).hex()
            except (ImageError, OSError):
                return ""
            with self._lock:
                self._known[key] = known
                while len(self._known) > MOST_KEPT:
                    self._known.popitem(last=False)
        return known


#: Shared by all sessions of a process.
digest_of = ContentDigests()


def size_of(source: str) -> int:
    """Size of an image's file in bytes; -1 if it is not a file."""
    found = None if is_remote(source) else stamp(source)
    return -1 if found is None else found[0]
