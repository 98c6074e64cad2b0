"""Workers of Dask that misbehave, and processes of their own."""

import contextlib
import os
import resource
import subprocess
import sys
import time

from distributed import WorkerPlugin
from helpers import wait_until


class _Decoding(WorkerPlugin):
    """Puts a function before the decoding of images."""

    def setup(self, worker):
        from orangecontrib.imageanalytics.engine import batches

        self._decode = decode = batches.decode

        def before(content, *arguments):
            self.before(content)
            return decode(content, *arguments)

        batches.decode = before

    def teardown(self, worker):
        from orangecontrib.imageanalytics.engine import batches

        batches.decode = self._decode


class Crash(_Decoding):
    """Ends the process when it decodes a certain image."""

    name = "crash"

    def __init__(self, mark: bytes):
        self._mark = mark

    def before(self, content):
        if self._mark in content:
            os._exit(1)


class Slow(_Decoding):
    """Takes a while for each image."""

    name = "slow"

    def __init__(self, seconds: float):
        self._seconds = seconds

    def before(self, content):
        time.sleep(self._seconds)


def limit_files(size):
    """Let this process write files of so many bytes; more raises errors."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@contextlib.contextmanager
def own_processes(folder, n_workers=2):
    """A scheduler and workers; yields its process and its address file."""
    file = folder / "scheduler.json"
    base = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        subprocess.Popen(
            [
                *base,
                "scheduler",
                *("--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
                *("--scheduler-file", str(file)),
            ],
            **quiet,
        )
    ]
    try:
        wait_until(file.exists)
        for _ in range(n_workers):
            command = [*base, "worker", "--scheduler-file", str(file)]
            options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
            processes.append(subprocess.Popen([*command, *options], **quiet))
        yield processes[0], str(file)
    finally:
        for process in processes:
            process.kill()
            process.wait()
