"""Work of a CUDA device that goes on beside other work, of it and of the processor."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


class Stream:
    """Does on a CUDA device what it is given, in that order.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device):
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def entered(self) -> contextlib.AbstractContextManager:
        """Within it, this thread's work for the device goes to this stream."""
        return torch.cuda.stream(self._stream)

    def mark(self):
        """An event that has come when all given so far is done.

        Who waits for it leaves the processor to others, which decode images; by
        default CUDA looks at the device all the time.
        """
        event = torch.cuda.Event(blocking=True)
        event.record(self._stream)
        return event

    def wait(self, event) -> None:
        """Do what comes next only after an event of another stream."""
        self._stream.wait_event(event)

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy from memory to the device; the caller does not wait for it."""
        with self.entered():
            # Of other memory than pinned, copies make everybody wait.
            return tensor.pin_memory().to(self.device, non_blocking=True)

    def download(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy from the device to memory; not to be read before the next `mark`."""
        with self.entered():
            return tensor.to("cpu", non_blocking=True)


class Worker:
    """A thread that gives a CUDA device work, on a stream of its own.

    cuDNN plans every convolution anew in each thread that asks for it, which takes
    seconds a network, and cuBLAS holds 32 MiB for each thread and stream. Here that
    happens once, for all networks and as long as the process lives.

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
        """What a function returns that is called there; others wait meanwhile."""
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
        Any name; each has a worker of its own.
    """
    return Worker(device)


def release_memory() -> None:
    """Give back what torch keeps for tensors that are gone."""
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
