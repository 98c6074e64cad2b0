"""Scores and classes as columns that are computed for other tables."""

import copy
import dataclasses
import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from helpers import make_image
from Orange.classification import MajorityLearner
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table
from Orange.data.table import DomainTransformationError

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.find_images import (
    ImageVectors,
    LazyEmbedder,
    Query,
    WordClasses,
    append_classes,
    append_scores,
    choose_spec,
    columns,
)
from orangecontrib.imageanalytics.import_images import ImportImages

# Which precision is the default, may differ each time.
SPEC = choose_spec(model="squeezenet", precision="float32")


@pytest.fixture
def vectors(table):
    with LazyEmbedder(SPEC, "cpu") as lazy:
        return lazy.table(table)


@pytest.fixture
def query(vectors):
    """Like the first dark images."""
    return Query(examples=vectors.of_rows([0, 1]))


@pytest.fixture
def classes(vectors):
    """Images stand for the words that describe them."""
    described = vectors.of_rows([0, 4])
    return WordClasses(["night", "day"], described, 100.0, threshold=0.7)


@pytest.fixture
def new(tmp_path):
    """Another folder, in which one image cannot be read."""
    (tmp_path / "new").mkdir()
    for number in range(3):
        make_image(50 + number).save(tmp_path / "new" / f"{number}.png")
    table, _ = ImportImages()(str(tmp_path / "new"))
    (tmp_path / "new" / "1.png").write_text("no image")
    return table


def expected_scores(table, query):
    with LazyEmbedder(SPEC, "cpu") as lazy:
        return lazy.table(table).scores(query)


# Scores -----------------------------------------------------------------------------


def test_scores_are_appended(table, vectors, query):
    scored = append_scores(table, vectors, query)
    assert scored.domain.metas[:-1] == table.domain.metas
    assert scored.domain.class_vars == table.domain.class_vars
    assert scored.domain.metas[-1].name == "score"
    np.testing.assert_allclose(
        scored.get_column("score"), vectors.scores(query), rtol=1e-6
    )
    np.testing.assert_array_equal(scored.ids, table.ids)
    assert len(table.domain.metas) == len(scored.domain.metas) - 1  # it is not changed


def test_nothing_is_computed_again(table, vectors, query, fresh_cache, counted):
    scored = append_scores(table, vectors, query)
    for again in (
        scored[::2],
        scored.transform(Domain([], metas=scored.domain.metas[-1:])),
        Table.concatenate([scored[:4], scored[4:]]),
        copy.deepcopy(scored),
        pickle.loads(pickle.dumps(scored)),
        append_scores(scored, vectors, query),
    ):
        assert not np.isnan(again.get_column("score")).any()
    assert not counted


def test_names_that_are_taken(table, vectors, query):
    twice = append_scores(append_scores(table, vectors, query), vectors, query)
    assert [v.name for v in twice.domain.metas[-2:]] == ["score", "score (1)"]


