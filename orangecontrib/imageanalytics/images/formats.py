"""A table of the image formats that can be read, and how to find a file's entry."""

from __future__ import annotations

import importlib
import importlib.util
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import BinaryIO, TypeVar

from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.lazy_image import (
    LIMIT,
    LazyImage,
    OtherFormat,
    Size,
)

#: Bytes needed to find a file's format: DICOM's signature comes after 128 bytes.
HEAD_BYTES = 160
INSTALL = "pip install 'Orange3-ImageAnalytics[formats]'"
_READERS = "orangecontrib.imageanalytics.images.readers"
MEGAPIXEL = 1_000_000

Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Format:
    """
    A format of images.

    Attributes
    ----------
    name : str
        The name in headers; for formats that Pillow reads, Pillow's name.
    signature : bytes
        Regular expression for the start of a file.
    reader : str
        Module in `images.readers`: ``open(file, format)`` gives a `LazyImage`.
    title : str
        The name as shown to users.
    extensions : str
        Usual endings of names, separated by spaces.
    needs : str
        The package that is only there with the extra ``formats``.
    loose : bool
        Whether other files start like these: one that cannot be opened is of another
        format.
    vouched : bool
        Whether this holds for so many files that the extension must decide.
    isolated : bool
        Whether files are only opened in the helper process, since the library may
        crash on a bad one. For the second entry of a name, these are the files that
        the first one leaves.
    helper_pixels : int or None
        Number of pixels from which on an image is decoded in the helper process, since
        the library holds Python's lock for long. None for never.
    refused : str
        Why it is not read, and what to do; then there is no reader.
    """

    name: str
    signature: bytes
    reader: str = "pillow"
    title: str = ""
    extensions: str = ""
    needs: str = ""
    loose: bool = False
    vouched: bool = False
    isolated: bool = False
    helper_pixels: int | None = None
    refused: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern:
        return re.compile(self.signature, re.DOTALL)

    def accepts(self, head: bytes) -> bool:
        """Whether a file with this start may be of this format."""
        return self._pattern.match(head) is not None

    def in_helper(self, size: Size) -> bool:
        """Whether an image of this size is decoded in the helper process."""
        least = self.helper_pixels
        return self.isolated or (least is not None and size[0] * size[1] >= least)

    def open(self, file: BinaryIO) -> LazyImage:
        """
        Read the header, in this process.

        Parameters
        ----------
        file : binary file object
            Must stay open for as long as the image is used.

        Raises
        ------
        ImageError
            It cannot be read.
        OtherFormat
            It is of another format, which happens where signatures are loose.
        """
        with in_plain_words(self):
            reader = importlib.import_module(f"{_READERS}.{self.reader}")
            file.seek(0)
            try:
                return reader.open(file, self)
            except ImageError:
                raise
            except Exception as error:
                if self.loose:
                    raise OtherFormat from error
                raise


