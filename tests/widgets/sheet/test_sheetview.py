import pytest
from AnyQt.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QPointF,
    QRect,
    QSize,
    Qt,
)
from AnyQt.QtGui import (
    QContextMenuEvent,
    QHelpEvent,
    QImage,
    QMouseEvent,
    QPalette,
    QWheelEvent,
)
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QToolTip

from orangecontrib.imageanalytics.widgets.sheet import thumbnails
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)

Keys = Qt.Key
CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
LEFT = Qt.MouseButton.LeftButton
GREEN = 0xFF00FF00


@pytest.fixture
def renders(monkeypatch):
    """What was rendered; nothing is read."""
    sources = []

    def render(source, content, box, intensity):
        sources.append(source)
        image = QImage(*box, QImage.Format.Format_RGB32)
        image.fill(GREEN)
        return Thumbnail(source, box, image, (640, 640))

    # One thread, so that the order is known.
    monkeypatch.setattr(thumbnails, "DECODERS", 1)
    monkeypatch.setattr(thumbnails, "render", render)
    return sources


@pytest.fixture
def view(renders):
    """A view with five columns for 23 images."""
    view = SheetView(FlowGeometry(), ExtendedSelection)
    view.setModel(ThumbnailModel(ThumbnailLoader(view), view))
    view.set_labels(1)
    cell = cell_size(view)
    bar = view.verticalScrollBar().sizeHint().width() + 2 * view.frameWidth()
    view.resize(cell.width() * 5 + bar + 10, cell.height() * 3)
    show(view, 23)
    view.show()
    yield view
    view.model().loader.close()


def show(view, count):
    sources = [f"{count}/{row}" for row in range(count)]
    view.model().set_images(sources, lambda row: [f"title {row}"])


def cell_size(view):
    return QSize(*view.sheet_geometry.steps)


def row_rect(view, row):
    """In the contents."""
    return QRect(*view.sheet_geometry.rect(row))


def center(view, row):
    return view.visualRect(view.model().index(row)).center()


def current(view):
    return view.currentIndex().row()


def set_current(view, row):
    view.setCurrentIndex(view.model().index(row))


def drag(view, start, end):
    viewport = view.viewport()
    QTest.mousePress(viewport, LEFT, Qt.KeyboardModifier.NoModifier, start)
    for point in (start + (end - start) / 2, end):
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(point),
            QPointF(viewport.mapToGlobal(point)),
            LEFT,
            LEFT,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(viewport, event)
    band = view.selection.band.isVisible()
    QTest.mouseRelease(viewport, LEFT, Qt.KeyboardModifier.NoModifier, end)
    return band


def test_layout(view):
    assert view.sheet_geometry.columns == 5
    rects = [row_rect(view, row) for row in range(23)]
    assert len({rect.top() for rect in rects[:5]}) == 1
    assert rects[5].top() > rects[0].bottom() and rects[5].left() == rects[0].left()
    for row, rect in enumerate(rects):
        assert not any(rect.intersects(other) for other in rects[:row])
        assert rect.left() >= 0 and rect.right() < view.viewport().width()


def test_index_at_inverts_visual_rect(view):
    view.verticalScrollBar().setValue(37)
    for row in view.visible_rows():
        assert view.indexAt(center(view, row)).row() == row
    assert not view.indexAt(QPoint(0, 0)).isValid()
    end = center(view, 22) + QPoint(row_rect(view, 0).width(), 0)
    assert not view.indexAt(end).isValid()


def test_few_images_are_not_spread(view):
    show(view, 2)
    width = cell_size(view).width()
    assert row_rect(view, 1).right() < 2 * width
    assert view.verticalScrollBar().maximum() == 0


def test_no_images(view):
    show(view, 0)
    assert not view.indexAt(QPoint(10, 10)).isValid()
    assert list(view.visible_rows()) == []
    QTest.keyClick(view, Keys.Key_Down)
    view.selectAll()
    assert view.selected_rows() == []
    assert not view.grab().isNull()


