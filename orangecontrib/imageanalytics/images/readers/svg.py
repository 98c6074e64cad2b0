"""SVG drawings: their size and their pixels.

Drawings may come from anywhere, and the renderer (resvg) trusts them: it reads files
that they refer to, and may draw for hours. It therefore gets a copy without references
to anything outside the drawing, in a process that can be ended.
"""

from __future__ import annotations

import base64
import importlib.util
import math
import os
import re
import sys
import zlib
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import BinaryIO
from urllib.parse import unquote_to_bytes
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    OtherFormat,
    Size,
    check_page,
)

# The start of a file, which contains the first tag.
HEAD_BYTES = 1 << 18
MAX_BYTES = 50_000_000
MAX_SIDE = 4096
MAX_EMBEDDED_PIXELS = 50_000_000
MAX_PATTERN_PIXELS = 50_000_000
MAX_ENTITY_LENGTH = 200
MAX_DEPTH = 1000  # of nested elements; the renderer accepts little more
# Converts millimetres to pixels as browsers do.
_DOTS_PER_INCH = 96
_LANGUAGES = ["en"]

# The size that CSS gives to images without a size.
_DEFAULT_SIZE = 300.0, 150.0
_PIXELS = {
    "": 1, "px": 1, "pt": 4 / 3, "pc": 16, "in": 96, "cm": 96 / 2.54,
    "mm": 96 / 25.4, "q": 96 / 101.6, "em": 16, "rem": 16, "ex": 8,
}  # fmt: skip
_LENGTH = re.compile(r"\s*\+?((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)\s*", re.I)
# Units that the renderer does not know, anywhere in a value.
_RARE_LENGTH = re.compile(
    r"(?<![\w.#-])([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(q|rem)(?![\w-])", re.I
)
_STYLED_SIDE = re.compile(
    r"(?<![\w-])(width|height)\s*:\s*([^;!]*)(?:!\s*important\s*)?(?:;|$)", re.I
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.I)
_SCALE = re.compile(r"(?:scale|matrix)\s*\(([^)]*)\)", re.I)

_RASTER_URL = re.compile(r"data:image/(png|jpe?g|gif|webp)[;,]", re.I)
_OUTSIDE_URL = re.compile(r"url\(\s*['\"]?\s*(?!['\"#\s])[^)]*\)?", re.I)
_IMPORT = re.compile(r"@import[^;]*;?", re.I)
_RASTERS = ("PNG", "JPEG", "GIF", "WEBP")
_LEFT_OUT = {
    "script", "foreignObject", "iframe", "audio", "video", "metadata", "desc", "title",
}  # fmt: skip
_NO_LENGTHS = ("id", "class", "d")


def open(file: BinaryIO, format: Format) -> SvgImage:
    """Read the size of a drawing."""
    found = size(file.read(HEAD_BYTES))
    if found is None:
        raise OtherFormat
    return SvgImage(file, found)


class SvgImage(LazyImage):
    """
    A drawing.

    Parameters
    ----------
    file : binary file object
    size : (int, int)
        Width and height in pixels.
    """

    def __init__(self, file: BinaryIO, size: Size):
        super().__init__("SVG", size)
        self._file = file

    def read(self, at_least: Size | None, page: int | None) -> Image.Image:
        """As `LazyImage.read`, without a limit of time."""
        check_page(page or 1, 1)
        self._file.seek(0)
        return render(self._file.read(), at_least)


def size(content: bytes) -> tuple[int, int] | None:
    """
    Size of a drawing, in pixels of 1/96 inch.

    Parameters
    ----------
    content : bytes
        Content of an .svg or .svgz file; its first `HEAD_BYTES` are enough.

    Returns
    -------
    (int, int) or None
        Width and height as given (percentages are ignored), otherwise those of its
        view box, otherwise 300x150 as in browsers. None if the content is not an SVG.

    Raises
    ------
    ImageError
        It is an SVG, but its size is zero or infinite, or its entities could grow
        without limit.
    """
    found = []
    try:
        xml = _unzipped(content, HEAD_BYTES)
    except ImageError:
        return None
    parser = _parser()
    parser.StartElementHandler = lambda *tag: found or found.append(tag)
    # What comes after the first tag may be cut in any place.
    with suppress(expat.ExpatError, LookupError, ValueError):
        parser.Parse(xml, False)
    if not found or _local(found[0][0]) != "svg":
        return None
    width, height = _intrinsic_size(_with_styled_sides(found[0][1]))
    return max(1, round(width)), max(1, round(height))


