"""One picture in a TIFF: its planes and channels, and what their numbers mean."""

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
)
from orangecontrib.imageanalytics.images.picture import (
    MAX_PIXELS,
    Size,
    check_size,
    covers,
    middle,
    plane_number,
    plane_place,
)
from orangecontrib.imageanalytics.images.readers import ome

_PHOTOMETRIC, _COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
_COLOURS = (
    _PHOTOMETRIC.RGB,
    _PHOTOMETRIC.YCBCR,
    _PHOTOMETRIC.SEPARATED,
    _PHOTOMETRIC.CIELAB,
)
_PROFILE, _NO_DATA = 34675, 42113
_RANGE_TAGS = ((340, 341), (280, 281))
_UNSIGNED = 1
_MAX_WHOLE_BYTES = 2**31
# Along which planes are those of a stack, not pages that follow each other.
_STACK_AXES = "ZTRPAHLQ"
_NAMED_AXES = "ZTRPAHL"

# (photometric, samples) of pages that Pillow reads as they are meant, with 8 bits.
_PLAIN = {
    (_PHOTOMETRIC.MINISBLACK, 1),
    (_PHOTOMETRIC.MINISWHITE, 1),
    (_PHOTOMETRIC.RGB, 3),
    (_PHOTOMETRIC.RGB, 4),
    (_PHOTOMETRIC.PALETTE, 1),
    (_PHOTOMETRIC.SEPARATED, 4),
    (_PHOTOMETRIC.YCBCR, 3),
    (_PHOTOMETRIC.CIELAB, 3),
}
# Compressions that every Pillow reads.
_LIBTIFF = {
    _COMPRESSION.NONE,
    _COMPRESSION.CCITTRLE,
    _COMPRESSION.CCITT_T4,
    _COMPRESSION.CCITT_T6,
    _COMPRESSION.LZW,
    _COMPRESSION.OJPEG,
    _COMPRESSION.JPEG,
    _COMPRESSION.ADOBE_DEFLATE,
    _COMPRESSION.DEFLATE,
    _COMPRESSION.PACKBITS,
}
_JPEG = (_COMPRESSION.JPEG, _COMPRESSION.OJPEG)


def is_plain_page(page) -> bool:
    """Whether Pillow reads a page as it is meant."""
    bits = page.bitspersample
    samples = page.samplesperpixel
    is_unsigned = page.sampleformat in (None, _UNSIGNED)
    if not is_unsigned or page.imagedepth > 1 or isinstance(bits, tuple):
        return False
    if page.photometric == _PHOTOMETRIC.MINISBLACK and samples == 2:
        return bits == 8 and page.extrasamples[:1] in ((1,), (2,))
    if page.photometric == _PHOTOMETRIC.YCBCR and page.compression not in _JPEG:
        return False
    return (
        (page.photometric, samples) in _PLAIN
        and (bits == 8 or (bits < 8 and samples == 1))
        and page.compression in _LIBTIFF
    )


