from image_files import save_stack
from PIL import Image

from orangecontrib.imageanalytics.import_images import image_meta_data, page_meta_data


def test_an_image(tmp_path):
    path = str(tmp_path / "a.png")
    Image.new("RGB", (8, 6)).save(path)
    image = image_meta_data(path)
    assert image[:4] == (path, "PNG", 6, 8) and image.isvalid
    assert not image.has_more and image.is_plain
    assert page_meta_data(path) == [image]


def test_file_deleted_meanwhile(tmp_path):
    image = image_meta_data(str(tmp_path / "z.bmp"))
    assert not image.isvalid and image.error_str == "file not found"
    assert page_meta_data(str(tmp_path / "z.bmp"))[0].error_str == "file not found"


def test_pages(tmp_path):
    path = tmp_path / "cells.tif"
    save_stack(path, n_planes=2)
    assert image_meta_data(str(path)).has_more
    pages = page_meta_data(str(path))
    assert [page.path for page in pages] == [f"{path}#page={n}" for n in range(1, 5)]
    assert [page.page for page in pages][:2] == ["Z 1, DAPI", "Z 1, GFP"]
