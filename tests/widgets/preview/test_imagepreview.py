import threading

import pytest
from AnyQt.QtCore import QItemSelectionModel, Qt
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QToolButton
from PIL import Image

from orangecontrib.imageanalytics.widgets.preview import imagecanvas
from orangecontrib.imageanalytics.widgets.preview.imagecompare import ImageCompare
from orangecontrib.imageanalytics.widgets.preview.imagepreview import ImagePreview
from orangecontrib.imageanalytics.widgets.preview.rowdetails import Detail
from orangecontrib.imageanalytics.widgets.preview.zoomedview import MAX_ZOOM, WHOLE
from orangecontrib.imageanalytics.widgets.sheet import thumbnails
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader

Keys, Held = Qt.Key, Qt.KeyboardModifier


@pytest.fixture
def view(tmp_path):
    """A view of a large image, a small one, and none."""
    for name, size in (("large", (1200, 900)), ("small", (40, 30))):
        half = Image.new("RGB", size, (0, 0, 255))
        half.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
        half.save(tmp_path / f"{name}.png")
    names = ("large.png", "small.png", "none.png")
    view = SheetView(FlowGeometry(100), ExtendedSelection)
    view.resize(400, 300)
    view.setModel(ThumbnailModel(ThumbnailLoader(view), view))
    view.model().set_images(
        [str(tmp_path / n) for n in names], lambda row: [names[row]]
    )
    view.model().set_details(lambda row: [Detail("Class", "kind", f"value {row}")])
    view.setCurrentIndex(view.model().index(0))
    view.show()
    yield view
    view.model().loader.close()
    view.hide()


@pytest.fixture
def preview(view):
    compare = ImageCompare(view)
    preview = ImagePreview(view, compare)
    preview.resize(700, 300)
    yield preview
    preview.shutdown()
    compare.shutdown()


def opened(preview, until):
    preview.open()
    until(lambda: preview.idle)


def text(preview):
    return preview.details.toPlainText()


def button(preview, label):
    buttons = preview.bar.findChildren(QToolButton)
    return next(button for button in buttons if button.text() == label)


def test_opens_on_request_and_closes(preview, view):
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
    canvas = preview.canvas
    image = canvas.thumbnail().image
    assert image.width() == canvas.box()[0] or image.height() == canvas.box()[1]


def test_arrow_keys_and_buttons_move(preview, view, until):
    opened(preview, until)
    for press, title in (
        (lambda: QTest.keyClick(preview, Keys.Key_Right), "small.png"),
        (lambda: QTest.keyClick(preview, Keys.Key_End), "none.png"),
        (lambda: QTest.keyClick(preview, Keys.Key_Left), "small.png"),
        (lambda: QTest.keyClick(preview, Keys.Key_Home), "large.png"),
        (button(preview, "›").click, "small.png"),  # noqa: RUF001
        (button(preview, "‹").click, "large.png"),  # noqa: RUF001
    ):
        press()
        assert preview.windowTitle() == title
        assert view.currentIndex().data() == title
        until(lambda: preview.idle)
        assert not preview.grab().isNull()
    assert preview.isVisible()


@pytest.mark.parametrize(
    "selected, after", [([], []), ([0], [1]), ([2], [2]), ([0, 2], [0, 2])]
)
def test_moving_leaves_what_has_been_picked(preview, view, until, selected, after):
    changes = []
    view.select_rows(selected)
    flag = QItemSelectionModel.SelectionFlag.NoUpdate
    view.selectionModel().setCurrentIndex(view.model().index(0), flag)
    view.selection_changed.connect(lambda: changes.append(view.selected_rows()))
    opened(preview, until)
    QTest.keyClick(preview, Keys.Key_Right)
    assert view.currentIndex().row() == 1
    assert view.selected_rows() == after
    assert changes == ([after] if after != selected else [])


def test_other_keys_of_the_view_do_nothing(preview, view, until):
    opened(preview, until)
    QTest.keyClick(preview, Keys.Key_A, Held.ControlModifier)
    QTest.keyClicks(preview, "small")
    assert view.selected_rows() == [0]
    assert preview.windowTitle() == "large.png"


def test_neighbours_are_loaded_too(preview, view, until, monkeypatch):
    decoded, render = [], thumbnails.render

    def spy(source, *args, **kwargs):
        decoded.append(source)
        return render(source, *args, **kwargs)

    monkeypatch.setattr(thumbnails, "render", spy)
    view.hide()
    view.show()
    opened(preview, until)
    until(lambda: any(source.endswith("small.png") for source in decoded))


