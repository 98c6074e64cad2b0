"""Parts of large images in their real pixels, cut out in a thread.

An image of 100 million pixels takes 400 MB; a second copy for the screen would be as
large. So the decoded image stays where it is, and what is in sight is cut out of it.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from AnyQt.QtCore import QObject, QRect
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QImage
from PIL import Image

from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.lazy_image import MAX_PIXELS
from orangecontrib.imageanalytics.images.sources import is_remote, opened, split_page
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import to_qimage
from orangecontrib.imageanalytics.widgets.utils.background import Background


class DecodedImages:
    """
    Decoded images of bounded size; the least recently used go first.

    Threads may share it; they decode one image at a time, since each may be large.

    Parameters
    ----------
    max_pixels : int
        The most pixels of all together, of 4 bytes. The last image is always kept.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS):
        self._max_pixels = max_pixels
        self._images: OrderedDict[tuple[str, Intensity], Image.Image] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, source: str, intensity: Intensity) -> Image.Image:
        """
        Parameters
        ----------
        source : str
            Path or URL.
        intensity : "auto", "full" or (float, float)
            As for `decode`.

        Returns
        -------
        PIL.Image.Image
            The whole image in mode RGB; not to be changed.

        Raises
        ------
        ImageError
            It cannot be read or decoded.
        """
        key = source, intensity
        with self._lock:
            images = self._images
            if key not in images:
                images[key] = _decoded(source, intensity)
            images.move_to_end(key)
            while len(images) > 1 and _n_pixels(images.values()) > self._max_pixels:
                images.popitem(last=False)
            return images[key]

    def clear(self) -> None:
        """Drop all images."""
        # Without the lock: the caller would wait for an image being decoded.
        self._images = OrderedDict()


def _n_pixels(images: Iterable[Image.Image]) -> int:
    return sum(image.width * image.height for image in images)


def _decoded(source: str, intensity: Intensity) -> Image.Image:
    content = None
    if is_remote(source):
        with Fetcher() as fetcher:
            content = fetcher.fetch(split_page(source)[0])
    with opened(source, content) as (readable, page):
        return decode(readable, None, page, intensity)


@dataclass(frozen=True)
class Region:
    """
    A part of an image.

    Attributes
    ----------
    source : str
        Path or URL of the image.
    rect : QRect
        Which part, in pixels of the image.
    scale : float
        Pixels of the part for one of the image's; at most 1.
    intensity : "auto", "full" or (float, float)
        As for `decode`.
    image : QImage or None
        The part, once it was cut out.
    """

    source: str
    rect: QRect
    scale: float
    intensity: Intensity = AUTOMATIC
    image: QImage | None = None

    def covers(self, other: "Region") -> bool:
        """Whether it shows all that another one does, as sharp."""
        return (
            (self.source, self.intensity) == (other.source, other.intensity)
            and self.rect.contains(other.rect)
            and self.scale >= other.scale
        )


class RegionLoader(QObject):
    """
    Cuts parts out of images; the last one asked for counts.

    Parameters
    ----------
    parent : QObject
    images : DecodedImages, optional
        Where the decoded images are kept; several loaders may share it.
    """

    #: The `region` asked for is there.
    loaded = Signal()

    def __init__(self, parent: QObject, images: DecodedImages | None = None):
        super().__init__(parent)
        self._images = images or DecodedImages()
        self._background = Background(self, self._on_done, lambda error: None)
        self._wanted: Region | None = None
        #: The last part that was cut out, or None.
        self.region: Region | None = None

    @property
    def idle(self) -> bool:
        """Whether what was asked for is there or cannot be had."""
        return not self._background.busy

    def request(self, wanted: Region) -> None:
        """Cut a part out of an image, unless it is there."""
        known = self._wanted if self._background.busy else self.region
        if known is None or not known.covers(wanted):
            self._wanted = wanted
            self._background.start(_cut, self._images, wanted)

    def clear(self) -> None:
        """Drop the part, the decoded images, and what is still to be done."""
        self._background.cancel()
        self._wanted = self.region = None
        self._images.clear()

    def _on_done(self, region: Region) -> None:
        self.region = region
        self.loaded.emit()


def _cut(images: DecodedImages, wanted: Region) -> Region:
    image, rect = images.get(wanted.source, wanted.intensity), wanted.rect
    box = (
        max(0, rect.left()),
        max(0, rect.top()),
        min(image.width, rect.left() + rect.width()),
        min(image.height, rect.top() + rect.height()),
    )
    rect = QRect(box[0], box[1], box[2] - box[0], box[3] - box[1])
    if wanted.scale >= 1:
        part, scale = image.crop(box), 1.0
    else:
        scale = wanted.scale
        size = max(1, round(rect.width() * scale)), max(1, round(rect.height() * scale))
        part = image.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return Region(wanted.source, rect, scale, wanted.intensity, to_qimage(part))
