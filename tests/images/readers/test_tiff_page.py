import struct

import numpy as np
import pytest
from image_files import grey_row, pixels, raw_tiff, reason
from tiff_files import COLOURS, GREYS, likeness, tif


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits_declare_their_range(bits):
    top = 2**bits - 1
    values = np.array([[0, top // 4, top // 2, top // 2]], np.uint16)
    try:
        content = tif(values, bitspersample=bits, compression="none")
    except NotImplementedError:
        pytest.skip("imagecodecs before 2026.3 reads such files, but cannot write")
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
