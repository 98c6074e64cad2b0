"""Colours of rows by a variable."""

import numpy as np
import pytest
from AnyQt.QtGui import QColor
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
    TimeVariable,
)
from Orange.widgets.utils.colorpalettes import NAN_COLOR, ContinuousPalettes

from orangecontrib.imageanalytics.widgets.sheet.coloring import (
    MISSING,
    Coloring,
    row_coloring,
)

KIND = DiscreteVariable("kind", values=["a", "b", "c"])


def test_values_have_the_colors_of_their_variable():
    variable = DiscreteVariable("kind", values=["a", "b"])
    variable.colors = np.array([[1, 2, 3], [200, 100, 50]])
    coloring = Coloring(variable, [1, 0, np.nan, 1])
    expected = [[200, 100, 50], [1, 2, 3], NAN_COLOR, [200, 100, 50]]
    assert coloring.rgb.tolist() == [list(color) for color in expected]
    assert coloring.indices.tolist() == [1, 0, MISSING, 1]
    assert coloring.qcolors() == [QColor(*color) for color in expected]
    assert coloring.color_of(0) == QColor(1, 2, 3)
    assert coloring.color_of(MISSING) == QColor(*NAN_COLOR)
    assert coloring.rows_of(1).tolist() == [0, 3]
    assert coloring.rows_of(MISSING).tolist() == [2]


def test_a_palette_with_too_few_colors_for_all_values():
    values = [str(number) for number in range(300)]
    variable = DiscreteVariable("many", values=values)
    variable.attributes["palette"] = "dark"
    assert len(variable.palette.palette) < len(values)
    coloring = Coloring(variable, np.arange(300))
    assert len(np.unique(coloring.rgb[:8], axis=0)) == 8


def test_a_variable_without_values():
    coloring = Coloring(DiscreteVariable("none", values=[]), [np.nan, np.nan])
    assert coloring.rgb.tolist() == [list(NAN_COLOR)] * 2
    assert coloring.counts() == {MISSING: 2}


@pytest.mark.parametrize("kind", [ContinuousVariable, TimeVariable])
def test_numbers_have_the_colors_of_the_palette(kind):
    variable = kind("x")
    variable.palette = palette = ContinuousPalettes["diverging_bwr_40_95_c42"]
    coloring = Coloring(variable, [-5, 15, np.nan, np.inf, -np.inf])
    assert coloring.range == (-5, 15)
    assert coloring.rgb[:2].tolist() == palette.palette[[0, 255]].tolist()
    assert coloring.rgb[2:].tolist() == [list(NAN_COLOR)] * 3
    assert coloring.counts() == {0: 2, MISSING: 3}


def test_equal_numbers_and_none_at_all():
    assert Coloring(ContinuousVariable("x"), [3, 3]).range == (3, 3)
    coloring = Coloring(ContinuousVariable("x"), [np.nan, np.inf])
    assert coloring.range is None
    assert coloring.rgb.tolist() == [list(NAN_COLOR)] * 2
    assert len(Coloring(ContinuousVariable("x"), [])) == 0
    assert Coloring(KIND, []).qcolors() == []


def test_counts():
    coloring = Coloring(KIND, [2, np.nan, 0, 2])
    assert list(coloring.counts().items()) == [(0, 1), (2, 2), (MISSING, 1)]
    assert coloring.counts(np.array([True, True, False, False])) == {2: 1, MISSING: 1}


def test_text_has_no_colors():
    with pytest.raises(TypeError, match="'name' is neither categorical nor numeric"):
        Coloring(StringVariable("name"), ["a"])


def test_rows_of_a_table():
    number = ContinuousVariable("number")
    data = Table.from_numpy(
        Domain([], KIND, [number]),
        np.empty((3, 0)),
        np.array([0, 1, 2]),
        # As metas are when there is text among them.
        np.array([[1.0], [2.0], [np.nan]], dtype=object),
    )
    rows = np.array([2, 0])
    assert row_coloring(data, KIND, rows).indices.tolist() == [2, 0]
    assert row_coloring(data, number).indices.tolist() == [0, 0, MISSING]
    assert row_coloring(data, None) is None
    assert row_coloring(None, KIND) is None


@pytest.mark.parametrize("limits", [(-1.7e308, 1.7e308), (0, 1), (2, 2), (0, 5e-324)])
def test_steps_of_a_range_have_its_colors(limits):
    coloring = Coloring(ContinuousVariable("x"), [*limits, np.nan, np.inf])
    steps = coloring.steps(5)
    assert np.isfinite(steps).all() and (np.diff(steps) > 0).all()
    assert (steps[0], steps[-1]) == limits
    colors = coloring.colors_of(steps)
    np.testing.assert_array_equal(colors[[0, -1]], coloring.rgb[:2])


def test_no_range_has_no_steps():
    assert not len(Coloring(ContinuousVariable("x"), [np.nan]).steps(3))
