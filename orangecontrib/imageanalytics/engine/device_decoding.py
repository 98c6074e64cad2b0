"""Decode JPEGs on a CUDA device, and scale them to squares there.

This is only done for JPEGs that the device certainly decodes like `images.decode`,
which decodes the others.
"""

from __future__ import annotations

import functools
import io
import itertools
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from orangecontrib.imageanalytics.engine.streams import find_worker
from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.images import colour
from orangecontrib.imageanalytics.images.lazy_image import SIDEWAYS, Size, covers
from orangecontrib.imageanalytics.images.readers.jpeg import read_frame
from orangecontrib.imageanalytics.images.readers.pillow import open_image, orientation
from orangecontrib.imageanalytics.networks.preprocessing import (
    MOST_TIMES_LONGER,
    Preprocessing,
)
from orangecontrib.imageanalytics.networks.resampling import unscaled

log = logging.getLogger(__name__)

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_BASELINE, _PROGRESSIVE = 0xC0, 0xC2
# Horizontal and vertical, of brightness if those of the two colours are 1.
_WHOLE, _HALVED = (1, 1), ((2, 1), (2, 2))
#: An image of more pixels takes hundreds of MB of a device's memory.
MOST_PIXELS = 2**25
#: Of the images that are decoded in one go, unless it is one.
MOST_PIXELS_AT_ONCE = 2**26
# Dimensions to flip for each EXIF orientation, after transposing images that lie on
# their side.
_FLIPS = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}
# Average difference from Pillow, in grey levels, that a decoder may have.
_TOLERANCE = 2
_PROBE_SIZE = (256, 192)
# How the image is stored: the kind of the frame, the mode, and `_sampling`.
Kind = tuple[int, str, tuple[int, int]]


@dataclass(frozen=True)
class Jpeg:
    """A JPEG that a device may decode.

    Attributes
    ----------
    content : bytes
    size : (int, int)
        Width and height in pixels, as stored.
    orientation : int
        The EXIF orientation.
    kind : Kind
    """

    content: bytes
    size: Size
    orientation: int
    kind: Kind


class DeviceDecoder:
    """Decodes JPEGs on a device and scales them there; any thread may call it.

    Parameters
    ----------
    device : torch.device
    preprocessing : Preprocessing

    Attributes
    ----------
    kinds : frozenset of Kind
        The kinds that the device decodes like Pillow.
    """

    def __init__(self, device: torch.device, preprocessing: Preprocessing):
        self.device = device
        self.preprocessing = preprocessing
        self.kinds = _kinds(device)

    def open(self, content: bytes) -> Jpeg | None:
        """Open an image if the device decodes it like `images.decode`.

        Parameters
        ----------
        content : bytes
            Content of any file.

        Returns
        -------
        Jpeg or None
            None unless it is a complete JPEG of 8 bits in grey or in the usual
            colours. Then `images.decode` must decode the content; it also reports
            what may be wrong with it.
        """
        if not (content.startswith(_START) and content.endswith(_END)):
            return None
        try:
            jpeg = _open(content, self.preprocessing.decode_size)
        except Exception:  # of whatever kind, as Pillow raises them
            return None
        return jpeg if jpeg is not None and jpeg.kind in self.kinds else None

    def __call__(self, jpegs: list[Jpeg]) -> list[np.ndarray | None]:
        """Squares of images.

        Parameters
        ----------
        jpegs : list of Jpeg

        Returns
        -------
        list of (numpy.ndarray or None)
            uint8, shape (size, size, 3), RGB; they differ from those of
            `Preprocessing.square` by a grey level or two. None if the device failed.
            They are in the computer's memory, like those of other images: copying is
            quick.
        """
        squares = []
        for group in _groups(jpegs):
            try:
                squares.extend(self._squares(group))
            except Exception as error:  # all fail with one: each is tried alone
                log.debug("%s failed to decode: %s", self.device, error)
                squares.extend(map(self._alone, group) if group[1:] else [None])
        return squares

    def _alone(self, jpeg: Jpeg) -> np.ndarray | None:
        (square,) = self([jpeg])
        return square

    def _squares(self, jpegs: list[Jpeg]) -> np.ndarray:
        worker = find_worker(self.device, "decoding")

        # torchvision decodes for one thread at a time. It puts images into memory
        # which work given to the stream before may still read: there must be none.
        def decode():
            with torch.inference_mode():
                try:
                    images = _decode([jpeg.content for jpeg in jpegs], self.device)
                    squares = list(map(self._square, images, jpegs))
                    return worker.stream.download(torch.stack(squares)).numpy()
                finally:
                    worker.stream.mark().synchronize()

        return worker(decode)

    def _square(self, image: torch.Tensor, jpeg: Jpeg) -> torch.Tensor:
        """As `Preprocessing.square`, of uint8, shape (3, height, width)."""
        if image.shape[1:] != jpeg.size[::-1]:
            raise ValueError(f"an image of {jpeg.size} became {image.shape}")
        if jpeg.orientation in SIDEWAYS:
            image = image.transpose(1, 2)
        image = image.flip(_FLIPS.get(jpeg.orientation, ()))
        expected = self.preprocessing
        scaled, window, (left, top) = expected.placement(*image.shape[:0:-1])
        seen = _scaled_window(image, scaled, window, expected.interpolation)
        height, width, _ = seen.shape
        square = seen.new_empty((expected.size, expected.size, 3))
        for channel, value in enumerate(expected.filling):
            square[..., channel] = value
        square[top : top + height, left : left + width] = seen
        return square


