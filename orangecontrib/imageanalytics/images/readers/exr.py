"""OpenEXR: amounts of light, from films and renderers."""

from __future__ import annotations

import os
import tempfile
from typing import BinaryIO

import numpy as np
import OpenEXR

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import (
    Values,
    as_opacity,
    unassociated,
)
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    Size,
    check_page,
    check_size,
)

# How channels that are grey are called, the most telling first.
_GREYS = ("Y", "L", "Z", "R")


def open(file: BinaryIO, format: Format) -> ExrImage:
    """Open an OpenEXR file."""
    return ExrImage(file)


class ExrImage(LazyImage):
    """
    An OpenEXR file: the first of its parts that has colours, else the first.

    Parameters
    ----------
    file : binary file object
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        with self._opened(header_only=True) as opened:
            self._part = _part_with_colours(opened)
            low, high = opened.header(self._part)["dataWindow"]
        width, height = (
            int(end) - int(start) + 1 for start, end in zip(low, high, strict=True)
        )
        super().__init__("EXR", (width, height), is_plain=False)
        check_size(width, height, self.format)

    def _opened(self, header_only: bool):
        name = getattr(self._file, "name", None)
        if isinstance(name, str) and os.path.exists(name):
            return OpenEXR.File(name, header_only=header_only)
        # The library reads files alone.
        self._file.seek(0)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "image.exr")
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT), "wb") as copy:
                copy.write(self._file.read())
            return OpenEXR.File(path, header_only=header_only)

    def read(self, at_least: Size | None, page: int | None) -> Values:
        """As `LazyImage.read`."""
        check_page(page or 1, 1)
        with self._opened(header_only=False) as opened:
            found = opened.channels(self._part)
            channels = {name: channel.pixels for name, channel in found.items()}
        array, opacity = _colours(channels)
        width, height = self.size
        if array.shape[:2] != (height, width):  # some channels have fewer pixels
            raise NotImplementedError("channels of other sizes")
        return Values(array, is_colour=array.ndim == 3, opacity=opacity, is_linear=True)


def _part_with_colours(opened: OpenEXR.File) -> int:
    names = (
        {channel.name for channel in opened.header(index)["channels"]}
        for index in range(len(opened.parts))
    )
    return next((index for index, n in enumerate(names) if {*"RGB"} <= n), 0)


def _colours(channels: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Red, green and blue, or grey, and the opacity."""
    opacity = channels.get("A")
    if "RGBA" in channels:
        array, opacity = channels["RGBA"][..., :3], channels["RGBA"][..., 3]
    elif "RGB" in channels:
        array = channels["RGB"]
    elif {"R", "G", "B"} <= channels.keys():
        array = np.stack([channels[name] for name in "RGB"], axis=-1)
    else:
        name = next((name for name in _GREYS if name in channels), min(channels))
        array = channels[name]
        if array.ndim == 3:  # colours of a layer
            opacity = array[..., 3] if array.shape[2] > 3 else None
            array = array[..., :3]
    array = array.astype(np.float32)
    if opacity is None:
        return array, None
    # Colours are multiplied by it. (Technical Introduction to OpenEXR.)
    return unassociated(array, opacity), as_opacity(opacity)
