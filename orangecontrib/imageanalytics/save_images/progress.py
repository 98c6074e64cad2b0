"""Report the progress of long work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

#: Takes the numbers of finished and of all items; an exception from it ends the work.
Callback = Callable[[int, int], None]
T = TypeVar("T")

TICK_SECONDS = 0.2  # between two looks at whether to stop


def watched(items: list[T], callback: Callback | None) -> Iterator[T]:
    """Yield the items, and call `callback` several times a second meanwhile."""
    last = time.monotonic()
    for n_done, item in enumerate(items):
        if callback is not None and time.monotonic() - last >= TICK_SECONDS:
            callback(n_done, len(items))
            last = time.monotonic()
        yield item