def test_another_table_is_scored(table, vectors, query, new):
    domain = append_scores(table, vectors, query).domain
    with pytest.warns(RuntimeWarning, match="1.png"):
        scores = new.transform(domain).get_column("score")
    assert np.isnan(scores).tolist() == [False, True, False]
    np.testing.assert_allclose(scores, expected_scores(new, query), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Images that could not")
def test_a_single_row_is_scored(table, vectors, query, new):
    score = append_scores(table, vectors, query).domain["score"]
    scores = [score.compute_value(row) for row in new]
    np.testing.assert_allclose(scores, expected_scores(new, query), rtol=1e-5)


def test_without_images_scores_are_missing(table, vectors, query):
    domain = append_scores(table, vectors, query).domain
    scores = Table("iris")[:3].transform(domain).get_column("score")
    assert np.isnan(scores).all()
    assert len(table[:0].transform(domain)) == 0


def test_images_are_embedded_once_for_vectors_and_scores(
    embedded, vectors, query, new, monkeypatch
):
    scored = append_scores(embedded, vectors, query)
    domain = pickle.loads(pickle.dumps(append_scores(scored, vectors, query).domain))
    calls = []
    call = EmbedImages.__call__
    monkeypatch.setattr(
        EmbedImages, "__call__", lambda *args: calls.append(1) or call(*args)
    )
    with pytest.warns(RuntimeWarning, match="1.png"):
        transformed = new.transform(domain)
    assert len(calls) == 1
    has_vector = ~np.isnan(transformed.X).any(axis=1)
    assert (has_vector == ~np.isnan(transformed.get_column("score"))).all()


def test_vectors_of_another_length_are_an_error_of_the_transformation(
    table, vectors, new
):
    wrong = ImageVectors(vectors.compute, vectors.vectors[:, :5], vectors.rows)
    domain = append_scores(table, wrong, Query(examples=np.ones((1, 5)))).domain
    with pytest.raises(DomainTransformationError, match="another network or layer"):
        table.transform(domain)


def test_equal_if_they_give_the_same_scores(table, vectors, query):
    first, second = (append_scores(table, vectors, query) for _ in range(2))
    assert first.domain["score"] == second.domain["score"]
    assert hash(first.domain) == hash(second.domain)
    other = Query(examples=vectors.of_rows([5]))
    assert append_scores(table, vectors, other).domain["score"] != first.domain["score"]
    spec = dataclasses.replace(vectors.compute.spec, layer="penultimate")
    compute = dataclasses.replace(vectors.compute, spec=spec)
    moved = ImageVectors(compute, vectors.vectors, vectors.rows)
    assert append_scores(table, moved, query).domain["score"] != first.domain["score"]


def test_pickles_are_small_and_hold_no_weights(table, vectors, query):
    score = append_scores(table, vectors, query).domain["score"]
    content = pickle.dumps(score)
    assert len(content) < 2 * 1000 * 4 + 2000
    assert b"torch" not in content
    assert pickle.loads(content) == score


def test_a_pickle_opens_in_a_process_of_its_own(table, vectors, query, tmp_path):
    """Without torch, as long as nothing is embedded; and without the widget."""
    scored = append_scores(table, vectors, query)
    model = MajorityLearner()(scored)
    pickled = tmp_path / "model.pkcls"
    pickled.write_bytes(pickle.dumps((model.domain, scored.domain, table)))
    code = f"""
        import json, pickle, sys
        with open({str(pickled)!r}, "rb") as file:
            _, domain, table = pickle.load(file)
        assert "torch" not in sys.modules
        print(json.dumps(table.transform(domain).get_column("score").tolist()))
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    scores = json.loads(answer.stdout)
    np.testing.assert_allclose(scores, scored.get_column("score"), rtol=1e-5)


# Classes ----------------------------------------------------------------------------


def without_class(table):
    return table.transform(Domain([], None, table.domain.metas))


def test_classes_are_appended(table, vectors, classes):
    sorted_ = append_classes(without_class(table), vectors, classes)
    variable = sorted_.domain.class_var
    assert isinstance(variable, DiscreteVariable)
    assert variable.values == ("night", "day", "other")
    names = [meta.name for meta in sorted_.domain.metas[-2:]]
    assert names == ["class (night)", "class (day)"]
    probabilities = classes.probabilities(vectors.vectors)
    np.testing.assert_allclose(
        sorted_.metas[:, -2:].astype(float), probabilities, rtol=1e-6
    )
    assert sorted_.Y.tolist() == classes.indices(probabilities).tolist()
    assert sorted_.Y[[0, 4]].tolist() == [0, 1]


def test_a_class_that_is_there_stays(table, vectors, classes):
    sorted_ = append_classes(table, vectors, classes)
    assert sorted_.domain.class_var is table.domain.class_var
    assert [meta.name for meta in sorted_.domain.metas[-3:]] == [
        "class",
        "class (night)",
        "class (day)",
    ]
    column = sorted_.get_column("class")
    assert column[[0, 4]].tolist() == [0, 1]


def test_another_table_is_sorted(table, vectors, classes, new):
    domain = append_classes(without_class(table), vectors, classes).domain
    with pytest.warns(RuntimeWarning, match="1.png"):
        sorted_ = new.transform(domain)
    with LazyEmbedder(SPEC, "cpu") as lazy:
        found = lazy.table(new)
    expected = append_classes(without_class(new), found, classes)
    np.testing.assert_array_equal(sorted_.Y, expected.Y)
    np.testing.assert_allclose(
        sorted_.metas[:, -2:].astype(float),
        expected.metas[:, -2:].astype(float),
        rtol=1e-5,
    )
    assert np.isnan(sorted_.Y).tolist() == [False, True, False]
    assert domain.class_var.compute_value(new[0]) == sorted_.Y[0]


def test_probabilities_are_computed_once(table, vectors, classes, new, monkeypatch):
    domain = append_classes(without_class(table), vectors, classes).domain
    kept, computed = set(columns._probabilities), []
    compute = WordClasses.probabilities

    def counted(self, vectors):
        computed.append(len(vectors))
        return compute(self, vectors)

    monkeypatch.setattr(WordClasses, "probabilities", counted)
    with pytest.warns(RuntimeWarning, match="1.png"):
        sorted_ = new.transform(domain)
    assert computed == [2]
    del sorted_
    gc.collect()
    assert set(columns._probabilities) <= kept  # else they would stay in memory


def test_class_columns_are_equal_by_content(table, vectors, classes):
    first, second = (append_classes(table, vectors, classes) for _ in range(2))
    assert first.domain == second.domain
    night, day = first.domain.metas[-2:]
    assert night.compute_value != day.compute_value
    assert hash(night.compute_value) == hash(second.domain.metas[-2].compute_value)
    again = pickle.loads(pickle.dumps(first.domain))
    assert again == first.domain


def test_without_any_vector(table, classes, vectors, query):
    none = ImageVectors(vectors.compute, np.empty((0, 0), np.float32), np.full(8, -1))
    sorted_ = append_classes(without_class(table), none, classes)
    assert np.isnan(sorted_.Y).all()
    assert np.isnan(append_scores(table, none, query).get_column("score")).all()
    assert isinstance(sorted_.domain.metas[-1], ContinuousVariable)
