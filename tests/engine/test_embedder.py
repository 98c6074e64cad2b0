"""The cache, the device and the network together, with a stand-in for the latter."""

import dataclasses
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import SOON, StandInRunner, make_network_file, vector_of

from orangecontrib.imageanalytics.engine import embedder as module
from orangecontrib.imageanalytics.engine import openvino_runner
from orangecontrib.imageanalytics.engine import runner as runner_module
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder, clear_cache
from orangecontrib.imageanalytics.networks.checkpoints import (
    CheckpointNetwork,
    PackagedNetwork,
)
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

SPEC = EmbeddingSpec.choose("efficientnet-lite0")
SOURCES = ["1", "2", None, "9", "1"]


@pytest.fixture
def runners(monkeypatch, number_images, fresh_cache):
    """Stand-ins, in the order in which they were chosen."""
    made = []

    def choose(spec, *options):
        runner = StandInRunner()
        runner.spec, runner.options = spec, options
        made.append(runner)
        return runner

    monkeypatch.setattr(runner_module, "choose_runner", choose)
    return made


def test_vectors(runners):
    embedded = Embedder(SPEC)(SOURCES)
    assert embedded.rows.tolist() == [0, 1, -1, -1, 0]
    np.testing.assert_array_equal(embedded.vectors[0], vector_of("1"))
    np.testing.assert_array_equal(embedded.vectors[1], vector_of("2"))
    assert embedded.failures == {"9": "9 is not an image"}
    assert embedded.statistics.device == "stand-in"


def test_the_runner_is_chosen_when_it_is_needed_and_once(runners):
    embedder = Embedder(SPEC, "cpu", 3, may_download=False, engine="torch")
    assert not runners
    assert embedder.runner is embedder.runner
    embedder(["1"])
    (runner,) = runners
    assert runner.spec is SPEC
    assert runner.options == ("cpu", 3, False, "torch")


def test_after_close_another_runner_is_chosen(runners):
    embedder = Embedder(SPEC)
    embedder(["1"])
    embedder.close()
    embedder(["2"])
    assert len(runners) == 2


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {"device": "abacus"}),
        ({}, {"engine": "steam"}),
        ({"precision": "float8"}, {}),
    ],
)
def test_what_there_is_not(changes, options):
    embedder = Embedder(dataclasses.replace(SPEC, **changes), **options)
    with pytest.raises(ValueError, match=r"abacus|steam|float8"):
        embedder(["1"])


def test_known_vectors_are_taken(runners):
    Embedder(SPEC)(SOURCES)
    again = Embedder(SPEC)(SOURCES)
    assert again.statistics.n_cached == 3
    assert runners[-1].n_seen == runners[-1].n_loads == 0


def test_without_the_cache(runners):
    embedder = Embedder(SPEC, use_cache=False)
    for _ in range(2):
        assert embedder(SOURCES).statistics.n_cached == 0
    assert Embedder(SPEC)(SOURCES).statistics.n_cached == 0


