"""Columns that embed the images of any table that is transformed to them."""

import copy
import dataclasses
import gc
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from helpers import make_harmful_file, make_image, make_network_file
from image_files import save_stack
from Orange.classification import LogisticRegressionLearner, MajorityLearner
from Orange.data import ContinuousVariable, Domain, StringVariable, Table
from Orange.data.table import DomainTransformationError
from Orange.distance import Euclidean, Manhattan
from Orange.evaluation import CrossValidation
from Orange.preprocess import Impute, Normalize
from Orange.projection import PCA

from orangecontrib.imageanalytics import embedding_columns
from orangecontrib.imageanalytics.embedding_columns import (
    EmbeddingFeature,
    EmbedImages,
)
from orangecontrib.imageanalytics.engine import pipeline
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.files import trust
from orangecontrib.imageanalytics.networks.spec import NetworkReference
from orangecontrib.imageanalytics.networks.weights import PackagedWeights


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of images of two classes, of the same names."""
    folder = tmp_path_factory.mktemp("folders")
    seed = iter(range(100))
    for name in ("old", "new"):
        for label in ("dark", "light"):
            (folder / name / label).mkdir(parents=True)
            for number in range(4):
                base = 0 if label == "dark" else 160
                image = make_image(next(seed))
                image = image.point(lambda value, base=base: base + value // 3)
                image.save(folder / name / label / f"{number}.png")
    return folder


@pytest.fixture
def old(folders):
    return ImportImages()(str(folders / "old"))[0]


@pytest.fixture
def new(folders):
    return ImportImages()(str(folders / "new"))[0]


@contextmanager
def stop_at_once(_n_images):
    """A `watch` whose user has no patience."""

    def callback(_fraction):
        raise Cancelled

    yield callback


def embed(table, **options):
    with ImageEmbedder("squeezenet", "cpu", **options) as embedder:
        return embedder(table, col="image")[0]


def features(table):
    return [v for v in table.domain.attributes if v.name.startswith("n")]


# Another table ----------------------------------------------------------------------


def test_another_folder_is_embedded(old, new, fresh_cache, counted):
    embedded = embed(old)
    transformed = new.transform(embedded.domain)
    assert sum(counted) == 16
    expected = embed(new)
    np.testing.assert_array_equal(transformed.X, expected.X)
    assert not np.array_equal(transformed.X, embedded.X)
    assert sum(counted) == 16  # through the cache


def test_all_columns_are_computed_at_once_and_in_batches(
    old, new, fresh_cache, counted, monkeypatch
):
    domain = embed(old).domain
    del counted[:]
    tables = []
    call = EmbedImages.__call__
    monkeypatch.setattr(
        EmbedImages, "__call__", lambda *args: tables.append(1) or call(*args)
    )
    monkeypatch.setattr(pipeline, "workers", lambda: 1)
    new.transform(domain)
    assert len(tables) == 1
    assert sum(counted) == 8 > len(counted)


def test_one_column_of_them(old, new, fresh_cache):
    embedded = embed(old)
    variable = embedded.domain["n7"]
    column = new.get_column(variable)
    np.testing.assert_array_equal(column, embed(new).get_column("n7"))


def test_a_model_predicts_the_plain_table_of_another_folder(
    old, new, fresh_cache, tmp_path
):
    model = LogisticRegressionLearner()(embed(old))
    with open(tmp_path / "model.pkcls", "wb") as file:
        pickle.dump(model, file)
    with open(tmp_path / "model.pkcls", "rb") as file:
        model = pickle.load(file)
    assert not features(new)
    predicted = model(new)
    np.testing.assert_array_equal(predicted, new.Y)


@pytest.mark.parametrize(
    "make", [Normalize(), Impute(), PCA(n_components=3)], ids=lambda x: type(x).__name__
)
def test_through_further_transformations(make, old, new, fresh_cache, counted):
    made = make(embed(old))
    domain = made.domain if isinstance(made, Table) else made(embed(old)).domain
    del counted[:]
    transformed = new.transform(domain)
    assert sum(counted) == 8
    expected = embed(new).transform(domain)
    np.testing.assert_allclose(transformed.X, expected.X, rtol=1e-6)


def test_a_single_instance(old, new, fresh_cache, counted):
    model = LogisticRegressionLearner()(embed(old))
    del counted[:]
    assert [int(model(row)) for row in new] == new.Y.astype(int).tolist()
    assert sum(counted) == 8


def test_another_column_by_the_same_name(old, new, fresh_cache):
    """Images as an attribute's values, or among other metas, are found."""
    domain = embed(old).domain
    images = [
        os.path.join(new.domain["image"].attributes["origin"], name)
        for name in new.get_column("image")
    ]
    table = Table.from_numpy(
        Domain([], metas=[StringVariable("other"), StringVariable("image")]),
        np.empty((8, 0)),
        metas=np.array([["x"] * 8, images], dtype=object).T,
    )
    np.testing.assert_array_equal(table.transform(domain).X, embed(new).X)


