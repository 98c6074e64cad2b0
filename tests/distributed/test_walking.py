import functools
import os
import sqlite3

import numpy as np
import pytest
from listings import KEYS, TAKEN, little_memory, names, pairs, sources
from moto.backends import get_backend
from shard_files import jpeg

from orangecontrib.imageanalytics.distributed import walking
from orangecontrib.imageanalytics.distributed.listing import (
    Listing,
    ListingError,
)
from orangecontrib.imageanalytics.distributed.sorted_names import SortedNames
from orangecontrib.imageanalytics.images import stores


def test_links(folder):
    os.symlink(folder, os.path.join(folder, "cats", "loop"))
    os.symlink("self.jpg", os.path.join(folder, "self.jpg"))
    os.symlink(os.path.join(folder, "b.jpg"), os.path.join(folder, "c.jpg"))
    before = names(Listing(folder), folder)
    assert before[:5] == ["a.png", "b.jpg", "c.jpg", "no extension", "self.jpg"]
    assert not any("loop" in name for name in before)


def test_unreadable_subfolder(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("young"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = Listing(folder)
    assert len(sources(listing)) == 6
    (problem,) = listing.problems
    assert (
        problem == f"The folder {folder}/cats/young cannot be read: Permission denied"
    )
    assert len(sources(listing)) == 6
    assert len(listing.problems) == 1
    with pytest.raises(ListingError, match="young cannot be read"):
        sources(Listing(os.path.join(folder, "cats", "young")))


def test_name_that_is_no_text(folder):
    path = os.path.join(os.fsencode(folder), b"caf\xe9.jpg")
    with open(path, "wb") as file:
        file.write(jpeg(1))
    listing = Listing(folder)
    assert not any("caf" in source for source in sources(listing))
    assert "not valid text" in listing.problems[0]
    listing.problems[0].encode()


def test_deep_folders(tmp_path):
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "a.jpg").write_bytes(b"x")
    assert sources(Listing(tmp_path)) == [str(deep / "a.jpg")]


def test_folder_in_s3(s3_server):
    for key in KEYS:
        s3_server.put(key, b"x")
    listing = Listing("s3://photos/photos")
    assert names(listing, "s3://photos/photos") == TAKEN
    assert names(Listing("s3://photos/photos/"), "s3://photos/photos") == TAKEN
    found = dict(pairs(listing))
    assert found["s3://photos/photos/cats/young/2.JPG"] == "cats/young"
    assert found["s3://photos/photos/cats.jpg"] is None
    everything = names(Listing("s3://photos"), "s3://photos")
    assert everything == ["photos/" + name for name in TAKEN] + ["photos2/x.jpg"]


def test_pages_of_s3(s3_server):
    backend = get_backend("s3")["123456789012"]["aws"]
    for number in range(2100):
        backend.put_object("photos", f"many/{number:04}.jpg", b"x")
    parts = Listing("s3://photos/many", part_size=500).parts()
    assert len(next(parts).sources) == 500
    s3_server.requests.clear()
    rest = [source for part in parts for source in part.sources]
    assert len(rest) == 1600
    assert rest[-1] == "s3://photos/many/2099.jpg"
    assert len(s3_server.requests) == 2  # as it goes on


def test_s3_is_busy(s3_server, monkeypatch):
    monkeypatch.setattr(stores, "PAUSES", (0.01,))
    s3_server.put("in/a.jpg", b"x")
    listing = Listing("s3://photos/in")
    s3_server.refusals["photos"] = 7
    assert sources(listing) == ["s3://photos/in/a.jpg"]
    s3_server.refusals["photos"] = 1000
    with pytest.raises(ListingError, match=r"s3://photos/in: .*is busy"):
        sources(listing)
    s3_server.status, s3_server.code = "403 Forbidden", "AccessDenied"
    with pytest.raises(ListingError, match=r"s3://photos/in: access denied"):
        sources(listing)


def test_another_store():
    fs, _ = stores.filesystem("memory://x")
    fs.rm("/", recursive=True) if fs.exists("/") else None
    for key in KEYS:
        fs.pipe_file("/" + key, b"x")
    listing = Listing("memory://photos")
    expected = ["a b#1.jpg", "cats.jpg", "č.png", "cats/1.jpg", "cats/young/2.JPG"]
    assert names(listing, "memory://photos") == expected
    assert names(Listing("memory://photos/*.jpg"), "memory://photos") == expected[:2]
    with pytest.raises(ListingError, match="memory://nowhere"):
        Listing("memory://nowhere")


class Entries:
    """What os.scandir gives for a folder of very many files."""

    n = 150_000

    def __init__(self, _folder):
        pass

    def __enter__(self):
        numbers = np.random.default_rng(0).permutation(self.n)
        return map(Entry, numbers)

    def __exit__(self, *_):
        pass


class Entry:
    def __init__(self, number):
        self.name = f"{number:010} and a rather long name.jpg"
        self.path = self.name

    def is_dir(self):
        return False


def test_memory_of_a_flat_folder(monkeypatch, tmp_path):
    listing = Listing(tmp_path, part_size=1000)
    monkeypatch.setattr(os, "scandir", Entries)
    with little_memory(20_000_000):
        last = ""
        for part in listing.parts():
            assert part.sources[0] > last
            last = part.sources[-1]
    assert part.number == Entries.n // 1000 - 1


def test_no_room_for_names(monkeypatch, folder):
    class Full:
        def __init__(self, *_, **__):
            pass

        def execute(self, *_):
            raise sqlite3.OperationalError("database or disk is full")

        def close(self):
            pass

    monkeypatch.setattr(sqlite3, "connect", Full)
    monkeypatch.setattr(walking, "SortedNames", functools.partial(SortedNames, 2))
    with pytest.raises(ListingError, match=r"no room .*disk is full"):
        sources(Listing(folder))
