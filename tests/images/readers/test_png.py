import zlib

import imagecodecs
import numpy as np
import pytest
from image_files import (
    blotches,
    chunk,
    encoded,
    first_row,
    grey_row,
    pixels,
    raw_png,
    reason,
)
from PIL import Image, PngImagePlugin

from orangecontrib.imageanalytics.images.decode import Header, content_header

COLOURS = np.asarray(blotches())


def row_of(values):
    return np.asarray(values, ">u2").tobytes()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0, 0, 0], [4095, 2048, 0]], [(0, 0, 0), (255, 128, 0)]),
        ([[0, 0, 0], [65535, 257, 514]], [(0, 0, 0), (255, 1, 2)]),
        ([[100, 100, 100], [700, 400, 100]], [(0, 0, 0), (255, 128, 0)]),
    ],
)
def test_colours_of_16_bits(values, expected):
    assert first_row(raw_png((2, 1), 16, 2, row_of(values))) == expected
    opaque = [[*value, 65535] for value in values]
    assert first_row(raw_png((2, 1), 16, 6, row_of(opaque))) == expected


def test_greys_of_16_bits():
    content = raw_png((3, 1), 16, 0, row_of([100, 400, 700]))
    assert grey_row(content) == [0, 128, 255]
    assert grey_row(content, intensity="full") == [0, 2, 3]
    assert grey_row(content, intensity=(400, 700)) == [0, 0, 255]
    assert content_header(content) == Header("PNG", 3, 1, is_plain=False)
    with_opacity = row_of([[100, 65535], [400, 65535], [700, 0], [700, 65535]])
    assert grey_row(raw_png((4, 1), 16, 4, with_opacity)) == [0, 128, 255, 255]


@pytest.mark.parametrize("array", [COLOURS, COLOURS[..., 0]])
def test_as_others_write_it(array):
    content = imagecodecs.png_encode(array.astype(np.uint16) * 257)
    found = pixels(content).astype(int)
    expected = array if array.ndim == 3 else array[..., None]
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_significant_bits(bits):
    top = 2**bits - 1
    declared = chunk(b"sBIT", bytes([bits]))
    # As the numbers are, and spread to 16 bits.
    for values in ([0, top // 2], [0, 65535 // 2]):
        content = raw_png((2, 1), 16, 0, row_of(values), extra=declared)
        assert abs(grey_row(content)[1] - 127) <= 1
    content = raw_png((2, 1), 16, 0, row_of([0, top // 2]))
    assert grey_row(content) == [0, 255]


def test_transparent_colours_of_16_bits():
    colour = [0x1122, 0x3344, 0x5566]
    content = raw_png(
        (3, 1), 16, 2, row_of([colour, [0, 0, 0], [60000] * 3]), row_of(colour)
    )
    assert first_row(content)[:2] == [(255,) * 3, (0, 0, 0)]


def with_chunks(content, *chunks):
    place = content.index(b"IDAT") - 4
    return content[:place] + b"".join(chunks) + content[place:]


def test_large_profiles_and_texts():
    plain = encoded(blotches(), "PNG")
    large = bytes(3_000_000)
    profile = chunk(b"iCCP", b"large\0\0" + zlib.compress(large))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(large))
    international = chunk(b"iTXt", b"XML\0\1\0\0\0" + zlib.compress(large))
    for chunks in ([profile], [text], [international], [profile, text, international]):
        end = len(plain) - 12
        after = plain[:end] + b"".join(chunks) + plain[end:]
        for content in (with_chunks(plain, *chunks), after):
            assert (pixels(content) == COLOURS).all()
            assert content_header(content) == Header("PNG", 64, 48)


def test_many_texts():
    texts = PngImagePlugin.PngInfo()
    for number in range(70):
        texts.add_text(f"Comment {number}", "x" * 1_000_000, zip=True)
    content = encoded(blotches(), "PNG", pnginfo=texts)
    assert (pixels(content) == COLOURS).all()


def test_damage_before_the_pixels():
    content = encoded(blotches(), "PNG")
    for place in (12, 20, 30):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        assert reason(bytes(damaged)) in ("damaged PNG data", "the file is cut short")


def test_frames():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    content = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert content_header(content).has_more
    for number, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255)], 1):
        assert first_row(content)[0] == (255, 0, 0)
        assert tuple(pixels(content, page=number)[0, 0]) == colour
    assert reason(content, page=4) == "there is no page 4, the last is 3"