def find_decoder(
    device: torch.device, preprocessing: Preprocessing
) -> DeviceDecoder | None:
    """The decoder of a device, always the same; None if it has none that works."""
    with _finding:
        return _find_decoder(device, preprocessing)


_finding = threading.Lock()


@functools.lru_cache(maxsize=8)
def _find_decoder(device, preprocessing):
    decoder = DeviceDecoder(device, preprocessing)
    return decoder if decoder.kinds else None


@functools.cache
def _kinds(device) -> frozenset[Kind]:
    """The kinds that a device decodes like Pillow; tried on small images."""
    kinds = set()
    for content in _probe_jpegs():
        kind = _open(content, _PROBE_SIZE).kind
        if reason := _fault(content, device):
            log.info("JPEGs %s are decoded by the CPU, as %s %s", kind, device, reason)
        else:
            kinds.add(kind)
    return frozenset(kinds)


def _fault(content, device) -> str | None:
    """What a device does wrong with a JPEG; None if it decodes it like Pillow."""
    expected = np.asarray(open_image(io.BytesIO(content), "JPEG").convert("RGB"))
    try:
        # Two, as they are decoded by several.
        images = torch.stack(_decode([content] * 2, device)).cpu().numpy()
    except Exception as error:  # of whatever kind: torchvision may lack it
        return f"does not: {first_line(error)}"
    differences = np.abs(images.transpose(0, 2, 3, 1) - expected.astype(float))
    difference = differences.mean((1, 2, 3)).max()
    if difference > _TOLERANCE:
        return f"does it wrong: {difference:.1f} grey levels"
    return None


def _probe_jpegs() -> Iterator[bytes]:
    """A JPEG of each kind, with soft colours, since decoders differ at edges."""
    width, height = _PROBE_SIZE
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    colours = Image.fromarray(np.stack([x, y, 255 - x], 2).astype(np.uint8))
    for image, samplings in ((colours, (0, 1, 2)), (colours.convert("L"), (0,))):
        for subsampling, progressive in itertools.product(samplings, (False, True)):
            file = io.BytesIO()
            options = {"progressive": progressive, "subsampling": subsampling}
            image.save(file, "JPEG", quality=90, **options)
            yield file.getvalue()


