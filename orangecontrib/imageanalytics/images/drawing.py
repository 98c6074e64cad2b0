"""Turns an opened image into pixels, here or in the helper process.

What runs in the helper process is here too, because that process then needs only this
module and the readers, and nothing of Orange.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from io import BytesIO
from threading import BoundedSemaphore
from typing import BinaryIO

from PIL import Image

from orangecontrib.imageanalytics.images import colour, helper
from orangecontrib.imageanalytics.images.formats import (
    FORMATS,
    MEGAPIXEL,
    Format,
    in_plain_words,
)
from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    Intensity,
    Values,
    apply_range,
)
from orangecontrib.imageanalytics.images.lazy_image import (
    SIDEWAYS,
    TRANSPOSE,
    Header,
    LazyImage,
    OtherFormat,
    Size,
)

#: How long drawing an SVG may take, and reading what is compressed.
DRAWING_SECONDS, DECODING_SECONDS = 5, 60
# Images from this size on are decoded one at a time: each takes hundreds of MB.
_LARGE = 60 * MEGAPIXEL
_one_large = BoundedSemaphore(1)

# The content of a file, or its path.
Source = bytes | str


def draw(
    lazy: LazyImage,
    format: Format,
    at_least: Size | None,
    page: int | None,
    intensity: Intensity,
) -> Image.Image:
    """
    The pixels of an opened image, decoded in this process.

    Returns
    -------
    PIL.Image.Image
        As `decode` gives it.

    Raises
    ------
    ImageError
        It is damaged or too large.
    """
    if at_least is not None and lazy.orientation in SIDEWAYS:
        at_least = at_least[::-1]
    with in_plain_words(format), _room_for(lazy.size):
        pixels = lazy.read(at_least, page)
        if isinstance(pixels, Values):
            image = colour.to_rgb(pixels.to_image(intensity))
        else:
            image = apply_range(colour.to_rgb(pixels), intensity)
        if lazy.orientation in TRANSPOSE:
            image = image.transpose(TRANSPOSE[lazy.orientation])
        return image


def _room_for(size: Size):
    is_large = size[0] * size[1] >= _LARGE
    return _one_large if is_large else contextlib.nullcontext()


def header_of(image: LazyImage, format: Format, page: int | None = None) -> Header:
    """The header of an opened image, or of one of its pages."""
    with in_plain_words(format):
        size = image.displayed_size if page is None else image.page_size(page)
    return Header(image.format, *size, has_more=image.has_more, is_plain=image.is_plain)


def pages_of(image: LazyImage, format: Format) -> list[tuple[str, int, int]]:
    """Name, width and height of each page; empty if there is just one."""
    with in_plain_words(format):
        return [
            (name, *image.page_size(number))
            for number, name in enumerate(image.page_names(), 1)
        ]


# By the helper process ----------------------------------------------------------------


def ask_header(format: Format, source: Source, page: int | None = None) -> Header:
    """As `header_of`, in the helper process."""
    return _ask("header_there", format, source, page)


def ask_pages(format: Format, source: Source) -> list[tuple[str, int, int]]:
    """As `pages_of`, in the helper process."""
    return _ask("pages_there", format, source)


def ask_drawing(
    format: Format,
    source: Source,
    at_least: Size | None = None,
    page: int | None = None,
    intensity: Intensity = AUTOMATIC,
) -> Image.Image:
    """As `draw`, in the helper process."""
    answer = _ask("draw_there", format, source, at_least, page, intensity)
    size, content, profile = answer
    image = Image.frombytes("RGB", size, content)
    if profile:
        image.info["icc_profile"] = profile
    return image


def _ask(function: str, format: Format, source: Source, *arguments):
    seconds = DRAWING_SECONDS if format.reader == "svg" else DECODING_SECONDS
    answer = helper.call(
        f"{__name__}:{function}",
        FORMATS.index(format),
        source,
        *arguments,
        seconds=seconds,
    )
    if answer is None:
        raise OtherFormat
    return answer


# In the helper process ----------------------------------------------------------------


@contextlib.contextmanager
def _file_of(source: Source) -> Iterator[BinaryIO]:
    with open(source, "rb") if isinstance(source, str) else BytesIO(source) as file:
        yield file


def header_there(index: int, source: Source, page: int | None) -> Header | None:
    """`header_of` for a source; None if it is not of the format with this number."""
    with _file_of(source) as file, contextlib.suppress(OtherFormat):
        format = FORMATS[index]
        return header_of(format.open(file), format, page)


def pages_there(index: int, source: Source) -> list[tuple[str, int, int]] | None:
    """`pages_of` for a source; None if it is not of the format with this number."""
    with _file_of(source) as file, contextlib.suppress(OtherFormat):
        format = FORMATS[index]
        return pages_of(format.open(file), format)


def draw_there(index: int, source: Source, *arguments) -> tuple | None:
    """`draw` for a source: the size, the pixels as bytes, and the profile."""
    with _file_of(source) as file, contextlib.suppress(OtherFormat):
        format = FORMATS[index]
        image = draw(format.open(file), format, *arguments)
        return image.size, image.tobytes(), image.info.get("icc_profile")
