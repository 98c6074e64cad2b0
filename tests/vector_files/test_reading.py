"""Reading vectors back: all, some and a sample of them, whatever the files are like."""

import pickle
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import make_image
from Orange.classification import LogisticRegressionLearner
from vector_parts import (
    N_FEATURES,
    SPEC,
    damage_rows,
    numbers_of,
    vectors_of,
    write_part,
)

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.errors import (
    Cancelled,
    DatasetError,
)
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.output_file import OutputFile
from orangecontrib.imageanalytics.vector_files import (
    read_dataset,
    reading,
)
from orangecontrib.imageanalytics.vector_files.dataset import (
    VectorDataset,
)

# What a table has -------------------------------------------------------------------


def test_table(folder):
    table = read_dataset(folder)
    assert numbers_of(table) == list(range(30))
    np.testing.assert_array_equal(table.X, vectors_of(range(30)))
    assert [v.name for v in table.domain.attributes] == ["n0", "n1", "n2", "n3"]
    assert all(v.attributes["hidden"] for v in table.domain.attributes)
    metas = [variable.name for variable in table.domain.metas]
    assert metas == ["image name", "image", "width", "height"]
    assert table.domain["image"].attributes == {"type": "image"}
    assert table.domain.class_var.name == "category"
    assert table.domain.class_var.values == ("cat", "dog")
    assert list(table.Y[:3]) == [0, 1, 0]
    assert list(table.get_column("image name")[:2]) == ["0", "1"]
    assert set(table.get_column("width")) == {640}
    assert table.name == "vectors"


