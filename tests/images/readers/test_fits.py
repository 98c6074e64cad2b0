import numpy as np
import pytest
from image_files import blotches, grey_row, pixels, reason

from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    read_pages,
)

GREYS = np.asarray(blotches().convert("L"))
BITS = {"u1": 8, "i2": 16, "i4": 32, "i8": 64, "f4": -32, "f8": -64}


def header(**cards):
    lines = [
        f"{key:8}= {'T' if value is True else value:>20}"
        for key, value in cards.items()
    ]
    text = "".join(line.ljust(80) for line in [*lines, "END"])
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


def unit(array, first=True, **cards):
    array = np.asarray(array)
    kind = {"SIMPLE": True} if first else {"XTENSION": "'IMAGE   '"}
    axes = {f"NAXIS{n}": size for n, size in enumerate(reversed(array.shape), 1)}
    bits = BITS[array.dtype.str[1:]]
    head = header(**kind, BITPIX=bits, NAXIS=array.ndim, **axes, **cards)
    data = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return head + data.ljust(-(-len(data) // 2880) * 2880, b"\0")


@pytest.mark.parametrize("dtype", BITS)
def test_types(dtype):
    values = GREYS if dtype == "u1" else GREYS.astype(dtype) * 7 - 300
    found = pixels(unit(values[::-1].astype(dtype)))[..., 0]  # the bottom comes first
    assert np.corrcoef(found.ravel(), GREYS.ravel())[0, 1] > 0.999
    assert content_header(unit(values.astype(dtype))) == Header(
        "FITS", 64, 48, is_plain=False
    )


def test_zero_and_scale():
    stored = np.int16([[-32768, 0, 32767]])
    assert grey_row(unit(stored, BZERO=32768.0)) == [0, 128, 255]
    assert grey_row(unit(stored, BZERO=32768), intensity=(0, 32768)) == [0, 255, 255]
    stored = np.int16([[0, 10, 20]])
    scaled = unit(stored, BZERO="-5.0", BSCALE="0.5")
    assert grey_row(scaled, intensity=(-5, 5)) == [0, 128, 255]


def test_blank():
    stored = np.int16([[-32768, 0, 100, 200]])
    assert grey_row(unit(stored, BLANK=-32768)) == [0, 0, 100, 200]
    values = np.float32([[np.nan, 0, 1]])
    assert grey_row(unit(values)) == [0, 0, 255]


def test_one_hot_pixel():
    values = np.tile(np.int32([[0, 1000]]), (40, 40))
    values[3, 3] = 2**31 - 1
    assert grey_row(unit(values))[:2] == [0, 249]  # of 1023, in common use


def test_planes(tmp_path):
    cube = np.random.default_rng(0).integers(0, 1000, (2, 3, 8, 9)).astype("i4")
    content = unit(cube)
    assert content_header(content).has_more
    assert (pixels(content) == pixels(unit(cube[0, 1]))).all()
    for number, place in enumerate(np.ndindex(2, 3), 1):
        assert (pixels(content, page=number) == pixels(unit(cube[place]))).all()
    (tmp_path / "cube.fits").write_bytes(content)
    found = read_pages(str(tmp_path / "cube.fits"))
    assert found == [(f"plane {number}", 9, 8) for number in range(1, 7)]
    assert reason(content, page=7) == "there is no page 7, the last is 6"


def test_the_first_image_of_several():
    empty = header(SIMPLE=True, BITPIX=8, NAXIS=0)
    line = unit(np.float32([1, 2, 3]), first=False)
    image = unit(np.uint8([[7, 9]]), first=False)
    assert grey_row(empty + line + image) == [7, 9]
    assert reason(empty + line) == "FITS without an image"


def test_damaged():
    content = unit(GREYS.astype("i4"))
    assert reason(content[:5000]) == "the file is cut short"
    assert reason(content[:1000]) == "the file is cut short"
    assert reason(content.replace(b"BITPIX", b"BITPOX")) == "damaged FITS data"
