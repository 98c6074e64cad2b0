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


def twin_labels(
    twins: Twins, rows: np.ndarray, sources: Sequence[str | None]
) -> Labels:
    """The name, and the size with the distance to the image that is kept."""

    def labels(place: int) -> tuple[str, str]:
        row = int(rows[place])
        return file_name(sources[row] or ""), about(twins, row)

    return labels


def about(twins: Twins, row: int) -> str:
    """The size of a twin, and how far it is from the one that is kept."""
    size = tuple(twins.sizes[row].tolist())
    parts = [readable_pixels(size)] if all(size) else []
    if not twins.kept[row] and np.isfinite(twins.distances[row]):
        parts.append(f"distance {twins.distances[row]:.2f}")
    return ", ".join(parts)


def headings(twins: Twins) -> list[str]:
    """What is written above the groups."""
    return [f"Group {number}" for number in range(1, twins.n_groups + 1)]
