"""EXIF and XMP, as cameras and programs write them, and as they should not be."""

import io
import random
import struct
import zlib
from datetime import datetime, timedelta, timezone

import pytest
from helpers import make_image
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from orangecontrib.imageanalytics.images.decode import content_header, read_described
from orangecontrib.imageanalytics.images.metadata import Metadata, read_metadata

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
PHOTO = {0x010F: "NIKON CORPORATION", 0x0110: "NIKON D750"}
DETAILS = {
    0x9003: "2024:02:29 13:45:10",
    0x9291: "25",
    0xA434: "50mm f/1.8",
    0x829A: IFDRational(1, 250),
    0x829D: IFDRational(28, 10),
    0x8827: 400,
    0x920A: IFDRational(50, 1),
}
PLACE = {
    1: "N",
    2: (IFDRational(46), IFDRational(3), IFDRational(36)),
    3: "E",
    4: (IFDRational(14), IFDRational(30), IFDRational(0)),
}
EXPECTED = Metadata(
    taken=datetime(2024, 2, 29, 13, 45, 10, 250_000),
    camera="NIKON D750",
    lens="50mm f/1.8",
    exposure=0.004,
    f_number=2.8,
    iso=400,
    focal_length=50,
    latitude=46.06,
    longitude=14.5,
)
XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
  xmlns:exif="http://ns.adobe.com/exif/1.0/"
  xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
  tiff:Make="NIKON CORPORATION" tiff:Model="NIKON D750" aux:Lens="50mm f/1.8"
  exif:DateTimeOriginal="2024-02-29T13:45:10.25" exif:ExposureTime="1/250"
  exif:FNumber="28/10" exif:FocalLength="50/1"
  exif:GPSLatitude="46,3,36N" exif:GPSLongitude="14,30.0E">
<exif:ISOSpeedRatings><rdf:Seq><rdf:li>400</rdf:li></rdf:Seq></exif:ISOSpeedRatings>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def make_exif(main=PHOTO, details=DETAILS, place=PLACE) -> Image.Exif:
    exif = Image.Exif()
    exif.update(main)
    exif.get_ifd(EXIF_IFD).update(details)
    exif.get_ifd(GPS_IFD).update(place)
    return exif


class approximately:
    """Equal but for rounding."""

    def __init__(self, expected: Metadata):
        self.expected = vars(expected)

    def __eq__(self, other):
        numbers = {k: v for k, v in self.expected.items() if isinstance(v, int | float)}
        others = self.expected.keys() - numbers.keys()
        return all(getattr(other, name) == self.expected[name] for name in others) and {
            name: getattr(other, name) for name in numbers
        } == pytest.approx(numbers)

    def __repr__(self):
        return repr(self.expected)


def saved(format, **options) -> bytes:
    file = io.BytesIO()
    make_image(1).save(file, format, **options)
    return file.getvalue()


def read(content) -> Metadata:
    return read_metadata(io.BytesIO(content), content_header(content).format)


def read_exif(**parts) -> Metadata:
    return read(saved("JPEG", exif=make_exif(**parts)))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "MPO"])
def test_formats(format, tmp_path):
    options = {}
    if format == "MPO":
        options = {"save_all": True, "append_images": [make_image(2)]}
    content = saved(format, exif=make_exif(), **options)
    assert read(content) == approximately(EXPECTED)
    path = tmp_path / "photo"
    path.write_bytes(content)
    header, found = read_described(str(path))
    assert header.format == format
    assert found == approximately(EXPECTED)


@pytest.mark.parametrize("format", ["TIFF", "RAW"])
def test_files_that_are_tiffs(format):
    content = make_exif().tobytes().removeprefix(b"Exif\0\0")
    assert read_metadata(io.BytesIO(content), format) == approximately(EXPECTED)


def test_tiff_with_an_image():
    content = saved("TIFF", exif=make_exif(), tiffinfo={700: XMP})
    assert read(content) == approximately(EXPECTED)


def test_heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    found = read(saved("HEIF", exif=make_exif().tobytes()))
    assert found == approximately(EXPECTED)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "PNG", "TIFF"])
def test_xmp(format):
    options = {"xmp": XMP}
    if format == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        options = {"pnginfo": text}
    if format == "TIFF":
        options = {"tiffinfo": {700: XMP}}
    assert read(saved(format, **options)) == approximately(EXPECTED)


def test_png_with_exif_behind_the_pixels():
    content = saved("PNG")
    exif = make_exif().tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + exif
    chunk = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    place = content.rindex(b"IEND") - 4
    found = read(content[:place] + chunk + content[place:])
    assert found == approximately(EXPECTED)


def test_png_of_image_magick():
    exif = b"Exif\0\0" + make_exif().tobytes().removeprefix(b"Exif\0\0")
    text = PngInfo()
    value = f"\nexif\n{len(exif):8}\n{exif.hex()}\n"
    text.add_text("Raw profile type exif", value, zip=True)
    assert read(saved("PNG", pnginfo=text)) == approximately(EXPECTED)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_nothing_is_known(format):
    assert read(saved(format)) == Metadata()


def test_exif_is_before_xmp():
    exif = make_exif(main={0x0110: "X100"}, details={}, place={})
    found = read(saved("JPEG", exif=exif, xmp=XMP))
    assert found.camera == "NIKON CORPORATION X100"  # parts complete each other
    assert found.iso == 400


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ("+02:00", timedelta(hours=2)),
        ("-03:30", timedelta(hours=-3.5)),
        ("Z", timedelta(0)),
        ("+99:00", None),
        ("local", None),
        ("", None),
    ],
)
def test_time_zone(offset, expected):
    taken = read_exif(details=DETAILS | {0x9011: offset}).taken
    assert taken.utcoffset() == expected
    assert taken.replace(tzinfo=None) == EXPECTED.taken


