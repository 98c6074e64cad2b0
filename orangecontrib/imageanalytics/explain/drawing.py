"""Heat maps as images: laid over the photo, or alone; and as files."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.explain.explaining import Explaining
from orangecontrib.imageanalytics.explain.heat_maps import HeatMap
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.fitted import read_fitted
from orangecontrib.imageanalytics.images.intensity import Intensity
from orangecontrib.imageanalytics.images.sources import is_remote, split_page
from orangecontrib.imageanalytics.save_images.names import Names, image_name
from orangecontrib.imageanalytics.save_images.writing import problem, write

OVERLAY, GREY = "overlay", "grey"
KINDS = (OVERLAY, GREY)
#: How much of the photo is covered where it is hottest, if nothing else is chosen.
STRENGTH = 0.6
LONGEST = 1024  # pixels of a file
# What is not hot is covered by this part of it, so that the photo looks darker there.
_COLD = 0.55
# Viridis at equal steps, which is read alike by people who do not see some colors, and
# in grey. Source: Stéfan van der Walt and Nathaniel Smith, matplotlib (CC0).
_VIRIDIS = np.array(
    [
        (68, 1, 84),
        (72, 40, 120),
        (62, 74, 137),
        (49, 104, 142),
        (38, 130, 142),
        (31, 158, 137),
        (53, 183, 121),
        (110, 206, 88),
        (181, 222, 43),
        (253, 231, 37),
    ],
    float,
)


def colors_of(heat: np.ndarray) -> np.ndarray:
    """Colors from dark (0) to bright yellow (1).

    Parameters
    ----------
    heat : numpy.ndarray
        From 0 to 1, any shape.

    Returns
    -------
    numpy.ndarray
        uint8, that shape and 3 for red, green and blue.
    """
    steps = np.linspace(0, 1, len(_VIRIDIS))
    channels = [np.interp(heat, steps, channel) for channel in _VIRIDIS.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def overlay_of(heat_map: HeatMap, width: int, height: int) -> np.ndarray:
    """What is laid over a photo, at full strength.

    Parts that the network does not see stay as they are.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width, 4): red, green, blue, opacity.
    """
    heat = heat_map.heat(width, height)
    opacity = (_COLD + (1 - _COLD) * heat) * heat_map.seen(width, height)
    opacity = np.rint(255 * opacity).astype(np.uint8)
    return np.concatenate([colors_of(heat), opacity[..., None]], axis=-1)


def overlaid(
    image: Image.Image, heat_map: HeatMap, strength: float = STRENGTH
) -> Image.Image:
    """A photo with its heat map.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB, of any size.
    heat_map : HeatMap
    strength : float
        From 0, only the photo, to 1.
    """
    layer = overlay_of(heat_map, *image.size).astype(float)
    opacity = strength * layer[..., 3:] / 255
    pixels = np.asarray(image) * (1 - opacity) + layer[..., :3] * opacity
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def save_heat_maps(
    explaining: Explaining,
    folder: str,
    kind: str = OVERLAY,
    strength: float = STRENGTH,
    intensity: Intensity = "auto",
    callback: Callable[[float], None] | None = None,
) -> dict[str, str]:
    """Save the heat maps of explained images as PNG files.

    They are called like the images. Files that exist are kept: the new ones get a
    number.

    Parameters
    ----------
    explaining : Explaining
    folder : str
        Created if it does not exist.
    kind : {"overlay", "grey"}
        Laid over the image, or the heat alone: from black, nothing, to white, the
        hottest place of the image. They are at most 1024 pixels long.
    strength : float
        As for `overlaid`.
    intensity : "auto", "full" or (float, float)
        As for `decode`.
    callback : callable, optional
        Called with the fraction done. An exception that it raises ends this; the files
        that are written stay.

    Returns
    -------
    dict of str to str
        Images whose map could not be saved, and why.

    Raises
    ------
    OSError
        When the folder cannot be made.
    """
    if kind not in KINDS:
        raise ValueError(f"'{kind}' should be one of: {', '.join(KINDS)}")
    callback = callback or (lambda _fraction: None)
    os.makedirs(folder, exist_ok=True)
    failures: dict[str, str] = {}
    explanations = list(explaining.explanations.values())
    names = Names()
    with Fetcher() as fetcher:
        for done, explanation in enumerate(explanations):
            callback(done / len(explanations))
            source = explaining.sources[explanation.row]
            try:
                image = _read(source, intensity, fetcher)
            except ImageError as error:
                failures[source] = str(error)
                continue
            if kind == OVERLAY:
                drawn = overlaid(image, explanation.heat_map, strength)
            else:
                heat = explanation.heat_map.heat(*image.size)
                drawn = Image.fromarray(np.rint(255 * heat).astype(np.uint8))
            if reason := _write(drawn, folder, image_name(source), names):
                failures[source] = reason
    callback(1.0)
    return failures


def _read(source: str, intensity: Intensity, fetcher: Fetcher) -> Image.Image:
    content = fetcher.fetch(split_page(source)[0]) if is_remote(source) else None
    return read_fitted(source, LONGEST, content, intensity)


def _write(image: Image.Image, folder: str, name: str, names: Names) -> str:
    """Write a file under a new name; return why it could not be written."""

    def new_path() -> str:
        return os.path.join(folder, names.new(folder, f"{name} heat map", ".png"))

    buffer = BytesIO()
    image.save(buffer, "PNG")
    path = new_path()
    try:
        write(buffer.getvalue(), path, rename=new_path)
    except OSError as error:
        return problem(error, path)
    return ""
