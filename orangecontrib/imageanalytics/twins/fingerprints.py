"""What is compared of images: their content, and what they look like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps

from orangecontrib.imageanalytics.engine.device import processors
from orangecontrib.imageanalytics.engine.digests import Digests
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import content_header, decode
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.parallel import read_each
from orangecontrib.imageanalytics.images.sources import opened, stamp

#: Rows and columns of a hash: how many frequencies of the image in each direction.
HASH_SIDE = 16
HASH_BITS = HASH_SIDE**2
#: Pixels for each frequency; the image is scaled to a square of these before.
OVERSAMPLING = 4
_EDGE = HASH_SIDE * OVERSAMPLING
# JPEGs are decoded at a fraction of their size if that leaves as many pixels.
_DECODED = _EDGE, _EDGE
#: Standard deviation of gray, 0 to 255, below which a hash would be that of noise.
LEAST_CONTRAST = 2.0


@dataclass(frozen=True)
class Fingerprint:
    """
    One image.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the file, or of the page of a file.
    size : (int, int)
        Width and height in pixels, as displayed.
    n_bytes : int
        Size of the file; 0 for a page of a larger one.
    bits, mirrored_bits : bytes or None
        The perceptual hash of the image and of its mirror image, `HASH_BITS` bits;
        None if hashes are not asked for, or if the image is of one color.
    """

    digest: bytes
    size: tuple[int, int]
    n_bytes: int
    bits: bytes | None = None
    mirrored_bits: bytes | None = None

    def distance(self, other: Fingerprint) -> float:
        """The share of bits in which the hashes differ, mirrored or not.

        0 for the same content; infinite if there are no hashes.
        """
        if self.digest == other.digest:
            return 0.0
        if self.bits is None or other.bits is None:
            return math.inf
        # Which of the two is mirrored makes a small difference.
        pairs = (
            (self.bits, other.bits),
            (self.mirrored_bits, other.bits),
            (self.bits, other.mirrored_bits),
        )
        return min(_n_differing(*pair) for pair in pairs) / HASH_BITS


def _n_differing(first: bytes, second: bytes) -> int:
    differing = int.from_bytes(first, "big") ^ int.from_bytes(second, "big")
    return differing.bit_count()


@dataclass
class Fingerprints:
    """
    The images of a table.

    Attributes
    ----------
    of_rows : list of (Fingerprint or None)
        One for each source; None if it is missing or cannot be read.
    failures : dict of str to str
        Source of each image that cannot be read, and the reason.
    """

    of_rows: list[Fingerprint | None] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


Known = dict[tuple, Fingerprint]


def read_fingerprints(
    sources: Sequence[str | None],
    with_hash: bool = True,
    intensity: Intensity = AUTOMATIC,
    callback: Callable[[float], None] = lambda fraction: None,
    known: Known | None = None,
) -> Fingerprints:
    """
    Read images in threads.

    Parameters
    ----------
    sources : sequence of (str or None)
        Paths or URLs, None where there is no image.
    with_hash : bool
        Whether to decode the images and hash what they look like.
    intensity : "auto", "full" or (float, float)
        As for `decode`.
    callback : callable
        Called several times a second with the fraction done; an exception that it
        raises stops the work.
    known : dict, optional
        What was read before, also by a call that was stopped. Files that have not
        changed since are not read again, and what is read is added.

    Returns
    -------
    Fingerprints
    """
    digests = Digests()

    def read(source: str, content: bytes | None) -> Fingerprint:
        with opened(source, content) as (readable, page):
            digest = digests(readable, page)
            header = content_header(readable, page)
            n_bytes = len(readable) if isinstance(readable, bytes) else 0
            size = header.width, header.height
            if not with_hash:
                return Fingerprint(digest, size, n_bytes)
            image = decode(readable, _DECODED, page, intensity)
        return Fingerprint(digest, size, n_bytes, *perceptual_hashes(image))

    known = {} if known is None else known
    keys = {}
    for source in dict.fromkeys(sources):
        if source is not None:
            keys[source] = source, stamp(source), with_hash, intensity
            callback(0.0)  # on a network drive, each takes a while
    new = [source for source, key in keys.items() if key not in known]
    results = read_each(
        new, read, processors(), lambda done, total: callback(done / total)
    )
    failures: dict[str, str] = {}
    for source, result in zip(new, results, strict=True):
        if isinstance(result, ImageError):
            failures[source] = str(result)
        else:
            known[keys[source]] = result
    return Fingerprints(
        [None if source is None else known.get(keys[source]) for source in sources],
        failures,
    )


def perceptual_hashes(image: Image.Image) -> tuple[bytes | None, bytes | None]:
    """
    The pHash of an image and of its mirror image.

    A pHash says which of the lowest frequencies of an image are above their median
    [1]_. It hardly changes if the image is scaled, compressed or made brighter.

    Parameters
    ----------
    image : PIL.Image.Image

    Returns
    -------
    bytes or None, bytes or None
        `HASH_BITS` bits each; None for an image without detail, whose hash would be
        that of its noise.

    References
    ----------
    .. [1] Zauner, C. (2010): Implementation and Benchmarking of Perceptual Image Hash
       Functions. Upper Austria University of Applied Sciences.
    """
    import imagehash

    gray = image.convert("L").resize((_EDGE, _EDGE), Image.Resampling.LANCZOS)
    if np.std(np.asarray(gray)) < LEAST_CONTRAST:
        return None, None
    first, second = (
        np.packbits(imagehash.phash(view, HASH_SIDE, OVERSAMPLING).hash).tobytes()
        for view in (gray, ImageOps.mirror(gray))
    )
    return first, second
