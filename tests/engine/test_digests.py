import hashlib
import io

import pytest

from orangecontrib.imageanalytics.engine import digests as module
from orangecontrib.imageanalytics.engine.digests import Digests, Twins


@pytest.fixture
def read(monkeypatch):
    """Names of the files that were read for their digests."""
    names, digest_of_file = [], module.digest_of_file

    def note(file):
        names.append(file.name)
        return digest_of_file(file)

    monkeypatch.setattr(module, "digest_of_file", note)
    return names


def file_of(name):
    file = io.BytesIO(name.encode())
    file.name = name
    return file


def test_of_content():
    assert Digests()(b"abc", None) == hashlib.sha256(b"abc").digest()


def test_pages_differ():
    digests = Digests()
    found = {digests(b"abc", page) for page in (None, 1, 2)}
    assert len(found) == 3
    assert digests(b"abc", 2) != digests(b"abcd", 2)


def test_a_file_is_read_once_and_then_at_its_start(read):
    digests = Digests()
    for page in (1, 2, 3):
        file = file_of("a")
        assert digests(file, page) == digests(b"a", page)
        assert file.tell() == 0
    assert read == ["a"]


def test_few_digests_of_files_are_kept(read, monkeypatch):
    monkeypatch.setattr(module, "MOST_DIGESTS", 3)
    digests = Digests()
    for name in "abcd":
        digests(file_of(name), 1)
    for name in "dcba":
        digests(file_of(name), 2)
    assert read == [*"abcd", "a"]


def test_twins():
    twins = Twins()
    assert twins.claim(b"x", 3)
    assert not twins.claim(b"x", 1)
    assert twins.claim(b"x", 3)  # as it was before
    assert twins.first(b"x") == 3
    twins.wait(1, 3)
    twins.wait(7, 3)
    assert twins.pop(3) == [1, 7]
    assert twins.pop(3) == []
