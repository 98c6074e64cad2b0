import contextlib
import gzip
import os
import sqlite3
import sys
import threading

import pytest
from helpers import wait_until
from image_server import HELD, IMAGE, Server, forever, messages, run

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import http_cache
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.http_cache import cache_info, clear_cache


def fetch_again(url, folder, **options):
    """With a new fetcher, as another run of the program would."""
    with Fetcher(cache_dir=folder, **options) as source:
        return source.fetch(url)


def test_fresh_image_is_not_asked_for_again(server, folder):
    url = server.add("/a.png", cache_control="max-age=1000")
    assert fetch_again(url, folder) == IMAGE
    server.add("/a.png", b"changed")
    assert fetch_again(url, folder) == IMAGE
    assert server.count("/a.png") == 1


def test_without_cache(server, monkeypatch, tmp_path):
    monkeypatch.setattr(http_cache, "user_cache", lambda: str(tmp_path))
    url = server.add("/a.png", cache_control="max-age=1000")
    for _ in range(2):
        with Fetcher(cache_dir=None) as source:
            source.fetch(url)
    assert server.count("/a.png") == 2
    assert os.listdir(tmp_path) == []


def test_default_folder(server, monkeypatch, tmp_path):
    monkeypatch.setattr(http_cache, "user_cache", lambda: str(tmp_path))
    with Fetcher() as source:
        source.fetch(server.add("/a.png", cache_control="max-age=1000"))
    assert cache_info()["entries"] == 1
    assert cache_info()["folder"] == str(tmp_path / "http")


@pytest.mark.parametrize(
    ("sent", "returned", "value"),
    [
        ("etag", "If-None-Match", '"one"'),
        ("last_modified", "If-Modified-Since", "Tue, 01 Sep 2020 10:00:00 GMT"),
    ],
)
def test_stale_image_is_revalidated(server, folder, sent, returned, value):
    asked = []

    def answer(handler):
        headers = {sent: value, "cache_control": "max-age=0"}
        asked.append(handler.headers[returned])
        if asked[-1] == value:
            handler.send_response(304)
            handler.end_headers()
        else:
            handler.answer(200, IMAGE, headers)

    url = server.add_function("/a.png", answer)
    assert fetch_again(url, folder) == IMAGE
    assert fetch_again(url, folder) == IMAGE
    assert asked == [None, value]


def test_changed_image(server, folder):
    url = server.add("/a.png", etag='"one"', cache_control="max-age=0")
    assert fetch_again(url, folder) == IMAGE
    server.add("/a.png", b"other", etag='"two"', cache_control="max-age=0")
    assert fetch_again(url, folder) == b"other"


def test_no_store(server, folder):
    url = server.add("/a.png", cache_control="no-store, max-age=1000")
    for _ in range(2):
        assert fetch_again(url, folder) == IMAGE
    assert server.count("/a.png") == 2
    assert cache_info(folder)["entries"] == 0


def test_redirect_is_cached_as_its_headers_say(server, folder):
    server.add("/a.png", cache_control="max-age=1000")
    permanent = server.add(
        "/p", b"", 301, location="/a.png", cache_control="max-age=1000"
    )
    temporary = server.add("/t", b"", 302, location="/a.png")
    for _ in range(2):
        assert fetch_again(permanent, folder) == IMAGE
        assert fetch_again(temporary, folder) == IMAGE
    counts = [server.count(path) for path in ("/a.png", "/p", "/t")]
    assert counts == [1, 1, 2]


def test_failures_are_not_cached(server, folder):
    url = server.add("/a.png", b"sorry", 404, cache_control="max-age=1000")
    with pytest.raises(ImageError, match="404"):
        fetch_again(url, folder)
    server.add("/a.png")
    assert fetch_again(url, folder) == IMAGE


def test_what_is_too_large_is_not_cached(server, folder):
    url = server.add("/a.png", cache_control="max-age=1000")
    with pytest.raises(ImageError, match="more than"):
        fetch_again(url, folder, max_bytes=100)
    assert cache_info(folder)["entries"] == 0
    assert fetch_again(url, folder) == IMAGE


def test_compressed_image_from_cache(server, folder):
    url = server.add(
        "/a.svg",
        gzip.compress(IMAGE, mtime=0),
        content_encoding="gzip",
        cache_control="max-age=1000",
    )
    for _ in range(2):
        assert fetch_again(url, folder) == IMAGE
    assert server.count("/a.svg") == 1


def test_stale_copy_when_the_server_fails(server, folder):
    url = server.add("/a.png", cache_control="max-age=0")
    assert fetch_again(url, folder) == IMAGE
    server.add("/a.png", b"", 502)
    assert fetch_again(url, folder) == IMAGE
    server.add("/a.png", b"", 404)
    with pytest.raises(ImageError, match="404"):
        fetch_again(url, folder)


