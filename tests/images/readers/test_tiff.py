import importlib.util
import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from helpers import make_image
from image_files import (
    blotches,
    encoded,
    first_row,
    grey_row,
    pixels,
    raw_tiff,
    reason,
)
from PIL import Image

from orangecontrib.imageanalytics.images import drawing
from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    decode,
    read_pages,
)
from orangecontrib.imageanalytics.images.readers import tiff_image

COLOURS = np.asarray(blotches())
GREYS = np.asarray(blotches().convert("L"))


def tif(array, **options):
    file = BytesIO()
    ome = options.get("ome", False)
    with tifffile.TiffWriter(
        file,
        bigtiff=options.pop("bigtiff", False),
        byteorder=options.pop("byteorder", None),
        imagej=options.pop("imagej", False),
        ome=options.pop("ome", False) if ome else None,
    ) as writer:
        writer.write(array, **options)
    return file.getvalue()


def likeness(found, expected):
    """Correlation: the range may differ."""
    return np.corrcoef(found.ravel(), expected.ravel())[0, 1]


def stretched(dtype, array=GREYS):
    """Greys over all of what a type can hold."""
    if np.dtype(dtype).kind == "f":
        return (array / 255).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return (array / 255 * (high - low) * 0.999 + low).astype(dtype)


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


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits_declare_their_range(bits):
    top = 2**bits - 1
    values = np.array([[0, top // 4, top // 2, top // 2]], np.uint16)
    content = tif(values, bitspersample=bits, compression="none")
    assert np.abs(np.subtract(grey_row(content), [0, 63, 127, 127])).max() <= 1


def test_12_bits_in_16():
    values = (GREYS.astype(np.uint16) << 4) + (GREYS >> 4)
    found = pixels(tif(values)).astype(int)
    assert np.abs(found[..., 0] - GREYS).max() <= 1 or likeness(found, GREYS) > 0.999
    colours = (COLOURS.astype(np.uint16) << 4) + (COLOURS >> 4)
    found = pixels(tif(colours, photometric="rgb"))
    assert np.abs(found.astype(int) - COLOURS).max() <= 1


@pytest.mark.parametrize("codes", [(340, 341), (280, 281)])
def test_tagged_range(codes):
    values = np.array([[0, 1000, 2000]], np.uint16)
    tags = [
        (code, "H", 1, value, True)
        for code, value in zip(codes, (0, 4000), strict=True)
    ]
    assert grey_row(tif(values, extratags=tags)) == [0, 64, 128]
    # That of the type says nothing.
    tags = [
        (code, "H", 1, value, True)
        for code, value in zip(codes, (0, 65535), strict=True)
    ]
    assert grey_row(tif(values, extratags=tags)) == [0, 128, 255]


def test_white_is_zero():
    content = tif(stretched("f4"), photometric="miniswhite")
    assert likeness(pixels(content)[..., 0], 255 - GREYS) > 0.999
    content = tif(GREYS, photometric="miniswhite")
    assert (pixels(content)[..., 0] == 255 - GREYS).all()


def test_no_data():
    values = np.array([[-9999, 1, 2, -9999]], np.float32)
    content = tif(values, extratags=[(42113, "s", 0, "-9999", True)])
    assert grey_row(content) == [0, 0, 255, 0]


def test_opacity():
    values = np.zeros((1, 2, 4), np.uint16)
    values[..., 3] = 0, 65535
    content = tif(values, photometric="rgb", extrasamples=["unassalpha"])
    assert first_row(content) == [(255,) * 3, (0,) * 3]
    grey = np.array([[[0, 0], [0, 65535], [65535, 65535]]], np.uint16)
    content = tif(
        grey,
        photometric="minisblack",
        extrasamples=["unassalpha"],
        planarconfig="contig",
    )
    assert grey_row(content) == [255, 0, 255]


@pytest.mark.parametrize("compression", ["none", "deflate"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_colours_multiplied_by_their_opacity(dtype, planar, compression):
    top = 1 if dtype == "f4" else np.iinfo(dtype).max
    colours = COLOURS / 255 * 0.5
    array = np.concatenate([colours, np.full((48, 64, 1), 0.5)], axis=2) * top
    array = (array if dtype == "f4" else np.rint(array)).astype(dtype)
    expected = COLOURS * 0.5 + 127.5
    if planar == "separate":
        array = np.moveaxis(array, -1, 0)
    content = tif(
        array,
        photometric="rgb",
        extrasamples=["assocalpha"],
        planarconfig=planar,
        compression=compression,
    )
    assert np.abs(pixels(content) - expected).max() <= 2


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_opacity_in_a_plane_of_its_own(dtype):
    top = np.iinfo(dtype).max
    array = np.zeros((4, 1, 2), dtype)
    array[0], array[3, 0, 1] = top, top
    content = tif(
        array, photometric="rgb", extrasamples=["unassalpha"], planarconfig="separate"
    )
    assert first_row(content) == [(255, 255, 255), (255, 0, 0)]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_inks(planar):
    ink = np.zeros((1, 3, 4), np.uint8)
    ink[0, 1, 1:3] = ink[0, 2, 0] = 255
    if planar == "separate":
        ink = np.moveaxis(ink, -1, 0)
    content = tif(ink, photometric="separated", planarconfig=planar)
    assert first_row(content) == [(255,) * 3, (255, 0, 0), (0, 255, 255)]


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "zstd", "lzma"])
def test_video_colours(compression):
    """YCbCr, ITU-R BT.601, as TIFF has it by default."""
    video = np.asarray(blotches().convert("YCbCr"))
    content = tif(
        video, photometric="ycbcr", subsampling=(1, 1), compression=compression
    )
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 3


def test_video_colours_in_planes():
    video = np.moveaxis(np.asarray(blotches().convert("YCbCr")), -1, 0)
    content = tif(
        video, photometric="ycbcr", subsampling=(1, 1), planarconfig="separate"
    )
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 3


def test_tiles_that_reach_beyond_the_image():
    greys = np.asarray(make_image(0, (100, 70)).convert("L"))
    content = tif(255 - greys, photometric="miniswhite", tile=(32, 48))
    assert (pixels(content)[..., 0] == greys).all()
    assert reason(content[:-3000]) == "the file is cut short"


def test_a_palette_of_bytes():
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, 1], colormap[:, 2] = (255, 0, 0), (0, 128, 255)
    values = np.array([[0, 1, 2]], np.uint8)
    content = tif(values, photometric="palette", colormap=colormap)
    assert first_row(content) == [(0, 0, 0), (255, 0, 0), (0, 128, 255)]
    # Of 16 bits, as it should be.
    content = tif(values, photometric="palette", colormap=colormap * 257)
    assert first_row(content) == [(0, 0, 0), (255, 0, 0), (0, 128, 255)]


def test_bits_from_the_lowest_on():
    bits = np.packbits(GREYS[:, :64] > 128, axis=1)
    plain = raw_tiff((64, 48), 1, 1, bits.tobytes())
    turned = np.packbits(GREYS[:, :64] > 128, axis=1, bitorder="little").tobytes()
    content = raw_tiff((64, 48), 1, 1, turned)
    # The number of samples is 1 in any case: its place is used to tell the order.
    tag = struct.pack("<HHII", 277, 4, 1, 1)
    assert tag in content
    content = content.replace(tag, struct.pack("<HHII", 266, 4, 1, 2))
    assert (pixels(content) == pixels(plain)).all()
    assert 0 < pixels(plain).mean() < 255


def test_a_number_of_bits_beyond_reason():
    content = raw_tiff((4, 4), 2**31 + 1, 1, bytes(100))
    assert "TIFF" in reason(content)


def test_cmyk_of_16_bits():
    ink = np.zeros((1, 2, 4), np.uint16)
    ink[0, 1, 1:3] = 65535
    assert first_row(tif(ink, photometric="separated")) == [(255,) * 3, (255, 0, 0)]


def test_palette_of_16_bits():
    colormap = np.zeros((3, 65536), np.uint16)
    colormap[0, 300] = 65535
    values = np.array([[0, 300]], np.uint16)
    content = tif(values, photometric="palette", colormap=colormap)
    assert first_row(content) == [(0, 0, 0), (255, 0, 0)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bits(orientation):
    values = np.zeros((8, 16), np.uint16)
    values[:4, :8] = 60000  # top left
    content = tif(values, extratags=[(274, "H", 1, orientation, True)])
    array = np.zeros((8, 16, 3), np.uint8)
    array[:4, :8] = 255
    plain = tif(array, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    found, expected = pixels(content), pixels(plain)
    assert found.shape == expected.shape
    assert ((found > 200) == (expected > 200)).all()
    header = content_header(content)
    assert (header.height, header.width) == expected.shape[:2]


def test_orientation_of_each_page():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for orientation in (1, 6, 3):
            writer.write(
                COLOURS,
                photometric="rgb",
                metadata=None,
                extratags=[(274, "H", 1, orientation, True)],
            )
    content = file.getvalue()
    assert (pixels(content) == COLOURS).all()
    assert (pixels(content, page=2) == np.rot90(COLOURS, -1)).all()
    assert (pixels(content, page=3) == np.rot90(COLOURS, 2)).all()


# Thumbnails ---------------------------------------------------------------------------


def with_thumbnail(first, then, **options):
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(first, photometric="rgb", **options)
        writer.write(then, photometric="rgb")
    return file.getvalue()


BIG = np.asarray(make_image(5, (640, 480)))
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


def test_smaller_versions_suffice():
    file = BytesIO()
    halves = [BIG, BIG[::2, ::2], BIG[::4, ::4]]
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(halves[0], photometric="rgb", subifds=2)
        for half in halves[1:]:
            writer.write(half, photometric="rgb", subfiletype=1)
    content = file.getvalue()
    assert decode(content).size == (640, 480)
    assert decode(content, at_least=(300, 200)).size == (320, 240)
    assert decode(content, at_least=(10, 10)).size == (160, 120)
    assert content_header(content) == Header("TIFF", 640, 480)


def test_the_largest_version_that_can_be_read(monkeypatch):
    file = BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(BIG, photometric="rgb", subifds=1)
        writer.write(BIG[::2, ::2], photometric="rgb", subfiletype=1)
    monkeypatch.setattr(tiff_image, "MAX_PIXELS", 100_000)
    assert decode(file.getvalue()).size == (320, 240)


# Channels and planes ------------------------------------------------------------------


def channel(seed, dtype=np.uint16):
    grey = np.asarray(make_image(seed).convert("L")).astype(dtype)
    return grey * 2 + 100


ONE, OTHER = channel(1), channel(2)
MAGENTA, GREEN = (255, 0, 255), (0, 255, 0)


def levels(array):
    """What a channel is scaled to by itself."""
    return pixels(tif(array))[..., 0].astype(int)


def composed(*parts):
    total = sum(
        levels(array)[..., None] * np.array(colour) // 255 for array, colour in parts
    )
    return np.minimum(total, 255)


def assert_composed(content, *parts):
    assert np.abs(pixels(content).astype(int) - composed(*parts)).max() <= 1


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_two_channels_in_a_page(planar):
    axis = -1 if planar == "contig" else 0
    content = tif(
        np.stack([ONE, OTHER], axis), photometric="minisblack", planarconfig=planar
    )
    assert_composed(content, (ONE, MAGENTA), (OTHER, GREEN))
    assert content_header(content) == Header("TIFF", 64, 48, is_plain=False)


def test_five_channels_in_a_page():
    channels = [channel(seed) for seed in range(5)]
    content = tif(np.stack(channels), photometric="minisblack", planarconfig="separate")
    colours = [MAGENTA, GREEN, (0, 255, 255), (255, 255, 0), (255, 0, 0)]
    assert_composed(content, *zip(channels, colours, strict=True))


def test_channels_of_imagej():
    array = np.stack([ONE, OTHER])
    red_to_white = np.zeros((3, 256), np.uint8)
    red_to_white[0] = range(256)
    blue = red_to_white[::-1]
    content = tif(
        array,
        imagej=True,
        metadata={"axes": "CYX", "mode": "composite", "LUTs": [red_to_white, blue]},
    )
    assert_composed(content, (ONE, (255, 0, 0)), (OTHER, (0, 0, 255)))
    content = tif(array, imagej=True, metadata={"axes": "CYX"})
    assert_composed(content, (ONE, MAGENTA), (OTHER, GREEN))


def test_display_ranges_of_imagej():
    values = np.array([[0, 1000, 2000]], np.uint16)
    content = tif(values, imagej=True, metadata={"min": 0.0, "max": 4000.0})
    assert grey_row(content) == [0, 64, 128]
    both = np.stack([values, values])
    content = tif(
        both,
        imagej=True,
        metadata={"axes": "CYX", "Ranges": (0.0, 4000.0, 0.0, 2000.0)},
    )
    assert first_row(content) == [(0, 0, 0), (64, 128, 64), (128, 255, 128)]


def ome(array, axes, **channel):
    metadata = {"axes": axes, "Channel": channel} if channel else {"axes": axes}
    return tif(array, ome=True, photometric="minisblack", metadata=metadata)


def colour_number(red, green, blue):
    number = red << 24 | green << 16 | blue << 8 | 255
    return number - 2**32 if number >= 2**31 else number


def test_channels_of_ome():
    array = np.stack([ONE, OTHER])
    colours = [colour_number(0, 0, 255), colour_number(255, 128, 0)]
    content = ome(array, "CYX", Name=["DAPI", "Cy3"], Color=colours)
    assert_composed(content, (ONE, (0, 0, 255)), (OTHER, (255, 128, 0)))
    # White for each is what programs write that know none.
    content = ome(array, "CYX", Color=[-1, -1])
    assert_composed(content, (ONE, MAGENTA), (OTHER, GREEN))


def stack(n_planes, *axes):
    shape = (n_planes, *axes, *ONE.shape)
    rng = np.random.default_rng(0)
    return rng.integers(0, 4096, shape).astype(np.uint16)


@pytest.mark.parametrize("blank", [(), (0,), (0, 1)])
@pytest.mark.parametrize("kind", ["ome", "imagej", "shaped"])
def test_the_middle_plane_stands_for_a_stack(kind, blank):
    planes = stack(5)
    planes[list(blank)] = 0
    options = {
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "shaped": {},
    }[kind]
    content = tif(planes, photometric="minisblack", **options)
    assert (pixels(content)[..., 0] == levels(planes[2])).all()
    assert content_header(content) == Header(
        "TIFF", 64, 48, has_more=True, is_plain=False
    )


def test_the_lower_of_two_middle_planes():
    planes = stack(4)
    assert (
        pixels(tif(planes, photometric="minisblack"))[..., 0] == levels(planes[1])
    ).all()


def test_the_brightest_plane_stands_for_a_stack_whose_middle_is_blank():
    planes = stack(5)
    planes[2] = 7
    planes[[0, 1, 3]] //= 2
    content = tif(planes, photometric="minisblack")
    assert (pixels(content)[..., 0] == levels(planes[4])).all()


def test_a_dim_plane_stands_for_a_stack_rather_than_a_blank_one():
    """Even if that is of the brightest number of all."""
    planes = stack(5)
    planes[1:] = 60000
    content = tif(planes, photometric="minisblack")
    assert (pixels(content)[..., 0] == levels(planes[0])).all()


@pytest.mark.parametrize("blank", [0, 200])
def test_blank_pages_of_8_bits(blank):
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for array in (np.full_like(COLOURS, blank), COLOURS, COLOURS[::-1]):
            writer.write(array, photometric="rgb", metadata=None)
    assert (pixels(file.getvalue()) == COLOURS).all()


def test_a_blank_first_page_of_another_kind():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.zeros_like(COLOURS), photometric="rgb", metadata=None)
        writer.write(GREYS, photometric="minisblack", metadata=None)
    assert (pixels(file.getvalue())[..., 0] == GREYS).all()


def test_colours_on_an_axis_of_channels():
    array = np.stack([COLOURS, COLOURS[::-1]])
    content = tif(array, ome=True, photometric="rgb", metadata={"axes": "CYXS"})
    assert (pixels(content) == COLOURS).all()
    assert (pixels(content, page=2) == COLOURS[::-1]).all()


def test_planes_and_channels_and_times():
    planes = stack(3, 5, 2)
    content = ome(planes, "TZCYX")
    assert_composed(content, (planes[1, 2, 0], MAGENTA), (planes[1, 2, 1], GREEN))
    content = ome(np.moveaxis(planes, 2, 0), "CTZYX")
    assert_composed(content, (planes[1, 2, 0], MAGENTA), (planes[1, 2, 1], GREEN))


def test_first_of_pages():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for seed in range(3):
            writer.write(np.asarray(make_image(seed)), photometric="rgb", metadata=None)
    content = file.getvalue()
    assert (pixels(content) == np.asarray(make_image(0))).all()
    assert content_header(content) == Header("TIFF", 64, 48, has_more=True)


def test_pages_of_microscopes_are_planes():
    file = BytesIO()
    planes = stack(5)
    with tifffile.TiffWriter(file) as writer:
        for plane in planes:
            writer.write(plane, photometric="minisblack", metadata=None)
    assert (pixels(file.getvalue())[..., 0] == levels(planes[2])).all()


def test_a_blank_first_page():
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for array in (np.zeros_like(COLOURS), COLOURS):
            writer.write(array, photometric="rgb", metadata=None)
    assert (pixels(file.getvalue()) == COLOURS).all()


def test_large_stacks_of_imagej_have_one_page():
    planes = stack(5)
    content = tif(planes, imagej=True, metadata={"axes": "ZYX"}, contiguous=True)
    with tifffile.TiffFile(BytesIO(content)) as file:
        first = file.pages[0]
        place = first.offset + 2 + 12 * len(first.tags)
        order = file.byteorder
        # Its only page says how many planes lie one after the other.
        assert first.is_contiguous
    cut = content[:place] + struct.pack(order + "I", 0) + content[place + 4 :]
    with tifffile.TiffFile(BytesIO(cut)) as file:
        assert len(file.pages) == 1
    assert (pixels(cut)[..., 0] == levels(planes[2])).all()
    assert (pixels(cut, page=4)[..., 0] == levels(planes[3])).all()


# Pages --------------------------------------------------------------------------------


@pytest.fixture
def pages_of(tmp_path):
    def pages_of_(content):
        path = tmp_path / "stack.tif"
        path.write_bytes(content)
        return read_pages(str(path))

    return pages_of_


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


def test_pages_where_channels_come_first(pages_of):
    planes = stack(2, 3)
    content = ome(planes, "CZYX")
    names = [name for name, _, _ in pages_of(content)]
    assert names[:3] == ["Z 1, channel 1", "Z 1, channel 2", "Z 2, channel 1"]
    assert (pixels(content, page=3)[..., 0] == levels(planes[0, 1])).all()


def test_channels_of_a_page_are_pages(pages_of):
    array = np.stack([ONE, OTHER], -1)
    content = tif(array, photometric="minisblack", planarconfig="contig")
    assert [name for name, _, _ in pages_of(content)] == ["channel 1", "channel 2"]
    assert (pixels(content, page=2)[..., 0] == levels(OTHER)).all()


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
