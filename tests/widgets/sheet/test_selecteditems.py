from orangecontrib.imageanalytics.widgets.sheet.selecteditems import (
    places_of,
    selected_items,
)

CELLS = [("a", 0), ("b", 0), ("a", 1), ("c", 0)]


def test_there_and_back():
    for places in ([], [0], [2], [0, 2], [0, 1, 2, 3], [1, 3]):
        assert places_of(selected_items(CELLS, places), CELLS) == places


def test_all_equal_cells_are_one_item():
    assert selected_items(CELLS, [0, 2, 3]) == {"a", "c"}
    assert selected_items(CELLS, [2, 3]) == {("a", 1), "c"}
    # New cells that are equal are selected, too.
    assert places_of({"a"}, [*CELLS, ("a", 2)]) == [0, 2, 4]
