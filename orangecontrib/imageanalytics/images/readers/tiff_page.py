"""What the tags of a TIFF page say about its pixels."""

from __future__ import annotations

import math

import numpy as np
import tifffile

from orangecontrib.imageanalytics.images.intensity import Range

_PHOTOMETRIC, _COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
_RANGE_TAGS = ((340, 341), (280, 281))
UNSIGNED = 1
ASSOCIATED, UNASSOCIATED = 1, 2
_BYTE_COLOURS = 256
_MOST_BITS = 64
IN_PLANES = tifffile.PLANARCONFIG.SEPARATE

# (photometric, samples) of pages that Pillow reads correctly, with 8 bits.
_PLAIN = {
    (_PHOTOMETRIC.MINISBLACK, 1),
    (_PHOTOMETRIC.MINISWHITE, 1),
    (_PHOTOMETRIC.RGB, 3),
    (_PHOTOMETRIC.RGB, 4),
    (_PHOTOMETRIC.PALETTE, 1),
    (_PHOTOMETRIC.SEPARATED, 4),
    (_PHOTOMETRIC.YCBCR, 3),
    (_PHOTOMETRIC.CIELAB, 3),
}
# Compressions that every Pillow reads.
_LIBTIFF = {
    _COMPRESSION.NONE,
    _COMPRESSION.CCITTRLE,
    _COMPRESSION.CCITT_T4,
    _COMPRESSION.CCITT_T6,
    _COMPRESSION.LZW,
    _COMPRESSION.OJPEG,
    _COMPRESSION.JPEG,
    _COMPRESSION.ADOBE_DEFLATE,
    _COMPRESSION.DEFLATE,
    _COMPRESSION.PACKBITS,
}
_JPEG = (_COMPRESSION.JPEG, _COMPRESSION.OJPEG)
# Compressions that do not convert colours; others make them RGB.
KEEPING_COLOURS = _LIBTIFF - {*_JPEG} | {_COMPRESSION.ZSTD, _COMPRESSION.LZMA}


def is_plain_page(page) -> bool:
    """Whether Pillow reads a page correctly."""
    bits, samples = page.bitspersample, page.samplesperpixel
    if isinstance(bits, tuple) or not _is_usual(page):
        return False
    if page.photometric == _PHOTOMETRIC.MINISBLACK and samples == 2:
        return bits == 8 and page.extrasamples[:1] in ((ASSOCIATED,), (UNASSOCIATED,))
    return (page.photometric, samples) in _PLAIN and (
        bits == 8 or (bits < 8 and samples == 1)
    )


def has_rare_compression(page) -> bool:
    """Whether the decoder may crash on a damaged page or never end."""
    if page.compression in _JPEG:
        return not is_plain_page(page)
    return page.compression not in KEEPING_COLOURS


def _is_usual(page) -> bool:
    """Whether Pillow knows how the pixels of a page are stored."""
    is_rgb = page.photometric == _PHOTOMETRIC.RGB and page.samplesperpixel == 3
    is_ycbcr = page.photometric == _PHOTOMETRIC.YCBCR
    is_in_planes = page.planarconfig == IN_PLANES and page.samplesperpixel > 1
    is_compressed = page.compression != _COMPRESSION.NONE
    return (
        page.compression in _LIBTIFF
        and page.sampleformat in (None, UNSIGNED)
        and page.imagedepth <= 1
        and (is_compressed or page.fillorder == 1)
        and (is_rgb or not is_in_planes)
        and (page.compression in _JPEG or not is_ycbcr)
        and not has_byte_palette(page)
    )


def has_byte_palette(page) -> bool:
    """Whether colours are bytes, as old programs write them, instead of 16 bits."""
    is_palette = page.photometric == _PHOTOMETRIC.PALETTE
    if not is_palette or page.colormap is None:
        return False
    return int(page.colormap.max(initial=0)) < _BYTE_COLOURS


def bit_range(page) -> Range | None:
    """The range of values of a number of bits that no data type has, such as 12."""
    bits = page.bitspersample
    is_unsigned = page.sampleformat in (None, UNSIGNED)
    if isinstance(bits, int) and bits % 8 and bits < _MOST_BITS and is_unsigned:
        return 0, 2**bits - 1
    return None


def tagged_range(page, channel: int) -> Range | None:
    """The range of values that the tags of a page give for a channel."""
    for tags in _RANGE_TAGS:
        ends = [page.tags.valueof(tag) for tag in tags]
        ends = [e[channel % len(e)] if isinstance(e, tuple) else e for e in ends]
        low, high = (number(end) for end in ends)
        low = low or 0.0
        if high is not None and high > low and not _is_type_range(page, low, high):
            return low, high
    return None


def _is_type_range(page, low: float, high: float) -> bool:
    """Whether it is the range of the data type, which programs write by default."""
    dtype = page.dtype
    if dtype is None or dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return low <= max(0, limits.min) and high >= limits.max


def number(value: object) -> float | None:
    """The finite number that a tag holds as a number or as text; None otherwise."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
