"""What a run keeps of its images, with stand-ins for network and images."""

import contextlib
import io
import threading
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from orangecontrib.imageanalytics.engine import pipeline
from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.engine.pipeline import Pipeline
from orangecontrib.imageanalytics.engine.runner import Runner
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing

N_FEATURES = 8


class StandInRunner(Runner):
    """Its vectors are the colour of the images, which have one pixel."""

    precision = "float32"
    batch_size = 16
    intensity = "auto"
    device_name = "stand-in"
    preprocessing = Preprocessing(1, None, (0, 0, 0), (1, 1, 1), "bilinear")

    def __init__(self):
        self.n_seen = 0
        self._lock = threading.Lock()

    def load(self, callback=None):
        pass

    def __call__(self, squares, cancelled):
        with self._lock:
            self.n_seen += len(squares)
        pixels = squares.reshape(len(squares), 3)
        return np.tile(pixels, 3)[:, :N_FEATURES].astype(np.float32), self.precision


def number_of(content):
    """The number in a name such as ``17`` or ``17 again``; 0 to 2**24 - 1."""
    return int(content.split()[0])


@pytest.fixture
def runner(monkeypatch):
    """Sources are numbers, each with a colour of its own; what follows is ignored."""

    @contextlib.contextmanager
    def opened(source, content=None):
        yield source.split()[0].encode(), None

    def decode(content, *_):
        number = number_of(content)
        if number % 10 == 9:
            raise ImageError(f"{number} is not an image")
        return Image.new("RGB", (1, 1), tuple(number.to_bytes(3, "big")))

    monkeypatch.setattr(pipeline, "opened", opened)
    monkeypatch.setattr(pipeline, "decode", decode)
    return StandInRunner()


def run(runner, sources, cache=None):
    return Pipeline(runner, str.encode, cache, lambda _: None, threading.Event())(
        sources
    )


def vector_of(source):
    return np.tile(list(number_of(source).to_bytes(3, "big")), 3)[:N_FEATURES]


def check(embedded, sources):
    """Each has its own vector or its own reason."""
    vectors = embedded.per_source()
    for source, vector in zip(sources, vectors, strict=True):
        if number_of(source) % 10 == 9:
            assert vector is None
            reason = f"{number_of(source)} is not an image"
            assert embedded.failures[source] == reason
        else:
            np.testing.assert_array_equal(vector, vector_of(source))


def sources_with_twins():
    """300 numbers: each twice in other batches, and one more often than there fit."""
    numbers = [str(number) for number in range(300)]
    twins = [f"{number} again" for number in reversed(numbers)]
    return [*numbers, *twins, *(f"5 {index}" for index in range(100)), "7"]


def test_twins_in_other_batches(runner):
    sources = sources_with_twins()
    embedded = run(runner, sources)
    check(embedded, sources)
    assert runner.n_seen == 270
    assert len(embedded.vectors) == len(set(sources))
    assert embedded.statistics.n_images == len(sources)
    assert embedded.statistics.n_failed == len(embedded.failures) == 60
    assert embedded.statistics.n_cached == 0


def test_twins_that_wait(runner, monkeypatch):
    """All twins are there before the first of them is done."""
    twins_seen = threading.Event()
    claim = Pipeline._claim

    def watched(self, image):
        is_first = claim(self, image)
        if image.source == "1 last":
            twins_seen.set()
        return is_first

    class Late(StandInRunner):
        batch_size = 2

        def __call__(self, squares, cancelled):
            assert twins_seen.wait(30)
            return super().__call__(squares, cancelled)

    monkeypatch.setattr(Pipeline, "_claim", watched)
    monkeypatch.setattr(pipeline, "workers", lambda: 2)
    sources = ["1", "9", "1 a", "9 a", "1 b", "1 last"]
    late = Late()
    check(run(late, sources), sources)
    assert late.n_seen == 1


def test_twins_of_what_is_cached(runner, tmp_path):
    with VectorCache(str(tmp_path)) as cache:
        run(runner, ["1", "2"], cache)
        embedded = run(runner, ["1 a", "1 b", "3", "3 a", "9", "9 a"], cache)
    check(embedded, ["1 a", "1 b", "3", "3 a", "9", "9 a"])
    assert runner.n_seen == 3
    assert embedded.statistics.n_cached == 2


def test_missing_and_repeated_sources(runner):
    sources = [None, "3", "9", None, "3", "4"]
    embedded = run(runner, sources)
    assert embedded.rows.tolist() == [-1, 0, -1, -1, 0, 2]
    assert runner.n_seen == 2
    assert embedded.statistics.n_failed == 3


@pytest.mark.parametrize("sources", [[], [None, None]], ids=str)
def test_no_sources(runner, sources):
    embedded = run(runner, sources)
    assert embedded.rows.tolist() == [-1] * len(sources)
    assert embedded.vectors.shape == (0, 0)


def test_batches_are_made_when_they_are_needed(runner, monkeypatch):
    made = Counter()

    class Counted(pipeline._QueuedImage):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made["alive"] += 1
            made["most"] = max(made["most"], made["alive"])

        def __del__(self):
            made["alive"] -= 1

    monkeypatch.setattr(pipeline, "_QueuedImage", Counted)
    monkeypatch.setattr(pipeline, "workers", lambda: 2)
    run(runner, [str(number) for number in range(2000)])
    assert made["most"] <= 6 * runner.batch_size


def test_few_digests_of_files_are_kept(runner, monkeypatch):
    monkeypatch.setattr(pipeline, "MOST_DIGESTS", 3)

    @contextlib.contextmanager
    def opened(source, content=None):
        with io.BytesIO(source.encode()) as file:
            file.name = source
            yield file, 1

    monkeypatch.setattr(pipeline, "opened", opened)
    monkeypatch.setattr(pipeline, "decode", lambda *_: Image.new("RGB", (1, 1)))
    task = Pipeline(runner, str.encode, None, lambda _: None, threading.Event())
    task([str(number) for number in range(50)])
    assert len(task._digests) == 3
    assert runner.n_seen == 50


def test_memory_a_image(runner):
    n_images = 20_000
    sources = [str(10 * number) for number in range(n_images)]
    run(runner, sources[:100])  # what is loaded at the first use
    tracemalloc.start()
    try:
        embedded = run(runner, sources)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(embedded.vectors) == n_images
    assert (peak - embedded.vectors.nbytes) / n_images < 400