def render(content: bytes, at_least: tuple[int, int] | None = None) -> Image.Image:
    """
    Draw an SVG without reading the files that it refers to.

    Parameters
    ----------
    content : bytes
        Content of an .svg or .svgz file.
    at_least : (int, int), optional
        Width and height; the drawing is scaled, up or down, to just cover them. By
        default it has its own size. The longer side is limited to `MAX_SIDE`.

    Returns
    -------
    PIL.Image.Image
        Image in mode RGBA.

    Raises
    ------
    ImageError
        The drawing is damaged, is nested too deeply or would take too much memory.
    """
    copy = _HarmlessCopy(at_least)
    parser = _parser()
    parser.buffer_text = True
    parser.StartElementHandler = copy.start
    parser.EndElementHandler = copy.end
    parser.CharacterDataHandler = copy.text
    xml = _unzipped(content, MAX_BYTES + 1)
    if len(xml) > MAX_BYTES:
        raise ImageError(f"an SVG of more than {MAX_BYTES / 1e6:g} MB")
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ImageError("damaged SVG data") from error
    png = _draw("".join(copy.parts), copy.has_text)
    return Image.open(BytesIO(png)).convert("RGBA")


def _draw(xml: str, has_text: bool) -> bytes:
    import resvg_py

    fonts = _fonts() if has_text else {"skip_system_fonts": True}
    try:
        return resvg_py.svg_to_bytes(
            svg_string=xml, dpi=_DOTS_PER_INCH, languages=_LANGUAGES, **fonts
        )
    except ValueError as error:
        raise ImageError("damaged SVG data") from error


@cache
def _fonts() -> dict:
    """
    Fonts for text whose own font is not installed.

    The renderer only knows the default fonts of Windows and macOS. Other systems may
    have no fonts at all, so those of matplotlib are used there.
    """
    if sys.platform in ("win32", "darwin"):
        return {}
    package = importlib.util.find_spec("matplotlib").submodule_search_locations[0]
    return {
        "font_dirs": [os.path.join(package, "mpl-data", "fonts", "ttf")],
        "serif_family": "DejaVu Serif",
        "sans_serif_family": "DejaVu Sans",
        "monospace_family": "DejaVu Sans Mono",
        "cursive_family": "DejaVu Sans",
        "fantasy_family": "DejaVu Sans",
    }


def _unzipped(content: bytes, limit: int) -> bytes:
    """The XML, or its first `limit` bytes."""
    if content.startswith(b"\x1f\x8b"):
        try:
            return zlib.decompressobj(wbits=31).decompress(content, limit)
        except zlib.error as error:
            raise ImageError("damaged SVG data") from error
    return content[:limit]


def _parser():
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _check_entity
    return parser


def _check_entity(name, is_parameter, value, base, system_id, public_id, notation):
    # Illustrator writes short entities for its namespaces; anything beyond those
    # could grow without limit. External ones are never read by expat.
    if value is not None and (
        is_parameter or len(value) > MAX_ENTITY_LENGTH or "&" in value or "%" in value
    ):
        raise ImageError("an SVG with large or nested entities")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _length(value: str | None) -> float | None:
    match = _LENGTH.fullmatch(value or "")
    unit = match and _PIXELS.get(match[2].lower())
    return float(match[1]) * unit if unit else None


def _view_box(attributes: dict[str, str]) -> list[float] | None:
    numbers = [float(n) for n in _NUMBER.findall(attributes.get("viewBox", ""))]
    return numbers if len(numbers) == 4 and min(numbers[2:]) > 0 else None


