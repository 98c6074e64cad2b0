"""TIFF: which pages form the image, and what their numbers mean.

tifffile knows the structure: series of pages, channels, pyramids. The pixels of plain
pages are Pillow's, since libtiff reads more compressions; those of all others are
tifffile's.
"""

from __future__ import annotations

import contextlib
import math
import struct
from io import BytesIO
from typing import BinaryIO

import tifffile
from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.formats import Format, is_unsupported
from orangecontrib.imageanalytics.images.intensity import (
    Values,
)
from orangecontrib.imageanalytics.images.lazy_image import (
    MAX_PAGES,
    SIDEWAYS,
    LazyImage,
    OtherFormat,
    Size,
    check_n_pages,
    check_page,
    check_size,
    numbered,
)
from orangecontrib.imageanalytics.images.readers.pillow import (
    PillowImage,
    open_image,
    pixels,
)
from orangecontrib.imageanalytics.images.readers.tiff_image import TiffImage
from orangecontrib.imageanalytics.images.readers.tiff_page import (
    has_rare_compression,
    is_plain_page,
)

_PHOTOMETRIC, _COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
_ORIENTATION, _DNG_VERSION, _MAKE = 274, 50706, 271
_SENSOR = (_PHOTOMETRIC.CFA, _PHOTOMETRIC.LINEAR_RAW)
# Of Nikon, Sony, Pentax, Kodak and Samsung.
_RAW_COMPRESSIONS = (34713, 32767, 65535, 65000, 262, 32769, 32770)
# Images that a slide scanner adds to the slide: its label, and an overview.
_SLIDES = ("svs", "ndpi", "scn", "bif", "philips", "qpi", "ventana", "avs")
_THUMBNAIL_SIDE = 256


class _NotOpened(Exception):
    """Pillow cannot read this kind of page."""


def open(file: BinaryIO, format: Format) -> LazyImage:
    """Open a TIFF."""
    try:
        # Further files that one names are not opened.
        tiff = tifffile.TiffFile(file, _multifile=False)
        _check_chain(file, tiff)
        if _is_raw(tiff):
            raise OtherFormat("RAW")
        return LazyTiff(file, tiff, format.isolated)
    except (ImageError, NotImplementedError, OtherFormat):
        raise
    except Exception:
        # Pillow reads some that are damaged where nothing is seen of it.
        return DamagedTiff(open_image(file, format.name))


