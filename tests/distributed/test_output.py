"""How the lists of images reach the workers, through the folder of the output."""

import os
import pickle

import pytest

from orangecontrib.imageanalytics.distributed import embed_dataset
from orangecontrib.imageanalytics.distributed.listing import Part
from orangecontrib.imageanalytics.distributed.output import (
    LISTS,
    Output,
    piece_name,
)


def test_tasks_do_not_contain_the_list(cluster, images, tmp_path, monkeypatch):
    """Dask keeps a thousand messages for each worker, so they have to be small."""
    tasks = []
    submit = cluster.submit

    def spy(*arguments, **options):
        tasks.append(pickle.dumps(arguments))
        return submit(*arguments, **options)

    monkeypatch.setattr(cluster, "submit", spy)
    out = tmp_path / "out"
    summary = embed_dataset(tmp_path / "images", out, cluster=cluster, part_size=8)
    assert (summary.images, summary.failed) == (24, 0)
    assert len(tasks) == 3
    for path in images:
        assert not any(path.name.encode() in task for task in tasks)
    assert not (out / LISTS).exists()


@pytest.mark.parametrize("address", ["{}", "memory://{}"])
def test_a_list_is_written_and_read_back(address, tmp_path):
    output = Output(address.format(tmp_path))
    odd = "b\udcff \u00e9\n.jpg"  # also a name that is not UTF-8
    part = Part(7, ("a.jpg", odd), (None, "x"))
    output.write_list(part)
    assert output.with_images(Part(7, ())) == part
    output.remove_list(part)
    with pytest.raises(FileNotFoundError):
        output.with_images(Part(7, ()))
    output.remove_list(part)  # does not mind


def test_a_shard_has_no_list(tmp_path):
    output = Output(tmp_path)
    part = Part(0, (), (), "images.tar")
    output.write_list(part)
    assert output.with_images(part) == part
    assert not (tmp_path / LISTS).exists()


@pytest.mark.parametrize("folder", ["{}/out", "{}/out [1]*", "memory://{}/out"])
def test_attempts_are_counted(folder, tmp_path):
    if "*" in folder and os.name == "nt":
        folder = "{}/out [1]"
    output = Output(folder.format(tmp_path))
    output.make_pieces_folder()
    names = piece_name(0, 1), piece_name(0, 12)
    assert [output.note_attempt(names[0]) for _ in range(4)] == [0, 1, 2, 3]
    assert [output.note_attempt(names[1]) for _ in range(2)] == [0, 1]
