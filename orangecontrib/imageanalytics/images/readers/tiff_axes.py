"""The axes of an image in a TIFF: which are planes, which channels, where each is."""

from __future__ import annotations

import math

from orangecontrib.imageanalytics.images.lazy_image import (
    Size,
    plane_number,
    plane_place,
)


class Axes:
    """
    How the numbers of an image are arranged, as tifffile names it.

    Parameters
    ----------
    names : str
        A letter for each axis, such as ``"ZCYX"``. S is that of samples of a pixel.
    shape : tuple of int
    are_colours : bool
        Whether samples are colours; otherwise, they are channels.
    has_opacity : bool
        Whether a sample is the opacity.

    Attributes
    ----------
    names : str
    size : (int, int)
        Width and height.
    planes : list of str
        The axes along which planes are.
    stack : tuple of int
        Numbers of planes on these.
    has_colours : bool
        Whether a pixel has several samples, which are colours.
    n_channels : int
        Red, green and blue count as one.

    Raises
    ------
    NotImplementedError
        There is no width or no height.
    """

    def __init__(
        self, names: str, shape: tuple[int, ...], are_colours: bool, has_opacity: bool
    ):
        if "Y" not in names or "X" not in names:
            raise NotImplementedError(f"axes {names}")
        self.names = names
        self._lengths = dict(zip(names, shape, strict=True))
        self.size: Size = self._lengths["X"], self._lengths["Y"]
        n_samples = self._lengths.get("S", 1)
        self.has_colours = are_colours and n_samples > 1
        self._channels = "" if self.has_colours else "C" if n_samples == 1 else "CS"
        self.planes = [axis for axis in names if axis not in "YXS" + self._channels]
        self.stack = tuple(self._lengths[axis] for axis in self.planes)
        n_channels = math.prod(self._channel_lengths)
        is_one_opacity = has_opacity and not self.has_colours
        self.n_channels = max(1, n_channels - 1) if is_one_opacity else n_channels

    @property
    def _channel_lengths(self) -> tuple[int, ...]:
        return tuple(self._lengths.get(axis, 1) for axis in self._channels)

    @property
    def channels_are_separate(self) -> bool:
        """Whether channels have an axis of their own, not only samples."""
        return "C" in self._lengths and "C" in self._channels

    @property
    def samples_are_channels(self) -> bool:
        """Whether each sample of a pixel is a channel."""
        return "S" in self._channels

    @property
    def n_planes(self) -> int:
        """Number of planes, of all channels each."""
        return math.prod(self.stack)

    def place(self, number: int) -> tuple[int, ...]:
        """Where a plane with a number, from 0, is on each axis of planes."""
        return plane_place(number, self.stack)

    def coordinates(self, place: tuple[int, ...], channel: int) -> dict[str, int]:
        """Where a plane and channel is on each axis other than width and height."""
        found = dict(zip(self.planes, place, strict=True))
        at = plane_place(channel, self._channel_lengths)
        return found | dict(zip(self._channels, at, strict=True))

    def page_number(self, place: tuple[int, ...], channel: int, inner: str) -> int:
        """
        Which page holds a plane and channel, from 0.

        Parameters
        ----------
        place : tuple of int
        channel : int
        inner : str
            The axes within a page.

        Raises
        ------
        NotImplementedError
            These are not the last.
        """
        if not self.names.endswith(inner):
            raise NotImplementedError(f"{inner} in {self.names}")
        outer = self.names[: len(self.names) - len(inner)]
        at = self.coordinates(place, channel)
        where = tuple(at.get(axis, 0) for axis in outer)
        return plane_number(where, tuple(self._lengths[axis] for axis in outer))
