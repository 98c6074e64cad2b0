import importlib.util
import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from helpers import make_image
from image_files import blotches, encoded, pixels, raw_tiff, reason
from PIL import Image
from tiff_files import (
    BIG,
    COLOURS,
    GREYS,
    ONE,
    OTHER,
    levels,
    likeness,
    ome,
    stack,
    stretched,
    tif,
)

from orangecontrib.imageanalytics.images import drawing
from orangecontrib.imageanalytics.images.decode import Header, content_header, decode


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    "dtype",
    ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8"],
)
def test_greys_of_every_type(dtype, order, big):
    array = stretched("f4" if dtype == "c8" else dtype).astype(dtype)
    content = tif(array, byteorder=order, bigtiff=big, photometric="minisblack")
    found = pixels(content)
    assert likeness(found[..., 0], GREYS) > 0.999
    assert (found == found[..., :1]).all()
    assert content_header(content).width == 64
    assert likeness(pixels(content, intensity="full")[..., 0], GREYS) > 0.999


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f2", "f4", "f8"])
def test_colours_of_every_type(dtype, planar):
    array = stretched(dtype, COLOURS)
    if planar == "separate":
        array = np.moveaxis(array, -1, 0)
    content = tif(array, photometric="rgb", planarconfig=planar)
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 2


COMPRESSIONS = ("deflate", "lzw", "packbits", "zstd", "lzma", "webp", "lerc", "jpegxl")


@pytest.mark.parametrize("compression", [*COMPRESSIONS, "jpeg2000", "jpeg"])
def test_compressions(compression):
    options = {"compressionargs": {"lossless": True}} if compression == "webp" else {}
    content = tif(COLOURS, photometric="rgb", compression=compression, **options)
    limit = 8 if compression == "jpeg" else 2
    assert np.abs(pixels(content).astype(int) - COLOURS).mean() < limit


@pytest.mark.parametrize("compression", [*COMPRESSIONS[:5], "jpegxl", "jpeg2000"])
def test_compressions_of_16_bits(compression):
    content = tif(stretched("u2"), compression=compression)
    assert likeness(pixels(content)[..., 0], GREYS) > 0.999


def test_without_imagecodecs(monkeypatch):
    def missing(*_, **__):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    content = encoded(Image.fromarray(stretched("u2")), "TIFF", compression="tiff_lzw")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    # Pillow reads it as well.
    assert likeness(pixels(content)[..., 0], GREYS) > 0.999
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *args: None if name == "imagecodecs" else find_spec(name, *args),
    )
    rare = tif(stretched("u2"), compression="lerc")
    assert reason(rare) == "rare TIFF: pip install 'Orange3-ImageAnalytics[formats]'"


def test_rare_compressions_are_left_to_the_helper(monkeypatch):
    """Their decoders crash over some damaged files, or take for ever."""
    asked = []
    original = drawing.ask_drawing
    monkeypatch.setattr(
        drawing,
        "ask_drawing",
        lambda format, *args: asked.append(format.title) or original(format, *args),
    )
    for compression in ("lzw", "deflate", "zstd"):
        pixels(tif(stretched("u2"), compression=compression))
    pixels(encoded(blotches(), "TIFF", compression="jpeg"))
    assert asked == []
    rare = ("lerc", "webp", "jpeg2000", "jpegxl", "jpegxr")
    for compression in rare:
        pixels(tif(COLOURS, photometric="rgb", compression=compression))
    assert asked == ["rare TIFF"] * len(rare)


def test_tiles_that_reach_beyond_the_image():
    greys = np.asarray(make_image(0, (100, 70)).convert("L"))
    content = tif(255 - greys, photometric="miniswhite", tile=(32, 48))
    assert (pixels(content)[..., 0] == greys).all()
    assert reason(content[:-3000]) == "the file is cut short"


# Thumbnails ---------------------------------------------------------------------------


def with_thumbnail(first, then, **options):
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(first, photometric="rgb", **options)
        writer.write(then, photometric="rgb")
    return file.getvalue()


SMALL = np.asarray(make_image(6, (64, 48)))


@pytest.mark.parametrize("subfiletype", [1, 0])
def test_thumbnail_in_the_first_page(subfiletype):
    content = with_thumbnail(SMALL, BIG, subfiletype=subfiletype)
    assert (pixels(content) == BIG).all()
    assert content_header(content).width == 640
    assert not content_header(content).has_more or not subfiletype


def test_thumbnail_in_the_second_page():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(BIG, photometric="rgb")
        writer.write(SMALL, photometric="rgb", subfiletype=1)
    assert (pixels(file.getvalue()) == BIG).all()
    assert content_header(file.getvalue()) == Header("TIFF", 640, 480)


@pytest.mark.parametrize("array", [BIG, BIG.astype(np.uint16) * 257])
def test_the_image_below_its_thumbnail(array):
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(SMALL, photometric="rgb", subifds=1, subfiletype=1)
        writer.write(array, photometric="rgb", subfiletype=0)
    content = file.getvalue()
    assert np.abs(pixels(content).astype(int) - BIG).max() <= 1
    assert content_header(content).width == 640


# Channels and planes ------------------------------------------------------------------


def test_a_blank_first_page_of_another_kind():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.zeros_like(COLOURS), photometric="rgb", metadata=None)
        writer.write(GREYS, photometric="minisblack", metadata=None)
    assert (pixels(file.getvalue())[..., 0] == GREYS).all()


