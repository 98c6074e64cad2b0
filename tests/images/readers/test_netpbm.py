import numpy as np
import pytest
from image_files import blotches, first_row, grey_row, pixels, reason

from orangecontrib.imageanalytics.images.decode import Header, content_header

COLOURS = np.asarray(blotches())


@pytest.mark.parametrize(
    ("top", "values", "expected"),
    [
        (15, [0, 8, 15], [0, 136, 255]),
        (255, [0, 8, 15], [0, 8, 15]),
        (1023, [0, 512, 600], [0, 128, 150]),
        (4095, [0, 2048, 4095], [0, 128, 255]),
        (65535, [0, 32768, 65535], [0, 128, 255]),
        (65535, [100, 400, 700], [0, 128, 255]),
    ],
)
def test_greys(top, values, expected):
    dtype = np.dtype("u1" if top < 256 else ">u2")
    content = (
        b"P5\n# made by hand\n3  1\n%d\n" % top + np.array(values, dtype).tobytes()
    )
    assert np.abs(np.subtract(grey_row(content), expected)).max() <= 1
    is_plain = top <= 255
    assert content_header(content) == Header("PPM", 3, 1, is_plain=is_plain)


@pytest.mark.parametrize("factor", [257, 16])
def test_colours(factor):
    values = (COLOURS.astype(np.uint16) * factor).astype(">u2")
    content = b"P6 64 48 65535\n" + values.tobytes()
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= (factor == 16) + 1


@pytest.mark.parametrize("mark", [b"-1.0", b"1.0"])
def test_floats(mark):
    dtype = "<f4" if mark == b"-1.0" else ">f4"
    values = (COLOURS[::-1] / 255).astype(dtype)  # begins with the last row
    content = b"PF\n64 48\n" + mark + b"\n" + values.tobytes()
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 1
    content = b"Pf\n64 48\n" + mark + b"\n" + values[..., 0].tobytes()
    assert np.abs(pixels(content)[..., 0].astype(int) - COLOURS[..., 0]).max() <= 1


def pam(values, top, kind):
    values = np.asarray(values)
    head = (
        f"P7\nWIDTH {values.shape[1]}\nHEIGHT {values.shape[0]}\nDEPTH "
        f"{values.shape[2]}\nMAXVAL {top}\n# a remark\nTUPLTYPE {kind}\nENDHDR\n"
    )
    return head.encode() + values.astype("u1" if top < 256 else ">u2").tobytes()


def test_pam():
    assert (pixels(pam(COLOURS, 255, "RGB")) == COLOURS).all()
    half = pam([[[255, 0, 0, 255], [255, 0, 0, 0]]], 255, "RGB_ALPHA")
    assert first_row(half) == [(255, 0, 0), (255, 255, 255)]
    grey = pam([[[0, 4095], [2048, 4095], [0, 0]]], 4095, "GRAYSCALE_ALPHA")
    assert grey_row(grey) == [0, 128, 255]


def test_cut_short():
    content = b"P6 64 48 65535\n" + bytes(100)
    assert reason(content) == "the file is cut short"


@pytest.mark.parametrize(
    "content", [b"P6 0 5 65535\n", b"P5 5 5 70000\n", b"P7\nENDHDR\n"]
)
def test_nonsense(content):
    assert reason(content + bytes(300))
