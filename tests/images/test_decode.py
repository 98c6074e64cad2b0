import os
import random
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import tifffile
from image_files import (
    blotches,
    encoded,
    first_row,
    grey_row,
    header_reason,
    pixels,
    raw_png,
    raw_tiff,
    reason,
)
from PIL import Image, ImageFile

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import colour, lazy_image
from orangecontrib.imageanalytics.images.decode import (
    MAX_PIXELS,
    Header,
    content_header,
    decode,
    read_header,
    read_pages,
)
from orangecontrib.imageanalytics.images.readers import pillow

WHITE = (255, 255, 255)
ORIENTATION = 274


LOSSLESS = ["PNG", "TIFF", "BMP", "PPM", "TGA", "PCX", "SGI", "DIB", "QOI", "DDS"]
LOSSY = ["JPEG", "WEBP", "AVIF", "HEIF", "JPEG2000"]
OLD_PILLOW = "this Pillow does not write it"


@pytest.mark.parametrize("name", LOSSLESS + LOSSY)
def test_formats(name, tmp_path):
    image = blotches()
    try:
        content = encoded(image, name)
    except KeyError:
        pytest.skip(OLD_PILLOW)
    difference = np.abs(pixels(content).astype(int) - np.asarray(image))
    assert difference.max() == 0 if name in LOSSLESS else difference.mean() < 6
    path = tmp_path / f"image.{name.lower()}"
    path.write_bytes(content)
    assert read_header(str(path)) == Header(name, 64, 48)
    assert content_header(path.read_bytes()) == Header(name, 64, 48)


def test_wrong_extension(tmp_path):
    path = tmp_path / "really a png.JPG"
    path.write_bytes(encoded(blotches(), "PNG"))
    assert read_header(str(path)) == Header("PNG", 64, 48)


def test_tga_in_a_folder_needs_its_extension(tmp_path):
    content = encoded(blotches(), "TGA")
    for name in ("a.TGA", "a.bin"):
        (tmp_path / name).write_bytes(content)
    assert read_header(str(tmp_path / "a.TGA")).format == "TGA"
    assert header_reason(tmp_path / "a.bin") == "not an image"


def test_the_first_frame_and_the_largest_icon():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    for name in ("GIF", "TIFF", "WEBP", "PNG", "AVIF"):
        options = {} if name in ("GIF", "TIFF", "PNG") else {"lossless": True}
        if name == "AVIF":
            options = {"quality": 100, "subsampling": "4:4:4"}
        content = encoded(
            frames[0], name, save_all=True, append_images=frames[1:], **options
        )
        red, green, blue = first_row(content)[0]
        assert red > 250 and green < 5 and blue < 5, name
    icon = encoded(Image.new("RGBA", (64, 64)), "ICO", sizes=[(16, 16), (64, 64)])
    assert decode(icon).size == (64, 64)


HALF_RED = Image.new("RGBA", (2, 1), (255, 0, 0, 128))
HALF_RED.putpixel((1, 0), (0, 0, 255, 0))
PINK = (255, 127, 127)


def with_palette(transparency=None):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(image, "PNG", **options)


