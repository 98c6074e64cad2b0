"""Tables with the classes of images."""

import numpy as np
import pytest
from all_widgets import image_column
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table

from orangecontrib.imageanalytics.labels import (
    NO_CLASS,
    LabelSession,
    Proposals,
    all_table,
    labeled_table,
    no_proposals,
)


class Subclass(Table):
    """As other add-ons have."""


@pytest.fixture(params=[Table, Subclass])
def data(request):
    attributes = [ContinuousVariable("n0"), ContinuousVariable("n1")]
    metas = [image_column(), DiscreteVariable("by", ("me",))]
    domain = Domain(attributes, DiscreteVariable("class", ("old",)), metas)
    cells = [["a.png", 0], ["", 0], ["b.png", 0], ["c.png", 0]]
    return request.param.from_numpy(
        domain, np.arange(8.0).reshape(4, 2), np.zeros(4), np.array(cells, dtype=object)
    )


@pytest.fixture
def session():
    session = LabelSession(3)
    for name in ("cat", "dog"):
        session.add_class(name)
    session.label([2], 1)
    return session


ROWS = np.array([0, 2, 3])


def test_labelled(data, session):
    table = labeled_table(data, ROWS, session)
    assert isinstance(table, type(data))
    assert table.domain.class_var.name == "class (1)"
    assert table.domain.class_var.values == ("cat", "dog")
    colors = table.domain.class_var.attributes["colors"]
    assert colors == {c.name: c.color for c in session.classes.values()}
    assert [meta.name for meta in table.domain.metas] == ["image", "by", "class"]
    assert table.Y.tolist() == [1]
    assert table.X.tolist() == [[6, 7]]
    assert str(table[0]["image"]) == "c.png"
    session.undo()
    assert labeled_table(data, ROWS, session) is None


def test_all(data, session):
    proposals = Proposals(
        np.array([0, NO_CLASS, 0]), np.array([0.75, np.nan, 0.9]), np.zeros(3)
    )
    table = all_table(data, ROWS, session, proposals, "kind")
    assert isinstance(table, type(data))
    np.testing.assert_array_equal(table.Y, [0, np.nan, np.nan, 1])
    by, certainty = table.domain.metas[-2:]
    assert by.name == "by (1)" and by.values == ("person", "proposed")
    np.testing.assert_array_equal(
        table.get_column(by).astype(float), [1, np.nan, np.nan, 0]
    )
    np.testing.assert_array_equal(
        table.get_column(certainty).astype(float), [0.75, np.nan, np.nan, 1]
    )
    assert np.shares_memory(table.X, data.X)
    np.testing.assert_array_equal(data.Y, np.zeros(4))


def test_proposals_of_a_class_that_was_removed(data, session):
    proposals = Proposals(np.zeros(3, dtype=int), np.ones(3), np.ones(3))
    session.remove_class(0)
    table = all_table(data, ROWS, session, proposals)
    np.testing.assert_array_equal(table.Y, [np.nan, np.nan, np.nan, 0])


def test_no_classes(data):
    table = all_table(data, ROWS, LabelSession(3), no_proposals(3))
    assert table.domain.class_var.values == ()
    assert np.isnan(table.Y).all()


def test_no_rows(data, monkeypatch):
    monkeypatch.setattr(Table, "LOCKING", True)  # as Orange's tests of widgets do
    table = all_table(data[:0], np.zeros(0, int), LabelSession(0), no_proposals(0))
    assert len(table) == 0 and "certainty" in table.domain