def test_time_zone_of_xmp():
    packet = XMP.replace(b"13:45:10.25", b"13:45:10+02:00")
    zone = timezone(timedelta(hours=2))
    expected = datetime(2024, 2, 29, 13, 45, 10, tzinfo=zone)
    assert read(saved("JPEG", xmp=packet)).taken == expected


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "2023:02:29 10:00:00",
        "2024:13:01 10:00:00",
        "2024:01:01 25:00:00",
        "    :  :     :  :  ",
        "0001:01:01 00:00:00",
        "yesterday",
        "",
        "\0\0\0",
        "99999:01:01 00:00:00",
    ],
)
def test_dates_that_are_none(text):
    assert read_exif(details={0x9003: text}).taken is None
    # The next best is taken.
    both = {0x9003: text, 0x9004: "2020:01:02 03:04:05"}
    assert read_exif(details=both).taken == datetime(2020, 1, 2, 3, 4, 5)


def test_dates_in_other_forms():
    for text in ("2024-01-02 03:04:05", "2024:01:02 03:04:05\0junk", "2024:1:2 3:04"):
        taken = read_exif(details={0x9003: text}).taken
        assert taken.replace(second=5) == datetime(2024, 1, 2, 3, 4, 5)
    assert read_exif(details={0x9003: "2024:01:02"}).taken == datetime(2024, 1, 2)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("Apple", "iPhone 15", "Apple iPhone 15"),
        ("OLYMPUS IMAGING CORP.  ", "E-M1", "OLYMPUS IMAGING CORP. E-M1"),
        ("Maker\0\0rubbish", "A\0B", "Maker A"),
        ("", "  ", None),
        ("Sony", "", "Sony"),
        ("a\nb", "c\x1bd", "a b c d"),
        ("x" * 5000, "y" * 5000, ("x" * 100 + " " + "y" * 100)[:100]),
    ],
)
def test_camera(make, model, camera):
    assert read_exif(main={0x010F: make, 0x0110: model}).camera == camera


def test_text_in_utf8():
    lens = "Zeiss Überweit 18 mm"
    found = read_exif(details={0xA434: lens.encode()})
    assert found.lens == lens


def test_zero_denominators():
    zero, infinite = IFDRational(0, 0), IFDRational(1, 0)
    details = dict.fromkeys((0x829A, 0x829D, 0x920A), zero) | {0x8827: 0}
    place = PLACE | {2: (zero, zero, zero)}
    found = read_exif(main={}, details=details, place=place)
    assert found == Metadata()
    details = dict.fromkeys((0x829A, 0x829D, 0x920A), infinite)
    assert read_exif(main={}, details=details, place={}) == Metadata()


def test_apex_values():
    details = {0x9201: IFDRational(8, 1), 0x9202: IFDRational(4, 1)}
    found = read_exif(details=details)
    assert (found.exposure, found.f_number) == (1 / 256, 4)
    details = {0x9201: IFDRational(10**6, 1), 0x9202: IFDRational(-(10**6), 1)}
    found = read_exif(details=details)
    assert (found.exposure, found.f_number) == (None, None)


def test_high_sensitivity():
    assert read_exif(details={0x8827: 65535, 0x8832: 102400}).iso == 102400
    assert read_exif(details={0x8827: (200, 0)}).iso == 200


@pytest.mark.parametrize(
    "place",
    [
        {2: (IFDRational(91), IFDRational(0), IFDRational(0))},
        {4: (IFDRational(180), IFDRational(1), IFDRational(0))},
        {1: "X"},
        {1: ""},
        {3: "N"},
        {2: ()},
        {2: (IFDRational(1),) * 4},
        {2: (IFDRational(46), IFDRational(61), IFDRational(0))},
        {4: (IFDRational(14), IFDRational(30), IFDRational(2599))},
    ],
)
def test_places_that_are_none(place):
    found = read_exif(place=PLACE | place)
    assert (found.latitude, found.longitude) == (None, None)
    assert found.iso == 400


def test_south_and_west():
    found = read_exif(place=PLACE | {1: "S", 3: "w"})
    assert (found.latitude, found.longitude) == pytest.approx((-46.06, -14.5))


def test_xmp_that_defines_entities():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + XMP.partition(b"?>\n")[2]
    assert read(saved("JPEG", xmp=bomb)) == Metadata()


def test_xmp_with_huge_numbers():
    packet = XMP.replace(b"1/250", b"1e999999999").replace(b"28/10", b"1/" + b"9" * 999)
    found = read(saved("JPEG", xmp=packet))
    assert (found.exposure, found.f_number, found.iso) == (None, None, 400)


def test_xmp_that_is_cut_short():
    for length in range(0, len(XMP), 37):
        assert isinstance(read(saved("JPEG", xmp=XMP[:length])), Metadata)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_damaged_bytes(format):
    """Any byte of the EXIF may be wrong; the rest is read, or nothing."""
    content = bytearray(saved(format, exif=make_exif()))
    start = content.index(b"NIKON CORPORATION") - 200
    dice = random.Random(0)
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(dice.choice((1, 2, 10))):
            place = dice.randrange(max(12, start), min(len(content), start + 800))
            damaged[place] = dice.choice((0, 0xFF, dice.randrange(256)))
        found = read_metadata(io.BytesIO(bytes(damaged)), format)
        assert found.latitude is None or -90 <= found.latitude <= 90
        assert found.exposure is None or found.exposure > 0


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "RAW", "WEBP", "DICOM"])
def test_other_content(format):
    for content in (b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"\x89PNG" + bytes(99)):
        assert read_metadata(io.BytesIO(content), format) == Metadata()
