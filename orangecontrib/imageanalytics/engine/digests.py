"""The SHA-256 of images, so that equal images are found and embedded once."""

from __future__ import annotations

import hashlib
import threading
from typing import BinaryIO

from orangecontrib.imageanalytics.images.sources import page_source

MOST_DIGESTS = 100_000  # kept of files with several pages
_PART_BYTES = 1 << 22


class Digests:
    """SHA-256 of images: of a file, or of a page of it.

    Safe to use from several threads at once. A file with several pages is read only
    once, since the next images are its next pages.
    """

    def __init__(self):
        self._of_files: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def __call__(self, content: bytes | BinaryIO, page: int | None) -> bytes:
        """The digest of an image.

        Parameters
        ----------
        content : bytes or binary file object
            As from `opened`: files with several pages are not in memory.
        page : int or None
            From 1; None for the file as a whole.

        Returns
        -------
        bytes
        """
        if isinstance(content, bytes):
            digest = hashlib.sha256(content).digest()
        else:
            digest = self._of_file(content)
        if page is None:
            return digest
        return hashlib.sha256(page_source(digest.hex(), page).encode()).digest()

    def _of_file(self, file: BinaryIO) -> bytes:
        with self._lock:
            digest = self._of_files.get(file.name)
            if digest is None:
                if len(self._of_files) == MOST_DIGESTS:
                    del self._of_files[next(iter(self._of_files))]
                digest = self._of_files[file.name] = digest_of_file(file)
        return digest


def digest_of_file(file: BinaryIO) -> bytes:
    """SHA-256 of a file, which is then at its start again."""
    digest = hashlib.sha256()
    while part := file.read(_PART_BYTES):
        digest.update(part)
    file.seek(0)
    return digest.digest()


class Twins:
    """Images with the same bytes, of which only the first is embedded.

    Images are identified by their numbers.
    """

    def __init__(self):
        self._first: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._waiting: dict[int, list[int]] = {}

    def claim(self, digest: bytes, number: int) -> bool:
        """Whether an image is the first with this digest; from any thread."""
        with self._lock:
            first = self._first.setdefault(digest, number)
        return first == number

    def first(self, digest: bytes) -> int:
        """The image that has claimed a digest."""
        return self._first[digest]

    def wait(self, number: int, first: int) -> None:
        """Let an image wait for the result of the first."""
        self._waiting.setdefault(first, []).append(number)

    def pop(self, first: int) -> list[int]:
        """Remove and return the images that wait for this one."""
        return self._waiting.pop(first, [])
