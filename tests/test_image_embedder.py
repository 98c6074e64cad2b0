import base64
import dataclasses
import http.server
import io
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from helpers import make_harmful_file, make_image, make_network_file, serving
from image_files import save_stack
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)
from PIL import Image
from scipy import sparse

from orangecontrib.imageanalytics import image_embedder as module
from orangecontrib.imageanalytics.engine import batches, digests, openvino_runner
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.errors import (
    Cancelled,
    ModelError,
    TrustNeededError,
)
from orangecontrib.imageanalytics.image_embedder import (
    MODELS,
    ImageEmbedder,
    cache_info,
    clear_cache,
)
from orangecontrib.imageanalytics.images import drawing
from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

# A second, in seconds of a machine that has other things to do; without being
# heard, what is stopped here would go on for more than twice that.
SOON = 30


def jpeg(seed=0, size=(64, 48)):
    stream = io.BytesIO()
    make_image(seed, size).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def embedder():
    with ImageEmbedder("squeezenet", device="cpu") as embedder:
        embedder.load()
        yield embedder


@pytest.fixture
def counted(embedder, monkeypatch):
    """Numbers of images that went through the network, a batch each."""
    batches = []
    call = type(embedder._embedder.runner).__call__

    def count(runner, squares, cancelled):
        batches.append(len(squares))
        return call(runner, squares, cancelled)

    monkeypatch.setattr(type(embedder._embedder.runner), "__call__", count)
    return batches


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


def test_identical_files_are_embedded_once(embedder, photos, fresh_cache, counted):
    twins = []
    for index in range(20):
        twins.append(photos[0] + f".{index}.jpg")
        with open(photos[0], "rb") as source, open(twins[-1], "wb") as target:
            target.write(source.read())
    vectors = embedder([*twins, photos[1], *twins])
    assert sum(counted) == 2
    assert len({v.tobytes() for v in vectors}) == 2
    assert embedder.statistics.n_embedded == 41


def test_identical_broken_files(embedder, tmp_path):
    paths = [str(tmp_path / f"{index}.jpg") for index in range(9)]
    for path in paths:
        with open(path, "w") as file:
            file.write("no image")
    assert embedder(paths) == [None] * 9
    assert embedder.failures == dict.fromkeys(paths, "not an image")


def test_reduced_decoding_of_large_jpegs(tmp_path, monkeypatch):
    from sklearn.datasets import load_sample_images

    paths = []
    for index, image in enumerate(load_sample_images().images):
        paths.append(str(tmp_path / f"{index}.jpg"))
        Image.fromarray(image).resize((2560, 1708), 3).save(paths[-1], quality=92)
    for model in ("squeezenet", "efficientnet-lite0", "efficientnet-lite2"):
        with ImageEmbedder(model, "cpu", cache=False) as embedder:
            reduced = np.stack(embedder(paths))
            with monkeypatch.context() as patch:
                patch.setattr(batches, "decode", lambda content, *_: decode(content))
                full = np.stack(embedder(paths))
        assert not np.array_equal(reduced, full)
        cosine = (reduced * full).sum(1)
        cosine /= np.linalg.norm(reduced, axis=1) * np.linalg.norm(full, axis=1)
        assert cosine.min() >= 0.999


def test_orientation_is_applied(embedder, tmp_path):
    upright, turned = str(tmp_path / "upright.png"), str(tmp_path / "turned.png")
    image = make_image(3, (120, 80))
    image.save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    np.testing.assert_allclose(*embedder([upright, turned]), rtol=1e-5, atol=1e-5)


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
    call = type(embedder._embedder.runner).__call__

    def wait(runner, squares, cancelled):
        time.sleep(1)
        return call(runner, squares, cancelled)

    monkeypatch.setattr(type(embedder._embedder.runner), "__call__", wait)
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


# Sources other than files -------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        name = self.path.strip("/")
        if not name.isdigit():
            return self.send_error(404)
        content = jpeg(int(name))
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=1000")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with serving(Handler) as server:
        yield server


