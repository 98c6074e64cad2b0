"""What a run keeps of its images, with stand-ins for network and images."""

import contextlib
import io
import os
import threading
import tracemalloc
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import StandInRunner, make_image, number_of, vector_of
from PIL import Image

from orangecontrib.imageanalytics.engine import batches, downloads, pipeline
from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.engine.digests import Twins
from orangecontrib.imageanalytics.engine.pipeline import Pipeline
from orangecontrib.imageanalytics.errors import Cancelled, ImageError, ModelError


@pytest.fixture
def runner(number_images):
    return StandInRunner()


def run(runner, sources, cache=None, callback=lambda _fraction: None, **options):
    cancelled = options.pop("cancelled", None) or threading.Event()
    return Pipeline(runner, str.encode, cache, callback, cancelled, **options)(sources)


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
    claim = Twins.claim

    def watched(self, digest, number):
        is_first = claim(self, digest, number)
        if number == 5:
            twins_seen.set()
        return is_first

    class Late(StandInRunner):
        batch_size = 2

        def __call__(self, squares, cancelled):
            assert twins_seen.wait(30)
            return super().__call__(squares, cancelled)

    monkeypatch.setattr(Twins, "claim", watched)
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

    class Counted(batches.QueuedImage):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made["alive"] += 1
            made["most"] = max(made["most"], made["alive"])

        def __del__(self):
            made["alive"] -= 1

    monkeypatch.setattr(pipeline, "QueuedImage", Counted)
    monkeypatch.setattr(pipeline, "workers", lambda: 2)
    run(runner, [str(number) for number in range(2000)])
    assert made["most"] <= 6 * runner.batch_size


def test_memory_of_an_image(runner):
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


# Files and addresses ----------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Images of one colour each that were changed long ago."""
    paths = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
        os.utime(path, (1_600_000_000, 1_600_000_000))
        paths.append(str(path))
    return paths


def test_files_that_have_not_changed_are_not_read_again(files, tmp_path, monkeypatch):
    with VectorCache(str(tmp_path / "cache")) as cache:
        first = run(StandInRunner(), files, cache)
        monkeypatch.setattr(batches, "opened", None)
        again = run(StandInRunner(), files, cache)
    np.testing.assert_array_equal(again.vectors, first.vectors)
    assert again.statistics.n_cached == 3


def test_a_file_that_has_changed_is_read_again(files, tmp_path):
    with VectorCache(str(tmp_path / "cache")) as cache:
        run(StandInRunner(), files, cache)
        Image.new("RGB", (4, 4), (200, 0, 0)).save(files[1])
        again = run(StandInRunner(), files, cache)
    assert again.vectors[1, 0] == 200
    assert again.statistics.n_cached == 2


def test_vectors_of_another_precision_are_not_taken(files, tmp_path):
    other = StandInRunner()
    other.precision = "float16"
    with VectorCache(str(tmp_path / "cache")) as cache:
        run(StandInRunner(), files, cache)
        assert run(other, files, cache).statistics.n_cached == 0
        assert run(other, files, cache).statistics.n_cached == 3


def test_reasons_of_images_that_cannot_be_read(files, tmp_path):
    missing, damaged = str(tmp_path / "missing.png"), tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    failures = {}
    sources = [files[0], missing, str(damaged)]
    embedded = run(StandInRunner(), sources, failures=failures)
    assert embedded.rows.tolist() == [0, -1, -1]
    assert embedded.failures is failures
    assert failures[missing] == "file not found"
    assert set(failures) == {missing, str(damaged)}


class StandInFetcher:
    """Gives an image of the colour that an address ends in."""

    def __init__(self, **options):
        self.options = options

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def fetch_all(self, urls, cancelled):
        for url in urls:
            number = url.rpartition("/")[2]
            if not number.isdecimal():
                yield url, ImageError("404 Not Found")
                continue
            content = io.BytesIO()
            Image.new("RGB", (4, 4), (int(number), 0, 0)).save(content, "png")
            yield url, content.getvalue()


