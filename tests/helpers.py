"""What several test files make use of."""

import contextlib
import http.server
import threading

import numpy as np
from PIL import Image


def make_picture(seed: int, size=(64, 48)) -> Image.Image:
    """A picture of soft blotches that no other seed gives."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@contextlib.contextmanager
def serving(handler):
    """A server on this computer; it lists the paths asked for in `requests`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = []
        server.stop = threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.stop.set()
        server.shutdown()
