"""Clusters of real processes, and images for them."""

import logging

import pytest
from dask_cluster import Crash, Slow
from helpers import make_image

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    """A client of two worker processes; a task may lose three of them."""
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 2}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        ) as processes,
        distributed.Client(processes, set_as_default=False) as client,
    ):
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
