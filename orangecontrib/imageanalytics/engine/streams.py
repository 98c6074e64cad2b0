"""Work of a CUDA device in parallel to its other work and to the processor."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


class Stream:
    """Does work on a CUDA device in the order in which it is given.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device):
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def entered(self) -> contextlib.AbstractContextManager:
        """A context in which this thread's work for the device goes to this stream."""
        return torch.cuda.stream(self._stream)

    def mark(self):
        """An event that occurs when all work given so far is done.

        While a thread waits for it, others can use the processor to decode images. By
        default, CUDA polls the device all the time.
        """
        event = torch.cuda.Event(blocking=True)
        event.record(self._stream)
        return event

    def wait(self, event) -> None:
        """Start later work only after an event of another stream."""
        self._stream.wait_event(event)

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy from memory to the device; the caller does not wait for it."""
        with self.entered():
            # Of other memory than pinned, copies make everybody wait.
            return tensor.pin_memory().to(self.device, non_blocking=True)

    def download(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy from the device to memory; read it only after the next `mark`."""
        with self.entered():
            return tensor.to("cpu", non_blocking=True)


class Worker:
    """A thread that gives work to a CUDA device, on its own stream.

    In each thread, cuDNN plans every convolution again, which takes seconds for each
    network, and cuBLAS holds 32 MiB for each thread and stream. With a worker, this
    happens only once for all networks while the process lives.

    Parameters
    ----------
    device : torch.device

    Attributes
    ----------
    stream : Stream
    """

    def __init__(self, device):
        self.stream = Stream(device)
        self._thread = ThreadPoolExecutor(1, f"{device}")

    def __call__(self, function: Callable, *args):
        """Call a function in the worker and return its result; other callers wait."""
        return self._thread.submit(self._work, function, args).result()

    def _work(self, function, args):
        with self.stream.entered():
            return function(*args)


@functools.cache
def find_worker(device, task: str) -> Worker:
    """The worker of a device for a task, always the same.

    Parameters
    ----------
    device : torch.device
    task : str
        Any name; each has its own worker.
    """
    return Worker(device)


def release_memory() -> None:
    """Release the memory that torch keeps for deleted tensors."""
    torch.cuda.empty_cache()
    # Pinned memory, of which it keeps hundreds of MB; older versions than 2.12 have
    # only the private function for that.
    for place, name in (
        (torch.accelerator, "empty_host_cache"),
        (torch._C, "_host_emptyCache"),
    ):
        if hasattr(place, name):
            getattr(place, name)()
            break
