"""The work of a thread on a batch: read, decode, and run the network."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.engine.digests import Digests, Twins
from orangecontrib.imageanalytics.engine.known_vectors import KnownVectors
from orangecontrib.imageanalytics.engine.runner import Runner, look
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import content_header, decode
from orangecontrib.imageanalytics.images.sources import opened

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.engine.device_decoding import Jpeg

# Bytes that a thread gathers before the device decodes them in one go.
GATHERED_BYTES = 1 << 25


@dataclass
class QueuedImage:
    """One image in progress; there are only a few at a time."""

    index: int
    source: str
    content: bytes | None = None
    digest: bytes | None = None
    same_as_other: bool = False
    jpeg: Jpeg | None = None  # until the device has decoded it
    square: object = None
    vector: np.ndarray | None = None
    cached: bool = False
    precision: str = ""
    reason: str | None = None
    size: tuple[int, int] | None = None
    transient: bool = False

    def fail(self, error: ImageError) -> None:
        """Note why it has no vector."""
        self.reason, self.transient = str(error), error.transient


class BatchEmbedder:
    """Finds the vectors of batches; several threads call it at once.

    Parameters
    ----------
    runner : Runner
    known : KnownVectors
    twins : Twins
        Of equal images, only the first is embedded.
    cancelled : threading.Event
        Stops the work when set.
    with_sizes : bool
        Whether to find the size of each image, in pixels.
    """

    def __init__(
        self,
        runner: Runner,
        known: KnownVectors,
        twins: Twins,
        cancelled: threading.Event,
        with_sizes: bool = False,
    ):
        self._runner, self._known = runner, known
        self._twins, self._cancelled = twins, cancelled
        self._with_sizes = with_sizes
        self._digests = Digests()

    def __call__(self, batch: list[QueuedImage]) -> list[QueuedImage]:
        """Embed a batch; each of its images then has a vector, a reason or a twin.

        Raises
        ------
        Cancelled
            When stopped.
        ModelError, ValueError
            As `Runner`.
        """
        decoder = self._runner.decoder
        gathered = []
        for image in batch:
            look(self._cancelled)
            if image.reason is None:
                self._load(image, decoder)
            if image.jpeg is not None:
                gathered.append(image)
            if sum(len(p.jpeg.content) for p in gathered) > GATHERED_BYTES:
                self._decode_on_device(gathered, decoder)
                gathered = []
        if gathered:
            self._decode_on_device(gathered, decoder)
        self._embed([image for image in batch if image.square is not None])
        return batch

    def _load(self, image, decoder):
        """Make the square, unless its vector is known or an equal image is in work.

        Images for the device to decode are left to `_decode_on_device`.
        """
        with (
            _NotingFailure(image),
            opened(image.source, image.content) as (content, page),
        ):
            image.content = None
            image.digest = self._digests(content, page)
            if not self._twins.claim(image.digest, image.index):
                image.same_as_other = True
                return
            if self._with_sizes:
                header = content_header(content, page)
                image.size = header.width, header.height
            image.vector = self._known.find(image.digest, self._runner.precision)
            if image.vector is not None:
                image.cached = True
                return
            if decoder is not None and page is None:
                image.jpeg = decoder.open(content)
            if image.jpeg is None:
                image.square = self._square(content, page)

    def _square(self, content, page=None):
        runner = self._runner
        preprocessing = runner.preprocessing
        image = decode(content, preprocessing.decode_size, page, runner.intensity)
        return preprocessing.square(image)

    def _decode_on_device(self, images, decoder):
        """Make the squares on the device, or on the CPU if that fails."""
        squares = decoder([image.jpeg for image in images])
        for image, square in zip(images, squares, strict=True):
            content, image.jpeg = image.jpeg.content, None
            with _NotingFailure(image):
                image.square = self._square(content) if square is None else square

    def _embed(self, images):
        look(self._cancelled)  # or the network would be loaded for nobody
        if not images:
            return
        squares = np.stack([image.square for image in images])
        vectors, precision = self._runner(squares, self._cancelled)
        for image, vector in zip(images, vectors, strict=True):
            image.square = None
            image.vector, image.precision = vector, precision


class _NotingFailure:
    """Lets an image fail. With a generator, the error would keep the batch alive."""

    def __init__(self, image):
        self._image = image

    def __enter__(self):
        pass

    def __exit__(self, _kind, error, _traceback):
        if isinstance(error, ImageError):
            self._image.fail(error)
        elif isinstance(error, MemoryError):
            self._image.reason = "too large for this computer's memory"
        else:
            return False
        return True
