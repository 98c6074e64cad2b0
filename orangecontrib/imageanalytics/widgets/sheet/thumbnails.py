"""Images at the size at which they are shown, loaded in threads.

A `ThumbnailLoader` lives in the GUI thread. Each request replaces the one before;
threads read, fetch and decode the requested images, and others are dropped. The GUI
thread itself never accesses files, the network or pixels.
"""

import math
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from AnyQt.QtCore import QObject, QTimer
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QImage
from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import content_header, decode
from orangecontrib.imageanalytics.images.fitted import fitted_size
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.sources import (
    is_remote,
    opened,
    split_page,
    stamp,
)
from orangecontrib.imageanalytics.widgets.sheet.mosaic import tile_of
from orangecontrib.imageanalytics.widgets.utils.jobs import Downloads, Job, Workers

CACHE_BYTES = 256 * 2**20
#: Images at full size are shrunk to this, which is 256 MB in memory.
MAX_SHOWN_PIXELS = 64 * 2**20
# Python code in the GUI thread waits while this much is copied: about 1 ms.
STRIP_BYTES = 2**20
ENTRY_BYTES = 2400  # what all but the pixels take
COLLECT_MS = 25
DECODERS = max(2, min(4, os.cpu_count() or 2))
DOWNLOADERS = 8

Box = tuple[int, int] | None
Stamp = tuple[int, int] | None


@dataclass(frozen=True)
class Thumbnail:
    """
    An image made ready to be painted, or why there is none.

    Attributes
    ----------
    source : str
        Path or URL.
    box : (int, int) or None
        Width and height, in device pixels, that the image was fitted to; None
        is its full size.
    image : QImage or None
        Pixels, in format RGB32; None if the image cannot be read.
    size : (int, int) or None
        Width and height of the whole image, as displayed.
    error : str
        Why the image cannot be read; otherwise empty.
    stamp : (int, int) or None
        Size and time of change of the file; None if it is not a file.
    tile : numpy.ndarray or None
        The image for a mosaic, see `tile_of`.
    """

    source: str
    box: Box
    image: QImage | None = None
    size: tuple[int, int] | None = None
    error: str = ""
    stamp: Stamp = None
    tile: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def n_bytes(self) -> int:
        """Memory that the thumbnail takes."""
        return ENTRY_BYTES + (self.image.sizeInBytes() if self.image is not None else 0)

    def suits(self, box: Box) -> bool:
        """Whether loading it again for `box` would give the same."""
        return bool(self.error) or self.box == box


