"""From the bytes of a picture to its header and to its pixels, as a person sees it.

Every failure is an `ImageError`, whatever the bytes. All functions may be called
from many threads at once.
"""

import re
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import svg
from orangecontrib.imageanalytics.images.sources import open_local

MAX_PIXELS = 178_956_970
_LIMIT = f"the limit is {MAX_PIXELS / 1e6:.0f} million"

# What Pillow can decode by itself, the commonest first. Left out are formats that
# run another program (EPS), need the system's (WMF, EMF) or an application's
# decoder (BUFR, GRIB, HDF5, MPEG), or are told apart so loosely that other files
# pass for them (IM, IMT, IPTC, PCD, SPIDER).
# fmt: off
_FORMATS = (
    "JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "PPM", "ICO", "JPEG2000",
    "PSD", "ICNS", "CUR", "DIB", "DDS", "QOI", "XBM", "XPM", "PCX", "DCX", "SGI",
    "SUN", "FITS", "BLP", "FLI", "FTEX", "GBR", "MCIDAS", "MSP", "PIXAR", "XVTHUMB",
)
# fmt: on
# Other files start like these, too: one that fails need not be a picture.
_LOOSELY_SIGNED = ("XBM", "CUR", "DIB", "PCX", "GBR", "TGA")
# TGA has no signature at all, only few usual values in its second and third byte. Among
# other files, its extension must vouch for it.
_TGA_STARTS = {b"\0\2", b"\0\3", b"\0\x0a", b"\0\x0b", b"\1\1", b"\1\x09"}
_TGA_EXTENSIONS = (".tga", ".icb", ".vda", ".vst")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_SIGNATURE_BYTES = 16

_ORIENTATION_TAG = 0x0112
_EXIF_INTEGERS = {1: "B", 3: "H", 4: "I"}
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)
_WHITE_IS_ZERO = 0

_CUT_SHORT = re.compile(r"truncat|unexpected end|end of (file|input)|not enough", re.I)
_pillow_lock = threading.Lock()


@dataclass(frozen=True)
class Header:
    """
    What the start of a file says about the picture in it.

    Attributes
    ----------
    format : str
        Name of the format, such as "JPEG" or "SVG".
    width, height : int
        Size in pixels, as displayed: after the EXIF orientation.
    """

    format: str
    width: int
    height: int


def read_header(path: str) -> Header:
    """
    Format and size of a picture in a file; its pixels are not read.

    Parameters
    ----------
    path : str
        Path of the file.

    Returns
    -------
    Header

    Raises
    ------
    ImageError
        The file cannot be read or is not a picture that `decode` could read.
    """
    with open_local(path) as file:
        return _header(file, path.lower().endswith(_TGA_EXTENSIONS))


def content_header(content: bytes) -> Header:
    """
    Format and size of a picture whose file was read already.

    Parameters
    ----------
    content : bytes
        Content of the file.

    Returns
    -------
    Header

    Raises
    ------
    ImageError
        The content is not a picture that `decode` could read.
    """
    return _header(BytesIO(content), vouched=True)


def _header(file: BinaryIO, vouched: bool) -> Header:
    try:
        head = file.read(_SIGNATURE_BYTES)
        if svg.may_be_svg(head):
            size = svg.size(head + file.read(svg.HEAD_BYTES))
            if size:
                return Header("SVG", *size)
        image = _open(file, head, with_tga=vouched)
        width, height = image.size
        if _orientation(image) in _SIDEWAYS:
            width, height = height, width
        return Header(image.format, width, height)
    except Exception as error:
        raise _plain(error) from error


def decode(content: bytes, at_least: tuple[int, int] | None = None) -> Image.Image:
    """
    The pixels of a picture, as a person would see them.

    The EXIF orientation is applied and transparency laid on white. Of pictures
    with several frames or pages this is the first, of icons the largest. Colour
    profiles are not applied.

    Greys of 16 bits are scaled from 0..65535. Floating point and 32-bit integer
    greys are scaled by the range that the values lie in: 0..1 (floats), 0..255,
    0..65535 (integers), or else from the least to the greatest; values that are
    not finite are black.

    Parameters
    ----------
    content : bytes
        Content of the file.
    at_least : (int, int), optional
        Width and height, as displayed, that suffice. JPEGs are decoded at 1/2,
        1/4 or 1/8 of their size where that leaves neither side below these; SVGs
        are drawn at the size that just covers them. Other pictures come whole.

    Returns
    -------
    PIL.Image.Image
        Loaded picture in mode RGB, 8 bits a channel.

    Raises
    ------
    ImageError
        The content is not a picture, or it is damaged or too large.
    """
    try:
        head = content[:_SIGNATURE_BYTES]
        if not head:
            raise ImageError("file is empty")
        if svg.may_be_svg(head) and svg.size(content):
            return _to_rgb(svg.render(content, at_least))
        image = _open(BytesIO(content), head, with_tga=True)
    except Exception as error:
        raise _plain(error) from error
    name = image.format
    try:
        orientation = _orientation(image)
        if at_least is not None and name in ("JPEG", "MPO"):
            width, height = (max(1, int(side)) for side in at_least)
            sideways = orientation in _SIDEWAYS
            image.draft(None, (height, width) if sideways else (width, height))
        _scale_transparent_colour(image)
        image.load()
        _check_size(image)
        image = _to_rgb(image)
        if orientation in _TRANSPOSE:
            image = image.transpose(_TRANSPOSE[orientation])
        return image
    except Exception as error:
        raise _plain(error, name) from error


