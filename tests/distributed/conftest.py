"""Clusters of real processes, and images for them."""

import pytest
from dask_cluster import Crash, Slow
from helpers import make_image

from orangecontrib.imageanalytics.distributed.clusters import connected


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