def test_only_what_is_near_is_loaded(view, renders, until):
    show(view, 100_000)
    until(lambda: renders and view.model().loader.idle)
    # What is in sight, and a page below.
    assert len(view.visible_rows()) <= len(renders) <= 3 * len(view.visible_rows())
    assert renders[0] == "100000/0"
    renders.clear()
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum() // 2)
    until(lambda: renders and view.model().loader.idle)
    visible = {f"100000/{row}" for row in view.visible_rows()}
    assert visible <= set(renders)
    assert len(renders) <= 5 * len(visible)


def test_nothing_is_loaded_while_hidden(view, renders, until):
    until(lambda: renders and view.model().loader.idle)
    view.hide()
    show(view, 10)
    renders.clear()
    QTest.qWait(2 * view.loading.settle_ms)
    assert not renders
    view.show()
    until(lambda: len(renders) == 10)


def test_thumbnails_are_painted_as_they_come(view, until):
    def colour():
        return view.viewport().grab().toImage().pixel(center(view, 0))

    show(view, 5)
    assert colour() != GREEN
    until(lambda: colour() == GREEN)


def test_sharp_on_any_screen(view, until):
    until(lambda: view.model().loader.idle)
    ratio = view.devicePixelRatioF()
    loader = view.model().loader
    until(lambda: loader.get("23/0"))
    assert loader.get("23/0").box == (round(100 * ratio),) * 2


def test_resizing_loads_the_size_that_was_settled_on(view, renders, until):
    until(lambda: renders and view.model().loader.idle)
    renders.clear()
    view.loading.settle_ms = 600
    for edge in range(110, 200, 10):
        view.set_scale(edge)
        QTest.qWait(1)
    until(lambda: view.model().loader.get("23/0").box == (190, 190))
    until(lambda: view.model().loader.idle)
    assert renders.count("23/0") == 1


def test_resizing_keeps_the_place(view):
    show(view, 10_000)
    view.scrollTo(view.model().index(5000), view.ScrollHint.PositionAtTop)
    first = view.visible_rows()[0]
    for edge in (300, 40, 100):
        view.set_scale(edge)
        assert first in view.visible_rows()
    width = view.width()
    for factor in (2, 1):
        view.resize(width * factor, view.height())
        QTest.qWait(1)
        assert first in view.visible_rows()


@pytest.mark.parametrize(
    "start, key, end",
    [
        (7, Keys.Key_Left, 6),
        (0, Keys.Key_Left, 0),
        (4, Keys.Key_Right, 5),
        (22, Keys.Key_Right, 22),
        (7, Keys.Key_Up, 2),
        (2, Keys.Key_Up, 2),
        (7, Keys.Key_Down, 12),
        (18, Keys.Key_Down, 22),
        (21, Keys.Key_Down, 21),
        (9, Keys.Key_Home, 0),
        (9, Keys.Key_End, 22),
        (1, Keys.Key_PageDown, 11),
        (13, Keys.Key_PageUp, 3),
    ],
)
def test_keys_move(view, start, key, end):
    view.resize(view.width(), cell_size(view).height() * 2 + 20)
    QTest.qWait(1)
    set_current(view, start)
    QTest.keyClick(view, key)
    assert current(view) == end
    assert view.selected_rows() == [end]
    assert view.viewport().rect().contains(center(view, end))


def test_first_key_goes_to_the_first(view):
    QTest.keyClick(view, Keys.Key_Down)
    assert current(view) == 0


def test_select_with_shift_and_control(view):
    set_current(view, 3)
    QTest.keyClick(view, Keys.Key_Down, SHIFT)
    assert view.selected_rows() == [3, 4, 5, 6, 7, 8]
    QTest.mouseClick(view.viewport(), LEFT, CONTROL, center(view, 4))
    assert view.selected_rows() == [3, 5, 6, 7, 8]
    QTest.mouseClick(view.viewport(), LEFT, CONTROL, center(view, 0))
    assert view.selected_rows() == [0, 3, 5, 6, 7, 8]
    QTest.mouseClick(view.viewport(), LEFT, SHIFT, center(view, 2))
    assert view.selected_rows() == [0, 1, 2, 3, 5, 6, 7, 8]
    QTest.mouseClick(view.viewport(), LEFT, pos=center(view, 9))
    QTest.mouseClick(view.viewport(), LEFT, SHIFT, center(view, 6))
    assert view.selected_rows() == [6, 7, 8, 9]
    QTest.keyClick(view, Keys.Key_A, CONTROL)
    assert view.selected_rows() == list(range(23))