@pytest.mark.parametrize("data", ["iris", "numeric"])
def test_without_the_images_values_are_missing(data, old, counted, fresh_cache):
    domain = embed(old).domain
    del counted[:]
    if data == "iris":
        table = Table("iris")[:3]
    else:
        table = Table.from_numpy(Domain([ContinuousVariable("image")]), np.ones((3, 1)))
    attributes = Domain(features(embed(old)))
    assert np.isnan(table.transform(attributes).X).all()
    assert np.isnan(table.transform(domain).X).all()
    assert np.isnan(domain["n0"].compute_value(table[0]))
    assert not counted


def test_images_that_cannot_be_read_are_missing(old, folders, tmp_path, fresh_cache):
    shutil.copytree(folders / "new", tmp_path / "bad")
    table, _ = ImportImages()(str(tmp_path / "bad"))
    os.remove(tmp_path / "bad" / "dark" / "1.png")
    (tmp_path / "bad" / "light" / "2.png").write_bytes(b"no image")
    domain = embed(old).domain
    with pytest.warns(
        RuntimeWarning, match=r"could not be embedded: 2, the first: .*png: "
    ):
        transformed = table.transform(domain)
    missing = np.isnan(transformed.X).all(1)
    names = table.get_column("image name")
    assert sorted(zip(table.Y[missing], names[missing], strict=True)) == [
        (0, "1"),
        (1, "2"),
    ]
    assert not np.isnan(transformed.X[~missing]).any()


def test_none_of_the_images_can_be_read(old, fresh_cache):
    domain = embed(old).domain
    table = Table.from_numpy(
        Domain([], metas=[StringVariable("image")]),
        np.empty((2, 0)),
        metas=np.array([["/no/such.png"], [""]], dtype=object),
    )
    with pytest.warns(RuntimeWarning, match="could not be embedded: 1, the first"):
        assert np.isnan(table.transform(domain).X).all()
    assert table[:0].transform(domain).X.shape == (0, len(domain.attributes))


def test_vectors_that_were_saved_as_text(old, fresh_cache, counted, tmp_path):
    """Such columns know nothing; they serve where the images are gone."""
    model = LogisticRegressionLearner()(embed(old))
    embed(old).save(str(tmp_path / "vectors.tab"))
    table = Table(str(tmp_path / "vectors.tab"))
    assert table.domain["n0"].compute_value is None
    table = table.transform(
        Domain(table.domain.attributes, table.domain.class_vars, ())
    )
    del counted[:]
    domain = embed(old).domain
    np.testing.assert_allclose(table.transform(domain).X, embed(old).X, rtol=1e-4)
    assert domain["n0"].compute_value(table[3]) == table[3]["n0"]
    np.testing.assert_array_equal(model(table), old.Y)
    assert not counted


