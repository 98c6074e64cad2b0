"""The Dask cluster that computes: somebody's, or processes on this computer."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.distributed.job import JobError
from orangecontrib.imageanalytics.engine.device import may_have_gpu, processors
from orangecontrib.imageanalytics.errors import ImageAnalyticsError, first_line

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 20
PROCESSORS_PER_WORKER = 4  # in one process, more threads wait for Python's lock
_CONFIG = {
    # Dask gives a task up when more workers have died with it.
    "distributed.scheduler.allowed-failures": 2,
    # A process that dies is started again. If that took longer, nobody would.
    "distributed.deploy.lost-worker-timeout": "1 day",
}


def import_distributed():
    """The package distributed.

    Raises
    ------
    ImageAnalyticsError
        When a package for clusters is not installed.
    """
    try:
        import distributed
        import fsspec  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImageAnalyticsError(
            "This needs Dask: pip install 'Orange3-ImageAnalytics[distributed]' "
            f"({error})"
        ) from error
    return distributed


@contextlib.contextmanager
def connected(cluster, workers: int | None = None) -> Iterator[Client]:
    """
    A client of a cluster.

    Parameters
    ----------
    cluster : str, Client, Cluster or None
        Address of a scheduler, ``"tcp://host:8786"``, or the path of its JSON file; or
        an object of Dask. With None, processes are started on this computer and ended
        afterwards.
    workers : int, optional
        Number of these processes.

    Yields
    ------
    distributed.Client

    Raises
    ------
    JobError
        When the scheduler does not answer.
    """
    distributed = import_distributed()
    if cluster is None:
        with _processes(workers) as client:
            yield client
        return
    if workers is not None:
        raise ValueError("workers is for processes on this computer, not for a cluster")
    if isinstance(cluster, distributed.Client):
        yield cluster
        return
    client = _connect(cluster)
    try:
        yield client
    finally:
        # Without waiting for a scheduler that may be lost.
        client.close(timeout=2)


def _connect(cluster) -> Client:
    Client = _closing_client()
    address = os.fspath(cluster) if isinstance(cluster, str | os.PathLike) else cluster
    try:
        if isinstance(address, str) and address.endswith(".json"):
            address = _address_in(address)
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # TimeoutError is an OSError
        raise JobError(
            f"no Dask scheduler answers at {cluster}: {first_line(error)}"
        ) from error


def _closing_client() -> type[Client]:
    """The class of clients that are closed if an address turns out to be wrong.

    Dask would close them when Python ends, and wait in vain for 40 seconds.
    """
    from distributed import Client

    class ClosingClient(Client):
        def start(self, **options):
            try:
                super().start(**options)
            except BaseException:
                self.close(timeout=2)
                raise

    return ClosingClient


def _address_in(path: str) -> str:
    """The address in the file of a scheduler, which may be about to be written.

    Raises
    ------
    OSError, ValueError
        When there is none in time.
    """
    end = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return _read_address(path)
        except (OSError, ValueError):
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def _read_address(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["address"]
    except FileNotFoundError as error:
        raise FileNotFoundError("there is no such file") from error
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError("there is no address of a scheduler in this file") from error


@contextlib.contextmanager
def _processes(workers: int | None) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    n_workers = workers or default_workers()
    options = {
        "n_workers": n_workers,
        "threads_per_worker": max(1, processors() // n_workers),
        "host": "127.0.0.1",
        "dashboard_address": "127.0.0.1:8787",
        "silence_logs": logging.CRITICAL,
    }
    with dask.config.set(_CONFIG):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Port 8787")  # another is taken
            cluster = LocalCluster(**options)
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


def default_workers() -> int:
    """The number of processes on this computer, if nobody says otherwise."""
    if may_have_gpu():  # they would share it
        return 1
    return max(1, processors() // PROCESSORS_PER_WORKER)