def test_urls_and_files_together(embedder, server, photos, fresh_cache):
    data = "data:image/jpeg;base64," + base64.b64encode(jpeg(2)).decode()
    file = "file://" + photos[0].replace(" ", "%20")
    missing = server.url + "missing.jpg"
    sources = [server.url + "1", photos[0], data, file, missing, server.url + "2"]
    one, photo, from_data, from_file, none, two = embedder(sources)
    assert none is None
    assert list(embedder.failures) == [missing]
    assert "404" in embedder.failures[missing]
    np.testing.assert_array_equal(photo, from_file)
    np.testing.assert_array_equal(two, from_data)
    assert np.abs(one - two).max() > 0.1


def test_urls_relative_to_an_origin(embedder, server):
    variable = StringVariable("where")
    variable.attributes["origin"] = server.url.rstrip("/")
    domain = Domain([], metas=[variable])
    metas = np.array([["1"], ["2"]], dtype=object)
    table = Table.from_numpy(domain, np.empty((2, 0)), metas=metas)
    assert len(embedder(table)[0]) == 2


def test_finished_images_are_kept_while_a_server_does_not_answer(
    embedder, photos, fresh_cache
):
    fractions = []

    def stop(fraction):
        fractions.append(fraction)
        if fraction > 0.5:
            embedder.cancel()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/1"
        with pytest.raises(Cancelled):
            embedder([*photos, url], callback=stop)
    assert cache_info()["entries"] == 6


def test_no_cache_of_downloads_without_cache(server, fresh_cache):
    with ImageEmbedder("squeezenet", "cpu", cache=False) as embedder:
        assert embedder([server.url + "1"])[0] is not None
    assert not fresh_cache.exists()


def test_cancel_while_a_server_does_not_answer(embedder, fresh_cache):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/1"
        timer = threading.Timer(0.5, embedder.cancel)
        timer.start()
        start = time.perf_counter()
        with pytest.raises(Cancelled):
            embedder([url])
        assert time.perf_counter() - start < SOON


# Bad images -------------------------------------------------------------------------


