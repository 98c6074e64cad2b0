"""Images with altered copies; for tests of twins."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps


def make_photo(seed: int, size=(320, 240)) -> Image.Image:
    """Blotches of several sizes, as photos have them."""
    random = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(random.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize(
                size, Image.Resampling.BICUBIC
            ),
            dtype=float,
        )
        for n in (3, 7, 15)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


def save_copies(folder) -> list[str]:
    """Two photos, three copies of the first, and another photo; their paths."""
    folder.mkdir()
    first, second, third = map(make_photo, range(3))
    images = {
        "0 small.jpg": first.resize((160, 120)),
        "1 photo.png": first,
        "2 other.jpg": third,
        "3 second.jpg": second,
        "4 mirrored.jpg": ImageOps.mirror(first),
        "5 bright.webp": ImageEnhance.Brightness(first).enhance(1.2),
        "6 second.jpg": None,
    }
    for name, image in images.items():
        if image is not None:
            image.save(folder / name)
    (folder / "6 second.jpg").write_bytes((folder / "3 second.jpg").read_bytes())
    return [str(folder / name) for name in images]
