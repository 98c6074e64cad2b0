"""XPM: images as text, with colours as numbers or X11 names."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageColor

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    Size,
    check_page,
    check_size,
)

# Comments may hold quotes, and strings what begins a comment.
_TOKEN = re.compile(rb'/\*.*?\*/|//[^\n]*|"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
# What a colour is for: colour screens, greys, black and white; "s" is another name.
_KEYS = (b"c", b"g", b"g4", b"m")
_MAX_CHARACTERS = 8

# X11's names are those of CSS but for these; where "red1" is not here it is as "red",
# and "red2" to "red4" are so much darker, to one of 256 levels. (From X11's rgb.txt.)
_SHADES = {"2": 0.9325, "3": 0.8045, "4": 0.5465}
_NAMED = dict(
    entry.split("=")
    for entry in [
        "antiquewhite1=ffefdb",
        "brown1=ff4040",
        "burlywood1=ffd39b",
        "cadetblue1=98f5ff",
        "chocolate1=ff7f24",
        "coral1=ff7256",
        "darkgoldenrod1=ffb90f",
        "debianred=d70751",
        "darkolivegreen1=caff70",
        "darkorange1=ff7f00",
        "darkorchid1=bf3eff",
        "darkseagreen1=c1ffc1",
        "darkslategray1=97ffff",
        "firebrick1=ff3030",
        "goldenrod1=ffc125",
        "gray=bebebe",
        "green=00ff00",
        "hotpink1=ff6eb4",
        "hotpink2=ee6aa7",
        "hotpink3=cd6090",
        "hotpink4=8b3a62",
        "indianred1=ff6a6a",
        "khaki1=fff68f",
        "lightblue1=bfefff",
        "lightgoldenrod=eedd82",
        "lightgoldenrod1=ffec8b",
        "lightpink1=ffaeb9",
        "lightskyblue1=b0e2ff",
        "lightslateblue=8470ff",
        "lightsteelblue1=cae1ff",
        "maroon=b03060",
        "maroon1=ff34b3",
        "mediumorchid1=e066ff",
        "mediumpurple1=ab82ff",
        "navyblue=000080",
        "olivedrab1=c0ff3e",
        "orchid1=ff83fa",
        "palegreen1=9aff9a",
        "paleturquoise1=bbffff",
        "palevioletred1=ff82ab",
        "pink1=ffb5c5",
        "plum1=ffbbff",
        "purple=a020f0",
        "purple1=9b30ff",
        "rosybrown1=ffc1c1",
        "royalblue1=4876ff",
        "salmon1=ff8c69",
        "seagreen1=54ff9f",
        "sienna1=ff8247",
        "skyblue1=87ceff",
        "slateblue1=836fff",
        "slategray1=c6e2ff",
        "steelblue1=63b8ff",
        "tan1=ffa54f",
        "thistle1=ffe1ff",
        "turquoise1=00f5ff",
        "violetred=d02090",
        "violetred1=ff3e96",
        "wheat1=ffe7ba",
    ]
)


def open(file: BinaryIO, format: Format) -> XpmImage:
    """Open an XPM."""
    found = (token[1] for token in _TOKEN.finditer(file.read()))
    strings = [_ESCAPED.sub(rb"\1", text) for text in found if text is not None]
    width, height, n_colours, n_characters = (int(n) for n in strings[0].split()[:4])
    check_size(width, height, format.name)
    if not 1 <= n_characters <= _MAX_CHARACTERS:
        raise ValueError(f"{n_characters} characters a pixel")
    return XpmImage((width, height), n_colours, n_characters, strings[1:])


class XpmImage(LazyImage):
    """
    An XPM.

    Parameters
    ----------
    size : (int, int)
        Width and height in pixels.
    n_colours, n_characters : int
        How many colours there are, and characters that stand for a pixel.
    strings : list of bytes
        The colours, then the rows.
    """

    def __init__(self, size: Size, n_colours: int, n_characters: int, strings: list):
        super().__init__("XPM", size)
        self._n_characters = n_characters
        self._colours = strings[:n_colours]
        self._rows = strings[n_colours : n_colours + size[1]]

    def read(self, at_least: Size | None, page: int | None) -> Image.Image:
        """As `LazyImage.read`."""
        check_page(page or 1, 1)
        width, height = self.size
        n_bytes = width * self._n_characters
        if len(self._rows) < height or any(len(row) < n_bytes for row in self._rows):
            raise EOFError
        text = b"".join(row[:n_bytes] for row in self._rows)
        keys = [colour[: self._n_characters] for colour in self._colours]
        codes = self._codes(b"".join(keys))
        colours = np.array([_colour(c[self._n_characters :]) for c in self._colours])
        order = np.argsort(codes)
        pixels = self._codes(text)
        places = np.searchsorted(codes[order], pixels).clip(max=len(codes) - 1)
        found = order[places]
        if (codes[found] != pixels).any():
            raise ValueError("a pixel of no color")
        image = colours[found].astype(np.uint8).reshape(height, width, 4)
        return Image.fromarray(image)

    def _codes(self, text: bytes) -> np.ndarray:
        """A number for the characters of each pixel."""
        characters = np.frombuffer(text, np.uint8).reshape(-1, self._n_characters)
        places = 8 * np.arange(self._n_characters, dtype=np.uint64)
        return (characters.astype(np.uint64) << places).sum(axis=1, dtype=np.uint64)


def _colour(text: bytes) -> tuple[int, int, int, int]:
    """The colour in a definition such as ``c light blue m white``."""
    values: dict[bytes, list[bytes]] = {}
    key = b""
    for word in text.split():
        if word in (*_KEYS, b"s") and (key == b"" or values.get(key)):
            key = word
            values[key] = []
        else:
            values.setdefault(key, []).append(word)
    value = next(values[key] for key in _KEYS if values.get(key))
    name = b"".join(value).decode("ascii").lower()
    if name == "none":
        return 0, 0, 0, 0
    return *_rgb(name), 255


def _rgb(name: str) -> tuple[int, int, int]:
    if name.startswith("#"):
        return _number(name[1:])
    # "X11 Green" is "green"; "web green" is that of CSS.
    if name.startswith("web"):
        return ImageColor.getrgb(name.removeprefix("web"))
    name = name.removeprefix("x11")
    if name in _NAMED:
        return _number(_NAMED[name])
    stem = name.rstrip("0123456789")
    shade = name[len(stem) :]
    if stem in ("gray", "grey"):
        return (int(int(shade) * 2.55 + 0.499),) * 3 if shade else (190,) * 3
    if shade in _SHADES:
        return tuple(int(part * _SHADES[shade] + 0.5) for part in _rgb(stem + "1"))
    return _rgb(stem) if shade == "1" else ImageColor.getrgb(name)


def _number(digits: str) -> tuple[int, int, int]:
    """The first two hexadecimal digits of each component."""
    length, rest = divmod(len(digits), 3)
    if rest or not length:
        raise ValueError(f"no color: {digits}")
    parts = (digits[place : place + length] for place in range(0, 3 * length, length))
    return tuple(int((part * 2)[:2], 16) for part in parts)