def test_first_of_pages():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for seed in range(3):
            writer.write(np.asarray(make_image(seed)), photometric="rgb", metadata=None)
    content = file.getvalue()
    assert (pixels(content) == np.asarray(make_image(0))).all()
    assert content_header(content) == Header("TIFF", 64, 48, has_more=True)


def test_a_blank_first_page():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for array in (np.zeros_like(COLOURS), COLOURS):
            writer.write(array, photometric="rgb", metadata=None)
    assert (pixels(file.getvalue()) == COLOURS).all()


# Pages --------------------------------------------------------------------------------


def test_pages(pages_of):
    planes = stack(3, 2)
    content = ome(planes, "ZCYX", Name=["DAPI", "GFP"])
    expected = [
        (f"Z {z}, {name}", 64, 48) for z in (1, 2, 3) for name in ("DAPI", "GFP")
    ]
    assert pages_of(content) == expected
    for number, (z, c) in enumerate(np.ndindex(3, 2), 1):
        assert (pixels(content, page=number)[..., 0] == levels(planes[z, c])).all()
    for number in (0, 7):
        assert (
            reason(content, page=number) == f"there is no page {number}, the last is 6"
        )


def test_pages_of_other_sizes(pages_of):
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for size in ((64, 48), (20, 30), (64, 48)):
            array = np.asarray(make_image(size[0], size))
            writer.write(array, photometric="rgb", metadata=None)
    content = file.getvalue()
    found = pages_of(content)
    assert [size for _, *size in found] == [[64, 48], [64, 48], [20, 30]]
    assert decode(content, page=3).size == (20, 30)


def test_one_page(pages_of):
    assert pages_of(tif(GREYS)) == []
    assert (pixels(tif(GREYS), page=1)[..., 0] == GREYS).all()
    assert reason(tif(GREYS), page=2) == "there is no page 2, the last is 1"


def test_further_files_are_not_opened(tmp_path, monkeypatch):
    """A part of an OME-TIFF in several files names the others."""
    whole = stack(2)
    names = [str(tmp_path / f"part{n}.ome.tif") for n in (0, 1)]
    uuids = [f"urn:uuid:0000000{n}-0000-0000-0000-000000000000" for n in (0, 1)]
    data = "".join(
        f'<TiffData FirstZ="{n}" IFD="0"><UUID FileName="part{n}.ome.tif">{uuids[n]}'
        "</UUID></TiffData>"
        for n in (0, 1)
    )
    for n in (0, 1):
        xml = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
            f'2016-06" UUID="{uuids[n]}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint16" SizeX="64" SizeY="48" SizeZ="2" '
            f'SizeC="1" SizeT="1">{data}</Pixels></Image></OME>'
        )
        tifffile.imwrite(names[n], whole[n], description=xml, metadata=None)
    monkeypatch.chdir(tmp_path)
    opened = []
    original = tifffile.FileHandle.open
    monkeypatch.setattr(
        tifffile.FileHandle, "open", lambda self: opened.append(self) or original(self)
    )
    with open(names[0], "rb") as file:
        content = file.read()
    opened.clear()
    assert (pixels(content)[..., 0] == levels(whole[0])).all()
    assert not [handle for handle in opened if "part1" in str(handle.name)]


# Damage -------------------------------------------------------------------------------


def test_cut_short():
    content = tif(np.random.default_rng(0).integers(0, 65536, (60, 60), np.uint16))
    assert reason(content[: len(content) // 2]) == "the file is cut short"


def test_what_only_libtiff_reads():
    content = encoded(blotches(), "TIFF", compression="tiff_jpeg")
    assert np.abs(pixels(content).astype(int) - COLOURS).mean() < 6


def test_too_many_pixels():
    content = raw_tiff((2**15, 2**14), 16, 1, b"")
    assert "too many pixels" in reason(content)


@pytest.mark.parametrize("compression", ["lzw", "deflate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_damaged_is_not_read_in_part(compression, dtype):
    noise = np.random.default_rng(0).integers(0, 2**16, (99, 99, 3)).astype(dtype)
    content = bytearray(tif(noise, photometric="rgb", compression=compression))
    middle = len(content) // 2
    content[middle : middle + 1000] = bytes(range(250)) * 4
    assert reason(bytes(content)) == "damaged TIFF data"


def test_fewer_strips_than_the_size_needs():
    content = tif(np.stack([ONE, OTHER]), photometric="minisblack", rowsperstrip=1)
    with tifffile.TiffFile(BytesIO(content)) as file:
        tag = file.pages[0].tags["ImageLength"]
    place = tag.valueoffset
    longer = content[:place] + struct.pack("<H", 60000) + content[place + 2 :]
    assert reason(longer) == "the file is cut short"


@pytest.mark.parametrize("target", ["first", "itself"])
def test_a_circle_of_pages(target):
    content = bytearray(tif(stack(3), photometric="minisblack"))
    with tifffile.TiffFile(BytesIO(content)) as file:
        first, last = file.pages[0].offset, file.pages[2].offset
    (n_tags,) = struct.unpack_from("<H", content, last)
    following = first if target == "first" else last
    struct.pack_into("<I", content, last + 2 + 12 * n_tags, following)
    # (Pillow reads the first page.)
    assert decode(bytes(content)).size == (64, 48)
