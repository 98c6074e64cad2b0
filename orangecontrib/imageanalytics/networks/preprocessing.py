"""Prepare images like those that a network was trained on."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from orangecontrib.imageanalytics.networks.resampling import scaled_window

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

# Increase this whenever the code below or the code that decodes images changes its
# results: it is part of the key under which vectors are cached.
VERSION = 2

# Images that are longer are cut before they are scaled.
MOST_TIMES_LONGER = 20
FITS = ("crop", "stretch", "pad")


class Placement(NamedTuple):
    """How an image is placed in the square.

    Attributes
    ----------
    scaled : (int, int)
        Width and height to which the image is scaled.
    window : (int, int, int, int)
        Left, top, right and bottom of the visible part of the scaled image.
    corner : (int, int)
        Left and top of that part in the square.
    """

    scaled: tuple[int, int]
    window: tuple[int, int, int, int]
    corner: tuple[int, int]


@dataclass(frozen=True)
class Preprocessing:
    """What a checkpoint expects of its input.

    Attributes
    ----------
    size : int
        Side of the square that the network sees, in pixels.
    resize : int or None
        Length to which the shorter side is scaled before the centre is cut out, or
        both sides if images are stretched. None for the size of the square.
    mean, std : tuple of float
        One number per channel, on the scale 0 to 255: ``(value - mean) / std``.
    interpolation : {"bilinear", "bicubic"}
        Always with antialiasing.
    channels : {"RGB", "BGR"}
        The order in which the network takes them, and that of `mean` and `std`.
    fit : {"crop", "stretch", "pad"}
        How an image fits into the square: its middle is cut out, it is stretched
        to the square, or it is scaled to fit inside and the rest is filled with the
        mean, which the network sees as zeros.
    """

    size: int
    resize: int | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    channels: str = "RGB"
    fit: str = "crop"

    def __post_init__(self):
        # Orange hashes everything that columns know, and lists cannot be hashed.
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @classmethod
    def from_torchvision(cls, transforms) -> Preprocessing:
        """The same from the transforms of a torchvision weights entry.

        Parameters
        ----------
        transforms : torchvision.transforms._presets.ImageClassification
            ``weights.transforms()``.
        """
        return cls(
            size=transforms.crop_size[0],
            resize=transforms.resize_size[0],
            mean=tuple(255 * value for value in transforms.mean),
            std=tuple(255 * value for value in transforms.std),
            interpolation=transforms.interpolation.value,
        )

    def fitted(self, fit: str | None) -> Preprocessing:
        """The same with another fit; None changes nothing."""
        if fit in (None, self.fit):
            return self
        # A user who chooses to stretch or pad wants the rim of the image, too.
        resize = self.resize if fit == "crop" else None
        return dataclasses.replace(self, fit=fit, resize=resize)

    @property
    def decode_size(self) -> tuple[int, int]:
        """The least width and height, in pixels, to which decoding may scale.

        They are twice the size needed. For photos, the detail that a JPEG decoder
        loses by scaling to them hardly changes the vectors (cosine similarity at
        least 0.999). For patterns as fine as the pixels, it does.
        """
        side = 2 * (self.resize or self.size)
        return side, side

    def square(self, image: Image) -> np.ndarray:
        """Scale and cut an image.

        Parameters
        ----------
        image : PIL.Image.Image
            Mode RGB.

        Returns
        -------
        numpy.ndarray
            uint8, shape (size, size, 3), channels in the order RGB.
        """
        if self.fit == "crop":
            image = _middle(image)
        scaled, window, (left, top) = self.placement(*image.size)
        seen = scaled_window(image, scaled, window, self.interpolation)
        height, width, _ = seen.shape
        if width == height == self.size:
            return seen
        square = np.empty((self.size, self.size, 3), np.uint8)
        square[:] = self.filling
        square[top : top + height, left : left + width] = seen
        return square

    def placement(self, width: int, height: int) -> Placement:
        """The placement of an image of a given width and height."""
        scaled = self._scaled_size(width, height)
        if self.fit == "pad":
            left, top = ((self.size - side) // 2 for side in scaled)
            return Placement(scaled, (0, 0, *scaled), (left, top))
        # As torchvision rounds.
        left, top = (round((side - self.size) / 2) for side in scaled)
        window = left, top, left + self.size, top + self.size
        return Placement(scaled, window, (0, 0))

    def edges(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The edges of the square in an image of a given width and height.

        Returns
        -------
        tuple of float
            Left, top, right and bottom, as fractions of the width and height of the
            image. Below 0 and above 1 in the margins of a padded image.
        """
        sides, edges = (width, height), []
        corner, middle = (0, 0), sides
        if self.fit == "crop":
            left, top, right, bottom = _middle_box(width, height)
            corner, middle = (left, top), (right - left, bottom - top)
        scaled, window, place = self.placement(*middle)
        for axis in range(2):
            start = (window[axis] - place[axis]) * middle[axis] / scaled[axis]
            length = self.size * middle[axis] / scaled[axis]
            start += corner[axis]
            edges.append((start / sides[axis], (start + length) / sides[axis]))
        (left, right), (top, bottom) = edges
        return left, top, right, bottom

    @property
    def filling(self) -> tuple[int, ...]:
        """The color around a padded image, channels in the order RGB."""
        mean = self.mean if self.channels == "RGB" else self.mean[::-1]
        return tuple(round(value) for value in mean)

    def _scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height to which an image is scaled."""
        side = self.resize or self.size
        if self.fit == "stretch":
            return side, side
        if self.fit == "pad":
            scale = self.size / max(width, height)
            return max(1, round(scale * width)), max(1, round(scale * height))
        shorter = min(width, height)
        return side * width // shorter, side * height // shorter

    def normalise(self, squares: Tensor) -> Tensor:
        """Convert bytes to the numbers that the network takes.

        Parameters
        ----------
        squares : torch.Tensor
            uint8, shape (n, size, size, 3), RGB.

        Returns
        -------
        torch.Tensor
            float32, shape (n, 3, size, size), same device, channels last in memory.
        """
        import torch

        squares = squares.permute(0, 3, 1, 2)
        if self.channels == "BGR":
            squares = squares.flip(1)
        batch = squares.to(torch.float32, memory_format=torch.channels_last)
        mean, std = (_column(values, batch.device) for values in (self.mean, self.std))
        return batch.sub_(mean).div_(std)


@functools.lru_cache(maxsize=64)
def _column(values: tuple[float, ...], device) -> Tensor:
    """One number a channel; kept, since copies to a GPU wait for all its work."""
    import torch

    return torch.tensor(values, device=device).view(3, 1, 1)


def check_fit(fit: str) -> None:
    """
    Raises
    ------
    ValueError
        When there is no such fit. The message names the existing ones.
    """
    if fit not in FITS:
        raise ValueError(f"'{fit}' is not a fit, should be one of: {', '.join(FITS)}")


def _middle(image: Image) -> Image:
    """The middle of an image that is very much longer than wide.

    The network only sees the middle of an image of 1 x 20000 pixels. Scaling it up as
    a whole would take gigabytes.
    """
    box = _middle_box(*image.size)
    return image if box == (0, 0, *image.size) else image.crop(box)


def _middle_box(width: int, height: int) -> tuple[int, int, int, int]:
    longest = MOST_TIMES_LONGER * min(width, height)
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return left, top, width - left, height - top
