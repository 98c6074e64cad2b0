"""Work of a CUDA device that goes on beside other work, of it and of the processor."""

from __future__ import annotations

import contextlib

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
