"""Folds for cross-validation that never separate twins."""

from __future__ import annotations

import numpy as np

SEED = 0


def twin_folds(groups: np.ndarray, classes: np.ndarray, n_folds: int) -> np.ndarray:
    """
    Distribute rows among folds; those of a group are in the same one.

    Groups and rows by themselves are distributed one after the other, the largest
    first and those of the same size in random order. Each goes where it adds least to
    the variance between the folds, of the share of each class and of all rows, as in
    scikit-learn's ``StratifiedGroupKFold``. That takes minutes if there are thousands
    of groups and many folds.

    Parameters
    ----------
    groups : numpy.ndarray of int, shape (n_rows,)
        The group of each row; 0 for a row by itself.
    classes : numpy.ndarray, shape (n_rows,)
        The class of each row; may have nan.
    n_folds : int
        Number of folds. If there are fewer groups and rows by themselves, each of them
        is a fold.

    Returns
    -------
    numpy.ndarray of int, shape (n_rows,)
        The fold of each row, from 0.
    """
    groups = np.asarray(groups)
    _, classes = np.unique(classes, return_inverse=True)
    weights = 1 / np.bincount(classes) ** 2.0
    of_class = np.zeros((n_folds, len(weights)))
    of_all = np.zeros(n_folds)
    folds = np.zeros(len(groups), dtype=int)
    for rows in _units(groups):
        kinds = classes[rows]
        # By how much the sums of squares would grow, without what all folds share
        growth = of_class[:, kinds] @ weights[kinds]
        growth += of_all * (len(rows) / len(groups) ** 2)
        fold = int(growth.argmin())
        np.add.at(of_class[fold], kinds, 1)
        of_all[fold] += len(rows)
        folds[rows] = fold
    return folds


def _units(groups: np.ndarray) -> list[np.ndarray]:
    """The rows of each group, and each row by itself, in the order of distribution."""
    random = np.random.default_rng(SEED)
    order = np.argsort(groups, kind="stable")
    n_single = np.count_nonzero(groups == 0)
    single, twins = order[:n_single], order[n_single:]
    units = [row[None] for row in single]
    if len(twins):
        units += np.split(twins, np.flatnonzero(np.diff(groups[twins])) + 1)
    units = [units[number] for number in random.permutation(len(units))]
    return sorted(units, key=len, reverse=True)
