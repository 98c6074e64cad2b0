import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

from orangecontrib.imageanalytics.engine import cache as module
from orangecontrib.imageanalytics.engine.cache import (
    FILE_NAME,
    VectorCache,
    is_settled,
)

SPACE, OTHER = b"s" * 16, b"o" * 16
OLD = 1_600_000_000 * 10**9  # nanoseconds


def digest(number):
    return number.to_bytes(32, "big")


def vector(number, length=8):
    return np.full(length, number, np.float32)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "cache")


def test_keeps_vectors_between_openings(folder):
    with VectorCache(folder) as cache:
        cache.add(digest(1), SPACE, vector(1))
    with VectorCache(folder) as cache:
        np.testing.assert_array_equal(cache.find(digest(1), SPACE), vector(1))
        assert cache.find(digest(2), SPACE) is None
        assert cache.find(digest(1), OTHER) is None


def test_files_by_path_size_and_time(folder):
    with VectorCache(folder) as cache:
        cache.add(digest(1), SPACE, vector(1))
        cache.add_file("/a", 10, OLD, digest(1))
        cache.flush()
        assert list(cache.find_files([("/a", 10, OLD)], SPACE)) == ["/a"]
        for changed in [("/a", 11, OLD), ("/a", 10, OLD + 1), ("/b", 10, OLD)]:
            assert cache.find_files([changed], SPACE) == {}
        assert cache.find_files([("/a", 10, OLD)], OTHER) == {}


def test_more_files_than_one_statement_takes(folder):
    files = [(f"/{number}", 1, OLD) for number in range(2345)]
    with VectorCache(folder) as cache:
        for number, file in enumerate(files):
            cache.add(digest(number), SPACE, vector(number))
            cache.add_file(*file, digest(number))
        cache.flush()
        found = cache.find_files(files, SPACE)
    assert len(found) == 2345
    assert found["/2344"][0] == 2344


def test_time_stamp_of_a_file_just_written_is_not_trusted():
    assert not is_settled(time.time_ns())
    assert is_settled(OLD)
    year_1601 = -11_644_473_600 * 10**9
    assert not is_settled(year_1601)


def test_a_vector_that_was_altered_is_not_used(folder):
    with VectorCache(folder) as cache:
        cache.add(digest(1), SPACE, vector(1))
        cache.flush()
        row = cache._database.execute("SELECT vector FROM vectors").fetchone()[0]
        altered = row[:5] + bytes([row[5] ^ 1]) + row[6:]
        with cache._database as database:
            database.execute("UPDATE vectors SET vector = ?", (altered,))
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert cache.find(digest(1), SPACE) is None


def test_damage_of_any_kind_is_no_crash(folder):
    """Bytes changed at random, as a failing disk does."""
    with VectorCache(folder) as cache:
        for number in range(60):
            cache.add(digest(number), SPACE, vector(number, 100))
            cache.add_file(f"/{number}", 1, OLD, digest(number))
    path = pathlib.Path(folder, FILE_NAME)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    files = [(f"/{number}", 1, OLD) for number in range(60)]
    for _ in range(60):
        content = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, len(content), 40)
        content[places] = random.integers(0, 256, 40)
        for left in pathlib.Path(folder).iterdir():
            left.unlink()
        path.write_bytes(content.tobytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with VectorCache(folder) as cache:
                for name, found in cache.find_files(files, SPACE).items():
                    assert (found == int(name[1:])).all()
                cache.find(digest(5), SPACE)
                cache.add(digest(99), SPACE, vector(99))
                cache.info()


def test_undecodable_file_names(folder):
    name = os.fsdecode(b"/\xff.jpg")
    with VectorCache(folder) as cache:
        cache.add(digest(1), SPACE, vector(1))
        cache.add_file(name, 10, OLD, digest(1))
        cache.flush()
        assert list(cache.find_files([(name, 10, OLD)], SPACE)) == [name]


def test_least_recently_used_go_first(folder, monkeypatch):
    clock = [1e9]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    limit = 1_000_000
    with VectorCache(folder, limit) as cache:
        for number in range(200):
            clock[0] += 2 * module.TOUCH_SECONDS
            cache.add(digest(number), SPACE, vector(number, 2000))
            cache.add_file(f"/{number}", 1, 0, digest(number))
            cache.flush()
            assert cache.find(digest(0), SPACE) is not None
        assert cache.info()["bytes"] <= limit
        assert cache.find(digest(1), SPACE) is None
        assert cache.find(digest(199), SPACE) is not None
        files = cache._value("SELECT count(*) FROM files")
        assert files == cache.info()["entries"] < 120
    assert os.path.getsize(os.path.join(folder, FILE_NAME)) < 1.5 * limit


def test_size_from_the_environment(folder, monkeypatch):
    monkeypatch.setenv("ORANGE_IMAGEANALYTICS_CACHE_MB", "3")
    assert VectorCache(folder).limit == 3 * 2**20
    monkeypatch.setenv("ORANGE_IMAGEANALYTICS_CACHE_MB", "plenty")
    assert VectorCache(folder).limit == 2 * 2**30


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_damaged_database_is_set_aside(folder, damage):
    with VectorCache(folder) as cache:
        for number in range(200):
            cache.add(digest(number), SPACE, vector(number, 500))
    path = pathlib.Path(folder, FILE_NAME)
    content = bytearray(path.read_bytes())
    if damage == "text":
        content = b"this is no database at all" * 100
    elif damage == "header":
        content[:100] = b"\0" * 100
    else:
        content[4096:-4096] = b"\xaa" * (len(content) - 8192)
    path.write_bytes(content)
    with (
        pytest.warns(RuntimeWarning, match="damaged"),
        VectorCache(folder) as cache,
    ):
        cache.find(digest(5), SPACE)
        cache.add(digest(1), SPACE, vector(1))
        cache.flush()
        cache.add(digest(2), SPACE, vector(2))
    assert path.with_suffix(".sqlite.damaged").exists()
    with VectorCache(folder) as cache:
        assert cache.find(digest(2), SPACE) is not None


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="not cached"):
        cache = VectorCache(str(tmp_path / "file" / "cache"))
    cache.add(digest(1), SPACE, vector(1))
    cache.flush()
    assert cache.find(digest(1), SPACE) is None
    assert cache.info()["entries"] == 0
    cache.close()


