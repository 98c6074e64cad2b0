"""JPEG: reduced while it is decoded, with or without an end marker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    OtherFormat,
    Size,
    check_page,
    check_size,
)
from orangecontrib.imageanalytics.images.readers.pillow import (
    PillowImage,
    open_image,
)

_END = b"\xff\xd9"
_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_FRAMES = {*range(0xC0, 0xD0), _JPEG_LS} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_SCAN = 0xDA
# Between data there are others: 0xFF itself, restarts, the end.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd9\xff]", re.DOTALL)
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_BITS = b"\x55" * 200, b"\xaa" * 200


@dataclass(frozen=True)
class Frame:
    """
    What a JPEG says about its compression.

    Attributes
    ----------
    kind : int
        The marker, such as 0xC0 for the usual kind.
    bits : int
        Of each colour.
    size : (int, int)
        Width and height in pixels.
    """

    kind: int
    bits: int
    size: Size

    @property
    def is_lossless(self) -> bool:
        """Whether it is lossless, as in the first JPEG standard."""
        return self.kind == _LOSSLESS

    @property
    def is_jpeg_ls(self) -> bool:
        """Whether it is a JPEG-LS."""
        return self.kind == _JPEG_LS

    @property
    def is_rare(self) -> bool:
        """Whether Pillow cannot read it."""
        return self.bits != 8 or self.is_lossless or self.is_jpeg_ls


def read_frame(file: BinaryIO) -> Frame | None:
    """The compression of a JPEG; None if the file does not say."""
    file.seek(2)
    while len(start := file.read(2)) == 2 and start[0] == 0xFF:
        if start[1] in _FRAMES:
            head = file.read(7)
            if len(head) < 7:
                return None
            height, width = (int.from_bytes(head[i : i + 2], "big") for i in (3, 5))
            return Frame(start[1], head[2], (width, height))
        if start[1] == 0xFF:  # filled up
            file.seek(-1, 1)
        elif start[1] not in _WITHOUT_LENGTH:
            length = int.from_bytes(file.read(2), "big")
            if length < 2:
                return None
            file.seek(length - 2, 1)
    return None


def open(file: BinaryIO, format: Format) -> LazyImage:
    """Open a JPEG."""
    try:
        return JpegImage(file, open_image(file, format.name))
    except Exception:
        _leave_rare(file)
        raise


def _leave_rare(file: BinaryIO) -> None:
    """Leave JPEGs that Pillow does not read to another reader."""
    frame = read_frame(file)
    if frame is not None and frame.is_rare:
        raise OtherFormat


class JpegImage(PillowImage):
    """
    A JPEG of 8 bits.

    Parameters
    ----------
    file : binary file object
    image : PIL.JpegImagePlugin.JpegImageFile
        Opened from it.
    """

    def __init__(self, file: BinaryIO, image):
        super().__init__(image)
        self._file = file

    def check_size(self) -> None:
        """Check the size only if all pixels are in memory at once."""
        if self.image.info.get("progressive"):
            super().check_size()

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `LazyImage.read`; at 1/2, 1/4 or 1/8 of the size if that is enough."""
        check_page(page or 1, 1)
        self._reduce(self.image, at_least)
        try:
            self.image.load()
        except OSError:
            _leave_rare(self._file)
            whole = self._without_end(at_least)
            if whole is None:
                raise
            return whole
        return self.image

    def _reduce(self, image: Image.Image, at_least: Size | None) -> None:
        if at_least is not None:
            width, height = (max(1, int(side)) for side in at_least)
            image.draft(None, (width, height))
        check_size(*image.size, self.format)

    def _without_end(self, at_least) -> Image.Image | None:
        """
        An image that only lacks its end marker, as from some cameras and servers.

        Decoders invent missing data from whatever follows. If nothing is missing, it
        does not matter what follows.
        """
        self._file.seek(0)
        content = self._file.read().removesuffix(_END[:1])
        if not _has_all_scans(content):
            return None
        check_size(*self.size, self.format)
        first = None
        for filling in _fillings(content):
            image = open_image(BytesIO(content + filling + _END), "JPEG")
            try:
                image.load()
            except OSError:
                return None
            if first is not None and image != first:
                return None
            first = image
        image = open_image(BytesIO(content + _END), "JPEG")
        self._reduce(image, at_least)
        image.load()
        return image


def _fillings(content: bytes) -> list[bytes]:
    """What may follow the data of a JPEG, also where a restart is due."""
    found = _RESTART.findall(content)
    last = found[-1][0] if found else -1
    restarts = [bytes([0xFF, 0xD0 + (last + n) % 8]) for n in range(1, 17)]
    return [*_BITS, *(b"".join(mark + bits for mark in restarts) for bits in _BITS)]


def _has_all_scans(content: bytes) -> bool:
    """Whether the scans contain all components with all of their bits."""
    missing: set[tuple[int, int]] = set()  # component, coefficient
    for marker, segment in _segments(content):
        if marker in _FRAMES:
            n_coefficients = 64 if marker in _PROGRESSIVE else 1
            components = segment[6::3]
            missing = {(c, k) for c in components for k in range(n_coefficients)}
        elif marker == _SCAN and len(segment) >= 1 + 2 * segment[0] + 3:
            components = segment[1 : 1 + 2 * segment[0] : 2]
            first, last, bits = segment[1 + 2 * segment[0] :][:3]
            if not bits & 15:  # down to the lowest bit
                covered = range(first, last + 1)
                missing -= {(c, k) for c in components for k in covered}
    return not missing


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments with a length: marker and content."""
    place = 2
    while (match := _MARKER.search(content, place)) is not None:
        place = match.end()
        length = int.from_bytes(content[place : place + 2], "big")
        yield match[0][1], content[place + 2 : place + length]
        place += length