def test_sparse_tables(old, new, fresh_cache):
    domain = embed(old).domain
    extra = [ContinuousVariable(f"x{number}") for number in range(5)]
    with_extra = Domain([*extra, *domain.attributes], metas=domain.metas)
    sparse = new.transform(Domain(extra, metas=new.domain.metas)).to_sparse()
    transformed = sparse.transform(with_extra)
    X = transformed.X.toarray() if hasattr(transformed.X, "toarray") else transformed.X
    np.testing.assert_array_equal(X[:, 5:], embed(new).X)


def test_more_rows_than_orange_transforms_at_once(old, new, fresh_cache, loads):
    domain = embed(old).domain
    many = new[np.arange(12_000) % 8]
    del loads[:]
    transformed = many.transform(domain)
    assert len(loads) <= 1
    np.testing.assert_array_equal(transformed.X[-8:], embed(new).X)


# Networks are loaded when they are needed -------------------------------------------


@pytest.fixture
def loads(monkeypatch):
    """Names of the networks that were loaded; none is kept from before."""
    monkeypatch.setattr(embedding_columns, "_keeper", embedding_columns._Keeper())
    names, load = [], OpenVinoRunner._load

    def remember(runner, *args):
        names.append(runner.spec.network.id)
        return load(runner, *args)

    monkeypatch.setattr(OpenVinoRunner, "_load", remember)
    return names


def test_row_by_row_one_network_is_loaded(old, new, fresh_cache, loads):
    model = LogisticRegressionLearner()(embed(old))
    del loads[:]
    assert [int(model(row)) for row in new] == new.Y.astype(int).tolist()
    assert loads == ["squeezenet"]


def test_the_network_is_not_kept_for_ever(old, new, fresh_cache, loads, monkeypatch):
    monkeypatch.setattr(embedding_columns, "KEPT_SECONDS", 0.01)
    domain = embed(old).domain
    closed = []
    monkeypatch.setattr(Embedder, "close", lambda self: closed.append(self))
    new.transform(domain)
    keeper = embedding_columns._keeper
    keeper._timer.join()
    assert keeper._kept is None
    assert len(closed) == 1


def test_two_threads_embed_once(old, new, fresh_cache, counted, loads):
    domain = embed(old).domain
    del counted[:], loads[:]
    with ThreadPoolExecutor(4) as pool:
        tables = list(pool.map(lambda _: new.transform(domain), range(4)))
    assert sum(counted) == 8
    assert loads == ["squeezenet"]
    for table in tables:
        np.testing.assert_array_equal(table.X, tables[0].X)


def test_who_waits_for_torch_may_stop(old, new, fresh_cache, monkeypatch):
    """Its import takes seconds, and may be the GUI thread's to wait for."""
    domain = embed(old).domain
    threads, told = [], []
    go_on = threading.Event()
    make = EmbedImages.make_embedder

    def slow(compute):
        threads.append(threading.current_thread())
        go_on.wait(20)
        return make(compute)

    @contextmanager
    def stop(_n_images):
        def callback(_fraction):
            told.append(1)
            if len(told) > 2:
                raise Cancelled

        yield callback

    monkeypatch.setattr(EmbedImages, "make_embedder", slow)
    monkeypatch.setattr(embedding_columns, "watch", stop)
    with pytest.raises(DomainTransformationError, match="cancelled"):
        new.transform(domain)
    go_on.set()
    assert threads != [threading.current_thread()]
    threads[0].join()


def test_who_waits_for_another_thread_may_stop(old, new, fresh_cache, monkeypatch):
    domain = embed(old).domain

    monkeypatch.setattr(embedding_columns, "watch", stop_at_once)
    keeper = embedding_columns._keeper
    with ThreadPoolExecutor(1) as other:
        other.submit(keeper._lock.acquire).result()
        with pytest.raises(DomainTransformationError, match="cancelled"):
            new.transform(domain)
        other.submit(keeper._lock.release).result()


