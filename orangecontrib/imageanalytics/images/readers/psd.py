"""Photoshop's PSD and PSB: the merged image that is stored beside the layers.

Photoshop puts transparent parts on white. Other programs do not; this can be detected,
since colours are then darker than their share of white alone. Channels after the
colours are selections and spot colours, except that the first one is opacity if the
number of layers is negative. (Adobe Photoshop File Formats Specification.)
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values, as_opacity
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    Size,
    check_page,
    check_size,
)

_GREY, _INDEXED, _RGB, _CMYK, _LAB = 1, 2, 3, 4, 9
_N_COLOURS = {_RGB: 3, _CMYK: 4, _LAB: 3}
_RAW, _PACKBITS, _ZIP, _ZIP_PREDICTED = range(4)
_DTYPES = {1: "u1", 8: "u1", 16: ">u2", 32: ">f4"}
_PROFILE, _VERSION = 1039, 1057
_PALETTE_BYTES = 768
_DEEP_LAYERS = (b"Lr16", b"Lr32")
# Of these the large format has lengths of 8 bytes.
_LONG = (*_DEEP_LAYERS, b"LMsk", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk")
# By so much, of 1, rounding makes a colour darker than white was.
_ROUNDED = 2.5 / 255


@dataclass
class _Header:
    large: bool
    n_channels: int
    height: int
    width: int
    depth: int
    mode: int


def open(file: BinaryIO, format: Format) -> PsdImage:
    """Open a PSD or a PSB."""
    version, *fields = struct.unpack(">4xH6xHIIHH", file.read(26))
    if version not in (1, 2):
        raise NotImplementedError(f"version {version}")
    return PsdImage(file, _Header(version == 2, *fields))


class PsdImage(LazyImage):
    """
    A merged image.

    Parameters
    ----------
    file : binary file object
        After its first header.
    header : _Header
        What that says.
    """

    def __init__(self, file: BinaryIO, header: _Header):
        size = header.width, header.height
        super().__init__("PSD", size, is_plain=header.depth <= 8)
        check_size(*size, self.format)
        self._n_colours = _N_COLOURS.get(header.mode, 1)
        if header.depth not in _DTYPES:
            raise NotImplementedError(f"{header.depth} bits")
        if self._n_colours > header.n_channels:
            raise ValueError("too few channels")
        self._file, self._header = file, header
        self._palette = file.read(_integer(file))
        self._profile, self._is_merged = None, True
        self._read_resources(_integer(file))
        skipped = self._length()
        self._layers = file.tell()
        self._start = self._layers + skipped

    def _length(self) -> int:
        kind = ">Q" if self._header.large else ">I"
        return struct.unpack(kind, self._file.read(struct.calcsize(kind)))[0]

    def _read_resources(self, n_bytes: int) -> None:
        file = self._file
        end = file.tell() + n_bytes
        while file.tell() + 12 <= end:
            (kind,) = struct.unpack(">4xH", file.read(6))
            n_name = file.read(1)[0]
            file.seek(n_name | 1, 1)  # an even number, with its length
            length = _integer(file)
            if kind == _PROFILE:
                self._profile = file.read(length)
            elif kind == _VERSION and length > 4:
                self._is_merged = file.read(length)[4] != 0
            else:
                file.seek(length, 1)
            file.seek(length & 1, 1)
        file.seek(end)

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `LazyImage.read`."""
        check_page(page or 1, 1)
        if not self._is_merged:  # in its place is a note that says so
            raise ImageError(
                "Photoshop kept no merged image in it: save it there with Maximize "
                "Compatibility"
            )
        has_opacity = self._has_opacity()
        channels = self._channels(self._n_colours + has_opacity)
        opacity = self._opacity(*channels) if has_opacity else None
        channels = channels[: self._n_colours]
        mode, depth = self._header.mode, self._header.depth
        if depth > 8 and mode not in (_CMYK, _LAB):
            return self._values(channels, opacity)
        if depth > 8:
            channels = [(channel >> 8).astype(np.uint8) for channel in channels]
        image = self._image(channels, mode)
        if opacity is not None:
            image.putalpha(Image.fromarray(opacity))
        if self._profile:
            image.info["icc_profile"] = self._profile
        return image

    @staticmethod
    def _opacity(*channels: np.ndarray) -> np.ndarray | None:
        """The opacity, in bytes, unless the image is already on white."""
        *colours, alpha = channels
        top = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
        white = 1 - alpha.astype(np.float32) / top
        is_darker = (c.astype(np.float32) / top < white - _ROUNDED for c in colours)
        return as_opacity(alpha) if any(d.any() for d in is_darker) else None

    def _has_opacity(self) -> bool:
        """Whether the number of layers is negative, in modes where this counts."""
        header = self._header
        is_known = header.mode in (_RGB, _GREY) and header.depth > 1
        if not is_known or header.n_channels <= self._n_colours:
            return False
        self._file.seek(self._layers)
        if self._layers == self._start:
            return False
        n_bytes = self._length()
        if n_bytes:
            return struct.unpack(">h", self._file.read(2))[0] < 0
        self._file.seek(_integer(self._file), 1)
        while self._file.tell() + 12 <= self._start:
            _, key = struct.unpack(">4s4s", self._file.read(8))
            length = self._length() if key in _LONG else _integer(self._file)
            if key in _DEEP_LAYERS:
                return struct.unpack(">h", self._file.read(2))[0] < 0
            self._file.seek(-(-length // 4) * 4, 1)
        return False

    def _values(self, channels: list[np.ndarray], opacity: np.ndarray | None) -> Values:
        whole = (0, 1) if self._header.depth == 32 else (0, 65535)
        return Values(
            channels[0] if len(channels) == 1 else np.stack(channels, axis=-1),
            is_colour=len(channels) == 3,
            declared=(whole,),
            full=whole,
            opacity=opacity,
            profile=self._profile,
        )

    def _image(self, channels: list[np.ndarray], mode: int) -> Image.Image:
        if self._header.depth == 1:
            bits = np.unpackbits(channels[0], axis=1)[:, : self.size[0]]
            return Image.fromarray((1 - bits) * np.uint8(255))
        if mode == _CMYK:  # no ink is 255
            channels = [255 - channel for channel in channels]
        bands = [Image.fromarray(channel) for channel in channels]
        if mode == _INDEXED and len(self._palette) >= _PALETTE_BYTES:
            image = bands[0].convert("P")
            parts = np.frombuffer(self._palette[:_PALETTE_BYTES], np.uint8)
            image.putpalette(parts.reshape(3, 256).T.tobytes())
            return image
        names = {_RGB: "RGB", _CMYK: "CMYK", _LAB: "LAB"}
        return Image.merge(names[mode], bands) if mode in names else bands[0]

    def _channels(self, n_channels: int) -> list[np.ndarray]:
        """The first channels, each of shape (height, bytes or numbers in a row)."""
        self._file.seek(self._start)
        (compression,) = struct.unpack(">H", self._file.read(2))
        header = self._header
        dtype = np.dtype(_DTYPES[header.depth])
        n_columns = -(-header.width // 8) if header.depth == 1 else header.width
        n_row, n_rows = n_columns * dtype.itemsize, header.height * n_channels
        if compression == _RAW:
            content = self._file.read(n_row * n_rows)
        elif compression == _PACKBITS:
            content = self._packbits(n_row, n_rows)
        elif compression in (_ZIP, _ZIP_PREDICTED):
            content = zlib.decompressobj().decompress(self._file.read(), n_row * n_rows)
        else:
            raise NotImplementedError(f"compression {compression}")
        if len(content) < n_row * n_rows:
            raise EOFError
        numbers = np.frombuffer(content, dtype)
        numbers = numbers.reshape(n_channels, header.height, n_columns)
        if compression == _ZIP_PREDICTED:
            if header.depth == 32:
                raise NotImplementedError("predicted floats")
            numbers = np.cumsum(numbers, axis=2, dtype=dtype.newbyteorder("="))
        return list(numbers)

    def _packbits(self, n_row: int, n_rows: int) -> bytes:
        kind = ">u4" if self._header.large else ">u2"
        n_all = self._header.height * self._header.n_channels
        lengths = self._file.read(n_all * np.dtype(kind).itemsize)
        n_packed = int(np.frombuffer(lengths, kind)[:n_rows].sum())
        packed = self._file.read(n_packed)
        return Image.frombytes("L", (n_row, n_rows), packed, "packbits", "L").tobytes()


def _integer(file: BinaryIO) -> int:
    return struct.unpack(">I", file.read(4))[0]
