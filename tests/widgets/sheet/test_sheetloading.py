from collections.abc import Sequence

import pytest
from AnyQt.QtGui import QImage
from PIL import Image

from orangecontrib.imageanalytics.widgets.sheet import sheetloading, thumbnails
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.sheet.mosaic import tile_of
from orangecontrib.imageanalytics.widgets.sheet.selection import (
    ExtendedSelection,
    GroupSelection,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetpainter import (
    SheetPainter,
    is_mosaic,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailCache,
    ThumbnailLoader,
)
from orangecontrib.imageanalytics.widgets.utils.jobs import Workers

COUNT = 600


@pytest.fixture
def renders(monkeypatch):
    """What was rendered, and in which box; nothing is read."""
    made = []
    tile = tile_of(Image.new("RGB", (16, 16), (0, 255, 0)))

    def render(source, content, box, intensity):
        made.append((source, box))
        image = QImage(*box, QImage.Format.Format_RGB32)
        return Thumbnail(source, box, image, (640, 640), tile=tile)

    monkeypatch.setattr(thumbnails, "render", render)
    monkeypatch.setattr(sheetloading, "MAX_REQUEST", 100)
    monkeypatch.setattr(sheetloading, "MAX_EXAMINED", 30)
    return made


@pytest.fixture
def make_view(renders):
    """A function that makes a grid of square cells of 8 points, which are very small.

    It takes the memory for thumbnails.
    """
    loaders = []

    def make(cache_bytes):
        view = SheetView(GridGeometry(), GroupSelection)
        loaders.append(ThumbnailLoader(view, cache_bytes))
        view.setModel(ThumbnailModel(loaders[-1], view))
        view.model().set_images([str(row) for row in range(COUNT)])
        view.resize(200, 200)
        view.show()
        return view

    yield make
    for loader in loaders:
        loader.close()


@pytest.fixture
def view(make_view):
    """A view that keeps one image only, but the tiles of all."""
    return make_view(1)


def room_for(count, edge):
    """Memory for so many thumbnails."""
    return count * (thumbnails.ENTRY_BYTES + 4 * edge * edge)


def enlarge(view, scale):
    """Zoom without scrolling: the window grows with the cells."""
    view.resize(200 * scale, 200 * scale)
    assert not is_mosaic(view.sheet_geometry, view.devicePixelRatioF())
    assert len(view.visible_rows()) == COUNT


def has_settled(view):
    """Whether nothing will be loaded any more."""
    loading = view.loading
    return not (loading._timer.isActive() or loading._rest) and view.model().loader.idle


def current_rows(view):
    """Rows with a thumbnail in the size that was requested last."""
    is_current, box = view.model().is_current, view.loading._box
    return [row for row in range(COUNT) if is_current(row, box)]


def test_very_many_are_loaded_bit_by_bit_and_once(view, renders, until):
    until(lambda: view.loading.mosaic.known.all())
    assert len(renders) == COUNT
    assert {box for _, box in renders} == {(32, 32)}
    view.set_scale(1.3)
    view.set_scale(1.0)
    view.loading.start()
    until(lambda: not view.loading._timer.isActive() and view.model().loader.idle)
    assert len(renders) == COUNT


def test_no_more_is_asked_for_at_once(view, renders, until, monkeypatch):
    asked = []
    request = view.model().request
    monkeypatch.setattr(
        view.model(),
        "request",
        lambda rows, box: asked.append(rows) or request(rows, box),
    )
    until(lambda: view.loading.mosaic.known.all())
    assert asked and max(map(len, asked)) <= 100


def test_large_cells_are_loaded_in_few_sizes(make_view, renders, until):
    view = make_view(thumbnails.CACHE_BYTES)
    until(lambda: view.loading.mosaic.known.all())
    for scale in (8, 9, 12):
        view.model().loader.clear()
        renders.clear()
        view.set_scale(scale)
        until(lambda: renders and view.model().loader.idle)
        wanted = max(view.sheet_geometry.image_size()) * view.devicePixelRatioF()
        assert {box[0] for _, box in renders} <= set(sheetloading.EDGES)
        assert all(box[0] >= wanted for _, box in renders)
        # What is in sight comes before what is around.
        assert len(renders) >= len(view.visible_rows())


def test_it_goes_on_if_the_last_images_come_before_the_threads_are_idle(
    view, until, monkeypatch
):
    idle = Workers.idle.fget
    results = view.model().loader._work.results
    monkeypatch.setattr(
        Workers, "idle", property(lambda self: not results and idle(self))
    )
    until(lambda: view.loading.mosaic.known.all())


def test_of_many_images_in_sight_all_are_loaded_and_once(make_view, renders, until):
    view = make_view(thumbnails.CACHE_BYTES)
    enlarge(view, 4)
    until(lambda: len(current_rows(view)) == COUNT and has_settled(view))
    assert len(renders) == COUNT
    view.loading.start()
    until(lambda: has_settled(view))
    assert len(renders) == COUNT


def test_what_is_around_is_loaded_after_what_is_in_sight(make_view, renders, until):
    view = make_view(thumbnails.CACHE_BYTES)
    view.set_scale(4)
    view.resize(400, 400)
    until(lambda: renders and has_settled(view))
    n_visible = len(view.visible_rows())
    assert n_visible > sheetloading.MAX_EXAMINED
    around = view.rows_in(view.viewport().rect().adjusted(-200, -400, 200, 400))
    assert n_visible < len(around) < COUNT
    assert set(around) == set(current_rows(view))


def test_too_little_memory_for_what_is_in_sight(make_view, renders, until):
    view = make_view(room_for(250, 32))
    view.resize(800, 800)
    until(lambda: renders and has_settled(view))
    for _ in range(3):
        view.loading.start()
        until(lambda: has_settled(view))
    assert sorted(int(source) for source, _ in renders) == current_rows(view)
    assert len(renders) == 250


def test_with_little_memory_all_in_sight_are_loaded_smaller(make_view, until):
    view = make_view(room_for(COUNT, 64))
    view.resize(1800, 1800)
    assert min(view.sheet_geometry.image_size()) * view.devicePixelRatioF() > 64
    until(lambda: len(current_rows(view)) == COUNT and has_settled(view))
    assert view.loading._box == (64, 64)


def test_what_is_around_does_not_drive_out_what_is_in_sight(make_view, renders, until):
    view = make_view(thumbnails.CACHE_BYTES)
    view.set_scale(4)
    view.resize(400, 400)
    n_visible = len(view.visible_rows())
    view.model().loader.cache = ThumbnailCache(room_for(n_visible + 10, 64))
    until(lambda: renders and has_settled(view))
    assert set(view.visible_rows()) < set(current_rows(view))
    assert len(renders) <= n_visible + 10


def test_small_images_that_may_have_changed_are_loaded_again(make_view, renders, until):
    view = make_view(thumbnails.CACHE_BYTES)
    until(lambda: view.loading.mosaic.known.all() and has_settled(view))
    loader, sources = view.model().loader, [str(row) for row in range(COUNT)]
    view.model().set_images(sources)
    until(lambda: view.loading.mosaic.known.all() and has_settled(view))
    assert len(renders) == COUNT
    loader.refresh()
    view.model().set_images(sources)
    until(lambda: len(renders) == 2 * COUNT and has_settled(view))


def test_zooming_out_paints_what_was_loaded(make_view, renders, until, monkeypatch):
    view = make_view(thumbnails.CACHE_BYTES)
    until(lambda: view.loading.mosaic.known.all() and has_settled(view))
    enlarge(view, 4)
    view.model().set_images([str(row) for row in range(COUNT)])
    until(lambda: len(current_rows(view)) == COUNT and has_settled(view))
    assert not view.loading.mosaic.known.any()
    renders.clear()
    known = []
    paint = SheetPainter.paint

    def noting_paint(self, painter, exposed):
        known.append(view.loading.mosaic.known.all())
        paint(self, painter, exposed)

    monkeypatch.setattr(SheetPainter, "paint", noting_paint)
    view.resize(200, 200)
    until(lambda: known and known[-1])
    assert not renders


class CountedSources(Sequence):
    """Very many images, of which each is there twice; counts how often it is asked."""

    n_asked = 0

    def __len__(self):
        return 100_000

    def __getitem__(self, row):
        self.n_asked += 1
        return str(range(len(self))[row] // 2)


def test_of_very_many_only_those_in_sight_are_looked_at(renders, until, monkeypatch):
    view = SheetView(FlowGeometry(64), ExtendedSelection)
    loader = ThumbnailLoader(view, 10**8)
    view.setModel(ThumbnailModel(loader, view))
    painted, paint = set(), view.loading._paint

    def spy(rows):
        painted.update(rows.tolist())
        paint(rows)

    monkeypatch.setattr(view.loading, "_paint", spy)
    sources = CountedSources()
    view.model().set_images(sources)
    view.resize(400, 300)
    view.show()
    try:
        until(lambda: renders and has_settled(view))
        shown = view.visible_rows()
        assert len(shown) > 4
        assert painted.issuperset(shown)
        assert sources.n_asked < len(sources)
    finally:
        loader.close()
