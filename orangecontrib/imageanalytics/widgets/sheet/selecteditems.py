"""A selection of images by what their cells say, so that it outlives their rows.

Rows come and go while images stay. A selected item is what a cell holds or, if some of
several equal cells are selected, (what it holds, how many like it come before).
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from Orange.data import Table, Variable

Cell = tuple[str, int]
Item = str | Cell


def numbered_cells(
    data: Table | None, column: Variable | None, rows: Sequence[int]
) -> dict[int, Cell]:
    """
    What cells hold.

    Parameters
    ----------
    data : Table or None
        The table; there may be none if there are no rows.
    column : Variable or None
        The column of images.
    rows : sequence of int
        Rows of the table, in its order.

    Returns
    -------
    dict of int to (str, int)
        For each row what its cell holds, and how many like it come before.
    """
    if not rows:
        return {}
    seen: Counter[str] = Counter()
    values, cells = data.get_column(column), {}
    for row in rows:
        text = column.str_val(values[row])
        cells[row] = text, seen[text]
        seen[text] += 1
    return cells


def selected_items(cells: Sequence[Cell], places: Iterable[int]) -> set[Item]:
    """The items that stand for the cells at some places."""
    chosen = [cells[place] for place in places]
    present = Counter(text for text, _ in cells)
    selected = Counter(text for text, _ in chosen)
    return {
        cell[0] if selected[cell[0]] == present[cell[0]] else cell for cell in chosen
    }


def places_of(items: set[Item], cells: Sequence[Cell]) -> list[int]:
    """The places of the cells that items stand for."""
    # A text alone stands for all that are like it.
    return [
        place for place, cell in enumerate(cells) if cell[0] in items or cell in items
    ]
