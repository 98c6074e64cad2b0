import pytest
from listings import rows
from shard_files import jpeg, make_shard, web_dataset

from orangecontrib.imageanalytics.distributed.listing import (
    Listing,
    members_of,
)
from orangecontrib.imageanalytics.images.shards import ShardError, local_copy
from orangecontrib.imageanalytics.images.sources import read_local


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tgz", "w:gz")])
def test_shard(shard, name, mode, tmp_path):
    part = shard(web_dataset(5), name, mode)
    assert part.shard == str(tmp_path / name)
    assert part.sources == ()
    found = rows(part)
    assert [category for _, category in found] == ["0", "1", "0", "1", "0"]
    assert [read_local(source) for source, _ in found] == [jpeg(n) for n in range(5)]
    assert [len(chunk) for chunk, _ in members_of(part, 2)] == [2, 2, 1]
    with local_copy(part.shard):
        assert rows(part) == found


def test_labels(shard):
    image = jpeg(1)
    part = shard(
        [
            ("a.json", b'{"label": "cat", "class": 7}'),
            ("a.jpg", image),
            ("b.jpg", image),
            ("b.json", b'{"class": 7}'),
            ("c.left.jpg", image),
            ("c.right.png", image),
            ("c.cls", b"5\n"),
            ("c.json", b'{"label": "no"}'),
            ("d.jpg", image),
            ("d.json", b"not json"),
            ("d.txt", b"a caption"),
            ("e.jpg", image),
            ("e.json", b'["label"]'),
            ("./in/e.jpg", image),
            ("in/deep/f.jpg", image),
            ("in/deep/f.cls", b""),
            ("in/deep/._f.jpg", image),
            ("g.json", b'{"label": "nobody"}'),
            ("h.jpg", image),
        ]
    )
    found = [(s.partition("member=")[2].partition("&")[0], c) for s, c in rows(part)]
    assert found == [
        ("a.jpg", "cat"),
        ("b.jpg", "7"),
        ("c.left.jpg", "5"),
        ("c.right.png", "5"),
        ("d.jpg", None),
        ("e.jpg", None),
        ("./in/e.jpg", "in"),
        ("in/deep/f.jpg", "in/deep"),
        ("h.jpg", None),
    ]


def test_shard_of_one_stem(shard):
    files = [(f"photo.{n:05}.jpg", b"x") for n in range(2500)]
    chunks = members_of(shard(files), 100)
    assert len(next(chunks)[0]) == 100
    assert sum(len(chunk) for chunk, _ in chunks) == 2400


def test_damaged_shard(tmp_path):
    path = tmp_path / "a.tar"
    content = make_shard(web_dataset(5))
    path.write_bytes(content[: len(content) // 2])
    (part,) = Listing(path).parts()
    found = []
    with pytest.raises(ShardError, match=r"a\.tar: the tar file is cut short"):
        for chunk, _ in members_of(part):
            found += chunk
    assert 1 <= len(found) < 5
    path.unlink()
    with pytest.raises(ShardError, match=r"a\.tar: file not found"):
        rows(part)


def test_a_label_that_is_nested_too_deep(shard):
    part = shard([("a.jpg", b"x"), ("a.json", b"[" * 500_000)])
    assert [category for _, category in rows(part)] == [None]
