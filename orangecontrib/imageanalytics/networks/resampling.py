"""Scale images with the same result as torch, but without it.

Importing torch takes longer than scaling a thousand images. If there is no wheel of
cykooz_resizer, Pillow is used, which takes three times as long.
"""

from __future__ import annotations

import importlib.util
import math
import threading
from functools import cache

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]

_PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# Names of the same filters in that package, and their radius in pixels.
_FILTERS = {"bilinear": ("bilinear", 1), "bicubic": ("catmull_rom", 2)}
_thread = threading.local()


def scaled_window(
    image: Image.Image,
    size: tuple[int, int],
    window: tuple[int, int, int, int],
    interpolation: str,
) -> np.ndarray:
    """A part of a scaled image; the rest is not computed.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB.
    size : (int, int)
        Width and height to which all of it would be scaled.
    window : (int, int, int, int)
        Left, top, right and bottom of the part, in the scaled image.
    interpolation : {"bilinear", "bicubic"}
        With antialiasing.

    Returns
    -------
    numpy.ndarray
        uint8, shape (bottom - top, right - left, 3).
    """
    left, top, right, bottom = window
    box = unscaled(window, size, image.size)
    size = right - left, bottom - top
    return np.asarray(_resized(image, size, box, interpolation))


def unscaled(
    window: tuple[int, int, int, int], size: tuple[int, int], original: tuple[int, int]
) -> Box:
    """Where a part of a scaled image lies in the original, in fractions of pixels.

    Parameters
    ----------
    window, size
        As for `scaled_window`.
    original : (int, int)
        Width and height of the image.

    Returns
    -------
    tuple of float
        Left, top, right and bottom.
    """
    scales = [old / new for old, new in zip(original, size, strict=True)] * 2
    ends = (end * scale for end, scale in zip(window, scales, strict=True))
    # Rounding must not lead out of the image.
    return tuple(min(end, most) for end, most in zip(ends, original * 2, strict=True))


@cache
def _has_resizer() -> bool:
    return importlib.util.find_spec("cykooz_resizer") is not None


def _resized(image, size, box: Box, interpolation: str) -> Image.Image:
    """Scale first the rows, then the columns.

    This is the order of torch, and of Pillow before version 13. Since numbers beyond
    black and white are clipped in between, the other order would change edges.
    """
    left, top, right, bottom = box
    width, height = size
    _, reach = _FILTERS[interpolation]
    reach *= max(1, (bottom - top) / height)
    first = max(0, math.floor(top - reach))
    last = min(image.height, math.ceil(bottom + reach))
    scale = _resize if _has_resizer() else _resize_with_pillow
    rows = (left, first, right, last)
    image = scale(image, (width, last - first), rows, interpolation)
    columns = (0, top - first, width, bottom - first)
    return scale(image, size, columns, interpolation)


def _resize_with_pillow(image, size, box: Box, interpolation: str) -> Image.Image:
    return image.resize(size, _PILLOW[interpolation], box)


def _resize(image, size, box: Box, interpolation: str) -> Image.Image:
    from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer

    if not hasattr(_thread, "resizer"):  # it is one thread's alone
        _thread.resizer = Resizer()
    left, top, right, bottom = box
    filter_name, _ = _FILTERS[interpolation]
    options = ResizeOptions(
        resize_alg=ResizeAlg.convolution(getattr(FilterType, filter_name)),
        crop_box=CropBox(left, top, right - left, bottom - top),
        use_alpha=False,
    )
    result = Image.new("RGB", size)
    _thread.resizer.resize_pil(image, result, options)
    return result
