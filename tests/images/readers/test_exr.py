import numpy as np
import OpenEXR
import pytest
from image_files import blotches, first_row, pixels, reason

from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    decode,
    read_header,
)

COLOURS = np.asarray(blotches())


def light(levels):
    screen = np.asarray(levels) / 255
    return np.where(
        screen <= 0.04045, screen / 12.92, ((screen + 0.055) / 1.055) ** 2.4
    )


@pytest.fixture
def exr(tmp_path):
    def exr_(channels, **header):
        path = str(tmp_path / "made.exr")
        header = {"type": OpenEXR.scanlineimage, **header}
        OpenEXR.File(header, channels).write(path)
        with open(path, "rb") as file:
            return file.read()

    return exr_


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_colours(dtype, exr, tmp_path):
    content = exr({"RGB": light(COLOURS).astype(dtype)})
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 2
    expected = Header("EXR", 64, 48, is_plain=False)
    path = str(tmp_path / "made.exr")
    assert content_header(content) == expected == read_header(path)
    with open(path, "rb") as file:  # of which the path is known
        assert (np.asarray(decode(file)) == pixels(content)).all()


def test_grey_and_opacity(exr):
    grey = exr({"Y": light(COLOURS[..., 0]).astype(np.float32)})
    found = pixels(grey).astype(int)
    assert np.abs(found - COLOURS[..., :1]).max() <= 1
    half = np.float32([[[1, 0, 0, 1], [0, 0, 0, 0]]])
    assert first_row(exr({"RGBA": half})) == [(255, 0, 0), (255, 255, 255)]


def test_colours_multiplied_by_their_opacity(exr):
    colours = light(COLOURS)
    opacity = np.full((48, 64, 1), 0.25)
    content = exr({"RGBA": np.concatenate([colours / 4, opacity], 2).astype("f4")})
    expected = COLOURS * 0.25 + 255 * 0.75
    assert np.abs(pixels(content) - expected).max() <= 2


def test_the_part_with_colours(tmp_path):
    depth = OpenEXR.Part(
        {"type": OpenEXR.scanlineimage}, {"Z": np.ones((48, 64), np.float32)}, "depth"
    )
    colours = OpenEXR.Part(
        {"type": OpenEXR.scanlineimage},
        {"RGB": light(COLOURS).astype(np.float32)},
        "colours",
    )
    OpenEXR.File([depth, colours]).write(str(tmp_path / "parts.exr"))
    content = (tmp_path / "parts.exr").read_bytes()
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 2
    assert content_header(content) == Header("EXR", 64, 48, is_plain=False)


def test_colours_of_a_layer(exr):
    layer = dict(zip("RGB", np.moveaxis(light(COLOURS), -1, 0), strict=True))
    channels = {f"left.{name}": c.astype(np.float32) for name, c in layer.items()}
    assert np.abs(pixels(exr(channels)).astype(int) - COLOURS).max() <= 2


def test_depth(exr):
    depth = np.linspace(0, 40, 64 * 48, dtype=np.float32).reshape(48, 64)
    found = pixels(exr({"Z": depth}))[..., 0].astype(int)
    assert found[0, 0] == 0 and found[-1, -1] == 255


def test_damaged(exr):
    content = exr({"RGB": light(COLOURS).astype(np.float32)})
    assert reason(content[: len(content) // 2]) == "damaged EXR data"
    assert reason(b"v/1\x01" + bytes(300)) == "damaged EXR data"
