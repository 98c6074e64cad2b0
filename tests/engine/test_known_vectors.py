import os

import numpy as np
import pytest

from orangecontrib.imageanalytics.engine.cache import VectorCache
from orangecontrib.imageanalytics.engine.known_vectors import KnownVectors

VECTOR = np.arange(4, dtype=np.float32)
DIGEST = b"d" * 32


@pytest.fixture
def paths(tmp_path):
    """Of a file that was changed long ago, of one that is new, and of none."""
    paths = [str(tmp_path / name) for name in ("old", "new", "missing")]
    for path in paths[:2]:
        with open(path, "w") as file:
            file.write(path)
    os.utime(paths[0], (1_600_000_000, 1_600_000_000))
    return paths


@pytest.fixture
def cache(tmp_path):
    with VectorCache(str(tmp_path / "cache")) as cache:
        yield cache


def test_files_that_have_not_changed(cache, paths):
    known = KnownVectors(cache, str.encode, paths)
    assert known.of_files(range(3), "float32") == []
    known.keep(DIGEST, VECTOR, "float32")
    for number in range(3):
        known.keep_file(number, DIGEST)
    known.flush()
    again = KnownVectors(cache, str.encode, paths)
    ((number, vector),) = again.of_files(range(3), "float32")
    assert number == 0  # whether the new one has changed since could not be seen
    np.testing.assert_array_equal(vector, VECTOR)
    assert again.of_files(range(3), "float16") == []
    assert again.of_files(range(1, 3), "float32") == []


def test_digests(cache):
    known = KnownVectors(cache, str.encode, [])
    known.keep(DIGEST, VECTOR, "float32")
    known.flush()
    np.testing.assert_array_equal(known.find(DIGEST, "float32"), VECTOR)
    assert known.find(DIGEST, "float16") is None
    assert known.find(b"e" * 32, "float32") is None


def test_the_key_of_a_space_is_found_once(cache):
    asked = []

    def space(precision):
        asked.append(precision)
        return precision.encode()

    known = KnownVectors(cache, space, [])
    for _ in range(3):
        known.find(DIGEST, "float32")
        known.find(DIGEST, "float16")
    assert asked == ["float32", "float16"]


def test_without_a_cache(paths):
    known = KnownVectors(None, str.encode, paths)
    assert known.of_files(range(3), "float32") == []
    known.keep(DIGEST, VECTOR, "float32")
    known.keep_file(0, DIGEST)
    assert known.find(DIGEST, "float32") is None
    known.flush()
    known.flush_if_due()
