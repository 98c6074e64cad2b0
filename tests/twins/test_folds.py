"""Folds that do not separate twins."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from orangecontrib.imageanalytics.twins import twin_folds


def no_twins_apart(groups, folds):
    return all(len(set(folds[groups == group])) == 1 for group in set(groups) - {0})


@pytest.mark.parametrize("n_folds", [2, 5, 10])
def test_balanced(n_folds):
    random = np.random.default_rng(0)
    groups = np.where(random.random(400) < 0.5, random.integers(1, 60, 400), 0)
    classes = random.integers(0, 4, 400)
    folds = twin_folds(groups, classes, n_folds)
    assert no_twins_apart(groups, folds)
    counts = np.bincount(folds, minlength=n_folds)
    assert len(counts) == n_folds
    assert counts.max() - counts.min() <= 1
    for value in range(4):
        of_class = np.bincount(folds[classes == value], minlength=n_folds)
        assert of_class.max() - of_class.min() <= 4


def test_few_rows():
    groups = np.array([1, 0, 1, 0])
    folds = twin_folds(groups, np.zeros(4), 10)
    assert folds[0] == folds[2]
    assert sorted(folds[[0, 1, 3]]) == [0, 1, 2]
    assert twin_folds(np.array([], dtype=int), np.array([]), 5).tolist() == []
    assert set(twin_folds(np.zeros(3, dtype=int), np.zeros(3), 2)) == {0, 1}


def test_a_single_group():
    groups = np.ones(6, dtype=int)
    assert set(twin_folds(groups, np.zeros(6), 3)) == {0}


def test_a_large_group_leaves_the_other_folds_to_others():
    groups = np.array([1] * 100 + [0] * 90)
    folds = twin_folds(groups, np.arange(190) % 3, 10)
    assert sorted(np.bincount(folds)) == [10] * 9 + [100]


def test_as_balanced_as_those_of_scikit_learn():
    random = np.random.default_rng(2)
    classes = random.integers(0, 5, 600) ** 2 // 4
    groups = random.integers(1, 150, 600)

    def spread(folds):
        table = [np.bincount(folds[classes == value], minlength=10) for value in (0, 4)]
        return np.std([np.bincount(folds, minlength=10), *table], axis=1).sum()

    theirs = np.zeros(600, dtype=int)
    splitter = StratifiedGroupKFold(10, shuffle=True, random_state=0)
    for fold, (_, rows) in enumerate(splitter.split(classes, classes, groups)):
        theirs[rows] = fold
    assert spread(twin_folds(groups, classes, 10)) <= spread(theirs)


def test_many_groups_and_classes():
    """Of which a splitter of scikit-learn takes a minute."""
    groups = np.repeat(np.arange(1, 5001), 2)
    classes = np.random.default_rng(3).integers(0, 100, 10_000)
    folds = twin_folds(groups, classes, 100)
    assert no_twins_apart(groups[:200], folds[:200])
    assert set(np.bincount(folds)) <= {98, 100, 102}


def test_classes_that_are_small_or_missing():
    random = np.random.default_rng(1)
    groups = np.where(random.random(60) < 0.4, random.integers(1, 10, 60), 0)
    every_one_its_own = np.arange(60.0)
    every_one_its_own[::3] = np.nan
    folds = twin_folds(groups, every_one_its_own, 5)
    assert no_twins_apart(groups, folds)
    assert set(folds) == set(range(5))


def test_few_singles_fill_other_folds():
    groups = np.array([1] * 5 + [2] * 5 + [0] * 3)
    folds = twin_folds(groups, np.zeros(13), 5)
    assert no_twins_apart(groups, folds)
    assert len(set(folds)) == 5
