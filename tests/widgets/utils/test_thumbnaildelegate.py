import pytest
from AnyQt.QtCore import QModelIndex, QRect, QSize
from AnyQt.QtGui import QFontMetrics, QImage, QPainter
from AnyQt.QtWidgets import QApplication, QStyleOptionViewItem
from PIL import Image

from orangecontrib.imageanalytics.widgets.utils.thumbnaildelegate import (
    ThumbnailDelegate,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.utils.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
    to_qimage,
)

WHITE = 0xFFFFFFFF


@pytest.fixture
def model():
    loader = ThumbnailLoader()
    model = ThumbnailModel(loader)
    model.set_images(["a.png"], lambda row: "a title")
    yield model
    loader.close()


def option(edge=60):
    option = QStyleOptionViewItem()
    option.decorationSize = QSize(edge, edge)
    option.font = QApplication.font()
    option.fontMetrics = QFontMetrics(option.font)
    size = ThumbnailDelegate().sizeHint(option, QModelIndex())
    option.rect = QRect(0, 0, size.width(), size.height())
    return option


def painted(model, edge=60, ratio=1.0):
    style = option(edge)
    size = style.rect.size() * ratio
    canvas = QImage(size, QImage.Format.Format_RGB32)
    canvas.setDevicePixelRatio(ratio)
    canvas.fill(WHITE)
    painter = QPainter(canvas)
    ThumbnailDelegate().paint(painter, style, model.index(0))
    painter.end()
    canvas.setDevicePixelRatio(1)
    return canvas


def places_of(colour, image):
    return {
        (x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixel(x, y) == colour
    }


def test_small_images_have_no_title():
    small, large = option(40).rect, option(60).rect
    assert small.height() == small.width()
    assert large.height() > large.width() + option().fontMetrics.height()


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_images_are_drawn_pixel_by_pixel(model, ratio):
    edge = round(60 * ratio)
    noise = Image.effect_noise((edge, edge // 2), 100).convert("RGB")
    image = to_qimage(noise)
    model.loader.cache.put(Thumbnail("a.png", (edge, edge), image, noise.size))
    canvas = painted(model, ratio=ratio)
    margin = round(ThumbnailDelegate.margin * ratio)
    top = margin + (edge - edge // 2 + 1) // 2
    shown = [
        canvas.copy(margin, top + shift, edge, edge // 2) == image
        for shift in (-1, 0, 1)
    ]
    assert any(shown)


def test_images_of_another_size_are_scaled(model):
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF00)
    model.loader.cache.put(Thumbnail("a.png", (20, 20), image, (20, 20)))
    green = places_of(0xFF00FF00, painted(model))
    assert max(x for x, _ in green) - min(x for x, _ in green) == 59


def test_title_is_drawn_below(model):
    edge = option().decorationSize.height() + ThumbnailDelegate.margin
    canvas = painted(model)
    below = canvas.copy(0, edge, canvas.width(), canvas.height() - edge)
    assert len(places_of(WHITE, below)) < below.width() * below.height()
    model.set_title(lambda row: "")
    canvas = painted(model)
    below = canvas.copy(0, edge, canvas.width(), canvas.height() - edge)
    assert len(places_of(WHITE, below)) == below.width() * below.height()


def test_broken_and_coming_images_look_different(model):
    coming = painted(model)
    model.loader.cache.put(Thumbnail("a.png", (60, 60), error="is a folder"))
    broken = painted(model)
    assert coming != broken
    middle = ThumbnailDelegate.margin + 30
    assert broken.pixel(middle + 12, middle) != WHITE
