"""An opened image, which every reader returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.intensity import Values

#: The most that is decoded; phones make images of 200 million.
MAX_PIXELS = 2**28
LIMIT = f"the limit is {MAX_PIXELS / 1e6:.0f} million"

#: The most pages of a file that are listed: bad files may claim any number.
MAX_PAGES = 1_000_000

Size = tuple[int, int]

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Header:
    """
    What the start of a file says about the image in it.

    Attributes
    ----------
    format : str
        Name of the format, such as "JPEG" or "SVG".
    width, height : int
        Size in pixels, as displayed: after the EXIF orientation.
    has_more : bool
        Whether the file has pages, planes or frames that `decode` leaves out unless
        it is told their number.
    is_plain : bool
        Whether every program shows the file as `decode` does: 8 bits, one page.
    """

    format: str
    width: int
    height: int
    has_more: bool = False
    is_plain: bool = True


class OtherFormat(Exception):
    """
    A file is not of the format that its start suggests, or needs another reader.

    Parameters
    ----------
    name : str, optional
        Name of its real format, if that is known.
    """

    def __init__(self, name: str = ""):
        super().__init__(name)
        self.name = name


@dataclass
class LazyImage:
    """
    An image whose header was read; each reader has its own kind.

    Attributes
    ----------
    format : str
        Name of the format.
    size : (int, int)
        Width and height in pixels, as stored.
    orientation : int
        The EXIF orientation that has not been applied yet; 1 for none.
    has_more : bool
        Whether the file has pages, planes or frames that `read` leaves out.
    is_plain : bool
        Whether any program shows it as `read` does: 8 bits, one page.
    """

    format: str
    size: Size
    orientation: int = 1
    has_more: bool = False
    is_plain: bool = True

    @property
    def displayed_size(self) -> Size:
        """Width and height as displayed, with the orientation applied."""
        return self.size[::-1] if self.orientation in SIDEWAYS else self.size

    def page_names(self) -> list[str]:
        """Names of the pages, planes and channels, if there are several."""
        return []

    def page_size(self, page: int) -> Size:
        """Width and height of a page, as displayed; pages count from 1."""
        return self.displayed_size

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """
        Decode it.

        Parameters
        ----------
        at_least : (int, int) or None
            Sufficient width and height, as stored.
        page : int or None
            Which page, from 1; None for the one that represents the file best.

        Returns
        -------
        PIL.Image.Image or Values
            Loaded; an image of 8 bits in any mode.
        """
        raise NotImplementedError


def check_size(width: int, height: int, format: str) -> None:
    """
    Raises
    ------
    ImageError
        When there are too many pixels to decode, or none.
    """
    if width < 1 or height < 1:
        raise ImageError(f"damaged {format} data")
    if width * height > MAX_PIXELS:
        raise ImageError(f"too many pixels ({width}x{height}; {LIMIT})")


def check_page(page: int, n_pages: int) -> None:
    """
    Raises
    ------
    ImageError
        When there is no such page.
    """
    if not 1 <= page <= n_pages:
        raise ImageError(f"there is no page {page}, the last is {n_pages}")


def check_n_pages(n_pages: int) -> None:
    """
    Raises
    ------
    ImageError
        When a file claims to have more pages than could be listed.
    """
    if n_pages > MAX_PAGES:
        raise ImageError(f"too many pages ({n_pages}; the limit is {MAX_PAGES})")


def numbered(kind: str, n_pages: int) -> list[str]:
    """Names for pages without a name; empty if there is only one page.

    Raises
    ------
    ImageError
        As `check_n_pages`.
    """
    check_n_pages(n_pages)
    return [f"{kind} {n}" for n in range(1, n_pages + 1)] if n_pages > 1 else []


def middle(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The plane that represents a stack: the middle one, or the earlier of two."""
    return tuple((length - 1) // 2 for length in shape)


def plane_place(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The position of a plane on each axis; the last axis varies fastest."""
    place = []
    for length in reversed(shape):
        index, at = divmod(index, length)
        place.insert(0, at)
    return tuple(place)


def plane_number(place: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """The inverse of `plane_place`."""
    number = 0
    for at, length in zip(place, shape, strict=True):
        number = number * length + at
    return number


def covers(size: Size, at_least: Size | None) -> bool:
    """Whether a size has enough pixels."""
    return at_least is not None and all(
        side >= wanted for side, wanted in zip(size, at_least, strict=True)
    )


def reduction(size: Size, at_least: Size | None, most: int) -> int:
    """How many times an image can be halved and still have enough pixels."""
    if at_least is None:
        return 0
    ratio = min(s / max(1, w) for s, w in zip(size, at_least, strict=True))
    return min(most, int(math.log2(ratio))) if ratio >= 2 else 0