def _open(content: bytes, decode_size: Size) -> Jpeg | None:
    file = io.BytesIO(content)
    frame = read_frame(file)
    if frame is None or frame.kind not in (_BASELINE, _PROGRESSIVE) or frame.is_rare:
        return None
    width, height = frame.size
    longer, shorter = max(frame.size), min(frame.size)
    if width * height > MOST_PIXELS or longer > MOST_TIMES_LONGER * shorter:
        return None
    image = open_image(file, "JPEG")
    sampling = _sampling(image)
    # Devices repeat the pixels of colours of half the size, Pillow smoothes them. When
    # the image is scaled down to half, that is no longer seen in the vectors (cosine
    # similarity 0.999 and more).
    is_like_pillows = sampling == _WHOLE or (
        sampling in _HALVED and covers(frame.size, decode_size)
    )
    # Files with several images are of another format.
    if image.format != "JPEG" or not is_like_pillows or colour.applies_profile(image):
        return None
    kind = frame.kind, image.mode, sampling
    return Jpeg(content, frame.size, orientation(image), kind)


def _sampling(image) -> tuple[int, int] | None:
    """Pixels of brightness for one of colour, across and down; None if unusual."""
    names, factors = zip(
        *((name, (x, y)) for name, x, y, _ in image.layer), strict=True
    )
    if image.mode == "L":
        return factors[0] if factors == (_WHOLE,) else None
    # Only the marker of Adobe's programs distinguishes RGB from YCbCr.
    are_usual = "jfif" in image.info or names == (1, 2, 3)
    if image.mode != "RGB" or not are_usual or image.info.get("adobe_transform") == 0:
        return None
    return factors[0] if factors[1:] == (_WHOLE, _WHOLE) else None


def _groups(jpegs: list[Jpeg]) -> Iterator[list[Jpeg]]:
    """Groups of images that fit into the memory of the device at once."""
    group, n_pixels = [], 0
    for jpeg in jpegs:
        pixels = jpeg.size[0] * jpeg.size[1]
        if group and n_pixels + pixels > MOST_PIXELS_AT_ONCE:
            yield group
            group, n_pixels = [], 0
        group.append(jpeg)
        n_pixels += pixels
    if group:
        yield group


def _decode(contents: list[bytes], device: torch.device) -> list[torch.Tensor]:
    """Decode images on a device: uint8, shape (3, height, width), RGB."""
    from torchvision.io import ImageReadMode, decode_jpeg

    # Writable copies, without which torch warns.
    tensors = [torch.frombuffer(bytearray(c), dtype=torch.uint8) for c in contents]
    return decode_jpeg(tensors, ImageReadMode.RGB, device=device)


def _scaled_window(
    image: torch.Tensor, size: Size, window: tuple[int, ...], interpolation: str
) -> torch.Tensor:
    """As `resampling.scaled_window`, for a tensor.

    This takes two products of matrices. GPUs compute these fastest in half precision,
    which represents all integers up to 2048.

    Parameters
    ----------
    image : torch.Tensor
        uint8, shape (3, height, width).
    size, window, interpolation
        As for `resampling.scaled_window`.

    Returns
    -------
    torch.Tensor
        uint8, shape (bottom - top, right - left, 3).
    """
    _, height, width = image.shape
    left, top, right, bottom = unscaled(window, size, (width, height))
    options = interpolation, image.device
    across = _weights(width, left, right, window[2] - window[0], *options)
    down = _weights(height, top, bottom, window[3] - window[1], *options)
    narrow = (image.half() @ across.T).clamp_(0, 255)  # as Pillow does in between
    small = (down @ narrow).round_().clamp_(0, 255)
    return small.to(torch.uint8).permute(1, 2, 0)


@functools.lru_cache(maxsize=32)  # most images of a folder have the same few sizes
def _weights(
    length: int, start: float, end: float, n: int, interpolation: str, device
) -> torch.Tensor:
    """The weights of a row's pixels in each of n pixels: float16, shape (n, length)."""
    scale = (end - start) / n
    centres = start + (np.arange(n) + 0.5) * scale
    distances = (np.arange(length) + 0.5 - centres[:, None]) / max(scale, 1)
    weights = _FILTERS[interpolation](np.abs(distances))
    weights /= weights.sum(axis=1, keepdims=True)
    return torch.from_numpy(weights).to(device, torch.float16)


def forget_weights() -> None:
    """Release the memory of the weights that scale images."""
    _weights.cache_clear()


def _bilinear(x: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - x)


def _bicubic(x: np.ndarray) -> np.ndarray:
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


_FILTERS = {"bilinear": _bilinear, "bicubic": _bicubic}
