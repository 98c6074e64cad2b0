import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import SOON, make_harmful_file, make_image, make_network_file
from image_files import save_stack
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table
from scipy import sparse

from orangecontrib.imageanalytics import image_embedder as module
from orangecontrib.imageanalytics.engine import batches
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.errors import Cancelled, ModelError, TrustNeededError
from orangecontrib.imageanalytics.image_embedder import (
    MODELS,
    ImageEmbedder,
    cache_info,
    clear_cache,
)
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.registry import find_network


@pytest.fixture
def table(photos):
    return ImportImages()(os.path.dirname(os.path.dirname(photos[0])))[0]


# What comes out -----------------------------------------------------------------------


def test_paths(embedder, photos):
    vectors = embedder(photos)
    assert len(vectors) == 6
    assert all(v.shape == (1000,) and v.dtype == np.float32 for v in vectors)
    assert embedder.failures == {}
    assert len({v.tobytes() for v in vectors}) == 6


def test_table(embedder, table, photos):
    embedded, skipped, n_skipped = embedder(table, col="image")
    assert (skipped, n_skipped) == (None, 0)
    assert embedded.name == "Embedded images"
    assert [a.name for a in embedded.domain.attributes[:2]] == ["n0", "n1"]
    assert len(embedded.domain.attributes) == 1000
    assert all(a.attributes["hidden"] for a in embedded.domain.attributes)
    assert embedded.domain.class_vars == table.domain.class_vars
    assert embedded.domain.metas == table.domain.metas
    np.testing.assert_array_equal(embedded.ids, table.ids)
    np.testing.assert_array_equal(embedded.Y, table.Y)
    np.testing.assert_allclose(embedded.X, np.stack(embedder(photos)), rtol=1e-6)


def test_unreadable_rows_are_skipped(embedder, table, photos):
    os.remove(photos[1])
    open(photos[4], "wb").close()
    embedded, skipped, n_skipped = embedder(table, "image")
    assert n_skipped == len(skipped) == 2
    assert skipped.name == "Skipped images"
    np.testing.assert_array_equal(skipped.ids, table.ids[[1, 4]])
    np.testing.assert_array_equal(embedded.ids, table.ids[[0, 2, 3, 5]])
    assert embedder.failures == {
        photos[1]: "file not found",
        photos[4]: "file is empty",
    }
    expected = [embedder([photos[index]])[0] for index in (0, 2, 3, 5)]
    np.testing.assert_allclose(embedded.X, expected, rtol=1e-6)


def test_columns_before_the_vectors_are_kept(embedder, table):
    extra = ContinuousVariable("n0")
    domain = Domain([extra], table.domain.class_vars, table.domain.metas)
    table = table.transform(domain)
    with table.unlocked(table.X):
        table.X[:, 0] = np.arange(6)
    embedded, *_ = embedder(table, "image")
    np.testing.assert_array_equal(embedded.X[:, 0], np.arange(6))
    names = [a.name for a in embedded.domain.attributes]
    assert len(set(names)) == 1001
    twice, *_ = embedder(embedded, "image")
    np.testing.assert_array_equal(twice.X[:, 1:1001], twice.X[:, 1001:])


def test_subclass_of_table_is_kept(embedder, table):
    class Corpus(Table):
        pass

    corpus = Corpus.from_table(table.domain, table)
    embedded, *_ = embedder(corpus, "image")
    assert type(embedded) is Corpus


@pytest.mark.parametrize("n_columns", [2, 2500], ids=["few", "most columns"])
def test_sparse_table(embedder, table, n_columns):
    """Orange keeps a table sparse while most of its columns are."""
    columns = [ContinuousVariable(f"c{i}", sparse=True) for i in range(n_columns)]
    table = table.transform(Domain(columns, None, table.domain.metas))
    values = np.arange(6.0 * n_columns).reshape(6, n_columns)
    with table.unlocked_reference():
        table.X = sparse.csr_matrix(values)
    embedded, *_ = embedder(table, "image")
    assert sparse.issparse(embedded.X) == (n_columns > 2)
    X = embedded.X.toarray() if sparse.issparse(embedded.X) else embedded.X
    np.testing.assert_array_equal(X[:, :n_columns], values)
    paths = column_sources(table, "image")
    np.testing.assert_allclose(X[:, n_columns:], embedder(paths), rtol=1e-6)
    assert np.isfinite(X).all()


