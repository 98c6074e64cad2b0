"""How many threads torch's operations use."""

from __future__ import annotations

import threading

import torch


class SingleThreaded:
    """While any is entered, torch's operations use one thread each.

    On the CPU the images are shared out among threads instead, which is faster
    than sharing out each operation: no thread waits for the others.

    Threads take the number over when they first use torch, so it must be set
    before they do; torch has one for the whole process, restored by the last to
    leave.
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
        """To be called first in each thread that works under this."""
        torch.set_num_threads(1)