def test_columns_are_those_of_image_embedding(folder):
    for index, variable in enumerate(read_dataset(folder).domain.attributes):
        feature = variable.compute_value
        assert feature.compute_shared == EmbedImages.of(SPEC, "image")
        assert (feature.index, feature.name) == (index, variable.name)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of dark and light images."""
    folder = tmp_path_factory.mktemp("moved") / "photos"
    for seed in range(16):
        name, base = (("dark", 0), ("light", 160))[seed % 2]
        image = make_image(seed).point(lambda value, base=base: base + value // 3)
        (folder / name).mkdir(parents=True, exist_ok=True)
        image.save(folder / name / f"{seed}.png")
    return folder


def embedded(images, **options):
    table, _ = ImportImages()(str(images))
    with ImageEmbedder("squeezenet", "cpu", **options) as embedder:
        return table, embedder(table, col="image")[0]


@pytest.mark.parametrize("options", [{}, {"layer": "logits"}, {"intensity": "0:300"}])
def test_embed_writes_what_is_read_back(images, tmp_path, fresh_cache, options):
    _, table = embedded(images, **options)
    OutputFile(str(tmp_path / "x.parquet")).write(table)
    back = read_dataset(tmp_path / "x.parquet")
    np.testing.assert_allclose(back.X, table.X, rtol=1e-6)
    assert back.domain.attributes == table.domain.attributes
    for mine, theirs in zip(
        back.domain.attributes, table.domain.attributes, strict=True
    ):
        assert mine.name == theirs.name
        assert mine.attributes == theirs.attributes
        assert mine.compute_value == theirs.compute_value
    assert back.domain.class_var == table.domain.class_var
    np.testing.assert_array_equal(back.Y, table.Y)
    for name in ("image", "image name", "width", "height"):
        assert list(back.get_column(name)) == list(table.get_column(name))
    assert back.domain["image"].attributes == table.domain["image"].attributes


def test_a_model_predicts_plain_images(images, tmp_path, fresh_cache):
    plain, table = embedded(images)
    OutputFile(str(tmp_path / "x.parquet")).write(table)
    model = LogisticRegressionLearner()(read_dataset(tmp_path / "x.parquet", sample=12))
    model = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model(plain), plain.Y)


def test_images_that_were_moved_with_their_vectors(images, tmp_path, fresh_cache):
    _, table = embedded(images)
    OutputFile(str(tmp_path / "x.parquet")).write(table)
    shutil.copytree(images, tmp_path / "photos")
    before = read_dataset(tmp_path / "x.parquet").domain["image"].attributes
    assert before["origin"] == str(images)
    images.rename(images.parent / "gone")
    try:
        after = read_dataset(tmp_path / "x.parquet").domain["image"].attributes
        given = read_dataset(tmp_path / "x.parquet", images="/new").domain["image"]
    finally:
        (images.parent / "gone").rename(images)
    assert after["origin"] == str(tmp_path / "photos")
    assert given.attributes["origin"] == "/new"


# Rows that are left out -------------------------------------------------------------


def test_images_without_vectors(folder):
    write_part(folder / "part-1.parquet", range(10, 20), failed=[12, 17, 18])
    with pytest.warns(RuntimeWarning, match="left out: 3"):
        table = read_dataset(folder)
    expected = [number for number in range(30) if number not in (12, 17, 18)]
    assert numbers_of(table) == expected
    np.testing.assert_array_equal(table.X, vectors_of(expected))

    loaded = reading.load(VectorDataset(folder), sample=5)
    assert (len(loaded.table), loaded.n_skipped, loaded.n_matching) == (5, 3, 27)
    assert numbers_of(loaded.skipped) == [12, 17, 18]
    assert set(loaded.skipped.get_column("error")) == {"file is empty"}
    assert not loaded.skipped.domain.attributes


def test_only_so_many_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "orangecontrib.imageanalytics.vector_files.rows.MOST_SKIPPED", 4
    )
    write_part(tmp_path / "a.parquet", range(50), failed=range(40))
    loaded = reading.load(VectorDataset(tmp_path))
    assert (len(loaded.skipped), loaded.n_skipped, len(loaded.table)) == (4, 40, 10)


def test_no_image_has_a_vector(tmp_path):
    write_part(tmp_path / "a.parquet", range(5), failed=range(5))
    with pytest.warns(RuntimeWarning, match="left out: 5"):
        assert len(read_dataset(tmp_path)) == 0


def test_vectors_that_are_missing_without_a_reason(tmp_path):
    vectors = pa.array([[1.0, 2], None, [3, 4]], pa.list_(pa.float64()))
    pq.write_table(pa.table({"vector": vectors}), tmp_path / "a.parquet")
    with pytest.warns(RuntimeWarning, match="left out: 1"):
        table = read_dataset(tmp_path)
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])


# Samples ----------------------------------------------------------------------------


def test_sample(folder):
    table = read_dataset(folder, sample=7)
    numbers = numbers_of(table)
    assert len(set(numbers)) == 7 and numbers == sorted(numbers)
    np.testing.assert_array_equal(table.X, vectors_of(numbers))
    assert numbers_of(read_dataset(folder, sample=7)) == numbers
    assert numbers_of(read_dataset(folder, sample=7, seed=1)) != numbers


def test_samples_are_fair(folder):
    """Also where some rows have no vectors, and of rows that meet a condition."""
    write_part(folder / "part-1.parquet", range(10, 20), failed=[12])
    counts = np.zeros(30)
    dataset = VectorDataset(folder)
    for seed in range(300):
        loaded = reading.load(
            dataset, ["path"], 3, [("category", "==", "cat")], seed=seed
        )
        counts[numbers_of(loaded.table)] += 1
    cats = [number for number in range(0, 30, 2) if number != 12]
    assert counts.sum() == 900 == counts[cats].sum()
    # Expected 64 each, with a standard deviation of 7.
    assert counts[cats].min() > 30 and counts[cats].max() < 100


@pytest.mark.parametrize("sample", [30, 1000])
def test_sample_of_more_than_there_are(folder, sample):
    assert numbers_of(read_dataset(folder, sample=sample)) == list(range(30))


def test_sample_of_nothing(folder):
    table = read_dataset(folder, sample=0)
    assert table.X.shape == (0, N_FEATURES)
    with pytest.raises(ValueError, match="sample"):
        read_dataset(folder, sample=-1)


def test_only_groups_with_chosen_rows_are_read(folder, monkeypatch):
    read = []
    fragment = VectorDataset.fragment

    def spy(dataset, group):
        read.append((group.part.file[-6 - 8 : -8], group.index))
        return fragment(dataset, group)

    monkeypatch.setattr(VectorDataset, "fragment", spy)
    table = read_dataset(folder, sample=2)
    assert len(set(read)) == len(read)
    assert len(read) == len({number // 5 for number in numbers_of(table)}) <= 2


def test_memory_is_that_of_the_result(tmp_path):
    n_features = 500
    schema = pa.schema({"path": pa.string(), "vector": pa.list_(pa.float32(), 500)})
    with pq.ParquetWriter(tmp_path / "a.parquet", schema) as writer:
        for start in range(0, 40_000, 1000):  # 80 MB of numbers
            numbers = np.random.default_rng(start).random(1000 * n_features, np.float32)
            vectors = pa.FixedSizeListArray.from_arrays(numbers, n_features)
            paths = [f"{start + i}.png" for i in range(1000)]
            writer.write_table(pa.table([paths, vectors], schema))
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)  # counts by itself
    pa.set_memory_pool(pool)
    try:
        assert len(read_dataset(tmp_path, sample=100)) == 100
    finally:
        pa.set_memory_pool(usual)
    assert 2e6 < pool.max_memory() < 40e6


# What cannot be read ----------------------------------------------------------------


@pytest.mark.parametrize("where", [None, [("width", ">", 0)]], ids=str)
def test_damaged_rows(folder, where):
    path = folder / "part-1.parquet"
    damage_rows(path)
    with pytest.raises(DatasetError, match=r"^part-1\.parquet cannot be read: "):
        read_dataset(folder, where=where)
    loaded = reading.load(VectorDataset(folder), where=where)
    assert list(loaded.problems) == ["part-1.parquet"]
    assert numbers_of(loaded.table) == [*range(10), *range(20, 30)]


def test_more_than_the_memory(folder, monkeypatch):
    monkeypatch.setattr(reading, "free_memory", lambda: 10_000)
    with pytest.raises(DatasetError, match=r"30 rows needs .* GB.* Read a sample"):
        read_dataset(folder)
    assert len(read_dataset(folder, sample=3)) == 3


# Progress and stopping --------------------------------------------------------------


def test_progress(folder):
    fractions = []
    write_part(folder / "part-1.parquet", range(10, 20), failed=[12])
    with pytest.warns(RuntimeWarning):
        read_dataset(folder, callback=fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[0] == 0 and fractions[-1] == 1 and len(set(fractions)) > 5


@pytest.mark.parametrize("at", [0, 0.1, 0.25, 0.9])
def test_stopping(folder, at):
    write_part(folder / "part-1.parquet", range(10, 20), failed=[12])

    def callback(fraction):
        if fraction >= at:
            raise Cancelled

    with pytest.raises(Cancelled):
        read_dataset(folder, callback=callback)


def test_import_needs_no_pyarrow():
    """It is blocked, since pandas imports it, too."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import orangecontrib.imageanalytics.vector_files\n"
        "import orangecontrib.imageanalytics.output_file\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