def test_categorical_column(embedder, photos):
    variable = DiscreteVariable("file", values=("photo 1.jpg", "photo 0.jpg"))
    variable.attributes["origin"] = os.path.dirname(photos[0])
    values = np.array([[1], [0], [np.nan], [1]])
    table = Table.from_numpy(
        Domain([], metas=[variable]), np.empty((4, 0)), metas=values
    )
    embedded, _, n_skipped = embedder(table)
    assert (len(embedded), n_skipped) == (3, 1)
    expected = embedder([photos[0], photos[1], photos[0]])
    np.testing.assert_allclose(embedded.X, expected, rtol=1e-6)


def test_no_rows_and_no_images(embedder, table):
    assert embedder(table[:0], "image") == (None, None, 0)
    assert embedder([]) == []
    assert embedder([None, "", " ", float("nan")]) == [None] * 4
    assert embedder.failures == {}
    with table.unlocked(table.metas):
        table.metas[:, 1] = ""
    embedded, skipped, n_skipped = embedder(table, "image")
    assert embedded is None
    assert (len(skipped), n_skipped) == (6, 6)


def test_no_such_column(embedder, table):
    with pytest.raises(ValueError, match="no column 'photo'"):
        embedder(table, "photo")
    with pytest.raises(ValueError, match="no column that could name images"):
        embedder(Table("iris"))
    with pytest.raises(ValueError, match="numeric"):
        embedder(table, "width")


def test_first_image_column_is_the_default(embedder, table):
    assert len(embedder(table)[0]) == 6


def test_other_types_of_data(embedder, photos):
    expected = np.stack(embedder(photos))
    for convert in (os.fsencode, pathlib.Path):
        np.testing.assert_array_equal(
            embedder([convert(path) for path in photos]), expected
        )
    np.testing.assert_array_equal(np.stack(embedder(np.array(photos))), expected)
    with pytest.raises(TypeError, match="Table or a list"):
        embedder("a.jpg")


# Always the same vectors --------------------------------------------------------------


def close(first, second):
    np.testing.assert_allclose(
        np.stack(first), np.stack(second), rtol=1e-4, atol=1e-4 * np.abs(second).max()
    )


def test_batch_size_order_and_cache_do_not_matter(photos, fresh_cache):
    with ImageEmbedder("efficientnet-lite0", "cpu", cache=False) as embedder:
        expected = embedder(photos)
    for batch_size in (1, 5):
        with ImageEmbedder(
            "efficientnet-lite0", "cpu", batch_size=batch_size
        ) as embedder:
            clear_cache()
            close(embedder(photos[::-1])[::-1], expected)
            assert embedder.statistics.n_cached == 0
            close(embedder(photos), expected)
            assert embedder.statistics.n_cached == 6


def test_second_run_reads_no_file(embedder, photos, fresh_cache, monkeypatch, counted):
    first = embedder(photos)
    assert sum(counted) == 6
    monkeypatch.setattr(batches, "opened", None)
    np.testing.assert_array_equal(embedder(photos), first)
    assert sum(counted) == 6
    assert embedder.statistics.n_cached == 6


