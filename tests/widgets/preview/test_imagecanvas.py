import pytest
from AnyQt.QtCore import QEvent, QPoint, QPointF, Qt
from AnyQt.QtGui import QMouseEvent, QWheelEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from PIL import Image

from orangecontrib.imageanalytics.widgets.preview import imagecanvas
from orangecontrib.imageanalytics.widgets.preview.imagecanvas import ImageCanvas
from orangecontrib.imageanalytics.widgets.preview.imageregions import RegionLoader
from orangecontrib.imageanalytics.widgets.preview.zoomedview import (
    MAX_ZOOM,
    WHOLE,
    View,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader

RED, BLUE = (255, 0, 0), (0, 0, 255)
Keys = Qt.Key


class Owner:
    """Loads what a canvas wants, as the windows do."""

    def __init__(self, until):
        self.loader = ThumbnailLoader()
        self.regions = RegionLoader(self.loader)
        self.canvas = ImageCanvas(self.loader, self.regions)
        self.canvas.resize(400, 300)
        self.canvas.show()
        self._source, self._until = "", until

    def show(self, path, size):
        half = Image.new("RGB", size, BLUE)
        half.paste(RED, (0, 0, size[0] // 2, size[1]))
        half.save(path)
        self._source = str(path)
        self.canvas.show_image(self._source)
        self.load()

    def load(self):
        for _ in range(2):  # the size is not known at first
            self.loader.request([self._source], self.canvas.wanted_box())
            self._until(lambda: self.loader.idle)
        region = self.canvas.wanted_region()
        if region is not None:
            self.regions.request(region)
            self._until(lambda: self.regions.idle)


@pytest.fixture
def owner(until):
    owner = Owner(until)
    yield owner
    owner.regions.clear()
    owner.loader.close()
    owner.canvas.deleteLater()


def colour(canvas, x, y):
    """Channels at a place given in parts of the canvas."""
    image = canvas.grab().toImage()
    pixel = image.pixelColor(int(x * image.width()), int(y * image.height()))
    return pixel.red(), pixel.green(), pixel.blue()


def test_whole_image(owner, tmp_path):
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (1200, 900))
    assert colour(canvas, 0.3, 0.5) == RED and colour(canvas, 0.7, 0.5) == BLUE
    assert canvas.zoom() == pytest.approx(1 / 3)
    assert canvas.wanted_box() == canvas.box() == (400, 300)
    assert canvas.wanted_region() is None


def test_nothing_and_what_cannot_be_read(owner, until):
    canvas = owner.canvas
    canvas.show_image("")
    assert colour(canvas, 0.5, 0.5) == imagecanvas.BACKGROUND.getRgb()[:3]
    canvas.show_image("none.png")
    owner.loader.request(["none.png"], canvas.box())
    until(lambda: owner.loader.idle)
    assert canvas.zoom() == 0 and not canvas.grab().isNull()
    canvas.set_zoom(1.0)
    canvas.zoom_by(2.0)
    assert canvas.view() == WHOLE


def test_single_pixels_and_limits(owner, tmp_path):
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (1200, 900))
    canvas.set_zoom(1.0)
    assert (canvas.zoom(), canvas.wanted_box()) == (1, None)
    owner.load()
    assert canvas.thumbnail().image.width() == 1200
    canvas.set_zoom(1000)
    assert canvas.zoom() == MAX_ZOOM
    canvas.set_zoom(0.001)
    assert canvas.view() == WHOLE
    canvas.zoom_by(2.0)
    assert canvas.zoom() == pytest.approx(2 / 3)
    canvas.zoom_by(0.5)
    assert canvas.view() == WHOLE


def test_small_images_fill_the_canvas(owner, tmp_path):
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (40, 30))
    assert canvas.zoom() == 10
    canvas.set_zoom(0.1)
    assert canvas.zoom() == 1
    assert colour(canvas, 0.2, 0.2) == imagecanvas.BACKGROUND.getRgb()[:3]


def place_in_image(canvas, at):
    """The pixel of the image at a place of the canvas."""
    size, (x, y) = canvas.size_in_pixels(), canvas.view().center
    shift = at - QPointF(canvas.width() / 2, canvas.height() / 2)
    zoom = canvas.zoom()
    return x * size[0] + shift.x() / zoom, y * size[1] + shift.y() / zoom


