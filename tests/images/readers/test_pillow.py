import struct

import numpy as np
import pytest
from image_files import blotches, encoded, first_row, pixels, reason
from PIL import Image

from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    read_pages,
)

RED, LIME, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3


def gif(screen, extent, transparent=None, background=0):
    """A red frame on a screen; the palette begins with black and red."""
    left, top, right, bottom = extent
    frame = Image.new("P", (right - left, bottom - top), 1)
    frame.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    content = bytearray(encoded(frame, "GIF"))
    content[6:10] = struct.pack("<HH", *screen)
    content[11] = background
    place = content.index(b",\0\0\0\0")
    content[place + 1 : place + 5] = struct.pack("<HH", left, top)
    if transparent is not None:
        control = b"!\xf9\4\1\0\0" + bytes([transparent]) + b"\0"
        content[place:place] = control
    return bytes(content)


@pytest.mark.parametrize("transparent", [None, 3])
@pytest.mark.parametrize("background", [0, 2])
@pytest.mark.parametrize("extent", [(0, 0, 4, 4), (2, 3, 6, 8), (5, 0, 10, 8)])
def test_white_where_the_first_frame_does_not_reach(extent, background, transparent):
    found = pixels(gif((10, 8), extent, transparent, background))
    assert found.shape == (8, 10, 3)
    left, top, right, bottom = extent
    for row in range(8):
        for column in range(10):
            is_inside = left <= column < right and top <= row < bottom
            assert tuple(found[row, column]) == (RED if is_inside else WHITE)


@pytest.mark.parametrize("background", [0, 2])
def test_white_where_no_frame_has_reached_yet(background):
    first = gif((10, 8), (0, 0, 3, 8), background=background)
    then = gif((10, 8), (5, 2, 9, 4), background=background)
    start = then.index(b",\5\0\2\0")
    found = pixels(first[:-1] + then[start:], page=2)
    assert found.shape == (8, 10, 3)
    for row, column in np.ndindex(8, 10):
        is_reached = column < 3 or (5 <= column < 9 and 2 <= row < 4)
        assert tuple(found[row, column]) == (RED if is_reached else WHITE)


def test_a_frame_as_large_as_the_screen_stays():
    assert (pixels(gif((4, 4), (0, 0, 4, 4))) == RED).all()


FRAMES = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]


@pytest.mark.parametrize("name", ["GIF", "WEBP", "AVIF", "HEIF"])
def test_frames(name, tmp_path):
    options = {"WEBP": {"lossless": True}, "HEIF": {}}.get(name, {})
    if name == "HEIF":
        import pillow_heif

        heif = pillow_heif.HeifFile()
        for frame in FRAMES:
            heif.add_from_pillow(frame.resize((64, 64)))
        path = tmp_path / "frames"
        heif.save(path, quality=95, chroma=444)
        content = path.read_bytes()
    else:
        content = encoded(
            FRAMES[0], name, save_all=True, append_images=FRAMES[1:], **options
        )
    assert content_header(content).has_more
    (tmp_path / "frames").write_bytes(content)
    size = content_header(content).width
    names = [(f"frame {number}", size, size) for number in (1, 2, 3)]
    assert read_pages(str(tmp_path / "frames")) == names
    for number, colour in enumerate((RED, LIME, BLUE), 1):
        found = pixels(content, page=number)[4, 4].astype(int)
        assert abs(found - colour).max() < 12, number
    assert reason(content, page=4) == "there is no page 4, the last is 3"


def test_other_sizes_and_maps_are_no_pages():
    icon = encoded(Image.new("RGBA", (64, 64)), "ICO", sizes=[(16, 16), (64, 64)])
    assert content_header(icon) == Header("ICO", 64, 64)
    several = encoded(FRAMES[0], "MPO", save_all=True, append_images=FRAMES[1:])
    assert content_header(several) == Header("MPO", 8, 8)
    assert first_row(several)[0][0] > 250


def test_one_page():
    content = encoded(blotches(), "BMP")
    assert (pixels(content, page=1) == pixels(content)).all()
    assert reason(content, page=2) == "there is no page 2, the last is 1"
