import numpy as np
import pytest
from Orange.data import ContinuousVariable, DiscreteVariable

from orangecontrib.imageanalytics.contact_sheet import Key
from orangecontrib.imageanalytics.widgets.sheet.coloring import Coloring
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.sheet.selection import (
    ExtendedSelection,
    GroupSelection,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetcontents import contact_sheet
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader

SOURCES = [f"/photos/{number}.png" for number in range(6)]


@pytest.fixture
def make_view():
    """A function that makes a view of six images with two labels each."""
    views = []

    def make(geometry, selection, before=lambda geometry: None):
        view = SheetView(geometry, selection)
        view.setModel(ThumbnailModel(ThumbnailLoader(view), view))
        view.resize(600, 400)
        before(geometry)
        view.model().set_images(SOURCES, intensity="full")
        view.set_labels(2, lambda row: [f"label {row}", "second"])
        views.append(view)
        return view

    yield make
    for view in views:
        view.model().loader.close()
        view.deleteLater()


def test_all_images_with_labels(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    sheet = contact_sheet(view, "Title")
    assert (sheet.title, sheet.columns, sheet.legend) == ("Title", None, [])
    assert [entry.source for entry in sheet.entries] == SOURCES
    assert sheet.entries[3].lines == ("label 3", "second")
    assert {(entry.color, entry.group) for entry in sheet.entries} == {("", None)}
    assert (sheet.edge, sheet.crop, sheet.intensity) == (120, False, "full")


def test_headings_that_are_collapsed_are_left_out(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    view.set_sections(["a", "b", "c"], [1, 2, 3], [False, True, False])
    sheet = contact_sheet(view, "Title")
    found = [(entry.source, entry.group) for entry in sheet.entries]
    assert found == [(SOURCES[0], "a"), *((source, "c") for source in SOURCES[3:])]


def test_a_grid_keeps_its_cells(make_view):
    cells = np.array([0, 1, 2, 5, 6, 7])
    view = make_view(
        GridGeometry(),
        GroupSelection,
        lambda geometry: geometry.set_cells(cells, 4, 2),
    )
    view.set_crop(True)
    sheet = contact_sheet(view, "Title")
    assert sheet.columns == 4 and sheet.crop
    assert sheet.lines(range(6), 0) == [[0, 1, 2, None], [None, 3, 4, 5]]


def test_colours_of_values_with_counts(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    variable = DiscreteVariable("kind", ("cat", "dog", "fox"))
    coloring = Coloring(variable, np.array([1, 0, 1, 1, np.nan, 0]))
    view.set_colors(coloring.rgb)
    sheet = contact_sheet(view, "Title", coloring)
    cat, dog, missing = sheet.legend
    assert sheet.legend_title == "kind"
    assert [str(key) for key in sheet.legend] == ["cat (2)", "dog (3)", "(missing) (1)"]
    colors = [entry.color for entry in sheet.entries]
    expected = [dog, cat, dog, dog, missing, cat]
    assert colors == [key.color for key in expected]
    assert cat.color == coloring.color_of(0).name()


def test_counts_are_of_what_is_on_the_sheet(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    coloring = Coloring(DiscreteVariable("kind", ("cat", "dog")), [0, 0, 0, 1, 1, 1])
    view.set_sections(["a", "b"], [2, 4], [True, False])
    sheet = contact_sheet(view, "Title", coloring)
    assert [str(key) for key in sheet.legend] == ["cat (1)", "dog (3)"]


def test_shades_of_a_numeric_variable(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    values = np.array([0, 1, 2, 3, 4, np.nan])
    coloring = Coloring(ContinuousVariable("size", number_of_decimals=1), values)
    view.set_colors(coloring.rgb)
    sheet = contact_sheet(view, "Title", coloring)
    assert [str(key) for key in sheet.legend] == [
        "0.0",
        "1.0",
        "2.0",
        "3.0",
        "4.0",
        "(missing) (1)",
    ]
    assert [key.color for key in sheet.legend] == [
        entry.color for entry in sheet.entries
    ]


def test_a_numeric_variable_with_one_value_or_none(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    variable = ContinuousVariable("size", number_of_decimals=0)
    one = contact_sheet(view, "", Coloring(variable, [3.0] * 6))
    assert [str(key) for key in one.legend] == ["3"]
    none = contact_sheet(view, "", Coloring(variable, [np.nan] * 6))
    assert none.legend == [Key("(missing)", none.legend[0].color, 6)]


def test_without_images_there_is_no_sheet(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    view.set_sections(["a"], [6], [True])
    assert contact_sheet(view, "Title") is None
    view.model().set_images([])
    assert contact_sheet(view, "Title") is None


@pytest.mark.parametrize("edge, expected", [(32, 48), (200, 200), (1024, 400)])
def test_size_is_within_limits(make_view, edge, expected):
    view = make_view(FlowGeometry(edge), ExtendedSelection)
    assert contact_sheet(view, "Title").edge == expected


def test_labels_are_short(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    view.set_labels(2, lambda row: ["x" * 10**6, "data:image/png;base64,AAAA"])
    long, data = contact_sheet(view, "Title").entries[0].lines
    assert len(long) < 1000
    assert data == "data:image/png;base64,…"


def test_legend_of_the_largest_numbers(make_view):
    view = make_view(FlowGeometry(120), ExtendedSelection)
    values = [-1.7e308, 1.7e308, 0, 0, 0, np.inf]
    coloring = Coloring(ContinuousVariable("x"), values)
    view.set_colors(coloring.rgb)
    legend = contact_sheet(view, "Title", coloring).legend
    assert len({key.color for key in legend[:-1]}) == 5
    assert legend[-1] == Key("(missing)", coloring.color_of(-1).name(), 1)
