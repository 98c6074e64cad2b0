"""Vectors, rows and errors of datasets, and which outputs a run accepts."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from dataset_files import names, read
from network_files import make_network, trace
from shard_files import make_shard, web_dataset

from orangecontrib.imageanalytics.__main__ import main
from orangecontrib.imageanalytics.distributed import JobError, embed_dataset, worker
from orangecontrib.imageanalytics.distributed.job import Job
from orangecontrib.imageanalytics.distributed.listing import ListingError
from orangecontrib.imageanalytics.errors import (
    ImageAnalyticsError,
    ModelError,
    TrustNeededError,
)
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.vector_files import KEY, description_of, spec_of


def test_rows_are_those_of_image_embedder(cluster, images, tmp_path):
    folder, out = tmp_path / "images", tmp_path / "out"
    (folder / "left" / "broken.png").write_bytes(images[0].read_bytes()[:99])
    (folder / "right" / "twin.png").write_bytes(images[0].read_bytes())
    summary = embed_dataset(folder, out, cluster=cluster, part_size=10)
    table, _ = ImportImages()(str(folder))
    paths = [str(folder / path) for path in table.get_column("image")]
    embedder = ImageEmbedder(cache=False)
    vectors = embedder(paths)
    rows = read(out)
    assert set(rows) == set(paths)
    for path, vector, row in zip(paths, vectors, table, strict=True):
        found = rows[path]
        assert found["category"] == str(row["category"])
        if vector is None:
            assert found["vector"] is None
            assert found["error"] == embedder.failures[path]
        else:
            np.testing.assert_allclose(found["vector"], vector, rtol=1e-4, atol=1e-6)
            assert found["error"] is None
        if path.endswith("broken.png"):
            continue  # whose header can be read
        assert (found["width"], found["height"]) == (row["width"], row["height"])
    assert (summary.images, summary.failed, summary.parts) == (26, 1, 3)
    assert summary.examples == list(embedder.failures.items())
    assert sum(summary.reasons.values()) == 1


def test_a_missing_path_is_a_row(cluster, images, tmp_path):
    list_file = tmp_path / "list.csv"
    list_file.write_text(f"image\n{images[0]}\n{tmp_path / 'none.png'}\n")
    summary = embed_dataset(list_file, tmp_path / "out", cluster=cluster)
    rows = read(tmp_path / "out")
    assert rows[str(tmp_path / "none.png")]["error"] == "file not found"
    assert rows[str(tmp_path / "none.png")]["width"] is None
    assert (summary.images, summary.failed) == (2, 1)


def test_nothing_but_failures(cluster, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "text.png").write_text("no image")
    summary = embed_dataset(tmp_path / "images", tmp_path / "out", cluster=cluster)
    assert (summary.images, summary.failed) == (1, 1)
    schema = pq.read_schema(tmp_path / "out" / "part-00000.parquet")
    assert schema.metadata[b"n_features"] == b"1280"


def test_description(cluster, images, tmp_path):
    out = tmp_path / "out"
    embed_dataset(
        tmp_path / "images", out, "squeezenet", cluster=cluster, layer="logits"
    )
    metadata = pq.read_schema(out / "part-00000.parquet").metadata
    description = description_of(metadata, "file")
    embedder = ImageEmbedder("squeezenet", layer="logits")
    assert spec_of(description) == embedder._spec.portable()
    assert len(description["classes"]) == 1000
    assert description["version"]
    job = json.loads((out / "_job.json").read_text())
    assert job["embedding"] == json.loads(metadata[KEY])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_programs_read_it(cluster, images, tmp_path):
    out = tmp_path / "out"
    embed_dataset(tmp_path / "images", out, cluster=cluster, part_size=10)
    table = pyarrow.dataset.dataset(out).to_table()
    assert table.column("path").to_pylist() == list(map(str, images))
    frame = pytest.importorskip("dask.dataframe").read_parquet(out)
    assert len(frame) == 24
    assert frame.npartitions == 3
    counts = frame.category.value_counts().compute()
    assert dict(counts) == {"left": 12, "right": 12}


def test_finished_parts_are_not_computed_again(cluster, images, tmp_path):
    out = tmp_path / "out"
    arguments = {"cluster": cluster, "part_size": 10}
    embed_dataset(tmp_path / "images", out, **arguments)
    times = {name: os.stat(out / name).st_mtime_ns for name in names(out)}
    os.remove(out / "part-00001.parquet")
    (out / ".part-00001.parquet.0.partial").write_text("left by a killed worker")
    seen = []
    summary = embed_dataset(tmp_path / "images", out, **arguments, callback=seen.append)
    assert (summary.parts, summary.parts_before, summary.images) == (1, 2, 10)
    assert list(read(out)) == list(map(str, images))
    for name in ("part-00000.parquet", "part-00002.parquet"):
        assert os.stat(out / name).st_mtime_ns == times[name]
    assert names(out) == sorted(times)
    assert seen[-1].parts_before == 2


def test_the_size_of_parts_is_that_of_the_output(cluster, images, tmp_path):
    out = tmp_path / "out"
    embed_dataset(tmp_path / "images", out, cluster=cluster, part_size=10)
    summary = embed_dataset(tmp_path / "images", out, cluster=cluster)
    assert (summary.parts, summary.parts_before) == (0, 3)


@pytest.fixture
def finished(cluster, images, tmp_path):
    """An output with vectors of all images."""
    out = tmp_path / "out"
    embed_dataset(tmp_path / "images", out, cluster=cluster, part_size=10)
    return out


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"model": "squeezenet"}, "network: efficientnet-lite0, now squeezenet"),
        ({"layer": "logits"}, "layer: penultimate, now logits"),
        ({"fit": "pad"}, "preprocessing fit: crop, now pad"),
        ({"precision": "float32"}, "precision: none, now float32"),
        ({"intensity": "full"}, "intensity: auto, now full"),
        ({"part_size": 5}, "part_size: 10, now 5"),
    ],
)
def test_another_job(finished, images, tmp_path, options, difference):
    options = {"part_size": 10, **options}
    with pytest.raises(JobError, match="vectors of another job") as error:
        embed_dataset(tmp_path / "images", finished, cluster="unused", **options)
    assert difference in str(error.value)
    assert len(read(finished)) == 24


def test_another_list(finished, images, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "image.png").write_bytes(images[0].read_bytes())
    with pytest.raises(JobError, match=f"images.*now .*{other.name}"):
        embed_dataset(other, finished, cluster="unused")


def test_the_list_has_changed(finished, images, tmp_path):
    new = images[3].with_name("03 new.png")
    os.rename(images[3], new)
    with pytest.raises(JobError, match=r"part-00000\.parquet, there was .*03 new"):
        embed_dataset(tmp_path / "images", finished, cluster="unused")
    os.rename(new, images[3])
    for path in images[10:]:
        os.remove(path)
    with pytest.raises(JobError, match=r"part-00001\.parquet, .*no such part"):
        embed_dataset(tmp_path / "images", finished, cluster="unused")


def test_force_begins_anew(cluster, finished, images, tmp_path):
    (finished / "notes.txt").write_text("mine")
    summary = embed_dataset(
        tmp_path / "images", finished, "squeezenet", cluster=cluster, force=True
    )
    assert (summary.parts, summary.parts_before) == (1, 0)
    assert names(finished) == ["_job.json", "notes.txt", "part-00000.parquet"]
    part = pq.read_table(finished / "part-00000.parquet")
    assert part.schema.metadata[b"n_features"] == b"1000"


def test_files_of_other_programs_stay(cluster, images, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    part = out / "part-00000.parquet"
    pq.write_table(pyarrow.table({"a": [1]}), part)
    with pytest.raises(JobError, match=r"part-00000\.parquet, but no _job\.json"):
        embed_dataset(tmp_path / "images", out, cluster="unused")
    with pytest.raises(JobError, match="no vectors of this program"):
        embed_dataset(tmp_path / "images", out, cluster=cluster, force=True)
    assert pq.read_table(part).num_rows == 1


def test_a_damaged_part(finished, tmp_path):
    (finished / "part-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(JobError, match=r"part-00001\.parquet cannot be read.*Delete"):
        embed_dataset(tmp_path / "images", finished, cluster="unused")


@pytest.mark.parametrize("text", ["", "[]", '{"format'])
def test_a_damaged_description(finished, tmp_path, text):
    (finished / "_job.json").write_text(text)
    with pytest.raises(JobError, match=r"_job\.json is damaged"):
        embed_dataset(tmp_path / "images", finished, cluster="unused")


def test_the_output_is_a_file(images, tmp_path):
    file = tmp_path / "out"
    file.write_text("mine")
    with pytest.raises(JobError, match="out is a file"):
        embed_dataset(tmp_path / "images", file, cluster="unused")


def test_an_output_of_no_known_kind(images, tmp_path):
    with pytest.raises(JobError, match="nowhere://bucket cannot be used"):
        embed_dataset(tmp_path / "images", "nowhere://bucket", cluster="unused")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "resnet"}, "resnet"),
        ({"layer": "nowhere"}, "nowhere"),
        ({"precision": "float8"}, "float8"),
        ({"fit": "squeeze"}, "squeeze"),
        ({"part_size": 0}, "part_size"),
        ({"workers": 2, "cluster": "tcp://127.0.0.1:9"}, "workers"),
    ],
)
def test_wrong_arguments(images, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        embed_dataset(tmp_path / "images", tmp_path / "out", **options)


def test_shards(cluster, tmp_path):
    for number in range(2):
        shard = make_shard(web_dataset(5, 5 * number))
        (tmp_path / f"shard-{number}.tar").write_bytes(shard)
    damaged = tmp_path / "shard-1.tar"
    content = damaged.read_bytes()
    damaged.write_bytes(content[: content.index(b"000008.jpg") + 700])
    out = tmp_path / "out"
    pattern = f"{tmp_path}/shard-{{0..1}}.tar"
    summary = embed_dataset(pattern, out, cluster=cluster)
    rows = read(out)
    errors = {path: row["error"] for path, row in rows.items() if row["error"]}
    assert list(errors) == [str(damaged)]
    good = {path: row for path, row in rows.items() if path not in errors}
    assert len(good) == 5 + 3
    expected = ImageEmbedder(cache=False)(list(good))
    for row, vector in zip(good.values(), expected, strict=True):
        np.testing.assert_allclose(row["vector"], vector, rtol=1e-4, atol=1e-6)
    first = [row["category"] for row in rows.values()][:5]
    assert first == ["0", "1", "0", "1", "0"]
    assert (summary.parts, summary.failed) == (2, 1)


def test_no_dask(monkeypatch, images, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImageAnalyticsError, match=r"\[distributed\]"):
        embed_dataset(tmp_path / "images", tmp_path / "out")


def test_dask_is_imported_when_it_is_needed():
    code = """
