"""Convert image files to another format or size."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image, ImageOps

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import (
    MAX_PIXELS,
    Header,
    content_header,
    decode,
)
from orangecontrib.imageanalytics.images.fitted import fitted_size
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity

FITS = ("keep", "stretch", "crop")

MAX_ICON = 256  # pixels


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    id : str
        Its name in settings and scripts.
    name : str
        Its name as shown to users.
    pillow : str
        Its name in Pillow.
    extension : str
    lossy : bool
        Whether there is a quality to choose.
    max_side : int or None
        The largest width and height, in pixels.
    """

    id: str
    name: str
    pillow: str
    extension: str
    lossy: bool = False
    max_side: int | None = None


FORMATS = (
    Format("jpeg", "JPEG", "JPEG", ".jpg", lossy=True, max_side=65500),
    Format("png", "PNG", "PNG", ".png"),
    Format("tiff", "TIFF", "TIFF", ".tiff"),
    Format("webp", "WebP", "WEBP", ".webp", lossy=True, max_side=16383),
    Format("bmp", "BMP", "BMP", ".bmp"),
    Format("gif", "GIF", "GIF", ".gif", max_side=65535),
    Format("pdf", "PDF", "PDF", ".pdf", lossy=True, max_side=65500),
    Format("ico", "ICO", "ICO", ".ico"),
)
_PROFILED = ("jpeg", "png", "tiff", "webp")


def find_format(format: str) -> Format:
    """The entry of a format.

    Raises
    ------
    ValueError
        If there is no such format; the message lists the formats.
    """
    for known in FORMATS:
        if known.id == format:
            return known
    names = ", ".join(known.id for known in FORMATS)
    raise ValueError(f"'{format}' is not a format, should be one of: {names}")


@dataclass(frozen=True)
class Encoding:
    """How to make a file of an image.

    Parameters
    ----------
    format : str
        One of `FORMATS`.
    quality : int
        1 to 100, for JPEG, WebP and PDF.
    size : (int, int) or None
        Width and height, in pixels, to scale to; small images are enlarged.
    fit : {"keep", "stretch", "crop"}
        Keep the proportions and scale to fit within the size, stretch to the size,
        or fill the size and crop the rest.
    intensity : "auto", "full" or (float, float)
        Intensity range for images of more than 8 bits, as in `decode`.

    Raises
    ------
    ValueError
        If a value is not one of these.
    """

    format: str = "png"
    quality: int = 90
    size: tuple[int, int] | None = None
    fit: str = "keep"
    intensity: Intensity = AUTOMATIC

    def __post_init__(self):
        find_format(self.format)
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality {self.quality} is not between 1 and 100")
        if self.fit not in FITS:
            raise ValueError(f"'{self.fit}' should be one of: {', '.join(FITS)}")
        if self.size is not None:
            width, height = self.size
            if min(self.size) < 1 or width * height > MAX_PIXELS:
                raise ValueError(f"images cannot be of {width} x {height} pixels")

    def __call__(self, content: bytes | BinaryIO, page: int | None = None) -> bytes:
        """Make the new file.

        Parameters
        ----------
        content : bytes or binary file object
            An image file of any format that `decode` reads.
        page : int, optional
            The page to take, from 1.

        Returns
        -------
        bytes
            `content` itself if it already has the format and size, and all programs
            show it as `decode` does. Otherwise, the image as `decode` returns it:
            upright, in RGB, on white. A colour profile is kept unless it was applied;
            other metadata, such as where a photo was taken, is not.

        Raises
        ------
        ImageError
            The image cannot be read or does not fit into the format.
        """
        header = content_header(content, page)
        size = self._new_size(header.width, header.height)
        if size == (header.width, header.height) and self._is_kept(header, content):
            return content
        self._check(size)
        enough = 2 * size[0], 2 * size[1]
        image = decode(content, enough, page, self.intensity)
        profile = image.info.get("icc_profile")
        # Pillow would write metadata that are no longer true.
        image.info = {}
        return self._encode(self._scale(image, size), profile)

    def _is_kept(self, header: Header, content: bytes | BinaryIO) -> bool:
        is_shown_so = header.is_plain and isinstance(self.intensity, str)
        return (
            is_shown_so
            and isinstance(content, bytes)
            and self._is_format(header.format)
        )

    def _is_format(self, name: str) -> bool:
        # Some phones write several JPEGs into one file, which also reads as one.
        return find_format(self.format).pillow == {"MPO": "JPEG"}.get(name, name)

    def _new_size(self, width: int, height: int) -> tuple[int, int]:
        if self.size is None:
            return width, height
        if self.fit != "keep":
            return self.size
        return fitted_size((width, height), self.size)

    def _check(self, size: tuple[int, int]):
        format = find_format(self.format)
        if format.max_side and max(size) > format.max_side:
            raise ImageError(
                f"{format.name} holds at most {format.max_side:,} pixels a side"
            )

    def _scale(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        # Drawings may already have this size.
        if image.size == size:
            return image
        if self.fit == "crop":
            return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        return image.resize(size, Image.Resampling.LANCZOS)

    def _encode(self, image: Image.Image, profile: bytes | None) -> bytes:
        format = find_format(self.format)
        options = {"quality": self.quality} if format.lossy else {}
        # Profiles of CMYK or grey images do not fit RGB.
        if profile and profile[16:20] == b"RGB " and format.id in _PROFILED:
            options["icc_profile"] = profile
        if format.id == "tiff":
            options["compression"] = "tiff_lzw"
        if format.id == "ico":
            image.thumbnail((MAX_ICON, MAX_ICON), Image.Resampling.LANCZOS)
            options["sizes"] = [image.size]
        buffer = BytesIO()
        try:
            image.save(buffer, format.pillow, **options)
        except MemoryError as error:
            raise ImageError("not enough memory") from error
        except Exception as error:
            # Encoders raise all kinds of errors.
            raise ImageError(f"cannot be made a {format.name} ({error})") from error
        return buffer.getvalue()
