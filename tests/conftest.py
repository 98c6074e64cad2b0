"""Images and folders that many tests use; all are made here."""

import importlib.util
import os
import threading
import unittest

import pytest
from helpers import make_image

from orangecontrib.imageanalytics.engine import compiled
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.networks.files import trust

# Where torch is installed, `test_without_torch.py` runs these in a Python that does not
# find it.
collect_ignore = ["without_torch"] if importlib.util.find_spec("torch") else []


def pytest_report_header():
    return f"tested: {os.path.dirname(os.path.dirname(compiled.__file__))}"


def pytest_pycollect_makeitem(collector, obj):
    """Leave out bases of tests that a module only imports.

    Some versions of pytest run what these contain without their ``setUpClass``.
    """
    is_case = isinstance(obj, type) and issubclass(obj, unittest.TestCase)
    if is_case and isinstance(collector, pytest.Module):
        return None if obj.__module__ == collector.obj.__name__ else []
    return None


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory, worker_id):
    """Keep the tests out of the user's cache.

    Compiled networks take long, so all processes that run tests share them.
    """
    folder = tmp_path_factory.mktemp("cache")
    shared = folder if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORANGE_IMAGEANALYTICS_CACHE_DIR", str(folder))
        patch.setattr(compiled, "folder", lambda: str(shared / "networks"))
        yield folder


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    """An empty cache for one test, except for compiled networks."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ORANGE_IMAGEANALYTICS_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def nothing_compiled(fresh_cache, tmp_path, monkeypatch):
    """An empty folder for compiled networks."""
    folder = tmp_path / "networks"
    monkeypatch.setattr(compiled, "folder", lambda: str(folder))
    return folder


@pytest.fixture
def counted(monkeypatch):
    """Numbers of images that went through a network, a batch each.

    Threads of the test before, whose run was stopped, end first: they may still come
    with a batch.
    """
    for thread in threading.enumerate():
        if thread.name.startswith("embedding"):
            thread.join(60)
    batches = []
    call = OpenVinoRunner.__call__

    def count(runner, squares, cancelled):
        answer = call(runner, squares, cancelled)
        batches.append(len(squares))
        return answer

    monkeypatch.setattr(OpenVinoRunner, "__call__", count)
    return batches


@pytest.fixture
def nothing_trusted(tmp_path, monkeypatch):
    """The folder in which it is kept what the user vouches for; it is missing."""
    folder = tmp_path / "user data"
    monkeypatch.setattr(trust, "user_data", lambda: str(folder))
    monkeypatch.setattr(trust, "_vouched", set())
    return folder


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and no way to the hub."""
    constants = pytest.importorskip("huggingface_hub.constants")
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def word_networks(hub_cache):
    """The tiny networks that know words; see the module of the same name."""
    pytest.importorskip("open_clip")
    pytest.importorskip("tokenizers")
    import word_networks

    with word_networks.known_to_open_clip():
        yield word_networks


@pytest.fixture
def photos(tmp_path):
    """A folder of six JPEGs in two subfolders; their paths, sorted."""
    paths = []
    for index in range(6):
        folder = tmp_path / "photos" / ("first" if index < 3 else "second")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"photo {index}.jpg"
        make_image(index, (320, 240)).save(path, quality=90)
        # Old enough for its time stamp to be trusted.
        os.utime(path, (1_600_000_000, 1_600_000_000))
        paths.append(str(path))
    return paths


@pytest.fixture(scope="session")
def _s3_server():
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    from s3_server import S3Server

    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3_server(_s3_server, monkeypatch):
    """A server that plays S3, with an empty bucket; the environment leads there."""
    from s3_server import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", _s3_server.endpoint)
    _s3_server.clear()
    yield _s3_server
    _s3_server.refusals.clear()


@pytest.fixture(scope="module")
def embedder():
    """SqueezeNet on the CPU, loaded."""
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

    with ImageEmbedder("squeezenet", device="cpu") as embedder:
        embedder.load()
        yield embedder