def _check_chain(file: BinaryIO, tiff: tifffile.TiffFile) -> None:
    """
    Raises
    ------
    ValueError
        When pages follow each other in a circle, which tifffile would do, too.
    """
    form, place, seen = tiff.tiff, tiff.pages.first.offset, set()
    while place:
        if place in seen or len(seen) > MAX_PAGES:
            raise ValueError("a circle of pages")
        seen.add(place)
        file.seek(place)
        (n_tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
        file.seek(place + form.tagnosize + n_tags * form.tagsize)
        following = file.read(form.offsetsize)
        if len(following) < form.offsetsize:
            return
        (place,) = struct.unpack(form.offsetformat, following)


def _is_raw(tiff: tifffile.TiffFile) -> bool:
    """Whether the pages are raw data of a sensor, with a thumbnail."""
    first = tiff.pages.first
    pages = [first, *(first.pages or ())]
    is_camera = _DNG_VERSION in first.tags or _MAKE in first.tags
    return is_camera and any(
        page.photometric in _SENSOR or page.compression in _RAW_COMPRESSIONS
        for page in pages
    )


class DamagedTiff(PillowImage):
    """
    The readable part of a file that tifffile does not read.

    Parameters
    ----------
    image : PIL.TiffImagePlugin.TiffImageFile
        Opened from it.
    """

    def __init__(self, image):
        super().__init__(image)
        self.orientation = 1  # Pillow turns it
        self.is_plain = False


class LazyTiff(LazyImage):
    """
    What a TIFF shows.

    Parameters
    ----------
    file : binary file object
    tiff : tifffile.TiffFile
        Opened from it.
    is_isolated : bool
        Whether this is the helper process, where decoders may crash or take for ever.

    Raises
    ------
    OtherFormat
        It is not, and should be.
    """

    def __init__(self, file: BinaryIO, tiff: tifffile.TiffFile, is_isolated: bool):
        self._file, self._tiff, self._is_isolated = file, tiff, is_isolated
        self._images = [TiffImage(tiff, series) for series in _main_first(tiff)]
        if any(has_rare_compression(image.page) for image in self._images):
            self._leave_to_helper()
        check_n_pages(self._n_pages)
        self._main = self._images[0]
        super().__init__(
            "TIFF",
            self._main.size,
            orientation=self._main.orientation,
            has_more=self._n_pages > self._main.n_channels,
            is_plain=is_plain_page(self._main.page),
        )
        check_size(*(min(side, 2**14) for side in self.size), self.format)

    def _leave_to_helper(self) -> None:
        if not self._is_isolated:
            raise OtherFormat("TIFF")

    @property
    def _n_pages(self) -> int:
        return sum(image.n_pages for image in self._images)

    def page_names(self) -> list[str]:
        """As `LazyImage.page_names`."""
        if self._n_pages == 1:
            return []
        if len(self._images) == 1:
            return self._main.page_names()
        if self._n_pages == len(self._images):
            return numbered("page", self._n_pages)
        return [
            f"image {number}, {name}" if image.n_pages > 1 else f"image {number}"
            for number, image in enumerate(self._images, 1)
            for name in image.page_names()
        ]

    def page_size(self, page: int) -> Size:
        """As `LazyImage.page_size`."""
        image, _ = self._find(page)
        return image.size[::-1] if image.orientation in SIDEWAYS else image.size

    def _find(self, page: int) -> tuple[TiffImage, int]:
        """The image to which a page belongs, and its number there, from 0."""
        check_page(page, self._n_pages)
        index = page - 1
        for image in self._images:
            if index < image.n_pages:
                return image, index
            index -= image.n_pages
        raise AssertionError("checked above")

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `LazyImage.read`."""
        if page is not None:
            image, index = self._find(page)
            place, channel = image.place(index)
        else:
            (image, place), channel = self._shown(), None
        self.orientation = image.orientation
        level = image.level(at_least)
        page = level.planes.page(place)
        is_whole_page = channel is None or level.n_channels == 1
        if level.is_plain and is_whole_page:
            try:
                return self._with_pillow(page)
            except _NotOpened:
                pass
            except OSError:
                if page.compression == _COMPRESSION.OJPEG:  # there are all kinds of it
                    with contextlib.suppress(RuntimeError):
                        return self._with_libtiff(page)
                elif page.compression != _COMPRESSION.NONE:
                    raise
        self._check_end(page)
        try:
            return level.values(place, channel)
        except (NotImplementedError, ValueError) as error:
            # What tifffile does not know may be known to libtiff.
            if not (is_whole_page and is_unsupported(error)):
                raise
            found = self._with_libtiff(page)
        return level.described(found.array) if isinstance(found, Values) else found

    def _shown(self) -> tuple[TiffImage, tuple[int, ...]]:
        """The image that represents all of them, and a plane that is not blank."""
        alike = [image for image in self._images if image.size == self._main.size]
        places = ((image, image.default_place()) for image in alike)
        if len(alike) == 1:
            return next(places)
        seen = (found for found in places if not found[0].is_blank(found[1]))
        return next(seen, (self._main, self._main.default_place()))

    def _check_end(self, page) -> None:
        """Detect missing data, which tifffile would invent."""
        if len(page.dataoffsets) < math.prod(page.chunked):
            raise EOFError
        last = max(zip(page.dataoffsets, page.databytecounts, strict=True), default=())
        if sum(last) > self._tiff.filehandle.size:
            raise EOFError

    def _with_pillow(self, page) -> Image.Image | Values:
        """Read a page with Pillow, which reports damage."""
        try:
            image = open_image(self._starting_at(page.offset), "TIFF")
        except Exception as error:
            raise _NotOpened from error
        check_size(*image.size, self.format)
        image.load()
        if _ORIENTATION in page.keyframe.tags:  # Pillow has turned it
            self.orientation = 1
        return pixels(image)

    def _with_libtiff(self, page) -> Image.Image | Values:
        """Read a rare kind of page with Pillow, or else in 8 bits with imagecodecs."""
        with contextlib.suppress(_NotOpened, OSError):
            found = self._with_pillow(page)
            # Of colours of 16 bits it has 8 alone, which may be nothing.
            if isinstance(found, Values) or page.bitspersample <= 8:
                return found
        self._leave_to_helper()
        import imagecodecs

        self._file.seek(0)
        array = imagecodecs.tiff_decode(self._file.read(), index=page.index, asrgb=True)
        return Image.fromarray(array)

    def _starting_at(self, offset: int) -> BinaryIO:
        """The file with another page as its first, so that Pillow finds it at once."""
        order, is_big = self._tiff.byteorder, self._tiff.is_bigtiff
        place, kind = (8, "Q") if is_big else (4, "I")
        self._file.seek(place)
        first = self._file.read(struct.calcsize(kind))
        wanted = struct.pack(order + kind, offset)
        self._file.seek(0)
        if first == wanted:
            return self._file
        content = self._file.read()
        return BytesIO(content[:place] + wanted + content[place + len(wanted) :])


def _main_first(tiff: tifffile.TiffFile) -> list:
    """The series that are images, starting with the one that represents all."""
    every = list(tiff.series)
    if every[0].kind in _SLIDES:
        return every[:1]
    found = [series for series in every if not _is_reduced(series.keyframe)]
    found = found or [max(every, key=_n_pixels)]
    larger = [_series_of(tiff, page) for page in _larger_below(tiff, found[0])]
    if larger:
        return [max(larger, key=_n_pixels)]
    if len(found) == 2 and _is_thumbnail(*found):
        found.reverse()
    return found


def _is_reduced(page) -> bool:
    return bool(page.is_reduced or page.is_mask)


def _n_pixels(series) -> int:
    page = series.keyframe
    return page.imagewidth * page.imagelength


def _larger_below(tiff, main) -> list:
    """Sub-pages of the first page that are larger than it, their thumbnail."""
    first = tiff.pages.first
    known = {page.offset for s in tiff.series for page in s.pages if page is not None}
    pages = [page for page in first.pages or () if not _is_reduced(page)]
    return [
        page
        for page in pages
        if page.offset not in known
        and page.imagewidth * page.imagelength > _n_pixels(main)
    ]


def _series_of(tiff, page):
    return tifffile.TiffPageSeries(
        [page], page.shape, page.dtype, page.axes, parent=tiff, kind="generic"
    )


def _is_thumbnail(first, other) -> bool:
    """Whether a series seems to be a smaller version of another, without saying so."""
    small, large = first.keyframe, other.keyframe
    ratio = large.imagewidth / max(1, small.imagewidth)
    other_ratio = large.imagelength / max(1, small.imagelength)
    return (
        max(small.imagewidth, small.imagelength) <= _THUMBNAIL_SIDE
        and ratio >= 4
        and math.isclose(ratio, other_ratio, rel_tol=0.1)
    )
