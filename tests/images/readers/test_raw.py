from io import BytesIO

import numpy as np
import pytest
import tifffile
from helpers import make_image
from image_files import reason

from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    decode,
    read_header,
)

IMAGE = make_image(3, (256, 192))
BLACK, WHITE = 0, 4095


def mosaic(image):
    """What a sensor with red, green, green and blue cells sees."""
    array = np.asarray(image).astype(float) / 255
    light = np.where(array <= 0.04045, array / 12.92, ((array + 0.055) / 1.055) ** 2.4)
    cells = np.empty(array.shape[:2])
    for row, column, band in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        cells[row::2, column::2] = light[row::2, column::2, band]
    return (cells * WHITE).astype(np.uint16)


def rationals(values):
    return [part for value in values for part in (round(value * 10000), 10000)]


def dng(orientation=1, make=True):
    """A camera's file: a thumbnail, with what the sensor saw below it."""
    # As if red, green and blue of sRGB were what the sensor sees.
    to_camera = np.linalg.inv(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    tags = [
        (271, "s", 0, "Maker", True),
        (272, "s", 0, "Model", True),
        (274, "H", 1, orientation, True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50707, "B", 4, bytes([1, 1, 0, 0]), True),
        (50708, "s", 0, "Maker Model", True),
        (50721, "2i", 9, rationals(to_camera.ravel()), True),
        (50728, "2I", 3, rationals([1, 1, 1]), True),
        (50778, "H", 1, 21, True),
    ]
    sensor = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50714, "H", 1, BLACK, True),
        (50717, "H", 1, WHITE, True),
    ]
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        small = np.asarray(IMAGE.resize((16, 12)))
        writer.write(small, photometric="rgb", subifds=1, subfiletype=1, extratags=tags)
        writer.write(mosaic(IMAGE), photometric="cfa", extratags=sensor)
    return file.getvalue()


def test_the_image_and_not_its_thumbnail(tmp_path):
    content = dng()
    image = decode(content)
    assert image.size == (256, 192)
    found, expected = (np.asarray(i).astype(float).ravel() for i in (image, IMAGE))
    assert np.corrcoef(found, expected)[0, 1] > 0.9
    (tmp_path / "a.dng").write_bytes(content)
    expected = Header("RAW", 256, 192, is_plain=False)
    assert content_header(content) == expected == read_header(str(tmp_path / "a.dng"))


@pytest.mark.parametrize(
    ("at_least", "size"),
    [((200, 150), (256, 192)), ((128, 96), (128, 96)), ((10, 10), (128, 96))],
)
def test_half_the_size_suffices(at_least, size):
    assert decode(dng(), at_least=at_least).size == size


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation(orientation):
    image = decode(dng(orientation))
    upright = IMAGE.rotate({1: 0, 3: 180, 6: 270, 8: 90}[orientation], expand=True)
    assert image.size == upright.size
    header = content_header(dng(orientation))
    assert (header.width, header.height) == upright.size
    found, expected = (np.asarray(i).astype(float).ravel() for i in (image, upright))
    assert np.corrcoef(found, expected)[0, 1] > 0.9


def test_damaged():
    assert reason(dng()[:20000]) in (
        "damaged RAW data",
        "the file is cut short",
        "RAW of a kind that is not read",
    )
    assert reason(b"FUJIFILMCCD-RAW " + bytes(1000)) == "RAW of a kind that is not read"