def test_without_the_weights_while_none_are_needed(
    old, new, nothing_compiled, monkeypatch
):
    domain = embed(old).domain
    expected = new[:4].transform(domain)
    # What was found out about it stays, the network does not.
    for file in nothing_compiled.glob("*.xml"):
        file.unlink()
    monkeypatch.setattr(embedding_columns, "_keeper", embedding_columns._Keeper())
    monkeypatch.setattr(PackagedWeights, "available", lambda self: False)
    np.testing.assert_array_equal(new[:4].transform(domain).X, expected.X)
    assert len(new[:0].transform(domain)) == 0
    with pytest.raises(DomainTransformationError, match=r"weight file .* is missing"):
        new.transform(domain)


@pytest.mark.parametrize("error", [RuntimeError("odd"), OSError("odd"), MemoryError()])
def test_whatever_fails_is_what_orange_expects(
    error, old, new, fresh_cache, monkeypatch
):
    domain = embed(old).domain

    def fail(*_):
        raise error

    monkeypatch.setattr(OpenVinoRunner, "__call__", fail)
    with pytest.raises(DomainTransformationError, match=r"odd|memory"):
        new.transform(domain)


# Neither twice nor by accident --------------------------------------------------------


def test_the_output_of_the_embedder_is_filled_at_once(old, fresh_cache, counted):
    embedded = embed(old, cache=False)
    assert sum(counted) == 8
    assert len(features(embedded)) == 1000
    assert not np.isnan(embedded.X).any()


def test_work_on_an_embedded_table_copies(old, fresh_cache, counted):
    embedded = embed(old, cache=False)
    del counted[:]
    domain = embedded.domain
    kept = features(embedded)[3:7]
    for table in (
        embedded[::2],
        embedded[[1, 5]],
        embedded.transform(Domain(kept, domain.class_vars, domain.metas)),
        embedded.transform(Domain(kept)),
        embedded.transform(Domain([], domain.class_vars, [*domain.metas, *kept])),
        Table.concatenate([embedded[:4], embedded[4:]]),
        copy.deepcopy(embedded),
        pickle.loads(pickle.dumps(embedded)),
        Normalize()(embedded),
        PCA(n_components=2)(embedded)(embedded),
    ):
        assert not np.isnan(table.X).any()
    assert not counted


def test_test_and_score_embeds_nothing(tmp_path, fresh_cache, counted):
    """A thousand rows, cross-validated with learners that preprocess."""
    paths = [str(tmp_path / f"{number}.png") for number in range(10)]
    for seed, path in enumerate(paths):
        make_image(seed).save(path)
    table = Table.from_numpy(
        Domain([], [], [StringVariable("image")]),
        np.empty((1000, 0)),
        np.empty((1000, 0)),
        np.array(paths * 100, dtype=object)[:, None],
    )
    table = embed(table)
    domain = Domain(
        features(table)[:20], Table("iris").domain["iris"], table.domain.metas
    )
    data = table.transform(domain)
    with data.unlocked(data.Y):
        data.Y[:] = np.arange(1000) % 3
    assert sum(counted) == 10
    del counted[:]
    learners = [LogisticRegressionLearner(max_iter=5), MajorityLearner()]
    results = CrossValidation(k=3)(data, learners)
    assert results.predicted.shape == (2, 1000)
    assert not results.failed[0] and not results.failed[1]
    assert not counted


# Equality ---------------------------------------------------------------------------


def test_two_tables_embedded_the_same_way_match(old, new, fresh_cache, counted):
    first, second = embed(old), embed(new)
    assert first.domain.attributes == second.domain.attributes
    assert hash(first.domain.attributes) == hash(second.domain.attributes)
    del counted[:]
    together = Table.concatenate([first, second.transform(first.domain)])
    np.testing.assert_array_equal(together.X[8:], second.X)
    assert not counted


