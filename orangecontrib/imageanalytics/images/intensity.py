"""Scales the numbers in an image to the 256 levels of screens and networks.

Photos have 8 bits a colour and are shown as they are. Microscopes, telescopes and
scanners give other numbers: 12 bits in 16, floats, counts. Which of them is black and
which is white is the image's *intensity range*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

AUTOMATIC, FULL = "auto", "full"
#: `AUTOMATIC`, `FULL`, or the numbers that become black and white
Intensity = str | tuple[float, float]
Range = tuple[float, float]

#: The attribute of a column of images that says how they are to be shown.
ATTRIBUTE = "intensity"

# The share of values at either end that the automatic range leaves out, and the number
# of values from which on this is at least one, so that hot pixels do not count.
OUTLIERS, MANY = 0.001, 64
# More of them than this are not above a range that is meant to show them.
NEARLY_ALL = 0.99
# A range in common use, such as 0 to 4095, is taken when the values fill this much of
# it: then the image looks as it does in 8 bits.
FILLED = 0.75
SAMPLED = 1_000_000
STRIP = 1 << 22  # values that are converted at once
_WHOLE_NUMBERS = tuple(float(2**bits - 1) for bits in (8, 10, 12, 14, 16, 32))
_FRACTIONS = 1.0, 255.0, 65535.0

# For channels whose file names no colours. Magenta and green come first: the
# colour-blind tell them apart, too.
COLOURS = (
    (255, 0, 255),
    (0, 255, 0),
    (0, 255, 255),
    (255, 255, 0),
    (255, 0, 0),
    (0, 0, 255),
    (255, 255, 255),
)


def as_intensity(value: object) -> Intensity:
    """
    Check a user's choice of an intensity range.

    Parameters
    ----------
    value : str, (number, number) or None
        "auto" or None, "full", two numbers, or text with two numbers: "100:700".

    Returns
    -------
    "auto", "full" or (float, float)

    Raises
    ------
    ValueError
        It is none of these, or the first number is not below the second.
    """
    if value is None:
        return AUTOMATIC
    if isinstance(value, str) and value in (AUTOMATIC, FULL):
        return value
    ends = value.split(":") if isinstance(value, str) else value
    try:
        low, high = (float(end) for end in ends)
    except (TypeError, ValueError):
        raise ValueError(
            f"'{value}' is not an intensity range, should be '{AUTOMATIC}', '{FULL}' "
            "or LOW:HIGH"
        ) from None
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(f"intensity: {low:g} is not below {high:g}")
    return low, high


def intensity_text(intensity: Intensity) -> str:
    """An intensity range as text that `as_intensity` reads, such as "100:700"."""
    if isinstance(intensity, str):
        return intensity
    return ":".join(f"{end:.17g}" for end in intensity)


def column_intensity(variable) -> Intensity:
    """
    How the images of a column are to be shown.

    Parameters
    ----------
    variable : Orange.data.Variable
        The column. Its attribute ``intensity`` may come from a file: an invalid one
        stands for automatic.
    """
    try:
        return as_intensity(variable.attributes.get(ATTRIBUTE))
    except ValueError:
        return AUTOMATIC


@dataclass
class Values:
    """
    The numbers of an image, and what is known about their meaning.

    Attributes
    ----------
    array : numpy.ndarray
        Any dtype; shape (height, width), or (height, width, n) of colours or
        channels.
    is_colour : bool
        Whether a third axis holds red, green and blue, rather than channels.
    declared : sequence of ((float, float) or None)
        The ranges that the file declares: one for all, or one for each channel.
    full : (float, float) or None
        The possible range of the values. The default is that of the dtype; for floats,
        from the least to the greatest value.
    inverted : bool
        Whether the least value is white.
    missing : float or None
        The value that marks missing pixels, which are black.
    opacity : numpy.ndarray or None
        uint8, shape (height, width): 0 where nothing is seen, 255 where all is.
    colours : sequence of (int, int, int)
        Those of the channels; by default `COLOURS`.
    is_linear : bool
        Whether the values are amounts of light, which screens do not take.
    profile : bytes or None
        ICC profile of the colours.
    """

    array: np.ndarray
    is_colour: bool = False
    declared: Sequence[Range | None] = (None,)
    full: Range | None = None
    inverted: bool = False
    missing: float | None = None
    opacity: np.ndarray | None = None
    colours: Sequence[tuple[int, int, int]] = ()
    is_linear: bool = False
    profile: bytes | None = None

    def __post_init__(self):
        if self.array.dtype.kind == "c":
            self.array = np.abs(self.array)
        elif self.array.dtype.kind == "b":
            self.array = self.array.astype(np.uint8) * np.uint8(255)
        if not self.array.dtype.isnative:
            self.array = self.array.astype(self.array.dtype.newbyteorder("="))

    def to_image(self, intensity: Intensity) -> Image.Image:
        """
        The image that these numbers show.

        Parameters
        ----------
        intensity : "auto", "full" or (float, float)
            Automatic is the range that the file declares, otherwise that of bytes, or
            else one that contains most of the values.

        Returns
        -------
        PIL.Image.Image
            Mode RGB, or L for a single grey, RGBA or LA with opacity; not turned, the
            profile not applied but in its ``info``.
        """
        if self.array.ndim == 2 or self.is_colour:
            image = Image.fromarray(self._levels(self.array, 0, intensity))
        elif self.array.shape[2] == 1:
            image = Image.fromarray(self._levels(self.array[..., 0], 0, intensity))
        else:
            image = Image.fromarray(self._composed(intensity))
        if self.opacity is not None:
            image.putalpha(Image.fromarray(self.opacity))
        if self.profile:
            image.info["icc_profile"] = self.profile
        return image

    def _composed(self, intensity) -> np.ndarray:
        """The sum of all channels, each in its colour, as light adds up."""
        height, width, n_channels = self.array.shape
        colours = self.colours or COLOURS
        total = np.zeros((height, width, 3), np.uint16)
        for index in range(min(n_channels, len(COLOURS))):
            levels = self._levels(self.array[..., index], index, intensity)
            for place, part in enumerate(colours[index % len(colours)]):
                if part == 255:
                    total[..., place] += levels
                elif part:
                    total[..., place] += levels.astype(np.uint16) * part // 255
        return np.minimum(total, 255).astype(np.uint8)

    def _levels(self, values: np.ndarray, index: int, intensity) -> np.ndarray:
        low, high = self._range(values, index, intensity)
        levels = _scaled(values, low, high, self.is_linear)
        if self.inverted:
            np.subtract(255, levels, out=levels)
        for nothing in self._nothing(values):
            levels[nothing] = 0
        return levels

    def _nothing(self, values: np.ndarray):
        """Masks of pixels without a value."""
        if values.dtype.kind == "f":
            yield ~np.isfinite(values)
        if self.missing is not None:
            yield values == self.missing

    def _range(self, values, index, intensity) -> Range:
        if isinstance(intensity, tuple):
            return intensity
        sample = self._sample(values)
        if not sample.size:
            return 0, 1
        if intensity == FULL:
            return self.full or _possible(sample)
        declared = self.declared[index % len(self.declared)]
        if self.is_linear:
            return _exposure(sample)
        return _automatic(sample, declared)

    def _sample(self, values: np.ndarray) -> np.ndarray:
        step = max(1, math.isqrt(values.size // SAMPLED))
        sample = values[::step, ::step].ravel()
        known = np.ones(sample.shape, bool)
        if self.opacity is not None:
            known = self.opacity[::step, ::step].ravel() > 0
            known = np.repeat(known, sample.size // known.size)
        for nothing in self._nothing(sample):
            known &= ~nothing
        return sample[known]


def as_opacity(values: np.ndarray) -> np.ndarray:
    """
    Opacity on the scale of bytes.

    Parameters
    ----------
    values : numpy.ndarray
        Floats from 0 to 1, or unsigned whole numbers of which the largest of their
        type is opaque.

    Returns
    -------
    numpy.ndarray
        uint8, same shape.
    """
    top = 1 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    shares = np.clip(np.nan_to_num(values.astype(np.float64)) / top, 0, 1)
    return np.rint(shares * 255).astype(np.uint8)


def unassociated(values: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """
    Undo the multiplication of colours by their opacity.

    Parameters
    ----------
    values : numpy.ndarray
        Colours, shape (height, width, n).
    alpha : numpy.ndarray
        Opacity, shape (height, width), as `as_opacity` takes it.

    Returns
    -------
    numpy.ndarray
        Same shape and dtype as the colours. Where nothing is opaque they stay: such
        pixels glow.
    """
    top = 1 if values.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    share = alpha.astype(np.float64)[..., None] / top
    found = np.divide(values, share, out=values.astype(np.float64), where=share > 0)
    if values.dtype.kind != "f":
        found = np.clip(np.rint(found), 0, np.iinfo(values.dtype).max)
    return found.astype(values.dtype)


def apply_range(image: Image.Image, intensity: Intensity) -> Image.Image:
    """
    Apply other ends to an image of 8 bits; without given ends, it stays unchanged.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB.
    intensity : "auto", "full" or (float, float)
        The ends are on the scale 0 to 255.
    """
    if isinstance(intensity, str):
        return image
    levels = _scaled(np.arange(256, dtype=np.uint8), *intensity, False)
    return image.point(levels.tolist() * len(image.getbands()))


def _possible(sample: np.ndarray) -> Range:
    if sample.dtype.kind == "f":
        return float(sample.min()), float(sample.max())
    limits = np.iinfo(sample.dtype)
    return limits.min, limits.max


def _automatic(sample: np.ndarray, declared: Range | None) -> Range:
    low, high = _robust(sample)
    if declared is not None and _shows(declared, sample, high):
        return declared
    if sample.dtype == np.uint8:
        return 0, 255
    if low == high:
        low, high = float(sample.min()), float(sample.max())
    usual = _usual(sample.dtype, low, high)
    if usual is not None and (
        low == high or high - low >= FILLED * (usual[1] - usual[0])
    ):
        return usual
    return low, high


def _robust(sample: np.ndarray) -> Range:
    """The least and the greatest value, apart from outliers."""
    n_outliers = round(OUTLIERS * (sample.size - 1))
    if sample.size >= MANY:
        n_outliers = max(1, n_outliers)
    ends = n_outliers, sample.size - 1 - n_outliers
    low, high = np.partition(sample, ends)[[*ends]]
    return float(low), float(high)


def _shows(declared: Range, sample: np.ndarray, high: float) -> bool:
    """Whether a range shows anything; otherwise the file gives a wrong one."""
    is_white = np.count_nonzero(sample >= declared[1]) > NEARLY_ALL * sample.size
    is_beyond = is_white and sample.max() > declared[1]
    return declared[0] < high and not is_beyond


def _usual(dtype: np.dtype, low: float, high: float) -> Range | None:
    """The smallest common range that contains these values."""
    if low < 0:
        return _possible(np.empty(0, dtype)) if dtype.kind == "i" else None
    tops = _FRACTIONS if dtype.kind == "f" else _WHOLE_NUMBERS
    return next(((0.0, top) for top in tops if high <= top), None)


def _exposure(sample: np.ndarray) -> Range:
    """The range for amounts of light, where the sun is a thousand times brighter."""
    high = float(np.percentile(sample, 99, method="nearest"))
    return (0.0, 1.0) if 0.5 <= high <= 1.5 or high <= 0 else (0.0, high)


def _scaled(values: np.ndarray, low: float, high: float, is_linear: bool) -> np.ndarray:
    """Scale to bytes: 0 for `low`, 255 for `high`."""
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        limits = np.iinfo(values.dtype)
        table = np.arange(limits.min, limits.max + 1, dtype=np.float64)
        table = _to_bytes(table, low, high, is_linear)
        # Negative numbers are found at the end, as Python counts from there.
        return np.roll(table, limits.min)[values.view(f"u{values.dtype.itemsize}")]
    levels = np.empty(values.shape, np.uint8)
    n_rows = max(1, STRIP * len(values) // max(1, values.size))
    for top in range(0, len(values), n_rows):
        strip = values[top : top + n_rows].astype(np.float64)
        strip[~np.isfinite(strip)] = low
        levels[top : top + n_rows] = _to_bytes(strip, low, high, is_linear)
    return levels


def _to_bytes(values: np.ndarray, low, high, is_linear) -> np.ndarray:
    if not math.isfinite(high - low):
        values /= 2
        low, high = low / 2, high / 2
    values -= low
    values /= (high - low) or 1
    np.clip(values, 0, 1, out=values)
    if is_linear:
        values = _gamma(values)
    values *= 255
    return np.rint(values).astype(np.uint8)


def _gamma(light: np.ndarray) -> np.ndarray:
    """The transfer function of sRGB, IEC 61966-2-1."""
    return np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
