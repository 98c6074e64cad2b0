import numpy as np
from Orange.data import ContinuousVariable, DiscreteVariable, StringVariable, Table

from orangecontrib.imageanalytics.meta_columns import add_metas


def test_columns_are_added_behind_others():
    iris = Table("iris")[:3]
    before = iris.add_column(StringVariable("name"), ["a", "b", "c"], to_metas=True)
    new = [DiscreteVariable("kind", ("x", "y")), ContinuousVariable("share")]
    table = add_metas(before, new, [np.array([1, np.nan, 0]), np.array([0.5, 1, 2])])
    assert [variable.name for variable in table.domain.metas] == [
        "name",
        "kind",
        "share",
    ]
    assert list(table.get_column("name")) == ["a", "b", "c"]
    np.testing.assert_equal(table.get_column("kind"), [1, np.nan, 0])
    np.testing.assert_equal(table.get_column("share"), [0.5, 1, 2])
    assert before.domain.metas == table.domain.metas[:1]
    assert np.shares_memory(table.X, before.X)


def test_no_rows():
    table = add_metas(Table("iris")[:0], [ContinuousVariable("a")], [np.empty(0)])
    assert table.metas.shape == (0, 1)