def test_moved_and_changed_files(embedder, photos, fresh_cache, counted):
    first = embedder(photos)
    moved = photos[0] + ".moved.jpg"
    os.rename(photos[0], moved)
    np.testing.assert_array_equal(embedder([moved])[0], first[0])
    assert sum(counted) == 6
    status = os.stat(photos[1])
    make_image(99, (320, 240)).save(photos[1])
    os.utime(photos[1], ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    assert np.abs(embedder([photos[1]])[0] - first[1]).max() > 0.1


@pytest.mark.filterwarnings("ignore:This processor has no instructions")
def test_networks_do_not_share_vectors(photos, fresh_cache):
    for model in ("squeezenet", "efficientnet-lite0", "efficientnet-lite2"):
        with ImageEmbedder(model, "cpu", precision="float32") as embedder:
            embedder(photos[:1])
            assert embedder.statistics.n_cached == 0
    with ImageEmbedder("squeezenet", "cpu", precision="bfloat16") as embedder:
        embedder(photos[:1])
        assert embedder.statistics.n_cached == 0


# Progress and stopping ----------------------------------------------------------------


def test_progress(embedder, photos, fresh_cache):
    for _ in range(2):
        fractions, threads = [], set()

        def report(fraction, fractions=fractions, threads=threads):
            fractions.append(fraction)
            threads.add(threading.current_thread())

        embedder(photos, callback=report)
        assert fractions == sorted(fractions)
        assert (fractions[0], fractions[-1]) == (0, 1)
        assert threads == {threading.current_thread()}


@pytest.fixture
def slow(embedder, monkeypatch):
    """Every batch takes a second."""
    call = OpenVinoRunner.__call__

    def wait(runner, squares, cancelled):
        time.sleep(1)
        return call(runner, squares, cancelled)

    monkeypatch.setattr(OpenVinoRunner, "__call__", wait)
    return embedder


@pytest.fixture
def many(tmp_path):
    paths = []
    for index in range(60):
        paths.append(str(tmp_path / f"{index}.png"))
        make_image(1000 + index, (20, 20)).save(paths[-1])
    return paths


def test_cancel_from_another_thread(slow, many, fresh_cache):
    done = []

    def cancel(fraction):
        if fraction > 0.1 and not done:
            done.append(time.perf_counter())
            threading.Thread(target=slow.cancel).start()

    with pytest.raises(Cancelled):
        slow(many, callback=cancel)
    assert time.perf_counter() - done[0] < SOON
    assert 0 < cache_info()["entries"] < 60
    n_kept = cache_info()["entries"]
    slow(many)
    assert slow.statistics.n_cached == n_kept


def test_calls_in_two_threads_do_not_stop_each_other(embedder, many, fresh_cache):
    vectors, started = [], threading.Event()

    def run():
        vectors.extend(embedder(many, callback=lambda _fraction: started.set()))

    class Stop(Exception):
        pass

    def stop(fraction):
        raise Stop

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    with pytest.raises(Stop):
        embedder(many, callback=stop)
    thread.join()
    assert len(vectors) == 60


def test_loading_a_network_does_not_disturb_another(embedder, many, fresh_cache):
    """Tracing a network with torch.fx did."""
    vectors, loaded = [], threading.Event()

    def run():
        while not loaded.is_set():
            clear_cache()
            vectors.append(embedder(many[:8]))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        for _ in range(3):
            ImageEmbedder("efficientnet-lite2", "cpu").load()
    finally:
        loaded.set()
        thread.join()
    assert vectors
    assert embedder.failures == {}


def test_exception_in_the_callback(slow, many, fresh_cache):
    class Stop(Exception):
        pass

    raised = []

    def stop(fraction):
        if fraction > 0.1:
            raised.append(time.perf_counter())
            raise Stop

    with pytest.raises(Stop):
        slow(many, callback=stop)
    assert time.perf_counter() - raised[0] < SOON
    assert 0 < cache_info()["entries"] < 60


KILLED = """
import os, sys
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
def die(fraction):
    if fraction > 0.5:
        os.kill(os.getpid(), 9)
from orangecontrib.imageanalytics.engine import cache
cache.FLUSH_SECONDS = 0
ImageEmbedder("squeezenet", "cpu", batch_size=2)(sys.argv[1:], callback=die)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_killed_in_the_middle(embedder, many, fresh_cache):
    process = subprocess.run([sys.executable, "-c", KILLED, *many])
    assert process.returncode == -9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = embedder(many)
    assert embedder.statistics.n_cached >= 20
    assert all(vector is not None for vector in vectors)


# What goes wrong -------------------------------------------------------------------


def test_cache_folder_that_cannot_be_used(embedder, photos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ORANGE_IMAGEANALYTICS_CACHE_DIR", str(tmp_path / "file" / "x"))
    with pytest.warns(RuntimeWarning, match="not cached"):
        vectors = embedder(photos)
    assert all(vector is not None for vector in vectors)


def test_an_error_in_the_engine_is_not_swallowed(
    embedder, photos, monkeypatch, fresh_cache
):
    def fail(*_):
        raise RuntimeError("unexpected")

    monkeypatch.setattr(OpenVinoRunner, "__call__", fail)
    with pytest.raises(RuntimeError, match="unexpected"):
        embedder(photos)


# The rest of the class ----------------------------------------------------------------


def test_arguments_of_earlier_versions():
    with pytest.deprecated_call(match="server_url is ignored"):
        ImageEmbedder("squeezenet", server_url="https://example.com")
    with pytest.deprecated_call():
        embedder = ImageEmbedder("squeezenet", "https://example.com")
    assert embedder.is_local_embedder()
    with pytest.raises(ValueError, match="server"):
        ImageEmbedder("painters")
    with pytest.raises(ValueError, match="batch_size"):
        ImageEmbedder(batch_size=0)
    assert ImageEmbedder().model == "efficientnet-lite0"


def test_unknown_device(photos):
    with pytest.raises(ValueError, match="'abacus' is not a device"):
        ImageEmbedder(device="abacus")(photos)


def test_tables_as_scripts_make_them(embedder, table):
    vectors = [np.full(3, row, float) if row != 2 else None for row in range(6)]
    embedded, skipped, n_skipped = ImageEmbedder.prepare_output_data(table, vectors)
    assert (len(embedded), len(skipped), n_skipped) == (5, 1, 1)
    np.testing.assert_array_equal(embedded.X[:, 1], [0, 1, 3, 4, 5])
    whole = ImageEmbedder.construct_output_data_table(table, np.ones((6, 2)))
    assert [a.name for a in whole.domain.attributes] == ["n0", "n1"]


def test_calls_in_two_threads_have_their_own_results(photos, tmp_path, fresh_cache):
    embedder = ImageEmbedder("squeezenet", "cpu")
    together = threading.Barrier(2, timeout=60)

    def call(sources):
        waited = []

        def callback(_fraction):
            if not waited:
                waited.append(together.wait())

        embedder(sources, callback=callback)
        together.wait()
        return embedder.failures, embedder.statistics

    lost = [str(tmp_path / name) for name in ("a.png", "b.png")]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(call, [[lost[0], *photos[:2]], [lost[1], photos[2]]])
    assert first[0] == {lost[0]: "file not found"}
    assert second[0] == {lost[1]: "file not found"}
    assert (first[1].n_images, second[1].n_images) == (3, 2)
    # Who called nothing sees one of them; who calls, that which is left by it.
    assert embedder.failures in (first[0], second[0])
    embedder(photos[:1])
    assert embedder.failures == {}
    assert embedder.statistics.n_images == 1


def test_failures_of_a_call_that_was_stopped(photos, tmp_path, fresh_cache):
    lost = str(tmp_path / "a.png")
    embedder = ImageEmbedder("squeezenet", "cpu")

    def callback(fraction):
        if fraction == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        embedder([lost, photos[0]], callback=callback)
    assert embedder.failures == {lost: "file not found"}
    assert embedder.statistics is None


def test_a_network_instead_of_its_name(photos, fresh_cache):
    network = find_network("squeezenet")
    with ImageEmbedder(network, "cpu") as embedder:
        by_network = embedder(photos[:1])
    assert embedder.model is network
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        np.testing.assert_array_equal(embedder(photos[:1]), by_network)
        assert embedder.statistics.n_cached == 1
    assert ImageEmbedder.available(network)
    assert ImageEmbedder.stages(network) == ImageEmbedder.stages("squeezenet")
    assert ImageEmbedder.check(network) == 1000
    ImageEmbedder.download(network)
    with pytest.raises(ValueError, match="has its preprocessing"):
        ImageEmbedder(network, preprocessing={"size": 32})


@pytest.mark.parametrize("layer", [None, "features.3"])
def test_check_layer(layer):
    ImageEmbedder("squeezenet", "cpu", layer=layer).check_layer()


def test_check_layer_that_there_is_not():
    with pytest.raises(ValueError, match=r"no layer 'attic'; named stages: features"):
        ImageEmbedder("squeezenet", "cpu", layer="attic").check_layer()


def test_models_as_scripts_read_them():
    assert MODELS["squeezenet"]["target_image_size"] == (227, 227)
    assert sorted(MODELS, key=lambda m: MODELS[m]["order"])[0] == "efficientnet-lite0"
    assert MODELS["inception-v3"]["name"] == "Inception v3"


def test_available(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    assert ImageEmbedder.available()
    assert not ImageEmbedder.available("resnet50")
    with pytest.raises(ValueError):
        ImageEmbedder.available("no such")


def test_clearing_one_network(embedder, photos, fresh_cache):
    embedder(photos)
    with ImageEmbedder("efficientnet-lite0", "cpu") as other:
        other(photos[:2])
    embedder.clear_cache()
    assert cache_info()["entries"] == 2
    module.clear_cache()
    assert cache_info()["entries"] == 0


def test_without_cache(photos, fresh_cache):
    with ImageEmbedder("squeezenet", "cpu", cache=False) as embedder:
        embedder(photos[:1])
        embedder(photos[:1])
        assert embedder.statistics.n_cached == 0
    assert not fresh_cache.exists()


# Layer and fit ----------------------------------------------------------------------


def test_check(tmp_path):
    assert ImageEmbedder.check("squeezenet") == 1000
    path = make_network_file(tmp_path / "cells.pt")
    values = {"size": 40, "mean": [0.5] * 3, "std": [0.2] * 3}
    assert ImageEmbedder.check(path, values) == 4
    path = make_network_file(tmp_path / "grey.pt", channels=1)
    with pytest.raises(ModelError, match=re.escape("grey.pt")):
        ImageEmbedder.check(path, values)
    with pytest.raises(ValueError, match="nonesuch"):
        ImageEmbedder.check("nonesuch")


def test_stages():
    stages = ImageEmbedder.stages("efficientnet-lite0")
    assert stages[-1] == "features.17"
    with pytest.raises(ValueError, match="'nonesuch' is not a valid model"):
        ImageEmbedder.stages("nonesuch")


def test_no_such_layer(photos):
    with (
        ImageEmbedder("squeezenet", "cpu", layer="attic") as embedder,
        pytest.raises(ValueError, match=r"SqueezeNet: .*'attic'.*features\.13"),
    ):
        embedder(photos)


def test_no_such_fit():
    with pytest.raises(ValueError, match=r"'shrink' is not a fit.*crop, stretch, pad"):
        ImageEmbedder(fit="shrink")


def test_fit_decides_what_of_a_wide_image_is_seen(tmp_path, fresh_cache):
    """Two images alike in the middle differ unless the rim is cut off."""
    middle = make_image(1, (240, 240))
    paths = []
    for seed in (2, 3):
        image = make_image(seed, (480, 240))
        image.paste(middle, (120, 0))
        paths.append(str(tmp_path / f"{seed}.png"))
        image.save(paths[-1])

    def same(fit):
        with ImageEmbedder("efficientnet-lite0", "cpu", fit=fit) as embedder:
            one, other = embedder(paths)
        return np.array_equal(one, other)

    assert same(None) and same("crop")
    assert not same("stretch") and not same("pad")


def test_layer_and_fit_have_places_of_their_own_in_the_cache(photos, fresh_cache):
    choices = [
        {},
        {"layer": "logits"},
        {"layer": "features.17"},
        {"fit": "pad"},
        {"fit": "stretch"},
        {"fit": "pad", "layer": "logits"},
    ]
    for options in choices:
        with ImageEmbedder(device="cpu", **options) as embedder:
            embedder(photos)
            assert embedder.statistics.n_cached == 0
    with ImageEmbedder(device="cpu", layer="penultimate", fit="crop") as embedder:
        embedder(photos)
        assert embedder.statistics.n_cached == len(photos)
        embedder.clear_cache()
    assert cache_info()["entries"] == (len(choices) - 1) * len(photos)


def test_none_of_the_images(tmp_path, fresh_cache):
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        assert embedder([str(tmp_path / "no.png"), None, ""]) == [None] * 3
        assert embedder([]) == []


# Intensity -------------------------------------------------------------------------


def test_no_such_intensity():
    with pytest.raises(ValueError, match="intensity"):
        ImageEmbedder(intensity="bright")


def test_the_output_says_how_its_images_are_to_be_shown(tmp_path, fresh_cache):
    save_stack(tmp_path / "a.tif")
    table, _ = ImportImages()(str(tmp_path))
    for intensity, expected in (("auto", None), ("full", "full"), ((0, 9), "0:9")):
        with ImageEmbedder("squeezenet", "cpu", intensity=intensity) as embedder:
            embedded, _, _ = embedder(table)
        attributes = embedded.domain["image"].attributes
        assert attributes.get("intensity") == expected
        assert attributes["type"] == "image" and attributes["origin"] == str(tmp_path)
        assert "intensity" not in table.domain["image"].attributes
    with ImageEmbedder("squeezenet", "cpu") as embedder:  # from "0:9"
        again, _, _ = embedder(embedded[:, ["image"]])
    assert again.domain["image"].attributes["intensity"] == "auto"


# Files that can run code --------------------------------------------------------------


HARMFUL: dict = {"size": 40, "mean": [0.5] * 3, "std": [0.5] * 3}


def test_a_file_that_can_run_code(photos, tmp_path, fresh_cache, nothing_trusted):
    mark = tmp_path / "sprung"
    path = make_harmful_file(tmp_path / "cells.pt2", mark)
    with pytest.raises(TrustNeededError, match="trust=True"):
        ImageEmbedder.check(path, HARMFUL)
    with ImageEmbedder(path, "cpu", preprocessing=HARMFUL) as embedder:
        for _ in range(2):
            with pytest.raises(TrustNeededError):
                embedder(photos)
        with pytest.raises(TrustNeededError):
            embedder.load()
    assert ImageEmbedder.stages(path, HARMFUL) == ()
    assert ImageEmbedder.available(find_network(path, HARMFUL))
    assert not mark.exists()
    with ImageEmbedder(path, "cpu", preprocessing=HARMFUL, trust=True) as embedder:
        vectors = embedder(photos)
    assert mark.exists()
    assert [vector.shape for vector in vectors] == 6 * [(4,)]


def test_a_network_that_was_found_can_be_vouched_for(tmp_path, nothing_trusted):
    path = make_harmful_file(tmp_path / "cells.pt2", tmp_path / "sprung")
    network = find_network(path, HARMFUL)
    with pytest.raises(TrustNeededError):
        ImageEmbedder.check(network)
    assert ImageEmbedder.check(network, trust=True) == 4


def test_trust_is_of_no_effect_for_others(fresh_cache, nothing_trusted):
    ImageEmbedder("squeezenet", trust=True)
    assert not nothing_trusted.exists()
