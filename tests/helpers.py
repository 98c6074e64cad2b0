"""What several test files make use of."""

import contextlib
import http.server
import threading
import warnings

import numpy as np
from PIL import Image


def make_image(seed: int, size=(64, 48)) -> Image.Image:
    """An image of soft blotches that no other seed gives."""
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


class FakeStream:
    """Stands for a `Stream` where there is no GPU: all is done at once."""

    def __init__(self, device):
        self.device = device

    def entered(self):
        return contextlib.nullcontext()

    def mark(self):
        return self

    def synchronize(self):
        pass

    def wait(self, event):
        assert event.device == self.device

    def upload(self, tensor):
        return tensor

    def download(self, tensor):
        return tensor


class FakeWorker:
    """Stands for a `Worker` where there is no GPU."""

    def __init__(self, device):
        self.stream = FakeStream(device)

    def __call__(self, function, *args):
        return function(*args)


def make_network_file(path, channels: int = 3, seed: int = 0) -> str:
    """A TorchScript network of 4 features, for images of any size; its path."""
    import torch

    torch.manual_seed(seed)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    ).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, its files live on
        torch.jit.trace(network, torch.zeros(2, channels, 32, 32)).save(str(path))
    return str(path)
