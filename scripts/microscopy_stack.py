"""Make small stacks as microscopes do, to try things on: a folder of four OME-TIFFs.

    python scripts/microscopy_stack.py cells

Each has 5 planes of 2 channels, in 16 bits of which few are used. They come from a
stained tissue that scikit-image ships (``pip install scikit-image``): its two dyes
become the channels, and the planes above and below the middle are out of focus.
"""

import argparse
import os

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

SIDE = 256  # pixels
N_PLANES = 5
BLUR = 2.5  # pixels, for each plane away from the middle
DARK, BRIGHT = 100, 1500  # of 65535
CHANNELS = {"Nuclei": (60, 120, 255), "Antibody": (255, 140, 0)}


def tissue() -> np.ndarray:
    """The amounts of the two dyes, from 0 to 1; shape (2, height, width)."""
    from skimage.color import rgb2hed
    from skimage.data import immunohistochemistry

    dyes = np.moveaxis(rgb2hed(immunohistochemistry()), -1, 0)[[0, 2]]
    low, high = np.percentile(dyes, (1, 99.9), axis=(1, 2), keepdims=True)
    return np.clip((dyes - low) / (high - low), 0, 1)


def stack(field: np.ndarray) -> np.ndarray:
    """Planes of a part of it: uint16, shape (planes, channels, height, width)."""
    noise = np.random.default_rng(0)
    planes = []
    for number in range(N_PLANES):
        sigma = BLUR * abs(number - N_PLANES // 2)
        light = gaussian_filter(field, (0, sigma, sigma))
        planes.append(noise.poisson(DARK + light * (BRIGHT - DARK)))
    return np.stack(planes).astype(np.uint16)


def colour_number(red: int, green: int, blue: int) -> int:
    """A colour as OME writes it: a signed number of 32 bits."""
    number = red << 24 | green << 16 | blue << 8 | 255
    return number - (number >> 31 << 32)


def save(path: str, planes: np.ndarray) -> None:
    """Write an OME-TIFF."""
    channels = {
        "Name": list(CHANNELS),
        "Color": [colour_number(*colour) for colour in CHANNELS.values()],
    }
    tifffile.imwrite(
        path,
        planes,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata={"axes": "ZCYX", "Channel": channels},
    )


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="made if it does not exist")
    folder = parser.parse_args().folder
    os.makedirs(folder, exist_ok=True)
    dyes = tissue()
    for number in range(4):
        top, left = (SIDE * part for part in divmod(number, 2))
        field = dyes[:, top : top + SIDE, left : left + SIDE]
        save(os.path.join(folder, f"field {number + 1}.ome.tif"), stack(field))


if __name__ == "__main__":
    main()
