import contextlib
import io
import itertools
import os
import tarfile
import tracemalloc

import pytest
from shard_files import jpeg, make_shard, web_dataset

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.shards import (
    MOST_CONTENT,
    ShardError,
    is_shard,
    local_copy,
    member_source,
    members,
    shard_members,
)
from orangecontrib.imageanalytics.images.sources import (
    is_remote,
    path_of,
    read_local,
    stamp,
)


class OneWay(io.RawIOBase):
    """A file that cannot be sought in, and gives a little at a time."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self._file.read(min(len(buffer), 700))
        buffer[: len(part)] = part
        return len(part)


def test_only_files():
    link, hard, folder = (tarfile.TarInfo(name) for name in ("l.jpg", "h.jpg", "d.jpg"))
    link.type, hard.type, folder.type = (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
    )
    link.linkname = hard.linkname = "/etc/passwd"
    sparse = tarfile.TarInfo("s.jpg")
    sparse.type = tarfile.GNUTYPE_SPARSE
    content = make_shard([folder, ("a.jpg", b"a"), link, hard, ("b.jpg", b"")])
    assert [m.name for m in members(io.BytesIO(content))] == ["a.jpg", "b.jpg"]
    content = make_shard([sparse, ("a.jpg", b"a")], format=tarfile.GNU_FORMAT)
    assert [m.name for m in members(io.BytesIO(content))] == ["a.jpg"]


def test_contents_of_a_stream():
    content = make_shard([*web_dataset(3), ("empty.cls", b""), ("last.cls", b"7")])
    plain = list(members(io.BytesIO(content), lambda name: name.endswith(".cls")))
    streamed = list(members(OneWay(content), lambda name: name.endswith(".cls")))
    assert plain == streamed
    assert [m.content for m in plain] == [None, b"0", None, b"1", None, b"0", b"", b"7"]


def test_empty_shard():
    assert list(members(io.BytesIO(make_shard([])))) == []


def broken(content):
    """What is listed before the error, and the error."""
    names = []
    with pytest.raises(ImageError) as caught:
        for member in members(content):
            names.append(member.name)
    return names, str(caught.value)


@pytest.mark.parametrize("kind", [io.BytesIO, OneWay])
def test_damage(kind):
    content = make_shard([("a.jpg", b"a" * 2000), ("b.jpg", b"b" * 2000)])
    second = 512 + 2048
    for end in (second + 512 + 1999, second + 512, second + 100):
        names, reason = broken(kind(content[:end]))
        assert names == ["a.jpg"]
        assert reason == "the tar file is cut short"
    assert broken(kind(content[:1000])) == ([], "the tar file is cut short")
    wrong = content[:second] + b"?" * 512 + content[second + 512 :]
    names, reason = broken(kind(wrong))
    assert names == ["a.jpg"]
    assert reason.startswith("the tar file is damaged near byte")
    assert broken(kind(b"not a tar file" * 100)) == ([], "not a tar file")
    assert broken(kind(b"")) == ([], "file is empty")


def test_damage_names_the_shard(shard):
    path = shard(make_shard(web_dataset(2))[:5000])
    with pytest.raises(ShardError, match="cut short") as caught:
        list(shard_members(path))
    assert str(caught.value).startswith(path)
    with pytest.raises(ShardError, match=r"missing\.tar: file not found"):
        list(shard_members("missing.tar"))


def test_damaged_compressed(shard):
    content = make_shard([(f"{i}.jpg", os.urandom(90_000)) for i in range(9)], "w:gz")
    path = shard(content[: len(content) // 2], "a.tgz")

    def first_names():
        names = []
        with pytest.raises(ShardError, match="cut short"):
            for member in shard_members(path):
                names.append(member.name)
        return names

    names = first_names()
    assert names[:3] == ["0.jpg", "1.jpg", "2.jpg"] and len(names) < 9
    with local_copy(path):
        assert first_names() == names


def test_not_compressed_in_spite_of_its_name(shard):
    path = shard(make_shard(web_dataset(1)), "a.tar.gz")
    for readable in contextlib.nullcontext, local_copy:
        with (
            pytest.raises(ShardError, match=r"a\.tar\.gz: the compressed.*damaged"),
            readable(path),
        ):
            list(shard_members(path))


def test_no_copy_of_a_local_shard(shard):
    path = shard(make_shard(web_dataset(1)))
    with local_copy(path) as copy:
        assert copy == path
    assert os.path.exists(path)


def test_is_shard():
    assert is_shard("s3://b/A.TAR") and is_shard("a.tar.gz") and is_shard("a.tgz")
    assert not is_shard("a.tar.xz") and not is_shard("a.jpg") and not is_shard("tar")


def test_memory_of_a_long_shard(tmp_path):
    path = tmp_path / "long.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index in range(20_000):
            tar.addfile(tarfile.TarInfo(f"{index:06}.jpg"))
            tar.members.clear()
    found = shard_members(str(path))
    for _ in range(1000):
        next(found)
    tracemalloc.start()
    try:
        assert sum(1 for _ in found) == 19_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_in_a_store(s3_server):
    shard = s3_server.put("in/a.tar", make_shard(web_dataset(3)))
    sources = [member_source(shard, member) for member in shard_members(shard)]
    assert is_remote(sources[4]) and path_of(sources[4]) is None
    assert stamp(sources[4]) is None
    s3_server.requests.clear()
    with Fetcher() as fetcher:
        assert fetcher.fetch(sources[4]) == jpeg(2)
        assert len(s3_server.requests) == 1
        for content in (make_shard([("other.jpg", jpeg(1))]), b"short", b""):
            s3_server.put("in/a.tar", content)
            for source in sources:
                with pytest.raises(ImageError, match="has changed"):
                    fetcher.fetch(source)


def test_copy_of_a_shard_in_a_store(s3_server, tmp_path):
    shard = s3_server.put("in/a.tar", make_shard(web_dataset(3)))
    with local_copy(shard, str(tmp_path)) as copy:
        assert os.path.dirname(copy) == str(tmp_path)
        s3_server.requests.clear()
        sources = [member_source(shard, member) for member in shard_members(shard)]
        assert not is_remote(sources[0])
        with local_copy(shard) as again:
            assert again == copy
        with Fetcher() as fetcher:
            assert fetcher.fetch(sources[2]) == jpeg(1)
        assert read_local(sources[4]) == jpeg(2)
        assert s3_server.requests == []
    assert os.listdir(tmp_path) == []
    assert is_remote(sources[0])
    with pytest.raises(ImageError) as caught:
        read_local(sources[0])
    assert caught.value.transient


def test_compressed_in_a_store(s3_server):
    shard = s3_server.put("a.tgz", make_shard(web_dataset(3), "w:gz"))
    sources = [member_source(shard, member) for member in shard_members(shard)]
    with Fetcher() as fetcher, pytest.raises(ImageError, match="compressed tar file"):
        fetcher.fetch(sources[2])
    with local_copy(shard), Fetcher() as fetcher:
        assert read_local(sources[2]) == fetcher.fetch(sources[2]) == jpeg(1)


def test_no_copy_of_a_missing_shard(s3_server, tmp_path):
    missing = f"s3://{s3_server.bucket}/missing.tar"
    with pytest.raises(ShardError, match="file not found") as caught:
        local_copy(missing, str(tmp_path)).__enter__()
    assert missing in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_no_room_for_a_copy(s3_server):
    shard = s3_server.put("a.tar", make_shard(web_dataset(1)))
    with pytest.raises(ShardError, match=r"a\.tar: cannot be copied"):
        local_copy(shard, "/no/such/folder").__enter__()


def test_on_the_web(server):
    content = make_shard(web_dataset(3))

    def answer(handler):
        part = handler.headers.get("Range")
        if part is None:
            return handler.answer(200, content, {})
        start, end = map(int, part.removeprefix("bytes=").split("-"))
        return handler.answer(206, content[start : end + 1], {})

    shard = server.add_function("/a.tar", answer)
    sources = [member_source(shard, member) for member in shard_members(shard)]
    with Fetcher() as fetcher:
        assert fetcher.fetch(sources[2]) == jpeg(1)
        assert fetcher.fetch(sources[4]) == jpeg(2)
        plain = server.add("/plain.tar", content)
        with pytest.raises(ImageError, match="does not send parts"):
            fetcher.fetch(sources[2].replace(shard, plain))
        with pytest.raises(ImageError, match="404"):
            fetcher.fetch(sources[2].replace(shard, server.address + "/no.tar"))
        with pytest.raises(ImageError, match="ftp"):
            fetcher.fetch(sources[2].replace(shard, "ftp://127.0.0.1/a.tar"))
    server.requests.clear()
    with local_copy(shard):
        assert read_local(sources[2]) == jpeg(1)
    assert server.count("/a.tar") == 1


def test_embedded_like_files(shard, s3_server, tmp_path, embedder):
    content = make_shard(web_dataset(3))
    local, remote = shard(content), s3_server.put("a.tar", content)
    sources = []
    for address in (local, remote):
        found = [m for m in shard_members(address) if m.name.endswith(".jpg")]
        sources += [member_source(address, member) for member in found]
    files = []
    for index in range(3):
        files.append(str(tmp_path / f"{index}.jpg"))
        with open(files[-1], "wb") as file:
            file.write(jpeg(index))
    assert isinstance(embedder, ImageEmbedder)
    vectors = embedder([*files, *sources])
    assert embedder.failures == {}
    for index in range(3):
        assert (vectors[index] == vectors[3 + index]).all()
        assert (vectors[index] == vectors[6 + index]).all()
    s3_server.put("a.tar", b"")
    s3_server.refusals["a.tar"] = 0
    with ImageEmbedder("squeezenet", device="cpu", cache=False) as other:
        assert other(sources[3:])[0] is None
        assert not other.transient


def header(name, size, kind=tarfile.REGTYPE):
    """A header that claims any size, with the right checksum."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("kind", [io.BytesIO, OneWay])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(
    ("size", "type"),
    [
        (-512, tarfile.REGTYPE),  # the next header would be the same one
        (-4096, tarfile.REGTYPE),
        (1 << 62, tarfile.REGTYPE),
        (1 << 80, tarfile.REGTYPE),
        (1 << 80, tarfile.XHDTYPE),
        (1 << 80, tarfile.GNUTYPE_LONGNAME),
    ],
)
def test_absurd_sizes(kind, wanted, size, type):
    content = header("a.jpg", 0) + header("b.jpg", size, type) + b"\0" * 2048
    found = members(kind(content), lambda name: wanted)
    names = []
    with pytest.raises(ImageError, match=r"cut short|damaged") as caught:
        for member in itertools.islice(found, 10):
            names.append(member.name)
    assert names[:1] == ["a.jpg"] and len(names) <= 2
    assert not caught.value.transient


def test_a_header_that_would_fill_the_memory():
    size = MOST_CONTENT + 1
    content = io.BytesIO(header("a", size, tarfile.GNUTYPE_LONGNAME) + b"a" * size)
    with pytest.raises(ImageError):
        list(members(content))
    assert content.tell() <= 1024  # the name has not been read


def test_very_many_headers_of_one_file():
    content = header("a", 0, tarfile.GNUTYPE_LONGNAME) * 5000
    with pytest.raises(ImageError):
        list(members(io.BytesIO(header("a.jpg", 0) + content)))
