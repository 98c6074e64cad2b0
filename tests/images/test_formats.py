import importlib
import importlib.util
import re

import pytest
from image_files import blotches, encoded, header_reason, reason

from orangecontrib.imageanalytics.images import formats
from orangecontrib.imageanalytics.images.formats import FORMATS, find_format

READERS = "orangecontrib.imageanalytics.images.readers"


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_entries(format):
    assert format.accepts(b"") is False
    if format.refused:
        return
    reader = importlib.import_module(f"{READERS}.{format.reader}")
    assert callable(reader.open)
    if format.needs:
        assert format.isolated


HEADS = {
    b"\xff\xd8\xff\xe0\0\x10JFIF": "JPEG",
    b"RIFF\x1c\0\0\0WEBPVP8L": "WEBP",
    b"\0\0\0\x1cftypavif\0\0\0\0": "AVIF",
    b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif": "AVIF",
    b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic": "HEIF",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "HEIF",
    b"\0\0\0\x18ftypcrx \0\0\0\1crx isom": "RAW",
    b"II*\0\x10\0\0\0CR\2\0": "RAW",
    b"FUJIFILMCCD-RAW 0201": "RAW",
    b"IIRO\x08\0\0\0": "RAW",
    b"IIU\0\x18\0\0\0": "RAW",
    b"II*\0\x08\0\0\0\0\0\0\0": "TIFF",
    b"MM\0+\0\x08\0\0": "TIFF",
    bytes(128) + b"DICM\2\0\0\0": "DICOM",
    b"II*\0" + bytes(124) + b"DICM\2\0\0\0": "DICOM",
    b"II\xbc\x01\x20\0\0\0": "JXR",
    b"\xff\x0a\x7a\0": "JXL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JXL",
    b"#?RADIANCE\n": "HDR",
    b"v/1\x01\2\0\0\0": "EXR",
    b"8BPS\0\1": "PSD",
    b"P6\n# made by\n3 2\n255\n": "PPM",
    b"\xef\xbb\xbf <?xml version='1.0'?>": "SVG",
    b"\x0a\5\1\x08\0\0\0\0": "PCX",
    b"/* XPM */\nstatic": "XPM",
    b"\0\0\2\0\1\0\x20\x20": "CUR",
    b"ZISRAWFILE": "Zeiss CZI",
    b"\0\0\0\x18ftypmp42": "Video",
    b"\0\0\0\x14ftypqt  ": "Video",
}


@pytest.mark.parametrize("head", HEADS)
def test_signatures(head):
    first = next(format for format in FORMATS if format.accepts(head.ljust(160, b"\0")))
    assert first.name == HEADS[head]


def test_what_is_known_but_not_read(tmp_path):
    for head, text in {
        b"ZISRAWFILE": "Zeiss CZI is not read: export it as OME-TIFF",
        b"%PDF-1.7\n": "PDF is not read: export its pages as images",
        b"\0\0\0\x18ftypmp42": "Video is not read: export its frames as images",
    }.items():
        path = tmp_path / "file.jpg"
        path.write_bytes(head + bytes(1000))
        assert reason(head + bytes(1000)) == header_reason(path) == text


NEEDS_MORE = {
    "DICOM": bytes(128) + b"DICM",
    "JPEG XL": b"\xff\x0a\0\0",
    "Radiance HDR": b"#?RADIANCE\n",
    "OpenEXR": b"v/1\x01",
    "camera raw": b"FUJIFILMCCD-RAW ",
}


@pytest.mark.parametrize("title", NEEDS_MORE)
def test_what_to_install(title, tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    packages = {format.needs for format in FORMATS}
    monkeypatch.setattr(
        formats.importlib.util,
        "find_spec",
        lambda name, *args: None if name in packages else find_spec(name, *args),
    )
    expected = f"{title}: pip install 'Orange3-ImageAnalytics[formats]'"
    content = NEEDS_MORE[title] + bytes(500)
    path = tmp_path / "image"
    path.write_bytes(content)
    assert reason(content) == header_reason(path) == expected


def test_packages_are_those_of_the_extra():
    from importlib.metadata import requires

    extra = {
        re.match(r"[\w-]+", line)[0].lower()
        for line in requires("Orange3-ImageAnalytics")
        if 'extra == "formats"' in line
    }
    assert {format.needs.lower() for format in FORMATS if format.needs} == extra


def test_extensions():
    found = formats.extensions()
    assert {".jpg", ".tif", ".dcm", ".nef", ".svgz"} <= found
    assert all(re.fullmatch(r"\.[a-z0-9]+", extension) for extension in found)


def test_only_some_formats_need_an_extension_to_vouch():
    assert formats.vouches("a.TGA") and formats.vouches("b.dcm")
    assert not formats.vouches("c.jpg") and not formats.vouches("tga")


def test_damage_of_loose_formats_is_that_of_another_file():
    content = encoded(blotches(), "PCX")
    assert find_format("PCX").accepts(content)
    assert reason(content[:3] + bytes(100)) == "not an image"


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (b"\xff\xd8\xff\xe0", True),
        (b"\x89PNG\r\n\x1a\n", True),
        (b"  <svg xmlns=", True),
        (b"<?xml version='1.0'?><SVG", True),
        (b"<html><body>", False),
        (b"\x1f\x8b", False),
        (b"P5 of the rooms", False),
        (b"some text", False),
        (b"", False),
    ],
)
def test_recognizes(head, known):
    assert formats.recognizes(head) == known
