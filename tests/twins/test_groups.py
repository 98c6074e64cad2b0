"""Joining rows to groups."""

import numpy as np

from orangecontrib.imageanalytics.twins import groups as module
from orangecontrib.imageanalytics.twins.groups import Groups, first_of_each, largest


def joined(n_rows, *pairs):
    groups = Groups(n_rows)
    for pair in pairs:
        groups.join(*np.array([pair]).T)
    return groups.numbers().tolist()


def test_numbers_follow_the_first_rows():
    assert joined(6, (5, 3), (4, 0)) == [1, 0, 0, 2, 1, 2]
    assert joined(6, (4, 0), (3, 5)) == [1, 0, 0, 2, 1, 2]
    assert joined(3) == [0, 0, 0]
    assert joined(0) == []


def test_groups_that_meet():
    assert joined(6, (0, 1), (2, 3), (1, 2), (4, 4)) == [1, 1, 1, 1, 0, 0]


def test_many_pairs_are_merged_now_and_then(monkeypatch):
    monkeypatch.setattr(module, "_LEAST_EDGES", 3)
    groups = Groups(4)
    for pair in [(0, 1), (1, 2), (2, 3), (3, 0), (2, 0)]:
        assert groups.apart(np.array([0]), np.array([3]))
        groups.join(*np.array([pair]).T)
    assert not groups.apart(np.array([0]), np.array([3]))
    assert groups.numbers().tolist() == [1] * 4


def test_what_is_joined_is_no_longer_apart():
    groups = Groups(4)
    first, second = np.array([0, 2]), np.array([1, 3])
    assert groups.apart(first, second).all()
    groups.join(first[:1], second[:1])
    groups.numbers()
    assert groups.apart(first, second).tolist() == [False, True]


def test_equal_keys():
    groups = Groups(5)
    groups.join_equal([None, b"x", None, b"y", b"x"])
    assert groups.numbers().tolist() == [0, 1, 0, 0, 1]


def test_first_of_each():
    assert first_of_each([None, b"x", b"y", b"x", None]).tolist() == [1, 2]
    assert first_of_each([]).tolist() == []


def test_largest():
    numbers = np.array([1, 0, 1, 2, 2, 1])
    sizes = [(5, 0), (1, 0), (9, 1), (3, 3), (3, 3), (9, 0)]
    assert largest(numbers, sizes).tolist() == [2, 1, 2, 3, 3, 2]
