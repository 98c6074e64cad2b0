import threading

import numpy as np
import pytest
from AnyQt.QtCore import QObject, QRect
from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC
from orangecontrib.imageanalytics.widgets.preview import imageregions
from orangecontrib.imageanalytics.widgets.preview.imageregions import (
    DecodedImages,
    Region,
    RegionLoader,
)


@pytest.fixture
def source(tmp_path):
    """An image whose channels say which pixel it is."""
    y, x = np.mgrid[:100, :200].astype(np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(np.stack([x, y, 0 * x], axis=-1)).save(path)
    return str(path)


@pytest.fixture
def decoded(monkeypatch):
    """The sources that were decoded, in order."""
    calls, decode = [], imageregions._decoded

    def spy(source, intensity):
        calls.append(source)
        assert threading.current_thread() is not threading.main_thread()
        return decode(source, intensity)

    monkeypatch.setattr(imageregions, "_decoded", spy)
    return calls


@pytest.fixture
def loader():
    owner = QObject()
    loader = RegionLoader(owner)
    yield loader
    loader.clear()


def colour(image, x, y):
    pixel = image.pixelColor(x, y)
    return pixel.red(), pixel.green()


def test_real_pixels_are_cut_out(loader, source, decoded, until):
    loader.request(Region(source, QRect(30, 20, 50, 40), 1.0))
    until(lambda: loader.region is not None)
    region = loader.region
    assert region.rect == QRect(30, 20, 50, 40)
    assert (region.image.width(), region.image.height()) == (50, 40)
    assert colour(region.image, 0, 0) == (30, 20)
    assert colour(region.image, 49, 39) == (79, 59)


def test_outside_there_is_nothing(loader, source, until):
    loader.request(Region(source, QRect(-10, 50, 500, 500), 1.0))
    until(lambda: loader.region is not None)
    assert loader.region.rect == QRect(0, 50, 200, 50)


def test_smaller_than_the_pixels(loader, source, until):
    loader.request(Region(source, QRect(0, 0, 100, 100), 0.25))
    until(lambda: loader.region is not None)
    assert loader.region.image.width() == 25
    assert colour(loader.region.image, 12, 0)[0] == pytest.approx(50, abs=4)


def test_decoded_once_and_only_cut_again_where_needed(loader, source, decoded, until):
    loaded = []
    loader.loaded.connect(lambda: loaded.append(loader.region.rect))
    for rect in (
        QRect(0, 0, 100, 100),
        QRect(10, 10, 20, 20),  # is there already
        QRect(100, 0, 50, 50),
    ):
        loader.request(Region(source, rect, 1.0))
        until(lambda: loader.idle)
    assert loaded == [QRect(0, 0, 100, 100), QRect(100, 0, 50, 50)]
    assert decoded == [source]


def test_the_last_request_counts(loader, source, monkeypatch, until):
    go_on = threading.Event()
    decode = imageregions._decoded

    def slow(*arguments):
        assert go_on.wait(60)
        return decode(*arguments)

    monkeypatch.setattr(imageregions, "_decoded", slow)
    for left in range(10):
        loader.request(Region(source, QRect(left, 0, 10, 10), 1.0))
    assert loader.region is None and not loader.idle
    go_on.set()
    until(lambda: loader.idle)
    assert loader.region.rect == QRect(9, 0, 10, 10)


def test_unreadable_images_have_no_parts(loader, until):
    loader.request(Region("none.png", QRect(0, 0, 10, 10), 1.0))
    until(lambda: loader.idle)
    assert loader.region is None


def test_clearing_drops_all(loader, source, decoded, until):
    wanted = Region(source, QRect(0, 0, 10, 10), 1.0)
    loader.request(wanted)
    until(lambda: loader.idle)
    loader.clear()
    assert loader.region is None
    loader.request(wanted)
    until(lambda: loader.idle)
    assert decoded == [source, source]


@pytest.mark.parametrize(
    "other, covers",
    [
        (Region("a", QRect(1, 1, 5, 5), 0.5), True),
        (Region("a", QRect(1, 1, 10, 5), 0.5), False),
        (Region("a", QRect(1, 1, 5, 5), 0.6), False),
        (Region("b", QRect(1, 1, 5, 5), 0.5), False),
        (Region("a", QRect(1, 1, 5, 5), 0.5, "full"), False),
    ],
)
def test_covers(other, covers):
    assert Region("a", QRect(0, 0, 10, 10), 0.5).covers(other) is covers


def test_kept_images_are_bounded(tmp_path, monkeypatch):
    decoded, decode = [], imageregions._decoded

    def spy(source, intensity):
        decoded.append(source)
        return decode(source, intensity)

    monkeypatch.setattr(imageregions, "_decoded", spy)
    paths = [str(tmp_path / f"{n}.png") for n in range(3)]
    for path in paths:
        Image.new("RGB", (10, 10)).save(path)
    images = DecodedImages(max_pixels=250)
    for path in (*paths, paths[1], paths[0]):
        assert images.get(path, AUTOMATIC).size == (10, 10)
    assert decoded == [*paths, paths[0]]
    with pytest.raises(ImageError, match="file not found"):
        images.get("none.png", AUTOMATIC)
