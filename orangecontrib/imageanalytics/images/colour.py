"""Converts the colours of any image to those of a screen: opaque RGB in sRGB."""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# A profile is applied if colours would be wrong by more than this on average, since
# applying it takes as long as decoding. sRGB and the spaces of phones and cameras are
# below (Display P3 10.2, Adobe RGB 10.6); ProPhoto RGB is off by 24, mixed up primaries
# by 94.
MIN_DIFFERENCE = 11
_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
# Transforms keep the last pixel, which threads would have to wait for.
_NO_CACHE = 0x0040


def to_rgb(image: Image.Image) -> Image.Image:
    """
    An image as a screen shows it, on white where it is transparent.

    Parameters
    ----------
    image : PIL.Image.Image
        Loaded image of 8 bits in any mode of Pillow.

    Returns
    -------
    PIL.Image.Image
        In mode RGB. Its profile is applied if colours would be wrong without it; it
        is then no longer in ``info``.
    """
    if image.mode == "LAB":
        return _from_lab(image)
    opacity = None
    if image.has_transparency_data:
        image, opacity = _apart(image)
    elif image.mode not in _SPACES:
        image = image.convert("RGB")
    if applies_profile(image):
        transform = _transform(image.info["icc_profile"], image.mode)
        image = ImageCms.applyTransform(image, transform)
        image.info.pop("icc_profile", None)
    image = image if image.mode == "RGB" else image.convert("RGB")
    return image if opacity is None else _on_white(image, opacity)


def applies_profile(image: Image.Image) -> bool:
    """
    Whether `to_rgb` would apply the profile of an image.

    Parameters
    ----------
    image : PIL.Image.Image
        In mode RGB, L or CMYK; its pixels are not read.
    """
    profile = image.info.get("icc_profile")
    return bool(profile) and _transform(profile, image.mode) is not None


def _from_lab(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")


def _apart(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Split off the opacity from the colours or greys that the profile applies to."""
    image = image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
    return image.convert(image.mode[:-1]), image.getchannel("A")


def _on_white(image: Image.Image, opacity: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=opacity)
    if "icc_profile" in image.info:
        white.info["icc_profile"] = image.info["icc_profile"]
    return white


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str):
    """The transform of a mode from a profile to sRGB; None if it changes little."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", flags=_NO_CACHE
        )
        sample = _all_colours(mode)
        right = np.asarray(ImageCms.applyTransform(sample, transform), float)
    except (ImageCms.PyCMSError, OSError):  # damaged: as if there were none
        return None
    difference = np.abs(right - np.asarray(sample.convert("RGB"), float)).mean()
    return transform if difference > MIN_DIFFERENCE else None


def _all_colours(mode: str) -> Image.Image:
    """An image with colours from all over the space of a mode."""
    n_bands = Image.getmodebands(mode)
    steps = np.linspace(0, 255, 9 if n_bands > 1 else 256).round().astype(np.uint8)
    bands = np.meshgrid(*[steps] * n_bands)
    return Image.merge(
        mode, [Image.fromarray(b.reshape(-1, b.shape[-1])) for b in bands]
    )