class TiffImage:
    """
    One picture: planes on some axes, of one or several channels.

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
        self._channel_axes = "C" if self._has_colours or samples == 1 else "CS"
        self._plane_axes = [a for a in self.axes if a not in "YXS" + self._channel_axes]
        self._stack = tuple(self._lengths[axis] for axis in self._plane_axes)
        self.is_plain = is_plain_page(self.page) and not self.is_composed

    def _find_opacity(self, samples: int) -> int | None:
        """Which of the samples says how opaque a pixel is."""
        extra = self.page.extrasamples or ()
        first = samples - len(extra)
        return next((first + i for i, kind in enumerate(extra) if kind in (1, 2)), None)

    @property
    def n_channels(self) -> int:
        """How many channels there are, one if they are red, green and blue."""
        lengths = (self._lengths.get(axis, 1) for axis in self._channel_axes)
        n_channels = math.prod(lengths)
        has_opacity = not self._has_colours and self._opacity_at is not None
        return max(1, n_channels - 1) if has_opacity else n_channels

    @property
    def is_composed(self) -> bool:
        """Whether it is made of several channels."""
        return self.n_channels > 1

    @property
    def n_pages(self) -> int:
        """Planes, times channels."""
        return math.prod(self._stack) * self.n_channels

    def page_names(self) -> list[str]:
        """What tells its pages apart."""
        names = self._channel_names()
        found = []
        for index in range(self.n_pages):
            place, channel = self.place(index)
            parts = [
                f"{axis if axis in _NAMED_AXES else 'page'} {at + 1}"
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
        """Plane and channel of a page, its number counted from 0."""
        plane, channel = divmod(index, self.n_channels)
        return plane_place(plane, self._stack), channel

    def default_place(self) -> tuple[int, ...]:
        """
        The plane that stands for all.

        Of a stack it is the middle one, which is in focus more often than the first;
        of pages the first. If that is blank, the brightest.
        """
        place = middle(self._stack) if self._is_stack() else (0,) * len(self._stack)
        if math.prod(self._stack) > 1 and self._is_blank(place):
            places = (
                plane_place(n, self._stack) for n in range(math.prod(self._stack))
            )
            place = max(places, key=self._brightness)
        return place

    def _is_stack(self) -> bool:
        is_deep = self.page.dtype is not None and self.page.dtype.itemsize > 1
        return is_deep or any(axis in _STACK_AXES for axis in self._plane_axes)

    def _is_blank(self, place) -> bool:
        with contextlib.suppress(Exception):  # which shows when it is read
            array = self._array(place)
            return bool((array == array.flat[0]).all())
        return False

    def _brightness(self, place) -> float:
        with contextlib.suppress(Exception):
            return float(np.nan_to_num(np.abs(self._array(place))).mean())
        return 0.0

    def level(self, at_least: Size | None) -> TiffImage:
        """The smallest version that suffices, or the largest that can be read."""
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
        """The page of a plane and channel."""
        if self._series.is_truncated:
            return self.page
        page = self._series.pages[self._page_index(place, channel)]
        return self.page if page is None else page

    @property
    def _outer_axes(self) -> str:
        """Axes along which there are pages; the others are within each page."""
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
        """Shape (height, width) or (height, width, samples or channels)."""
        if channel is not None:
            return self._page_array(place, channel)
        n_shown = min(self.n_channels, len(COLOURS))
        if "C" not in self.axes:  # all of them in one page
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
        """What the file has of a plane, and its axes."""
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
        """Numbers, with what the file says of them."""
        photometric = self.page.photometric
        opacity = None
        if self._opacity_at is not None and array.ndim == 3:
            if self._opacity_at < array.shape[2]:
                opacity = as_opacity(array[..., self._opacity_at])
            if not self._has_colours:
                array = array[..., 0]
        if self._has_colours and photometric != _PHOTOMETRIC.RGB:
            other = self._other_colours(array)
            if other is not None:
                return other
        if photometric == _PHOTOMETRIC.PALETTE and self.page.colormap is not None:
            numbers = array if array.ndim == 2 else array[..., 0]
            return Image.fromarray((self.page.colormap.T[numbers] >> 8).astype("u1"))
        no_data = self.page.tags.valueof(_NO_DATA)
        return Values(
            array[..., :3] if self._has_colours else array,
            is_colour=self._has_colours,
            declared=self._declared(channel),
            full=_bit_range(self.page),
            inverted=photometric == _PHOTOMETRIC.MINISWHITE,
            missing=_number(no_data),
            opacity=opacity,
            colours=self._channel_colours(),
            profile=self.page.tags.valueof(_PROFILE),
        )

    def _other_colours(self, array: np.ndarray) -> Image.Image | None:
        """CMYK and Lab; None for what was made RGB while it was decoded."""
        names = {_PHOTOMETRIC.SEPARATED: "CMYK", _PHOTOMETRIC.CIELAB: "LAB"}
        mode = names.get(self.page.photometric)
        if mode is None:
            return None
        n_bands = len(mode)
        if array.shape[2] < n_bands or array.dtype.kind != "u":
            raise NotImplementedError(f"{mode} of {array.shape[2]} x {array.dtype}")
        array = array[..., :n_bands] >> 8 * (array.dtype.itemsize - 1)
        array = array.astype(np.uint8)
        if mode == "LAB":  # a and b are signed
            array = array ^ np.array([0, 128, 128], np.uint8)
        bands = (np.ascontiguousarray(array[..., i]) for i in range(n_bands))
        return Image.merge(mode, [Image.fromarray(band) for band in bands])

    # What the file says of the numbers ---------------------------------------------

    def _declared(self, channel: int | None) -> list[Range | None]:
        shown = range(self.n_channels) if channel is None else (channel,)
        by_imagej = _imagej_ranges(self._tiff)
        if by_imagej:
            return [by_imagej[index % len(by_imagej)] for index in shown]
        bits = _bit_range(self.page)
        return [bits or self._tagged(index) for index in shown]

    def _tagged(self, channel: int) -> Range | None:
        for tags in _RANGE_TAGS:
            ends = [self.page.tags.valueof(tag) for tag in tags]
            ends = [e[channel % len(e)] if isinstance(e, tuple) else e for e in ends]
            low, high = (_number(end) for end in ends)
            low = low or 0.0
            if high is not None and high > low and not self._is_type_range(low, high):
                return low, high
        return None

    def _is_type_range(self, low: float, high: float) -> bool:
        """Programs that know nothing of the range write that of the type."""
        dtype = self.page.dtype
        if dtype is None or dtype.kind not in "iu":
            return False
        limits = np.iinfo(dtype)
        return low <= max(0, limits.min) and high >= limits.max

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
        """Those that the file names for its channels, if it names several."""
        if not self.is_composed:
            return ()
        colours = [channel.colour for channel in self._described_channels]
        colours = colours or _imagej_colours(self._tiff)
        known = [colour for colour in colours if colour]
        if len(known) < self.n_channels or len(set(known)) == 1:
            return ()
        return tuple(known)


def _bit_range(page) -> Range | None:
    """Of a number of bits that no type of numbers has."""
    bits = page.bitspersample
    if isinstance(bits, int) and bits % 8 and page.sampleformat in (None, _UNSIGNED):
        return 0, 2**bits - 1
    return None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _imagej(tiff) -> dict:
    return (tiff.imagej_metadata or {}) if tiff.is_imagej else {}


def _imagej_ranges(tiff) -> list[Range]:
    """The display ranges of ImageJ's channels."""
    known = _imagej(tiff)
    ends = known.get("Ranges") or (known.get("min"), known.get("max"))
    numbers = [_number(end) for end in ends]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=False))
    if not pairs or any(None in pair or not pair[0] < pair[1] for pair in pairs):
        return []
    return pairs


def _imagej_colours(tiff) -> list[tuple[int, int, int]]:
    """The brightest colour of each channel's table."""
    tables = _imagej(tiff).get("LUTs") or ()
    return [tuple(int(part) for part in np.asarray(t)[:, -1]) for t in tables]
