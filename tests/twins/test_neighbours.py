"""Pairs that are close, in several blocks."""

import numpy as np
import pytest

from orangecontrib.imageanalytics.twins import neighbours
from orangecontrib.imageanalytics.twins.groups import Groups
from orangecontrib.imageanalytics.twins.neighbours import (
    join_bits,
    join_vectors,
    projected,
)


@pytest.fixture(params=[(1024, 16384), (7, 5), (3, 100), (1, 1)])
def blocks(request, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", request.param)


def report(_fraction):
    pass


def expected(close):
    """The numbers of groups by all pairs."""
    groups = Groups(len(close))
    groups.join(*np.nonzero(close))
    return groups.numbers().tolist()


@pytest.mark.usefixtures("blocks")
def test_bits():
    random = np.random.default_rng(0)
    bits = random.integers(0, 256, (40, 4), dtype=np.uint8)
    mirrored = random.integers(0, 256, (40, 4), dtype=np.uint8)
    mirrored[17] = bits[3] ^ 1  # a bit in each byte
    bits[30] = bits[8] ^ np.array([255, 0, 0, 0], dtype=np.uint8)
    groups = Groups(50)
    join_bits(groups, np.arange(5, 45), bits, mirrored, 4, report)
    of_rows = groups.numbers()

    def differing(some):
        one, other = np.unpackbits(some, axis=1), np.unpackbits(bits, axis=1)
        return (one[:, None] != other).sum(axis=2)

    close = (differing(bits) <= 4) | (differing(mirrored) <= 4)
    np.fill_diagonal(close, False)
    assert of_rows[5:45].tolist() == expected(close)
    assert of_rows[8] == of_rows[22] > 0
    groups = Groups(40)
    join_bits(groups, np.arange(40), bits, mirrored, 8, report)
    assert groups.numbers()[8] == groups.numbers()[30] > 0


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("n_features", [3, 100])
def test_vectors(n_features):
    random = np.random.default_rng(1)
    units = random.normal(size=(90, n_features))
    units[40:] = units[:50] + 0.2 * random.normal(size=(50, n_features))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    units = units.astype(np.float32)
    distances = 1 - units @ units.T
    np.fill_diagonal(distances, 2)
    # None is so close to it that rounding would decide.
    threshold = distances[distances < 0.02].max() + 5e-6
    close = distances <= threshold
    groups = Groups(90)
    join_vectors(groups, np.arange(90), units, projected(units), threshold, report)
    assert close.any()
    assert groups.numbers().tolist() == expected(close)


@pytest.mark.usefixtures("blocks")
def test_an_exception_stops_it():
    class Stop(Exception):
        pass

    def stop(_fraction):
        raise Stop

    units = np.eye(5, dtype=np.float32)
    with pytest.raises(Stop):
        join_vectors(Groups(5), np.arange(5), units, projected(units), 0.1, stop)
    with pytest.raises(Stop):
        bits = np.zeros((5, 4), dtype=np.uint8)
        join_bits(Groups(5), np.arange(5), bits, bits, 1, stop)


def test_images_that_are_all_alike(monkeypatch):
    """Nearly all pairs are close; they are looked at a few at a time."""
    monkeypatch.setattr(neighbours, "_PAIRS_AT_ONCE", 100)
    monkeypatch.setattr(neighbours, "_COMPARED_AT_ONCE", 30)
    n = 60
    sizes = []

    class Spy(Groups):
        def join(self, first, second):
            sizes.append(len(first))
            super().join(first, second)

    groups = Spy(n)
    bits = np.zeros((n, 4), dtype=np.uint8)
    bits[:, 0] = np.arange(n)
    reports = []
    join_bits(groups, np.arange(n), bits, bits, 32, reports.append)
    assert groups.numbers().tolist() == [1] * n
    assert sum(sizes) >= n * (n - 1) / 2
    assert max(sizes) <= 100
    assert len(reports) > n * n / 100
    sizes.clear()
    groups = Spy(n)
    units = np.random.default_rng(0).normal(1, 0.01, (n, 80)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    join_vectors(groups, np.arange(n), units, projected(units), 0.1, report)
    assert groups.numbers().tolist() == [1] * n
    assert 0 < max(sizes) <= 30


def test_no_rows():
    none = np.zeros((0, 4), dtype=np.uint8)
    groups = Groups(3)
    join_bits(groups, np.zeros(0, dtype=int), none, none, 4, report)
    units = np.zeros((0, 100), np.float32)
    join_vectors(groups, np.zeros(0, dtype=int), units, projected(units), 0.1, report)
    assert groups.numbers().tolist() == [0, 0, 0]
