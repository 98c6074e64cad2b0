import numpy as np
import pytest
from image_files import blotches, first_row, grey_row, pixels
from tiff_files import COLOURS, tif


def test_opacity():
    values = np.zeros((1, 2, 4), np.uint16)
    values[..., 3] = 0, 65535
    content = tif(values, photometric="rgb", extrasamples=["unassalpha"])
    assert first_row(content) == [(255,) * 3, (0,) * 3]
    grey = np.array([[[0, 0], [0, 65535], [65535, 65535]]], np.uint16)
    content = tif(
        grey,
        photometric="minisblack",
        extrasamples=["unassalpha"],
        planarconfig="contig",
    )
    assert grey_row(content) == [255, 0, 255]


@pytest.mark.parametrize("compression", ["none", "deflate"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_colours_multiplied_by_their_opacity(dtype, planar, compression):
    top = 1 if dtype == "f4" else np.iinfo(dtype).max
    colours = COLOURS / 255 * 0.5
    array = np.concatenate([colours, np.full((48, 64, 1), 0.5)], axis=2) * top
    array = (array if dtype == "f4" else np.rint(array)).astype(dtype)
    expected = COLOURS * 0.5 + 127.5
    if planar == "separate":
        array = np.moveaxis(array, -1, 0)
    content = tif(
        array,
        photometric="rgb",
        extrasamples=["assocalpha"],
        planarconfig=planar,
        compression=compression,
    )
    assert np.abs(pixels(content) - expected).max() <= 2


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_opacity_in_a_plane_of_its_own(dtype):
    top = np.iinfo(dtype).max
    array = np.zeros((4, 1, 2), dtype)
    array[0], array[3, 0, 1] = top, top
    content = tif(
        array, photometric="rgb", extrasamples=["unassalpha"], planarconfig="separate"
    )
    assert first_row(content) == [(255, 255, 255), (255, 0, 0)]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_inks(planar):
    ink = np.zeros((1, 3, 4), np.uint8)
    ink[0, 1, 1:3] = ink[0, 2, 0] = 255
    if planar == "separate":
        ink = np.moveaxis(ink, -1, 0)
    content = tif(ink, photometric="separated", planarconfig=planar)
    assert first_row(content) == [(255,) * 3, (255, 0, 0), (0, 255, 255)]


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "zstd", "lzma"])
def test_video_colours(compression):
    """YCbCr, ITU-R BT.601, as TIFF has it by default."""
    video = np.asarray(blotches().convert("YCbCr"))
    content = tif(
        video, photometric="ycbcr", subsampling=(1, 1), compression=compression
    )
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 3


def test_video_colours_in_planes():
    video = np.moveaxis(np.asarray(blotches().convert("YCbCr")), -1, 0)
    content = tif(
        video, photometric="ycbcr", subsampling=(1, 1), planarconfig="separate"
    )
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 3


def test_a_palette_of_bytes():
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, 1], colormap[:, 2] = (255, 0, 0), (0, 128, 255)
    values = np.array([[0, 1, 2]], np.uint8)
    content = tif(values, photometric="palette", colormap=colormap)
    assert first_row(content) == [(0, 0, 0), (255, 0, 0), (0, 128, 255)]
    # Of 16 bits, as it should be.
    content = tif(values, photometric="palette", colormap=colormap * 257)
    assert first_row(content) == [(0, 0, 0), (255, 0, 0), (0, 128, 255)]


def test_cmyk_of_16_bits():
    ink = np.zeros((1, 2, 4), np.uint16)
    ink[0, 1, 1:3] = 65535
    assert first_row(tif(ink, photometric="separated")) == [(255,) * 3, (255, 0, 0)]


def test_palette_of_16_bits():
    colormap = np.zeros((3, 65536), np.uint16)
    colormap[0, 300] = 65535
    values = np.array([[0, 300]], np.uint16)
    content = tif(values, photometric="palette", colormap=colormap)
    assert first_row(content) == [(0, 0, 0), (255, 0, 0)]
