import threading

import pytest

from orangecontrib.imageanalytics.engine import downloads as module
from orangecontrib.imageanalytics.engine.downloads import FETCHED_AHEAD, Downloads
from orangecontrib.imageanalytics.errors import ImageError


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
