import numpy as np
import pytest
from AnyQt.QtCore import QPoint, QRect
from AnyQt.QtGui import QColor, QImage, QPainter, QRegion
from PIL import Image

from orangecontrib.imageanalytics.widgets.sheet import sheetpainter
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.sheet.mosaic import MIN_FRAMED, tile_of
from orangecontrib.imageanalytics.widgets.sheet.selection import (
    ExtendedSelection,
    GroupSelection,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetpainter import SheetPainter
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
    to_qimage,
)

GREEN, RED, BLUE = (0, 255, 0), (255, 0, 0), (0, 0, 255)
EDGE = 60


def make_view(geometry, selection, count, size=(400, 300)):
    view = SheetView(geometry, selection)
    view.setModel(ThumbnailModel(ThumbnailLoader(view), view))
    view.model().set_images([str(row) for row in range(count)])
    view.resize(*size)
    view.grab()  # so that it has that size
    return view


@pytest.fixture
def flow():
    view = make_view(FlowGeometry(EDGE), ExtendedSelection, 4)
    yield view
    view.model().loader.close()


@pytest.fixture
def grid():
    view = make_view(GridGeometry(), GroupSelection, 4)
    yield view
    view.model().loader.close()


@pytest.fixture
def small():
    view = make_view(GridGeometry(), GroupSelection, 1_000)
    yield view
    view.model().loader.close()


def put(view, row, image):
    """Have an image shown as if it had been loaded."""
    shown = to_qimage(image)
    box = image.size
    thumbnail = Thumbnail(str(row), box, shown, box, tile=tile_of(image))
    view.model().loader.cache.put(thumbnail)
    view.model().loader.loaded.emit([thumbnail])


def plain(color, size=(EDGE, EDGE)):
    return Image.new("RGB", size, color)


def painted(view):
    return view.viewport().grab().toImage()


def cell(view, row):
    return view.visualRect(view.model().index(row))


def color_at(view, place):
    return painted(view).pixelColor(place).getRgb()[:3]


