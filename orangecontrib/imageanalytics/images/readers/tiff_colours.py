"""The colours of a TIFF page that are not plain red, green and blue; its opacity."""

from __future__ import annotations

import numpy as np
import tifffile
from PIL import Image

from orangecontrib.imageanalytics.images.intensity import as_opacity, unassociated
from orangecontrib.imageanalytics.images.readers.tiff_page import (
    ASSOCIATED,
    IN_PLANES,
    KEEPING_COLOURS,
    UNASSOCIATED,
    has_byte_palette,
)

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_COLOURS = (
    _PHOTOMETRIC.RGB,
    _PHOTOMETRIC.YCBCR,
    _PHOTOMETRIC.SEPARATED,
    _PHOTOMETRIC.CIELAB,
    _PHOTOMETRIC.ICCLAB,
)
_MODES = {
    _PHOTOMETRIC.SEPARATED: "CMYK",
    _PHOTOMETRIC.YCBCR: "YCbCr",
    _PHOTOMETRIC.CIELAB: "LAB",
    _PHOTOMETRIC.ICCLAB: "LAB",
}


def are_colours(page) -> bool:
    """Whether the samples of a page are colours, if it has several."""
    return page.photometric in _COLOURS


def opacity_sample(page, n_samples: int) -> int | None:
    """The number of the sample that holds the opacity; None if none does."""
    extra = page.extrasamples or ()
    first = n_samples - len(extra)
    known = (ASSOCIATED, UNASSOCIATED)
    return next((first + i for i, kind in enumerate(extra) if kind in known), None)


def without_opacity(
    page, array: np.ndarray, sample: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """
    Colours that do not depend on their opacity, and the opacity.

    Parameters
    ----------
    page : tifffile.TiffPage
    array : numpy.ndarray, shape (height, width, samples)
        Without the opacity if that was left out.
    sample : int
        The sample that holds the opacity.

    Returns
    -------
    numpy.ndarray
        As `array`.
    numpy.ndarray or None
        As `as_opacity`.
    """
    if sample >= array.shape[2]:
        return array, None
    alpha = array[..., sample]
    if page.extrasamples[sample - page.samplesperpixel] == ASSOCIATED:
        array = unassociated(array, alpha)
    return array, as_opacity(alpha)


def by_palette(page, array: np.ndarray) -> Image.Image:
    """The colours that numbers have in the page's palette."""
    colours = page.colormap
    if not has_byte_palette(page):
        colours = colours >> 8
    numbers = array if array.ndim == 2 else array[..., 0]
    return Image.fromarray(colours.T.astype(np.uint8)[numbers])


def other_colours(page, array: np.ndarray) -> Image.Image | None:
    """
    CMYK, Lab or YCbCr as an image in that mode.

    Parameters
    ----------
    page : tifffile.TiffPage
    array : numpy.ndarray, shape (height, width, samples)

    Returns
    -------
    PIL.Image.Image or None
        None for data that became RGB while they were decoded.

    Raises
    ------
    NotImplementedError
        Pillow has no such mode, or libtiff has to convert the colours.
    """
    photometric = page.photometric
    is_video = photometric == _PHOTOMETRIC.YCBCR
    if is_video and page.compression not in KEEPING_COLOURS:
        return None
    if is_video and page.planarconfig != IN_PLANES:
        raise NotImplementedError("YCbCr, which libtiff converts")
    mode = _MODES[photometric]
    n_bands = len(mode) if mode == "CMYK" else 3
    if array.shape[2] < n_bands or array.dtype.kind != "u":
        raise NotImplementedError(f"{mode} of {array.shape[2]} x {array.dtype}")
    array = array[..., :n_bands] >> 8 * (array.dtype.itemsize - 1)
    array = array.astype(np.uint8)
    if photometric == _PHOTOMETRIC.CIELAB:  # a and b are signed
        array = array ^ np.array([0, 128, 128], np.uint8)
    bands = (np.ascontiguousarray(array[..., i]) for i in range(n_bands))
    return Image.merge(mode, [Image.fromarray(band) for band in bands])
