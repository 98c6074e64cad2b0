"""Formats that imagecodecs reads: JPEG XL, JPEG XR, Radiance HDR and others."""

from __future__ import annotations

import struct
from typing import BinaryIO

import imagecodecs
import numpy as np

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values, as_opacity
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    Size,
    check_page,
    check_size,
)

_DECODERS = {
    "BMP": imagecodecs.bmp_decode,
    "JPEG2000": imagecodecs.jpeg2k_decode,
    "JXL": imagecodecs.jpegxl_decode,
    "JXR": imagecodecs.jpegxr_decode,
    "HDR": imagecodecs.rgbe_decode,
}
_LIGHT = ("HDR",)
_IMAGE_OFFSET, _IMAGE_BYTES = 0xBCC0, 0xBCC1  # tags of JPEG XR


def open(file: BinaryIO, format: Format) -> CodecImage:
    """Decode an image, since the codecs do not know its size before."""
    content = file.read()
    if format.name == "JXR":
        _check_end(content)
    array = _DECODERS[format.name](content)
    if array.ndim == 4:  # frames of an animation
        array = array[0]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    return CodecImage(format.name, array)


def _check_end(content: bytes) -> None:
    """Detect a JPEG XR that was cut short; its decoder invents the rest."""
    (place,) = struct.unpack_from("<I", content, 4)
    (n_tags,) = struct.unpack_from("<H", content, place)
    tags = (
        struct.unpack_from("<HHII", content, place + 2 + 12 * n) for n in range(n_tags)
    )
    values = {tag: value for tag, _, _, value in tags}
    if values.get(_IMAGE_OFFSET, 0) + values.get(_IMAGE_BYTES, 0) > len(content):
        raise EOFError


class CodecImage(LazyImage):
    """
    A decoded image.

    Parameters
    ----------
    name : str
        Of the format.
    array : numpy.ndarray
        Shape (height, width) or (height, width, n), with opacity as the last of 2 or 4.
    """

    def __init__(self, name: str, array: np.ndarray):
        height, width = array.shape[:2]
        super().__init__(name, (width, height), is_plain=array.dtype == np.uint8)
        check_size(width, height, name)
        self._array = array

    def read(self, at_least: Size | None, page: int | None) -> Values:
        """As `LazyImage.read`."""
        check_page(page or 1, 1)
        array, opacity = self._array, None
        if array.ndim == 3 and array.shape[2] in (2, 4):
            array, opacity = array[..., :-1], as_opacity(array[..., -1])
            array = array[..., 0] if array.shape[2] == 1 else array
        return Values(
            array,
            is_colour=array.ndim == 3,
            opacity=opacity,
            is_linear=self.format in _LIGHT,
        )
