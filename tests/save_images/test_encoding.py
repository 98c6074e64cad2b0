import base64
import io
import os
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from saved_files import PIXEL, pixels_of, read, table

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.save_images import (
    FITS,
    FORMATS,
    Encoding,
    save_images,
)


def content(format="PNG", size=(64, 48), mode="RGB", **options):
    grey = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (grey, grey.rotate(180), grey)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def test_what_is_not_changed_is_copied():
    for format in FORMATS:
        if format.id == "pdf":
            continue
        original = content(format.pillow)
        encode = Encoding(format.id, quality=10)
        assert encode(original) is original
        size = Image.open(io.BytesIO(original)).size
        for fit in FITS:
            assert Encoding(format.id, size=size, fit=fit)(original) is original


def test_several_jpegs_in_one_file_are_a_jpeg():
    two = [Image.new("RGB", (64, 48), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    two[0].save(buffer, "MPO", save_all=True, append_images=two[1:])
    original = buffer.getvalue()
    assert Encoding("jpeg")(original) is original


def test_animations_are_copied():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert Encoding("gif")(buffer.getvalue()) == buffer.getvalue()


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.id)
def test_formats(format, photos, out):
    saving = save_images(table(photos[:2]), out, format=format.id, size=(100, 100))
    assert not saving.failures
    for _, path in saving.saved:
        assert path.endswith(format.extension)
        if format.id == "pdf":
            written = read(path)
            assert written.startswith(b"%PDF")
            assert b"%%EOF" in written
            continue
        with Image.open(path) as image:
            image.load()
            assert image.format == format.pillow
            assert image.size == (100, 75)
            seen = np.asarray(image.convert("RGB"), float)
        with Image.open(photos[0]) as original:
            expected = original.resize((100, 75), Image.Resampling.LANCZOS)
        if path == saving.saved[0][1]:
            difference = np.abs(seen - np.asarray(expected, float)).mean()
            assert difference < (12 if format.id == "gif" else 4)


def test_quality():
    original = content(size=(200, 200))
    for format in FORMATS:
        low, high = (Encoding(format.id, quality=q)(original) for q in (10, 95))
        assert (len(low) < len(high)) == format.lossy


def test_sizes():
    original = content(size=(64, 48))

    def size(*args):
        made = Encoding("bmp", 90, *args)(original)
        return Image.open(io.BytesIO(made)).size

    assert size((32, 32), "keep") == (32, 24)
    assert size((128, 1000), "keep") == (128, 96)
    assert size((32, 32), "stretch") == (32, 32)
    assert size((32, 32), "crop") == (32, 32)
    assert size(None) == (64, 48)
    assert size((1, 1), "keep") == (1, 1)


def test_crop_keeps_the_middle():
    image = Image.new("RGB", (90, 30), "red")
    image.paste("blue", (30, 0, 60, 30))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    made = Encoding("bmp", size=(10, 10), fit="crop")(buffer.getvalue())
    pixels = np.asarray(Image.open(io.BytesIO(made)), float)
    assert pixels[:, 1:-1, 2].min() > 250
    assert pixels[..., 2].min() > 200


def test_very_long_images():
    original = content(size=(5000, 1))
    made = Encoding("png", size=(50, 50))(original)
    assert Image.open(io.BytesIO(made)).size == (50, 1)
    made = Encoding("png", size=(50, 50), fit="crop")(original)
    assert Image.open(io.BytesIO(made)).size == (50, 50)


def test_icons():
    assert Image.open(io.BytesIO(Encoding("ico")(content(size=(600, 300))))).size == (
        256,
        128,
    )
    small = Encoding("ico")(content(size=(5, 3)))
    assert Image.open(io.BytesIO(small)).size == (5, 3)


def test_turned_photos():
    exif = Image.Exif()
    exif[0x0112] = 6
    original = content("JPEG", (64, 48), exif=exif)
    made = Image.open(io.BytesIO(Encoding("png")(original)))
    assert made.size == (48, 64)
    assert not made.getexif().get(0x0112)
    assert Encoding("jpeg", size=(48, 64))(original) is original
    made = Image.open(io.BytesIO(Encoding("jpeg", size=(24, 24))(original)))
    assert made.size == (18, 24)
    assert not made.getexif()


def test_all_modes_become_all_formats():
    sources = [
        content("PNG", mode=mode)
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    ]
    sources += [content("JPEG", mode="CMYK"), content("TIFF", mode="F")]
    sources.append(b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'/>")
    for original in sources:
        for format in FORMATS:
            assert Encoding(format.id)(original)
            assert Encoding(format.id, size=(20, 20))(original)


def test_colour_profiles():
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = rgb[:16] + b"CMYK" + rgb[20:]
    for format in ("jpeg", "png", "tiff", "webp"):
        for profile, kept in ((rgb, rgb), (other, None)):
            original = content("PNG", icc_profile=profile)
            made = Encoding(format, size=(9, 9), fit="stretch")(original)
            assert Image.open(io.BytesIO(made)).info.get("icc_profile") == kept


def test_private_data_do_not_go_along():
    exif = Image.Exif()
    exif[0x010E] = "at home"
    original = content("JPEG", exif=exif)
    for format in FORMATS:
        assert b"at home" not in Encoding(format.id, size=(9, 9))(original)


def test_what_a_format_cannot_hold():
    original = content(size=(20000, 2))
    with pytest.raises(ImageError, match="WebP holds at most 16,383 pixels a side"):
        Encoding("webp")(original)
    assert Encoding("jpeg")(original)


def test_errors_of_encoders(monkeypatch):
    def fail(*_, **__):
        raise zlib.error("odd")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match=r"cannot be made a TIFF \(odd\)"):
        Encoding("tiff")(base64.b64decode(PIXEL))


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_what_is_saved_is_what_the_network_sees(tmp_path, out, format):
    deep, plain = str(tmp_path / f"deep.{format}"), str(tmp_path / f"plain.{format}")
    values = np.linspace(100, 700, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(values).save(deep)
    Image.fromarray(values.astype(np.uint8)).save(plain)
    data = table([deep, plain])
    save_images(data, out, format=format)
    found = pixels_of(os.path.join(out, f"deep.{format}"))
    assert (found == decode(read(deep))).all()
    assert found.min() == 0 and found.max() == 255
    # Of 8 bits it is what it was.
    assert read(os.path.join(out, f"plain.{format}")) == read(plain)
    data.domain["image"].attributes["intensity"] = "0:1000"
    save_images(data, out, format=format, existing="overwrite")
    found = pixels_of(os.path.join(out, f"deep.{format}"))
    assert (found == decode(read(deep), intensity=(0, 1000))).all()
    assert found.max() == 178
