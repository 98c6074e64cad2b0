"""What cameras write into files: when, where and how a photo was taken."""

from __future__ import annotations

import binascii
import contextlib
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import BinaryIO, TypeVar

from PIL import Image

from orangecontrib.imageanalytics.images.readers.pillow import open_image
from orangecontrib.imageanalytics.images.readers.png import chunks
from orangecontrib.imageanalytics.images.xmp import read_xmp

_BY_PILLOW = ("JPEG", "MPO", "WEBP", "AVIF", "HEIF")
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_MAKE, _MODEL, _XMP = 0x010F, 0x0110, 0x02BC
_ORIGINAL, _DIGITIZED = (0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292)
_DATE = re.compile(
    r"(\d{4})[:./-](\d\d?)[:./-](\d\d?)"
    r"(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d\d:?\d\d)?"
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
# Without exponents, which could make numbers of any length
_FRACTION = re.compile(r"\s*[+-]?\d{1,20}(\.\d{0,20})?(/\d{1,20})?\s*")
_DEGREES = re.compile(r"([\d.]+)(?:,([\d.]+))?(?:,([\d.]+))?([NSEW])")
_MAX_TEXT = 100
_MAX_CHUNK = 16_000_000  # of a PNG
_UNKNOWN_ISO = 65535
_FIRST_PHOTO = 1826  # of Niépce; cameras whose clock was never set say year 1

Value = TypeVar("Value")


@dataclass(frozen=True)
class Metadata:
    """
    What a file says about how its photo was taken; None where it does not.

    Attributes
    ----------
    taken : datetime or None
        Date and time; with a time zone if the file names one, else those of the
        camera's clock.
    camera, lens : str or None
        Names.
    exposure : float or None
        Exposure time in seconds.
    f_number : float or None
        Focal length divided by the aperture's diameter.
    iso : float or None
        Sensitivity.
    focal_length : float or None
        In millimeters.
    latitude, longitude : float or None
        In degrees, north and east positive; both or none are known.
    """

    taken: datetime | None = None
    camera: str | None = None
    lens: str | None = None
    exposure: float | None = None
    f_number: float | None = None
    iso: float | None = None
    focal_length: float | None = None
    latitude: float | None = None
    longitude: float | None = None


def read_metadata(
    file: BinaryIO, format: str, info: Mapping[str, object] | None = None
) -> Metadata:
    """
    The EXIF and XMP of an image.

    Parameters
    ----------
    file : binary file object
    format : str
        Name of its format, as in a `Header`.
    info : mapping of str to object, optional
        What Pillow has found in the header, if it was read already.

    Returns
    -------
    Metadata
        What is malformed or impossible counts as not known; no error is raised.
    """
    exif, xmp = _NoExif(), {}
    with contextlib.suppress(Exception):
        exif, packet = _read_parts(file, format, info)
        xmp = read_xmp(packet)
    if not xmp and type(exif) is _NoExif:
        return Metadata()
    with contextlib.suppress(Exception):
        return _interpret(exif, xmp)
    return Metadata()


def _read_parts(
    file: BinaryIO, format: str, info: Mapping | None
) -> tuple[_NoExif, bytes]:
    if format == "PNG":
        exif, packet = _parts_of_png(file)
        return _Exif.of(exif), packet
    file.seek(0)
    if file.read(4) in _TIFF_SIGNATURES:  # and most camera raw
        exif = _Exif.of_tiff(file)
        return exif, _bytes(exif.value(_XMP))
    if info is None and format in _BY_PILLOW:
        # MPO, as of many phones, is JPEG with more images behind it.
        info = open_image(file, format.replace("MPO", "JPEG")).info
    if info is None:
        return _NoExif(), b""
    return _Exif.of(info.get("exif")), _bytes(info.get("xmp"))


class _NoExif:
    """A file without EXIF."""

    def value(self, _tag: int, _ifd: int | None = None):
        """None."""


class _Exif(_NoExif):
    """The tags of EXIF; a part that cannot be read has none."""

    def __init__(self, exif: Image.Exif):
        self._exif = exif
        self._parts: dict[int, dict] = {}

    @classmethod
    def of(cls, content: object) -> _NoExif:
        """From the bytes of an EXIF segment."""
        if not isinstance(content, bytes) or not content:
            return _NoExif()
        exif = Image.Exif()
        exif.load(content)
        return cls(exif)

    @classmethod
    def of_tiff(cls, file: BinaryIO) -> _NoExif:
        """From a file that is a TIFF by its structure."""
        exif = Image.Exif()
        file.seek(0)
        exif.load_from_fp(file)
        return cls(exif)

    def value(self, tag: int, ifd: int | None = None):
        """The value of a tag, as Pillow gives it; None without it."""
        if ifd is None:
            with contextlib.suppress(Exception):
                return self._exif.get(tag)
            return None
        if ifd not in self._parts:
            self._parts[ifd] = {}
            with contextlib.suppress(Exception):
                self._parts[ifd] = self._exif.get_ifd(ifd)
        return self._parts[ifd].get(tag)


def _parts_of_png(file: BinaryIO) -> tuple[bytes, bytes]:
    """The EXIF and the XMP of a PNG, which may be behind the pixels."""
    exif = packet = b""
    for kind, *chunk in chunks(file):
        if kind == b"eXIf":
            exif = _content(file, *chunk)
        elif kind == b"iTXt":
            packet = packet or _xmp_of_text(_content(file, *chunk))
        elif kind == b"zTXt" and not exif:
            exif = _exif_of_text(_content(file, *chunk))
    return exif, packet


def _content(file: BinaryIO, place: int, length: int) -> bytes:
    """The content of a chunk; empty if it is too large."""
    file.seek(place)
    return file.read(length) if length <= _MAX_CHUNK else b""


def _xmp_of_text(content: bytes) -> bytes:
    keyword, _, rest = content.partition(b"\0")
    if keyword != b"XML:com.adobe.xmp":
        return b""
    # Compressed or not, the method, the language, the translated keyword
    compressed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    return _inflate(text) if compressed else text


def _exif_of_text(content: bytes) -> bytes:
    """As ImageMagick writes it: hexadecimal, after the name and the length."""
    keyword, _, rest = content.partition(b"\0")
    if keyword not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return b""
    lines = _inflate(rest[1:]).strip().split(b"\n", 2)
    with contextlib.suppress(binascii.Error):
        return binascii.unhexlify(b"".join(lines[2].split()))
    return b""


def _inflate(content: bytes) -> bytes:
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj().decompress(content, _MAX_CHUNK)
    return b""


# What it means ----------------------------------------------------------------------


def _interpret(exif: _NoExif, xmp: dict[str, str]) -> Metadata:
    def first(*values: Value | None) -> Value | None:
        return next((value for value in values if value is not None), None)

    def number(tag: int, *names: str) -> float | None:
        values = exif.value(tag, _EXIF_IFD), *map(xmp.get, names)
        return first(*map(_positive, values))

    latitude, longitude = _place(exif, xmp)
    return Metadata(
        taken=first(
            _exif_date(exif, *_ORIGINAL),
            _exif_date(exif, *_DIGITIZED),
            _date(xmp.get("exif:DateTimeOriginal")),
            _date(xmp.get("photoshop:DateCreated")),
            _date(xmp.get("xmp:CreateDate")),
        ),
        camera=_camera(
            first(_text(exif.value(_MAKE)), _text(xmp.get("tiff:Make"))),
            first(_text(exif.value(_MODEL)), _text(xmp.get("tiff:Model"))),
        ),
        lens=first(
            _text(exif.value(0xA434, _EXIF_IFD)),
            _text(xmp.get("exifEX:LensModel")),
            _text(xmp.get("aux:Lens")),
        ),
        exposure=first(
            number(0x829A, "exif:ExposureTime"),
            _power(exif.value(0x9201, _EXIF_IFD), -1.0),
            _power(xmp.get("exif:ShutterSpeedValue"), -1.0),
        ),
        f_number=first(
            number(0x829D, "exif:FNumber"),
            _power(exif.value(0x9202, _EXIF_IFD), 0.5),
            _power(xmp.get("exif:ApertureValue"), 0.5),
        ),
        iso=_iso(
            number(0x8827, "exif:ISOSpeedRatings", "exifEX:PhotographicSensitivity"),
            number(0x8832, "exifEX:RecommendedExposureIndex"),
        ),
        focal_length=number(0x920A, "exif:FocalLength"),
        latitude=latitude,
        longitude=longitude,
    )


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _number(value: object) -> float | None:
    """A finite number; of several the first."""
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    try:
        if isinstance(value, str):
            number = _of_text(value)
        elif isinstance(value, bytes):
            return None
        else:
            number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) else None


