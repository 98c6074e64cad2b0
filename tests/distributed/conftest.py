"""Clusters of real processes, and images to list or embed."""

import pytest
from dask_cluster import Crash, Slow
from helpers import make_image
from listings import make_folder
from shard_files import make_shard

from orangecontrib.imageanalytics.distributed.clusters import connected
from orangecontrib.imageanalytics.distributed.listing import Listing


@pytest.fixture(scope="module")
def cluster():
    """A client of two worker processes."""
    with connected(None, workers=2) as client:
        yield client


@pytest.fixture
def crashing(cluster):
    """Workers that die when they decode an image with ``KILLS`` in its file."""
    cluster.register_plugin(Crash(b"KILLS"))
    yield cluster
    cluster.unregister_worker_plugin(Crash.name)
    cluster.restart()


@pytest.fixture
def slow(cluster):
    """Workers that take a while for each image."""
    cluster.register_plugin(Slow(0.05))
    yield cluster
    cluster.unregister_worker_plugin(Slow.name)
    cluster.restart()


@pytest.fixture
def images(tmp_path):
    """A folder of 24 different images in two subfolders; their paths, sorted."""
    paths = []
    for index in range(24):
        folder = tmp_path / "images" / ("left" if index < 12 else "right")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{index:02}.png"
        make_image(index, (64 + index, 48)).save(path)
        paths.append(path)
    return paths


@pytest.fixture
def folder(tmp_path):
    """A folder with some of everything."""
    return make_folder(tmp_path)


@pytest.fixture
def shard(tmp_path):
    """Writes a tar file; returns the part that it is in a listing."""

    def write(files, name="a.tar", mode="w"):
        (tmp_path / name).write_bytes(make_shard(files, mode))
        (part,) = Listing(tmp_path / name).parts()
        return part

    return write
