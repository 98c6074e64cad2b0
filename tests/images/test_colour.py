import struct
from io import BytesIO

import numpy as np
import pytest
from helpers import make_image
from image_files import blotches, encoded, pixels
from PIL import Image, ImageCms
from tifffile import imwrite

from orangecontrib.imageanalytics.images import colour
from orangecontrib.imageanalytics.images.decode import decode

# Red, green and blue in the light of D50, as profiles have them.
SRGB = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
DISPLAY_P3 = (0.5151, 0.2412, -0.001), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)
ADOBE_RGB = (0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)
PROPHOTO = (0.7977, 0.288, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)


def number(value):
    return struct.pack(">i", round(value * 65536))


def profile(primaries=SRGB, gamma=2.2, space=b"RGB "):
    """A profile of ICC version 2."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = (0.9642, 1.0, 0.8249)
    tags = {b"wtpt": white, b"desc": None}
    if space == b"GRAY":
        curves = [b"kTRC"]
    else:
        curves = [b"rTRC", b"gTRC", b"bTRC"]
        tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True))
    contents = {
        name: b"XYZ " + bytes(4) + b"".join(map(number, xyz))
        for name, xyz in tags.items()
        if xyz
    }
    contents |= dict.fromkeys(curves, curve)
    text = b"made for a test\0"
    contents[b"desc"] = (
        b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    )
    place = 128 + 4 + 12 * len(contents)
    table, data = struct.pack(">I", len(contents)), b""
    for name, content in contents.items():
        table += struct.pack(">4sII", name, place + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(data), b"lcms", 0x02100000, b"mntr",
                       space, b"XYZ ") + bytes(12) + b"acsp"  # fmt: skip
    head += bytes(28) + b"".join(map(number, white))
    return head.ljust(128, b"\0") + table + data


def with_swapped_primaries(image):
    """As `image`, but with its first band blue, its second red, its third green."""
    red, green, blue = image.split()
    swapped = profile((SRGB[2], SRGB[0], SRGB[1]))
    return Image.merge("RGB", (blue, red, green)), swapped


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_swapped_primaries(name):
    image, icc = with_swapped_primaries(blotches())
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}
    content = encoded(image, name, icc_profile=icc, **options.get(name, {}))
    found = pixels(content).astype(int)
    assert np.abs(found - np.asarray(blotches())).mean() < 3
    assert "icc_profile" not in decode(content).info


@pytest.mark.parametrize(
    ("primaries", "gamma", "is_applied"),
    [
        (SRGB, 2.2, False),
        (DISPLAY_P3, 2.2, False),
        (ADOBE_RGB, 2.2, False),
        (PROPHOTO, 1.8, True),
        (SRGB, 1.0, True),
        (SRGB, 1.6, True),
    ],
)
def test_profiles_are_applied_where_it_matters(primaries, gamma, is_applied):
    icc = profile(primaries, gamma)
    image = blotches()
    content = encoded(image, "PNG", icc_profile=icc)
    found = pixels(content)
    assert ("icc_profile" in decode(content).info) is not is_applied
    if is_applied:
        right = ImageCms.profileToProfile(
            image, ImageCms.getOpenProfile(BytesIO(icc)), ImageCms.createProfile("sRGB")
        )
        assert np.abs(found.astype(int) - np.asarray(right)).max() <= 2
    else:
        assert (found == np.asarray(image)).all()


def test_on_white():
    image, icc = with_swapped_primaries(blotches())
    image.putalpha(128)
    found = pixels(encoded(image, "PNG", icc_profile=icc)).astype(int)
    red, green, blue = (found[..., band].mean() for band in range(3))
    expected = np.asarray(blotches()).mean(axis=(0, 1)) / 2 + 127
    assert np.abs(np.array([red, green, blue]) - expected).max() < 8


def test_grey():
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    linear = pixels(encoded(ramp, "PNG", icc_profile=profile(gamma=1, space=b"GRAY")))
    assert 180 < linear[0, 128, 0] < 195
    usual = pixels(encoded(ramp, "PNG", icc_profile=profile(gamma=2.2, space=b"GRAY")))
    assert usual[0, 128, 0] == 128
    ramp.putalpha(255)
    opaque = encoded(ramp, "PNG", icc_profile=profile(gamma=1, space=b"GRAY"))
    assert (pixels(opaque) == linear).all()


@pytest.mark.parametrize(
    "icc", [b"nonsense", profile()[:200], profile(space=b"GRAY"), bytes(500)]
)
def test_profiles_of_no_use(icc):
    content = encoded(blotches(), "PNG", icc_profile=icc)
    assert (pixels(content) == np.asarray(blotches())).all()


def test_16_bits_have_profiles_too():
    image, icc = with_swapped_primaries(blotches())
    file = BytesIO()
    imwrite(
        file,
        np.asarray(image).astype(np.uint16) * 257,
        photometric="rgb",
        iccprofile=icc,
    )
    found = pixels(file.getvalue()).astype(int)
    assert np.abs(found - np.asarray(blotches())).mean() < 3


def test_of_what_has_none_nothing_is_done(monkeypatch):
    monkeypatch.setattr(colour, "_transform", None)
    for name in ("JPEG", "PNG"):
        assert decode(encoded(make_image(3), name)).size == (64, 48)
