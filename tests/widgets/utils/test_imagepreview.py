import threading

import pytest
from AnyQt.QtCore import QItemSelectionModel, QPointF, Qt
from AnyQt.QtTest import QTest
from PIL import Image

from orangecontrib.imageanalytics.widgets.utils import thumbnails
from orangecontrib.imageanalytics.widgets.utils.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.utils.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.utils.imagepreview import ImagePreview
from orangecontrib.imageanalytics.widgets.utils.selection import (
    ExtendedSelection,
    GroupSelection,
)
from orangecontrib.imageanalytics.widgets.utils.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.utils.thumbnails import ThumbnailLoader

Keys = Qt.Key


@pytest.fixture
def preview(tmp_path):
    """Over a flow of a large image, a small one, and none."""
    yield from make_preview(tmp_path, SheetView(FlowGeometry(), ExtendedSelection))


@pytest.fixture
def grid_preview(tmp_path):
    """The same over a grid of two columns."""
    yield from make_preview(tmp_path, SheetView(GridGeometry(), GroupSelection))


def make_preview(tmp_path, view):
    for name, size in (("large", (1200, 900)), ("small", (40, 30))):
        half = Image.new("RGB", size, (0, 0, 255))
        half.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
        half.save(tmp_path / f"{name}.png")
    names = ("large.png", "small.png", "none.png")
    view.resize(400, 300)
    view.setModel(ThumbnailModel(ThumbnailLoader(view), view))
    view.model().set_images(
        [str(tmp_path / n) for n in names], lambda row: [names[row]]
    )
    view.setCurrentIndex(view.model().index(0))
    view.show()
    preview = ImagePreview(view)
    preview.resize(400, 300)
    yield preview
    preview.shutdown()
    view.model().loader.close()
    view.hide()


def opened(preview, until):
    preview.open()
    loaded(preview, until)


def loaded(preview, until):
    until(lambda: preview._loader.idle and not preview._request_timer.isActive())


def colour(preview, x, y):
    """Channels at a place given in parts of the image's area."""
    area = preview._area()
    pixel = (
        preview.grab()
        .toImage()
        .pixelColor(int(x * area.width()), int(y * area.height()))
    )
    return pixel.red(), pixel.green(), pixel.blue()


def test_opens_on_request_and_closes(preview, until):
    view = preview._view
    QTest.keyClick(view, Keys.Key_Space)
    assert preview.isVisible()
    assert preview.windowTitle() == "large.png"
    QTest.keyClick(preview, Keys.Key_Space)
    assert not preview.isVisible()
    for closer in (preview, view):
        preview.open()
        assert preview.isVisible()
        QTest.keyClick(closer, Keys.Key_Escape)
        assert not preview.isVisible()
    preview.open()
    view.hide()
    assert not preview.isVisible()


def test_whole_image_is_shown(preview, until):
    opened(preview, until)
    red, blue = colour(preview, 0.3, 0.5), colour(preview, 0.7, 0.5)
    assert red == (255, 0, 0) and blue == (0, 0, 255)
    box = preview._box()
    assert preview.zoom() == pytest.approx(min(box[0] / 1200, box[1] / 900))
    image = preview._thumbnail().image
    assert image.width() == box[0] or image.height() == box[1]


def test_arrow_keys_move(preview, until):
    opened(preview, until)
    for key, title in (
        (Keys.Key_Right, "small.png"),
        (Keys.Key_End, "none.png"),
        (Keys.Key_Left, "small.png"),
        (Keys.Key_Home, "large.png"),
    ):
        QTest.keyClick(preview, key)
        assert preview.windowTitle() == title
        assert preview._view.currentIndex().data() == title
        loaded(preview, until)
        assert not preview.grab().isNull()
    assert preview.isVisible()


def test_all_keys_move_over_a_grid(grid_preview, until):
    preview, view = grid_preview, grid_preview._view
    view.select([1], Qt.KeyboardModifier.NoModifier)
    opened(preview, until)
    for key, row in (
        (Keys.Key_Right, 1),
        (Keys.Key_Left, 0),
        (Keys.Key_Down, 2),
        (Keys.Key_Up, 0),
        (Keys.Key_PageDown, 2),
        (Keys.Key_PageUp, 0),
        (Keys.Key_End, 2),
        (Keys.Key_Home, 0),
    ):
        QTest.keyClick(preview, key)
        assert view.currentIndex().row() == row
        assert preview.windowTitle() == view.currentIndex().data()
    assert view.selected_rows() == [1]


