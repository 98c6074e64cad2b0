"""Set the number of threads that torch's operations use."""

from __future__ import annotations

import threading

import torch


class SingleThreaded:
    """A context in which torch's operations use one thread each.

    On the CPU, threads share the images instead of each operation. This is faster,
    since no thread waits for the others.

    Threads adopt the number when they first use torch, so it must be set before. Torch
    has one number for the whole process; it is restored when the last context ends.
    """

    _lock = threading.Lock()
    _entered = 0
    _before = None

    def __enter__(self):
        cls = type(self)
        with self._lock:
            if not cls._entered:
                cls._before = torch.get_num_threads()
            cls._entered += 1
        return self

    def __exit__(self, *_):
        cls = type(self)
        with self._lock:
            cls._entered -= 1
            if not cls._entered:
                torch.set_num_threads(cls._before)

    @staticmethod
    def start_thread():
        """Must be called first in each thread that works in this context."""
        torch.set_num_threads(1)
