"""Tables with groups, and without twins."""

import numpy as np
from all_widgets import table
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table
from Orange.evaluation import CrossValidationFeature

from orangecontrib.imageanalytics.twins import TwinFinder, with_groups, without_twins


def test_with_groups(copies):
    data = table(copies)
    twins = TwinFinder(data).find()
    result = with_groups(data, twins, 3)
    assert [meta.name for meta in result.domain.metas] == ["image", "fold", "group"]
    assert [str(row["group"]) for row in result] == ["1", "1", "?", "2", "1", "1", "2"]
    folds = result.get_column("fold")
    assert not np.isnan(folds).any()
    assert set(folds) == {0, 1, 2}
    assert result.domain["fold"].values == ("1", "2", "3")
    assert len(data.domain.metas) == 1


def test_folds_of_orange_keep_twins_together(copies):
    data = table(copies)
    twins = TwinFinder(data).find()
    result = with_groups(data, twins)
    parts = CrossValidationFeature(feature=result.domain["fold"]).get_indices(result)
    assert sorted(row for _, test in parts for row in test) == list(range(7))
    for train, test in parts:
        groups = set(twins.groups[train]) & set(twins.groups[test])
        assert groups <= {0}


def test_names_that_exist(copies):
    metas = [DiscreteVariable("fold", ["a"]), ContinuousVariable("group")]
    data = table(copies)
    domain = Domain([], None, [*data.domain.metas, *metas])
    data = data.transform(domain)
    result = with_groups(data, TwinFinder(data).find())
    names = [meta.name for meta in result.domain.metas]
    assert len(set(names)) == 5
    assert names[:3] == ["image", "fold", "group"]


def test_without_twins(copies):
    data = table(copies)
    single = without_twins(data, TwinFinder(data).find())
    assert isinstance(single, Table)
    assert list(single.get_column("image")) == [copies[row] for row in (1, 2, 3)]
    assert (single.ids == data.ids[[1, 2, 3]]).all()
