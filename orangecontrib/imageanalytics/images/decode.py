"""Reads the header and the pixels of an image, as a person sees it.

Every failure is an `ImageError`, whatever the bytes. All functions may be called
from many threads at once. The formats are listed in `formats`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from orangecontrib.imageanalytics.images import drawing, formats
from orangecontrib.imageanalytics.images.formats import Format, Outcome
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.lazy_image import MAX_PIXELS, Header, LazyImage
from orangecontrib.imageanalytics.images.local_files import open_local
from orangecontrib.imageanalytics.images.metadata import Metadata, read_metadata
from orangecontrib.imageanalytics.images.readers.pillow import PillowImage

__all__ = [
    "MAX_PIXELS",
    "Header",
    "Metadata",
    "content_header",
    "decode",
    "read_described",
    "read_header",
    "read_pages",
]


def read_header(path: str, page: int | None = None) -> Header:
    """
    Format and size of an image in a file; its pixels are not read.

    Parameters
    ----------
    path : str
        Path of the file.
    page : int, optional
        The page, from 1, whose size is returned.

    Returns
    -------
    Header

    Raises
    ------
    ImageError
        The file cannot be read or is not an image that `decode` could read.
    """
    with open_local(path) as file:
        return _header(file, formats.vouches(path), page)


def read_described(path: str) -> tuple[Header, Metadata]:
    """
    Format and size of an image in a file, and what the camera has written into it.

    Parameters
    ----------
    path : str
        Path of the file.

    Returns
    -------
    Header
    Metadata

    Raises
    ------
    ImageError
        As `read_header`.
    """

    def here(format: Format, image: LazyImage) -> tuple[Header, Metadata]:
        header = drawing.header_of(image, format)
        # Of most formats, the header contains it.
        info = image.image.info if isinstance(image, PillowImage) else None
        return header, read_metadata(file, header.format, info)

    def there(format: Format, source: drawing.Source) -> tuple[Header, Metadata]:
        header = drawing.ask_header(format, source)
        return header, read_metadata(file, header.format)

    with open_local(path) as file:
        return _attempt(file, formats.vouches(path), here, there)


def content_header(content: bytes | BinaryIO, page: int | None = None) -> Header:
    """
    Format and size of an image whose file was read or opened already.

    Parameters
    ----------
    content : bytes or binary file object
        Content of the file, or the file.
    page : int, optional
        As for `read_header`.

    Returns
    -------
    Header

    Raises
    ------
    ImageError
        The content is not an image that `decode` could read.
    """
    return _header(_as_file(content), True, page)


def _header(file: BinaryIO, vouched: bool, page: int | None = None) -> Header:
    return _attempt(
        file,
        vouched,
        lambda format, image: drawing.header_of(image, format, page),
        lambda format, source: drawing.ask_header(format, source, page),
    )


def read_pages(path: str) -> list[tuple[str, int, int]]:
    """
    The pages, planes, channels and frames of an image in a file.

    Parameters
    ----------
    path : str
        Path of the file.

    Returns
    -------
    list of (str, int, int)
        Name, width and height in pixels of each; empty if there is just one.

    Raises
    ------
    ImageError
        As `read_header`.
    """
    with open_local(path) as file:
        return _attempt(
            file,
            formats.vouches(path),
            lambda format, image: drawing.pages_of(image, format),
            drawing.ask_pages,
        )


def decode(
    content: bytes | BinaryIO,
    at_least: tuple[int, int] | None = None,
    page: int | None = None,
    intensity: Intensity = AUTOMATIC,
) -> Image.Image:
    """
    The pixels of an image, as a person would see them.

    The EXIF orientation is applied, and transparent images are put on white. Colour
    profiles are applied if colours would be wrong without them. The result is the
    largest of several icons, the first frame of an animation, the first of several
    pages, or the middle plane of a stack, with its channels in the colours that the
    file names.

    Images of more than 8 bits are scaled to them: see `Values`.

    Parameters
    ----------
    content : bytes or binary file object
        Content of the file, or the file.
    at_least : (int, int), optional
        Sufficient width and height, as displayed. JPEGs are decoded at 1/2, 1/4 or 1/8
        of their size if neither side gets smaller than these, and so are JPEG 2000,
        camera raw and pyramids of TIFFs. SVGs are drawn at the size that just covers
        them. Other images are decoded in full size.
    page : int, optional
        Which of the pages that `read_pages` lists, from 1; a channel is grey.
    intensity : "auto", "full" or (float, float)
        The values that become black and white.

    Returns
    -------
    PIL.Image.Image
        Loaded image in mode RGB, 8 bits a channel.

    Raises
    ------
    ImageError
        The content is not an image, or it is damaged or too large.
    """
    arguments = at_least, page, intensity
    file = _as_file(content)

    def draw(format: Format, image: LazyImage) -> Image.Image:
        if format.in_helper(image.size):
            return drawing.ask_drawing(format, _source(file), *arguments)
        return drawing.draw(image, format, *arguments)

    return _attempt(
        file,
        True,
        draw,
        lambda format, source: drawing.ask_drawing(format, source, *arguments),
    )


def _attempt(
    file: BinaryIO,
    vouched: bool,
    here: Callable[[Format, LazyImage], Outcome],
    there: Callable[[Format, drawing.Source], Outcome],
) -> Outcome:
    """Apply a function to an opened image, here or in the helper process."""
    file.seek(0)
    head = file.read(formats.HEAD_BYTES)

    def action(format: Format) -> Outcome:
        if format.isolated:
            formats.check_installed(format)
            return there(format, _source(file))
        return here(format, format.open(file))

    return formats.attempt(head, vouched, action)


def _as_file(content: bytes | BinaryIO) -> BinaryIO:
    return BytesIO(content) if isinstance(content, bytes) else content


def _source(file: BinaryIO) -> drawing.Source:
    """The input for the helper process: the path of a file, or its content."""
    if isinstance(file, BytesIO):
        return file.getvalue()
    return file.name