def test_click_beside_deselects(view):
    view.select_rows([1, 2])
    QTest.mouseClick(view.viewport(), LEFT, pos=QPoint(1, 1))
    assert view.selected_rows() == []


def test_rubber_band(view):
    show(view, 8)
    # From a gap: between the first two lines, left of the second column.
    first, last = row_rect(view, 1).bottomLeft(), row_rect(view, 7).center()
    band = drag(view, first + QPoint(-2, 2), last)
    assert band
    assert view.selected_rows() == [6, 7]
    assert not view.selection.band.isVisible()
    drag(view, row_rect(view, 7).center(), row_rect(view, 1).center())
    assert view.selected_rows() == [1, 2, 6, 7]


def test_selecting_with_the_mouse_is_told_once(view):
    show(view, 8)
    changes = []
    view.selection_changed.connect(lambda: changes.append(view.selected_rows()))
    view.select_rows([0])
    drag(view, row_rect(view, 7).center(), row_rect(view, 1).center())
    QTest.mouseClick(view.viewport(), LEFT, CONTROL, center(view, 1))
    view.select_rows([5])
    assert changes == [[0], [1, 2, 6, 7], [2, 6, 7], [5]]


def test_dragging_that_never_ends(view):
    changes = []
    view.selection_changed.connect(lambda: changes.append(view.selected_rows()))
    no_modifier = Qt.KeyboardModifier.NoModifier
    QTest.mousePress(view.viewport(), LEFT, no_modifier, center(view, 2))
    assert changes == []
    view.hide()
    assert changes == [[2]]
    view.show()
    QTest.mousePress(view.viewport(), LEFT, no_modifier, center(view, 3))
    show(view, 5)
    QTest.mouseRelease(view.viewport(), LEFT, no_modifier, center(view, 3))
    assert changes == [[2]]


def test_selected_rows_have_the_current_one(view):
    view.select_rows([5, 3, 9])
    assert current(view) == 3
    view.select_rows([])
    assert view.selected_rows() == []
    QTest.keyClick(view, Keys.Key_Right)
    assert current(view) == 4


def test_new_images_have_a_current_one_for_the_keys(view, until):
    view.activateWindow()
    view.setFocus()
    until(view.hasFocus)
    show(view, 10)
    assert current(view) == 0 and view.selected_rows() == []
    show(view, 0)
    assert current(view) == -1


def test_select_rows(view):
    show(view, 100_000)
    rows = [0, 1, 2, 99, 50_000, 99_999]
    view.select_rows(reversed(rows))
    assert view.selected_rows() == rows
    assert len(view.selectionModel().selection()) == 4
    view.selectAll()
    assert len(view.selected_rows()) == 100_000


def test_preview_is_requested(view):
    requested = []
    view.preview_requested.connect(lambda index: requested.append(index.row()))
    QTest.keyClick(view, Keys.Key_Space)
    assert requested == []
    set_current(view, 3)
    QTest.keyClick(view, Keys.Key_Space)
    QTest.keyClick(view, Keys.Key_Return)
    assert view.selected_rows() == [3]
    QTest.mouseDClick(view.viewport(), LEFT, pos=center(view, 6))
    assert requested == [3, 3, 6]
    QTest.mouseDClick(view.viewport(), LEFT, pos=QPoint(1, 1))
    assert requested == [3, 3, 6]


def wheel(view, turned, modifiers, place=QPointF(20, 20)):  # noqa: B008
    event = QWheelEvent(
        place,
        place,
        QPoint(),
        QPoint(0, turned),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view.viewport(), event)


def test_control_and_wheel_change_the_size(view):
    sizes = []
    view.scaled.connect(sizes.append)
    for turned in (120, -240, 50, 50, 50):
        wheel(view, turned, CONTROL)
    assert sizes == [116, 84, 100]
    QTest.keyClick(view, Keys.Key_Plus, CONTROL)
    QTest.keyClick(view, Keys.Key_Minus, CONTROL)
    assert sizes[3:] == [116, 100]
    view.verticalScrollBar().setValue(0)
    wheel(view, -120, Qt.KeyboardModifier.NoModifier)
    assert len(sizes) == 5
    assert view.verticalOffset() > 0
    for steps, end in ((100, 1024), (-100, 32)):
        view.zoom_by(steps)
        assert view.scale() == end