def test_full_disk(folder):
    cache = VectorCache(folder)
    cache.add(digest(0), SPACE, vector(0))
    cache.flush()
    pages = cache._value("PRAGMA page_count")
    cache._database.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(1, 100):
        cache.add(digest(number), SPACE, vector(number, 5000))
    with pytest.warns(RuntimeWarning, match=r"not cached.*full"):
        cache.flush()
    cache.close()
    with VectorCache(folder) as cache:
        assert cache.find(digest(0), SPACE) is not None


def test_read_only_database(folder, monkeypatch):
    VectorCache(folder).close()
    connect = sqlite3.connect
    uri = "file:" + os.path.join(folder, FILE_NAME) + "?immutable=1"
    monkeypatch.setattr(
        module.sqlite3, "connect", lambda _path, **options: connect(uri, uri=True)
    )
    cache = VectorCache(folder)
    cache.add(digest(1), SPACE, vector(1))
    with pytest.warns(RuntimeWarning, match=r"not cached.*readonly"):
        cache.close()


def test_busy_database_is_passed_over(folder, monkeypatch):
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    with VectorCache(folder) as cache:
        other = sqlite3.connect(cache.path)
        other.execute("BEGIN IMMEDIATE")
        cache.add(digest(1), SPACE, vector(1))
        cache.flush()
        VectorCache(folder).close()
        other.rollback()
        other.close()
        cache.flush()
        assert cache.find(digest(1), SPACE) is not None


def test_clearing_a_busy_database_says_so(folder, monkeypatch):
    monkeypatch.setattr(module, "PATIENT_SECONDS", 0.05)
    with VectorCache(folder) as cache:
        cache.add(digest(1), SPACE, vector(1))
        cache.flush()
        other = sqlite3.connect(cache.path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match=r"cannot be cleared: another program"):
            cache.clear()
        other.close()


def test_clearing_what_turns_out_to_be_damaged(folder, monkeypatch):
    with VectorCache(folder) as cache:
        cache.add(digest(1), SPACE, vector(1))
        cache.flush()
        clear = cache._clear

        def fail_once(space):
            monkeypatch.setattr(cache, "_clear", clear)
            raise sqlite3.DatabaseError("database disk image is malformed")

        monkeypatch.setattr(cache, "_clear", fail_once)
        with pytest.warns(RuntimeWarning, match="was damaged"):
            cache.clear()
        assert cache.info()["entries"] == 0
        assert not cache._set_aside()
        cache.add(digest(1), SPACE, vector(1))
        cache.flush()
        assert cache.find(digest(1), SPACE) is not None


def test_what_was_set_aside_is_counted_and_cleared(folder):
    with VectorCache(folder) as cache:
        aside = pathlib.Path(cache.path + ".damaged")
        before = cache.info()["bytes"]
        aside.write_bytes(b"0" * 1000)
        assert cache.info()["bytes"] == before + 1000
        cache.clear(SPACE)
        assert aside.exists()
        cache.clear()
        assert not aside.exists()


WRITER = """
import sys, numpy as np
from orangecontrib.imageanalytics.engine.cache import VectorCache
start = int(sys.argv[2])
with VectorCache(sys.argv[1]) as cache:
    for number in range(start, start + 100):
        cache.add(number.to_bytes(32, "big"), b"s" * 16, np.ones(8, np.float32))
        if number % 10 == 0:
            cache.flush()
"""


def test_several_processes(folder):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, folder, str(start)])
        for start in (0, 50, 100)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with VectorCache(folder) as cache:
        assert cache.info()["entries"] == 200


def test_clear(folder):
    with VectorCache(folder) as cache:
        for number in range(300):
            cache.add(digest(number), SPACE, vector(number, 1000))
        cache.add(digest(1), OTHER, vector(1))
        cache.flush()
        full = cache.info()["bytes"]
        cache.clear(SPACE)
        assert cache.info()["entries"] == 1
        cache.clear()
        assert cache.info()["entries"] == 0
        assert cache.info()["bytes"] < full / 5