@pytest.mark.parametrize(
    "selected, after", [([], []), ([0], [1]), ([2], [2]), ([0, 2], [0, 2])]
)
def test_moving_leaves_what_has_been_picked(preview, until, selected, after):
    view, changes = preview._view, []
    view.select_rows(selected)
    flag = QItemSelectionModel.SelectionFlag.NoUpdate
    view.selectionModel().setCurrentIndex(view.model().index(0), flag)
    view.selection_changed.connect(lambda: changes.append(view.selected_rows()))
    opened(preview, until)
    QTest.keyClick(preview, Keys.Key_Right)
    assert view.currentIndex().row() == 1
    assert view.selected_rows() == after
    assert changes == ([after] if after != selected else [])


def test_other_keys_of_the_view_do_nothing(preview, until):
    opened(preview, until)
    QTest.keyClick(preview, Keys.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(preview, "small")
    assert preview._view.selected_rows() == [0]
    assert preview.windowTitle() == "large.png"


def test_neighbours_are_loaded_too(preview, until):
    opened(preview, until)
    source = preview._view.model().index(1).data(257)
    assert preview._loader.get(source).image is not None


def test_zoom(preview, until):
    opened(preview, until)
    fit = preview.zoom()
    QTest.keyClick(preview, Keys.Key_1)
    assert preview.zoom() == 1
    loaded(preview, until)
    assert preview._thumbnail().image.width() == 1200
    assert colour(preview, 0.4, 0.5) == (255, 0, 0)
    QTest.keyClick(preview, Keys.Key_Plus)
    assert preview.zoom() > 1
    for _ in range(40):
        QTest.keyClick(preview, Keys.Key_Plus)
    assert preview.zoom() == 16
    assert colour(preview, 0.4, 0.5) == (255, 0, 0)
    for _ in range(60):
        QTest.keyClick(preview, Keys.Key_Minus)
    assert preview.zoom() == pytest.approx(fit)
    preview.set_zoom(4)
    QTest.keyClick(preview, Keys.Key_0)
    assert preview.zoom() == pytest.approx(fit)


def test_small_images_fill_the_window_and_can_be_seen_as_they_are(preview, until):
    preview._view.setCurrentIndex(preview._view.model().index(1))
    opened(preview, until)
    assert preview.zoom() > 5
    QTest.keyClick(preview, Keys.Key_1)
    assert preview.zoom() == 1
    QTest.keyClick(preview, Keys.Key_Minus)
    assert preview.zoom() == 1
    assert colour(preview, 0.2, 0.2) == colour(preview, 0.8, 0.8)


def test_zoom_keeps_the_place_under_the_mouse(preview, until):
    opened(preview, until)
    preview.set_zoom(1.0)
    area = preview._area()
    place = QPointF(area.width() * 0.25, area.height() * 0.4)

    def under_mouse():
        shift = place - QPointF(area.center())
        zoom, centre = preview.zoom(), preview._center
        return (
            centre.x() * 1200 + shift.x() / zoom,
            centre.y() * 900 + shift.y() / zoom,
        )

    before = under_mouse()
    preview.set_zoom(3.0, place)
    assert under_mouse() == pytest.approx(before)


def test_dragging_stays_inside(preview, until):
    opened(preview, until)
    preview.set_zoom(1.0)
    left = Qt.MouseButton.LeftButton
    area = preview._area()
    for _ in range(10):
        QTest.mousePress(preview, left, pos=area.bottomRight())
        QTest.mouseMove(preview, area.topLeft())
        QTest.mouseRelease(preview, left, pos=area.topLeft())
    assert preview._center.x() <= 1 - area.width() / 1200 / 2 + 0.01
    assert colour(preview, 0.02, 0.02) in ((255, 0, 0), (0, 0, 255))


def test_reason_is_shown(preview, until):
    preview._view.setCurrentIndex(preview._view.model().index(2))
    opened(preview, until)
    assert preview._thumbnail().error == "file not found"
    assert not preview.grab().isNull()
    QTest.keyClick(preview, Keys.Key_1)
    assert preview.zoom() == 0


def test_closing_frees_the_memory(preview, until):
    opened(preview, until)
    assert preview._loader.cache.n_bytes > 10_000
    preview.close()
    assert preview._loader.cache.n_bytes == 0


def test_closes_when_there_is_nothing_to_show(preview, until):
    opened(preview, until)
    preview._view.model().set_images([])
    assert not preview.isVisible()


def test_decodes_outside_the_gui_thread(preview, until, monkeypatch):
    threads = set()
    decode = thumbnails.decode

    def spy(*args, **kwargs):
        threads.add(threading.get_ident())
        return decode(*args, **kwargs)

    monkeypatch.setattr(thumbnails, "decode", spy)
    opened(preview, until)
    preview.set_zoom(2.0)
    loaded(preview, until)
    assert threads and threading.get_ident() not in threads