def test_zooming_keeps_the_image_under_the_mouse(view):
    show(view, 10_000)
    view.scrollTo(view.model().index(5000), view.ScrollHint.PositionAtTop)
    place = center(view, 5007)
    for turned in (120, 120, 120, -120, -120, -120):
        at = place + view.offset()
        row, _ = view.sheet_geometry.locate(at.x(), at.y())
        wheel(view, turned, CONTROL, QPointF(place))
        rect = view.visualRect(view.model().index(row))
        assert rect.top() - 5 <= place.y() <= rect.bottom() + 5


def test_typing_finds_a_title(view):
    show(view, 1000)
    QTest.keyClicks(view, "title99")
    assert current(view) == 0
    view.set_labels(1, lambda row: [f"row{row}"])
    view.keyboardSearch("")
    QTest.qWait(QApplication.keyboardInputInterval() + 50)
    QTest.keyClicks(view, "row99")
    assert current(view) == 99


def test_selection_is_painted(view):
    highlight = view.palette().color(
        QPalette.ColorGroup.Inactive, QPalette.ColorRole.Highlight
    )
    groups = (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive)
    highlights = {
        view.palette().color(group, QPalette.ColorRole.Highlight).rgb()
        for group in groups
    }
    corner = row_rect(view, 1).topLeft() + QPoint(8, 3)
    assert view.viewport().grab().toImage().pixel(corner) != highlight.rgb()
    view.select_rows([1])
    assert view.viewport().grab().toImage().pixel(corner) in highlights


def test_region_to_repaint_is_what_changed(view):
    view.select_rows([0, 1])
    region = view.visualRegionForSelection(view.selectionModel().selection())
    assert region.boundingRect() == row_rect(view, 0) | row_rect(view, 1)
    show(view, 100_000)
    view.selectAll()
    region = view.visualRegionForSelection(view.selectionModel().selection())
    assert QRect(view.viewport().rect()).contains(region.boundingRect())


def test_broken_images_are_painted(view, until):
    loader = view.model().loader
    before = view.viewport().grab().toImage()
    until(lambda: loader.get("23/0") and loader.idle)
    loader.cache.put(Thumbnail("23/0", (100, 100), error="file not found"))
    after = view.viewport().grab().toImage()
    assert after.copy(row_rect(view, 0)) != before.copy(row_rect(view, 0))


def test_new_images_start_at_the_top(view):
    view.select_rows([3])
    view.verticalScrollBar().setValue(50)
    show(view, 200)
    assert view.verticalOffset() == 0
    assert view.selected_rows() == []
    assert view.currentIndex() == QModelIndex()


def test_toggling_keeps_the_rest(view):
    view.select_rows([1, 2])
    flag = QItemSelectionModel.SelectionFlag.Toggle
    view.selectionModel().select(view.model().index(2), flag)
    assert view.selected_rows() == [1]


def test_menu_is_requested(view):
    requested = []
    view.menu_requested.connect(
        lambda index, place: requested.append(
            (index.row(), view.viewport().mapFromGlobal(place))
        )
    )
    set_current(view, 20)
    Reason = QContextMenuEvent.Reason
    for receiver, reason, place in (
        (view, Reason.Keyboard, QPoint(0, 0)),
        (view.viewport(), Reason.Mouse, center(view, 15)),
        (view.viewport(), Reason.Mouse, QPoint(0, 0)),
    ):
        at = receiver.mapToGlobal(place)
        QApplication.sendEvent(receiver, QContextMenuEvent(reason, place, at))
    assert [row for row, _ in requested] == [20, 15]
    assert view.currentIndex().row() == 15
    for row, place in requested:
        assert view.indexAt(place).row() == row


def test_tooltip_appears(view):
    place = center(view, 3)
    event = QHelpEvent(QEvent.Type.ToolTip, place, view.viewport().mapToGlobal(place))
    QApplication.sendEvent(view.viewport(), event)
    assert "title 3" in QToolTip.text() and "23/3" in QToolTip.text()
    QToolTip.hideText()
