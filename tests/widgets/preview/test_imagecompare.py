import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from PIL import Image

from orangecontrib.imageanalytics.widgets.preview import imagecanvas
from orangecontrib.imageanalytics.widgets.preview.imagecompare import ImageCompare
from orangecontrib.imageanalytics.widgets.preview.rowdetails import VECTOR, Detail
from orangecontrib.imageanalytics.widgets.preview.zoomedview import WHOLE
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader

Keys = Qt.Key


def details(row):
    return [
        Detail("Class", "kind", "cat" if row < 2 else "dog"),
        Detail("Metas", "same", "1"),
        Detail(VECTOR, "n0", str(row)),
    ]


@pytest.fixture
def view(tmp_path):
    """Five images of different sizes and one that is not there."""
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names[:5]):
        Image.new("RGB", (400 + 100 * number, 300)).save(tmp_path / name)
    view = SheetView(FlowGeometry(100), ExtendedSelection)
    view.resize(400, 300)
    view.setModel(ThumbnailModel(ThumbnailLoader(view), view))
    view.model().set_images([str(tmp_path / name) for name in names])
    view.model().set_details(details)
    view.show()
    yield view
    view.model().loader.close()
    view.hide()


@pytest.fixture
def compare(view):
    compare = ImageCompare(view)
    compare.resize(900, 600)
    yield compare
    compare.shutdown()


def opened(compare, rows, until):
    compare._view.select_rows(rows)
    compare.open()
    until(lambda: compare.idle)


def lines(compare):
    """Names and values in the table, as they are shown."""
    table = compare.table
    return {
        table.verticalHeaderItem(row).text(): [
            table.item(row, column).text() for column in range(table.columnCount())
        ]
        for row in range(table.rowCount())
    }


@pytest.mark.parametrize(
    "rows, can",
    [
        ([], False),
        ([1], False),
        ([1, 2], True),
        ([0, 1, 2, 3], True),
        ([0, 1, 2, 3, 4], False),
    ],
)
def test_two_to_four(compare, view, until, rows, can):
    view.select_rows(rows)
    assert compare.can_open() is can
    QTest.keyClick(view, Keys.Key_C)
    assert compare.isVisible() is can
    if can:
        until(lambda: compare.idle)
        assert len(compare.panes) == len(rows)
        assert [pane.isVisible() for pane in compare.panes] == [True] * len(rows)
        assert compare.windowTitle() == f"Comparing {len(rows)} images"
    compare.close()
    compare.open()
    assert compare.isVisible() is can


def test_each_image_with_its_name(compare, until):
    opened(compare, [0, 3], until)
    assert [pane.texts()[0] for pane in compare.panes] == ["1  0.png", "2  3.png"]
    assert compare.panes[1].texts()[1].startswith("700 × 300")  # noqa: RUF001
    assert all(pane.canvas.thumbnail().image is not None for pane in compare.panes)


def test_differing_values_are_marked(compare, until):
    opened(compare, [0, 2], until)
    listed = lines(compare)
    assert listed["≠  kind"] == ["cat", "dog"]
    assert listed["=  same"] == ["1", "1"]
    assert listed["≠  Name"] == ["0.png", "2.png"]
    assert not any("n0" in name for name in listed)
    table = compare.table
    marked = {
        table.verticalHeaderItem(row).text(): table.item(row, 0).font().bold()
        for row in range(table.rowCount())
    }
    assert marked["≠  kind"] and not marked["=  same"]
    n_differing = sum(marked.values())
    assert compare.bar.texts()[0] == f"{n_differing} of {len(listed)} values differ"
    QTest.keyClick(compare, Keys.Key_D)
    assert set(lines(compare)) == {name for name, differs in marked.items() if differs}
    QTest.keyClick(compare, Keys.Key_D)
    assert lines(compare) == listed


def test_details_are_toggled(compare, until):
    opened(compare, [0, 1], until)
    assert compare.table.isVisible()
    QTest.keyClick(compare, Keys.Key_I)
    assert not compare.table.isVisible()
    QTest.keyClick(compare, Keys.Key_I)
    assert compare.table.isVisible()


def test_zoom_and_place_are_linked(compare, until):
    opened(compare, [0, 1, 2], until)
    canvases = [pane.canvas for pane in compare.panes]
    canvases[1].zoom_by(3.0)
    fits = [canvas.zoom() / 3 for canvas in canvases]
    assert len({canvas.view() for canvas in canvases}) == 1
    QTest.keyClick(compare, Keys.Key_Plus)
    assert [canvas.zoom() for canvas in canvases] == pytest.approx(
        [3 * imagecanvas.ZOOM_STEP * fit for fit in fits]
    )
    QTest.keyClick(compare, Keys.Key_1)
    assert [canvas.zoom() for canvas in canvases] == [1, 1, 1]
    QTest.keyClick(compare, Keys.Key_Plus)
    QTest.keyClick(compare, Keys.Key_Plus)
    QTest.keyClick(compare, Keys.Key_Right)
    x = canvases[0].view().center[0]
    assert x > 0.5
    until(lambda: compare.idle)
    assert all(canvas.thumbnail().box is None for canvas in canvases)
    QTest.keyClick(compare, Keys.Key_0)
    assert {canvas.view() for canvas in canvases} == {WHOLE}


def test_images_zoomed_before_they_are_loaded(compare, view, until):
    view.select_rows([0, 1])
    compare.open()
    until(lambda: compare.panes[0].canvas.size_in_pixels() is not None)
    QTest.keyClick(compare, Keys.Key_1)
    until(lambda: compare.idle)
    images = [pane.canvas.thumbnail() for pane in compare.panes]
    assert [image.image.width() for image in images] == [400, 500]


def test_one_that_cannot_be_read_does_not_stop_the_others(compare, until):
    opened(compare, [0, 5], until)
    assert compare.panes[1].canvas.thumbnail().error == "file not found"
    assert lines(compare)["≠  Cannot be shown"] == ["", "file not found"]
    QTest.keyClick(compare, Keys.Key_1)
    until(lambda: compare.idle)
    assert compare.panes[0].canvas.zoom() == 1
    assert not compare.grab().isNull()


def test_closes(compare, view, until):
    for closing in (
        lambda: QTest.keyClick(compare, Keys.Key_Escape),
        lambda: QTest.keyClick(compare, Keys.Key_Space),
        view.hide,
        lambda: view.model().set_images([]),
    ):
        view.show()
        opened(compare, [0, 1], until)
        assert compare.isVisible()
        closing()
        assert not compare.isVisible()


def test_closing_frees_the_memory(compare, until):
    opened(compare, [0, 1], until)
    assert all(pane.loader.cache.n_bytes > 10_000 for pane in compare.panes)
    compare.close()
    assert all(pane.loader.cache.n_bytes == 0 for pane in compare.panes)


def test_places(compare, until):
    """Wide windows have the images in a line, high ones have them in several."""
    opened(compare, [0, 1, 2, 3], until)
    compare.table.hide()

    def n_lines():
        return len({pane.y() for pane in compare.panes})

    for size, expected in (((1600, 300), 1), ((900, 700), 2), ((300, 1400), 4)):
        compare.resize(*size)
        until(lambda expected=expected: n_lines() == expected)
