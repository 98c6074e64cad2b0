import numpy as np
import pytest
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)

from orangecontrib.imageanalytics.widgets.sheet.roworder import (
    grouped_rows,
    sorted_rows,
)

NAN = np.nan


@pytest.fixture
def data():
    number = ContinuousVariable("number")
    kind = DiscreteVariable("kind", values=("low", "high", "never"))
    text, deep = StringVariable("text"), ContinuousVariable("deep")
    domain = Domain([number], kind, [text, deep])
    texts = ["b 10", "B 9", "", "a", "b 9"]
    metas = np.array([texts, [1, 0, NAN, 1, 2]], dtype=object).T
    return Table.from_numpy(
        domain,
        np.array([[2.0], [NAN], [1], [2], [0]]),
        np.array([1, 0, NAN, 1, 0]),
        metas,
    )


@pytest.mark.parametrize(
    "name, ascending, descending",
    [
        ("number", [4, 2, 0, 3, 1], [0, 3, 2, 4, 1]),
        ("kind", [1, 4, 0, 3, 2], [0, 3, 1, 4, 2]),
        ("text", [3, 1, 4, 0, 2], [0, 1, 4, 3, 2]),
        ("deep", [1, 0, 3, 4, 2], [4, 0, 3, 1, 2]),
    ],
)
def test_sorted_rows(data, name, ascending, descending):
    variable = data.domain[name]
    assert sorted_rows(data, range(5), variable) == ascending
    assert sorted_rows(data, range(5), variable, descending=True) == descending
    some = [row for row in ascending if row != 3]
    assert sorted_rows(data, [0, 1, 2, 4], variable) == some


def test_grouped_rows(data):
    rows, names, counts = grouped_rows(data, [4, 3, 2, 1, 0], data.domain["kind"])
    assert rows == [4, 1, 3, 0, 2]
    assert names == ["low", "high", None]
    assert counts == [2, 2, 1]
    assert grouped_rows(data, [], data.domain["kind"]) == ([], [], [])


def test_very_long_texts():
    texts = ["9" * 6000, "a" * 10**6 + "2", "a" * 10**6 + "1", "8" * 6000, "b"]
    domain = Domain([], metas=[StringVariable("text")])
    data = Table.from_numpy(
        domain, np.zeros((5, 0)), metas=np.array([texts], dtype=object).T
    )
    # Beyond some length, texts count as equal.
    rows = sorted_rows(data, range(5), domain.metas[0])
    assert rows == [3, 0, 1, 2, 4]
