import contextlib
import gzip
import http.server
import os
import socket
import socketserver
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc

import pytest

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import http_cache
from orangecontrib.imageanalytics.images.fetch import Fetcher, _Hosts
from orangecontrib.imageanalytics.images.http_cache import cache_info, clear_cache


def messages(caplog):
    """What this package logged; pytest hears hishel, too, which others do not."""
    ours = (r for r in caplog.records if r.name.startswith("orangecontrib."))
    return [record.getMessage() for record in ours]


IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
HELD = 60  # seconds that a server keeps a client waiting at most


def wait_until(condition):
    end = time.monotonic() + HELD
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Server(http.server.ThreadingHTTPServer):
    """Answers a path with the handler function registered for it; counts requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = {}
        self.requests = []
        self.stop = threading.Event()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, path, content=IMAGE, status=200, **headers):
        """Serve content; a name like cache_control is the header Cache-Control."""

        def answer(handler):
            handler.answer(status, content, headers)

        self.pages[path] = answer
        return self.address + path

    def add_function(self, path, function):
        self.pages[path] = function
        return self.address + path

    def count(self, path):
        return sum(asked == path for asked, _ in self.requests)

    def handle_error(self, request, client_address):
        """Clients hang up on purpose here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append((self.path, self.headers))
        page = self.server.pages.get(self.path)
        if page is None:
            self.answer(
                404, b"<html>no such page</html>", {"content_type": "text/html"}
            )
        else:
            page(self)

    def answer(self, status, content, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def silent():
    """A host that takes connections and never answers; its list of connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        accepted = []

        def accept():
            while True:
                try:
                    accepted.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        accepted_from = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield accepted_from, accepted
        # Closing alone does not wake accept().
        listener.shutdown(socket.SHUT_RDWR)
        for connection in accepted:
            connection.close()


@pytest.fixture
def closed_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "cache" / "http")


def fetcher(**options):
    return Fetcher(**{"cache_dir": None, **options})


def reason(url, **options):
    with fetcher(**options) as source, pytest.raises(ImageError) as info:
        source.fetch(url)
    return str(info.value)


def slowly(seconds, content=IMAGE):
    def answer(handler):
        handler.server.stop.wait(seconds)
        handler.answer(200, content, {})

    return answer


def forever(pause):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.stop.wait(pause):
            handler.wfile.write(bytes(1000))

    return answer


# What comes back


def test_image(server):
    url = server.add("/a.png")
    with fetcher() as source:
        assert source.fetch(url) == IMAGE


def test_not_found(server):
    assert reason(server.address + "/none.png") == "404 Not Found"


def test_server_error(server):
    url = server.add("/a.png", status=503)
    assert reason(url) == "503 Service Unavailable"


def test_web_page_is_refused(server):
    page = b"\n<!DOCTYPE html><html><body>Log in, please</body></html>"
    url = server.add("/a.png", page, content_type="text/html; charset=utf-8")
    expected = "the server sent a web page (text/html), not an image"
    assert reason(url) == expected


@pytest.mark.parametrize("content", [IMAGE, b"<svg width='1' height='1'/>"])
def test_image_called_a_web_page_is_kept(server, content):
    url = server.add("/a.png", content, content_type="text/html")
    with fetcher() as source:
        assert source.fetch(url) == content


def test_empty_file(server):
    assert reason(server.add("/a.png", b"")) == "the server sent an empty file"


def test_body_cut_short(server):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"few")
        handler.close_connection = True

    url = server.add_function("/a.png", answer)
    assert reason(url).endswith("broke")


@pytest.mark.parametrize("scheme", ["http", "https", "ftp", "FTP"])
@pytest.mark.parametrize(
    "rest", ["", "/a.png", "[bad", "[bad]/a.png", "a:b/", "a..b/", "\u2100.com/"]
)
def test_not_a_valid_address(scheme, rest, caplog):
    assert reason(f"{scheme}://{rest}").startswith("not a valid address (")
    assert not caplog.records


@pytest.mark.parametrize(
    "url", ["http://a\udcff/", "http://\x00/", f"ftp://{'ä' * 70}.invalid/"], ids=ascii
)
def test_what_only_the_transport_finds_wrong(url, caplog):
    assert reason(url).startswith("not a valid address (")
    assert not caplog.records


@pytest.mark.parametrize("url", ["file:///etc/hostname", "gopher://a/", "a.png", ""])
def test_other_schemes(url):
    assert reason(url) == "not an http, https or ftp address"


def test_names_its_user_agent(server):
    with fetcher() as source:
        source.fetch(server.add("/a.png"))
    assert "Orange3-ImageAnalytics" in server.requests[0][1]["User-Agent"]


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


# Redirects


def redirects(server, count):
    """A chain of so many redirects before the image."""
    server.add("/0", IMAGE)
    for i in range(1, count + 1):
        server.add(f"/{i}", b"", 302, location=f"/{i - 1}")
    return f"{server.address}/{count}"


def test_five_redirects_are_followed(server):
    with fetcher() as source:
        assert source.fetch(redirects(server, 5)) == IMAGE


def test_six_redirects_are_too_many(server):
    assert reason(redirects(server, 6)) == "too many redirects"
    assert server.count("/0") == 0


def test_redirect_loop(server):
    url = server.add("/a", b"", 302, location="/a")
    assert reason(url) == "too many redirects"
    assert server.count("/a") == 6


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a"])
def test_redirect_to_another_scheme_is_not_followed(server, target):
    url = server.add("/a", b"", 302, location=target)
    assert reason(url) == f"redirected to a {target.partition(':')[0]} address"


def test_endless_redirect_body(server):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", "/b")
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(10_000))

    server.add("/b")
    url = server.add_function("/a", answer)
    assert reason(url, max_bytes=1_000_000) == "more than 1 MB"


# Size


def test_announced_size_is_refused_before_it_is_sent(server):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "200000000")
        handler.end_headers()
        handler.server.stop.wait(HELD)

    url = server.add_function("/a.png", answer)
    start = time.monotonic()
    assert reason(url) == "more than 100 MB"
    assert time.monotonic() - start < HELD / 2


def test_endless_body_ends_at_the_size_limit(server):
    url = server.add_function("/a.png", forever(0))
    assert reason(url, max_bytes=50_000) == "more than 0.05 MB"


def test_image_of_exactly_the_limit(server):
    url = server.add("/a.png")
    with fetcher(max_bytes=len(IMAGE)) as source:
        assert source.fetch(url) == IMAGE
    assert reason(url, max_bytes=len(IMAGE) - 1).startswith("more than")


def test_compressed_image(server):
    url = server.add("/a.svg", gzip.compress(IMAGE), content_encoding="gzip")
    with fetcher(max_bytes=len(IMAGE)) as source:
        assert source.fetch(url) == IMAGE


def test_compression_bomb(server):
    bomb = gzip.compress(bytes(100_000_000), 9)
    url = server.add("/a.svg", bomb, content_encoding="gzip")
    tracemalloc.start()
    try:
        assert reason(url, max_bytes=1_000_000) == "more than 1 MB"
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoding", "content", "expected"),
    [
        ("gzip", b"not gzip", "the compressed file is damaged"),
        ("gzip", gzip.compress(IMAGE)[:-20], "the compressed file is cut short"),
        ("br", b"...", "compressed in an unknown way (br)"),
    ],
)
def test_bad_compression(server, encoding, content, expected):
    url = server.add("/a.svg", content, content_encoding=encoding)
    assert reason(url) == expected


# Time


def test_slow_body_ends_at_the_time_limit(server):
    url = server.add_function("/a.png", forever(0.05))
    start = time.monotonic()
    assert reason(url, total_timeout=0.4) == "not downloaded within 0.4 s"
    assert time.monotonic() - start < HELD / 2


def test_slow_headers_end_at_the_time_limit(server):
    def answer(handler):
        while not handler.server.stop.wait(0.05):
            handler.wfile.write(b"x")

    url = server.add_function("/a.png", answer)
    start = time.monotonic()
    assert reason(url, total_timeout=0.4) == "not downloaded within 0.4 s"
    assert time.monotonic() - start < HELD / 2


def test_server_that_never_answers(silent):
    address, _ = silent
    host = address.removeprefix("http://")
    expected = f"no answer from {host} within 0.2 s"
    assert reason(address + "/a.png", read_timeout=0.2) == expected


def test_server_that_stops_in_the_middle(server):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"few")
        handler.server.stop.wait(HELD)

    url = server.add_function("/a.png", answer)
    assert reason(url, read_timeout=0.2).endswith("stopped sending")


# Dead hosts


def test_a_host_that_answers_after_all_is_not_dead():
    hosts = _Hosts(patience=16)
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


# Many at once


def test_parallel(server):
    together = threading.Barrier(4)

    def answer(handler):
        together.wait(HELD)  # answered with three others, or not at all
        handler.answer(200, IMAGE, {})

    urls = [server.add_function(f"/{i}.png", answer) for i in range(16)]
    with fetcher() as source:
        results = dict(source.fetch_all(urls))
    assert results == dict.fromkeys(urls, IMAGE)


def test_results_come_in_order_of_completion(server):
    may_answer = threading.Event()

    def answer(handler):
        may_answer.wait(HELD)
        handler.answer(200, IMAGE, {})

    slow = server.add_function("/slow.png", answer)
    fast = server.add("/fast.png")
    with fetcher() as source:
        results = source.fetch_all([slow, fast])
        assert next(results) == (fast, IMAGE)
        may_answer.set()
        assert next(results) == (slow, IMAGE)


def test_no_urls():
    with fetcher() as source:
        assert list(source.fetch_all([])) == []


def test_same_url_twice(server):
    url = server.add("/a.png")
    with fetcher() as source:
        assert list(source.fetch_all([url, url])) == [(url, IMAGE)] * 2


def test_urls_are_read_as_fast_as_results_are_taken(server):
    url = server.add("/a.png")
    taken = []

    def urls():
        while True:
            taken.append(url)
            yield url

    with fetcher(workers=4) as source:
        results = source.fetch_all(urls())
        for _ in range(10):
            assert next(results) == (url, IMAGE)
        wait_until(lambda: server.count("/a.png") == 13)
        assert len(taken) == 13


@pytest.mark.parametrize("dripping", [False, True])
def test_cancel_while_the_server_hangs(server, silent, dripping):
    address = server.add_function("/a", forever(0.05)) if dripping else silent[0]
    cancelled = threading.Event()
    asked = server.requests if dripping else silent[1]

    def cancel():
        wait_until(lambda: asked)
        cancelled.set()

    threading.Thread(target=cancel).start()
    start = time.monotonic()
    with fetcher() as source:
        assert list(source.fetch_all([address] * 50, cancelled)) == []
    assert time.monotonic() - start < HELD / 2


def test_close_while_downloads_are_under_way(server, folder, caplog):
    dripping = [server.add_function(f"/{i}", forever(0.01)) for i in range(8)]
    image = server.add("/a.png", cache_control="max-age=1000")
    with Fetcher(cache_dir=folder) as source:
        assert next(source.fetch_all([image, *dripping])) == (image, IMAGE)
        wait_until(lambda: len(server.requests) > 1)
    assert messages(caplog) == []
    assert cache_info(folder)["entries"] == 1


def test_given_up_download_ends(server):
    ended = threading.Event()

    def answer(handler):
        try:
            forever(0.05)(handler)
        finally:
            ended.set()

    url = server.add_function("/a.png", answer)
    with fetcher(total_timeout=0.3) as source:
        with pytest.raises(ImageError, match="not downloaded"):
            source.fetch(url)
        assert ended.wait(HELD)


def test_given_up_download_is_told_once(server):
    slow = server.add_function("/slow.png", slowly(0.7))
    later = [server.add_function(f"/{i}.png", slowly(0.3)) for i in range(3)]
    with fetcher(total_timeout=0.5, workers=2) as source:
        results = [url for url, _ in source.fetch_all([slow, *later])]
    assert sorted(results) == sorted([slow, *later])


def test_one_image_may_be_cancelled_too(server):
    cancelled = threading.Event()
    cancelled.set()
    with (
        fetcher() as source,
        pytest.raises(ImageError, match="cancelled"),
    ):
        source.fetch(server.add("/a.png"), cancelled)


def test_cancelled_before_the_start(server):
    cancelled = threading.Event()
    cancelled.set()
    url = server.add("/a.png")
    with fetcher() as source:
        assert list(source.fetch_all([url], cancelled)) == []
    assert server.count("/a.png") == 0


def test_interpreter_ends_while_a_server_hangs(silent):
    script = f"""
        from orangecontrib.imageanalytics.images.fetch import Fetcher
        import threading
        cancelled = threading.Event()
        threading.Timer(0.2, cancelled.set).start()
        source = Fetcher(cache_dir=None)
        list(source.fetch_all(["{silent[0]}"] * 5, cancelled))
        print("end", flush=True)
    """
    process = run(script)
    assert process.stdout.readline() == "end\n"
    start = time.monotonic()
    assert process.wait(HELD) == 0
    assert time.monotonic() - start < HELD / 2
    process.stdout.close()


# FTP


class FtpHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.reply("220 ready")
        data = None
        for line in self.rfile:
            command, _, argument = line.decode().strip().partition(" ")
            if command == "EPSV":
                data = socket.create_server(("127.0.0.1", 0))
                self.reply(f"229 entered (|||{data.getsockname()[1]}|)")
            elif command == "PASV":
                data = socket.create_server(("127.0.0.1", 0))
                high, low = divmod(data.getsockname()[1], 256)
                self.reply(f"227 entered (127,0,0,1,{high},{low})")
            elif command == "RETR" and argument == "a.png":
                self.reply("150 here it comes")
                with data, data.accept()[0] as connection:
                    connection.sendall(IMAGE)
                self.reply("226 done")
            elif command == "RETR" or argument == "b.png":
                self.reply("550 there is no such file")
            else:
                self.reply("200 fine")
        if data:
            data.close()

    def reply(self, line):
        self.wfile.write(line.encode() + b"\r\n")


@pytest.fixture
def ftp():
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), FtpHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"ftp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_ftp(ftp):
    with fetcher() as source:
        assert source.fetch(ftp + "/a.png") == IMAGE


def test_ftp_size_limit(ftp):
    assert reason(ftp + "/a.png", max_bytes=100) == "more than 0.0001 MB"


def test_ftp_file_not_found(ftp):
    assert reason(ftp + "/b.png") == "550 there is no such file"


def test_ftp_unknown_host():
    assert reason("ftp://a.invalid/a.png") == "no host is named a.invalid"


def test_ftp_silent_host_costs_one_timeout(silent):
    address, connections = silent
    host = address.removeprefix("http://")
    with fetcher(connect_timeout=0.2, workers=1) as source:
        results = list(source.fetch_all([f"ftp://{host}/{i}" for i in range(5)]))
    expected = f"no answer from {host} within 0.2 s"
    assert [str(result) for _, result in results] == [expected] * 5
    assert len(connections) == 1


# The cache


def fetch_again(url, folder, **options):
    """With a new fetcher, as another run of the program would."""
    with Fetcher(cache_dir=folder, **options) as source:
        return source.fetch(url)


def run(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


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
        gzip.compress(IMAGE),
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


def test_import_is_light():
    script = """
        import sys
        import orangecontrib.imageanalytics.images.fetch
        heavy = {"httpx", "hishel", "requests", "requests_cache", "torch"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run(script).communicate(timeout=60)[0] == "[]\n"