import sys
import orangecontrib.imageanalytics.__main__
import orangecontrib.imageanalytics.distributed
import orangecontrib.imageanalytics.image_embedder
import orangecontrib.imageanalytics.widgets
print([name for name in ("dask", "distributed", "fsspec") if name in sys.modules])
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_command(images, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["embed-dataset", str(tmp_path / "images"), "-o", str(out)]
    assert main([*arguments, "--workers", "2", "--part-size", "12"]) == 0
    output = capsys.readouterr()
    assert "embedded  24" in output.out
    assert len(read(out)) == 24
    assert main([*arguments, "-m", "squeezenet"]) == 1
    assert "network: efficientnet-lite0, now squeezenet" in capsys.readouterr().err
    assert main([*arguments, "-m", "nonesuch"]) == 2


def test_command_with_nothing_to_embed(tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["embed-dataset", str(tmp_path / "none"), "-o", out]) == 1
    assert "none" in capsys.readouterr().err
    assert not os.path.exists(out)


def test_command_with_a_shard_without_images(tmp_path, capsys):
    shard = tmp_path / "a.tar"
    shard.write_bytes(make_shard([("a.txt", b"no image")]))
    arguments = ["embed-dataset", str(shard), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--workers", "1"]) == 1
    assert f"There are no images in {shard}." in capsys.readouterr().err


ODD = "\udcff"  # as Python reads a byte that is not UTF-8


def test_names_that_are_not_valid_text(cluster, images, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.png")
    try:
        os.link(images[0], odd)
    except OSError:
        pytest.skip("this file system has no such names")
    summary = embed_dataset([images[0], odd], tmp_path / "out", cluster=cluster)
    assert (summary.images, summary.failed) == (2, 0)
    first, second = read(tmp_path / "out").values()
    assert second["path"] == str(tmp_path / "a\ufffd.png")
    assert first["vector"] == second["vector"]


def test_classes_that_are_not_valid_text(cluster, images, tmp_path):
    image = images[0].read_bytes()
    files = [
        (f"{ODD}/a.png", image),
        ("b.png", image),
        ("b.json", b'{"label": "\\ud800"}'),
    ]
    (tmp_path / "a.tar").write_bytes(make_shard(files))
    summary = embed_dataset(tmp_path / "a.tar", tmp_path / "out", cluster=cluster)
    assert (summary.images, summary.failed) == (2, 0)
    rows = read(tmp_path / "out").values()
    assert [row["category"] for row in rows] == ["\ufffd", "\ufffd"]


def test_nothing_is_written_for_an_empty_list(tmp_path):
    (tmp_path / "list.txt").write_text("# nothing yet\n")
    for options in {}, {"force": True}:
        with pytest.raises(ListingError, match="no images"):
            embed_dataset(
                tmp_path / "list.txt", tmp_path / "out", cluster="unused", **options
            )
    assert not (tmp_path / "out").exists()


def test_nothing_is_removed_before_there_is_a_cluster(finished, images, tmp_path):
    before = names(finished)
    with pytest.raises(JobError, match="no Dask scheduler answers"):
        embed_dataset(
            tmp_path / "images", finished, "squeezenet", cluster="unused", force=True
        )
    assert names(finished) == before


def test_a_relative_output_is_the_client_s(cluster, images, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    before = next(iter(cluster.run(os.getcwd).values()))
    cluster.run(os.chdir, str(there))
    monkeypatch.chdir(here)
    try:
        summary = embed_dataset("../images", "out", cluster=cluster)
    finally:
        cluster.run(os.chdir, before)
    assert (summary.images, summary.failed, summary.output) == (24, 0, "out")
    assert names(here / "out") == ["_job.json", "part-00000.parquet"]
    assert names(there) == []


def test_a_few_addresses_that_do_not_answer(cluster, images, tmp_path):
    cluster.run(setattr, worker, "PAUSES", (0.01,))
    dead = "http://127.0.0.1:9/a.png"
    try:
        summary = embed_dataset(
            [*images[:2], dead, dead], tmp_path / "out", cluster=cluster, part_size=3
        )
        many = [f"{dead}?{number}" for number in range(30)]
        with pytest.raises(JobError, match=r"part-00000 failed.*run: http:.*connect"):
            embed_dataset(many, tmp_path / "many", cluster=cluster)
    finally:
        cluster.run(setattr, worker, "PAUSES", worker.PAUSES)
    assert (summary.images, summary.failed, summary.parts) == (4, 2, 2)
    assert "cannot connect" in read(tmp_path / "out")[dead]["error"]


def test_an_output_among_the_images(cluster, images, tmp_path):
    pattern = str(tmp_path / "images" / "**")
    out = tmp_path / "images" / "vectors"
    for parts_before in 0, 1:
        summary = embed_dataset(pattern, out, cluster=cluster)
        assert (summary.parts_before, summary.failed) == (parts_before, 0)
    assert list(read(out)) == list(map(str, images))


@pytest.mark.parametrize("place", ["client", "worker"])
def test_a_missing_package_is_named_before_the_download(
    hub_cache, images, tmp_path, monkeypatch, place
):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    spec = EmbeddingSpec.choose("clip-vit-b-32").portable()
    plugin = worker.EmbeddingPlugin("", Job(spec, {}, 1), "", worker.Options())
    with pytest.raises(ModelError, match="need the package open_clip_torch"):
        if place == "worker":
            plugin._found_spec()
        else:
            embed_dataset(tmp_path / "images", tmp_path / "out", "clip-vit-b-32")


def test_a_client_of_other_computers_needs_no_package(hub_cache, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ModelError, match="could not be downloaded"):
        embed_dataset(images, "out", "clip-vit-b-32", cluster="unused")


def test_a_file_that_nobody_has_vouched_for(images, tmp_path):
    file = trace(make_network(), tmp_path / "a.pt")
    with pytest.raises(TrustNeededError, match=r"a\.pt can run any program"):
        embed_dataset(
            tmp_path / "images",
            tmp_path / "out",
            file,
            preprocessing={"size": 32, "mean": [0, 0, 0], "std": [1, 1, 1]},
            cluster="unused",
        )
    assert not (tmp_path / "out").exists()
