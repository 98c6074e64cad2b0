"""Which rows of a table are twins."""

import os
import random

import numpy as np
import pytest
from all_widgets import image_column, table
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table
from PIL import Image
from scipy import sparse

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.twins import (
    METHODS,
    MOST_THRESHOLD,
    TwinFinder,
    find_twins,
    finding,
)
from orangecontrib.imageanalytics.twins.neighbours import projected

EXPECTED = [1, 1, None, 2, 1, 1, 2]


def with_vectors(vectors, values=None):
    vectors = np.asarray(vectors, dtype=float)
    attributes = [ContinuousVariable(f"n{i}") for i in range(vectors.shape[1])]
    return table(values or [""] * len(vectors), attributes, X=vectors)


def random_vectors(count, n_features=32, seed=0):
    return np.random.default_rng(seed).normal(size=(count, n_features))


def test_altered_copies(copies):
    assert find_twins(table(copies)) == EXPECTED
    assert find_twins(table(copies), "hash") == EXPECTED
    assert find_twins(table(copies), "content") == [None, None, None, 1, None, None, 1]


def test_order_of_rows_does_not_matter(copies):
    order = list(range(len(copies)))
    random.Random(3).shuffle(order)
    groups = find_twins(table([copies[row] for row in order]))
    found = {frozenset(np.flatnonzero(np.equal(groups, g))) for g in groups if g}
    expected = {
        frozenset(order.index(row) for row, other in enumerate(EXPECTED) if other == g)
        for g in (1, 2)
    }
    assert found == expected


def test_imported_table(copies):
    data, _ = ImportImages()(os.path.dirname(copies[0]))
    assert find_twins(data, column="image") == EXPECTED


def test_largest(copies):
    twins = TwinFinder(table(copies)).find()
    # "1 photo.png" and others have as many pixels; its file is the largest.
    assert twins.largest.tolist() == [1, 1, 2, 3, 1, 1, 3]
    assert np.flatnonzero(~twins.kept).tolist() == [0, 4, 5, 6]
    assert twins.sizes[0].tolist() == [160, 120]
    assert twins.sizes[1].tolist() == [320, 240]
    assert twins.distances[1] == twins.distances[2] == twins.distances[6] == 0
    assert 0 < twins.distances[0] <= 1
    assert not twins.chained.any()


def test_threshold(copies):
    finder = TwinFinder(table(copies))
    strict, usual, loose = (finder.find(t).groups for t in (0, 1, MOST_THRESHOLD))
    assert (strict > 0).sum() < (usual > 0).sum() <= (loose > 0).sum()
    # A threshold of 0 still finds what is equal.
    assert strict[3] == strict[6] > 0
    for threshold in (-0.1, MOST_THRESHOLD + 0.1, float("nan")):
        with pytest.raises(ValueError, match="threshold"):
            finder.find(threshold)


def test_images_are_read_once(copies, monkeypatch):
    from orangecontrib.imageanalytics.twins import fingerprints

    read = []
    decode = fingerprints.decode
    monkeypatch.setattr(
        fingerprints, "decode", lambda *args: read.append(args) or decode(*args)
    )
    known = {}
    finder = TwinFinder(table(copies + copies[:2]), known=known)
    finder.find()
    finder.find(2)
    assert len(read) == len(copies)
    TwinFinder(table(copies[:3]), known=known).find()
    assert len(read) == len(copies)
    # A file that has changed is read again.
    Image.open(copies[2]).rotate(90).save(copies[2])
    TwinFinder(table(copies[:3]), known=known).find()
    assert len(read) == len(copies) + 1


def test_stopped(copies):
    class Stop(Exception):
        pass

    def stop(fraction):
        if fraction > 0.3:
            raise Stop

    known = {}
    with pytest.raises(Stop):
        TwinFinder(table(copies), known=known).find(callback=stop)
    assert 0 < len(known) < len(copies)  # what is done is kept


