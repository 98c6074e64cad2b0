import imagecodecs
import numpy as np
import pytest
from helpers import make_image
from image_files import blotches, encoded, grey_row, pixels
from PIL import Image

from orangecontrib.imageanalytics.images import decode as module
from orangecontrib.imageanalytics.images import drawing
from orangecontrib.imageanalytics.images.decode import Header, content_header, decode

GREYS = np.asarray(blotches().convert("L")).astype(int)


def j2k(array, bits=None, codec="j2k"):
    array = np.asarray(array)
    return imagecodecs.jpeg2k_encode(
        array, level=0, codecformat=codec, reversible=True, bitspersample=bits
    )


@pytest.mark.parametrize("codec", ["j2k", "jp2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8, np.int16])
def test_types(dtype, codec):
    limits = np.iinfo(dtype)
    values = GREYS * ((limits.max - limits.min) // 255) + limits.min
    content = j2k(values.astype(dtype), codec=codec)
    assert np.abs(pixels(content)[..., 0] - GREYS).max() <= 1
    assert content_header(content).is_plain is (dtype == np.uint8)


def test_signed_numbers_are_what_they_are():
    values = np.int16([[-1000, 0, 1000, 1000]] * 8)
    assert grey_row(j2k(values)) == [0, 128, 255, 255]
    assert grey_row(j2k(values), intensity=(0, 2000)) == [0, 0, 128, 128]


@pytest.mark.parametrize("bits", [1, 4, 7, 10, 12])
def test_bits_declare_the_range(bits):
    top = 2**bits - 1
    dtype = np.uint8 if bits < 8 else np.uint16
    values = np.array([[0, top // 4, top // 2, top // 2]] * 8, dtype)
    found = grey_row(j2k(values, bits))
    levels = [255 * (value / top) for value in (0, top // 4, top // 2, top // 2)]
    assert np.abs(np.subtract(found, levels)).max() <= 1


def test_deep_colours():
    colours = np.asarray(blotches()).astype(np.uint16)
    for factor in (257, 16):  # 16 bits, and 12 in 16
        found = pixels(j2k(colours * factor)).astype(int)
        assert np.abs(found - colours).max() <= 1 + (factor == 16) * 1


@pytest.mark.parametrize(
    ("at_least", "size"),
    [
        (None, (400, 240)),
        ((300, 200), (400, 240)),
        ((200, 120), (200, 120)),
        ((60, 60), (100, 60)),
        ((1, 1), (13, 8)),
    ],
)
def test_reduced(at_least, size):
    content = encoded(make_image(4, (400, 240)), "JPEG2000")
    found = decode(content, at_least=at_least)
    assert found.size == size
    whole = make_image(4, (400, 240)).resize(size, Image.Resampling.BOX)
    assert np.abs(np.asarray(found).astype(int) - np.asarray(whole)).mean() < (
        6 if size[0] >= 100 else 20
    )
    assert content_header(content) == Header("JPEG2000", 400, 240)


def test_large_ones_are_left_to_the_helper(monkeypatch):
    asked = []
    original = drawing.ask_drawing
    monkeypatch.setattr(
        module.drawing,
        "ask_drawing",
        lambda format, *args: asked.append(format.name) or original(format, *args),
    )
    large, small = (
        encoded(make_image(4, size), "JPEG2000") for size in ((1100, 1000), (64, 48))
    )
    assert decode(small).size == (64, 48)
    assert asked == []
    assert decode(large).size == (1100, 1000)
    assert asked == ["JPEG2000"]


def test_signed_deep_colours():
    colours = np.asarray(blotches()).astype(np.int16) * 8 - 1000
    found = pixels(j2k(colours)).astype(int)
    assert np.corrcoef(found.ravel(), colours.ravel())[0, 1] > 0.999
    found = pixels(j2k(colours), intensity=(-1000, 1040)).astype(int)
    assert np.abs(found - np.asarray(blotches())).max() <= 1


@pytest.mark.parametrize("n_bands", [1, 3])
def test_deep_numbers_stay_right_when_few_pixels_suffice(n_bands):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (256, 256, n_bands)).astype(np.uint16) * 65535
    content = j2k(values[..., 0] if n_bands == 1 else values)
    assert (pixels(content, at_least=(32, 32)) == pixels(content)).all()
