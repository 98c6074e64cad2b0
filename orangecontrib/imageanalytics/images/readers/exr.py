"""OpenEXR: amounts of light, from films and renderers."""

from __future__ import annotations

import os
import tempfile
from typing import BinaryIO

import numpy as np
import OpenEXR

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values, as_opacity
from orangecontrib.imageanalytics.images.picture import (
    Picture,
    Size,
    check_page,
    check_size,
)

# How channels that are grey are called, the most telling first.
_GREYS = ("Y", "L", "Z", "R")


def open(file: BinaryIO, format: Format) -> ExrPicture:
    """Open an OpenEXR file."""
    return ExrPicture(file)


class ExrPicture(Picture):
    """
    The first part of an OpenEXR file.

    Parameters
    ----------
    file : binary file object
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        with self._opened(header_only=True) as opened:
            low, high = opened.header()["dataWindow"]
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
            path = os.path.join(folder, "picture.exr")
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT), "wb") as copy:
                copy.write(self._file.read())
            return OpenEXR.File(path, header_only=header_only)

    def read(self, at_least: Size | None, page: int | None) -> Values:
        """As `Picture.read`."""
        check_page(page or 1, 1)
        with self._opened(header_only=False) as opened:
            channels = {name: c.pixels for name, c in opened.channels().items()}
        array, opacity = _colours(channels)
        width, height = self.size
        if array.shape[:2] != (height, width):  # some channels have fewer pixels
            raise NotImplementedError("channels of other sizes")
        return Values(array, is_colour=array.ndim == 3, opacity=opacity, is_linear=True)


def _colours(channels: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Red, green and blue, or a grey; and the opacity."""
    opacity = channels.get("A")
    if "RGBA" in channels:
        array, opacity = channels["RGBA"][..., :3], channels["RGBA"][..., 3]
    elif "RGB" in channels:
        array = channels["RGB"]
    elif {"R", "G", "B"} <= channels.keys():
        array = np.stack([channels[name] for name in "RGB"], axis=-1)
    else:
        array = channels[next((n for n in _GREYS if n in channels), min(channels))]
    array = array.astype(np.float32)
    return array, None if opacity is None else as_opacity(opacity)
