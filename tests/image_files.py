"""Files of images in every layout, and what is read of them."""

import os
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import tifffile
from helpers import make_image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import decode, read_header


def encoded(image, name, **options):
    """The file of an image in a format."""
    stream = BytesIO()
    if name == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(stream, quality=90, **options)
    else:
        image.save(stream, name, **options)
    return stream.getvalue()


def chunk(name, data):
    """A chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum


def raw_png(size, bits, colour_type, row, transparent=None, extra=b""):
    """A PNG, of equal rows, in a layout that Pillow does not write."""
    header = struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + (chunk(b"tRNS", transparent) if transparent else b"")
        + chunk(b"IDAT", zlib.compress((b"\0" + row) * min(size[1], 10)))
        + chunk(b"IEND", b"")
    )


def raw_tiff(size, bits, photometric, data, order="<"):
    """An uncompressed grey TIFF in a layout that Pillow does not write."""
    width, height = size
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric)]
    tags += [(273, 8 + 2 + 12 * 9 + 4), (277, 1), (278, height), (279, len(data))]
    start = b"II*\0" if order == "<" else b"MM\0*"
    entries = b"".join(struct.pack(order + "HHII", t, 4, 1, v) for t, v in tags)
    count = struct.pack(order + "IH", 8, len(tags))
    return start + count + entries + struct.pack("4x") + data


def pixels(content, **kwargs):
    """What is read of a file; shape (height, width, 3)."""
    image = decode(content, **kwargs)
    assert image.mode == "RGB"
    return np.asarray(image)


def first_row(content):
    """The pixels of the first row that is read."""
    return [tuple(pixel) for pixel in pixels(content)[0].tolist()]


def blotches(size=(64, 48)):
    """An image of soft blotches."""
    return make_image(0, size)


def reason(content, **kwargs):
    """Why a file is not read."""
    with pytest.raises(ImageError) as raised:
        decode(content, **kwargs)
    return str(raised.value)


def header_reason(path):
    """Why the header of a file is not read."""
    with pytest.raises(ImageError) as raised:
        read_header(str(path))
    return str(raised.value)


def grey_row(content, **kwargs):
    """The levels of the first row that is read, which has to be grey."""
    row = pixels(content, **kwargs)[0]
    assert (row == row[:, :1]).all()
    return row[:, 0].tolist()


def save_stack(path, n_planes=5, n_channels=2, seed=0):
    """An OME-TIFF of 16 bits, all of whose planes differ; shape (z, c, y, x)."""
    shape = (n_planes, n_channels)
    planes = [
        np.asarray(make_image(seed + number).convert("L")).astype(np.uint16) * 3 + 100
        for number in range(n_planes * n_channels)
    ]
    array = np.stack(planes).reshape(*shape, *planes[0].shape)
    tifffile.imwrite(
        path,
        array,
        ome=True,
        photometric="minisblack",
        metadata={"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"][:n_channels]}},
    )
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return array
