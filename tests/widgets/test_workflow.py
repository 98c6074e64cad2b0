"""Workflows saved with the earlier add-on, opened and run as Orange does it."""

import os
import shutil

import pytest
from AnyQt.QtWidgets import QMessageBox

from orangecontrib.imageanalytics.networks.registry import DEFAULT

HERE = os.path.dirname(__file__)


@pytest.fixture
def old_workflow(open_workflow, photos, tmp_path, monkeypatch):
    """Made with version 0.13 of the add-on, from two folders of three images."""
    monkeypatch.setattr(
        "orangecontrib.imageanalytics.networks.weights.checkpoints_folder",
        lambda: str(tmp_path / "checkpoints"),
    )
    for folder, names in (("first", (0, 1, 2)), ("second", (3, 4, 5))):
        for number in names:
            name = tmp_path / "photos" / folder / f"photo {number}.jpg"
            name.rename(name.with_name(f"{number}.jpg"))
    (tmp_path / "photos" / "first").rename(tmp_path / "photos" / "flowers")
    (tmp_path / "photos" / "second").rename(tmp_path / "photos" / "birds")
    path = shutil.copy(os.path.join(HERE, "old_workflow.ows"), tmp_path)
    return open_workflow(path)


def test_old_workflow(old_workflow, tmp_path):
    importing = old_workflow["Import Images"]
    assert importing.folder == str(tmp_path / "photos")
    assert importing.status.label.text() == "6 images / 2 categories"

    vgg = old_workflow["Image Embedding"]
    assert vgg.embedder == "vgg19"
    assert vgg.image_column.name == "image name"
    assert vgg.Warning.download_needed.is_shown()
    assert not [w for w in vgg.findChildren(QMessageBox) if w.isVisible()]

    painters = old_workflow["Painters"]
    assert painters.embedder == DEFAULT
    assert painters.image_column.name == "image"
    assert "Painters" in str(painters.Warning.network_replaced)
    assert "6 images embedded" in painters.status.label.text()
    assert painters._auto_apply

    for title, size in (("Image Viewer", 180), ("Embedded", 100)):
        viewer = old_workflow[title]
        assert viewer.imageSize == size
    viewer = old_workflow["Image Viewer"]
    assert viewer.image_attr.name == "image"
    assert [var.name for var in viewer.title_attrs] == ["image name"]
    assert not viewer.autoCommit
    assert viewer.selected_items == {"flowers/1.jpg", "birds/3.jpg"}