def test_web_images_among_files(files, monkeypatch):
    monkeypatch.setattr(downloads, "Fetcher", StandInFetcher)
    addresses = [f"https://example.org/{number}" for number in range(100, 110)]
    sources = [addresses[0], *files, *addresses[1:], "http://example.org/x"]
    embedded = run(StandInRunner(), sources)
    expected = [100, 0, 1, 2, *range(101, 110)]
    assert [vector[0] for vector in embedded.per_source()[:-1]] == expected
    assert embedded.failures == {"http://example.org/x": "404 Not Found"}


def test_an_error_of_the_fetcher_ends_the_run(monkeypatch):
    class Broken(StandInFetcher):
        def fetch_all(self, urls, cancelled):
            raise OSError("no sockets left")
            yield

    monkeypatch.setattr(downloads, "Fetcher", Broken)
    with pytest.raises(OSError, match="no sockets left"):
        run(StandInRunner(), ["https://example.org/1"])


@pytest.fixture
def batch_sizes(monkeypatch):
    """How many images were in each batch."""
    sizes = []

    class Counting(batches.BatchEmbedder):
        def __call__(self, batch):
            sizes.append(len(batch))
            return super().__call__(batch)

    monkeypatch.setattr(pipeline, "BatchEmbedder", Counting)
    monkeypatch.setattr(pipeline, "workers", lambda: 2)
    monkeypatch.setattr(downloads, "Fetcher", StandInFetcher)
    return sizes


ADDRESSES = [f"https://example.org/{number}" for number in range(200)]


def test_web_images_fill_batches(batch_sizes):
    runner = StandInRunner()
    embedded = run(runner, ADDRESSES)
    assert [vector[0] for vector in embedded.per_source()] == list(range(200))
    assert max(batch_sizes) == runner.batch_size
    assert sum(batch_sizes) == 200


def test_few_bytes_of_web_images_are_in_memory(batch_sizes, monkeypatch):
    monkeypatch.setattr(pipeline, "FETCHED_BYTES", 4 * 150)
    embedded = run(StandInRunner(), ADDRESSES)
    assert not embedded.failures
    # An image has 70 bytes or so, and the batches of two threads have 150 each.
    assert max(batch_sizes) <= 3


def test_no_thread_waits_for_web_images_to_fill_a_batch(batch_sizes, monkeypatch):
    embedded_one = threading.Event()

    class Slow(StandInFetcher):
        def fetch_all(self, urls, cancelled):
            answers = super().fetch_all(urls, cancelled)
            yield next(answers)
            assert embedded_one.wait(60)
            yield from answers

    class Telling(StandInRunner):
        def __call__(self, squares, cancelled):
            embedded_one.set()
            return super().__call__(squares, cancelled)

    monkeypatch.setattr(downloads, "Fetcher", Slow)
    run(Telling(), ADDRESSES)
    assert batch_sizes[0] == 1
    assert sum(batch_sizes) == 200


def test_failures_that_may_pass(monkeypatch):
    class Busy(StandInFetcher):
        def fetch_all(self, urls, cancelled):
            for url in urls:
                yield url, ImageError("busy", transient=url.endswith("1"))

    monkeypatch.setattr(downloads, "Fetcher", Busy)
    embedded = run(StandInRunner(), ADDRESSES[:2])
    assert embedded.failures == dict.fromkeys(ADDRESSES[:2], "busy")
    assert embedded.transient == {ADDRESSES[1]}


# What the device decodes --------------------------------------------------------------


class StandInDecoder:
    """Opens what is a JPEG, and decodes all but the first of those to white."""

    def open(self, content):
        if not content.startswith(b"\xff\xd8"):
            return None
        return SimpleNamespace(content=content)

    def __call__(self, jpegs):
        white = np.full((1, 1, 3), 255, np.uint8)
        return [None, *[white] * (len(jpegs) - 1)]


