import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from orangecontrib.imageanalytics.networks import resampling
from orangecontrib.imageanalytics.networks.resampling import scaled_window


@pytest.fixture(params=[True, False], ids=["resizer", "Pillow"])
def either(request, monkeypatch):
    """With and without the faster library."""
    if request.param:
        pytest.importorskip("cykooz_resizer")
    monkeypatch.setattr(resampling, "_has_resizer", lambda: request.param)


def photo(size=(640, 427)):
    return Image.fromarray(load_sample_image("china.jpg")).resize(size)


METHODS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize(
    "size", [(256, 170), (227, 227), (640, 427), (900, 600), (10, 7), (1, 1), (640, 9)]
)
def test_as_pillow_does_it(size, interpolation, either):
    found = scaled_window(photo(), size, (0, 0, *size), interpolation)
    expected = np.asarray(photo().resize(size, METHODS[interpolation]))
    difference = np.abs(found.astype(int) - expected)
    assert found.dtype == np.uint8 and found.shape == expected.shape
    # Where Pillow has cut off what is beyond black and white, a little more.
    assert (difference > 1).mean() < 1e-4
    assert difference.max() <= 6


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize(
    "window", [(16, 0, 240, 170), (0, 1, 3, 4), (255, 169, 256, 170), (7, 100, 70, 120)]
)
def test_a_window_is_a_part_of_the_whole(window, interpolation, either):
    size = 256, 170
    whole = scaled_window(photo(), size, (0, 0, *size), interpolation)
    left, top, right, bottom = window
    found = scaled_window(photo(), size, window, interpolation)
    expected = whole[top:bottom, left:right].astype(int)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5000), (5000, 3)])
def test_extreme_shapes(size, either):
    image = Image.new("RGB", size, (10, 20, 30))
    for target in ((32, 32), (1, 1), (1, 40), (40, 1)):
        found = scaled_window(image, target, (0, 0, *target), "bicubic")
        assert found.shape == (*target[::-1], 3)
        assert (found == (10, 20, 30)).all()


def test_the_image_stays(either):
    image = photo()
    scaled_window(image, (20, 30), (0, 0, 20, 30), "bilinear")
    assert image.size == (640, 427) and (np.asarray(image) == np.asarray(photo())).all()


@pytest.mark.parametrize("interpolation", METHODS)
def test_of_a_tall_image_the_rows_come_first_too(interpolation, monkeypatch):
    pytest.importorskip("cykooz_resizer")
    noise = np.random.default_rng(0).integers(0, 2, (424, 202, 3), dtype=np.uint8) * 255
    found = []
    for has_resizer in (True, False):
        monkeypatch.setattr(resampling, "_has_resizer", lambda has=has_resizer: has)
        window = 0, 10, 100, 200
        image = Image.fromarray(noise)
        found.append(scaled_window(image, (100, 210), window, interpolation))
    difference = np.abs(found[0].astype(int) - found[1])
    assert (difference > 1).mean() < 1e-3
    assert difference.max() <= 6