def _with_styled_sides(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes with the width and height of the style, which take precedence."""
    styled = _STYLED_SIDE.findall(attributes.get("style", ""))
    if not styled:
        return attributes
    sides = {name.lower(): value for name, value in styled if _length(value)}
    style = _STYLED_SIDE.sub("", attributes["style"])
    return attributes | sides | {"style": style}


def _in_pixels(length: re.Match) -> str:
    return f"{float(length[1]) * _PIXELS[length[2].lower()]:g}px"


def _intrinsic_size(attributes: dict[str, str]) -> tuple[float, float]:
    width, height = (_length(attributes.get(side)) for side in ("width", "height"))
    box = _view_box(attributes)
    box_width, box_height = box[2:] if box else _DEFAULT_SIZE
    if width is None and height is None:
        width, height = box_width, box_height
    elif width is None:
        width = height * box_width / box_height if box else box_width
    elif height is None:
        height = width * box_height / box_width if box else box_height
    if not (0 < width < 1e9 and 0 < height < 1e9):
        raise ImageError("an SVG whose size is zero or infinite")
    return width, height


class _HarmlessCopy:
    """
    Writes what the parser reads, without the parts that the renderer must not get.

    Attributes
    ----------
    parts : list of str
        The copy, in pieces.
    has_text : bool
        Whether fonts are needed.
    """

    def __init__(self, at_least: tuple[int, int] | None):
        self.parts: list[str] = []
        self.has_text = False
        self._at_least = at_least
        self._length = 0
        self._open: list[str] = []
        self._left_out_at: int | None = None
        self._scales = [1.0]
        self._embedded_pixels = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > MAX_DEPTH:
            raise ImageError("an SVG whose elements are nested too deeply")
        element = _local(name)
        if self._left_out_at is not None:
            return
        if element in _LEFT_OUT:
            self._left_out_at = len(self._open)
            return
        if len(self._open) == 1:
            attributes = self._with_size(name, _with_styled_sides(attributes))
        self._check_cost(element, attributes)
        self.has_text |= element == "text"
        kept = "".join(
            f" {key}={quoteattr(clean)}"
            for key, value in attributes.items()
            if (clean := self._clean(element, key, value)) is not None
        )
        self._write(f"<{name}{kept}>")

    def end(self, name: str) -> None:
        if self._left_out_at is None:
            self._write(f"</{name}>")
            self._scales.pop()
        elif self._left_out_at == len(self._open):
            self._left_out_at = None
        self._open.pop()

    def text(self, data: str) -> None:
        if self._left_out_at is None:
            if _local(self._open[-1]) == "style":
                data = _OUTSIDE_URL.sub("none", _IMPORT.sub("", data))
                data = _RARE_LENGTH.sub(_in_pixels, data)
            self._write(escape(data))

    def _write(self, part: str) -> None:
        self._length += len(part)
        if self._length > 2 * MAX_BYTES:
            raise ImageError("an SVG whose entities are too long")
        self.parts.append(part)

    def _with_size(self, name: str, attributes: dict[str, str]) -> dict[str, str]:
        """Attributes of the outermost tag with the size to draw at."""
        width, height = _intrinsic_size(attributes)
        scale = 1.0
        if self._at_least is not None:
            scale = max(self._at_least[0] / width, self._at_least[1] / height)
        scale = min(scale, MAX_SIDE / max(width, height))
        sized = dict(attributes)
        # Its own size is as `size` says; another size is covered. (The tolerance keeps
        # rounding errors from adding a row of pixels.)
        whole = round if scale == 1 else lambda side: math.ceil(side - 1e-6)
        sized["width"] = str(max(1, whole(width * scale)))
        sized["height"] = str(max(1, whole(height * scale)))
        box = _view_box(attributes)
        if box is None:
            sized["viewBox"] = f"0 0 {width} {height}"
            sized["preserveAspectRatio"] = "none"
        if name == "svg":
            sized.setdefault("xmlns", "http://www.w3.org/2000/svg")
        box_width, box_height = box[2:] if box else (width, height)
        self._scales = [max(width * scale / box_width, height * scale / box_height)]
        self._largest_scale = self._scales[0]
        self._patterns: list[float] = []
        return sized

    def _check_cost(self, element: str, attributes: dict[str, str]) -> None:
        scale = self._scales[-1]
        for key in ("transform", "patternTransform"):
            for numbers in _SCALE.findall(attributes.get(key, "")):
                factors = (abs(float(n)) for n in _NUMBER.findall(numbers)[:4])
                scale *= max(1.0, *factors, 0.0)
        self._scales.append(scale)
        self._largest_scale = max(self._largest_scale, scale)
        if element == "pattern":
            sides = (_length(attributes.get(side)) or 0 for side in ("width", "height"))
            self._patterns.append(math.prod(sides))
        area = max(self._patterns, default=0) * self._largest_scale**2
        if area > MAX_PATTERN_PIXELS:
            raise ImageError("an SVG that would take too much memory")

    def _clean(self, element: str, key: str, value: str) -> str | None:
        """The value of an attribute for the renderer; None to leave it out."""
        if _local(key) in ("href", "src"):
            inside = value.strip().startswith("#")
            return value if inside or self._is_raster(element, value) else None
        if key == "xml:base":
            return None
        if key == "systemLanguage":  # which the renderer compares letter by letter
            return value.lower()
        value = _OUTSIDE_URL.sub("none", value)
        return value if key in _NO_LENGTHS else _RARE_LENGTH.sub(_in_pixels, value)

    def _is_raster(self, element: str, value: str) -> bool:
        if element not in ("image", "feImage") or not _RASTER_URL.match(value.strip()):
            return False
        head, _, body = value.strip().partition(",")
        content = unquote_to_bytes(body)
        try:
            if head.lower().endswith(";base64"):
                content = base64.b64decode(content)
            with Image.open(BytesIO(content), formats=_RASTERS) as image:
                self._embedded_pixels += image.width * image.height
        except Exception:
            # The renderer needs nothing that Pillow cannot read.
            return False
        if self._embedded_pixels > MAX_EMBEDDED_PIXELS:
            raise ImageError("an SVG with too many pixels")
        return True
