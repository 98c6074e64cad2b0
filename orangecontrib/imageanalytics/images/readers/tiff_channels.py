"""What a TIFF says about its channels: their names, colours and ranges of values."""

from __future__ import annotations

from functools import cached_property

from orangecontrib.imageanalytics.images.intensity import Range
from orangecontrib.imageanalytics.images.readers import imagej, ome
from orangecontrib.imageanalytics.images.readers.tiff_page import (
    bit_range,
    tagged_range,
)


class Channels:
    """
    The channels of an image, as OME, ImageJ and the tags of pages describe them.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    series : tifffile.TiffPageSeries
        The image.
    n_channels : int
    """

    def __init__(self, tiff, series, n_channels: int):
        self._tiff, self._series, self._n_channels = tiff, series, n_channels

    @cached_property
    def _described(self) -> list[ome.Channel]:
        if not self._tiff.is_ome:
            return []
        every = self._tiff.series
        number = next((n for n, s in enumerate(every) if s is self._series), 0)
        return ome.channels(self._tiff.ome_metadata, number)

    @property
    def names(self) -> list[str]:
        """Names of all, if there are several."""
        if self._n_channels == 1:
            return []
        known = [channel.name for channel in self._described[: self._n_channels]]
        known += [""] * (self._n_channels - len(known))
        return [name or f"channel {n}" for n, name in enumerate(known, 1)]

    @property
    def colours(self) -> tuple[tuple[int, int, int], ...]:
        """Their colours as red, green and blue, if there are several."""
        if self._n_channels == 1:
            return ()
        colours = [channel.colour for channel in self._described]
        colours = colours or imagej.colours(self._tiff)
        known = [colour for colour in colours if colour]
        if len(known) < self._n_channels or len(set(known)) == 1:
            return ()
        return tuple(known)

    def ranges(self, page, channel: int | None) -> list[Range | None]:
        """
        The ranges of values that are declared.

        Parameters
        ----------
        page : tifffile.TiffPage
            The page whose tags are used.
        channel : int or None
            From 0; None for all channels.
        """
        shown = range(self._n_channels) if channel is None else (channel,)
        by_imagej = imagej.ranges(self._tiff)
        if by_imagej:
            return [by_imagej[index % len(by_imagej)] for index in shown]
        bits = bit_range(page)
        return [bits or tagged_range(page, index) for index in shown]
