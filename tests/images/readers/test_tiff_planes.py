import struct
from io import BytesIO

import numpy as np
import tifffile
from image_files import pixels
from tiff_files import COLOURS, GREEN, MAGENTA, assert_composed, levels, ome, stack, tif


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


def test_pages_where_channels_come_first(pages_of):
    planes = stack(2, 3)
    content = ome(planes, "CZYX")
    names = [name for name, _, _ in pages_of(content)]
    assert names[:3] == ["Z 1, channel 1", "Z 1, channel 2", "Z 2, channel 1"]
    assert (pixels(content, page=3)[..., 0] == levels(planes[0, 1])).all()
