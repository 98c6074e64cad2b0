"""The metadata of channels that ImageJ writes into a TIFF."""

from __future__ import annotations

import numpy as np

from orangecontrib.imageanalytics.images.intensity import Range
from orangecontrib.imageanalytics.images.readers.tiff_page import number


def _metadata(tiff) -> dict:
    return (tiff.imagej_metadata or {}) if tiff.is_imagej else {}


def ranges(tiff) -> list[Range]:
    """The display ranges of ImageJ's channels."""
    known = _metadata(tiff)
    ends = known.get("Ranges") or (known.get("min"), known.get("max"))
    numbers = [number(end) for end in ends]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    if not pairs or any(None in pair or not pair[0] < pair[1] for pair in pairs):
        return []
    return pairs


def colours(tiff) -> list[tuple[int, int, int]]:
    """The brightest colour of each channel's table."""
    tables = _metadata(tiff).get("LUTs") or ()
    return [tuple(int(part) for part in np.asarray(t)[:, -1]) for t in tables]
