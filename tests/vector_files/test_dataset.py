"""What files have in common, and what they must not differ in."""

import os
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vector_parts import (
    N_FEATURES,
    SPEC,
    damage_rows,
    write_part,
)

from orangecontrib.imageanalytics.errors import (
    DatasetError,
)
from orangecontrib.imageanalytics.vector_files import (
    KEY,
    describe,
    read_dataset,
)
from orangecontrib.imageanalytics.vector_files.dataset import (
    VectorDataset,
)
from orangecontrib.imageanalytics.vector_files.description import LENGTH


def other(layer="logits"):
    description = describe(SPEC)
    description["layer"] = layer
    return description


def test_different_embeddings(folder):
    write_part(folder / "part-3.parquet", description=other())
    match = r"part-0\.parquet and part-3\.parquet .*layer penultimate and logits"
    with pytest.raises(DatasetError, match=match):
        read_dataset(folder)
    write_part(folder / "part-3.parquet", description=None)
    with pytest.raises(DatasetError, match=r"part-3\.parquet.*only one of them"):
        read_dataset(folder)


def test_a_damaged_description(folder):
    table = pq.read_table(folder / "part-2.parquet")
    table = table.replace_schema_metadata({KEY: b"{"})
    pq.write_table(table, folder / "part-2.parquet")
    with pytest.raises(DatasetError, match=r"^part-2\.parquet: .*damaged"):
        read_dataset(folder)


def test_vectors_of_other_lengths(folder):
    vectors = pa.array([[1.0, 2, 3]], pa.list_(pa.float32(), 3))
    table = pa.table({"path": ["x.png"], "vector": vectors})
    pq.write_table(table, folder / "part-3.parquet")
    with pytest.raises(DatasetError, match=r"(part-\d\.parquet.*){2}"):
        read_dataset(folder)


def test_different_lengths_are_known_from_footers(folder):
    """Damaged rows do not matter, so nothing of them is read."""
    table = pq.read_table(folder / "part-1.parquet")
    metadata = {**table.schema.metadata, LENGTH: b"5"}
    table = table.replace_schema_metadata(metadata)
    pq.write_table(table, folder / "part-1.parquet")
    for number in range(3):
        damage_rows(folder / f"part-{number}.parquet")
    match = r"different lengths: 4 in part-0\.parquet, 5 in part-1\.parquet"
    with pytest.raises(DatasetError, match=match):
        VectorDataset(folder)


@pytest.mark.parametrize("length", [b"", b"x", b"-4", b"9" * 50])
def test_a_damaged_length_is_ignored(folder, length):
    for path in folder.iterdir():
        table = pq.read_table(path)
        metadata = {**table.schema.metadata, LENGTH: length}
        pq.write_table(table.replace_schema_metadata(metadata), path)
    assert VectorDataset(folder).n_features == N_FEATURES


def test_lists_of_different_lengths(tmp_path):
    vectors = pa.array([[1.0, 2], [1, 2, 3]])
    pq.write_table(pa.table({"vector": vectors}), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match=r"a\.parquet: a vector has 3 numbers"):
        read_dataset(tmp_path)


def test_vectors_that_are_none(tmp_path):
    pq.write_table(pa.table({"vector": ["a", "b"]}), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match=r"a\.parquet: .*string"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("lacking", ["path", "vector"])
def test_a_file_that_lacks_what_others_have(folder, lacking):
    table = pq.read_table(folder / "part-1.parquet").drop_columns([lacking])
    pq.write_table(table, folder / "part-1.parquet")
    with pytest.raises(DatasetError, match=rf"part-1\.parquet has no column {lacking}"):
        read_dataset(folder)


def test_columns_of_other_types(folder):
    write_part(folder / "part-3.parquet", stars=["many"] * 10)
    write_part(folder / "part-4.parquet", stars=[7] * 10)
    with pytest.raises(DatasetError, match=r"part-4\.parquet does not belong.*stars"):
        read_dataset(folder)


def test_what_is_known_from_footers(folder):
    write_part(folder / "part-1.parquet", range(10, 20), failed=[12, 13])
    dataset = VectorDataset(folder)
    assert (dataset.n_rows, dataset.n_failed, dataset.n_files) == (30, 2, 3)
    assert dataset.n_features == N_FEATURES
    assert dataset.spec == SPEC.portable()
    assert dataset.count_categories() == 2


def test_the_memory_is_estimated_well(tmp_path):
    """Against what Python counts, for few and many features."""
    write_part(tmp_path / "a.parquet", range(20_000), group=1000)
    dataset = VectorDataset(tmp_path)
    read_dataset(tmp_path, sample=10)
    tracemalloc.start()
    try:
        table = read_dataset(tmp_path)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.6 < dataset.table_bytes(len(table)) / taken < 1.6


def test_files_with_different_origins(tmp_path):
    write_part(tmp_path / "v" / "a.parquet", [1], origin="/one")
    write_part(tmp_path / "v" / "b.parquet", [2], origin="http://two.org/x")
    table = read_dataset(tmp_path / "v")
    assert list(table.get_column("image")) == [
        "/one/a/1.png",
        "http://two.org/x/a/2.png",
    ]
    assert "origin" not in table.domain["image"].attributes


def test_files_that_lack_a_column(folder):
    write_part(folder / "part-3.parquet", range(30, 40), stars=range(10))
    table = read_dataset(folder)
    assert np.isnan(table.get_column("stars")[0])
    assert table.get_column("stars")[-1] == 9


def test_damaged_rows_of_lists_of_any_length(tmp_path):
    for name in "ab":
        table = pa.table({"path": [f"{name}.png"], "vector": [[1.0, 2]]})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    damage_rows(tmp_path / "a.parquet")
    assert VectorDataset(tmp_path).n_features == 2
    damage_rows(tmp_path / "b.parquet")
    with pytest.raises(DatasetError, match=r"^a\.parquet cannot be read: "):
        VectorDataset(tmp_path)


def test_categories_of_damaged_rows(folder):
    assert VectorDataset(folder).count_categories() == 2
    damage_rows(folder / "part-1.parquet")
    assert VectorDataset(folder).count_categories() is None


def test_a_folder_of_the_user(folder, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder.parent))
    dataset = VectorDataset(os.path.join("~", folder.name))
    assert dataset.n_rows == VectorDataset(folder).n_rows
