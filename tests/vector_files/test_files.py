"""Which files are read, and what is said about those that cannot be."""

import fsspec
import pytest
from vector_parts import (
    numbers_of,
    write_part,
)

from orangecontrib.imageanalytics.errors import (
    DatasetError,
    ImageAnalyticsError,
)
from orangecontrib.imageanalytics.vector_files import (
    read_dataset,
    reading,
)
from orangecontrib.imageanalytics.vector_files.dataset import (
    VectorDataset,
)


@pytest.mark.parametrize("name", [".part-9.parquet", "_part-9.parquet", "_job.json"])
def test_unfinished_files_are_ignored(folder, name):
    (folder / name).write_bytes(b"unfinished")
    (folder / "_temporary").mkdir()
    (folder / "_temporary" / "part-9.parquet").write_bytes(b"unfinished")
    assert len(read_dataset(folder)) == 30


def test_subfolders(folder):
    write_part(folder / "more" / "part-3.parquet", range(30, 40))
    assert sorted(numbers_of(read_dataset(folder))) == list(range(40))


@pytest.mark.parametrize("content", [b"", b"text", b"PAR1" + b"\0" * 60 + b"PAR1"])
def test_no_parquet_file(folder, content):
    (folder / "part-1.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"^part-1\.parquet "):
        read_dataset(folder)
    dataset = VectorDataset(folder)
    loaded = reading.load(dataset)
    assert list(loaded.problems) == ["part-1.parquet"]
    assert numbers_of(loaded.table) == [*range(10), *range(20, 30)]


def test_nothing_is_there(tmp_path):
    with pytest.raises(DatasetError, match=r"no file or folder .*gone"):
        read_dataset(tmp_path / "gone")
    with pytest.raises(DatasetError, match="no Parquet file in the folder"):
        read_dataset(tmp_path)


def test_address(folder):
    table = read_dataset(f"file://{folder}")
    assert numbers_of(table) == list(range(30))
    assert numbers_of(read_dataset(f"file://{folder}/part-1.parquet"))[0] == 10


def test_memory_address(folder):
    memory = fsspec.filesystem("memory")
    memory.put(f"{folder}/", "/load-vectors/", recursive=True)
    try:
        memory.pipe("/load-vectors/_job.json", b"{}")
        memory.pipe("/load-vectors/.part-9.parquet", b"")
        table = read_dataset("memory://load-vectors", sample=4)
        assert len(table) == 4
        memory.pipe("/load-vectors/part-1.parquet", b"text")
        with pytest.raises(DatasetError, match=r"^part-1\.parquet is no Parquet"):
            read_dataset("memory://load-vectors")
    finally:
        memory.rm("/load-vectors", recursive=True)


@pytest.mark.parametrize(
    ("address", "reason"),
    [("memory://gone", "no file or folder"), ("nonesuch://x", "nonesuch")],
)
def test_address_of_nothing(address, reason):
    with pytest.raises(DatasetError, match=reason):
        read_dataset(address)


def test_all_files_are_damaged(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"text")
    with pytest.raises(DatasetError, match=r"a\.parquet is no Parquet file"):
        VectorDataset(tmp_path)


def test_a_single_file_and_a_path(folder):
    assert numbers_of(read_dataset(str(folder / "part-1.parquet")))[0] == 10


def test_without_pyarrow(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ImageAnalyticsError, match="pip install"):
        read_dataset(folder)


def test_listings_are_not_remembered(monkeypatch):
    """Some file systems would not see files that were written since."""
    options = {}

    def url_to_fs(_address, **given):
        options.update(given)
        return fsspec.filesystem("memory"), "/gone"

    monkeypatch.setattr("fsspec.core.url_to_fs", url_to_fs)
    with pytest.raises(DatasetError, match="no file or folder"):
        read_dataset("s3://bucket/gone")
    assert options == {"use_listings_cache": False}
