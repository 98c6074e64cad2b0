"""TIFFs in every layout, and what is read of them."""

from io import BytesIO

import numpy as np
import tifffile
from helpers import make_image
from image_files import blotches, pixels

COLOURS = np.asarray(blotches())
GREYS = np.asarray(blotches().convert("L"))


def tif(array, **options):
    file = BytesIO()
    ome = options.get("ome", False)
    with tifffile.TiffWriter(
        file,
        bigtiff=options.pop("bigtiff", False),
        byteorder=options.pop("byteorder", None),
        imagej=options.pop("imagej", False),
        ome=options.pop("ome", False) if ome else None,
    ) as writer:
        writer.write(array, **options)
    return file.getvalue()


def likeness(found, expected):
    """Correlation: the range may differ."""
    return np.corrcoef(found.ravel(), expected.ravel())[0, 1]


def stretched(dtype, array=GREYS):
    """Greys over all of what a type can hold."""
    if np.dtype(dtype).kind == "f":
        return (array / 255).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return (array / 255 * (high - low) * 0.999 + low).astype(dtype)


BIG = np.asarray(make_image(5, (640, 480)))


def channel(seed, dtype=np.uint16):
    grey = np.asarray(make_image(seed).convert("L")).astype(dtype)
    return grey * 2 + 100


ONE, OTHER = channel(1), channel(2)
MAGENTA, GREEN = (255, 0, 255), (0, 255, 0)


def levels(array):
    """What a channel is scaled to by itself."""
    return pixels(tif(array))[..., 0].astype(int)


def composed(*parts):
    total = sum(
        levels(array)[..., None] * np.array(colour) // 255 for array, colour in parts
    )
    return np.minimum(total, 255)


def assert_composed(content, *parts):
    assert np.abs(pixels(content).astype(int) - composed(*parts)).max() <= 1


def ome(array, axes, **channel):
    metadata = {"axes": axes, "Channel": channel} if channel else {"axes": axes}
    return tif(array, ome=True, photometric="minisblack", metadata=metadata)


def stack(n_planes, *axes):
    shape = (n_planes, *axes, *ONE.shape)
    rng = np.random.default_rng(0)
    return rng.integers(0, 4096, shape).astype(np.uint16)