# The commonest first. Of Pillow's formats those are left out that run another program
# (EPS), need the system's (WMF, EMF) or an application's decoder (BUFR, GRIB, HDF5,
# MPEG), or are told apart so loosely that other files pass for them (IM, IMT, IPTC,
# PCD, SPIDER).
FORMATS = (
    Format(
        "JPEG",
        rb"\xff\xd8\xff",
        "jpeg",
        extensions=".jpg .jpeg .jpe .jfif .mpo .jls",
    ),
    Format(
        "JPEG",
        rb"\xff\xd8\xff",
        "rare_jpeg",
        title="Medical JPEG",
        needs="imagecodecs",
        isolated=True,
    ),
    Format("PNG", rb"\x89PNG\r\n\x1a\n", "png", extensions=".png .apng"),
    Format("GIF", rb"GIF8[79]a", extensions=".gif"),
    Format(
        "WEBP",
        rb"RIFF....WEBP",
        title="WebP",
        extensions=".webp",
        helper_pixels=30 * MEGAPIXEL,
    ),
    Format(
        "DICOM",
        rb".{128}DICM",
        "dicom",
        extensions=".dcm .dicom .ima",
        needs="pydicom",
        isolated=True,
    ),
    Format(
        "RAW",
        rb"II\*\0.{4}CR|II\x1a\0\0\0HEAPCCDR|IIU\0|II(RO|RS)|MMOR|FUJIFILMCCD-RAW|"
        rb"\0MRM|FOVb|....ftypcrx ",
        "raw",
        title="camera raw",
        extensions=".cr2 .cr3 .crw .raf .rw2 .orf .mrw .x3f",
        needs="rawpy",
        isolated=True,
    ),
    Format(
        "TIFF",
        rb"II\*\0|MM\0\*|II\+\0|MM\0\+",
        "tiff",
        extensions=".tif .tiff .btf .stk .lsm .svs .ndpi",
    ),
    Format(
        "TIFF",
        rb"II\*\0|MM\0\*|II\+\0|MM\0\+",
        "tiff",
        title="rare TIFF",
        needs="imagecodecs",
        isolated=True,
    ),
    Format(
        "RAW",
        rb"II\*\0|MM\0\*",
        "raw",
        title="camera raw",
        extensions=".dng .nef .nrw .arw .sr2 .pef .srw .3fr .erf .iiq",
        needs="rawpy",
        isolated=True,
    ),
    Format("BMP", rb"BM", "bmp", extensions=".bmp"),
    Format(
        "BMP",
        rb"BM",
        "codecs",
        title="rare BMP",
        needs="imagecodecs",
        isolated=True,
    ),
    Format("AVIF", rb"....ftyp(avi[fs]|mi[fa]1.*avif)", extensions=".avif"),
    Format(
        "HEIF",
        rb"....ftyp(hei[cmsx]|hev[cmsx]|mif[12]|msf1|avc[is]|j2ki|unif)",
        title="HEIC",
        extensions=".heic .heif .hif",
    ),
    Format(
        "SVG",
        rb"(\xef\xbb\xbf)?\s*<|\x1f\x8b|\xff\xfe|\xfe\xff",
        "svg",
        extensions=".svg .svgz",
        helper_pixels=0,
    ),
    Format(
        "PPM",
        rb"P[0-7fFy]",
        "netpbm",
        title="PBM, PGM, PPM, PAM, PFM",
        extensions=".pbm .pgm .ppm .pnm .pam .pfm",
        loose=True,
    ),
    Format("ICO", rb"\0\0\x01\0", extensions=".ico"),
    Format(
        "JPEG2000",
        rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
        "jpeg2000",
        title="JPEG 2000",
        extensions=".jp2 .j2k .j2c .jpc .jpx .jpf",
        helper_pixels=MEGAPIXEL,
    ),
    Format(
        "JPEG2000",
        rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
        "codecs",
        title="rare JPEG 2000",
        needs="imagecodecs",
        isolated=True,
    ),
    Format(
        "JXL",
        rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
        "codecs",
        title="JPEG XL",
        extensions=".jxl",
        needs="imagecodecs",
        isolated=True,
    ),
    Format(
        "JXR",
        rb"II\xbc[\0\x01]",
        "codecs",
        title="JPEG XR",
        extensions=".jxr .wdp .hdp",
        needs="imagecodecs",
        isolated=True,
    ),
    Format(
        "HDR",
        rb"#\?(RADIANCE|RGBE)",
        "codecs",
        title="Radiance HDR",
        extensions=".hdr .pic",
        needs="imagecodecs",
        isolated=True,
    ),
    Format(
        "EXR",
        rb"v/1\x01",
        "exr",
        title="OpenEXR",
        extensions=".exr",
        needs="OpenEXR",
        isolated=True,
    ),
    Format("PSD", rb"8BPS", "psd", title="Photoshop", extensions=".psd .psb"),
    Format("FITS", rb"SIMPLE  =", "fits", extensions=".fits .fit .fts"),
    Format("ICNS", rb"icns", extensions=".icns"),
    Format("CUR", rb"\0\0\x02\0", extensions=".cur", loose=True),
    Format(
        "DIB", rb"[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", extensions=".dib", loose=True
    ),
    Format("DDS", rb"DDS ", extensions=".dds"),
    Format("QOI", rb"qoif", extensions=".qoi"),
    Format("XPM", rb"(\xef\xbb\xbf)?\s*/\* *XPM *\*/", "xpm", extensions=".xpm"),
    Format("XBM", rb"\s*#define[ \t]|/\*", extensions=".xbm", loose=True),
    Format("PCX", rb"\x0a[\0\x02\x03\x05]", extensions=".pcx", loose=True),
    Format("DCX", rb"\xb1\x68\xde\x3a", extensions=".dcx"),
    Format("SGI", rb"\x01\xda", extensions=".sgi .rgb .rgba .bw"),
    Format("SUN", rb"\x59\xa6\x6a\x95", title="Sun raster", extensions=".ras .sun"),
    Format("BLP", rb"BLP[12]", extensions=".blp"),
    Format(
        "FLI",
        rb"....[\x11\x12]\xaf.{8}[\0\x03]\0",
        title="FLI, FLC",
        extensions=".fli .flc",
    ),
    Format("FTEX", rb"FTEX", extensions=".ftc .ftu"),
    Format(
        "GBR",
        rb"\0\0..\0\0\0[\x01\x02]",
        title="GIMP brush",
        extensions=".gbr",
        loose=True,
    ),
    Format("MCIDAS", rb"\0{7}\x04", title="McIDAS", loose=True),
    Format("MSP", rb"DanM|LinS", title="Microsoft Paint", extensions=".msp"),
    Format("PIXAR", rb"\x80\xe8\0\0", title="Pixar raster", extensions=".pxr"),
    Format("XVTHUMB", rb"P7 332", title="XV thumbnail"),
    # These have no signature at all, only few usual values at their start.
    Format(
        "DICOM",
        rb"[\x02\x08]\0[\0-\x20]\0",
        "dicom",
        needs="pydicom",
        loose=True,
        vouched=True,
        isolated=True,
    ),
    Format(
        "TGA",
        rb".(\0[\x01-\x03\x09-\x0b]|\x01[\x01-\x03\x09-\x0b])",
        extensions=".tga .icb .vda .vst",
        loose=True,
        vouched=True,
    ),
    # Formats that users may take for images, or that have better export formats.
    Format("Zeiss CZI", rb"ZISRAWFILE", refused="export it as OME-TIFF"),
    Format("Leica LIF", rb"p\0\0\0....\*", refused="export it as OME-TIFF"),
    Format("Nikon ND2", rb"\xda\xce\xbe\x0a", refused="export it as OME-TIFF"),
    Format("PDF", rb"%PDF-", refused="export its pages as images"),
    Format("PostScript", rb"%!PS|\xc5\xd0\xd3\xc6", refused="export it as an image"),
    Format(
        "Video",
        rb"....(ftyp(qt|iso|mp4|M4V|3gp|dash)|moov|mdat)|RIFF....AVI |\x1a\x45\xdf\xa3",
        refused="export its frames as images",
    ),
)


