import gzip
import socket
import socketserver
import threading
import time
import tracemalloc

import pytest
from helpers import wait_until
from image_server import (
    HELD,
    IMAGE,
    fetcher,
    forever,
    messages,
    reason,
    run,
    slowly,
)

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.http_cache import cache_info

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
    url = server.add("/a.svg", gzip.compress(IMAGE, mtime=0), content_encoding="gzip")
    with fetcher(max_bytes=len(IMAGE)) as source:
        assert source.fetch(url) == IMAGE


def test_compression_bomb(server):
    bomb = gzip.compress(bytes(100_000_000), 9, mtime=0)
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
        (
            "gzip",
            gzip.compress(IMAGE, mtime=0)[:-20],
            "the compressed file is cut short",
        ),
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


def test_import_is_light():
    script = """
        import sys
        import orangecontrib.imageanalytics.images.fetch
        heavy = {"httpx", "hishel", "requests", "requests_cache", "torch"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run(script).communicate(timeout=60)[0] == "[]\n"
