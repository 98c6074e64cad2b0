"""Reading vectors back: all, some and a sample of them, whatever the files are like."""

import datetime
import pickle
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from helpers import make_image
from Orange.classification import LogisticRegressionLearner
from vector_parts import (
    N_FEATURES,
    SPEC,
    vectors_of,
    write_part,
)

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.errors import (
    Cancelled,
    DatasetError,
    ImageAnalyticsError,
)
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.output_file import OutputFile
from orangecontrib.imageanalytics.vector_files import (
    KEY,
    describe,
    read_dataset,
    reading,
)
from orangecontrib.imageanalytics.vector_files.dataset import (
    VectorDataset,
)


def numbers_of(table) -> list[int]:
    return [int(path[2:-4]) for path in table.get_column("image")]


@pytest.fixture
def folder(tmp_path):
    """Three files, of 30 images in six groups."""
    for part in range(3):
        numbers = range(10 * part, 10 * part + 10)
        write_part(tmp_path / "vectors" / f"part-{part}.parquet", numbers)
    return tmp_path / "vectors"


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


def test_a_single_file_and_a_path(folder):
    assert numbers_of(read_dataset(str(folder / "part-1.parquet")))[0] == 10


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


@pytest.mark.parametrize("name", [".part-9.parquet", "_part-9.parquet", "_job.json"])
def test_unfinished_files_are_ignored(folder, name):
    (folder / name).write_bytes(b"unfinished")
    (folder / "_temporary").mkdir()
    (folder / "_temporary" / "part-9.parquet").write_bytes(b"unfinished")
    assert len(read_dataset(folder)) == 30


def test_subfolders(folder):
    write_part(folder / "more" / "part-3.parquet", range(30, 40))
    assert sorted(numbers_of(read_dataset(folder))) == list(range(40))


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


# Conditions and columns -------------------------------------------------------------


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


def test_files_that_lack_a_column(folder):
    write_part(folder / "part-3.parquet", range(30, 40), stars=range(10))
    table = read_dataset(folder)
    assert np.isnan(table.get_column("stars")[0])
    assert table.get_column("stars")[-1] == 9


def test_files_with_different_origins(tmp_path):
    write_part(tmp_path / "v" / "a.parquet", [1], origin="/one")
    write_part(tmp_path / "v" / "b.parquet", [2], origin="http://two.org/x")
    table = read_dataset(tmp_path / "v")
    assert list(table.get_column("image")) == [
        "/one/a/1.png",
        "http://two.org/x/a/2.png",
    ]
    assert "origin" not in table.domain["image"].attributes


# What cannot be read ----------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"text", b"PAR1" + b"\0" * 60 + b"PAR1"])
def test_no_parquet_file(folder, content):
    (folder / "part-1.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"^part-1\.parquet "):
        read_dataset(folder)
    dataset = VectorDataset(folder)
    loaded = reading.load(dataset)
    assert list(loaded.problems) == ["part-1.parquet"]
    assert numbers_of(loaded.table) == [*range(10), *range(20, 30)]


@pytest.mark.parametrize("where", [None, [("width", ">", 0)]], ids=str)
def test_damaged_rows(folder, where):
    path = folder / "part-1.parquet"
    content = bytearray(path.read_bytes())
    length = pq.read_metadata(path).serialized_size
    content[4 : len(content) - length - 8] = b"\xff" * (len(content) - length - 12)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"^part-1\.parquet cannot be read: "):
        read_dataset(folder, where=where)
    loaded = reading.load(VectorDataset(folder), where=where)
    assert list(loaded.problems) == ["part-1.parquet"]
    assert numbers_of(loaded.table) == [*range(10), *range(20, 30)]


def test_all_files_are_damaged(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"text")
    with pytest.raises(DatasetError, match=r"a\.parquet is no Parquet file"):
        VectorDataset(tmp_path)


def test_nothing_is_there(tmp_path):
    with pytest.raises(DatasetError, match=r"no file or folder .*gone"):
        read_dataset(tmp_path / "gone")
    with pytest.raises(DatasetError, match="no Parquet file in the folder"):
        read_dataset(tmp_path)


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


def test_more_than_the_memory(folder, monkeypatch):
    monkeypatch.setattr(reading, "free_memory", lambda: 10_000)
    with pytest.raises(DatasetError, match=r"30 rows needs .* GB.* Read a sample"):
        read_dataset(folder)
    assert len(read_dataset(folder, sample=3)) == 3


def test_without_pyarrow(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ImageAnalyticsError, match="pip install"):
        read_dataset(folder)


# Other places, and stopping ---------------------------------------------------------


def test_address(folder):
    pytest.importorskip("fsspec")
    table = read_dataset(f"file://{folder}")
    assert numbers_of(table) == list(range(30))
    assert numbers_of(read_dataset(f"file://{folder}/part-1.parquet"))[0] == 10


def test_memory_address(folder):
    fsspec = pytest.importorskip("fsspec")
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
    pytest.importorskip("fsspec")
    with pytest.raises(DatasetError, match=reason):
        read_dataset(address)


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


def test_import_needs_no_pyarrow():
    """It is blocked, since pandas imports it, too."""
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import orangecontrib.imageanalytics.vector_files\n"
        "import orangecontrib.imageanalytics.output_file\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