MODES = {
    "L": (encoded(Image.new("L", (2, 1), 77), "PNG"), [(77,) * 3] * 2),
    "1": (encoded(Image.frombytes("1", (2, 1), b"\x40"), "PNG"), [(0,) * 3, WHITE]),
    "P": (with_palette(), [(255, 0, 0), (0, 0, 255)]),
    "P, one transparent": (with_palette(1), [(255, 0, 0), WHITE]),
    "P, alpha": (with_palette(b"\x80\x00"), [PINK, WHITE]),
    "RGBA": (encoded(HALF_RED, "PNG"), [PINK, WHITE]),
    "RGBA, WebP": (encoded(HALF_RED, "WEBP", lossless=True), [PINK, WHITE]),
    "RGBA, TIFF": (encoded(HALF_RED, "TIFF"), [PINK, WHITE]),
    "LA": (encoded(Image.new("LA", (2, 1), (0, 128)), "PNG"), [(127,) * 3] * 2),
    "RGB, transparent": (
        encoded(Image.new("RGB", (2, 1), "red"), "PNG", transparency=(255, 0, 0)),
        [WHITE] * 2,
    ),
    "L, transparent": (
        encoded(Image.new("L", (2, 1), 7), "PNG", transparency=7),
        [WHITE] * 2,
    ),
    "GIF, transparent": (
        encoded(Image.new("P", (2, 1)), "GIF", transparency=0),
        [WHITE] * 2,
    ),
    "2 bits": (raw_png((2, 1), 2, 0, b"\x60"), [(85,) * 3, (170,) * 3]),
    "2 bits, transparent": (
        raw_png((2, 1), 2, 0, b"\x60", b"\0\2"),
        [(85,) * 3, WHITE],
    ),
    "4 bits, transparent": (
        raw_png((2, 1), 4, 0, b"\x12", b"\0\2"),
        [(17,) * 3, WHITE],
    ),
    "1 bit, transparent": (
        raw_png((2, 1), 1, 0, b"\x40", b"\0\0"),
        [WHITE, WHITE],
    ),
    "RGB of 16 bits, transparent": (
        raw_png(
            (2, 1),
            16,
            2,
            b"\x11\x22\x33\x44\x55\x66" + b"\x80\0" * 3,
            b"\x11\x22\x33\x44\x55\x66",
        ),
        [WHITE, (128,) * 3],
    ),
    "LA of 16 bits": (
        raw_png((2, 1), 16, 4, b"\x11\x11\0\0\x80\x80\xff\xff"),
        [WHITE, (128,) * 3],
    ),
    "16 bits, transparent": (
        raw_png((2, 1), 16, 0, b"\x11\x22\x80\x80", b"\x11\x22"),
        [WHITE, (128,) * 3],
    ),
    "CMYK, TIFF": (
        encoded(Image.new("CMYK", (2, 1), (0, 255, 255, 51)), "TIFF"),
        [(204, 0, 0)] * 2,
    ),
}


@pytest.mark.parametrize("name", MODES)
def test_modes(name):
    content, expected = MODES[name]
    assert np.abs(np.array(first_row(content)) - expected).max() <= 2


def test_modes_that_no_file_here_has():
    for mode, red in (("HSV", (0, 255, 255)), ("RGBX", (255, 0, 0, 9))):
        image = colour.to_rgb(Image.new(mode, (1, 1), red))
        assert image.getpixel((0, 0)) == (255, 0, 0)
    ycbcr = Image.new("YCbCr", (1, 1), (76, 85, 255))
    assert colour.to_rgb(ycbcr).getpixel((0, 0)) == (254, 0, 0)
    premultiplied = Image.new("RGBa", (1, 1), (128, 0, 0, 128))
    assert colour.to_rgb(premultiplied).getpixel((0, 0)) == PINK
    la = Image.new("LA", (1, 1), (0, 128)).convert("La")
    assert colour.to_rgb(la).getpixel((0, 0)) == (127,) * 3
    pa = Image.new("PA", (1, 1), (0, 0))
    assert colour.to_rgb(pa).getpixel((0, 0)) == WHITE


def test_lab():
    # L is held as a share of 255, a and b with 128 added. Red, in the light of
    # D50, is 54.3, 80.8, 69.9.
    red = first_row(encoded(Image.new("LAB", (1, 1), (138, 209, 198)), "TIFF"))
    assert np.abs(np.array(red) - [255, 0, 0]).max() < 8
    grey = first_row(encoded(Image.new("LAB", (1, 1), (128, 128, 128)), "TIFF"))
    assert np.abs(np.array(grey) - 119).max() < 3


