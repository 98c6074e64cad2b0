"""Columns and conditions that a user asks for."""

import pyarrow.compute as pc
import pytest
from vector_parts import (
    N_FEATURES,
    numbers_of,
    write_part,
)

from orangecontrib.imageanalytics.vector_files import (
    read_dataset,
)


@pytest.mark.parametrize(
    "where",
    [
        [("category", "==", "cat")],
        [[("category", "==", "cat")], [("category", "==", "cow")]],
        pc.field("category") == "cat",
    ],
    ids=str,
)
def test_where(folder, where):
    table = read_dataset(folder, where=where)
    assert numbers_of(table) == list(range(0, 30, 2))
    assert table.domain.class_var.values == ("cat",)
    sample = read_dataset(folder, where=where, sample=4)
    assert len(sample) == 4 and not any(n % 2 for n in numbers_of(sample))


def test_where_nothing_is(folder):
    table = read_dataset(folder, where=[("category", "==", "cow")])
    assert len(table) == 0 and table.domain.class_var is None


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ([("colour", "==", "red")], "no column 'colour'; the columns are path, vector"),
        ([("category", "==", 7)], "kernel"),
        ([("category", "is", "cat")], "is"),
        ("category == 'cat'", ""),
        (7, ""),
    ],
    ids=str,
)
def test_where_that_makes_no_sense(folder, where, reason):
    with pytest.raises(ValueError, match=f"where cannot be applied.*{reason}"):
        read_dataset(folder, where=where)


def test_columns(folder):
    table = read_dataset(folder, columns=["path", "width"])
    assert not table.domain.attributes and table.domain.class_var is None
    metas = [variable.name for variable in table.domain.metas]
    assert metas == ["image name", "image", "width"]
    table = read_dataset(folder, columns=["vector"], sample=3)
    assert table.X.shape == (3, N_FEATURES) and not table.domain.metas


@pytest.mark.parametrize(
    ("columns", "reason"),
    [(["colour"], "no column 'colour'"), ("path", "list"), (["shape"], "cannot hold")],
)
def test_columns_that_there_are_not(tmp_path, columns, reason):
    write_part(tmp_path / "a.parquet", shape=[[number] for number in range(10)])
    with pytest.raises(ValueError, match=reason):
        read_dataset(tmp_path, columns=columns)
