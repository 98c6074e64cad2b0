import time

import pytest
from image_server import HELD, IMAGE, fetcher, reason, slowly

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.hosts import Hosts


def test_proxy_from_environment(server, monkeypatch):
    server.add("http://images.invalid/a.png")
    monkeypatch.setenv("http_proxy", server.address)
    with fetcher() as source:
        assert source.fetch("http://images.invalid/a.png") == IMAGE


def test_unusable_proxy_in_environment(server, monkeypatch, caplog):
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:1/")
    with fetcher() as source:
        assert source.fetch(server.add("/a.png")) == IMAGE
    assert "proxy" in caplog.text


def test_a_host_that_answers_after_all_is_not_dead():
    hosts = Hosts(patience=16)
    hosts.failed("host", "no answer")
    with pytest.raises(ImageError, match="no answer"):
        hosts.check("host")
    hosts.answered("host")
    hosts.check("host")


def test_silent_host_costs_one_timeout(silent, server):
    address, connections = silent
    urls = [f"{address}/{i}.png" for i in range(100)]
    good = server.add("/a.png")
    start = time.monotonic()
    with fetcher(read_timeout=0.5, workers=8) as source:
        results = dict(source.fetch_all([*urls, good]))
    assert time.monotonic() - start < HELD / 2
    assert len(connections) <= 8
    assert results.pop(good) == IMAGE
    assert len(results) == 100
    expected = f"no answer from {address.removeprefix('http://')} within 0.5 s"
    assert {str(result) for result in results.values()} == {expected}


def test_dead_host_is_tried_once_by_one_worker(silent):
    address, connections = silent
    with fetcher(read_timeout=0.2, workers=1) as source:
        for i in range(20):
            with pytest.raises(ImageError, match="no answer from"):
                source.fetch(f"{address}/{i}.png")
    assert len(connections) == 1


def test_closed_port(closed_port):
    url = f"http://127.0.0.1:{closed_port}/a.png"
    assert reason(url) == f"cannot connect to 127.0.0.1:{closed_port}"


def test_unknown_host():
    assert reason("http://a.invalid/a.png") == "no host is named a.invalid"


def test_redirect_to_a_dead_host_is_known_too(server, silent):
    address, connections = silent
    urls = [server.add(f"/{i}", b"", 302, location=f"{address}/{i}") for i in range(5)]
    with fetcher(read_timeout=0.2, workers=1) as source:
        results = list(source.fetch_all(urls))
    assert {str(result).partition(" from")[0] for _, result in results} == {"no answer"}
    assert len(connections) == 1


def test_one_slow_image_does_not_condemn_a_host_that_answers(server):
    good = server.add("/good.png")
    slow = server.add_function("/slow.png", slowly(2))
    with fetcher(read_timeout=0.2, workers=2) as source:
        assert source.fetch(good) == IMAGE
        with pytest.raises(ImageError, match="no answer"):
            source.fetch(slow)
        assert source.fetch(good) == IMAGE
        with pytest.raises(ImageError, match="no answer"):
            source.fetch(slow)
        assert source.fetch(good) == IMAGE
        for _ in range(2):
            with pytest.raises(ImageError, match="no answer"):
                source.fetch(slow)
        with pytest.raises(ImageError, match="no answer"):
            source.fetch(good)


def test_ftp_silent_host_costs_one_timeout(silent):
    address, connections = silent
    host = address.removeprefix("http://")
    with fetcher(connect_timeout=0.2, workers=1) as source:
        results = list(source.fetch_all([f"ftp://{host}/{i}" for i in range(5)]))
    expected = f"no answer from {host} within 0.2 s"
    assert [str(result) for _, result in results] == [expected] * 5
    assert len(connections) == 1
