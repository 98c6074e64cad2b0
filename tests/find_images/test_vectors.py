"""Vectors of tables and examples: those that are there, and those that are computed."""

import os
import shutil
import threading

import numpy as np
import pytest
from Orange.data import Domain, StringVariable, Table

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.find_images import (
    ExamplesError,
    ImageVectors,
    LazyEmbedder,
    Query,
    choose_spec,
)

SPEC = choose_spec(model="squeezenet", precision="float32")


@pytest.fixture
def lazy():
    with LazyEmbedder(SPEC, "cpu") as lazy:
        yield lazy


@pytest.fixture
def no_network(monkeypatch):
    """Loading a network fails."""

    def fail(*_, **__):
        raise AssertionError("the network is loaded")

    monkeypatch.setattr(OpenVinoRunner, "load", fail)


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def vectors_of(found: ImageVectors):
    return found.vectors[found.rows]


# Tables -----------------------------------------------------------------------------


def test_images_are_embedded(lazy, table, embedded):
    found = lazy.table(table)
    assert found.vectors.dtype == np.float32
    assert found.rows.tolist() == list(range(8)) and len(found) == 8
    np.testing.assert_allclose(vectors_of(found), unit(embedded.X), atol=1e-5)
    assert found.compute == EmbedImages.of(SPEC, "image")


def test_vectors_of_the_table_are_used(lazy, embedded, no_network, fresh_cache):
    found = lazy.table(embedded)
    np.testing.assert_allclose(vectors_of(found), unit(embedded.X), atol=1e-5)


def test_also_without_the_network_that_made_them(of_gone_network, tmp_path):
    table = of_gone_network
    spec = choose_spec(table)
    with LazyEmbedder(spec, "cpu") as lazy:
        found = lazy.table(table)
        np.testing.assert_allclose(vectors_of(found), unit(table.X), atol=1e-5)
        assert found.compute.spec == spec
        with pytest.raises(ModelError, match="/gone/network"):
            lazy.examples(str(tmp_path / "other.png"))


def test_vectors_of_another_network_are_not_used(embedded):
    with LazyEmbedder(choose_spec(model="efficientnet-lite0"), "cpu") as lazy:
        assert lazy.table(embedded).vectors.shape == (8, 1280)


def test_only_images_without_vectors_are_embedded(lazy, embedded, fresh_cache, counted):
    X = embedded.X.copy()
    with embedded.unlocked(embedded.X):
        embedded.X[[1, 4], 7] = np.nan
    found = lazy.table(embedded)
    assert sum(counted) == 2
    np.testing.assert_allclose(vectors_of(found), unit(X), atol=1e-5)


def test_sparse_vectors(lazy, embedded, no_network, fresh_cache):
    found = lazy.table(embedded.to_sparse())
    np.testing.assert_allclose(vectors_of(found), unit(embedded.X), atol=1e-5)


def test_images_that_cannot_be_read(lazy, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bad")
    (tmp_path / "bad" / "dark" / "1.png").unlink()
    names = [f"dark/{number}.png" for number in range(3)]
    table = table_of([*names, "", "dark/0.png"], tmp_path / "bad")
    failures = {}
    found = lazy.table(table, failures=failures)
    assert found.rows.tolist() == [0, -1, 1, -1, 0]
    assert failures == {os.path.join(tmp_path, "bad", names[1]): "file not found"}
    scores = found.scores(Query(examples=found.vectors[:1]))
    assert scores[0] == pytest.approx(1, abs=1e-6)
    assert np.isnan(scores).tolist() == [False, True, False, True, False]
    np.testing.assert_array_equal(found.of_rows([1, 2, 3]), found.vectors[1:])


@pytest.mark.parametrize("names", [[], [""], ["/no/such.png"]], ids=str)
def test_no_vectors_at_all(lazy, names):
    found = lazy.table(table_of(names))
    assert len(found) == len(names) and not len(found.vectors)
    scores = found.scores(Query(examples=np.ones((1, 1000))))
    assert np.isnan(scores).all() and scores.shape == (len(names),)
    assert not len(found.of_rows(range(len(names))))


def test_vectors_that_were_cut_off_are_refused(lazy, table, fresh_cache):
    """It is unknown how long those of an inner layer should be."""
    spec = choose_spec(model="squeezenet", layer="features.8")
    with LazyEmbedder(spec, "cpu") as inner:
        found = inner.table(table)
    with pytest.raises(ValueError, match="another network or layer"):
        found.scores(Query(examples=np.ones((1, 9))))


def table_of(names, origin=""):
    image = StringVariable("image")
    image.attributes = {"type": "image", "origin": str(origin)}
    metas = np.array(names, dtype=object).reshape(-1, 1)
    return Table.from_numpy(
        Domain([], metas=[image]), np.empty((len(names), 0)), metas=metas
    )


def test_tables_without_images(lazy):
    with pytest.raises(ValueError, match="no column that could name images"):
        lazy.table(Table("iris"))
    with pytest.raises(ValueError, match="no column 'photo'"):
        lazy.table(Table("iris"), "photo")


def test_progress_and_cancelling(lazy, table, fresh_cache):
    fractions = []
    lazy.table(table, callback=fractions.append)
    assert fractions[0] == 0 and fractions[-1] == 1
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        lazy.table(table, cancelled=cancelled)


# Examples ---------------------------------------------------------------------------


def test_examples_from_files(lazy, folder, table):
    paths = [folder / "dark" / "2.png", f"file://{folder}/light/0.png"]
    expected = vectors_of(lazy.table(table))
    np.testing.assert_allclose(lazy.examples(paths), expected[[2, 4]], atol=1e-6)
    np.testing.assert_allclose(lazy.examples(paths[0]), expected[[2]], atol=1e-6)
    np.testing.assert_allclose(lazy.examples(str(paths[0])), expected[[2]], atol=1e-6)


def test_examples_from_rows(lazy, table, embedded, no_network, fresh_cache):
    expected = unit(embedded.X[[6, 1]])
    np.testing.assert_allclose(lazy.examples(embedded[[6, 1]]), expected, atol=1e-5)


def test_no_examples(lazy, table, no_network):
    for like in ([], [None, " "], table[:0]):
        assert len(lazy.examples(like)) == 0


def test_examples_that_cannot_be_read_are_left_out(lazy, folder, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    bad = [str(tmp_path / "text.png"), str(tmp_path / "missing.png")]
    good = str(folder / "dark" / "0.png")
    failures = {}
    examples = lazy.examples([bad[0], good, bad[1]], failures=failures)
    np.testing.assert_array_equal(examples, lazy.examples([good]))
    assert failures.keys() == set(bad)
    failures = {}
    with pytest.raises(ExamplesError) as raised:
        lazy.examples(bad, failures=failures)
    assert failures.keys() == set(bad)
    for path, reason in failures.items():
        assert f"{path}: {reason}" in str(raised.value)


def test_many_examples_that_cannot_be_read(lazy, tmp_path):
    with pytest.raises(ExamplesError, match="nowhere"):
        lazy.examples([f"{tmp_path}/nowhere"])
    with pytest.raises(ExamplesError, match="; and 2 more"):
        lazy.examples([f"{tmp_path}/{number}.png" for number in range(5)])
