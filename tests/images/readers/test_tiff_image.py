from io import BytesIO

import numpy as np
import pytest
import tifffile
from image_files import grey_row, pixels
from tiff_files import BIG, COLOURS, GREYS, levels, likeness, stack, stretched, tif

from orangecontrib.imageanalytics.images.decode import Header, content_header, decode
from orangecontrib.imageanalytics.images.readers import tiff_image


def test_white_is_zero():
    content = tif(stretched("f4"), photometric="miniswhite")
    assert likeness(pixels(content)[..., 0], 255 - GREYS) > 0.999
    content = tif(GREYS, photometric="miniswhite")
    assert (pixels(content)[..., 0] == 255 - GREYS).all()


def test_no_data():
    values = np.array([[-9999, 1, 2, -9999]], np.float32)
    content = tif(values, extratags=[(42113, "s", 0, "-9999", True)])
    assert grey_row(content) == [0, 0, 255, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bits(orientation):
    values = np.zeros((8, 16), np.uint16)
    values[:4, :8] = 60000  # top left
    content = tif(values, extratags=[(274, "H", 1, orientation, True)])
    array = np.zeros((8, 16, 3), np.uint8)
    array[:4, :8] = 255
    plain = tif(array, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    found, expected = pixels(content), pixels(plain)
    assert found.shape == expected.shape
    assert ((found > 200) == (expected > 200)).all()
    header = content_header(content)
    assert (header.height, header.width) == expected.shape[:2]


def test_orientation_of_each_page():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for orientation in (1, 6, 3):
            writer.write(
                COLOURS,
                photometric="rgb",
                metadata=None,
                extratags=[(274, "H", 1, orientation, True)],
            )
    content = file.getvalue()
    assert (pixels(content) == COLOURS).all()
    assert (pixels(content, page=2) == np.rot90(COLOURS, -1)).all()
    assert (pixels(content, page=3) == np.rot90(COLOURS, 2)).all()


def test_smaller_versions_suffice():
    file = BytesIO()
    halves = [BIG, BIG[::2, ::2], BIG[::4, ::4]]
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(halves[0], photometric="rgb", subifds=2)
        for half in halves[1:]:
            writer.write(half, photometric="rgb", subfiletype=1)
    content = file.getvalue()
    assert decode(content).size == (640, 480)
    assert decode(content, at_least=(300, 200)).size == (320, 240)
    assert decode(content, at_least=(10, 10)).size == (160, 120)
    assert content_header(content) == Header("TIFF", 640, 480)


def test_the_largest_version_that_can_be_read(monkeypatch):
    file = BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(BIG, photometric="rgb", subifds=1)
        writer.write(BIG[::2, ::2], photometric="rgb", subfiletype=1)
    monkeypatch.setattr(tiff_image, "MAX_PIXELS", 100_000)
    assert decode(file.getvalue()).size == (320, 240)


@pytest.mark.parametrize("blank", [(), (0,), (0, 1)])
@pytest.mark.parametrize("kind", ["ome", "imagej", "shaped"])
def test_the_middle_plane_stands_for_a_stack(kind, blank):
    planes = stack(5)
    planes[list(blank)] = 0
    options = {
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "shaped": {},
    }[kind]
    content = tif(planes, photometric="minisblack", **options)
    assert (pixels(content)[..., 0] == levels(planes[2])).all()
    assert content_header(content) == Header(
        "TIFF", 64, 48, has_more=True, is_plain=False
    )


def test_the_lower_of_two_middle_planes():
    planes = stack(4)
    assert (
        pixels(tif(planes, photometric="minisblack"))[..., 0] == levels(planes[1])
    ).all()


def test_the_brightest_plane_stands_for_a_stack_whose_middle_is_blank():
    planes = stack(5)
    planes[2] = 7
    planes[[0, 1, 3]] //= 2
    content = tif(planes, photometric="minisblack")
    assert (pixels(content)[..., 0] == levels(planes[4])).all()


def test_a_dim_plane_stands_for_a_stack_rather_than_a_blank_one():
    """Even if that is of the brightest number of all."""
    planes = stack(5)
    planes[1:] = 60000
    content = tif(planes, photometric="minisblack")
    assert (pixels(content)[..., 0] == levels(planes[0])).all()


@pytest.mark.parametrize("blank", [0, 200])
def test_blank_pages_of_8_bits(blank):
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for array in (np.full_like(COLOURS, blank), COLOURS, COLOURS[::-1]):
            writer.write(array, photometric="rgb", metadata=None)
    assert (pixels(file.getvalue()) == COLOURS).all()


def test_pages_of_microscopes_are_planes():
    file = BytesIO()
    planes = stack(5)
    with tifffile.TiffWriter(file) as writer:
        for plane in planes:
            writer.write(plane, photometric="minisblack", metadata=None)
    assert (pixels(file.getvalue())[..., 0] == levels(planes[2])).all()
