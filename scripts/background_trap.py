"""Make the images of a tutorial: classes that differ by their background.

    python scripts/background_trap.py orangecontrib/imageanalytics/tutorials/trap

In the folder ``known``, cats are always on grass and cups on bricks; in ``swapped``, it
is the other way round. They are composed of photos that scikit-image ships
(``pip install scikit-image``): the cat and the cup are small, and cut out as ovals.
"""

import argparse
import os

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 200  # pixels
THING = 48  # longest side
N_KNOWN, N_SWAPPED = 8, 4  # of each class
# Left, top, right and bottom in the photos.
THINGS = {
    "cats": ("chelsea", (130, 15, 330, 215)),
    "cups": ("coffee", (150, 30, 430, 300)),
}
BACKGROUNDS = {"cats": "grass", "cups": "brick"}
COLORS = {"grass": (0.75, 1.15, 0.55), "brick": (1.15, 0.75, 0.6)}
OTHER = {"cats": "cups", "cups": "cats"}


def photo(name: str) -> np.ndarray:
    """A photo of scikit-image."""
    from skimage import data

    return getattr(data, name)()


def background(name: str, random) -> Image.Image:
    """A part of a texture, in its color."""
    texture = photo(name)
    side = int(random.integers(220, 400))
    top, left = random.integers(0, len(texture) - side, 2)
    part = texture[top : top + side, left : left + side, None]
    color = np.multiply(COLORS[name], random.uniform(0.9, 1.1, 3))
    pixels = np.clip(part * color, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((SIDE, SIDE))


def compose(kind: str, on: str, random) -> Image.Image:
    """A thing somewhere on a background."""
    name, box = THINGS[kind]
    thing = Image.fromarray(photo(name)).crop(box)
    thing.thumbnail((THING, THING))
    if random.random() < 0.5:
        thing = thing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    factor = random.uniform(0.8, 1.2)
    thing = thing.point(lambda value: value * factor)
    mask = Image.new("L", thing.size)
    ImageDraw.Draw(mask).ellipse((2, 2, thing.width - 3, thing.height - 3), fill=255)
    image = background(on, random)
    place = tuple(int(random.integers(10, SIDE - side - 10)) for side in thing.size)
    image.paste(thing, place, mask.filter(ImageFilter.GaussianBlur(1)))
    return image


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where to write")
    folder = parser.parse_args().folder
    random = np.random.default_rng(0)
    for kind in THINGS:
        for group, count, background_of in (
            ("known", N_KNOWN, kind),
            ("swapped", N_SWAPPED, OTHER[kind]),
        ):
            subfolder = os.path.join(folder, group, kind)
            os.makedirs(subfolder, exist_ok=True)
            for number in range(1, count + 1):
                on = BACKGROUNDS[background_of]
                path = os.path.join(subfolder, f"{kind[:-1]} on {on} {number}.jpg")
                compose(kind, on, random).save(path, quality=85)


if __name__ == "__main__":
    main()
