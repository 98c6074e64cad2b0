"""One image in a TIFF: its planes and channels, and what their numbers mean."""

from __future__ import annotations

import contextlib
import math
from functools import cached_property

import numpy as np
import tifffile
from PIL import Image

from orangecontrib.imageanalytics.images.intensity import (
    COLOURS,
    Range,
    Values,
    as_opacity,
    unassociated,
)
from orangecontrib.imageanalytics.images.lazy_image import (
    MAX_PIXELS,
    Size,
    check_size,
    covers,
    middle,
    plane_number,
    plane_place,
)
from orangecontrib.imageanalytics.images.readers import imagej, ome
from orangecontrib.imageanalytics.images.readers.tiff_page import (
    ASSOCIATED,
    IN_PLANES,
    KEEPING_COLOURS,
    UNASSOCIATED,
    bit_range,
    has_byte_palette,
    is_plain_page,
    number,
    tagged_range,
)

_PHOTOMETRIC, _COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
_COLOURS = (
    _PHOTOMETRIC.RGB,
    _PHOTOMETRIC.YCBCR,
    _PHOTOMETRIC.SEPARATED,
    _PHOTOMETRIC.CIELAB,
    _PHOTOMETRIC.ICCLAB,
)
_PROFILE, _NO_DATA, _ORIENTATION = 34675, 42113, 274
_PART_OF_DOCUMENT = 2
_MAX_WHOLE_BYTES = 2**31
# Along which planes are those of a stack, not pages that follow each other.
_STACK_AXES = "ZTRPAHLQ"
_AXIS_NAMES = {axis: axis for axis in "ZTRPAHL"} | {"C": "channel"}