def test_cmyk_jpeg():
    content = encoded(blotches().convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in content
    assert np.abs(pixels(content).astype(int) - np.asarray(blotches())).mean() < 5


GREYS = [0, 128 * 257, 65535, 100 * 257]
LEVELS = [0, 128, 255, 100]


@pytest.mark.parametrize("order", "<>")
def test_16_bits(order):
    values = np.array([GREYS], dtype=order + "u2")
    assert grey_row(raw_tiff((4, 1), 16, 1, values.tobytes(), order)) == LEVELS
    inverted = (65535 - values).tobytes()
    if order == "<":
        assert grey_row(raw_tiff((4, 1), 16, 0, inverted, order)) == LEVELS


def test_16_bits_of_other_formats():
    image = Image.fromarray(np.array([GREYS], dtype=np.uint16))
    for name in ("PNG", "TIFF", "PPM"):
        assert grey_row(encoded(image, name)) == LEVELS, name


def test_16_bits_in_part_of_the_range():
    dark = Image.fromarray(np.array([[0, 257, 514]], dtype=np.uint16))
    for name in ("PNG", "TIFF", "PPM"):
        assert grey_row(encoded(dark, name)) == [0, 128, 255], name
        assert grey_row(encoded(dark, name), intensity="full") == [0, 1, 2], name


def test_12_bits():
    assert grey_row(raw_tiff((2, 1), 12, 1, b"\xff\xf8\x04")) == [255, 128]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([0.2, 0.4, 0.4], [0, 255, 255]),
        ([0, 128, 255], [0, 128, 255]),
        ([100, 300, 500], [0, 128, 255]),
        ([-1, 0, 1], [0, 128, 255]),
        ([np.nan, 0.4, np.inf, 0.9, 0.1], [0, 102, 0, 229, 26]),
        ([np.nan, -4, 2], [0, 0, 255]),
        ([np.nan] * 3, [0] * 3),
        ([1000] * 3, [4] * 3),
        ([-3e38, 0, 3e38], [0, 128, 255]),
    ],
)
def test_floats(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert grey_row(encoded(image, "TIFF")) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 128, 255], [0, 128, 255]),
        ([0, 257, 65535], [0, 1, 255]),
        ([0, 500_000, 1_000_000], [0, 128, 255]),
        ([-(2**31), 0, 2**31 - 1], [0, 128, 255]),
    ],
)
def test_32_bit_integers(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.int32))
    assert grey_row(encoded(image, "TIFF")) == expected


# Where the red of the stored image's top left quarter is to be seen.
CORNERS = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}


