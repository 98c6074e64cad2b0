"""Columns of any Parquet file as columns of a table."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vector_parts import (
    vectors_of,
    write_part,
)

from orangecontrib.imageanalytics.vector_files import (
    read_dataset,
)


def test_columns_of_others(tmp_path):
    days = [datetime.date(2024, 5, 1 + number) for number in range(10)]
    others = {
        "stars": [*range(9), None],
        "price": np.arange(10) / 4,
        "liked": [True, False] * 5,
        "day": days,
        "taken": [datetime.datetime(2024, 5, 1, 12), *[None] * 9],
        "text": [*"abcdefghi", None],
        "colour": pa.array(["red", "blue"] * 5).dictionary_encode(),
        "shape": [[1]] * 10,
        "nothing": [None] * 10,
        "image": ["own"] * 10,
    }
    write_part(tmp_path / "a.parquet", **others)
    table = read_dataset(tmp_path)
    names = [variable.name for variable in table.domain.metas]
    assert names == [
        *("image name", "image", "width", "height", "stars", "price", "liked", "day"),
        *("taken", "text", "colour", "nothing", "image (1)"),
    ]
    assert table.get_column("stars")[8] == 8 and np.isnan(table.get_column("stars")[9])
    assert table.get_column("price")[3] == 0.75
    assert table.domain["liked"].values == ("false", "true")
    assert str(table[3]["day"]) == "2024-05-04"
    assert str(table[0]["taken"]).startswith("2024-05-01 12:00:00")
    assert list(table.get_column("text")[-2:]) == ["i", ""]
    assert table.domain["colour"].values == ("blue", "red")
    assert str(table[0]["colour"]) == "red"


def test_a_file_that_has_no_vectors(tmp_path):
    pq.write_table(pa.table({"x": [1, 2], "y": ["a", "b"]}), tmp_path / "a.parquet")
    table = read_dataset(tmp_path)
    assert [variable.name for variable in table.domain.metas] == ["x", "y"]
    assert not table.domain.attributes


def test_vectors_of_others_are_plain_columns(tmp_path):
    write_part(tmp_path / "a.parquet", description=None)
    table = read_dataset(tmp_path)
    np.testing.assert_array_equal(table.X, vectors_of(range(10)))
    assert all(v.compute_value is None for v in table.domain.attributes)


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float16(), 2)],
    ids=str,
)
def test_vectors_as_other_programs_write_them(tmp_path, kind):
    vectors = np.array([[1, 2], [3, 4]], np.float16)
    table = pa.table({"vector": pa.array(list(vectors), kind)})
    pq.write_table(table, tmp_path / "a.parquet")
    np.testing.assert_array_equal(read_dataset(tmp_path).X, vectors)


def test_numbers_that_are_none(tmp_path):
    """What Image Embedding passes on is passed on."""
    vectors = [[1.0, np.inf], [np.nan, None]]
    pq.write_table(pa.table({"vector": vectors}), tmp_path / "a.parquet")
    X = read_dataset(tmp_path).X
    assert X[0, 1] == np.inf and np.isnan(X[1]).all()


def test_a_category_that_is_missing(tmp_path):
    write_part(tmp_path / "a.parquet", categories=("cat", None))
    table = read_dataset(tmp_path)
    assert table.domain.class_var.values == ("cat",)
    assert np.isnan(table.Y[1]) and table.Y[2] == 0


def test_paths_that_another_program_has_encoded(tmp_path):
    paths = pa.array(["a.png", "b.png", "a.png"]).dictionary_encode()
    pq.write_table(pa.table({"path": paths}), tmp_path / "a.parquet")
    table = read_dataset(tmp_path)
    assert [variable.name for variable in table.domain.metas] == ["image name", "image"]
    assert table.domain["image"].attributes["type"] == "image"
    assert list(table.get_column("image")) == ["a.png", "b.png", "a.png"]
