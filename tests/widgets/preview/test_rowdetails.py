import numpy as np
import pytest
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
    TimeVariable,
)
from scipy import sparse

from orangecontrib.imageanalytics.widgets.preview.rowdetails import (
    MAX_FEATURES,
    MAX_VALUE,
    MAX_VECTOR,
    Detail,
    file_details,
    row_details,
    side_by_side,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail


def table(n_vector=3, n_features=1):
    """Two rows with values of all kinds, vectors among the features."""
    vector = [ContinuousVariable(f"n{number}") for number in range(n_vector)]
    others = [ContinuousVariable(f"other {number}") for number in range(n_features)]
    domain = Domain(
        [*vector, *others],
        DiscreteVariable("kind", ("cat", "dog")),
        [StringVariable("image"), TimeVariable("taken", have_date=True)],
    )
    numbers = np.arange(2 * (n_vector + n_features), dtype=float).reshape(2, -1)
    metas = np.array([["a.png", 0.0], ["data:image/png;base64,AAAA", np.nan]], object)
    data = Table.from_numpy(domain, numbers, np.array([1.0, np.nan]), metas)
    return data.copy()


def test_all_values_under_headings():
    data = table()
    details = row_details(data, [1, 0])
    assert details(1) == [
        Detail("Class", "kind", "dog"),
        Detail("Metas", "image", "a.png"),
        Detail("Metas", "taken", "1970-01-01"),
        Detail("Features", "other 0", "3"),
        Detail("Vector", "n0", "0"),
        Detail("Vector", "n1", "1"),
        Detail("Vector", "n2", "2"),
    ]
    values = {detail.name: detail.value for detail in details(0)}
    assert values["kind"] == values["taken"] == "?"
    assert values["image"] == "data:image/png;base64,…"


def test_vectors_do_not_hide_other_features():
    listed = row_details(table(1000, 2), [0])(0)
    vector = [detail for detail in listed if detail.group == "Vector"]
    assert [detail.name for detail in listed if detail.group == "Features"] == [
        "other 0",
        "other 1",
    ]
    assert len(vector) == MAX_VECTOR + 1
    assert vector[-1].value == f"{1000 - MAX_VECTOR} more"


def test_thousands_of_features_are_cut():
    listed = row_details(table(0, 5000), [0])(0)
    features = [detail for detail in listed if detail.group == "Features"]
    assert len(features) == MAX_FEATURES + 1
    assert features[-1].value == f"{5000 - MAX_FEATURES:,} more"


def test_long_values_are_cut():
    data = table()
    with data.unlocked():
        data.metas[0, 0] = "x" * 100_000
    value = row_details(data, [0])(0)[1].value
    assert len(value) == MAX_VALUE and value.endswith("…")


def test_sparse_tables():
    data = table()
    with data.unlocked():
        data.X = sparse.csr_matrix(data.X)
    assert row_details(data, [0])(0)[3:5] == [
        Detail("Features", "other 0", "3"),
        Detail("Vector", "n0", "0"),
    ]


def test_without_data():
    assert row_details(None, [])(0) == []


def test_file_details(tmp_path):
    path = str(tmp_path / "a.tif")
    thumbnail = Thumbnail(path, None, size=(1200, 900), stamp=(34_500, 1))
    assert file_details(f"{path}#page=2", thumbnail) == [
        Detail("Image", "Name", "a.tif, page 2"),
        Detail("Image", "Folder", str(tmp_path)),
        Detail("Image", "Pixels", "1,200 × 900"),  # noqa: RUF001
        Detail("Image", "Size", "34.5 kB"),
    ]
    assert file_details("http://host/b.png", None) == [
        Detail("Image", "Name", "b.png"),
        Detail("Image", "Address", "http://host/b.png"),
    ]
    shard = str(tmp_path / "a.tar")
    member = f"{shard}#member=in/c%20d.jpg&bytes=0-99"
    assert file_details(member, None) == [
        Detail("Image", "Name", "c d.jpg"),
        Detail("Image", "Shard", "a.tar"),
        Detail("Image", "Folder", str(tmp_path)),
    ]
    assert file_details("s3://bucket/in/c d.jpg", None) == [
        Detail("Image", "Name", "c d.jpg"),
        Detail("Image", "Address", "s3://bucket/in/c d.jpg"),
    ]
    assert file_details("data:image/png;base64,AAAA", None) == []
    failed = Thumbnail(path, None, error="file not found")
    assert file_details(path, failed)[-1] == Detail(
        "Image", "Cannot be shown", "file not found"
    )


@pytest.mark.parametrize("second, differ", [("1", False), ("2", True)])
def test_side_by_side(second, differ):
    columns = [[Detail("A", "x", "1")], [Detail("A", "x", second)]]
    ((detail, texts, marked),) = side_by_side(columns)
    assert (detail.group, detail.name) == ("A", "x")
    assert (texts, marked) == (["1", second], differ)


def test_side_by_side_with_missing_values():
    columns = [
        [Detail("Image", "Name", "a"), Detail("Class", "kind", "cat")],
        [
            Detail("Image", "Name", "a"),
            Detail("Image", "Pixels", "1"),
            Detail("Class", "kind", "cat"),
        ],
    ]
    lines = [(d.name, texts, differ) for d, texts, differ in side_by_side(columns)]
    assert lines == [
        ("Name", ["a", "a"], False),
        ("Pixels", ["", "1"], True),
        ("kind", ["cat", "cat"], False),
    ]