@pytest.mark.parametrize("forbidden", [False, True])
def test_stale_copy_when_offline(folder, forbidden):
    control = "max-age=0, must-revalidate" if forbidden else "max-age=0"
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = server.add("/a.png", cache_control=control)
        assert fetch_again(url, folder) == IMAGE
        server.shutdown()
    if forbidden:
        with pytest.raises(ImageError, match="cannot connect"):
            fetch_again(url, folder)
    else:
        assert fetch_again(url, folder) == IMAGE


def test_cache_is_bounded(server, folder, monkeypatch):
    import hishel

    class Impatient(hishel.SqliteStorage):
        def __init__(self, **options):
            # Entries read within this time stay, so a test could not see any go.
            super().__init__(soft_delete_ttl=0, **options)

    monkeypatch.setattr(hishel, "SqliteStorage", Impatient)
    content = os.urandom(100_000)
    urls = [
        server.add(f"/{i}.png", content, cache_control="max-age=1000")
        for i in range(40)
    ]
    with Fetcher(cache_dir=folder, cache_bytes=1_000_000) as source:
        for url in urls:
            assert source.fetch(url) == content
    assert 0 < cache_info(folder)["entries"] <= 12
    fetch_again(urls[-1], folder)
    assert server.count("/39.png") == 1


def test_cache_larger_than_its_bound_goes_on(server, folder):
    urls = [
        server.add(f"/{i}.png", os.urandom(100_000), cache_control="max-age=1000")
        for i in range(20)
    ]
    with Fetcher(cache_dir=folder, cache_bytes=500_000) as source:
        results = dict(source.fetch_all(urls))
    assert all(isinstance(result, bytes) for result in results.values())
    assert cache_info(folder)["bytes"] < 2_500_000


def damage_all(path):
    with open(path, "r+b") as file:
        file.write(b"garbage " * 5000)


