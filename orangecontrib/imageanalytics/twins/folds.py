"""Folds for cross-validation that never separate twins."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

SEED = 0


def twin_folds(groups: np.ndarray, classes: np.ndarray, n_folds: int) -> np.ndarray:
    """
    Distribute rows among folds; those of a group are in the same one.

    Classes are distributed evenly among the folds as far as that is possible.

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
    folds = np.zeros(len(groups), dtype=int)
    single = np.flatnonzero(groups == 0)
    twins = np.flatnonzero(groups)
    n_groups = len(np.unique(groups[twins]))
    if len(single) + n_groups <= n_folds:
        folds[single] = np.arange(len(single))
        _, number = np.unique(groups[twins], return_inverse=True)
        folds[twins] = len(single) + number
        return folds
    # Apart from each other, since a group of one row takes as long as any other.
    folds[single] = _split(StratifiedKFold, classes[single], None, n_folds)
    folds[twins] = _split(StratifiedGroupKFold, classes[twins], groups[twins], n_folds)
    return folds


def _split(kind, classes: np.ndarray, groups, n_folds: int) -> np.ndarray:
    n_units = len(classes) if groups is None else len(np.unique(groups))
    if n_units <= n_folds:
        units = np.arange(n_units) if groups is None else groups
        # From the last, so that these and the other rows share out the folds.
        return n_folds - 1 - np.unique(units, return_inverse=True)[1]
    if np.bincount(classes).max() < n_folds:  # no class has enough rows
        classes = np.zeros_like(classes)
    folds = np.zeros(len(classes), dtype=int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class is small
        splits = kind(n_folds, shuffle=True, random_state=SEED)
        parts = splits.split(np.zeros(len(classes)), classes, groups)
        for number, (_, rows) in enumerate(parts):
            folds[rows] = number
    return folds
