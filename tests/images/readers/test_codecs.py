import imagecodecs
import numpy as np
import pytest
from image_files import blotches, first_row, pixels, reason
from packaging.version import Version

from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    read_header,
)

COLOURS = np.asarray(blotches())
GREYS = np.asarray(blotches().convert("L"))


@pytest.mark.parametrize("array", [COLOURS, GREYS, COLOURS.astype(np.uint16) * 257])
def test_jpeg_xl(array, tmp_path):
    content = imagecodecs.jpegxl_encode(array, lossless=True)
    expected = GREYS[..., None] if array.ndim == 2 else COLOURS
    assert np.abs(pixels(content).astype(int) - expected).max() <= 1
    is_plain = array.dtype == np.uint8
    header = Header("JXL", 64, 48, is_plain=is_plain)
    (tmp_path / "a.jxl").write_bytes(content)
    assert content_header(content) == header == read_header(str(tmp_path / "a.jxl"))


def test_opacity():
    array = np.uint8([[[255, 0, 0, 255], [255, 0, 0, 0]]])
    content = imagecodecs.jpegxl_encode(array, lossless=True)
    assert first_row(content) == [(255, 0, 0), (255, 255, 255)]
    deep = array.astype(np.uint16) * 257
    content = imagecodecs.jpegxl_encode(deep, lossless=True)
    assert first_row(content) == [(255, 0, 0), (255, 255, 255)]


def test_jpeg_xr():
    content = imagecodecs.jpegxr_encode(COLOURS, level=100)
    assert np.abs(pixels(content).astype(int) - COLOURS).mean() < 3
    for n_bytes in (1, 100, len(content) // 2):
        assert reason(content[:-n_bytes]) == "the file is cut short"


def test_radiance():
    # sRGB's transfer function, backwards.
    screen = COLOURS / 255
    light = np.where(
        screen <= 0.04045, screen / 12.92, ((screen + 0.055) / 1.055) ** 2.4
    )
    content = imagecodecs.rgbe_encode(light.astype(np.float32))
    assert content.startswith(b"#?RADIANCE")
    assert np.abs(pixels(content).astype(int) - COLOURS).mean() < 4
    assert content_header(content) == Header("HDR", 64, 48, is_plain=False)


def test_rare_bmp():
    """16 bits a pixel of which red, green and blue have 4."""
    import struct

    masks = 0x0F00, 0x00F0, 0x000F
    head = struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    head += struct.pack("<3I", *masks)
    pixels_ = struct.pack("<2H", 0x0F00, 0x000F)
    start = 14 + len(head)
    content = struct.pack("<2sIHHI", b"BM", start + 4, 0, 0, start) + head + pixels_
    # Such as the last for Python 3.10.
    if Version(imagecodecs.__version__) < Version("2026.3"):
        assert reason(content) == "BMP of a kind that is not read"
    else:
        assert first_row(content) == [(255, 0, 0), (0, 0, 255)]


@pytest.mark.parametrize("start", [b"\xff\x0a", b"II\xbc\x01", b"#?RADIANCE\n"])
def test_damaged(start):
    name = {b"\xff": "JXL", b"I": "JXR", b"#": "HDR"}[start[:1]]
    assert reason(start + bytes(200)) in (
        f"damaged {name} data",
        "the file is cut short",
    )
