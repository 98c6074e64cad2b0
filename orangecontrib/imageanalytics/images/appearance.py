"""Simple measures of what an image looks like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image
from scipy import ndimage

from orangecontrib.imageanalytics.images.fitted import fitted_size

#: Images are made as large as fits into a square of this side before, so that the
#: measures of one image in several sizes are about the same.
EDGE = 512
_COLOR_BOX = 128, 128  # pixels from which the main color is found
COLORS = (
    "black",
    "white",
    "gray",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
)
# Of hue, saturation and value, 0 to 255, as in Pillow's mode HSV.
_BLACK_VALUE, _WHITE_VALUE = 50, 215
_GRAY_SATURATION, _PALE_SATURATION = 38, 115
_BROWN_VALUE = 165
_HUES = ((15, "red"), (41, "orange"), (68, "yellow"), (165, "green"), (258, "blue"))
_LAST_HUES = ((310, "purple"), (342, "pink"), (360, "red"))
_STEPS = 32  # of each of the three


@dataclass(frozen=True)
class Appearance:
    """
    What an image looks like.

    Attributes
    ----------
    brightness : float
        Mean of the gray values, from 0 (black) to 1 (white).
    contrast : float
        Their standard deviation, from 0 to 0.5 (RMS contrast [1]_).
    sharpness : float
        Variance of the Laplacian of the gray values, 0 to 255 [2]_.
    main_color : str
        That of `COLORS` which most pixels have.

    References
    ----------
    .. [1] Peli, E. (1990): Contrast in complex images. Journal of the Optical Society
       of America A 7 (10).
    .. [2] Pech-Pacheco, J. L. et al. (2000): Diatom autofocusing in brightfield
       microscopy: a comparative study. Proceedings of ICPR 2000.
    """

    brightness: float
    contrast: float
    sharpness: float
    main_color: str


def appearance(image: Image.Image) -> Appearance:
    """
    Measure an image.

    Parameters
    ----------
    image : PIL.Image.Image
        In mode RGB, made to fit into a square of side `EDGE`.

    Returns
    -------
    Appearance
    """
    # Luma of ITU-R BT.601
    gray = np.asarray(image.convert("L"), dtype=np.float32)
    small = image.resize(fitted_size(image.size, _COLOR_BOX), Image.Resampling.NEAREST)
    counts = np.bincount(_color_numbers(small), minlength=len(COLORS))
    return Appearance(
        brightness=float(gray.mean()) / 255,
        contrast=float(gray.std()) / 255,
        sharpness=float(ndimage.laplace(gray).var()),
        main_color=COLORS[int(counts.argmax())],
    )


def _color_numbers(image: Image.Image) -> np.ndarray:
    """The number of the color of each pixel."""
    parts = np.asarray(image.convert("HSV")).reshape(-1, 3) // (256 // _STEPS)
    places = (parts[:, 0].astype(int) * _STEPS + parts[:, 1]) * _STEPS + parts[:, 2]
    return _table()[places]


@cache
def _table() -> np.ndarray:
    """The color of each combination of hue, saturation and value, in steps."""
    middles = (np.arange(_STEPS) + 0.5) * (256 // _STEPS)
    names = [
        _name(hue * 360 / 256, saturation, value)
        for hue in middles
        for saturation in middles
        for value in middles
    ]
    return np.array([COLORS.index(name) for name in names])


def _name(hue: float, saturation: float, value: float) -> str:
    """One of the eleven basic color terms of English (Berlin and Kay 1969)."""
    if value < _BLACK_VALUE:
        return "black"
    if saturation < _GRAY_SATURATION:
        return "white" if value >= _WHITE_VALUE else "gray"
    name = next(name for end, name in (*_HUES, *_LAST_HUES) if hue < end)
    if name == "orange" and value < _BROWN_VALUE:
        return "brown"
    if name in ("red", "purple") and saturation < _PALE_SATURATION:
        return "pink" if value >= _BROWN_VALUE else "brown" if name == "red" else name
    return name
