"""What several test files make use of."""

import contextlib
import http.server
import io
import re
import sys
import threading
import time
import warnings
import zipfile

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.engine.runner import Runner
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing

N_FEATURES = 8
# Milliseconds to wait for a widget: the first run of a network compiles it, which takes
# twelve seconds or more while other programs work.
PATIENCE = 120_000

#: A second, in seconds of a machine that has other things to do; without being
#: heard, what is stopped would go on for more than twice that.
SOON = 30


def read_toml(path) -> dict:
    """The content of a TOML file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    with open(path, "rb") as file:
        return tomllib.load(file)


def modules_of_windows(names) -> set[str]:
    """Modules of Qt with which there may be windows.

    None for PyQt5, where Orange itself and AnyQt import them.
    """
    if "PyQt5" in names:
        return set()
    return {name for name in names if re.search(r"\.Qt(Gui|Widgets)$", name)}


def wait_until(condition):
    """Wait for something that another thread, or another process, does."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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


class StandInRunner(Runner):
    """Its vectors are the colour of the images, of which it sees one pixel."""

    precision = "float32"
    batch_size = 16
    intensity = "auto"
    device_name = "stand-in"
    preprocessing = Preprocessing(1, None, (0, 0, 0), (1, 1, 1), "bilinear")

    def __init__(self):
        self.n_seen = self.n_loads = 0
        self._lock = threading.Lock()

    def load(self, callback=None):
        self.n_loads += 1

    def __call__(self, squares, cancelled):
        with self._lock:
            self.n_seen += len(squares)
        pixels = squares.reshape(len(squares), 3)
        return np.tile(pixels, 3)[:, :N_FEATURES].astype(np.float32), self.precision


def number_of(content) -> int:
    """The number in a name such as ``17`` or ``17 again``; 0 to 2**24 - 1."""
    return int(content.split()[0])


def vector_of(source) -> np.ndarray:
    """That which `StandInRunner` makes of an image of `number_images`."""
    return np.tile(list(number_of(source).to_bytes(3, "big")), 3)[:N_FEATURES]


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


def make_network_file(
    path, channels: int = 3, seed: int = 0, trusted: bool = True
) -> str:
    """A TorchScript network of 4 features, for images of any size; its path.

    It is vouched for unless it is said that it is not.
    """
    import torch

    from orangecontrib.imageanalytics.networks.registry import find_network

    torch.manual_seed(seed)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(channels, 4, 3),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    ).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, its files live on
        torch.jit.trace(network, torch.zeros(2, channels, 32, 32)).save(str(path))
    given = {"size": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}
    find_network(path, given, trusted)
    return str(path)


class _Harm:
    """Pickled, it makes a folder when it is opened, and is an empty dictionary then."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        make = f"__import__('os').makedirs({self.folder!r}, exist_ok=True)"
        return eval, (f"{make} or {{}}",)


def make_harmful_file(path, folder) -> str:
    """A network that makes a folder when it is opened, and works; its path.

    As `make_network_file`, but as a program of ``torch.export``.
    """
    import torch

    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    ).eval()
    batch = (torch.zeros(2, 3, 40, 40),)
    shapes = ({0: torch.export.Dim("images")},)
    program = torch.export.export(network, batch, dynamic_shapes=shapes, strict=False)
    stream, samples = io.BytesIO(), io.BytesIO()
    torch.export.save(program, stream)
    torch.save((batch, _Harm(folder)), samples)
    with zipfile.ZipFile(stream) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    # Older versions of torch call it otherwise.
    names = ("data/sample_inputs/model.pt", "serialized_example_inputs.pt")
    (sample,) = (name for name in members if name.endswith(names))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {sample: samples.getvalue()}).items():
            archive.writestr(name, content)
    return str(path)