_MODES = {
    _PHOTOMETRIC.SEPARATED: "CMYK",
    _PHOTOMETRIC.YCBCR: "YCbCr",
    _PHOTOMETRIC.CIELAB: "LAB",
    _PHOTOMETRIC.ICCLAB: "LAB",
}


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
    """

    def __init__(self, tiff, series, main: TiffImage | None = None):
        self._tiff, self._series, self._main = tiff, series, main
        self.page = series.keyframe
        self.axes, self.shape = series.axes, series.shape
        if "Y" not in self.axes or "X" not in self.axes:
            raise NotImplementedError(f"axes {self.axes}")
        self._lengths = dict(zip(self.axes, self.shape, strict=True))
        self.size: Size = self._lengths["X"], self._lengths["Y"]
        samples = self._lengths.get("S", 1)
        self._has_colours = samples > 1 and self.page.photometric in _COLOURS
        self._opacity_at = self._find_opacity(samples)
        self._channel_axes = "" if self._has_colours else "C" if samples == 1 else "CS"
        self._plane_axes = [a for a in self.axes if a not in "YXS" + self._channel_axes]
        self._stack = tuple(self._lengths[axis] for axis in self._plane_axes)
        self.is_plain = is_plain_page(self.page) and not self.is_composed

    def _find_opacity(self, samples: int) -> int | None:
        """The sample that holds the opacity."""
        extra = self.page.extrasamples or ()
        first = samples - len(extra)
        known = (ASSOCIATED, UNASSOCIATED)
        return next((first + i for i, kind in enumerate(extra) if kind in known), None)

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
    def n_channels(self) -> int:
        """The number of channels; red, green and blue count as one."""
        lengths = (self._lengths.get(axis, 1) for axis in self._channel_axes)
        n_channels = math.prod(lengths)
        has_opacity = not self._has_colours and self._opacity_at is not None
        return max(1, n_channels - 1) if has_opacity else n_channels

    @property
    def is_composed(self) -> bool:
        """Whether it has several channels."""
        return self.n_channels > 1

    @property
    def n_pages(self) -> int:
        """The number of planes times the number of channels."""
        return math.prod(self._stack) * self.n_channels

    def page_names(self) -> list[str]:
        """Names that distinguish its pages."""
        names = self._channel_names()
        found = []
        for index in range(self.n_pages):
            place, channel = self.place(index)
            parts = [
                f"{_AXIS_NAMES.get(axis, 'page')} {at + 1}"
                for axis, at in zip(self._plane_axes, place, strict=True)
            ]
            found.append(", ".join(parts + names[channel : channel + 1]))
        return found

    def _channel_names(self) -> list[str]:
        if not self.is_composed:
            return []
        known = self._described_channels
        return [
            known[index].name if index < len(known) and known[index].name else default
            for index, default in enumerate(
                f"channel {number}" for number in range(1, self.n_channels + 1)
            )
        ]

    def place(self, index: int) -> tuple[tuple[int, ...], int]:
        """Plane and channel of a page with a number, from 0."""
        plane, channel = divmod(index, self.n_channels)
        return plane_place(plane, self._stack), channel

    def default_place(self) -> tuple[int, ...]:
        """
        The plane that stands for all.

        Of a stack it is the middle one, which is in focus more often than the first;
        if that is blank, the brightest that is not. Of pages it is the first that is
        not blank.
        """
        is_stack = self._is_stack()
        place = tuple(
            at if is_stack and axis != "C" else 0
            for axis, at in zip(self._plane_axes, middle(self._stack), strict=True)
        )
        n_planes = math.prod(self._stack)
        if n_planes > 1 and self.is_blank(place):
            places = (plane_place(number, self._stack) for number in range(n_planes))
            others = (other for other in places if not self.is_blank(other))
            if is_stack:
                return max(others, key=self._brightness, default=place)
            return next(others, place)
        return place

    def _is_stack(self) -> bool:
        if (self.page.subfiletype or 0) & _PART_OF_DOCUMENT:
            return False
        is_deep = self.page.dtype is not None and self.page.dtype.itemsize > 1
        return is_deep or any(axis in _STACK_AXES for axis in self._plane_axes)

    def is_blank(self, place: tuple[int, ...]) -> bool:
        """Whether all numbers of a plane are the same; False if it cannot be read."""
        with contextlib.suppress(Exception):  # which shows when it is read
            array = self._smallest._array(place)
            return bool((array == array.flat[0]).all())
        return False

    def _brightness(self, place) -> float:
        with contextlib.suppress(Exception):
            array = self._smallest._array(place)
            return float(np.nan_to_num(np.abs(array)).mean())
        return 0.0

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

    # Pixels -----------------------------------------------------------------------

    def page_at(self, place: tuple[int, ...], channel: int = 0):
        """The page with a plane and channel."""
        if self._series.is_truncated:
            return self.page
        page = self._series.pages[self._page_index(place, channel)]
        return self.page if page is None else page

    @property
    def _outer_axes(self) -> str:
        """Axes whose positions are separate pages; the others are within a page."""
        inner = self.page.axes
        if not self.axes.endswith(inner):
            raise NotImplementedError(f"{inner} in {self.axes}")
        return self.axes[: len(self.axes) - len(inner)]

    def _coordinates(self, place: tuple[int, ...], channel: int) -> dict[str, int]:
        found = dict(zip(self._plane_axes, place, strict=True))
        lengths = tuple(self._lengths.get(axis, 1) for axis in self._channel_axes)
        return found | dict(
            zip(self._channel_axes, plane_place(channel, lengths), strict=True)
        )

    def _page_index(self, place, channel) -> int:
        at = self._coordinates(place, channel)
        outer = self._outer_axes
        where = tuple(at.get(axis, 0) for axis in outer)
        return plane_number(where, tuple(self._lengths[axis] for axis in outer))

    def _array(self, place: tuple[int, ...], channel: int | None = None) -> np.ndarray:
        """Numbers, shape (height, width) or (height, width, samples or channels)."""
        if channel is not None:
            return self._page_array(place, channel)
        n_shown = min(self.n_channels, len(COLOURS))
        if "C" not in self._lengths or not self._channel_axes:  # all in one page
            array = self._page_array(place, None)
            return array[..., :n_shown] if self.is_composed else array
        if not self.is_composed:
            return self._page_array(place, 0)
        arrays = [self._page_array(place, index) for index in range(n_shown)]
        return np.stack(arrays, axis=-1)

    def _page_array(self, place, channel: int | None) -> np.ndarray:
        check_size(*self.size, "TIFF")
        array, axes = self._stored(place, channel or 0)
        at = self._coordinates(place, channel or 0)
        for axis in set(axes) - set("YXS"):
            array = array.take(at.get(axis, 0), axis=axes.index(axis))
            axes = axes.replace(axis, "")
        if "S" in axes:
            array = np.moveaxis(array, axes.index("S"), -1)
            axes = axes.replace("S", "")
            if "S" in self._channel_axes and channel is not None:
                array = array[..., at["S"]]
        return array if axes == "YX" else np.swapaxes(array, 0, 1)

    def _stored(self, place, channel: int) -> tuple[np.ndarray, str]:
        """The array that contains a plane, and its axes."""
        try:
            index = self._page_index(place, channel)
        except NotImplementedError:
            if self._series.nbytes > _MAX_WHOLE_BYTES:
                raise
            return self._series.asarray(), self.axes
        page = self.page
        if self._series.is_truncated:  # ImageJ's way with large stacks
            n_numbers = math.prod(page.shape)
            start = self._series.dataoffset + index * n_numbers * page.dtype.itemsize
            dtype = page.dtype.newbyteorder(self._tiff.byteorder)
            array = self._tiff.filehandle.read_array(dtype, n_numbers, start)
            return array.reshape(page.shape), page.axes
        found = self._series.pages[index]
        if found is None:  # a plane that the microscope has left out
            return np.zeros(page.shape, page.dtype), page.axes
        return found.asarray(), page.axes

    def values(
        self, place: tuple[int, ...], channel: int | None
    ) -> Values | Image.Image:
        """The numbers of a plane, or of one of its channels."""
        return self.described(self._array(place, channel), channel)

    def described(
        self, array: np.ndarray, channel: int | None = None
    ) -> Values | Image.Image:
        """Numbers with their description in the file."""
        photometric = self.page.photometric
        array, opacity = self._without_opacity(array)
        if self._has_colours and photometric != _PHOTOMETRIC.RGB:
            other = self._other_colours(array)
            if other is not None:
                return other
        if photometric == _PHOTOMETRIC.PALETTE and self.page.colormap is not None:
            return self._by_palette(array)
        no_data = self.page.tags.valueof(_NO_DATA)
        return Values(
            array[..., :3] if self._has_colours else array,
            is_colour=self._has_colours,
            declared=self._declared(channel),
            full=bit_range(self.page),
            inverted=photometric == _PHOTOMETRIC.MINISWHITE,
            missing=number(no_data),
            opacity=opacity,
            colours=self._channel_colours(),
            profile=self.page.tags.valueof(_PROFILE),
        )

    def _without_opacity(
        self, array: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The colours or grey, and the opacity."""
        at = self._opacity_at
        if at is None or array.ndim < 3:
            return array, None
        opacity = None
        if at < array.shape[2]:
            alpha = array[..., at]
            opacity = as_opacity(alpha)
            kind = self.page.extrasamples[at - self.page.samplesperpixel]
            if kind == ASSOCIATED:
                array = unassociated(array, alpha)
        return array if self._has_colours else array[..., 0], opacity

    def _by_palette(self, array: np.ndarray) -> Image.Image:
        colours = self.page.colormap
        if not has_byte_palette(self.page):
            colours = colours >> 8
        numbers = array if array.ndim == 2 else array[..., 0]
        return Image.fromarray(colours.T.astype(np.uint8)[numbers])

    def _other_colours(self, array: np.ndarray) -> Image.Image | None:
        """CMYK and Lab; None for data that became RGB while they were decoded."""
        photometric = self.page.photometric
        is_video = photometric == _PHOTOMETRIC.YCBCR
        if is_video and self.page.compression not in KEEPING_COLOURS:
            return None
        if is_video and self.page.planarconfig != IN_PLANES:
            raise NotImplementedError("YCbCr, which libtiff converts")
        mode = _MODES[photometric]
        n_bands = len(mode) if mode == "CMYK" else 3
        if array.shape[2] < n_bands or array.dtype.kind != "u":
            raise NotImplementedError(f"{mode} of {array.shape[2]} x {array.dtype}")
        array = array[..., :n_bands] >> 8 * (array.dtype.itemsize - 1)
        array = array.astype(np.uint8)
        if photometric == _PHOTOMETRIC.CIELAB:  # a and b are signed
            array = array ^ np.array([0, 128, 128], np.uint8)
        bands = (np.ascontiguousarray(array[..., i]) for i in range(n_bands))
        return Image.merge(mode, [Image.fromarray(band) for band in bands])

    # What the file says of the numbers ---------------------------------------------

    def _declared(self, channel: int | None) -> list[Range | None]:
        shown = range(self.n_channels) if channel is None else (channel,)
        by_imagej = imagej.ranges(self._tiff)
        if by_imagej:
            return [by_imagej[index % len(by_imagej)] for index in shown]
        bits = bit_range(self.page)
        return [bits or tagged_range(self.page, index) for index in shown]

    @cached_property
    def _described_channels(self) -> list[ome.Channel]:
        if self._main is not None:
            return self._main._described_channels
        if self._tiff.is_ome:
            series = self._tiff.series
            number = next((n for n, s in enumerate(series) if s is self._series), 0)
            return ome.channels(self._tiff.ome_metadata, number)
        return []

    def _channel_colours(self) -> tuple[tuple[int, int, int], ...]:
        """The colours that the file gives for its channels, if it gives several."""
        if not self.is_composed:
            return ()
        colours = [channel.colour for channel in self._described_channels]
        colours = colours or imagej.colours(self._tiff)
        known = [colour for colour in colours if colour]
        if len(known) < self.n_channels or len(set(known)) == 1:
            return ()
        return tuple(known)
