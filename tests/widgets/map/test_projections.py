"""Columns that are recognised as places on a plane."""

import pytest
from Orange.data import ContinuousVariable

from orangecontrib.imageanalytics.widgets.map.projections import (
    projections,
    proposed_axes,
)


def names(pairs):
    return [(x.name, y.name) for x, y in pairs]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["n0", "t-SNE-y", "t-SNE-x"], [("t-SNE-x", "t-SNE-y")]),
        (["mds-x", "mds-y"], [("mds-x", "mds-y")]),
        (["t-SNE-x (1)", "t-SNE-y (1)"], [("t-SNE-x (1)", "t-SNE-y (1)")]),
        (["PC1", "PC2", "PC3"], [("PC1", "PC2")]),
        (["C0", "C1", "C2"], [("C0", "C1")]),
        (["Component 1", "Component 2"], [("Component 1", "Component 2")]),
        (["n0", "n1", "n2"], []),
        (["max-x", "min-y"], []),
        (["PC1"], []),
        (["width", "height", "PC", "x", "y"], []),
        # The last ones were computed last.
        (
            ["PC1", "PC2", "mds-x", "mds-y", "t-SNE-x", "t-SNE-y"],
            [("t-SNE-x", "t-SNE-y"), ("mds-x", "mds-y"), ("PC1", "PC2")],
        ),
    ],
)
def test_projections(columns, expected):
    assert names(projections([ContinuousVariable(name) for name in columns])) == (
        expected
    )


def test_names_that_orange_gives():
    """They are written in Orange's widgets."""
    from Orange.widgets.unsupervised.owmds import OWMDS
    from Orange.widgets.unsupervised.owtsne import OWtSNE

    for widget in (OWMDS, OWtSNE):
        columns = widget.embedding_variables_names
        variables = [ContinuousVariable(name) for name in columns]
        assert names(projections(variables)) == [columns]


def test_proposed_axes():
    n0, n1, pc1, pc2 = map(ContinuousVariable, ("n0", "n1", "PC1", "PC2"))
    assert proposed_axes([n0, n1, pc1, pc2]) == (pc1, pc2)
    assert proposed_axes([n0, n1]) == (n0, n1)
    assert proposed_axes([n0]) is None
    assert proposed_axes([]) is None
