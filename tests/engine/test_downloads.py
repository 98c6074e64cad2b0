import base64
import http.server
import socket
import threading
import time

import numpy as np
import pytest
from helpers import SOON, make_image, serving
from image_files import encoded
from Orange.data import Domain, StringVariable, Table

from orangecontrib.imageanalytics.engine import downloads as module
from orangecontrib.imageanalytics.engine.downloads import FETCHED_AHEAD, Downloads
from orangecontrib.imageanalytics.errors import Cancelled, ImageError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder, cache_info


class StandInFetcher:
    """Counts what it gives; the address "slow" waits for an event."""

    go_on = threading.Event()
    n_given = 0

    def __init__(self, **options):
        type(self).options = options

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def fetch_all(self, urls, cancelled):
        cls = type(self)
        for url in urls:
            if url == "slow":
                cls.go_on.wait(60)
            cls.n_given += 1
            yield url, ImageError("404 Not Found") if url == "bad" else url.encode()


@pytest.fixture
def fetcher(monkeypatch):
    class Fetcher(StandInFetcher):
        go_on = threading.Event()

    monkeypatch.setattr(module, "Fetcher", Fetcher)
    return Fetcher


def answers(urls, cancelled=None, is_cached=True):
    downloads = Downloads(urls, cancelled or threading.Event(), is_cached)
    return [answer for answer in downloads if answer is not None]


def test_contents_and_reasons(fetcher):
    found = answers(["a", "bad", "b"])
    assert [url for url, _ in found] == ["a", "bad", "b"]
    assert found[0][1] == b"a"
    assert str(found[1][1]) == "404 Not Found"
    assert fetcher.options == {}


def test_without_a_cache(fetcher):
    answers(["a"], is_cached=False)
    assert fetcher.options == {"cache_dir": None}


def test_who_waits_may_look_around(fetcher, monkeypatch):
    monkeypatch.setattr(module, "TICK_SECONDS", 0.01)
    downloads = iter(Downloads(["slow"], threading.Event(), True))
    assert next(downloads) is None
    fetcher.go_on.set()
    assert ("slow", b"slow") in downloads


def test_few_are_fetched_ahead(fetcher):
    urls = [str(number) for number in range(50)]
    most = 0
    for number, _ in enumerate(Downloads(urls, threading.Event(), True)):
        most = max(most, fetcher.n_given - number)
    # One more is with the thread that fetches, and one is taken.
    assert most <= FETCHED_AHEAD + 2


def test_an_error_is_for_who_takes(fetcher, monkeypatch):
    def fail(*_):
        raise OSError("no sockets left")

    monkeypatch.setattr(fetcher, "fetch_all", fail)
    with pytest.raises(OSError, match="no sockets left"):
        answers(["a"])


def test_cancelling_ends_the_thread(fetcher, monkeypatch):
    monkeypatch.setattr(module, "TICK_SECONDS", 0.01)
    cancelled = threading.Event()
    before = set(threading.enumerate())
    downloads = Downloads([str(number) for number in range(50)], cancelled, True)
    (thread,) = set(threading.enumerate()) - before
    assert next(iter(downloads))
    cancelled.set()
    thread.join(60)
    assert not thread.is_alive()


# To a network ------------------------------------------------------------------------


def image_file(seed):
    return encoded(make_image(seed), "JPEG")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        name = self.path.strip("/")
        if not name.isdigit():
            return self.send_error(404)
        content = image_file(int(name))
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
    data = "data:image/jpeg;base64," + base64.b64encode(image_file(2)).decode()
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