def _plain(error: Exception, name: str | None = None) -> ImageError:
    """Whatever Pillow raises for damaged data, in plain words."""
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        return ImageError("not enough memory to decode it")
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(f"too many pixels ({_LIMIT})")
    cut = isinstance(error, EOFError) or _CUT_SHORT.search(str(error))
    if cut or isinstance(error.__cause__, EOFError | IndexError | struct.error):
        return ImageError("the file is cut short")
    return ImageError(f"damaged {name} data" if name else "damaged data")


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"damaged {image.format} data")
    if width * height > MAX_PIXELS:
        raise ImageError(f"too many pixels ({width}x{height}; {_LIMIT})")


@cache
def _openers() -> tuple[tuple[str, Callable, Callable], ...]:
    with _pillow_lock:
        Image.init()
    pillow = [(name, *Image.OPEN[name]) for name in _FORMATS if name in Image.OPEN]
    return (
        *pillow,
        ("HEIF", _open_heif, _is_heif),
        # The last, since some TGAs start like cursors do.
        ("TGA", Image.OPEN["TGA"][0], _is_tga),
    )


def _is_tga(head: bytes) -> bool:
    return head[1:3] in _TGA_STARTS


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _open_heif(file: BinaryIO, filename: str) -> ImageFile:
    from pillow_heif import HeifImageFile

    return HeifImageFile(file, filename)


def _open(file: BinaryIO, head: bytes, with_tga: bool) -> ImageFile:
    """
    Open a picture without decoding it.

    Not by `Image.open`: that warns of large pictures, which can only be silenced
    for all threads at once.
    """
    if not head:
        raise ImageError("file is empty")
    failure = None
    for name, factory, accepts in _openers():
        # No format has pictures this small; some of the tests fail for them.
        accepted = len(head) > 3 and accepts(head) and (name != "TGA" or with_tga)
        # A string is Pillow's way to say that it was built without this format.
        if accepted and not isinstance(accepted, str):
            try:
                return _opened(factory, file)
            except Exception as error:
                if name not in _LOOSELY_SIGNED or isinstance(error, ImageError):
                    failure = failure or _plain(error, name)
    raise failure or ImageError("not a picture")


def _opened(factory: Callable, file: BinaryIO) -> ImageFile:
    file.seek(0)
    image = factory(file, "")
    _check_size(image)
    return image


def _orientation(image: ImageFile) -> int:
    """EXIF orientation, 1 to 8, that is still to be applied."""
    exif = image.info.get("exif")
    # Pillow turns TIFFs itself.
    if image.format == "TIFF" or not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = ">" if tiff.startswith(b"MM") else "<"
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (n_tags,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * n_tags, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, place)
            if tag == _ORIENTATION_TAG and kind in _EXIF_INTEGERS:
                integer = order + _EXIF_INTEGERS[kind]
                return struct.unpack_from(integer, tiff, place + 8)[0]
    except struct.error:
        pass
    return 1


def _scale_transparent_colour(image: ImageFile) -> None:
    """Bring a PNG's transparent colour to the 8 bits that its pixels come in."""
    colour = image.info.get("transparency")
    if image.format != "PNG" or not image.tile:
        return
    if isinstance(colour, tuple) and max(colour) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    elif isinstance(colour, int):
        factor = {"L;2": 85, "L;4": 17}.get(image.tile[0][3], 1)
        image.info["transparency"] = colour * factor


def _to_rgb(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        image = _grey(image)
    elif mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    elif image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        image = white
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "I" and image.format != "PPM":
        grey = _scaled(values, (255, 65535))
    elif image.mode == "F":
        grey = _scaled(values, (1, 255))
    else:
        # Pillow gives these values as they are in the file.
        tags = getattr(image, "tag_v2", {})
        maximum = 4095 if tags.get(BITSPERSAMPLE) == (12,) else 65535
        values = values.astype(np.uint32)
        grey = ((values * 255 + maximum // 2) // maximum).astype(np.uint8)
        if tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:
            grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _scaled(values: np.ndarray, usual_maxima: tuple[int, ...]) -> np.ndarray:
    # Neither float32 nor int32 holds the difference of its extremes.
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = values[finite].min(), values[finite].max()
    maximum = next((usual for usual in usual_maxima if 0 <= low <= high <= usual), None)
    if maximum is not None:
        low, high = 0, maximum
    values[~finite] = low
    values -= low
    values *= 255
    values /= (high - low) or 1
    return np.rint(values).astype(np.uint8)
