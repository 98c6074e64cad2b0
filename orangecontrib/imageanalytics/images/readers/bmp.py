"""BMP, as far as Pillow reads it; another reader reads the rest."""

from __future__ import annotations

from typing import BinaryIO

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.lazy_image import LazyImage, OtherFormat
from orangecontrib.imageanalytics.images.readers import pillow


def open(file: BinaryIO, format: Format) -> LazyImage:
    """Open a BMP."""
    try:
        return pillow.open(file, format)
    except OSError as error:
        if "Unsupported" in str(error):  # a rare number of bits a colour
            raise OtherFormat from error
        raise