def test_wheel_zooms_about_the_mouse(owner, tmp_path):
    canvas, changes = owner.canvas, []
    canvas.view_changed.connect(lambda: changes.append(canvas.view()))
    owner.show(tmp_path / "a.png", (1200, 900))
    canvas.set_zoom(1.0)
    place = QPointF(100, 120)
    before = place_in_image(canvas, place)
    wheel = QWheelEvent(
        place,
        QPointF(canvas.mapToGlobal(place.toPoint())),
        QPoint(),
        QPoint(0, 240),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(canvas, wheel)
    assert canvas.zoom() == pytest.approx(imagecanvas.ZOOM_STEP**2)
    assert place_in_image(canvas, place) == pytest.approx(before)
    assert changes[-1] == canvas.view()


def drag(canvas, start, end):
    kinds, buttons = QEvent.Type, Qt.MouseButton
    for kind, place, button in (
        (kinds.MouseButtonPress, start, buttons.LeftButton),
        (kinds.MouseMove, end, buttons.NoButton),
        (kinds.MouseButtonRelease, end, buttons.LeftButton),
    ):
        glob = QPointF(canvas.mapToGlobal(place))
        event = QMouseEvent(
            kind,
            QPointF(place),
            glob,
            button,
            buttons.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(canvas, event)


def test_dragging_moves_the_image_and_stays_inside(owner, tmp_path):
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (1200, 900))
    canvas.set_zoom(1.0)
    drag(canvas, QPoint(200, 150), QPoint(150, 140))
    assert canvas.view().center == pytest.approx((0.5 + 50 / 1200, 0.5 + 10 / 900))
    for _ in range(10):
        drag(canvas, QPoint(399, 299), QPoint(0, 0))
    x, y = canvas.view().center
    assert (x, y) == pytest.approx((1 - 200 / 1200, 1 - 150 / 900))
    assert colour(canvas, 0.99, 0.99) == BLUE


def test_arrow_keys_move_the_image(owner, tmp_path):
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (1200, 900))
    assert canvas.pan_key(Keys.Key_Right) and canvas.view() == WHOLE
    canvas.set_zoom(1.0)
    assert canvas.pan_key(Keys.Key_Right) and canvas.pan_key(Keys.Key_Up)
    assert canvas.view().center == pytest.approx((0.5 + 100 / 1200, 0.5 - 75 / 900))
    assert not canvas.pan_key(Keys.Key_A)


def test_double_click_shows_pixels_and_back(owner, tmp_path):
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (1200, 900))
    left = Qt.MouseButton.LeftButton
    QTest.mouseDClick(canvas, left, pos=QPoint(300, 150))
    assert canvas.zoom() == 1 and canvas.view().center[0] > 0.6
    QTest.mouseDClick(canvas, left, pos=QPoint(10, 10))
    assert canvas.view() == WHOLE


def test_the_same_view_of_other_images(owner, tmp_path):
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (1200, 900))
    canvas.set_view(View(2.0, True, (0.25, 0.5)))
    assert canvas.zoom() == pytest.approx(2 / 3)
    assert colour(canvas, 0.9, 0.5) == RED
    owner.show(tmp_path / "b.png", (4000, 3000))
    assert canvas.zoom() == pytest.approx(0.2)
    canvas.set_view(View(2.0, False, (0.5, 0.5)))
    assert canvas.zoom() == 2
    assert colour(canvas, 0.25, 0.5) == RED and colour(canvas, 0.75, 0.5) == BLUE


def test_large_images_are_shown_in_their_own_pixels(owner, tmp_path, monkeypatch):
    monkeypatch.setattr(imagecanvas, "MAX_WHOLE_PIXELS", 100_000)
    canvas = owner.canvas
    size = (1201, 900)
    image = Image.new("RGB", size, BLUE)
    image.putpixel((600, 450), RED)
    path = tmp_path / "a.png"
    owner.show(path, size)
    image.save(path)
    owner.loader.refresh()
    canvas.set_zoom(1.0)
    owner.load()
    # The whole image stays as small as the canvas, and the pixel is seen all the same.
    assert canvas.wanted_box() == (400, 300)
    assert canvas.thumbnail().image.width() == 400
    region = owner.regions.region
    assert region.rect.contains(canvas.wanted_region().rect)
    shot = canvas.grab().toImage()
    reds = [
        (x, y)
        for x in range(shot.width())
        for y in range(shot.height())
        if shot.pixelColor(x, y).red() == 255
    ]
    assert len(reds) == 1


def test_what_is_wanted_of_a_large_image_is_bounded(owner, tmp_path, monkeypatch):
    monkeypatch.setattr(imagecanvas, "MAX_WHOLE_PIXELS", 100_000)
    canvas = owner.canvas
    owner.show(tmp_path / "a.png", (1200, 900))
    for zoom in (0.5, 1.0, 3.0, 16.0):
        canvas.set_zoom(zoom)
        region = canvas.wanted_region()
        pixels = region.rect.width() * region.rect.height() * region.scale**2
        assert pixels <= 1.1 * 4 * 400 * 300
        assert region.scale == min(1.0, zoom)
        seen = 400 / zoom * 300 / zoom
        assert region.rect.width() * region.rect.height() >= min(seen, 1200 * 900)


def test_in_device_pixels(owner, tmp_path, monkeypatch):
    canvas = owner.canvas
    monkeypatch.setattr(ImageCanvas, "devicePixelRatioF", lambda self: 2.0)
    owner.show(tmp_path / "a.png", (1200, 900))
    assert canvas.box() == (800, 600)
    assert canvas.zoom() == pytest.approx(2 / 3)
    assert canvas.thumbnail().image.width() == 800
    canvas.set_zoom(1.0)
    drag(canvas, QPoint(200, 150), QPoint(150, 150))
    assert canvas.view().center[0] == pytest.approx(0.5 + 100 / 1200)