def damage_half(path):
    os.truncate(path, os.path.getsize(path) // 2 // 4096 * 4096)


def damage_schema(path):
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE streams")
        connection.execute("CREATE TABLE streams (other)")
    connection.close()


@pytest.mark.parametrize("damage", [damage_all, damage_half, damage_schema])
def test_damaged_cache(server, folder, damage, caplog):
    url = server.add("/a.png", IMAGE * 100, cache_control="max-age=1000")
    fetch_again(url, folder)
    damage(os.path.join(folder, http_cache.DATABASE))
    assert fetch_again(url, folder) == IMAGE * 100
    assert len(messages(caplog)) == 1
    assert "damaged" in messages(caplog)[0]
    assert fetch_again(url, folder) == IMAGE * 100
    assert server.count("/a.png") == 2
    assert len(messages(caplog)) == 1


def test_damaged_body_in_the_cache(server, folder, caplog):
    url = server.add("/a.png", cache_control="max-age=1000")
    fetch_again(url, folder)
    with sqlite3.connect(os.path.join(folder, http_cache.DATABASE)) as connection:
        connection.execute("DELETE FROM streams")
    connection.close()
    other = server.add("/b.png", cache_control="max-age=1000")
    with Fetcher(cache_dir=folder) as source:
        assert source.fetch(url) == source.fetch(url) == source.fetch(other) == IMAGE
    assert len(messages(caplog)) == 1
    assert "damaged" in messages(caplog)[0]
    before = server.count("/a.png")
    assert fetch_again(url, folder) == fetch_again(url, folder) == IMAGE
    assert server.count("/a.png") == before + 1


def test_cache_folder_below_a_file(server, tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    url = server.add("/a.png", cache_control="max-age=1000")
    with Fetcher(cache_dir=str(tmp_path / "file" / "http")) as source:
        results = list(source.fetch_all([url] * 20))
    assert results == [(url, IMAGE)] * 20
    assert len(messages(caplog)) == 1
    assert "not cached" in messages(caplog)[0]


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_full_disk(server, folder):
    script = """
        import logging, resource, sys
        from orangecontrib.imageanalytics.images.fetch import Fetcher
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
        with Fetcher(cache_dir=sys.argv[1]) as source:
            for url, content in source.fetch_all(sys.argv[2:]):
                print("length", len(content))
    """
    urls = [server.add(f"/{i}.png", os.urandom(50_000)) for i in range(20)]
    process = run(script, folder, *urls)
    lines = process.communicate(timeout=HELD)[0].splitlines()
    assert lines.count("length 50000") == 20
    others = [line for line in lines if line != "length 50000"]
    assert len(others) == 1
    assert others[0].startswith("The cache of downloads cannot be used")


def test_two_processes_share_the_cache(server, folder):
    script = """
        import sys
        from orangecontrib.imageanalytics.images.fetch import Fetcher
        with Fetcher(cache_dir=sys.argv[1]) as source:
            print(sum(len(content) for _, content in source.fetch_all(sys.argv[2:])))
    """
    content = os.urandom(20_000)
    urls = [
        server.add(f"/{i}.png", content, cache_control="max-age=1000")
        for i in range(60)
    ]
    processes = [run(script, folder, *urls), run(script, folder, *reversed(urls))]
    for process in processes:
        assert process.communicate(timeout=60)[0] == f"{60 * 20_000}\n"
    before = len(server.requests)
    with Fetcher(cache_dir=folder) as source:
        assert dict(source.fetch_all(urls)) == dict.fromkeys(urls, content)
    assert len(server.requests) == before


def test_killed_process_leaves_a_usable_cache(server, folder, caplog):
    script = """
        import sys
        from orangecontrib.imageanalytics.images.fetch import Fetcher
        source = Fetcher(cache_dir=sys.argv[1])
        source.fetch(sys.argv[2])
        print("first", flush=True)
        source.fetch(sys.argv[3])
    """
    first = server.add("/1.png", cache_control="max-age=1000")
    second = server.add_function("/2.png", forever(0.01))
    process = run(script, folder, first, second)
    assert process.stdout.readline() == "first\n"
    wait_until(lambda: server.count("/2.png"))
    process.kill()
    process.communicate()
    server.add("/2.png")
    assert fetch_again(first, folder) == fetch_again(second, folder) == IMAGE
    assert server.count("/1.png") == 1
    assert messages(caplog) == []


def test_private_image_is_kept(server, folder):
    url = server.add("/a.png", cache_control="private, max-age=1000")
    assert fetch_again(url, folder) == fetch_again(url, folder) == IMAGE
    assert server.count("/a.png") == 1


def test_two_fetchers_in_one_process(server, folder):
    url = server.add("/a.png", cache_control="max-age=1000")
    with Fetcher(cache_dir=folder) as one, Fetcher(cache_dir=folder) as two:
        assert one.fetch(url) == two.fetch(url) == IMAGE
    assert server.count("/a.png") == 1


def test_nothing_is_unpickled(server, folder, monkeypatch):
    import pickle

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    url = server.add("/a.png", cache_control="max-age=1000")
    for _ in range(2):
        assert fetch_again(url, folder) == IMAGE
    assert server.count("/a.png") == 1


def test_cache_info_and_clear_cache(server, folder):
    nothing = {"folder": folder, "bytes": 0, "entries": 0, "limit": 10**9}
    assert cache_info(folder) == nothing
    clear_cache(folder)
    assert cache_info(folder) == nothing
    url = server.add("/a.png", os.urandom(500_000), cache_control="max-age=1000")
    fetch_again(url, folder)
    info = cache_info(folder)
    assert info["entries"] == 1
    assert info["bytes"] > 500_000
    clear_cache(folder)
    info = cache_info(folder)
    assert info["entries"] == 0
    assert info["bytes"] < 100_000
    fetch_again(url, folder)
    assert server.count("/a.png") == 2


def test_clear_cache_in_use(server, folder):
    url = server.add("/a.png", cache_control="max-age=1000")
    with Fetcher(cache_dir=folder) as source:
        source.fetch(url)
        clear_cache(folder)
        assert source.fetch(url) == source.fetch(url) == IMAGE
    assert server.count("/a.png") == 2


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_clear_locked_cache(server, folder, monkeypatch, statement):
    monkeypatch.setattr(http_cache, "BUSY_SECONDS", 0.05)
    fetch_again(server.add("/a.png", cache_control="max-age=1000"), folder)
    path = os.path.join(folder, http_cache.DATABASE)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(statement)
        with pytest.raises(OSError, match=r"downloads\.sqlite.*another program"):
            clear_cache(folder)
    assert cache_info(folder)["entries"] == 1
    clear_cache(folder)
    assert cache_info(folder)["entries"] == 0


def test_clear_cache_that_cannot_be_written(server, folder, monkeypatch):
    fetch_again(server.add("/a.png", cache_control="max-age=1000"), folder)

    def read_only(path, **options):
        connection = sqlite3.connect(path, **options)
        connection.execute("PRAGMA query_only = 1")
        return connection

    monkeypatch.setattr(http_cache, "_connect", read_only)
    with pytest.raises(OSError, match=r"downloads\.sqlite cannot .*readonly"):
        clear_cache(folder)


def test_clear_cache_whose_damage_shows_late(server, folder, monkeypatch):
    fetch_again(server.add("/a.png", cache_control="max-age=1000"), folder)

    def fail(_connection):
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(http_cache, "_drop_all", fail)
    clear_cache(folder)
    assert cache_info(folder)["bytes"] == 0


def test_clear_damaged_cache(server, folder):
    fetch_again(server.add("/a.png", cache_control="max-age=1000"), folder)
    damage_all(os.path.join(folder, http_cache.DATABASE))
    assert cache_info(folder)["entries"] == 0
    clear_cache(folder)
    assert cache_info(folder)["bytes"] < 100_000
