"""The numbers of a TIFF's planes, wherever in the file they are."""

from __future__ import annotations

import contextlib
import math

import numpy as np

from orangecontrib.imageanalytics.images.intensity import COLOURS
from orangecontrib.imageanalytics.images.lazy_image import check_size
from orangecontrib.imageanalytics.images.readers.tiff_axes import Axes

_MAX_WHOLE_BYTES = 2**31


class Planes:
    """
    The planes of one image, or of a smaller version of it.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    series : tifffile.TiffPageSeries
    axes : Axes
        Its axes.
    """

    def __init__(self, tiff, series, axes: Axes):
        self._tiff, self._series, self._axes = tiff, series, axes
        self._page = series.keyframe

    def page(self, place: tuple[int, ...], channel: int = 0):
        """The page with a plane and channel."""
        if self._series.is_truncated:
            return self._page
        page = self._series.pages[self._page_number(place, channel)]
        return self._page if page is None else page

    def array(self, place: tuple[int, ...], channel: int | None = None) -> np.ndarray:
        """
        The numbers of a plane.

        Parameters
        ----------
        place : tuple of int
            Where it is on each axis of planes.
        channel : int, optional
            By default all that are shown.

        Returns
        -------
        numpy.ndarray
            Shape (height, width) or (height, width, samples or channels).

        Raises
        ------
        NotImplementedError, ValueError
            tifffile does not read it.
        """
        if channel is not None:
            return self._page_array(place, channel)
        n_channels = self._axes.n_channels
        n_shown = min(n_channels, len(COLOURS))
        if not self._axes.channels_are_separate:  # all in one page
            array = self._page_array(place, None)
            return array[..., :n_shown] if n_channels > 1 else array
        if n_channels == 1:
            return self._page_array(place, 0)
        arrays = [self._page_array(place, index) for index in range(n_shown)]
        return np.stack(arrays, axis=-1)

    def is_blank(self, place: tuple[int, ...]) -> bool:
        """Whether all numbers of a plane are the same; False if it cannot be read."""
        with contextlib.suppress(Exception):  # which shows when it is read
            array = self.array(place)
            return bool((array == array.flat[0]).all())
        return False

    def brightness(self, place: tuple[int, ...]) -> float:
        """The mean of a plane's numbers without their signs; 0 if it cannot be read."""
        with contextlib.suppress(Exception):
            return float(np.nan_to_num(np.abs(self.array(place))).mean())
        return 0.0

    def _page_number(self, place, channel: int) -> int:
        return self._axes.page_number(place, channel, self._page.axes)

    def _page_array(self, place, channel: int | None) -> np.ndarray:
        check_size(*self._axes.size, "TIFF")
        array, axes = self._stored(place, channel or 0)
        if not array.size:  # as tifffile reads a page of no data type
            raise ValueError(array.shape)
        at = self._axes.coordinates(place, channel or 0)
        for axis in set(axes) - set("YXS"):
            array = array.take(at.get(axis, 0), axis=axes.index(axis))
            axes = axes.replace(axis, "")
        if "S" in axes:
            array = np.moveaxis(array, axes.index("S"), -1)
            axes = axes.replace("S", "")
            if self._axes.samples_are_channels and channel is not None:
                array = array[..., at["S"]]
        return array if axes == "YX" else np.swapaxes(array, 0, 1)

    def _stored(self, place, channel: int) -> tuple[np.ndarray, str]:
        """The array that contains a plane, and its axes."""
        try:
            number = self._page_number(place, channel)
        except NotImplementedError:
            if self._series.nbytes > _MAX_WHOLE_BYTES:
                raise
            return self._series.asarray(), self._axes.names
        page = self._page
        if self._series.is_truncated:  # ImageJ's way with large stacks
            n_numbers = math.prod(page.shape)
            start = self._series.dataoffset + number * n_numbers * page.dtype.itemsize
            dtype = page.dtype.newbyteorder(self._tiff.byteorder)
            array = self._tiff.filehandle.read_array(dtype, n_numbers, start)
            return array.reshape(page.shape), page.axes
        found = self._series.pages[number]
        if found is None:  # a plane that the microscope has left out
            return np.zeros(page.shape, page.dtype), page.axes
        return found.asarray(), page.axes