def share(view, row, color):
    """The part of a cell that has a colour."""
    image = painted(view).copy(cell(view, row))
    wanted = QColor(*color).rgb()
    pixels = [
        image.pixel(x, y) == wanted
        for x in range(image.width())
        for y in range(image.height())
    ]
    return np.mean(pixels)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_images_are_drawn_pixel_by_pixel(flow, ratio):
    edge = round(EDGE * ratio)
    noise = Image.effect_noise((edge, edge // 2), 100).convert("RGB")
    put(flow, 0, noise)
    canvas = QImage(flow.viewport().size() * ratio, QImage.Format.Format_RGB32)
    canvas.setDevicePixelRatio(ratio)
    painter = QPainter(canvas)
    SheetPainter(flow).paint(painter, QRegion(flow.viewport().rect()))
    painter.end()
    canvas.setDevicePixelRatio(1)
    left = round((cell(flow, 0).left() + 6) * ratio)
    top = round((cell(flow, 0).top() + 6) * ratio) + (edge - edge // 2 + 1) // 2
    shown = [
        canvas.copy(left, top + shift, edge, edge // 2) == to_qimage(noise)
        for shift in (-1, 0, 1)
    ]
    assert any(shown)


def test_images_of_another_size_are_scaled(flow):
    put(flow, 0, plain(GREEN, (20, 20)))
    inside = cell(flow, 0).adjusted(6, 6, -6, -6)
    assert share(flow, 0, GREEN) == pytest.approx(
        EDGE**2 / (cell(flow, 0).width() * cell(flow, 0).height()), rel=0.03
    )
    assert color_at(flow, inside.topLeft() + QPoint(1, 1)) == GREEN


def test_an_image_takes_nearly_the_whole_cell_of_a_grid(grid):
    put(grid, 0, plain(GREEN, (200, 150)))
    grid.sheet_geometry.set_cells(np.arange(4), 2, 2, 4 / 3)
    grid.relayout()
    assert share(grid, 0, GREEN) > 0.95
    grid.set_colors(np.array([RED] * 4, dtype=np.uint8))
    assert share(grid, 0, GREEN) > 0.9
    assert share(grid, 0, RED) > 0.005


def test_cropped_images_fill_their_cells(grid):
    put(grid, 0, plain(GREEN, (400, 50)))
    assert share(grid, 0, GREEN) < 0.5
    grid.set_crop(True)
    assert share(grid, 0, GREEN) > 0.95


def test_labels_are_drawn_below(flow):
    def below():
        rect = cell(flow, 0).adjusted(0, EDGE + 6, 0, 0)
        image = painted(flow).copy(rect)
        first = image.pixel(0, image.height() - 1)
        return any(
            image.pixel(x, y) != first
            for x in range(image.width())
            for y in range(image.height())
        )

    height = cell(flow, 0).height()
    flow.set_labels(1, lambda row: ["label"])
    line = flow.fontMetrics().height()
    assert cell(flow, 0).height() >= height + line
    assert below()
    flow.set_labels(2, lambda row: ["", ""])
    assert cell(flow, 0).height() >= height + 2 * line
    assert not below()


def test_small_images_have_no_labels(flow):
    flow.set_labels(3, lambda row: ["label"] * 3)
    flow.set_scale(40)
    assert cell(flow, 0).height() == cell(flow, 0).width()


def test_broken_and_coming_images_look_different(flow):
    coming = painted(flow).copy(cell(flow, 0))
    flow.model().loader.cache.put(Thumbnail("0", (60, 60), error="is a folder"))
    assert painted(flow).copy(cell(flow, 0)) != coming


@pytest.mark.parametrize("kind", ["flow", "grid"])
def test_selected_images_look_different(kind, request):
    view = request.getfixturevalue(kind)
    for row in range(2):
        put(view, row, plain(GREEN))
    before = painted(view)
    view.select_rows([0])
    after = painted(view)
    assert after.copy(cell(view, 0)) != before.copy(cell(view, 0))
    assert after.copy(cell(view, 1)) == before.copy(cell(view, 1))


@pytest.mark.parametrize("kind", ["flow", "grid"])
def test_frames_and_pale_images(kind, request):
    view = request.getfixturevalue(kind)
    for row in range(4):
        put(view, row, plain(GREEN))
    view.set_colors(np.array([RED, BLUE, RED, BLUE], dtype=np.uint8))
    assert share(view, 0, RED) > share(view, 0, BLUE) == 0
    assert share(view, 1, BLUE) > share(view, 1, RED) == 0
    # Frames are seen beside the mark of the selection.
    view.select_rows([0])
    assert share(view, 0, RED) > 0
    view.set_dimmed(np.array([True, False, False, False]))
    assert share(view, 0, GREEN) == share(view, 0, RED) == 0
    assert share(view, 1, GREEN) > 0.5
    view.set_dimmed(None)
    view.set_message("Please wait")
    assert share(view, 1, GREEN) == 0


def test_only_exposed_rows_are_touched(monkeypatch):
    counted = []

    def paint_cell(self, painter, row, *args):
        counted.append(row)

    monkeypatch.setattr(sheetpainter.SheetPainter, "_paint_cell", paint_cell)
    for geometry, selection in (
        (FlowGeometry(), ExtendedSelection),
        (GridGeometry(), GroupSelection),
    ):
        view = make_view(geometry, selection, 20_000)
        view.set_scale(100 if geometry.exact else 16)
        rects = []
        original = geometry.rects

        def rects_of(rows, original=original, rects=rects):
            rects.append(len(rows))
            return original(rows)

        monkeypatch.setattr(geometry, "rects", rects_of)
        painted(view)
        n_seen = (view.width() // geometry.steps[0] + 2) * (
            view.height() // geometry.steps[1] + 2
        )
        assert 0 < len(counted) <= n_seen
        assert sum(rects) <= len(counted) + 10
        counted.clear()
        # A single thumbnail that comes in
        row = int(view.visible_rows()[0])
        rects.clear()
        view.loading.on_loaded([Thumbnail(str(row), None)])
        assert rects == [1]
        view.viewport().render(
            QImage(view.size(), QImage.Format.Format_RGB32),
            QPoint(),
            QRegion(cell(view, row).adjusted(2, 2, -2, -2)),
        )
        assert counted == [row]
        counted.clear()
        view.model().loader.close()


def test_small_cells_are_painted_together(monkeypatch):
    monkeypatch.setattr(sheetpainter.SheetPainter, "_paint_cells", None)
    view = make_view(GridGeometry(), GroupSelection, 20_000, (500, 500))
    assert max(view.sheet_geometry.steps) < 6
    put(view, 17, plain(GREEN))
    assert color_at(view, cell(view, 17).center()) == GREEN
    view.set_colors(np.array([BLUE] * 20_000, dtype=np.uint8))
    assert color_at(view, cell(view, 17).center()) == BLUE
    view.select_rows([17])
    highlight = view.palette().highlight().color().getRgb()[:3]
    assert color_at(view, cell(view, 17).center()) == highlight
    view.set_dimmed(np.arange(20_000) == 18)
    assert color_at(view, cell(view, 18).center()) != BLUE
    assert color_at(view, cell(view, 19).center()) == BLUE
    view.set_message("Please wait")
    assert color_at(view, cell(view, 19).center()) != BLUE
    view.model().loader.close()


def test_selected_small_images_differ_from_those_of_a_like_color(small):
    assert min(small.sheet_geometry.steps) > MIN_FRAMED
    for row in (17, 18):
        put(small, row, plain(GREEN))
    highlight = small.palette().highlight().color().getRgb()[:3]
    small.set_colors(np.array([highlight] * 1_000, dtype=np.uint8))
    small.select_rows([17])
    assert color_at(small, cell(small, 18).center()) == GREEN
    mixed = np.add(GREEN, highlight) / 2
    seen = color_at(small, cell(small, 17).center())
    np.testing.assert_allclose(seen, mixed, atol=1)
    small.set_colors(None)
    assert color_at(small, cell(small, 17).center()) == GREEN


def test_a_part_of_a_mosaic_looks_like_the_whole():
    view = make_view(GridGeometry(), GroupSelection, 1_000, (300, 200))
    for row in range(0, 1000, 3):
        put(view, row, Image.effect_noise((32, 32), 90).convert("RGB"))
    view.set_scale(2.5)
    whole = painted(view)
    view.setFixedSize(view.size())
    for place in (QRect(0, 0, 50, 40), QRect(77, 33, 101, 55)):
        part = QImage(view.viewport().size(), QImage.Format.Format_RGB32)
        view.viewport().render(part, QPoint(), QRegion(place))
        size = place.size()
        assert part.copy(QRect(QPoint(), size)) == whole.copy(place).convertToFormat(
            part.format()
        )
    view.model().loader.close()
