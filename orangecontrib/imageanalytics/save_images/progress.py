"""Telling a caller of long work how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

#: Takes the number that is done and the number of all; what it raises ends the work.
Callback = Callable[[int, int], None]
T = TypeVar("T")

TICK_SECONDS = 0.2  # between two looks at whether to stop


def watched(items: list[T], callback: Callback | None) -> Iterator[T]:
    """The items, with calls of `callback` several times a second meanwhile."""
    last = time.monotonic()
    for n_done, item in enumerate(items):
        if callback is not None and time.monotonic() - last >= TICK_SECONDS:
            callback(n_done, len(items))
            last = time.monotonic()
        yield item
