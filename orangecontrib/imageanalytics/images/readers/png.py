"""PNG: with all 16 bits, and with chunks that are too large for Pillow."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.lazy_image import Size, check_page
from orangecontrib.imageanalytics.images.readers.pillow import (
    PillowImage,
    open_image,
)

_SIGNATURE_BYTES = 8
_MAX_PROFILE = 64_000_000
_LARGE = (b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_TRANSPARENT_FACTORS = {"L;2": 85, "L;4": 17}
# Which of the two bytes of each number Pillow takes; it has none that take both.
_HIGH_BYTES = {"RGB;16B": "RGB", "RGBA;16B": "RGBA"}
_LOW_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}


def open(file: BinaryIO, format: Format) -> PngImage:
    """Open a PNG."""
    try:
        return PngImage(file, open_image(file, format.name))
    except ValueError:  # text or a profile that is too large
        return _open_lean(file)


def _open_lean(file: BinaryIO) -> PngImage:
    """Open it without the chunks that Pillow refuses."""
    profile = _profile(file)
    file = _without_large_chunks(file)
    image = open_image(file, "PNG")
    if profile:
        image.info["icc_profile"] = profile
    return PngImage(file, image)


class PngImage(PillowImage):
    """
    A PNG.

    Parameters
    ----------
    file : binary file object
    image : PIL.PngImagePlugin.PngImageFile
        Opened from it.
    """

    def __init__(self, file: BinaryIO, image):
        super().__init__(image)
        self._file = file
        self._rawmode = image.tile[0][3] if image.tile else ""
        self.is_plain = "16" not in self._rawmode

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `LazyImage.read`."""
        if page is not None:
            check_page(page, self.image.n_frames if self.has_more else 1)
        try:
            return self._read(page)
        except ValueError:  # a text after the pixels
            return _open_lean(self._file)._read(page)

    def _read(self, page: int | None) -> Image.Image | Values:
        if self.is_plain or (page or 1) > 1:
            self._scale_transparent_colour()
            return super().read(None, page)
        significant = _significant_bits(self._file)
        values, opacity = self._numbers()
        declared = None
        if significant:
            # Some programs write the numbers as they are, others spread them to 16
            # bits as they should.
            top = 2**significant - 1
            declared = (0, top if values.max(initial=0) <= top else 65535)
        return Values(
            values,
            is_colour=values.ndim == 3,
            declared=(declared,),
            opacity=opacity,
            profile=self.image.info.get("icc_profile"),
        )

    def _scale_transparent_colour(self) -> None:
        """Scale the transparent colour to the 8 bits of the pixels."""
        colour = self.image.info.get("transparency")
        if isinstance(colour, int):
            factor = _TRANSPARENT_FACTORS.get(self._rawmode, 1)
            self.image.info["transparency"] = colour * factor

    def _numbers(self) -> tuple[np.ndarray, np.ndarray | None]:
        """All 16 bits, and the opacity."""
        if self._rawmode == "I;16B":
            self.image.load()
            values = np.asarray(self.image)
            return values, self._but(values, lambda equal: equal)
        if self._rawmode == "LA;16B":  # as bytes: grey, grey, alpha, alpha
            parts = self._bytes_as("RGBA").astype(np.uint16)
            return parts[..., 0] << 8 | parts[..., 1], parts[..., 2].astype(np.uint8)
        high = self._bytes_as(self._rawmode)
        low = self._bytes_as(_LOW_BYTES[self._rawmode])
        values = high.astype(np.uint16) << 8 | low
        if values.shape[2] == 4:
            return values[..., :3], high[..., 3]
        return values, self._but(values, lambda equal: equal.all(axis=2))

    def _bytes_as(self, rawmode: str) -> np.ndarray:
        image = open_image(self._file, "PNG")
        tile = image.tile[0]
        image.tile = [tile._replace(args=rawmode)]
        image.load()
        return np.asarray(image)

    def _but(self, values, combine) -> np.ndarray | None:
        colour = self.image.info.get("transparency")
        if colour is None:
            return None
        return np.where(combine(values == colour), 0, 255).astype(np.uint8)


def chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, position of the data and length of each chunk."""
    place = _SIGNATURE_BYTES
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        (length,) = struct.unpack(">I", head[:4])
        yield head[4:], place + 8, length
        place += length + 12


def _chunk(file: BinaryIO, name: bytes) -> bytes:
    """The content of a chunk before the pixels; empty if there is none."""
    for found, place, length in chunks(file):
        if found == b"IDAT":
            break
        if found == name:
            file.seek(place)
            return file.read(length)
    return b""


def _significant_bits(file: BinaryIO) -> int:
    """The number of significant bits, if the file gives it; otherwise 0."""
    bits = max(_chunk(file, b"sBIT")[:3], default=0)
    return bits if 8 < bits < 16 else 0


def _profile(file: BinaryIO) -> bytes:
    _, _, compressed = _chunk(file, b"iCCP").partition(b"\0")
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(compressed[1:], _MAX_PROFILE)
    return b""


def _without_large_chunks(file: BinaryIO) -> BytesIO:
    """The same image without chunks that Pillow may refuse: profile, texts, EXIF."""
    dropped = [(p, n) for name, p, n in chunks(file) if name in _LARGE]
    file.seek(0)
    content = file.read()
    parts, end = [], 0
    for place, length in dropped:
        parts.append(content[end : place - 8])
        end = place + length + 4
    return BytesIO(b"".join([*parts, content[end:]]))
