import pytest
from AnyQt.QtCore import Qt

from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    SourceRole,
    ThumbnailModel,
    ThumbnailRole,
    shortened,
    shown_source,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)

TITLES = ["Ant", "bee <b>", "Cat", "bear"]


@pytest.fixture
def model():
    loader = ThumbnailLoader()
    model = ThumbnailModel(loader)
    sources = [f"/photos/{index}.jpg" for index in range(4)]
    model.set_images(sources, lambda row: [TITLES[row]])
    yield model
    loader.close()


def tooltip(model, row):
    return model.index(row).data(Qt.ItemDataRole.ToolTipRole)


def test_rows(model):
    assert model.rowCount() == 4
    assert model.rowCount(model.index(0)) == 0
    index = model.index(2)
    assert index.data() == "Cat"
    assert index.data(SourceRole) == "/photos/2.jpg"
    assert index.data(ThumbnailRole) is None


def test_tooltip(model):
    assert tooltip(model, 0) == "<qt><b>Ant</b><br>/photos/0.jpg</qt>"
    model.loader.cache.put(
        Thumbnail("/photos/0.jpg", None, size=(6000, 4000), stamp=(12_345_678, 1))
    )
    assert tooltip(model, 0).endswith("<br>6,000 × 4,000 pixels, 12.3 MB</qt>")  # noqa: RUF001
    model.loader.cache.put(Thumbnail("/photos/1.jpg", None, error="is <b>odd"))
    assert "bee &lt;b&gt;" in tooltip(model, 1)
    assert tooltip(model, 1).endswith("is &lt;b&gt;odd</qt>")


def test_tooltip_without_a_title_is_no_plain_text(model):
    model.set_images(["/photos/cats & dogs.jpg"])
    assert tooltip(model, 0) == "<qt>/photos/cats &amp; dogs.jpg</qt>"


def test_set_labels_keeps_the_rows(model):
    changes = []
    model.dataChanged.connect(lambda first, last, roles: changes.append(last.row()))
    model.set_labels(lambda row: [f"number {row}"])
    assert changes == [3]
    assert model.index(1).data() == "number 1"


@pytest.mark.parametrize(
    "start, typed, found", [(0, "be", 1), (2, "BE", 3), (2, "an", 0), (0, "x", None)]
)
def test_match(model, start, typed, found):
    role = Qt.ItemDataRole.DisplayRole
    rows = [index.row() for index in model.match(model.index(start), role, typed)]
    assert rows == ([] if found is None else [found])


def test_shown_source():
    assert shown_source("/a/b.png") == "/a/b.png"
    assert shown_source("data:image/png;base64,AAAA") == "data:image/png;base64,…"
    member = "s3://b/x.tar#member=in/a%20b.jpg&bytes=0-99"
    assert shown_source(member) == "s3://b/x.tar: in/a b.jpg"
    assert shown_source(member + "#page=2") == "s3://b/x.tar: in/a b.jpg#page=2"


def test_labels_of_files_in_a_tar_file(model):
    text = "x.tar#member=in/a%20b.jpg&bytes=0-99"
    model.set_images([text] * 2, [[text, "b"], [text + "#page=2", ""]].__getitem__)
    assert list(model.labels(0)) == ["in/a b.jpg", "b"]
    assert model.index(1).data() == "in/a b.jpg"


def test_shortened():
    assert shortened("two\nlines", 20) == "two lines"
    assert shortened("x" * 30, 10) == "x" * 9 + "…"
