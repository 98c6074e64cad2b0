"""JPEG: reduced while it is decoded, with or without its last mark."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Values
from orangecontrib.imageanalytics.images.picture import (
    OtherFormat,
    Picture,
    Size,
    check_page,
    check_size,
)
from orangecontrib.imageanalytics.images.readers.pillow import (
    PillowPicture,
    open_image,
)

_END = b"\xff\xd9"
_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_FRAMES = {*range(0xC0, 0xD0), _JPEG_LS} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}


@dataclass(frozen=True)
class Frame:
    """
    What a JPEG says of its compression.

    Attributes
    ----------
    kind : int
        The marker, such as 0xC0 for the usual kind.
    bits : int
        Of each colour.
    size : (int, int)
        Width and height in pixels.
    """

    kind: int
    bits: int
    size: Size

    @property
    def is_lossless(self) -> bool:
        """Whether it is without loss, in the way that JPEG had at first."""
        return self.kind == _LOSSLESS

    @property
    def is_jpeg_ls(self) -> bool:
        """Whether it is a JPEG-LS."""
        return self.kind == _JPEG_LS

    @property
    def is_rare(self) -> bool:
        """Whether it is of a kind that Pillow does not read."""
        return self.bits != 8 or self.is_lossless or self.is_jpeg_ls


def read_frame(file: BinaryIO) -> Frame | None:
    """What a JPEG says of its compression; None if it does not."""
    file.seek(2)
    while len(start := file.read(2)) == 2 and start[0] == 0xFF:
        if start[1] in _FRAMES:
            head = file.read(7)
            if len(head) < 7:
                return None
            height, width = (int.from_bytes(head[i : i + 2], "big") for i in (3, 5))
            return Frame(start[1], head[2], (width, height))
        if start[1] == 0xFF:  # filled up
            file.seek(-1, 1)
        elif start[1] not in _WITHOUT_LENGTH:
            file.seek(int.from_bytes(file.read(2), "big") - 2, 1)
    return None


def open(file: BinaryIO, format: Format) -> Picture:
    """Open a JPEG."""
    try:
        return JpegPicture(file, open_image(file, format.name))
    except Exception:
        _leave_rare(file)
        raise


def _leave_rare(file: BinaryIO) -> None:
    """Leave what Pillow does not read to another reader."""
    frame = read_frame(file)
    if frame is not None and frame.is_rare:
        raise OtherFormat


class JpegPicture(PillowPicture):
    """
    A JPEG of 8 bits.

    Parameters
    ----------
    file : binary file object
    image : PIL.JpegImagePlugin.JpegImageFile
        Opened from it.
    """

    def __init__(self, file: BinaryIO, image):
        super().__init__(image)
        self._file = file

    def check_size(self) -> None:
        """Only where all pixels are held at once, however few are wanted."""
        if self.image.info.get("progressive"):
            super().check_size()

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `Picture.read`; at 1/2, 1/4 or 1/8 of the size if that suffices."""
        check_page(page or 1, 1)
        self._reduce(self.image, at_least)
        try:
            self.image.load()
        except OSError:
            _leave_rare(self._file)
            whole = self._without_end(at_least)
            if whole is None:
                raise
            return whole
        return self.image

    def _reduce(self, image: Image.Image, at_least: Size | None) -> None:
        if at_least is not None:
            width, height = (max(1, int(side)) for side in at_least)
            image.draft(None, (width, height))
        check_size(*image.size, self.format)

    def _without_end(self, at_least) -> Image.Image | None:
        """
        A picture that lacks its last mark alone, as some cameras and servers leave it.

        Decoders make something up for lines that are missing, out of whatever follows:
        if none is, it does not matter what that is.
        """
        self._file.seek(0)
        content = self._file.read().removesuffix(_END[:1])
        images = []
        for filling in (b"\x55", b"\xaa"):
            file = BytesIO(content + 200 * filling + _END)
            image = open_image(file, "JPEG")
            self._reduce(image, at_least)
            try:
                image.load()
            except OSError:
                return None
            images.append(image)
        return images[0] if images[0] == images[1] else None