def test_bad_files_one_by_one(embedder, tmp_path):
    whole = jpeg(1, (400, 300))
    stream = io.BytesIO()
    Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    ).save(stream, "PNG")
    png = stream.getvalue()
    bomb = bytearray(png)
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    contents = {
        "empty.jpg": b"",
        "cut.jpg": whole[: len(whole) // 2],
        "cut.png": png[: len(png) // 2],
        "text.jpg": b"I am a text",
        "bomb.png": bytes(bomb),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken link.png").symlink_to(tmp_path / "nothing")
    names = [*contents, "folder.png", "broken link.png", "nothing.png"]
    paths = [str(tmp_path / name) for name in names]
    (tmp_path / "good.jpg").write_bytes(whole)
    *bad, good = embedder([*paths, str(tmp_path / "good.jpg")])
    assert bad == [None] * len(paths)
    assert good is not None
    reasons = {os.path.basename(p): r for p, r in embedder.failures.items()}
    assert set(reasons) == set(names)
    assert reasons["empty.jpg"] == "file is empty"
    assert "short" in reasons["cut.jpg"] and "short" in reasons["cut.png"]
    assert reasons["text.jpg"] == "not an image"
    assert "too many pixels" in reasons["bomb.png"]
    assert reasons["folder.png"] == "is a folder"
    assert reasons["broken link.png"] == "broken link"
    assert reasons["nothing.png"] == "file not found"


def test_odd_but_good_files(embedder, tmp_path):
    odd = {
        "wrong extension.jpg": (make_image(1), "PNG"),
        "dot.png": (Image.new("RGB", (1, 1), "red"), "PNG"),
        "line.png": (Image.new("L", (1, 20000), 100), "PNG"),
        "wide.png": (Image.new("1", (20000, 1)), "PNG"),
        "big.png": (Image.new("L", (10000, 6000), 100), "PNG"),
        "quo\"te's & 100%.png": (make_image(2), "PNG"),
        "中文 ščž.png": (make_image(3), "PNG"),
        os.fsdecode(b"\xff\xfe.png"): (make_image(4), "PNG"),
    }
    paths = []
    for name, (image, kind) in odd.items():
        paths.append(os.path.join(str(tmp_path), name))
        image.save(paths[-1], kind)
    vectors = embedder(paths)
    assert embedder.failures == {}
    assert all(np.isfinite(vector).all() for vector in vectors)


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

    monkeypatch.setattr(type(embedder._embedder.runner), "__call__", fail)
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


def test_a_image_that_cannot_be_scaled(embedder, photos, monkeypatch, fresh_cache):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(type(embedder._embedder.runner.preprocessing), "square", fail)
    assert embedder(photos[:1]) == [None]
    assert "too large" in embedder.failures[photos[0]]


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


@pytest.mark.parametrize(
    ("model", "layer", "n_features"),
    [
        ("squeezenet", "penultimate", 512),
        ("squeezenet", "features.5", 128),
        ("efficientnet-lite0", "logits", 1000),
        ("efficientnet-lite0", "features.5", 40),
    ],
)
def test_layers(model, layer, n_features, photos, fresh_cache):
    with ImageEmbedder(model, "cpu", layer=layer) as embedder:
        vectors = embedder(photos)
    assert {len(vector) for vector in vectors} == {n_features}
    assert len({vector.tobytes() for vector in vectors}) == len(photos)


def test_squeezenet_before_its_classifier(photos, fresh_cache):
    """The scores are a linear function of it: its classifier is a convolution."""
    from orangecontrib.imageanalytics.networks import registry

    network = registry.find_network("squeezenet")
    classifier = network.load(network.weights.path).features[-1]
    single = {"precision": "float32"}
    with ImageEmbedder("squeezenet", "cpu", layer="penultimate", **single) as embedder:
        features = np.stack(embedder(photos))
    with ImageEmbedder("squeezenet", "cpu", **single) as embedder:
        scores = np.stack(embedder(photos))
    weights = classifier.weight[:, :, 0, 0].numpy()
    expected = features @ weights.T + classifier.bias.numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)


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

    names, load = [], backbone.load_backbone

    def remember(network, *args):
        names.append(network.id)
        return load(network, *args)

    monkeypatch.setattr(backbone, "load_backbone", remember)
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
    from orangecontrib.imageanalytics.networks import backbone

    loading, go_on = threading.Event(), threading.Event()

    def load(*_):
        loading.set()
        go_on.wait(20)
        raise ModelError("too late")

    monkeypatch.setattr(backbone, "load_backbone", load)
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
    module.clear_cache()
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


def test_none_of_the_images(tmp_path, fresh_cache):
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        assert embedder([str(tmp_path / "no.png"), None, ""]) == [None] * 3
        assert embedder([]) == []


# Deep images and pages --------------------------------------------------------------


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("name", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_images_have_the_vectors_of_those_of_8_bits(
    embedder, tmp_path, bits, name
):
    from skimage import data

    plain, deep = str(tmp_path / "plain.png"), str(tmp_path / f"deep.{name}")
    for array in (data.camera(), data.coffee()):
        Image.fromarray(array).save(plain)
        values = array.astype(np.uint16) * ((2**bits - 1) // 255)
        tifffile.imwrite(deep, values) if name == "tif" else write_png(deep, values)
        first, second = embedder([plain, deep])
        assert cosine(first, second) > 0.99


def write_png(path, values):
    import imagecodecs

    with open(path, "wb") as file:
        file.write(imagecodecs.png_encode(values))


def test_dim_images_are_not_black(embedder, tmp_path):
    from skimage import data

    plain, dim, black = (str(tmp_path / f"{name}.tif") for name in "abc")
    camera = data.camera()
    Image.fromarray(camera).save(plain)
    tifffile.imwrite(dim, (100 + camera.astype(float) * 600 / 255).astype(np.uint16))
    Image.new("L", (512, 512)).save(black)
    first, second, third = embedder([plain, dim, black])
    assert cosine(first, second) > 0.95 > cosine(first, third) + 0.2


def test_intensity_decides_and_is_remembered(tmp_path, fresh_cache):
    path = str(tmp_path / "deep.tif")
    save_stack(path, n_planes=1, n_channels=1)
    vectors = {}
    for intensity in ("auto", "full", (0, 4095), "0:4095", (0, 1000)):
        with ImageEmbedder("squeezenet", "cpu", intensity=intensity) as embedder:
            vectors[intensity] = embedder([path])[0]
            embedder([path])
            assert embedder.statistics.n_cached == 1
    assert np.array_equal(vectors[0, 4095], vectors["0:4095"])
    del vectors["0:4095"]
    different = {vector.tobytes() for vector in vectors.values()}
    assert len(different) == len(vectors)


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


def test_pages(embedder, tmp_path, fresh_cache, counted):
    save_stack(tmp_path / "a.tif", n_planes=3)
    table, _ = ImportImages(pages="all")(str(tmp_path))
    vectors = embedder(table)[0].X
    assert sum(counted) == 6
    assert len({vector.tobytes() for vector in vectors}) == 6
    # Each is the vector of a file with that plane alone.
    for number, plane in enumerate(
        tifffile.imread(tmp_path / "a.tif").reshape(6, 48, 64)
    ):
        path = str(tmp_path / f"{number}.tif")
        tifffile.imwrite(path, plane)
        (vector,) = embedder([path])
        np.testing.assert_allclose(vector, vectors[number], atol=1e-4)
    embedder(table)
    assert embedder.statistics.n_cached == 6


def test_a_file_of_many_pages_is_read_once_for_its_digest(
    embedder, tmp_path, fresh_cache, monkeypatch
):
    save_stack(tmp_path / "a.tif", n_planes=6)
    read, original = [], digests.digest_of_file
    monkeypatch.setattr(
        digests,
        "digest_of_file",
        lambda file: read.append(file.name) or original(file),
    )
    paths = [f"{tmp_path / 'a.tif'}#page={number}" for number in range(1, 13)]
    assert all(vector is not None for vector in embedder(paths))
    assert read == [str(tmp_path / "a.tif")]


def test_the_same_page_in_two_files(embedder, tmp_path, fresh_cache, counted):
    save_stack(tmp_path / "a.tif")
    shutil.copy(tmp_path / "a.tif", tmp_path / "b.tif")
    paths = [str(tmp_path / name) for name in ("a.tif#page=2", "b.tif#page=2")]
    first, second = embedder(paths)
    assert np.array_equal(first, second) and sum(counted) == 1
    (other,) = embedder([str(tmp_path / "a.tif#page=3")])
    assert not np.array_equal(first, other)


def test_pages_that_are_not_there(embedder, tmp_path):
    save_stack(tmp_path / "a.tif", n_planes=1)
    path = str(tmp_path / "a.tif")
    vectors = embedder([f"{path}#page=2", f"{path}#page=3", f"{path}x#page=1"])
    assert [vector is None for vector in vectors] == [False, True, True]
    assert embedder.failures == {
        f"{path}#page=3": "there is no page 3, the last is 2",
        f"{path}x#page=1": "file not found",
    }


def test_pages_from_the_web(embedder, tmp_path, fresh_cache):
    save_stack(tmp_path / "a.tif", n_planes=2)
    content = (tmp_path / "a.tif").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with serving(Handler) as server:
        url = server.url + "a.tif"
        remote = embedder([f"{url}#page=1", f"{url}#page=4", f"{url}#page=9"])
        assert server.requests == ["/a.tif"]
    assert remote[2] is None
    assert "no page 9" in embedder.failures[f"{url}#page=9"]
    local = embedder([f"{tmp_path / 'a.tif'}#page={number}" for number in (1, 4)])
    assert np.array_equal(remote[:2], local)


SLOW_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="900">'
    b'<filter id="f"><feTurbulence numOctaves="1000000000"/></filter>'
    b'<rect width="900" height="900" filter="url(#f)"/></svg>'
)


def test_a_drawing_without_end_is_skipped(embedder, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "DRAWING_SECONDS", 1)
    path = tmp_path / "slow.svg"
    path.write_bytes(SLOW_SVG)
    vectors = embedder([str(path), *photos])
    assert [vector is None for vector in vectors] == [True] + 6 * [False]
    assert embedder.failures == {str(path): "takes longer than 1 s"}


def test_cancel_during_a_drawing_without_end(embedder, tmp_path):
    paths = []
    for number in range(8):
        paths.append(str(tmp_path / f"{number}.svg"))
        with open(paths[-1], "wb") as file:
            file.write(SLOW_SVG.replace(b"900", b"%d" % (900 + number)))
    threads = set(threading.enumerate())
    timer = threading.Timer(1, embedder.cancel)
    timer.start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        embedder(paths)
    assert time.monotonic() - start < 1 + SOON / 2
    # Nothing is left behind that would keep the program from ending.
    end = time.monotonic() + SOON
    while set(threading.enumerate()) - threads - {timer} and time.monotonic() < end:
        time.sleep(0.05)
    left = set(threading.enumerate()) - threads - {timer}
    assert not [thread for thread in left if thread.name.startswith("embedding")]


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
