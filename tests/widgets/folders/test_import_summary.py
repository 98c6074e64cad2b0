from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.import_images.folders import Listing
from orangecontrib.imageanalytics.import_images.watch import Changes
from orangecontrib.imageanalytics.widgets.folders import import_summary
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog


def test_summary(photos, tmp_path):
    importer = ImportImages()
    table, _ = importer(tmp_path / "photos")
    assert import_summary.summary(importer, table, 1) == "6 images / 2 categories"
    importer.skipped = [("a.png", "file is empty")]
    importer.has_more = ["b.tif"]
    text = import_summary.summary(importer, None, 2)
    assert text == (
        '0 images / 2 folders, <a href="#skipped">1 skipped</a>'
        "<br/>1 file has more pages than the one that is used"
    )
    importer.has_more = ["b.tif", "c.tif"]
    text = import_summary.summary(importer, None, 2)
    assert text.endswith("2 files have more pages than the one that is used")


def test_lists():
    parent = QWidget()
    importer = ImportImages()
    importer.skipped = [("a", "x")]
    importer.left_out = [("b", "y")]
    importer.unmatched = ["c"]
    for link, rows in (
        (import_summary.SKIPPED, [["a", "x"]]),
        (import_summary.LEFT_OUT, [["b", "y"]]),
        (import_summary.UNMATCHED, [["c", "the name does not match the pattern"]]),
    ):
        import_summary.show_list(link, importer, parent)
        dialog = parent.findChildren(SkippedDialog)[-1]
        assert list(dialog.model) == rows


def test_folder_notes():
    missing = FileNotFoundError(2, "No such file", "/gone")
    locked = PermissionError(13, "Permission denied", "/locked")
    assert import_summary.folder_notes([missing, locked], ["/a/b"]) == {
        "/a/b": "inside another folder",
        "/gone": "not found",
        "/locked": "cannot be read",
    }


def test_news():
    def news(*counts):
        return import_summary.news(Changes(Listing([]), {}, *counts))

    assert news(1, 0, 0) == "1 new image"
    assert news(12, 1, 2) == "12 new images, 1 changed, 2 removed"
    assert news(0, 0, 2000) == "2,000 removed images"