@pytest.mark.parametrize(
    "change",
    [
        {"layer": "logits"},
        {"preprocessing": SPEC.preprocessing.fitted("pad")},
        {"intensity": "full"},
        {"network": find_network("efficientnet-lite2")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_vectors_of_another_spec_are_not_taken(runners, change):
    Embedder(SPEC)(["1"])
    other = Embedder(dataclasses.replace(SPEC, **change))
    assert other(["1"]).statistics.n_cached == 0
    # Nor are they forgotten with it.
    other.clear_cache()
    assert other(["1"]).statistics.n_cached == 0
    assert Embedder(SPEC)(["1"]).statistics.n_cached == 1


def test_failures_are_filled_on_the_way(runners):
    failures = {}

    def callback(fraction):
        if failures:
            raise Cancelled

    with pytest.raises(Cancelled):
        Embedder(SPEC)(
            [str(number) for number in range(2000)], callback, None, failures
        )
    # Which are there depends on which thread was faster.
    assert failures
    for source, reason in failures.items():
        assert reason == f"{source} is not an image"


def test_stopped_before_anything_is_chosen(runners):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        Embedder(SPEC)(["1"], cancelled=cancelled)
    assert not runners


# Weights whose fingerprint takes the file ---------------------------------------------


@dataclasses.dataclass(frozen=True)
class Unknown:
    """Weights that are not here yet."""

    here: list

    @property
    def fingerprint(self):
        return "content" if self.here else None

    def available(self):
        return bool(self.here)


@pytest.fixture
def unknown():
    return dataclasses.replace(
        SPEC, network=dataclasses.replace(SPEC.network, weights=Unknown([]))
    )


def test_weights_are_fetched_first_where_only_they_tell_the_vectors(
    runners, unknown, monkeypatch
):
    def load(runner, callback=None):
        callback(0.5)
        runner.n_loads += 1
        unknown.network.weights.here.append("file")

    monkeypatch.setattr(StandInRunner, "load", load)
    told = []
    Embedder(unknown)(["1"], told.append)
    assert runners[-1].n_loads == 1
    assert told[:3] == [0, 0, 0]
    again = Embedder(unknown)(["1"])
    assert again.statistics.n_cached == 1
    assert runners[-1].n_loads == 0


def test_stopped_while_weights_are_fetched(runners, unknown, monkeypatch):
    cancelled = threading.Event()

    def load(_runner, callback=None):
        cancelled.set()
        callback(0.5)

    monkeypatch.setattr(StandInRunner, "load", load)
    with pytest.raises(Cancelled):
        Embedder(unknown)(["1"], cancelled=cancelled)


def test_no_fingerprint_is_needed_without_the_cache(runners, unknown):
    assert Embedder(unknown, use_cache=False)(["1"]).rows.tolist() == [0]


def test_vectors_of_weights_that_are_not_here_cannot_be_told(unknown, fresh_cache):
    with pytest.raises(ModelError, match="EfficientNet-Lite0 is not on this computer"):
        Embedder(unknown).clear_cache()


# The layer ----------------------------------------------------------------------------


def test_a_layer_that_there_is_not():
    with pytest.raises(ValueError, match=r"no layer 'attic'; named stages: .*features"):
        Embedder(dataclasses.replace(SPEC, layer="attic")).check_layer()


def test_a_layer_that_has_run_before_is_not_looked_for(monkeypatch):
    def fail(_network):
        raise AssertionError("the network is built")

    monkeypatch.setattr(CheckpointNetwork, "build", fail)
    monkeypatch.setattr(module, "find_about", lambda spec: spec.layer)
    Embedder(dataclasses.replace(SPEC, layer="features.3")).check_layer()


# With a network -----------------------------------------------------------------------


def test_cancel_during_a_download(tmp_path, monkeypatch, photos):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/net-12345678.pth"
        embedder = ImageEmbedder("resnet50", "cpu")
        network = embedder._embedder.spec.network
        weights = dataclasses.replace(network.weights, url=url)
        network = dataclasses.replace(network, weights=weights)
        embedder._embedder.spec = EmbeddingSpec(
            network, network.layer, network.preprocessing
        )
        threading.Timer(0.3, embedder.cancel).start()
        start = time.perf_counter()
        with pytest.raises(Cancelled):
            embedder(photos)
        assert time.perf_counter() - start < SOON


def test_no_network_is_loaded_for_vectors_that_are_known(
    photos, fresh_cache, monkeypatch
):
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        expected = embedder(photos)

    def fail(*_):
        raise AssertionError("loaded")

    monkeypatch.setattr(OpenVinoRunner, "_load", fail)
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        np.testing.assert_array_equal(embedder(photos), expected)
        with pytest.raises(AssertionError, match="loaded"):
            embedder.load()


@pytest.fixture
def loads(monkeypatch, nothing_compiled):
    """Names of the networks that are loaded; none is compiled before."""
    from orangecontrib.imageanalytics.networks import backbone

    names = []

    def remembering(load):
        def remember(network, *args):
            names.append(network.id)
            return load(network, *args)

        return remember

    for owner, name in (
        (backbone, "load_backbone"),
        (PackagedNetwork, "openvino_graph"),
    ):
        monkeypatch.setattr(owner, name, remembering(getattr(owner, name)))
    return names


def test_no_network_is_loaded_for_known_images_in_another_place(
    photos, tmp_path, fresh_cache, loads
):
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        expected = embedder(photos)
    assert loads == ["squeezenet"]
    copies = [str(tmp_path / f"{number}.jpg") for number in range(len(photos))]
    for photo, path in zip(photos, copies, strict=True):
        shutil.copy(photo, path)
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        np.testing.assert_array_equal(embedder(copies), expected)
    assert loads == ["squeezenet"]


def test_no_network_is_loaded_or_downloaded_for_bad_images(
    tmp_path, monkeypatch, fresh_cache, loads
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with ImageEmbedder("resnet50", "cpu") as embedder:
        paths = [str(tmp_path / "bad.jpg"), str(tmp_path / "missing.jpg")]
        assert embedder(paths) == [None, None]
        assert "file not found" in embedder.failures[paths[1]]
    assert not loads
    assert not (tmp_path / "torch").exists()


def test_threads_share_one_network(photos, fresh_cache, loads):
    with (
        ImageEmbedder("squeezenet", "cpu", cache=False) as embedder,
        ThreadPoolExecutor(3) as pool,
    ):
        results = list(pool.map(embedder, [photos] * 3))
    assert loads == ["squeezenet"]
    for result in results:
        np.testing.assert_allclose(result, results[0], rtol=1e-4, atol=1e-4)


def assert_cancelled_soon(embedder, result, begun):
    assert begun.wait(30)
    start = time.perf_counter()
    embedder.cancel()
    with pytest.raises(Cancelled):
        result.result()
    assert time.perf_counter() - start < SOON


def test_cancel_while_the_network_is_loaded(photos, nothing_compiled, monkeypatch):
    loading, go_on = threading.Event(), threading.Event()

    def load(*_):
        loading.set()
        go_on.wait(20)
        raise ModelError("too late")

    monkeypatch.setattr(PackagedNetwork, "openvino_graph", load)
    with ImageEmbedder("squeezenet", "cpu") as embedder, ThreadPoolExecutor(1) as pool:
        assert_cancelled_soon(embedder, pool.submit(embedder, photos), loading)
        go_on.set()


def test_cancel_while_the_network_is_compiled(photos, nothing_compiled, monkeypatch):
    compiling = threading.Event()
    compile_network = openvino_runner.compile_network

    def compile_(*args):
        compiling.set()
        return compile_network(*args)

    monkeypatch.setattr(openvino_runner, "compile_network", compile_)
    with ImageEmbedder("squeezenet", "cpu") as embedder, ThreadPoolExecutor(1) as pool:
        assert_cancelled_soon(embedder, pool.submit(embedder, photos), compiling)
        assert embedder(photos)[0].shape == (1000,)


def test_a_file_that_changes_under_way_spoils_no_cache(photos, tmp_path, fresh_cache):
    """Vectors are kept as those of the network that made them."""
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    expects = {"size": 16, "mean": [0.5] * 3, "std": [0.2] * 3}
    make_network_file(first, seed=1)
    make_network_file(second, seed=2)
    with ImageEmbedder(second, "cpu", preprocessing=expects) as embedder:
        expected = embedder(photos)
    clear_cache()
    with ImageEmbedder(first, "cpu", preprocessing=expects) as embedder:
        embedder(photos[:3])
        shutil.copy(second, first)
        embedder(photos[3:])
    with ImageEmbedder(first, "cpu", preprocessing=expects) as embedder:
        np.testing.assert_allclose(embedder(photos), expected, rtol=1e-5)
        assert embedder.statistics.n_cached == 0
    with ImageEmbedder(first, "cpu", preprocessing=expects, cache=False) as embedder:
        embedder.clear_cache()  # which asks for the content
        make_network_file(first, seed=3)
        with pytest.raises(ModelError, match=r"first\.pt has changed"):
            embedder(photos)
