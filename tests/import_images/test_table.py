import os

import numpy as np
from PIL import Image

from orangecontrib.imageanalytics.import_images import create_table, image_meta_data
from orangecontrib.imageanalytics.import_images.table import image_table


def image(path):
    Image.new("RGB", (8, 6)).save(path)
    return image_meta_data(str(path))


def test_without_a_folder(tmp_path):
    images = [image(tmp_path / "z.bmp")]
    table, n_skipped = create_table(images)
    assert n_skipped == 0
    paths = [str(tmp_path / "z.bmp").replace(os.sep, "/")]
    assert list(table.get_column("image")) == paths
    assert "origin" not in table.domain["image"].attributes
    assert create_table([]) == create_table(None) == (None, 0)


def test_categories_of_folders(tmp_path):
    (tmp_path / "in").mkdir()
    images = [image(tmp_path / "a.png"), image(tmp_path / "in" / "b.png")]
    images.append(image_meta_data(str(tmp_path / "none.png")))
    categories = {str(tmp_path): "x", str(tmp_path / "in"): "y"}
    table, n_skipped = create_table(images, categories, str(tmp_path))
    assert n_skipped == 1
    assert table.domain.class_var.values == ("x", "y")
    assert list(table.get_column("image")) == ["a.png", "in/b.png"]
    table, _ = create_table(images, dict.fromkeys(categories, "x"))
    assert table.domain.class_var is None


def test_classes_and_folders(tmp_path):
    images = [image(tmp_path / f"{index}.png") for index in range(3)]
    table = image_table(images, ["b", None, "a"], folders=["y", "x", "y"])
    assert table.domain.class_var.values == ("a", "b")
    np.testing.assert_equal(table.Y, [1, np.nan, 0])
    assert table.domain["folder"].values == ("x", "y")
    assert list(table.get_column("folder")) == [1, 0, 1]
