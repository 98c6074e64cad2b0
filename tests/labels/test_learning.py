"""The quick model, the orders of images, and both for a table."""

import threading

import numpy as np
import pytest
from scipy import sparse

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.labels import (
    NO_CLASS,
    ORDERS,
    Orders,
    QuickModel,
    Teacher,
    no_proposals,
    quick_model,
    reduced,
)

N_GROUPS = 3


@pytest.fixture
def vectors():
    """Three groups of 40, 30 and 20 vectors."""
    rng = np.random.default_rng(0)
    X = rng.normal(0, 0.5, (90, 200))
    X[np.arange(90), groups()] += 8
    return X


def groups():
    return np.repeat(np.arange(N_GROUPS), (40, 30, 20))


def labels_of(images):
    labels = np.full(90, NO_CLASS)
    labels[images] = groups()[images]
    return labels


def test_reduced(vectors):
    points = reduced(vectors)
    assert points.values.shape == (90, 89) and points.values.dtype == np.float32
    assert points.usable.all()
    np.testing.assert_allclose(points.values.std(axis=0)[0], 1, rtol=0.1)
    vectors[4, 3] = np.nan
    points = reduced(vectors)
    assert not points.usable[4] and points.usable.sum() == 89
    assert not points.values[4].any()


def test_reduced_by_a_sample(vectors, monkeypatch):
    whole = reduced(np.tile(vectors, (3, 1)))
    monkeypatch.setattr(quick_model, "MOST_SAMPLED", 60)
    monkeypatch.setattr(quick_model, "_ROWS_AT_ONCE", 50)
    points = reduced(np.tile(vectors, (3, 1)))
    np.testing.assert_allclose(points.values[:90], points.values[90:180], atol=1e-5)
    assert whole.values.shape[0] == points.values.shape[0] == 270


@pytest.mark.parametrize("n_columns", [1, 2, 3])
def test_reduced_with_few_columns(vectors, n_columns, monkeypatch):
    monkeypatch.setattr(quick_model, "_ROWS_AT_ONCE", 7)
    X = vectors[:, :n_columns]
    points = reduced(X)
    order = np.argsort(X[:, 0])
    if n_columns == 1:  # chunks must not be shifted against each other
        steps = np.diff(points.values[order, 0])
        assert (steps >= -1e-5).all() or (steps <= 1e-5).all()
    same = reduced(sparse.csr_matrix(X)).values
    np.testing.assert_allclose(np.abs(same), np.abs(points.values), atol=1e-4)


@pytest.mark.parametrize("X", [np.zeros((0, 3)), np.ones((1, 3)), np.ones((4, 3))])
def test_reduced_with_nothing_to_reduce(X):
    assert len(reduced(X).values) == len(X)


def test_proposals(vectors):
    model = QuickModel(reduced(vectors))
    nothing = model.propose(labels_of([0, 1]))
    assert (nothing.classes == NO_CLASS).all() and np.isnan(nothing.certainty).all()
    two = model.propose(labels_of([0, 45]))
    assert set(two.classes) == {0, 1}
    three = model.propose(labels_of([0, 45, 80]))
    assert (three.classes == groups()).all()
    assert (three.certainty > 0.5).all()
    assert (three.margin > 0).all() and (three.margin <= 1).all()
    vectors[7] = np.nan
    proposals = QuickModel(reduced(vectors)).propose(labels_of([0, 7, 45]))
    assert proposals.classes[7] == NO_CLASS and np.isnan(proposals.certainty[7])


def test_many_labels_are_sampled(vectors, monkeypatch):
    monkeypatch.setattr(quick_model, "MOST_TRAINED", 9)
    sizes = []
    fit = quick_model.LogisticRegression.fit
    monkeypatch.setattr(
        quick_model.LogisticRegression,
        "fit",
        lambda self, X, y: (sizes.append(np.bincount(y).tolist()), fit(self, X, y))[1],
    )
    model = QuickModel(reduced(vectors))
    assert (model.propose(groups()).classes == groups()).all()
    assert sizes == 2 * [[3, 3, 3]]


def test_orders(vectors):
    points = reduced(vectors)
    orders = Orders(points, 90)
    proposals = QuickModel(points).propose(labels_of([0, 45, 80]))
    for order in ORDERS:
        shown = orders(order, labels_of([0, 45, 80]), proposals, reference=50)
        assert sorted(shown) == list(range(90))
    like = orders("like", labels_of([]), reference=50)
    assert like[0] == 50 and set(like[:30]) == set(range(40, 70))
    assert orders("given", labels_of([])).tolist() == list(range(90))
    first, second = orders("random", labels_of([])), orders("random", labels_of([5]))
    assert first.tolist() == second.tolist() != list(range(90))
    with pytest.raises(ValueError):
        orders("best", labels_of([]))


def test_typical_images_are_of_all_groups(vectors):
    orders = Orders(reduced(vectors), 90)
    first = orders("typical", labels_of([]))[:18]
    assert set(groups()[first]) == {0, 1, 2}
    # Where one has a label, it is the turn of the others.
    then = orders("typical", labels_of(first[:9]))
    assert not set(then[:9]) & set(first[:9])


def test_uncertain_images_come_first(vectors):
    between = 44
    vectors[between] = (vectors[1] + vectors[60]) / 2
    points = reduced(vectors)
    known = [*range(2, 14), *range(50, 58), *range(70, 76)]
    labels = labels_of(known)
    proposals = QuickModel(points).propose(labels)
    assert Orders(points, 90)("uncertain", labels, proposals)[0] == between
    # A model that has seen little does not choose.
    few = labels_of([2, 50])
    typical = Orders(points, 90)("typical", few).tolist()
    assert Orders(points, 90)("uncertain", few, proposals).tolist() == typical


@pytest.mark.parametrize("order", ORDERS)
def test_without_vectors(order):
    teacher = Teacher(None, np.arange(6))
    lesson = teacher(np.full(6, NO_CLASS), order, 2)
    assert sorted(lesson.order) == list(range(6))
    assert (lesson.proposals.classes == NO_CLASS).all()
    everything_missing = Teacher(np.full((6, 3), np.nan), np.arange(6))
    lesson = everything_missing(np.array([0, 1, -1, -1, -1, -1]), order, 2)
    assert (lesson.proposals.classes == NO_CLASS).all()


def test_teacher_of_some_rows(vectors):
    rows = np.arange(30, 80)
    teacher = Teacher(vectors, rows)
    labels = np.full(50, NO_CLASS)
    labels[[0, 12, 45]] = 0, 1, 2
    lesson = teacher(labels, "uncertain")
    assert (lesson.proposals.classes == groups()[rows]).all()


def test_teacher_is_stopped_and_goes_on(vectors):
    teacher, stop = Teacher(vectors, np.arange(90)), threading.Event()

    def callback(_fraction):
        if stop.is_set():
            raise Cancelled

    stop.set()
    with pytest.raises(Cancelled):
        teacher(labels_of([0, 45]), "typical", callback=callback)
    stop.clear()
    lesson = teacher(labels_of([0, 45, 80]), "typical", callback=callback)
    assert (lesson.proposals.classes == groups()).all()


def test_no_proposals():
    assert len(no_proposals(0).classes) == 0
