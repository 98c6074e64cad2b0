"""What Twins shows: groups with the image that is kept first."""

from collections.abc import Sequence

import numpy as np
from Orange.data import DiscreteVariable

from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.twins import Twins
from orangecontrib.imageanalytics.widgets.sheet.coloring import Coloring
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    Labels,
    readable_pixels,
)

KEPT, LEFT_OUT = 0, 1
# Told apart by all eyes, on light and dark backgrounds.
_COLORS = [[0, 114, 178], [150, 150, 150]]


def kept_coloring(twins: Twins, rows: np.ndarray) -> Coloring:
    """Frames that say which rows are kept in the table without twins."""
    variable = DiscreteVariable("Without Twins", ["kept", "left out"])
    variable.colors = np.array(_COLORS, dtype=np.uint8)
    return Coloring(variable, np.where(twins.kept[rows], KEPT, LEFT_OUT))


#: How many `twin_labels` there are.
N_LABELS = 3


def twin_labels(
    twins: Twins, rows: np.ndarray, sources: Sequence[str | None]
) -> Labels:
    """The name, the size, and the distance to the image that is kept."""

    def labels(place: int) -> tuple[str, str, str]:
        row = int(rows[place])
        name = file_name(sources[row] or "")
        return name, size(twins, row), _distance_label(twins, row)

    return labels


def size(twins: Twins, row: int) -> str:
    """Width and height of a twin; empty if they are not known."""
    known = tuple(twins.sizes[row].tolist())
    return readable_pixels(known) if all(known) else ""


def distance(twins: Twins, row: int) -> str:
    """How far a twin is from the one that is kept, or that it is this one."""
    if twins.kept[row]:
        return "kept"
    number = twins.distances[row]
    return f"{number:.2f}" if np.isfinite(number) else ""


def _distance_label(twins: Twins, row: int) -> str:
    """The same for a place where nothing else says what the number is."""
    text = distance(twins, row)
    return text if twins.kept[row] or not text else f"distance {text}"


def headings(twins: Twins) -> list[str]:
    """What is written above the groups."""
    return [f"Group {number}" for number in range(1, twins.n_groups + 1)]