def _of_text(text: str) -> float:
    if _FRACTION.fullmatch(text) is None:
        raise ValueError(text)
    numerator, _, denominator = text.partition("/")
    return float(numerator) / float(denominator or 1)


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 < number < 1e9 else None


def _power(value: object, factor: float) -> float | None:
    """2 to the power of a value times a factor: APEX units, of the EXIF standard."""
    number = _number(value)
    if number is None or abs(number) > 30:
        return None
    return 2.0 ** (factor * number)


def _iso(speed: float | None, index: float | None) -> float | None:
    # A number of 16 bits, which says that it is too small for higher speeds.
    return index if speed is None or speed == _UNKNOWN_ISO else speed


def _text(value: object) -> str | None:
    """Text in one line, without what is behind a zero byte."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    with contextlib.suppress(UnicodeError):
        # As many programs write it, against the standard
        value = value.encode("latin-1").decode("utf-8")
    value = value.partition("\0")[0]
    value = "".join(char if char.isprintable() else " " for char in value)
    return " ".join(value.split())[:_MAX_TEXT].strip() or None


def _camera(make: str | None, model: str | None) -> str | None:
    """The model with its maker, unless that is part of its name."""
    if make is None or model is None:
        return model or make
    word = make.split()[0]
    if model.casefold().startswith(word.casefold()):
        return model
    return f"{make} {model}"[:_MAX_TEXT]


def _exif_date(exif: _NoExif, tag: int, offset_tag: int, fraction_tag: int):
    date = _date(_text(exif.value(tag, _EXIF_IFD)))
    if date is None:
        return None
    fraction = _text(exif.value(fraction_tag, _EXIF_IFD)) or ""
    if fraction.isdecimal() and fraction.isascii() and not date.microsecond:
        date = _with_fraction(date, fraction)
    zone = _zone(_text(exif.value(offset_tag, _EXIF_IFD)))
    return date if zone is None or date.tzinfo else date.replace(tzinfo=zone)


def _date(text: str | None) -> datetime | None:
    match = _DATE.match(text or "")
    if match is None:
        return None
    *numbers, fraction, zone = match.groups()
    try:
        date = datetime(*(int(number or 0) for number in numbers))
    except ValueError:  # such as 0000:00:00
        return None
    if date.year < _FIRST_PHOTO:
        return None
    if fraction:
        date = _with_fraction(date, fraction)
    return date.replace(tzinfo=_zone(zone))


def _with_fraction(date: datetime, digits: str) -> datetime:
    """With the fraction of a second of which these are the decimals."""
    return date.replace(microsecond=int(f"{digits:0<6}"[:6]))


def _zone(text: str | None) -> timezone | None:
    if text == "Z":
        return timezone.utc
    match = _OFFSET.fullmatch(text or "")
    if match is None:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    if offset > timedelta(hours=14):
        return None
    return timezone(-offset if match[1] == "-" else offset)


def _place(exif: _NoExif, xmp: dict[str, str]) -> tuple[float | None, float | None]:
    """Latitude and longitude, if both are possible."""
    latitude = _degrees(exif.value(2, _GPS_IFD), exif.value(1, _GPS_IFD), "NS", 90)
    longitude = _degrees(exif.value(4, _GPS_IFD), exif.value(3, _GPS_IFD), "EW", 180)
    if latitude is None or longitude is None:
        latitude = _xmp_degrees(xmp.get("exif:GPSLatitude"), "NS", 90)
        longitude = _xmp_degrees(xmp.get("exif:GPSLongitude"), "EW", 180)
    if latitude is None or longitude is None:
        return None, None
    return latitude, longitude


def _degrees(parts: object, side: object, sides: str, most: float) -> float | None:
    """From degrees, minutes and seconds, and the letter of the side."""
    side = (_text(side) or "").upper()[:1]
    if not isinstance(parts, tuple | list) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    if not side or side not in sides or any(n is None or n < 0 for n in numbers):
        return None
    degrees = sum(number / 60**power for power, number in enumerate(numbers))
    # 60 itself is written by programs that round.
    if degrees > most or any(number > 60 for number in numbers[1:]):
        return None
    return -degrees if side in "SW" else degrees


def _xmp_degrees(text: str | None, sides: str, most: float) -> float | None:
    """From a text such as 46,3.25N or 46,3,15N."""
    match = _DEGREES.fullmatch(text or "")
    if match is None:
        return None
    parts = [part for part in match.groups()[:3] if part is not None]
    return _degrees(parts, match[4], sides, most)
