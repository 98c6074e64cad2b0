import numpy as np
import pytest
from image_files import first_row, grey_row, pixels
from tiff_files import (
    GREEN,
    MAGENTA,
    ONE,
    OTHER,
    assert_composed,
    channel,
    levels,
    ome,
    tif,
)

from orangecontrib.imageanalytics.images.decode import Header, content_header


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_two_channels_in_a_page(planar):
    axis = -1 if planar == "contig" else 0
    content = tif(
        np.stack([ONE, OTHER], axis), photometric="minisblack", planarconfig=planar
    )
    assert_composed(content, (ONE, MAGENTA), (OTHER, GREEN))
    assert content_header(content) == Header("TIFF", 64, 48, is_plain=False)


def test_five_channels_in_a_page():
    channels = [channel(seed) for seed in range(5)]
    content = tif(np.stack(channels), photometric="minisblack", planarconfig="separate")
    colours = [MAGENTA, GREEN, (0, 255, 255), (255, 255, 0), (255, 0, 0)]
    assert_composed(content, *zip(channels, colours, strict=True))


def test_channels_of_imagej():
    array = np.stack([ONE, OTHER])
    red_to_white = np.zeros((3, 256), np.uint8)
    red_to_white[0] = range(256)
    blue = red_to_white[::-1]
    content = tif(
        array,
        imagej=True,
        metadata={"axes": "CYX", "mode": "composite", "LUTs": [red_to_white, blue]},
    )
    assert_composed(content, (ONE, (255, 0, 0)), (OTHER, (0, 0, 255)))
    content = tif(array, imagej=True, metadata={"axes": "CYX"})
    assert_composed(content, (ONE, MAGENTA), (OTHER, GREEN))


def test_display_ranges_of_imagej():
    values = np.array([[0, 1000, 2000]], np.uint16)
    content = tif(values, imagej=True, metadata={"min": 0.0, "max": 4000.0})
    assert grey_row(content) == [0, 64, 128]
    both = np.stack([values, values])
    content = tif(
        both,
        imagej=True,
        metadata={"axes": "CYX", "Ranges": (0.0, 4000.0, 0.0, 2000.0)},
    )
    assert first_row(content) == [(0, 0, 0), (64, 128, 64), (128, 255, 128)]


def colour_number(red, green, blue):
    number = red << 24 | green << 16 | blue << 8 | 255
    return number - 2**32 if number >= 2**31 else number


def test_channels_of_ome():
    array = np.stack([ONE, OTHER])
    colours = [colour_number(0, 0, 255), colour_number(255, 128, 0)]
    content = ome(array, "CYX", Name=["DAPI", "Cy3"], Color=colours)
    assert_composed(content, (ONE, (0, 0, 255)), (OTHER, (255, 128, 0)))
    # White for each is what programs write that know none.
    content = ome(array, "CYX", Color=[-1, -1])
    assert_composed(content, (ONE, MAGENTA), (OTHER, GREEN))


def test_channels_of_a_page_are_pages(pages_of):
    array = np.stack([ONE, OTHER], -1)
    content = tif(array, photometric="minisblack", planarconfig="contig")
    assert [name for name, _, _ in pages_of(content)] == ["channel 1", "channel 2"]
    assert (pixels(content, page=2)[..., 0] == levels(OTHER)).all()