def test_progress(copies):
    told = []
    find_twins(table(copies), callback=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize("method", ["both", "hash", "vectors"])
def test_progress_of_each_step(copies, monkeypatch, method):
    """None of them begins when all seems to be done."""
    told, at_begin = [0.0], []
    for name in ("read_fingerprints", "join_bits", "join_vectors"):
        step = getattr(finding, name)

        def spied(*arguments, step=step, **options):
            at_begin.append(told[-1])
            return step(*arguments, **options)

        monkeypatch.setattr(finding, name, spied)
    vectors = random_vectors(len(copies))
    vectors[1] = vectors[0]
    TwinFinder(with_vectors(vectors, copies), method).find(callback=told.append)
    assert len(at_begin) == (3 if method == "both" else 2)
    assert at_begin == sorted(set(at_begin))
    assert at_begin[-1] < told[-1] == 1


def test_vectors_are_projected_once_for_all_thresholds(monkeypatch):
    calls = []

    def spied(units):
        calls.append(len(units))
        return projected(units)

    place = "orangecontrib.imageanalytics.twins.vectors.projected"
    monkeypatch.setattr(place, spied)
    finder = TwinFinder(with_vectors(random_vectors(8)), "vectors")
    for threshold in (1.0, 0.5, 2.0):
        finder.find(threshold)
    assert calls == [8]


def test_missing_and_unreadable_images(copies, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no image")
    values = ["", copies[0], str(text), copies[1], None, str(tmp_path / "none.png")]
    finder = TwinFinder(table(values))
    twins = finder.find()
    assert twins.groups.tolist() == [0, 1, 0, 1, 0, 0]
    assert set(twins.failures) == {str(text), str(tmp_path / "none.png")}


def test_images_of_one_color_are_no_twins(tmp_path):
    paths = []
    for gray in (0, 100, 101, 255):
        paths.append(str(tmp_path / f"{gray}.png"))
        Image.new("RGB", (100, 80), (gray, gray, gray)).save(paths[-1])
    assert find_twins(table(paths)) == [None] * 4
    assert find_twins(table([paths[0], *paths])) == [1, 1, None, None, None]


def test_vectors():
    vectors = random_vectors(10)
    vectors[7] = 3 * vectors[2]  # only the direction counts
    vectors[9] = vectors[2] + 0.01
    vectors[4] = np.nan
    vectors[5] = 0
    groups = find_twins(with_vectors(vectors), "vectors")
    assert groups == [None, None, 1, None, None, None, None, 1, None, 1]


def test_all_vectors_equal():
    assert find_twins(with_vectors(np.ones((500, 40))), "vectors") == [1] * 500
    assert find_twins(with_vectors(np.zeros((5, 40))), "vectors") == [None] * 5


def test_one_image_in_many_rows(copies):
    """No pair of them is listed."""
    assert find_twins(table(copies[1:2] * 20_000)) == [1] * 20_000


def test_huge_vectors():
    vectors = 1e30 * random_vectors(4)
    vectors[3] = vectors[1]
    assert find_twins(with_vectors(vectors), "vectors") == [None, 1, None, 1]


def test_no_pair_is_missed_in_fewer_dimensions():
    """More dimensions and rows than are compared at once, against all pairs."""
    vectors = random_vectors(3000, 200)
    vectors[1::7] = vectors[::7] + random_vectors(429, 200, 1) * 0.47
    finder = TwinFinder(with_vectors(vectors), "vectors")
    twins = finder.find()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    close = 1 - units @ units.T <= 0.1 * finder._vectors.median
    np.fill_diagonal(close, False)
    assert 20 < close.any(axis=1).sum() < 850
    assert ((twins.groups > 0) == close.any(axis=1)).all()


def test_sparse_vectors(copies):
    vectors = random_vectors(4)
    vectors[3] = vectors[0]
    attributes = [ContinuousVariable(f"n{i}") for i in range(32)]
    data = table(copies[:4], attributes, X=sparse.csr_matrix(vectors))
    assert find_twins(data, "vectors") == [1, None, None, 1]


def test_both(copies):
    vectors = random_vectors(len(copies))
    vectors[2] = vectors[3]
    data = with_vectors(vectors, copies)
    assert find_twins(data) == [1, 1, 2, 2, 1, 1, 2]
    assert find_twins(data, "hash") == EXPECTED
    assert find_twins(data, "vectors") == [None, None, 1, 1, None, None, None]


def test_other_numbers_are_no_vectors(copies):
    """Widths and heights of different images may be equal."""
    attributes = [ContinuousVariable("width"), ContinuousVariable("height")]
    data = table(copies, attributes, X=np.full((len(copies), 2), 100.0))
    assert find_twins(data) == EXPECTED
    assert not TwinFinder(data).has_vectors
    assert find_twins(data, "vectors") == [1] * len(copies)  # if they are asked for


def test_chains():
    angles = np.radians([0, 7, 14, 21, 120, 200, 270])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)])
    attributes = [ContinuousVariable("a"), ContinuousVariable("b")]
    finder = TwinFinder(table([""] * 7, attributes, X=vectors), "vectors")
    twins = finder.find(0.1)
    assert twins.groups.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert twins.chained.tolist() == [False, False, True, True] + 3 * [False]


def test_categorical_column(copies):
    variable = DiscreteVariable("image", values=copies[:2])
    domain = Domain([], None, [variable])
    metas = np.array([[0], [1], [np.nan], [0]], dtype=object)
    data = Table.from_numpy(domain, np.empty((4, 0)), metas=metas)
    assert find_twins(data) == [1, 1, None, 1]


def test_second_column(copies):
    domain = Domain([], None, [image_column(), image_column("second")])
    metas = np.array([[copies[0], copies[2]], [copies[3], copies[2]]], dtype=object)
    data = Table.from_numpy(domain, np.empty((2, 0)), metas=metas)
    assert find_twins(data) == [None, None]
    assert find_twins(data, column="second") == [1, 1]


def test_wrong_arguments(copies):
    data = table(copies)
    with pytest.raises(ValueError, match="should be one of: both"):
        find_twins(data, "phash")
    with pytest.raises(ValueError, match="no vectors"):
        find_twins(data, "vectors")
    with pytest.raises(ValueError, match="no column 'nothing'"):
        find_twins(data, column="nothing")
    with pytest.raises(ValueError, match="no column with images"):
        find_twins(Table("iris"))
    assert len(find_twins(Table("iris"), "vectors")) == 150


@pytest.mark.parametrize("method", METHODS)
def test_no_rows(method):
    assert find_twins(with_vectors(np.zeros((0, 20))), method) == []
