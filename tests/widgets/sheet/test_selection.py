import numpy as np
import pytest
from AnyQt.QtCore import QItemSelectionModel, Qt
from AnyQt.QtTest import QTest

from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.sheet.selection import (
    ExtendedSelection,
    GroupSelection,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader

NO, SHIFT, CONTROL, ALT = (
    getattr(Qt.KeyboardModifier, f"{name}Modifier")
    for name in ("No", "Shift", "Control", "Alt")
)
COUNT = 20


def make_view(geometry, selection):
    view = SheetView(geometry, selection)
    view.setModel(ThumbnailModel(ThumbnailLoader(view), view))
    view.model().set_images([str(row) for row in range(COUNT)])
    view.resize(500, 400)
    view.show()
    view.changes = []
    view.selection_changed.connect(lambda: view.changes.append(view.selected_rows()))
    return view


@pytest.fixture
def flow():
    view = make_view(FlowGeometry(), ExtendedSelection)
    yield view
    view.model().loader.close()


@pytest.fixture
def grid():
    view = make_view(GridGeometry(), GroupSelection)
    yield view
    view.model().loader.close()


def test_groups(grid):
    groups = []
    for rows, modifiers in (
        ([1, 2], NO),
        ([3], SHIFT),
        ([4], CONTROL),
        ([4], CONTROL),
        ([1, 2], ALT),
        ([], NO),
    ):
        grid.select(rows, modifiers)
        groups.append(grid.selection.groups[:5].tolist())
    assert groups == [
        [0, 1, 1, 0, 0],
        [0, 1, 1, 2, 0],
        [0, 1, 1, 2, 2],
        [0, 1, 1, 2, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
    ]
    assert len(grid.changes) == 6
    grid.select([], NO)
    assert len(grid.changes) == 6


def test_groups_have_colours(grid):
    grid.select([1, 2], NO)
    assert len(grid.selection.colors()) == 2
    grid.select([3], SHIFT)
    colors = grid.selection.colors()
    assert colors[0] is None and len({color.rgb() for color in colors[1:]}) == 2
    assert grid.selection.marks(np.array([0, 3, 2])).tolist() == [0, 2, 1]


def test_rows_are_selected_as_a_click_on_them_would(flow):
    selected = []
    for rows, modifiers in (
        ([1, 2, 5], NO),
        ([3, 1], NO),
        ([4, 5], SHIFT),
        ([4, 9], CONTROL),
        ([4, 9], CONTROL),
        ([], NO),
    ):
        flow.select(rows, modifiers)
        selected.append(flow.selected_rows())
    assert selected == [[1, 2, 5], [1, 3], [1, 3, 4, 5], [1, 3, 4, 5, 9], [1, 3, 5], []]
    assert flow.changes == selected
    assert flow.selection.marks(np.array([1, 3])).tolist() == [0, 0]


def test_hidden_rows_are_not_selected_by_shift(flow):
    flow.set_sections(["a", "b", "c"], [5, 5, 10], [False, True, False])
    flow.setCurrentIndex(flow.model().index(3))
    place = flow.visualRect(flow.model().index(11)).center()
    QTest.mouseClick(flow.viewport(), Qt.MouseButton.LeftButton, SHIFT, place)
    assert flow.selected_rows() == [3, 4, 10, 11]
    flow.selectAll()
    assert len(flow.selected_rows()) == COUNT


@pytest.mark.parametrize("selected, after", [([0], [1]), ([2], [2]), ([], [])])
def test_following(flow, selected, after):
    flow.select_rows(selected)
    flag = QItemSelectionModel.SelectionFlag.NoUpdate
    flow.selectionModel().setCurrentIndex(flow.model().index(0), flag)
    assert flow.move_current(Qt.Key.Key_Right)
    assert flow.selected_rows() == after
    assert flow.move_current(flow.CursorAction.MoveLeft)
    assert flow.currentIndex().row() == 0
    assert not flow.move_current(Qt.Key.Key_A)


def test_following_leaves_groups(grid):
    grid.select([4], NO)
    assert grid.move_current(Qt.Key.Key_End)
    assert grid.currentIndex().row() == COUNT - 1
    assert grid.selected_rows() == [4]


def test_new_rows_are_not_selected(flow, grid):
    for view in (flow, grid):
        view.select_rows([3, 4])
        view.model().set_images(["a", "b", "c", "d", "e", "f"])
        assert view.selected_rows() == []
        assert len(view.selection.marks(np.arange(6))) == 6