def with_orientation(orientation, name="JPEG"):
    """A stored 32x16 image: red top left, lime top right, blue below."""
    image = Image.new("RGB", (32, 16), "blue")
    image.paste("red", (0, 0, 16, 8))
    image.paste("lime", (16, 0, 32, 8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"tiffinfo": exif} if name == "TIFF" else {"exif": exif}
    if name == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    return encoded(image, name, **options)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation, name, tmp_path):
    if name == "HEIF":
        # HEIF keeps the orientation apart from EXIF; its decoder applies it.
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        image = decode(with_orientation(1, "PNG"))
        content = encoded(image, "HEIF", exif=exif.tobytes())
    else:
        content = with_orientation(orientation, name)
    image = decode(content)
    assert image.size == ((32, 16) if orientation < 5 else (16, 32))
    path = tmp_path / "a"
    path.write_bytes(content)
    header = read_header(str(path))
    assert (header.width, header.height) == image.size
    if name == "HEIF" and orientation > 1:
        # Writing an orientation is up to the encoder's version.
        return
    array = np.asarray(image).astype(int)
    height, width = array.shape[:2]
    quarters = {
        "tl": array[: height // 2, : width // 2],
        "tr": array[: height // 2, width // 2 :],
        "bl": array[height // 2 :, : width // 2],
        "br": array[height // 2 :, width // 2 :],
    }
    colours = {place: tuple(q.mean(axis=(0, 1))) for place, q in quarters.items()}
    assert max(colours, key=lambda place: colours[place][0]) == CORNERS[orientation]
    # Transposed images have lime below or above the red, others beside it.
    vertical = {"t": "b", "b": "t"}
    horizontal = {"l": "r", "r": "l"}
    v, h = CORNERS[orientation]
    lime = v + horizontal[h] if orientation < 5 else vertical[v] + h
    assert max(colours, key=lambda place: colours[place][1]) == lime


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x63\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\2\0\1\0\0\0\6\0\0\0",
        b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0",
    ],
)
def test_corrupt_exif(exif, tmp_path):
    for name in ("JPEG", "WEBP"):
        content = encoded(blotches(), name, exif=exif)
        assert decode(content).size == (64, 48)
        (tmp_path / "a").write_bytes(content)
        assert read_header(str(tmp_path / "a")) == Header(name, 64, 48)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("at_least", "scale"),
    [((100, 50), 4), ((101, 50), 2), ((50, 25), 8), ((1, 1), 8), ((400, 201), 1),
     ((5000, 5000), 1), ((0, 0), 8)],
)  # fmt: skip
def test_reduced_jpegs(orientation, at_least, scale):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = blotches((400, 200))
    content = encoded(image, "JPEG", exif=exif)
    if orientation == 6:
        at_least = at_least[::-1]
    reduced = decode(content, at_least=at_least)
    expected = (400 // scale, 200 // scale)
    assert reduced.size == (expected[::-1] if orientation == 6 else expected)
    whole = decode(content).resize(reduced.size, Image.Resampling.BOX)
    difference = np.asarray(whole).astype(int) - np.asarray(reduced)
    assert np.abs(difference).mean() < 3
    assert decode(encoded(image, "PNG"), at_least=(10, 10)).size == (400, 200)


def test_not_images(tmp_path):
    assert reason(b"") == "file is empty"
    texts = (b"a", b"text", b"BMW, Audi, Opel", b"/* a style sheet */ a { }", b"{}")
    for text in (*texts, b"\0" * 100, b"<html></html>", b"%!PS-Adobe-3.0 EPSF-3.0"):
        path = tmp_path / "text.jpg"
        path.write_bytes(text)
        if text.startswith(b"%!PS"):
            expected = "PostScript is not read: export it as an image"
        elif text.startswith(b"BM"):
            expected = "the file is cut short"
        else:
            expected = "not an image"
        assert reason(text) == header_reason(path) == expected
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.png").mkdir()
    assert header_reason(tmp_path / "empty.jpg") == "file is empty"
    assert header_reason(tmp_path / "folder.png") == "is a folder"
    assert header_reason(tmp_path / "none.png") == "file not found"


@pytest.mark.parametrize("name", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"])
def test_cut_short(name):
    content = encoded(blotches(), name)
    for length in (len(content) // 2, len(content) * 9 // 10):
        message = reason(content[:length])
        assert message in ("the file is cut short", f"damaged {name} data")
        if name in ("JPEG", "PNG"):
            assert message == "the file is cut short"


def test_damaged():
    content = bytearray(encoded(blotches(), "PNG"))
    place = content.index(b"IDAT") + 20
    content[place : place + 8] = b"\xff" * 8
    assert reason(bytes(content)) == "damaged PNG data"


def test_decompression_bombs(tmp_path):
    bomb = raw_png((50_000, 50_000), 8, 2, b"\0" * 150_000)
    assert len(bomb) < 10_000
    expected = "too many pixels (50000x50000; the limit is 268 million)"
    assert reason(bomb) == expected
    (tmp_path / "bomb.png").write_bytes(bomb)
    assert header_reason(tmp_path / "bomb.png") == expected
    icon = struct.pack("<HHHBBHHII", 0, 1, 1, 0, 0, 1, 32, len(bomb), 22) + bomb
    reason(icon)


def test_just_below_the_limit_is_silent(tmp_path, recwarn):
    side = int(MAX_PIXELS**0.5)
    path = tmp_path / "large.png"
    path.write_bytes(raw_png((side, side), 8, 0, b""))
    warnings.simplefilter("error")
    assert read_header(str(path)) == Header("PNG", side, side)
    assert not recwarn


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_extreme_shapes(size, name):
    content = encoded(Image.new("RGB", size, "red"), name)
    assert decode(content, at_least=(224, 224)).size == size
    assert decode(content).getpixel((0, 0))[0] > 250


def test_60_megapixels():
    content = encoded(Image.new("L", (10_000, 6_000), 9), "JPEG")
    assert decode(content, at_least=(448, 448)).size == (1250, 750)
    assert decode(content).size == (10_000, 6_000)


def test_no_memory(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(colour, "to_rgb", fail)
    assert reason(encoded(blotches(), "PNG")) == "not enough memory to decode it"


def test_pillow_is_left_as_it_was():
    def settings():
        return Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES

    before = settings()
    filters = list(warnings.filters)
    decode(encoded(blotches(), "HEIF"))
    with pytest.raises(ImageError):
        decode(encoded(blotches(), "JPEG")[:-100])
    assert settings() == before
    assert warnings.filters == filters


def test_many_threads():
    contents = [encoded(blotches(), name) for name in ("JPEG", "PNG", "WEBP", "TIFF")]
    contents.append(contents[0][:-300])

    def outcome(content):
        try:
            return decode(content).tobytes()
        except ImageError as error:
            return str(error)

    expected = [outcome(content) for content in contents]
    pillow._factory.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, contents * 40)) == expected * 40


def damaged(content, rng):
    content = bytearray(content)
    if rng.random() < 0.3:
        del content[rng.randrange(len(content)) :]
    reach = rng.choice((40, 400, len(content)))
    for _ in range(rng.choice((1, 1, 3, 20))):
        if content:
            content[rng.randrange(min(len(content), reach))] = rng.randrange(256)
    return bytes(content)


def everyday_files():
    contents = [encoded(blotches(), name) for name in (*LOSSLESS[:-2], *LOSSY)]
    contents += [content for content, _ in MODES.values()]
    contents += [encoded(blotches().quantize(), name) for name in ("GIF", "TIFF")]
    contents += [with_orientation(6), with_orientation(6, "TIFF")]
    contents += [
        encoded(blotches(), "TIFF", compression=compression)
        for compression in ("tiff_lzw", "tiff_jpeg", "tiff_adobe_deflate")
    ]
    contents += [encoded(blotches().convert("RGBA"), name) for name in ("ICO", "ICNS")]
    contents.append(encoded(blotches().convert("1"), "XBM"))
    contents.append(b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9"/></svg>')
    return contents


def files_of_science():
    deep = np.asarray(blotches()).astype(np.uint16) * 200
    contents = [
        imagecodecs.jpeg2k_encode(deep),
        imagecodecs.jpegls_encode(deep),
        imagecodecs.jpegxl_encode(deep),
        imagecodecs.jpegxr_encode(deep),
        imagecodecs.png_encode(deep),
    ]
    for compression in ("none", "deflate", "lzw", "zstd", "jpeg2000", "jpegxr"):
        file = BytesIO()
        tifffile.imwrite(file, deep, photometric="rgb", compression=compression)
        contents.append(file.getvalue())
    for array, options in (
        (np.stack([deep[..., 0]] * 6).reshape(3, 2, 48, 64), {"ome": True}),
        (deep.astype(np.float32), {"tile": (16, 16)}),
        (deep[..., 0], {"imagej": True}),
    ):
        file = BytesIO()
        tifffile.imwrite(file, array, **options)
        contents.append(file.getvalue())
    return contents


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("files", [everyday_files, files_of_science])
def test_damage_of_any_kind_is_an_image_error(files, tmp_path, capfd):
    contents = files()
    rng = random.Random(1)
    path = str(tmp_path / "damaged")
    n_decoded = n_refused = 0
    for _ in range(150):
        content = damaged(rng.choice(contents), rng)
        with open(path, "wb") as file:
            file.write(content)
        for read, *arguments in (
            (decode, content),
            (decode, content, (20, 20), 2, (0, 99)),
            (read_header, path),
            (read_pages, path),
        ):
            try:
                read(*arguments)
                n_decoded += 1
            except ImageError as error:
                assert str(error) != "damaged data"
                n_refused += 1
    assert n_decoded > 20 and n_refused > 20
    os.remove(path)


def test_header_needs_no_pixels(tmp_path):
    content = encoded(blotches((500, 375)), "JPEG")
    path = tmp_path / "a.jpg"
    path.write_bytes(content[: len(content) // 3])
    assert read_header(str(path)) == Header("JPEG", 500, 375)
    with pytest.raises(ImageError, match="cut short"):
        decode(path.read_bytes())


def test_more_pages_than_could_be_listed(tmp_path, monkeypatch):
    """Files of 200 bytes may claim to have millions."""
    monkeypatch.setattr(lazy_image, "MAX_PAGES", 2)
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    animated = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    stack = BytesIO()
    planes = np.arange(192, dtype=np.uint16).reshape(3, 8, 8)
    tifffile.imwrite(stack, planes, photometric="minisblack")
    path = tmp_path / "many"
    for content in (animated, stack.getvalue()):
        path.write_bytes(content)
        with pytest.raises(ImageError, match=r"too many pages \(3; the limit is 2\)"):
            read_pages(str(path))
    # Of an animation one frame is enough; which plane stands for all is searched for.
    assert decode(animated).size == (8, 8)
    assert "too many pages" in reason(stack.getvalue())