def test_what_the_device_does_not_decode_the_cpu_does(files, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "workers", lambda: 1)
    monkeypatch.setattr(StandInRunner, "decoder", StandInDecoder())
    jpegs = [str(tmp_path / f"{seed}.jpg") for seed in range(2)]
    for seed, path in enumerate(jpegs):
        make_image(seed).point([100 + seed] * 768).save(path)
    vectors = run(StandInRunner(), [*jpegs, files[2]]).per_source()
    assert abs(vectors[0][0] - 100) <= 2
    assert vectors[1][0] == 255
    assert vectors[2][0] == 2


# Progress and stopping ----------------------------------------------------------------


def test_progress(runner):
    told = []
    run(runner, [str(number) for number in range(200)], callback=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert all(0 <= fraction <= 1 for fraction in told)


def test_the_callback_stops_the_run_and_what_is_finished_is_kept(runner, tmp_path):
    class Enough(Exception):
        pass

    def callback(fraction):
        if fraction > 0.2:
            raise Enough

    sources = [str(10 * number) for number in range(500)]
    with VectorCache(str(tmp_path)) as cache:
        with pytest.raises(Enough):
            run(runner, sources, cache, callback)
        seen = runner.n_seen
        assert seen < 500
        again = run(StandInRunner(), sources, cache)
    assert again.statistics.n_cached > 0.2 * 500
    assert again.statistics.n_embedded == 500


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_cancelled(runner, when):
    cancelled = threading.Event()
    if when == "before":
        cancelled.set()

    def callback(fraction):
        if fraction > 0.1:
            cancelled.set()

    sources = [str(number) for number in range(2000)]
    with pytest.raises(Cancelled):
        run(runner, sources, callback=callback, cancelled=cancelled)
    assert runner.n_seen < 2000


def test_a_thread_that_still_decodes_does_not_begin_with_the_network(
    runner, monkeypatch
):
    """To load it may take seconds, and nobody waits for it any more."""
    others, gate, decode = threading.Semaphore(0), threading.Event(), batches.decode

    def slow(content, *args):
        if number_of(content) != 0:
            others.release()
            gate.wait(60)
        return decode(content, *args)

    def fail(_runner, squares, _cancelled):
        others.acquire(timeout=60)
        raise ModelError("no memory")

    monkeypatch.setattr(pipeline, "workers", lambda: 2)
    monkeypatch.setattr(batches, "decode", slow)
    monkeypatch.setattr(StandInRunner, "__call__", fail)
    with pytest.raises(ModelError):
        run(runner, ["0", "1"])
    called = []
    monkeypatch.setattr(StandInRunner, "__call__", lambda *_: called.append(1))
    gate.set()
    for thread in threading.enumerate():
        if thread.name.startswith("embedding"):
            thread.join(60)
    assert not called


def test_an_error_of_the_network_ends_the_run(runner, monkeypatch):
    def fail(*_):
        raise ModelError("no memory")

    monkeypatch.setattr(StandInRunner, "__call__", fail)
    with pytest.raises(ModelError, match="no memory"):
        run(runner, ["1", "2"])


def test_threads_are_announced_to_the_runner(runner, monkeypatch):
    started, shared = set(), []

    @contextlib.contextmanager
    def sharing(_runner):
        shared.append("entered")
        yield
        shared.append("left")

    def start(_runner):
        started.add(threading.get_ident())

    monkeypatch.setattr(StandInRunner, "sharing", sharing)
    monkeypatch.setattr(StandInRunner, "start_thread", start)
    run(runner, [str(number) for number in range(100)])
    assert shared == ["entered", "left"]
    assert started and threading.get_ident() not in started


def test_nothing_is_started_where_all_is_known(files, tmp_path, monkeypatch):
    with VectorCache(str(tmp_path / "cache")) as cache:
        run(StandInRunner(), files, cache)
        monkeypatch.setattr(pipeline, "ThreadPoolExecutor", None)
        assert run(StandInRunner(), files, cache).statistics.n_cached == 3