@pytest.mark.filterwarnings("ignore:This processor has no instructions")
@pytest.mark.parametrize(
    "options",
    [
        {"layer": "penultimate"},
        {"layer": "features.8"},
        {"fit": "pad"},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_two_tables_embedded_differently_do_not_match(options, old, fresh_cache):
    first = embed(old, precision="float32")
    second = embed(old, **{"precision": "float32"} | options)
    one, other = features(first)[0], features(second)[0]
    assert one.name == other.name == "n0"
    assert one != other
    # So that columns of the one are not taken for those of the other.
    assert not np.allclose(
        first.transform(second.domain).get_column(other), first.get_column(one)
    )


def test_what_is_said_and_what_is_understood_are_equal(old, fresh_cache):
    first, second = embed(old), embed(old, layer="logits", fit="stretch")
    values = [v.compute_value for v in (first.domain[0], second.domain[0])]
    assert values[0] == values[1] and hash(values[0]) == hash(values[1])


def test_features_differ_by_their_index(old, fresh_cache):
    one, other = features(embed(old))[:2]
    assert one.compute_value != other.compute_value
    assert one.compute_value.compute_shared is other.compute_value.compute_shared
    shared = one.compute_value.compute_shared
    assert one.compute_value == EmbeddingFeature(shared, 0, "n0")


# Pickles ----------------------------------------------------------------------------


def test_pickles_are_small_and_hold_no_weights(old, fresh_cache):
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        embedded = embedder(old, col="image")[0]
        content = pickle.dumps(embedded.domain["n5"])
    assert len(content) < 1500
    assert b"torch" not in content
    again = pickle.loads(content)
    assert again == embedded.domain["n5"]
    assert again.attributes["hidden"]


def test_a_pickle_opens_in_a_process_of_its_own(old, new, fresh_cache, tmp_path):
    """Without torch, which this network does not need on the CPU."""
    model = MajorityLearner()(embed(old))
    pickled = tmp_path / "model.pkcls"
    pickled.write_bytes(pickle.dumps((model.domain, new)))
    code = f"""
        import pickle, sys
        with open({str(pickled)!r}, "rb") as file:
            domain, new = pickle.load(file)
        assert domain["n0"].compute_value is not None
        assert "torch" not in sys.modules
        table = new.transform(domain)
        assert "torch" not in sys.modules
        print(repr(float(table.X.sum())))
    """
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout) == pytest.approx(embed(new).X.sum(), rel=1e-6)


def first_column(shared, **changes):
    """The first column of an embedding that differs from another."""
    spec = dataclasses.replace(shared.spec, **changes)
    compute = EmbedImages(shared.column, spec)
    return ContinuousVariable("n0", compute_value=EmbeddingFeature(compute, 0, "n0"))


def test_a_network_that_is_not_here(old, new, fresh_cache, monkeypatch, tmp_path):
    feature = embed(old).domain["n0"].compute_value
    shared = feature.compute_shared
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    network = NetworkReference("resnet50", "resnet50-11ad3fa6.pth")
    variable = first_column(shared, network=network, layer="penultimate")
    with pytest.raises(
        DomainTransformationError,
        match=r"ResNet-50 is not on this computer.*download resnet50",
    ):
        new.transform(Domain([variable]))
    assert not (tmp_path / "torch").exists()  # nor downloaded unasked


def test_other_weights_than_those_trained_on(old, new, fresh_cache):
    shared = embed(old).domain["n0"].compute_value.compute_shared
    network = NetworkReference("squeezenet", "of before")
    variable = first_column(shared, network=network)
    with pytest.raises(DomainTransformationError, match=r"SqueezeNet.*changed"):
        new.transform(Domain([variable]))


def test_a_network_of_a_later_version(old, new, fresh_cache):
    shared = embed(old).domain["n0"].compute_value.compute_shared
    network = NetworkReference("of-2031", "sha256")
    variable = first_column(shared, network=network)
    with pytest.raises(DomainTransformationError, match="'of-2031' is not a valid"):
        new.transform(Domain([variable]))


# Networks of one's own --------------------------------------------------------------


@pytest.fixture(scope="module")
def own_networks(tmp_path_factory):
    """Two small networks in files, without a word on how images are prepared."""
    folder = tmp_path_factory.mktemp("networks")
    for seed, name in enumerate(("cells", "other")):
        make_network_file(folder / f"{name}.pt", seed=seed)
    return folder


PREPARED = {"size": 16, "mean": [0.5] * 3, "std": [0.25] * 3, "fit": "pad"}


@pytest.fixture
def own(own_networks, tmp_path, monkeypatch):
    """A folder with such a file, to be moved and changed."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    shutil.copy(own_networks / "cells.pt", tmp_path / "cells.pt")
    return tmp_path


def embed_with(path, table, **options):
    options = {"preprocessing": PREPARED, **options}
    with ImageEmbedder(path, "cpu", **options) as embedder:
        return embedder(table, col="image")[0]


def test_a_network_from_a_file(old, new, own, fresh_cache):
    embedded = embed_with(own / "cells.pt", old)
    assert len(features(embedded)) == 4
    again = pickle.loads(pickle.dumps(embedded.domain))
    expected = embed_with(own / "cells.pt", new)
    np.testing.assert_array_equal(new.transform(again).X, expected.X)
    assert again.attributes == expected.domain.attributes


def test_a_network_from_a_file_that_names_its_classes(old, new, own, fresh_cache):
    values = {**PREPARED, "classes": list("abcd")}
    named = embed_with(own / "cells.pt", old, preprocessing=values, layer="logits")
    plain = embed_with(own / "cells.pt", old, preprocessing=values)
    assert [v.name for v in named.domain.attributes] == list("abcd")
    assert [v.name for v in plain.domain.attributes] == [f"n{i}" for i in range(4)]
    for domain in (named.domain, plain.domain):
        domain = pickle.loads(pickle.dumps(domain))
        assert np.isfinite(new.transform(domain).X).all()


def test_where_the_file_lies_makes_no_difference(old, new, own, fresh_cache, counted):
    embedded = embed_with(own / "cells.pt", old)
    os.mkdir(own / "elsewhere")
    shutil.move(own / "cells.pt", own / "elsewhere" / "renamed.pt")
    other = embed_with(own / "elsewhere" / "renamed.pt", old)
    assert other.domain.attributes == embedded.domain.attributes
    assert sum(counted) == 8  # nor is it embedded again


@pytest.mark.parametrize("change", [{"fit": "stretch"}, {"std": [0.2] * 3}], ids=str)
def test_how_images_are_prepared_makes_a_difference(
    change, old, own, fresh_cache, counted
):
    embedded = embed_with(own / "cells.pt", old)
    other = embed_with(own / "cells.pt", old, preprocessing={**PREPARED, **change})
    assert other.domain.attributes != embedded.domain.attributes
    assert sum(counted) == 16


def test_the_file_is_missing(old, new, own, fresh_cache):
    domain = embed_with(own / "cells.pt", old).domain
    content = (own / "cells.pt").read_bytes()
    os.remove(own / "cells.pt")
    checkpoints = own / "torch" / "hub" / "checkpoints"
    with pytest.raises(DomainTransformationError) as error:
        new.transform(domain)
    assert str(own / "cells.pt") in str(error.value)
    assert str(checkpoints / "cells.pt") in str(error.value)
    # It helps to do as it says.
    checkpoints.mkdir(parents=True)
    (checkpoints / "cells.pt").write_bytes(content)
    assert np.isfinite(new.transform(domain).X).all()


def test_the_file_has_changed(old, new, own, own_networks, fresh_cache):
    domain = embed_with(own / "cells.pt", old).domain
    shutil.copy(own_networks / "other.pt", own / "cells.pt")
    with pytest.raises(DomainTransformationError, match=r"cells\.pt has changed"):
        new.transform(domain)


# Watching ---------------------------------------------------------------------------


def test_who_watches_is_told_and_may_stop_it(old, new, fresh_cache, monkeypatch):
    domain = embed(old).domain
    told = []

    @contextmanager
    def watch(n_images):
        told.append(n_images)
        yield told.append
        told.append("end")

    monkeypatch.setattr(embedding_columns, "watch", watch)
    new.transform(domain)
    assert (told[0], told[1], told[-2], told[-1]) == (8, 0, 1, "end")

    monkeypatch.setattr(embedding_columns, "watch", stop_at_once)
    with pytest.raises(DomainTransformationError, match="cancelled"):
        new.transform(domain)


# The columns themselves -----------------------------------------------------------


def test_names_of_classes(old, fresh_cache):
    named = embed(old, layer="logits")
    plain = embed(old)
    names = [variable.name for variable in named.domain.attributes[-1000:]]
    assert names[0] == "tench"
    assert names[999] == "toilet tissue"
    assert "hidden" not in named.domain["tench"].attributes
    assert plain.domain["n0"].attributes["hidden"]
    np.testing.assert_array_equal(named.X, plain.X)


def test_names_that_are_taken(old):
    vectors = np.zeros((8, 3))
    table = embedding_columns.append_vectors(old, vectors, names=["a", "size", "a"])
    names = [variable.name for variable in table.domain.attributes]
    assert names == ["a (1)", "size (1)", "a (2)"]
    # There are not as many: better none than wrong ones.
    table = embedding_columns.append_vectors(old, vectors, names=["a", "b"])
    assert [v.name for v in table.domain.attributes] == ["n0", "n1", "n2"]


def test_vectors_are_copied_once():
    n_rows, n_features = 20 * embedding_columns.ROWS_AT_ONCE, 50
    paths = np.full((n_rows, 1), "a.png", dtype=object)
    data = Table.from_numpy(
        Domain([], metas=[StringVariable("image")]), np.empty((n_rows, 0)), metas=paths
    )
    generator = np.random.default_rng(0)
    vectors = generator.random((n_rows, n_features), np.float32)
    rows = generator.permutation(n_rows)
    rows[::100] = -1
    tracemalloc.start()
    try:
        embedded, skipped = embedding_columns.split_by_vectors(data, vectors, rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Another copy would be at least half as large.
    assert peak < 1.2 * embedded.X.nbytes
    np.testing.assert_array_equal(embedded.X, vectors[rows[rows >= 0]])
    assert len(skipped) == (rows < 0).sum() > 0


def test_distances_take_the_table(old):
    """Those of Orange refuse numbers that are not float64."""
    assert np.isfinite(Euclidean(embed(old))).all()
    assert np.isfinite(Manhattan(embed(old))).all()


def test_an_instance_is_not_kept_alive(old, new, fresh_cache):
    domain = embed(old).domain
    row = new[0]
    assert np.isfinite(domain["n0"].compute_value(row))
    assert np.isfinite(domain["n1"].compute_value(row))
    before = embedding_columns._last.embedded[0]
    assert before() is row
    del row
    gc.collect()
    assert before() is None


def test_no_warnings_in_ordinary_use(old, new, fresh_cache):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new.transform(embed(old).domain)


# Deep images and pages --------------------------------------------------------------


@pytest.fixture
def stacks(tmp_path):
    """Two folders of stacks."""
    for seed, name in enumerate(("first", "second")):
        (tmp_path / name).mkdir()
        save_stack(tmp_path / name / "cells.tif", n_planes=3, seed=10 * seed)
    return tmp_path


@pytest.mark.parametrize("intensity", ["auto", "full", (0, 4095)])
def test_another_folder_is_embedded_with_the_same_intensity(
    stacks, intensity, fresh_cache
):
    first, second = (
        ImportImages()(str(stacks / name))[0] for name in ("first", "second")
    )
    embedded = embed(first, intensity=intensity)
    compute = embedded.domain.attributes[0].compute_value.compute_shared
    assert compute.spec.intensity == intensity
    expected = embed(second, intensity=intensity)
    domain = pickle.loads(pickle.dumps(embedded.domain))
    np.testing.assert_array_equal(second.transform(domain).X, expected.X)
    assert expected.domain == embedded.domain


def test_pages_of_another_folder(stacks, fresh_cache):
    first, second = (
        ImportImages(pages="all")(str(stacks / name))[0] for name in ("first", "second")
    )
    embedded = embed(first)
    found = second.transform(embedded.domain)
    assert found.X.shape == (6, 1000)
    np.testing.assert_array_equal(found.X, embed(second).X)
    # A single row, as Predictions asks for.
    row = embedded.domain.attributes[7].compute_value(second[3])
    assert row == pytest.approx(found.X[3, 7])


def test_intensity_makes_a_difference(stacks, fresh_cache):
    table, _ = ImportImages()(str(stacks / "first"))
    assert embed(table).domain != embed(table, intensity="full").domain


@pytest.mark.parametrize("intensity", [{}, {"intensity": "auto"}], ids=str)
def test_what_earlier_versions_have_pickled(intensity, old, fresh_cache):
    """With the values one by one, at first without an intensity."""
    compute = embed(old).domain.attributes[0].compute_value.compute_shared
    earlier = EmbedImages.__new__(EmbedImages)
    earlier.__setstate__(
        {
            "column": "image",
            "weights": compute.spec.network.fingerprint,
            "layer": "logits",
            "preprocessing": compute.spec.preprocessing,
            "precision": None,
            "model": "squeezenet",
            **intensity,
        }
    )
    assert earlier == compute and hash(earlier) == hash(compute)
    assert earlier.make_embedder().spec.intensity == "auto"
    assert pickle.loads(pickle.dumps(earlier)) == earlier


# Files that can run code, and weights in files ------------------------------------


def test_a_model_of_another_computer_opens_nothing(
    old, new, own, fresh_cache, nothing_trusted
):
    path = make_harmful_file(own / "harm.pt2", own / "sprung")
    options = {"preprocessing": {**PREPARED, "size": 40}, "cache": False}
    embedded = embed_with(path, old, trust=True, **options)
    model = pickle.dumps(embedded.domain)
    assert b"trust" not in model
    (own / "sprung").rmdir()
    # There, nobody has vouched for it.
    trust._vouched.clear()
    shutil.rmtree(nothing_trusted)
    domain = pickle.loads(model)
    with pytest.raises(DomainTransformationError, match=r"harm\.pt2 can run any"):
        new.transform(domain)
    assert not (own / "sprung").exists()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of a network of torchvision, without a word on which."""
    from torchvision.models import squeezenet1_1

    path = tmp_path_factory.mktemp("weights") / "cells.pth"
    torch.manual_seed(0)
    torch.save(squeezenet1_1(num_classes=3).state_dict(), path)
    return str(path)


ARCHITECTURE = {"architecture": "torchvision:squeezenet1_1", "classes": 3, "size": 64}


def test_weights_in_a_file(old, new, weights, fresh_cache):
    """What was said of them by hand is known to the columns."""
    options = {"preprocessing": ARCHITECTURE, "layer": "logits"}
    embedded = embed_with(weights, old, **options)
    assert len(features(embedded)) == 3
    again = pickle.loads(pickle.dumps(embedded.domain))
    expected = embed_with(weights, new, **options)
    np.testing.assert_array_equal(new.transform(again).X, expected.X)


def test_weights_read_as_another_network(old, new, weights, fresh_cache):
    shared = embed_with(weights, old, preprocessing=ARCHITECTURE).domain["n0"]
    shared = shared.compute_value.compute_shared
    about = (("architecture", "torchvision:squeezenet1_0"), ("classes", 3))
    network = dataclasses.replace(shared.spec.network, about=about)
    with pytest.raises(DomainTransformationError, match="has changed"):
        new.transform(Domain([first_column(shared, network=network)]))
