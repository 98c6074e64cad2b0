"""Measures of what images look like."""

import numpy as np
import pytest
from helpers import make_image
from PIL import Image, ImageFilter

from orangecontrib.imageanalytics.images.appearance import COLORS, appearance


def plain(color):
    return Image.new("RGB", (60, 40), color)


def test_one_color():
    found = appearance(plain((51, 51, 51)))
    assert found.brightness == pytest.approx(0.2)
    assert found.contrast == found.sharpness == 0


def test_black_and_white():
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[:, 30:] = 255
    found = appearance(Image.fromarray(pixels))
    assert found.brightness == pytest.approx(0.5)
    assert found.contrast == pytest.approx(0.5)
    # At the edge, the Laplacian is 255 and -255 in two of the 60 columns.
    assert found.sharpness == pytest.approx(2 / 60 * 255**2)


def test_blurred():
    image = Image.effect_noise((80, 60), 60).convert("RGB")
    blurred = image.filter(ImageFilter.GaussianBlur(2))
    assert appearance(blurred).sharpness < appearance(image).sharpness / 10


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ("black", "black"),
        ("white", "white"),
        ("gray", "gray"),
        ("silver", "gray"),
        ("red", "red"),
        ("darkred", "red"),
        ("darkorange", "orange"),
        ("yellow", "yellow"),
        ("green", "green"),
        ("lime", "green"),
        ("blue", "blue"),
        ("skyblue", "blue"),
        ("navy", "blue"),
        ("purple", "purple"),
        ("indigo", "purple"),
        ("rebeccapurple", "purple"),
        ("hotpink", "pink"),
        ("pink", "pink"),
        ("saddlebrown", "brown"),
        ("sienna", "brown"),
    ],
)
def test_main_color(color, name):
    assert appearance(plain(color)).main_color == name


def test_main_color_is_that_of_most_pixels():
    image = plain("blue")
    image.paste("yellow", (0, 0, 25, 40))
    assert appearance(image).main_color == "blue"
    image.paste("yellow", (0, 0, 35, 40))
    assert appearance(image).main_color == "yellow"


def test_small_images():
    for size in ((1, 1), (1, 500), (500, 1)):
        found = appearance(make_image(0).resize(size))
        assert 0 <= found.brightness <= 1
        assert found.main_color in COLORS