def fitted(size: tuple[int, int], box: Box) -> tuple[int, int]:
    """
    Size of an image that is made as large as fits into a box.

    Parameters
    ----------
    size : (int, int)
        Width and height of the image.
    box : (int, int) or None
        Width and height of the box. None is the image's own size, as far as
        `MAX_SHOWN_PIXELS` allow.

    Returns
    -------
    (int, int)
        Width and height, at least 1.
    """
    if box is not None:
        return fitted_size(size, box)
    width, height = size
    scale = min(1.0, math.sqrt(MAX_SHOWN_PIXELS / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def to_qimage(pillow_image: Image.Image) -> QImage:
    """
    Copy an image into a QImage, in steps that let other threads run.

    Parameters
    ----------
    pillow_image : PIL.Image.Image
        Image in mode RGB.

    Returns
    -------
    QImage
        In format RGB32.

    Raises
    ------
    ImageError
        There is not enough memory.
    """
    width, height = pillow_image.size
    image = QImage(width, height, QImage.Format.Format_RGB32)
    if image.isNull():
        raise ImageError("not enough memory to show it")
    bits = image.bits()
    if hasattr(bits, "setsize"):  # PyQt's pointer; PySide gives a memoryview
        bits.setsize(image.sizeInBytes())
    pixels, stride = memoryview(bits), image.bytesPerLine()
    n_rows = max(1, STRIP_BYTES // stride)
    for top in range(0, height, n_rows):
        bottom = min(top + n_rows, height)
        strip = pillow_image.crop((0, top, width, bottom)).convert("RGBA")
        pixels[top * stride : bottom * stride] = strip.tobytes("raw", "BGRA")
    return image


def render(
    source: str, content: bytes | None, box: Box, intensity: Intensity = AUTOMATIC
) -> Thumbnail:
    """
    Decode an image and fit it into a box.

    Parameters
    ----------
    source : str
        Where it is from.
    content : bytes or None
        Content of the file, if it was read already.
    box : (int, int) or None
        Width and height in device pixels; None for the full size.
    intensity : "auto", "full" or (float, float)
        As for `decode`.

    Returns
    -------
    Thumbnail

    Raises
    ------
    ImageError
        It cannot be read or decoded.
    """
    with opened(source, content) as (readable, page):
        header = content_header(readable, page)
        size = header.width, header.height
        target = fitted(size, box)
        image = decode(readable, target, page, intensity)
    if image.size != target:
        method = Image.Resampling.LANCZOS
        image = image.resize(target, method, reducing_gap=3.0)
    return Thumbnail(source, box, to_qimage(image), size, tile=tile_of(image))


class _Work:
    """The work of the threads, without the loader, which may be gone."""

    def __init__(self):
        self.results: deque[Thumbnail] = deque()
        self.downloads = Downloads()
        self._decoders = threading.BoundedSemaphore(DECODERS)

    def __call__(self, job: Job) -> None:
        changed = content = None
        try:
            if is_remote(job.source):
                address, _ = split_page(job.source)
                content = self.downloads.fetch(address, job.cancelled)
            else:
                changed = stamp(job.source)
                if self._unchanged(job, changed):
                    self.results.append(job.known)
                    return
            with self._decoders:
                if job.cancelled.is_set():
                    return
                thumbnail = render(job.source, content, job.box, job.intensity)
                result = replace(thumbnail, stamp=changed)
        except ImageError as error:
            result = Thumbnail(job.source, job.box, error=str(error), stamp=changed)
        except MemoryError:
            result = Thumbnail(job.source, job.box, error="not enough memory")
        if not job.cancelled.is_set():
            self.results.append(result)

    def fail(self, job: Job, error: Exception) -> None:
        reason = f"unexpected error ({type(error).__name__})"
        self.results.append(Thumbnail(job.source, job.box, error=reason))

    @staticmethod
    def _unchanged(job: Job, changed: Stamp) -> bool:
        known = job.known
        return (
            known is not None
            and changed is not None
            and known.image is not None
            and (known.box, known.stamp) == (job.box, changed)
        )


class ThumbnailCache:
    """
    Thumbnails by source, of bounded size; the least recently used go first.

    Parameters
    ----------
    max_bytes : int
        Largest size of all together. The one put in last is always kept.
    """

    def __init__(self, max_bytes: int):
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, Thumbnail] = OrderedDict()
        self.n_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def capacity(self, box: tuple[int, int]) -> int:
        """How many thumbnails fit that are as large as a box; at least 1."""
        width, height = box
        return max(1, self._max_bytes // (ENTRY_BYTES + 4 * width * height))

    def get(self, source: str) -> Thumbnail | None:
        """A thumbnail, of whatever size it was last loaded in."""
        entry = self._entries.get(source)
        if entry is not None:
            self._entries.move_to_end(source)
        return entry

    def put(self, entry: Thumbnail) -> None:
        """Add a thumbnail in place of the one from the same source."""
        old = self._entries.pop(entry.source, None)
        self.n_bytes += entry.n_bytes - (old.n_bytes if old is not None else 0)
        self._entries[entry.source] = entry
        while self.n_bytes > self._max_bytes and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            self.n_bytes -= oldest.n_bytes

    def clear(self) -> None:
        """Drop all thumbnails."""
        self._entries.clear()
        self.n_bytes = 0


class ThumbnailLoader(QObject):
    """
    Loads the images that are wanted now, the first ones first.

    Parameters
    ----------
    parent : QObject, optional
        Owner.
    cache_bytes : int
        Memory for thumbnails.
    """

    #: Thumbnails that have come in, as a list.
    loaded = Signal(list)
    #: Everything that was requested has come in, or was there already.
    finished = Signal()

    def __init__(self, parent: QObject | None = None, cache_bytes: int = CACHE_BYTES):
        super().__init__(parent)
        self.cache = ThumbnailCache(cache_bytes)
        self.intensity: Intensity = AUTOMATIC
        self._work = _Work()
        self._local = Workers(DECODERS, self._work)
        self._remote = Workers(DOWNLOADERS, self._work)
        # What is not in here may have changed since it was loaded.
        self._checked: set[str] = set()
        # Signals sent from the threads could reach a loader that is being deleted.
        self._collector = QTimer(self, interval=COLLECT_MS)
        self._collector.timeout.connect(self._collect)

    def get(self, source: str) -> Thumbnail | None:
        """The thumbnail of an image, if there is one; never loads it."""
        return self.cache.get(source)

    def is_current(self, source: str, box: Box) -> bool:
        """Whether a request for an image would load nothing."""
        known = self.cache.get(source)
        return known is not None and known.suits(box) and source in self._checked

    def request(self, sources: Iterable[str], box: Box) -> None:
        """
        Load these images and no others.

        Parameters
        ----------
        sources : iterable of str
            Paths and URLs, the most urgent first.
        box : (int, int) or None
            Width and height in device pixels to fit them to; None for full size.
        """
        local, remote = [], []
        for source in dict.fromkeys(sources):
            if not self.is_current(source, box):
                jobs = remote if is_remote(source) else local
                jobs.append(Job(source, box, self.cache.get(source), self.intensity))
        self._local.replace(local)
        self._remote.replace(remote)
        self._collector.start()

    def set_intensity(self, intensity: Intensity) -> None:
        """Show images of more than 8 bits in another way from now on."""
        if intensity != self.intensity:
            self.clear()
            self.intensity = intensity

    def refresh(self) -> None:
        """
        Load images that failed or have changed again when they are requested.

        What is being loaded is dropped: it may have been read before the change.
        """
        self._drop_work()
        self._checked.clear()
        self._work.downloads.renew()

    def clear(self) -> None:
        """Drop all thumbnails and all work."""
        self._drop_work()
        self.cache.clear()

    def _drop_work(self) -> None:
        self.request((), None)
        self._work.results.clear()

    @property
    def idle(self) -> bool:
        """Whether everything that was requested has come in."""
        return not self._collector.isActive()

    def close(self) -> None:
        """Drop all work; to be called before the loader is deleted."""
        self._collector.stop()
        self._work.downloads.renew()
        self._local.close()
        self._remote.close()

    def _collect(self) -> None:
        done = self._local.idle and self._remote.idle
        results = self._work.results
        thumbnails = [results.popleft() for _ in range(len(results))]
        for thumbnail in thumbnails:
            self._checked.add(thumbnail.source)
            self.cache.put(thumbnail)
        if done:
            self._collector.stop()
        if thumbnails:
            self.loaded.emit(thumbnails)
        # More may have been requested meanwhile.
        if done and self.idle:
            self.finished.emit()