def test_zoom_keys(preview, until):
    opened(preview, until)
    canvas = preview.canvas
    fit = canvas.zoom()
    QTest.keyClick(preview, Keys.Key_1)
    assert canvas.zoom() == 1
    until(lambda: preview.idle)
    assert canvas.thumbnail().image.width() == 1200
    QTest.keyClick(preview, Keys.Key_Plus)
    assert canvas.zoom() == pytest.approx(imagecanvas.ZOOM_STEP)
    for _ in range(40):
        QTest.keyClick(preview, Keys.Key_Plus)
    assert canvas.zoom() == MAX_ZOOM
    for _ in range(60):
        QTest.keyClick(preview, Keys.Key_Minus)
    assert canvas.zoom() == pytest.approx(fit)
    button(preview, "1:1").click()
    assert canvas.zoom() == 1
    QTest.keyClick(preview, Keys.Key_0)
    assert canvas.view() == WHOLE
    button(preview, "1:1").click()
    button(preview, "Fit").click()
    assert canvas.view() == WHOLE


@pytest.mark.parametrize("held", [Held.ShiftModifier, Held.AltModifier])
def test_arrow_keys_with_a_modifier_move_the_image(preview, view, until, held):
    opened(preview, until)
    QTest.keyClick(preview, Keys.Key_1)
    until(lambda: preview.idle)
    QTest.keyClick(preview, Keys.Key_Right, held)
    assert preview.canvas.view().center[0] > 0.5
    assert view.currentIndex().row() == 0
    QTest.keyClick(preview, Keys.Key_Right)
    assert view.currentIndex().row() == 1
    assert preview.canvas.view() == WHOLE


def test_strip_lists_file_and_values(preview, until):
    opened(preview, until)
    listed = text(preview)
    for expected in ("large.png", "1,200 × 900", "kB", "kind", "value 0"):  # noqa: RUF001
        assert expected in listed
    QTest.keyClick(preview, Keys.Key_End)
    until(lambda: preview.idle)
    assert "value 2" in text(preview) and "value 0" not in text(preview)
    assert "file not found" in text(preview)


def test_strip_is_toggled_by_key_and_button(preview, until):
    toggled = []
    preview.details_toggled.connect(toggled.append)
    opened(preview, until)
    assert preview.details.isVisible() and button(preview, "Details").isChecked()
    QTest.keyClick(preview, Keys.Key_I)
    assert preview.details.isHidden() and not button(preview, "Details").isChecked()
    assert "1,200 × 900" in preview.bar.texts()[1]  # noqa: RUF001
    button(preview, "Details").click()
    assert preview.details.isVisible() and toggled == [False, True]
    preview.set_details_shown(False)
    assert preview.details.isHidden() and toggled == [False, True]


def test_values_are_not_read_while_the_image_is_moved(preview, view, until):
    read = []
    view.model().set_details(lambda row: read.append(row) or [])
    opened(preview, until)
    preview.canvas.set_zoom(2.0)
    until(lambda: preview.idle)
    assert read
    read.clear()
    preview.canvas.zoom_by(2.0)
    QTest.keyClick(preview, Keys.Key_Right, Held.ShiftModifier)
    assert read == [] and "400%" in preview.bar.texts()[1]


def test_compare_button_and_key(preview, view, until):
    opened(preview, until)
    assert not button(preview, "Compare").isEnabled()
    view.select_rows([0, 1])
    preview.open()
    assert button(preview, "Compare").isEnabled()
    QTest.keyClick(preview, Keys.Key_C)
    compare = preview.findChild(ImageCompare) or preview._compare
    assert compare.isVisible()
    compare.close()
    button(preview, "Compare").click()
    assert compare.isVisible()


def test_reason_is_shown(preview, view, until):
    view.setCurrentIndex(view.model().index(2))
    opened(preview, until)
    assert preview.canvas.thumbnail().error == "file not found"
    assert not preview.grab().isNull()
    QTest.keyClick(preview, Keys.Key_1)
    assert preview.canvas.zoom() == 0


def test_large_images_come_in_their_own_pixels(preview, until, monkeypatch):
    monkeypatch.setattr(imagecanvas, "MAX_WHOLE_PIXELS", 100_000)
    opened(preview, until)
    QTest.keyClick(preview, Keys.Key_1)
    until(lambda: preview.idle)
    assert preview.canvas.thumbnail().image.width() < 1200
    shot = preview.canvas.grab().toImage()
    # A sharp edge: no colours between red and blue
    row = [shot.pixelColor(x, 100) for x in range(shot.width())]
    assert {(pixel.red(), pixel.blue()) for pixel in row} == {(255, 0), (0, 255)}


def test_closing_frees_the_memory(preview, until):
    opened(preview, until)
    assert preview._loader.cache.n_bytes > 10_000
    preview.close()
    assert preview._loader.cache.n_bytes == 0


def test_closes_when_there_is_nothing_to_show(preview, view, until):
    opened(preview, until)
    view.model().set_images([])
    assert not preview.isVisible()


def test_decodes_outside_the_gui_thread(preview, until, monkeypatch):
    threads = set()
    decode = thumbnails.decode

    def spy(*args, **kwargs):
        threads.add(threading.get_ident())
        return decode(*args, **kwargs)

    monkeypatch.setattr(thumbnails, "decode", spy)
    opened(preview, until)
    QTest.keyClick(preview, Keys.Key_1)
    until(lambda: preview.idle)
    assert threads and threading.get_ident() not in threads
