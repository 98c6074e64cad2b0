import re
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from helpers import make_image
from image_files import blotches, encoded, pixels, reason
from PIL import Image

from orangecontrib.imageanalytics.images import lazy_image
from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    decode,
)
from orangecontrib.imageanalytics.images.readers.jpeg import read_frame


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_without_the_last_mark(mode, options):
    content = encoded(make_image(1, (333, 257)).convert(mode), "JPEG", **options)
    assert content.endswith(b"\xff\xd9")
    for n_bytes in (1, 2):
        assert (pixels(content[:-n_bytes]) == pixels(content)).all()
    reduced = pixels(content[:-2], at_least=(40, 30))
    assert (reduced == pixels(content, at_least=(40, 30))).all()


def test_without_the_last_mark_but_with_restarts():
    content = encoded(make_image(1, (333, 257)), "JPEG", restart_marker_rows=1)
    assert content.count(b"\xff\xd0") >= 1
    assert (pixels(content[:-2]) == pixels(content)).all()
    *_, last = re.finditer(rb"\xff[\xd0-\xd7]", content)
    for end in (last.start(), last.end()):
        assert reason(content[:end]) == "the file is cut short"


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_scan_is_missing(mode):
    content = encoded(make_image(1).convert(mode), "JPEG", progressive=True)
    scans = [match.start() for match in re.finditer(rb"\xff[\xda\xc4]", content)]
    for place in scans[-4:]:
        assert reason(content[:place]) == "the file is cut short"


@pytest.mark.parametrize("n_missing", [3, 4, 10, 60, 400])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_cut_short(options, n_missing):
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    content = encoded(noise, "JPEG", quality=95, **options)
    assert reason(content[:-n_missing]) == "the file is cut short"


def test_the_limit_is_for_what_is_decoded(monkeypatch):
    monkeypatch.setattr(lazy_image, "MAX_PIXELS", 100_000)
    large = encoded(make_image(2, (1200, 800)), "JPEG")
    assert decode(large, at_least=(300, 200)).size == (300, 200)
    assert content_header(large) == Header("JPEG", 1200, 800)
    assert "too many pixels (1200x800" in reason(large)
    # Of these, decoders hold all pixels at once however few are wanted.
    progressive = encoded(make_image(2, (1200, 800)), "JPEG", progressive=True)
    assert "too many pixels" in reason(progressive, at_least=(30, 20))


def test_200_megapixels():
    content = encoded(Image.new("L", (16320, 12240), 99), "JPEG", quality=20)
    image = decode(content, at_least=(448, 448))
    assert image.size == (2040, 1530)
    assert abs(image.getpixel((1000, 1000))[0] - 99) <= 1


def test_12_bits():
    values = np.asarray(blotches().convert("L")).astype(np.uint16) * 16
    content = imagecodecs.jpeg_encode(values, level=99, bitspersample=12)
    assert np.abs(pixels(content)[..., 0].astype(int) - values // 16).mean() < 3
    assert reason(content[: len(content) // 2]) == "the file is cut short"
    assert content_header(content) == Header("JPEG", 64, 48, is_plain=False)


@pytest.mark.parametrize(
    "encode", [imagecodecs.ljpeg_encode, imagecodecs.jpegls_encode]
)
def test_without_loss(encode):
    values = np.asarray(blotches().convert("L")).astype(np.uint16) * 257
    found = pixels(encode(values))[..., 0].astype(int)
    assert np.abs(found - values // 257).max() <= 1


def test_colours_of_jpeg_ls():
    content = imagecodecs.jpegls_encode(np.asarray(blotches()))
    assert (pixels(content) == np.asarray(blotches())).all()


def test_frames():
    frame = read_frame(BytesIO(encoded(blotches(), "JPEG")))
    assert (frame.kind, frame.bits, frame.size) == (0xC0, 8, (64, 48))
    assert not frame.is_rare
    for content in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0\x11", b"\xff\xd8nonsense"):
        assert read_frame(BytesIO(content)) is None


@pytest.mark.parametrize("length", [0, 1])
def test_a_segment_that_leads_back(length):
    content = b"\xff\xd8\xff\xe0" + bytes([0, length]) + b"\xff\xe0" * 20
    assert read_frame(BytesIO(content)) is None
    assert reason(content) in ("damaged JPEG data", "the file is cut short")