def find_format(name: str) -> Format:
    """The first entry with this name."""
    return next(format for format in FORMATS if format.name == name)


def check_installed(format: Format) -> None:
    """
    Raises
    ------
    ImageError
        When the package that reads a format is not there.
    """
    if importlib.util.find_spec(format.needs) is None:
        raise not_installed(format)


def not_installed(format: Format) -> ImageError:
    """The message that a format needs packages that are not installed."""
    return ImageError(f"{format.title or format.name}: {INSTALL}")


@cache
def extensions() -> frozenset[str]:
    """Common extensions of image files, in lower case."""
    return frozenset(
        ending for format in FORMATS for ending in format.extensions.split()
    )


def vouches(path: str) -> bool:
    """Whether a file has the extension of a format that lacks a signature."""
    names = {format.name for format in FORMATS if format.vouched}
    endings = " ".join(f.extensions for f in FORMATS if f.name in names)
    return path.lower().endswith(tuple(endings.split()))


def recognizes(head: bytes) -> bool:
    """
    Whether a file is an image, as far as its start tells for sure.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of the file.
    """
    return any(
        format.accepts(head) and (format.name != "SVG" or b"<svg" in head.lower())
        for format in FORMATS
        if not (format.loose or format.vouched or format.refused)
    )


def attempt(head: bytes, vouched: bool, action: Callable[[Format], Outcome]) -> Outcome:
    """
    Do something with a file according to its format.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of the file.
    vouched : bool
        Whether something, such as the extension, says that it is an image.
    action : callable
        What to do with it as a format; may raise `OtherFormat` or `ImageError`.

    Raises
    ------
    ImageError
        It is no image, or cannot be read.
    """
    if not head:
        raise ImageError("file is empty")
    name = ""
    for format in FORMATS:
        # No format has images this small.
        if len(head) < 4 or not format.accepts(head) or format.vouched > vouched:
            continue
        if name and format.name != name:
            continue
        if format.refused:
            raise ImageError(f"{format.name} is not read: {format.refused}")
        try:
            return action(format)
        except OtherFormat as other:
            name = other.name
    raise ImageError("not an image")


@contextmanager
def in_plain_words(format: Format) -> Iterator[None]:
    """
    Turn any error of a library, while it reads an image, into an `ImageError`.

    Raises
    ------
    ImageError
        It cannot be read.
    OtherFormat
        It is to be tried as another format.
    """
    try:
        yield
    except (OtherFormat, ImageError):
        raise
    except Exception as error:
        raise plain(error, format) from error


_CUT_SHORT = re.compile(
    r"truncat|unexpected end|end of (file|input)|not enough|requires? \d+ bytes", re.I
)
_UNSUPPORTED = re.compile(
    r"unsupported|not (yet )?(supported|implemented|configured)|unimplemented", re.I
)
_MISSING = re.compile(r"requires the '?imagecodecs", re.I)


def is_unsupported(error: Exception) -> bool:
    """Whether an error means that the library does not support the image."""
    text = str(error)
    is_told = _UNSUPPORTED.search(text) or _MISSING.search(text)
    return isinstance(error, NotImplementedError) or is_told is not None


def plain(error: Exception, format: Format) -> ImageError:
    """Turn errors of libraries into an `ImageError` in plain words."""
    name, text = format.name, str(error)
    if isinstance(error, MemoryError):
        return ImageError("not enough memory to decode it")
    if isinstance(error, Image.DecompressionBombError):
        return ImageError(f"too many pixels ({LIMIT})")
    if isinstance(error, ImportError) or _MISSING.search(text):
        return not_installed(format)
    if is_unsupported(error):
        return ImageError(f"{name} of a kind that is not read")
    cut = isinstance(error, EOFError) or _CUT_SHORT.search(text)
    if cut or isinstance(error.__cause__, EOFError | IndexError | struct.error):
        return ImageError("the file is cut short")
    return ImageError(f"damaged {name} data")
