"""Saving: every format comes back as it was, and nothing is ever half written."""

import importlib.util
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)
from xlsxwriter.exceptions import FileCreateError

from orangecontrib.imageanalytics import output_file
from orangecontrib.imageanalytics.embedding_columns import (
    EmbedImages,
    vector_variables,
)
from orangecontrib.imageanalytics.errors import ImageAnalyticsError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images.sources import resolve
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.output_file import OutputFile, replaced_file
from orangecontrib.imageanalytics.vector_files import description_of, spec_of

PATHS = ["a/one.png", "b/two, drei.png", "b/š 日本.png"]

IMAGE = StringVariable("image")


@pytest.fixture
def table():
    image = StringVariable("image")
    image.attributes.update(type="image", origin="/photos")
    features = [ContinuousVariable(f"n{i}") for i in range(4)]
    for feature in features:
        feature.attributes["hidden"] = True
    domain = Domain(features, DiscreteVariable("category", ["a", "b"]), [image])
    vectors = np.arange(12, dtype=float).reshape(3, 4) / 4
    return Table.from_numpy(
        domain, vectors, [0, 1, 1], np.array(PATHS, dtype=object).reshape(-1, 1)
    )


@pytest.mark.parametrize("name", ["t.tab", "t.csv", "t.xlsx", "t.pkl", "t.TAB.GZ"])
def test_orange_formats_come_back(table, tmp_path, name):
    path = tmp_path / name
    OutputFile(str(path)).write(table)
    back = Table.from_file(str(path.rename(tmp_path / name.lower())))
    np.testing.assert_allclose(back.X, table.X, atol=1e-6)
    assert list(back.get_column("image")) == PATHS
    assert back.domain["image"].attributes == {"type": "image", "origin": "/photos"}
    assert back.domain.class_var.values == ("a", "b")
    assert all(a.attributes.get("hidden") for a in back.domain.attributes)


def test_npz_needs_no_pickle(table, tmp_path):
    path = tmp_path / "t.npz"
    OutputFile(str(path)).write(table)
    with np.load(path, allow_pickle=False) as back:
        assert list(back["paths"]) == PATHS
        assert back["vectors"].dtype == np.float32
        np.testing.assert_array_equal(back["vectors"], table.X)
        assert back["origin"] == "/photos"


