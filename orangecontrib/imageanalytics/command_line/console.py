"""What the commands print: text, tables, progress and warnings."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

USAGE, ERROR, STOPPED = 2, 1, 130
_STANDARD_ERROR = 2


class UsageError(Exception):
    """The command line asks for something that does not exist."""


def tell(text: str, stream: TextIO | None = None) -> None:
    """Write a line; ignore it if nobody reads the output any longer."""
    stream = stream or sys.stdout
    try:
        tqdm.write(text, file=stream)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def columns(rows: list[tuple[str, ...]]) -> str:
    """Rows of text as lines whose columns are aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def in_one_line(path: str) -> str:
    """A file name without the line ends and terminal codes that may be in it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda m: repr(m[0])[1:-1], path)


def tell_reasons(what: str, reasons: Iterable[tuple[str, str]]) -> None:
    """Write a line for each path of something that was not used, with the reason."""
    for path, reason in reasons:
        tell(f"{what}: {in_one_line(path)}: {reason}", sys.stderr)


@contextmanager
def progress(label: str, total: float, unit: str) -> Iterator[Callable]:
    """A bar on a terminal, and the function that sets the fraction done."""
    with tqdm(total=total, desc=label, unit=unit, disable=None) as bar:
        yield lambda fraction: bar.update(round(fraction * total) - bar.n)


def show_warning(message, *_, **__) -> None:
    """Show a warning without the line of code that gave it."""
    tell(f"warning: {message}", sys.stderr)


@contextmanager
def without_library_messages() -> Iterator[None]:
    """Hide the messages of image libraries, which do not name the file."""
    warnings.filterwarnings("ignore", module="PIL|pydicom|tifffile")
    for name in ("PIL", "pydicom", "tifffile"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    try:
        is_own = sys.stderr.fileno() == _STANDARD_ERROR
    except (AttributeError, OSError, ValueError):
        is_own = False
    if not is_own:
        yield
        return
    # Libraries in C write past Python.
    sys.stderr.flush()
    ours = os.dup(_STANDARD_ERROR)
    silence = os.open(os.devnull, os.O_WRONLY)
    before, encoding, errors = sys.stderr, sys.stderr.encoding, sys.stderr.errors
    with open(ours, "w", encoding=encoding, errors=errors, buffering=1) as stream:
        os.dup2(silence, _STANDARD_ERROR)
        sys.stderr = stream
        try:
            yield
        finally:
            stream.flush()
            os.dup2(ours, _STANDARD_ERROR)
            sys.stderr = before
            os.close(silence)
