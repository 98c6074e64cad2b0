"""A server of images on this computer, and what is downloaded from it."""

import http.server
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.fetch import Fetcher


def messages(caplog):
    """What this package logged; pytest hears hishel, too, which others do not."""
    ours = (r for r in caplog.records if r.name.startswith("orangecontrib."))
    return [record.getMessage() for record in ours]


IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
HELD = 60  # seconds that a server keeps a client waiting at most


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


def fetcher(**options):
    """A fetcher without a cache."""
    return Fetcher(**{"cache_dir": None, **options})


def reason(url, **options):
    """Why an address is not downloaded."""
    with fetcher(**options) as source, pytest.raises(ImageError) as info:
        source.fetch(url)
    return str(info.value)


def slowly(seconds, content=IMAGE):
    """A handler function that waits before it answers."""

    def answer(handler):
        handler.server.stop.wait(seconds)
        handler.answer(200, content, {})

    return answer


def forever(pause):
    """A handler function whose answer never ends, with pauses."""

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        while not handler.server.stop.wait(pause):
            handler.wfile.write(bytes(1000))

    return answer


def run(script, *arguments):
    """A process of its own that runs a script of Python."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
