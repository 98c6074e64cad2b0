import pytest
from AnyQt.QtGui import QImage
from PIL import Image

from orangecontrib.imageanalytics.widgets.sheet import sheetloading, thumbnails
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.sheet.mosaic import tile_of
from orangecontrib.imageanalytics.widgets.sheet.selection import GroupSelection
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)

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
    return made


@pytest.fixture
def view(renders):
    """A grid of very small cells."""
    view = SheetView(GridGeometry(), GroupSelection)
    view.setModel(ThumbnailModel(ThumbnailLoader(view, 1), view))
    view.model().set_images([str(row) for row in range(COUNT)])
    view.resize(200, 200)
    view.show()
    yield view
    view.model().loader.close()


def test_very_many_are_loaded_bit_by_bit_and_once(view, renders, until):
    until(lambda: view.loading.mosaic.known.all())
    assert len(renders) == COUNT
    assert {box for _, box in renders} == {(32, 32)}
    # The loader keeps one image only, but the tiles of all are there.
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


def test_large_cells_are_loaded_in_few_sizes(view, renders, until):
    until(lambda: view.loading.mosaic.known.all())
    for scale in (8, 9, 12):
        renders.clear()
        view.set_scale(scale)
        until(lambda: renders and view.model().loader.idle)
        wanted = max(view.sheet_geometry.image_size()) * view.devicePixelRatioF()
        assert {box[0] for _, box in renders} <= set(sheetloading.EDGES)
        assert all(box[0] >= wanted for _, box in renders)
        # What is in sight comes before what is around.
        assert len(renders) >= len(view.visible_rows())
