import os
import pickle

import pytest
from listings import sources
from shard_files import web_dataset

from orangecontrib.imageanalytics.distributed.listing import (
    MOST_PROBLEMS,
    Listing,
    Part,
    members_of,
)


def test_parts(folder):
    listing = Listing(folder, part_size=2)
    parts = list(listing.parts())
    assert [part.number for part in parts] == [0, 1, 2, 3]
    assert [len(part.sources) for part in parts] == [2, 2, 2, 1]
    assert parts == list(listing.parts())
    assert pickle.loads(pickle.dumps(parts)) == parts
    assert len({part.digest() for part in parts}) == 4
    with pytest.raises(ValueError, match="one image or more"):
        Listing(folder, part_size=0)


def test_digest():
    part = Part(1, ("a", "b"), ("x", None))
    assert part.digest() == Part(2, ("a", "b"), ("x", None)).digest()
    others = [
        Part(1, ("b", "a"), ("x", None)),
        Part(1, ("a", "b"), (None, "x")),
        Part(1, ("a", "b")),
        Part(1, (), (), "a.tar"),
        Part(1, (), (), "a.tar", "7"),
    ]
    assert len({other.digest() for other in [part, *others]}) == 6


def test_many_problems(folder):
    listing = Listing(folder)
    for number in range(MOST_PROBLEMS + 7):
        listing._tell(str(number))
    assert len(listing.problems) == MOST_PROBLEMS + 1
    assert listing.problems[-1] == "And 7 more like these."


def test_version_of_a_shard(shard):
    before = shard(web_dataset(1))
    assert before == shard(web_dataset(1)) or before.version
    os.utime(before.shard, (1, 1))
    (after,) = Listing(before.shard).parts()
    assert after.digest() != before.digest()


def test_members_of_a_plain_part():
    part = Part(0, ("a", "b", "c"), ("x", None, "y"))
    assert list(members_of(part, 2)) == [(["a", "b"], ["x", None]), (["c"], ["y"])]
    assert list(members_of(Part(0, ("a",)))) == [(["a"], [None])]


def test_a_folder_is_left_out(folder):
    pattern = os.path.join(folder, "**", "*.*")
    left_out = os.path.join(folder, "cats")
    found = sources(Listing(pattern, leave_out=left_out + os.sep))
    expected = [path for path in sources(Listing(pattern)) if left_out not in path]
    assert found == expected and len(found) < len(sources(Listing(pattern)))
    # Not what only begins in the same way.
    assert sources(Listing(pattern, leave_out=left_out[:-1])) == sources(
        Listing(pattern)
    )


def test_a_folder_of_a_store_is_left_out():
    names = ["s3://b/out/a.jpg", "s3://b/outside/b.jpg"]
    assert sources(Listing(names, leave_out="s3://b/out")) == names[1:]
