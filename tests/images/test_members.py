import os
import tarfile

import pytest
from shard_files import jpeg, make_shard, web_dataset

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.shards import (
    Member,
    local_copy,
    member_source,
    shard_members,
)
from orangecontrib.imageanalytics.images.sources import (
    file_name,
    is_file,
    is_member,
    is_remote,
    opened,
    page_source,
    path_of,
    read_local,
    split_page,
    stamp,
)

NAMES = [
    "plain.jpg",
    "in/a folder/b.jpg",
    "a&b#c%20d=e.jpg",
    "čšž 写真.jpg",
    "../../outside.jpg",
    "/absolute.jpg",
    "#page=2.jpg",
    "long/" + "n" * 300 + ".jpg",
    b"caf\xe9.jpg".decode("utf-8", "surrogateescape"),
]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("name", NAMES)
def test_names(shard, name, format):
    path = shard(
        make_shard([("first.jpg", b"x"), (name, jpeg(1)), ("c.jpg", b"y")], "w", format)
    )
    found = list(shard_members(path))
    assert [member.name for member in found] == ["first.jpg", name, "c.jpg"]
    source = member_source(path, found[1])
    source.encode("ascii", "surrogateescape")
    assert read_local(source) == jpeg(1)
    assert file_name(source) == os.path.basename(name)
    assert split_page(page_source(source, 3)) == (source, 3)
    assert is_member(source) and not is_file(source) and not is_remote(source)
    assert path_of(source) == path


def test_changed_shard(shard):
    path = shard(make_shard(web_dataset(3)))
    sources = [member_source(path, member) for member in shard_members(path)]
    shard(make_shard([("new.jpg", jpeg(9)), *web_dataset(3)]))
    for source in sources:
        with pytest.raises(ImageError, match="has changed"):
            read_local(source)
    shard(b"")
    with pytest.raises(ImageError, match="has changed"):
        read_local(sources[0])


def test_same_names_other_places(shard):
    path = shard(make_shard([("a.jpg", jpeg(1)), ("a.jpg", jpeg(2))]))
    first, second = (member_source(path, member) for member in shard_members(path))
    assert read_local(first) == jpeg(1)
    assert read_local(second) == jpeg(2)


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (10, 5), (0, 10**12), (100, 700), (10**9, 10**9 + 600)]
)
def test_wrong_ranges(shard, start, end):
    path = shard(make_shard([("a.jpg", jpeg(1))]))
    with pytest.raises(ImageError):
        read_local(member_source(path, Member("a.jpg", start, end)))


def test_a_file_that_is_cut_short(shard):
    path = shard(make_shard([("a.jpg", jpeg(1))]))
    (member,) = shard_members(path)
    shard(make_shard([("a.jpg", jpeg(1))])[: member.end - 10])
    with pytest.raises(ImageError, match="cut short"):
        read_local(member_source(path, member))


def test_stamp_of_a_member(shard):
    path = shard(make_shard([("a.jpg", jpeg(1))]))
    (member,) = shard_members(path)
    found = stamp(member_source(path, member))
    assert found == (512 + len(jpeg(1)), os.stat(path).st_mtime_ns)


def test_pages_of_a_member(shard):
    path = shard(make_shard([("a.jpg", jpeg(1))]))
    (member,) = shard_members(path)
    with opened(page_source(member_source(path, member), 1)) as (content, page):
        assert (content, page) == (jpeg(1), 1)


@pytest.mark.parametrize("name", ["s.tar.gz", "S.TGZ"])
def test_compressed(shard, name):
    path = shard(make_shard(web_dataset(3), "w:gz"), name)
    sources = [member_source(path, member) for member in shard_members(path)]
    assert read_local(sources[2]) == jpeg(1)
    with local_copy(path) as copy:
        assert copy != path and os.path.exists(copy)
        assert not is_remote(sources[2])
        assert read_local(sources[2]) == jpeg(1)
        assert sources == [member_source(path, m) for m in shard_members(path)]
    assert not os.path.exists(copy)
