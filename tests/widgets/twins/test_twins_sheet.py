"""What is written and drawn for twins."""

import numpy as np
import pytest

from orangecontrib.imageanalytics.twins import Twins
from orangecontrib.imageanalytics.widgets.twins.twins_sheet import (
    N_LABELS,
    distance,
    headings,
    kept_coloring,
    size,
    twin_labels,
)

SIZE = "40 × 30"  # noqa: RUF001


@pytest.fixture
def twins():
    """The rows 0, 2 and 3 are twins; 3 cannot be compared to the largest, 2."""
    return Twins(
        groups=np.array([1, 0, 1, 1]),
        largest=np.array([2, 1, 2, 2]),
        distances=np.array([0.456, 0, 0, np.inf]),
        sizes=np.array([[20, 15], [0, 0], [40, 30], [0, 0]]),
        threshold=1.0,
    )


def test_size(twins):
    assert size(twins, 2) == SIZE
    assert size(twins, 3) == ""


def test_distance(twins):
    texts = [distance(twins, row) for row in (0, 2, 3)]
    assert texts == ["0.46", "kept", ""]


def test_labels(twins):
    sources = ["/photos/a.jpg", None, "http://server/b%20c.png", None]
    labels = twin_labels(twins, np.array([2, 0, 3]), sources)
    assert labels(0) == ("b c.png", SIZE, "kept")
    assert labels(1) == ("a.jpg", size(twins, 0), "distance 0.46")
    assert labels(2) == ("", "", "")
    assert len(labels(0)) == N_LABELS


def test_colors_tell_what_is_kept(twins):
    coloring = kept_coloring(twins, np.array([2, 0, 3]))
    assert coloring.variable.values == ("kept", "left out")
    assert coloring.indices.tolist() == [0, 1, 1]
    assert len({tuple(color) for color in coloring.variable.colors}) == 2


def test_headings(twins):
    assert headings(twins) == ["Group 1"]
