"""Names of files and folders that every system accepts."""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from collections import Counter

from orangecontrib.imageanalytics.images import formats
from orangecontrib.imageanalytics.images.sources import file_name, split_page

MAX_NAME = 140  # bytes; encrypted file systems do not take many more

# Windows reserves these for devices, in upper and lower case, with any extension.
_RESERVED = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])[ ]*(\.|$)", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Control characters, marks of direction, surrogates and line separators, but not the
# joiners that Persian and emoji need.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def safe_name(text: str) -> str:
    """A name that every system accepts for a file or folder, made from any text.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        At most `MAX_NAME` bytes, and never empty. It has no path separators, no dots
        at either end, and is not the name of a device.
    """
    text = "".join(
        "_" if _is_invisible(char) else char
        for char in unicodedata.normalize("NFC", text)
    )
    text = _FORBIDDEN.sub("_", text).lstrip(". ")
    text = _cut(text, MAX_NAME).rstrip(". ")
    return _cut("_" + text, MAX_NAME) if _RESERVED.match(text) or not text else text


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE and char not in _JOINERS


def _cut(text: str, n_bytes: int) -> str:
    """Text of at most so many bytes, without half a character at the end."""
    return text.encode()[:n_bytes].decode(errors="ignore")


class Names:
    """Gives each name only once; may be used from several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._given: set[tuple[str, str]] = set()
        self._number: Counter[tuple[str, str]] = Counter()

    def new(self, folder: str, text: str, extension: str = "") -> str:
        """A safe name in a folder, with a number if it was given before."""
        stem = safe_name(text)
        # Several texts may give the same name; counting from 1 each time is too slow.
        key = _as_compared(folder), _as_compared(stem)
        with self._lock:
            while True:
                self._number[key] += 1
                name = _numbered(stem, self._number[key], extension)
                place = key[0], _as_compared(name)
                if place not in self._given:
                    self._given.add(place)
                    return name


def _as_compared(name: str) -> str:
    """Equal for names that are the same to Windows or macOS, in any language."""
    return unicodedata.normalize("NFC", name.upper().casefold())


def _numbered(stem: str, number: int, extension: str) -> str:
    ending = f" ({number}){extension}" if number > 1 else extension
    stem = _cut(stem, MAX_NAME - len(ending.encode()))
    return stem.rstrip(". ") + ending


def without_extension(name: str) -> str:
    """A name without the extension of an image format; ``IMG.2021.06`` has none."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in formats.extensions() else name


def image_name(source: str) -> str:
    """The name of an image, without folder and extension.

    Parameters
    ----------
    source : str
        Path or URL.

    Returns
    -------
    str
        "image" if the source has no name. The name of a page ends in its number.
    """
    name = without_extension(file_name(source)) or "image"
    page = split_page(source)[1]
    return name if page is None else f"{name} page {page}"