def test_parquet(table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    OutputFile(str(path)).write(table)
    back = parquet.read_table(path)
    assert back["path"].to_pylist() == PATHS
    np.testing.assert_array_equal(back["vector"].to_pylist(), table.X)
    assert back.schema.metadata[b"origin"] == b"/photos"


def test_parquet_of_images(tmp_path, photos, fresh_cache):
    """What is known about images is written, and how their vectors were computed."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table, _ = ImportImages()(str(tmp_path / "photos"))
    with ImageEmbedder("squeezenet", "cpu") as embedder:
        embedded = embedder(table, col="image")[0]
    with embedded.unlocked(embedded.Y):
        embedded.Y[0] = np.nan
    path = tmp_path / "t.parquet"
    OutputFile(str(path)).write(embedded)
    back = parquet.read_table(path)
    assert back["width"].to_pylist() == list(table.get_column("width"))
    assert back["height"].to_pylist() == list(table.get_column("height"))
    assert back["category"].to_pylist() == [None, *["first"] * 2, *["second"] * 3]
    description = description_of(back.schema.metadata, "t.parquet")
    assert spec_of(description) == EmbeddingSpec.choose("squeezenet").portable()
    assert description["classes"] == []


def test_parquet_of_other_numbers(table, tmp_path):
    """No embedding is claimed for columns that are not one, or not in order."""
    parquet = pytest.importorskip("pyarrow.parquet")
    spec = EmbeddingSpec.choose("squeezenet")
    compute = EmbedImages.of(spec, "image")
    n0, n1 = vector_variables(Domain([]), 2, compute)
    plain = ContinuousVariable("x")
    for attributes in ([n1, n0], [n0, plain], [plain, n0]):
        data = Table.from_numpy(
            Domain(attributes, metas=[IMAGE]), np.ones((1, 2)), None, [["a.png"]]
        )
        OutputFile(str(tmp_path / "t.parquet"), overwrite=True).write(data)
        schema = parquet.read_schema(tmp_path / "t.parquet")
        assert description_of(schema.metadata, "") is None


@pytest.mark.skipif(os.name == "nt", reason="names of files as on POSIX")
def test_parquet_of_a_name_that_is_no_text(tmp_path):
    """Old archives have such names; Parquet has text only."""
    parquet = pytest.importorskip("pyarrow.parquet")
    image = StringVariable("image")
    image.attributes["origin"] = str(tmp_path)
    name = os.fsdecode(b"caf\xe9 100%.png")
    data = Table.from_numpy(
        Domain([ContinuousVariable("n0")], metas=[image]), [[1]], None, [[name]]
    )
    OutputFile(str(tmp_path / "t.parquet")).write(data)
    (path,) = parquet.read_table(tmp_path / "t.parquet")["path"].to_pylist()
    assert resolve(path, str(tmp_path)) == str(tmp_path / name)


@pytest.fixture
def large_table(monkeypatch):
    """Is written in 4 pieces; each column lies in one piece of memory, as in Orange."""
    monkeypatch.setattr(output_file, "ROWS_AT_ONCE", 30)
    domain = Domain([ContinuousVariable(f"n{i}") for i in range(5)], None, [IMAGE])
    vectors = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    paths = [["long/" * index + "š.png"] for index in range(100)]
    table = Table.from_numpy(domain, vectors, None, np.array(paths, dtype=object))
    with table.unlocked_reference():
        table.X = np.asfortranarray(table.X)
    return table


def test_npz_in_pieces(large_table, tmp_path):
    OutputFile(str(tmp_path / "pieces.npz")).write(large_table)
    paths, vectors = large_table.get_column("image"), large_table.X
    np.savez(
        tmp_path / "whole.npz",
        paths=paths.astype(str),
        vectors=vectors.astype(np.float32, order="C"),
        origin="",
    )
    pieces, whole = (
        zipfile.ZipFile(tmp_path / f"{name}.npz") for name in ("pieces", "whole")
    )
    with pieces, whole:
        assert pieces.namelist() == whole.namelist()
        for name in whole.namelist():
            assert pieces.read(name) == whole.read(name)
    with np.load(tmp_path / "pieces.npz") as back:
        np.testing.assert_array_equal(back["paths"], paths)
        np.testing.assert_array_equal(back["vectors"], vectors)


def test_parquet_in_pieces(large_table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    OutputFile(str(path)).write(large_table)
    assert parquet.ParquetFile(path).metadata.num_row_groups == 4
    back = parquet.read_table(path)
    assert back["path"].to_pylist() == list(large_table.get_column("image"))
    np.testing.assert_array_equal(back["vector"].to_pylist(), large_table.X)
    assert str(back.schema.field("vector").type.value_type) == "float"


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_writing_makes_no_copy(ending, tmp_path):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    domain = Domain([ContinuousVariable(f"n{i}") for i in range(50)], None, [IMAGE])
    n_rows = 4 * output_file.ROWS_AT_ONCE
    paths = np.full((n_rows, 1), "a.png", dtype=object)
    table = Table.from_numpy(domain, np.ones((n_rows, 50)), None, paths)
    output = OutputFile(str(tmp_path / f"t.{ending}"), overwrite=True)
    output.write(table[:1])  # what is loaded at the first use
    tracemalloc.start()
    try:
        output.write(table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    n_bytes_as_float32 = table.X.nbytes / 2
    assert peak < 0.75 * n_bytes_as_float32


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImageAnalyticsError, match="pip install"):
        OutputFile(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("name", ["t", "t.txt", "t.gz", "tab", "t.tab.zip"])
def test_unknown_format(tmp_path, name):
    with pytest.raises(ValueError, match=name):
        OutputFile(str(tmp_path / name))


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.tab").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"folder\.tab is a folder"):
        OutputFile(str(tmp_path / "folder.tab"), overwrite=True)
    for folder in ("missing", "file"):
        with pytest.raises(FileNotFoundError, match=folder):
            OutputFile(str(tmp_path / folder / "t.tab"))


def test_existing_file_is_kept(table, tmp_path):
    path = tmp_path / "t.npz"
    output = OutputFile(str(path))
    path.write_text("appeared in the meantime")
    with pytest.raises(FileExistsError, match="--force"):
        output.write(table)
    with pytest.raises(FileExistsError, match="--force"):
        OutputFile(str(path))
    assert path.read_text() == "appeared in the meantime"
    assert os.listdir(tmp_path) == ["t.npz"]


@pytest.mark.skipif(os.name == "nt", reason="links and modes as on POSIX")
def test_overwriting_keeps_mode_and_link(table, tmp_path):
    path, link = tmp_path / "t.npz", tmp_path / "link.npz"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    OutputFile(str(link), overwrite=True).write(table)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert np.load(path)["vectors"].shape == (3, 4)


@pytest.mark.skipif(os.name == "nt", reason="modes as on POSIX")
def test_new_file_has_the_mode_of_any_new_file(table, tmp_path):
    (tmp_path / "any").touch()
    OutputFile(str(tmp_path / "t.npz")).write(table)
    assert (tmp_path / "t.npz").stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize(
    "error",
    [OSError("disk full"), FileCreateError("disk full"), KeyboardInterrupt()],
    ids=repr,
)
def test_nothing_is_left_of_a_failed_write(table, tmp_path, monkeypatch, error):
    def fail(file, _table):
        with open(file, "wb") as half:
            half.write(b"half")
        raise error

    path = tmp_path / "t.npz"
    path.write_text("old")
    monkeypatch.setattr(output_file, "_write_npz", fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OSError
    with pytest.raises(expected) as caught:
        OutputFile(str(path), overwrite=True).write(table)
    if expected is OSError:
        assert str(caught.value) == f"cannot write {path}: disk full"
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["t.npz"]


def test_replaced_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new.txt"
    with replaced_file(str(path)) as partial:
        with open(partial, "w") as file:
            file.write("text")
        assert not path.exists()
    assert path.read_text() == "text" and list(tmp_path.iterdir()) == [path]


def test_replaced_file_stays_as_it_is_after_an_error(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replaced_file(str(path), True) as partial:
        with open(partial, "w") as file:
            file.write("new")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_replaced_file_asks_before_and_after(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("mine")
    with pytest.raises(FileExistsError), replaced_file(str(path)):
        pass
    path.unlink()
    with pytest.raises(FileExistsError), replaced_file(str(path)) as partial:
        with open(partial, "w") as file:
            file.write("new")
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"
