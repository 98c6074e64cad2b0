import struct
import zlib

import numpy as np
import pytest
from image_files import blotches, first_row, grey_row, pixels, reason

from orangecontrib.imageanalytics.images.decode import Header, content_header

COLOURS = np.asarray(blotches())
PLANES = np.moveaxis(COLOURS, -1, 0)
BITMAP, GREY, INDEXED, RGB, CMYK, DUOTONE, LAB = 0, 1, 2, 3, 4, 8, 9


def resource(number, content):
    padding = b"\0" * (len(content) % 2)
    return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + padding


def packbits(row):
    """The simplest there is: literal runs."""
    runs = (row[i : i + 128] for i in range(0, len(row), 128))
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def psd(
    planes,
    mode=RGB,
    version=1,
    compression=0,
    palette=b"",
    resources=b"",
    size=None,
    n_layers=0,
):
    """A file; the planes of channels one after the other, in the file's own dtype."""
    planes = np.asarray(planes)
    n_channels, height, width = planes.shape
    width = size or width
    depth = 1 if planes.dtype == bool else 8 * planes.dtype.itemsize
    if planes.dtype == bool:
        planes = np.packbits(planes, axis=2)
    else:
        planes = planes.astype(planes.dtype.newbyteorder(">"))
    head = struct.pack(
        ">4sH6xHIIHH", b"8BPS", version, n_channels, height, width, depth, mode
    )
    length = ">Q" if version == 2 else ">I"
    layers = struct.pack(length, 2) + struct.pack(">h", n_layers)
    if depth > 8:  # which are layers of their own kind, after others
        layers = struct.pack(length, 0) + bytes(4)
        layers += b"8BIMcinf" + struct.pack(">I", 3) + bytes(4)
        layers += b"8BIMLr16" + struct.pack(length, 2) + struct.pack(">hxx", n_layers)
    layers = struct.pack(length, len(layers)) + layers
    data = planes.tobytes()
    if compression == 1:
        rows = [packbits(row.tobytes()) for plane in planes for row in plane]
        kind = ">I" if version == 2 else ">H"
        data = b"".join(struct.pack(kind, len(row)) for row in rows) + b"".join(rows)
    elif compression == 2:
        data = zlib.compress(data)
    elif compression == 3:
        data = zlib.compress(np.diff(planes, axis=2, prepend=0).astype(planes.dtype))
    return (
        head
        + struct.pack(">I", len(palette))
        + palette
        + struct.pack(">I", len(resources))
        + resources
        + layers
        + struct.pack(">H", compression)
        + data
    )


@pytest.mark.parametrize("compression", range(4))
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours(dtype, version, compression):
    planes = PLANES.astype(dtype) * (257 if dtype == np.uint16 else 1)
    content = psd(planes, version=version, compression=compression)
    assert (pixels(content) == COLOURS).all()
    is_plain = dtype == np.uint8
    assert content_header(content) == Header("PSD", 64, 48, is_plain=is_plain)


@pytest.mark.parametrize("compression", range(3))
def test_floats(compression):
    content = psd((PLANES / 255).astype(np.float32), compression=compression)
    assert np.abs(pixels(content).astype(int) - COLOURS).max() <= 1


@pytest.mark.parametrize("compression", [0, 1])
@pytest.mark.parametrize("n_more", [1, 2])
def test_a_saved_selection_is_no_transparency(n_more, compression):
    masks = np.zeros((n_more, *PLANES.shape[1:]), np.uint8)
    masks[:, :20] = 255
    content = psd(np.concatenate([PLANES, masks]), compression=compression)
    assert (pixels(content) == COLOURS).all()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("is_on_white", [True, False])
@pytest.mark.parametrize("mode", [RGB, GREY])
def test_half_transparent(mode, is_on_white, dtype, version):
    factor = 257 if dtype == np.uint16 else 1
    colours = PLANES if mode == RGB else PLANES[:1]
    alpha = np.full((1, *PLANES.shape[1:]), 255, np.uint8)
    alpha[..., :30] = 128
    share = alpha / 255
    on_white = np.rint(colours * share + 255 * (1 - share)).astype(np.uint8)
    planes = np.concatenate([on_white if is_on_white else colours, alpha])
    content = psd(
        planes.astype(dtype) * factor, mode=mode, n_layers=-2, version=version
    )
    found = np.moveaxis(pixels(content), -1, 0).astype(int)
    assert np.abs(found - on_white).max() <= 1
    # Of a selection nothing is to be seen.
    selection = psd(planes.astype(dtype) * factor, mode=mode, n_layers=2)
    found = np.moveaxis(pixels(selection), -1, 0)
    assert (found[: len(colours)] == planes[:-1]).all()


def test_16_bits_are_all_of_them():
    planes = np.full((1, 1, 2), 1000, np.uint16)
    assert grey_row(psd(planes, GREY)) == [4, 4]


def test_other_modes():
    greys = PLANES[:1]
    for mode in (GREY, DUOTONE, 7):
        assert (pixels(psd(greys, mode)) == greys[0][..., None]).all()
    bits = np.zeros((1, 1, 10), bool)
    bits[0, 0, 1::2] = True
    assert grey_row(psd(bits, BITMAP)) == [255, 0] * 5
    palette = bytes(range(256)) + bytes(256) + bytes(range(255, -1, -1))
    found = first_row(psd(np.uint8([[[0, 7]]]), INDEXED, palette=palette))
    assert found == [(0, 0, 255), (7, 0, 248)]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_inks(dtype):
    top = np.iinfo(dtype).max
    planes = np.array([[[0, top]], [[top, 0]], [[top, 0]], [[top, top]]], dtype)
    assert first_row(psd(planes, CMYK)) == [(0, 255, 255), (255, 0, 0)]


def test_lab():
    # Red in the light of D50 is 54.3, 80.8, 69.9.
    found = first_row(psd(np.uint8([[[138]], [[209]], [[198]]]), LAB))
    assert np.abs(np.subtract(found, [(255, 0, 0)])).max() < 8


def test_without_a_merged_image():
    told = resource(1057, struct.pack(">IB", 1, 0) + bytes(20))
    expected = (
        "Photoshop kept no merged image in it: save it there with Maximize "
        "Compatibility"
    )
    assert reason(psd(PLANES, resources=told)) == expected
    told = resource(1057, struct.pack(">IB", 1, 1) + bytes(20))
    other = resource(1005, bytes(7))
    assert (pixels(psd(PLANES, resources=other + told)) == COLOURS).all()


def test_damaged():
    assert reason(psd(PLANES)[:-100]) == "the file is cut short"
    assert reason(psd(PLANES, compression=1)[:2000])
    assert reason(b"8BPS" + bytes(100))
    assert reason(psd(PLANES[:2])) == "damaged PSD data"
    assert reason(psd(PLANES.astype(np.float32), compression=3)) == (
        "PSD of a kind that is not read"
    )
