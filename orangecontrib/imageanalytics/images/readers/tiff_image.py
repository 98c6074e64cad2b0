"""One image in a TIFF: its planes and channels, and what their numbers mean."""

from __future__ import annotations

import math

import numpy as np
import tifffile
from PIL import Image

from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.lazy_image import (
    MAX_PIXELS,
    Size,
    covers,
    middle,
)
from orangecontrib.imageanalytics.images.readers.tiff_axes import Axes
from orangecontrib.imageanalytics.images.readers.tiff_channels import Channels
from orangecontrib.imageanalytics.images.readers.tiff_colours import (
    are_colours,
    by_palette,
    opacity_sample,
    other_colours,
    without_opacity,
)
from orangecontrib.imageanalytics.images.readers.tiff_page import (
    bit_range,
    is_plain_page,
    number,
)
from orangecontrib.imageanalytics.images.readers.tiff_planes import Planes

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_PROFILE, _NO_DATA, _ORIENTATION = 34675, 42113, 274
_PART_OF_DOCUMENT = 2
# Along which planes are those of a stack, not pages that follow each other.
_STACK_AXES = "ZTRPAHLQ"
_AXIS_NAMES = {axis: axis for axis in "ZTRPAHL"} | {"C": "channel"}


class TiffImage:
    """
    One image: planes on some axes, of one or several channels.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    series : tifffile.TiffPageSeries
        Its pages.
    main : TiffImage, optional
        The image of which this is a smaller version.

    Attributes
    ----------
    page : tifffile.TiffPage
        The page whose tags are used for all pages.
    size : (int, int)
        Width and height.
    n_channels : int
        Red, green and blue count as one.
    is_plain : bool
        Whether Pillow reads its pages correctly.
    """

    def __init__(self, tiff, series, main: TiffImage | None = None):
        self._tiff, self._series, self._main = tiff, series, main
        self.page = series.keyframe
        n_samples = dict(zip(series.axes, series.shape, strict=True)).get("S", 1)
        self._opacity_at = opacity_sample(self.page, n_samples)
        self._axes = Axes(
            series.axes,
            series.shape,
            are_colours(self.page),
            self._opacity_at is not None,
        )
        self.size: Size = self._axes.size
        self.n_channels: int = self._axes.n_channels
        self.planes = Planes(tiff, series, self._axes)
        self.channels: Channels = (
            Channels(tiff, series, self.n_channels) if main is None else main.channels
        )
        self.is_plain = is_plain_page(self.page) and self.n_channels == 1

    @property
    def orientation(self) -> int:
        """The EXIF orientation; sub-pages of a thumbnail take that of the thumbnail."""
        if self._main is not None:
            return self._main.orientation
        turned = self.page.tags.valueof(_ORIENTATION)
        if turned is None and all(s is not self._series for s in self._tiff.series):
            turned = self._tiff.pages.first.tags.valueof(_ORIENTATION)
        return turned if isinstance(turned, int) else 1

    @property
    def n_pages(self) -> int:
        """The number of planes times the number of channels."""
        return self._axes.n_planes * self.n_channels

    def page_names(self) -> list[str]:
        """Names that distinguish its pages."""
        names = self.channels.names
        found = []
        for index in range(self.n_pages):
            place, channel = self.place(index)
            parts = [
                f"{_AXIS_NAMES.get(axis, 'page')} {at + 1}"
                for axis, at in zip(self._axes.planes, place, strict=True)
            ]
            found.append(", ".join(parts + names[channel : channel + 1]))
        return found

    def place(self, index: int) -> tuple[tuple[int, ...], int]:
        """Plane and channel of a page with a number, from 0."""
        plane, channel = divmod(index, self.n_channels)
        return self._axes.place(plane), channel

    # Which plane stands for all -----------------------------------------------------

    def default_place(self) -> tuple[int, ...]:
        """
        The plane that represents all.

        For a stack, it is the middle plane, which is in focus more often than the first
        one; if it is blank, it is the brightest plane. For pages, it is the first one
        that is not blank.
        """
        is_stack = self._is_stack()
        place = tuple(
            at if is_stack and axis != "C" else 0
            for axis, at in zip(
                self._axes.planes, middle(self._axes.stack), strict=True
            )
        )
        n_planes = self._axes.n_planes
        if n_planes > 1 and self.is_blank(place):
            places = map(self._axes.place, range(n_planes))
            others = (other for other in places if not self.is_blank(other))
            if is_stack:
                brightness = self._smallest.planes.brightness
                return max(others, key=brightness, default=place)
            return next(others, place)
        return place

    def _is_stack(self) -> bool:
        if (self.page.subfiletype or 0) & _PART_OF_DOCUMENT:
            return False
        is_deep = self.page.dtype is not None and self.page.dtype.itemsize > 1
        return is_deep or any(axis in _STACK_AXES for axis in self._axes.planes)

    def is_blank(self, place: tuple[int, ...]) -> bool:
        """Whether all numbers of a plane are the same; False if it cannot be read."""
        return self._smallest.planes.is_blank(place)

    @property
    def _smallest(self) -> TiffImage:
        return self.level((1, 1))

    def level(self, at_least: Size | None) -> TiffImage:
        """The smallest version with enough pixels, or the largest that can be read."""
        if len(self._series.levels) < 2:
            return self
        levels = [
            self,
            *(TiffImage(self._tiff, s, self) for s in self._series.levels[1:]),
        ]
        enough = [level for level in levels if covers(level.size, at_least)]
        if enough:
            return min(enough, key=lambda level: math.prod(level.size))
        return next((v for v in levels if math.prod(v.size) <= MAX_PIXELS), self)

    # What the numbers mean ----------------------------------------------------------

    def values(
        self, place: tuple[int, ...], channel: int | None
    ) -> Values | Image.Image:
        """The numbers of a plane, or of one of its channels."""
        return self.described(self.planes.array(place, channel), channel)

    def described(
        self, array: np.ndarray, channel: int | None = None
    ) -> Values | Image.Image:
        """Numbers with their description in the file."""
        photometric, has_colours = self.page.photometric, self._axes.has_colours
        array, opacity = self._without_opacity(array)
        if has_colours and photometric != _PHOTOMETRIC.RGB:
            other = other_colours(self.page, array)
            if other is not None:
                return other
        if photometric == _PHOTOMETRIC.PALETTE and self.page.colormap is not None:
            return by_palette(self.page, array)
        return Values(
            array[..., :3] if has_colours else array,
            is_colour=has_colours,
            declared=self.channels.ranges(self.page, channel),
            full=bit_range(self.page),
            inverted=photometric == _PHOTOMETRIC.MINISWHITE,
            missing=number(self.page.tags.valueof(_NO_DATA)),
            opacity=opacity,
            colours=self.channels.colours,
            profile=self.page.tags.valueof(_PROFILE),
        )

    def _without_opacity(
        self, array: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The colours or grey, and the opacity."""
        if self._opacity_at is None or array.ndim < 3:
            return array, None
        array, opacity = without_opacity(self.page, array, self._opacity_at)
        return array if self._axes.has_colours else array[..., 0], opacity
