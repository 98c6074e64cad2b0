import contextlib
import csv
import functools
import gzip
import http.server
import io
import json
import os
import pickle
import socket
import sqlite3
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import make_image, serving
from moto.backends import get_backend
from shard_files import jpeg, make_shard, web_dataset

from orangecontrib.imageanalytics.distributed import walking
from orangecontrib.imageanalytics.distributed.listing import (
    MOST_PROBLEMS,
    Listing,
    ListingError,
    Part,
    members_of,
)
from orangecontrib.imageanalytics.distributed.sorted_names import SortedNames
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.images.shards import ShardError, local_copy
from orangecontrib.imageanalytics.images.sources import read_local
from orangecontrib.imageanalytics.import_images import ImportImages


@pytest.fixture
def folder(tmp_path):
    """A folder with some of everything."""
    for name in (
        "b.jpg",
        "a.png",
        "notes.txt",
        ".hidden.jpg",
        "cats/2.jpg",
        "cats/10.jpg",
        "cats/young/1.JPG",
        ".secret/1.jpg",
        "@eaDir/thumb.jpg",
        "no extension",
        "page.html",
        "dogs and more/ž.gif",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        extension = path.suffix[1:].lower()
        if name == "no extension":
            path.write_bytes(jpeg(1))
        elif extension in ("txt", "html"):
            path.write_text("<html></html>")
        else:
            kind = "JPEG" if extension == "jpg" else extension
            make_image(len(name)).save(path, kind)
    return str(tmp_path / "photos")


def pairs(listing):
    """All sources with their categories."""
    found = []
    for part in listing.parts():
        categories = part.categories or [None] * len(part.sources)
        found += zip(part.sources, categories, strict=True)
    return found


def sources(listing):
    return [source for source, _ in pairs(listing)]


def names(listing, start):
    """The sources without what all have in common."""
    found = sources(listing)
    assert all(source.startswith(start) for source in found)
    return [source.removeprefix(start).lstrip("/") for source in found]


# Folders ----------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["", "cats", "cats/young"])
def test_a_folder_as_import_images_takes_it(folder, inner):
    folder = os.path.join(folder, inner).rstrip("/")
    table, _ = ImportImages()(folder)
    expected = [(os.path.join(folder, str(row["image"])), None) for row in table]
    if table.domain.class_var is not None:
        expected = [
            (path, str(row.get_class()))
            for (path, _), row in zip(expected, table, strict=True)
        ]
    listing = Listing(folder)
    assert pairs(listing) == expected
    assert pairs(listing) == expected  # another time
    assert listing.problems == []
    assert listing.count() is None
    json.dumps(listing.description)


def test_relative_folder(folder, monkeypatch):
    monkeypatch.chdir(os.path.dirname(folder))
    assert sources(Listing("photos")) == sources(Listing(folder))
    assert sources(Listing("photos/*.jpg")) == [os.path.join(folder, "b.jpg")]


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


def test_many_problems(folder):
    listing = Listing(folder)
    for number in range(MOST_PROBLEMS + 7):
        listing._tell(str(number))
    assert len(listing.problems) == MOST_PROBLEMS + 1
    assert listing.problems[-1] == "And 7 more like these."


def test_deep_folders(tmp_path):
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "a.jpg").write_bytes(b"x")
    assert sources(Listing(tmp_path)) == [str(deep / "a.jpg")]


def test_folder_of_shards(tmp_path):
    for name in ("b.tar", "a.tar.gz", "in/c.TGZ", ".d.tar", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    parts = list(Listing(tmp_path).parts())
    assert [part.shard for part in parts] == [
        str(tmp_path / name) for name in ("a.tar.gz", "b.tar", "in/c.TGZ")
    ]
    assert all(part.sources == part.categories == () for part in parts)
    (tmp_path / "f.jpg").write_bytes(b"x")
    assert sources(Listing(tmp_path)) == [str(tmp_path / "f.jpg")]


def test_nothing_there(tmp_path):
    with pytest.raises(ListingError, match="missing: file not found"):
        Listing(tmp_path / "missing")
    with pytest.raises(ListingError, match=f"no images in {tmp_path}"):
        list(Listing(tmp_path).parts())
    with pytest.raises(ListingError, match="not an ordinary file"):
        Listing("/dev/null")


# Patterns ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["b.jpg"]),
        ("cats/*", ["cats/10.jpg", "cats/2.jpg"]),
        ("**/*.jpg", ["b.jpg", "cats/10.jpg", "cats/2.jpg"]),
        ("*/*.[jg]??", ["cats/10.jpg", "cats/2.jpg", "dogs and more/ž.gif"]),
        ("cats/**/[0-9].*", ["cats/2.jpg", "cats/young/1.JPG"]),
        ("c*/**", ["cats/10.jpg", "cats/2.jpg", "cats/young/1.JPG"]),
    ],
)
def test_patterns(folder, pattern, expected):
    assert names(Listing(f"{folder}/{pattern}"), folder) == expected


def test_categories_of_a_pattern(folder):
    found = pairs(Listing(f"{folder}/**/*.jpg"))
    assert [category for _, category in found] == [None, "cats", "cats"]


def test_a_pattern_that_is_a_name(tmp_path):
    place = tmp_path / "photos [2020] {a,b}"
    place.mkdir()
    (place / "a.jpg").write_bytes(b"x")
    assert sources(Listing(place)) == [str(place / "a.jpg")]


def test_patterns_without_matches(folder):
    with pytest.raises(ListingError, match=r"No files match .*\*\.bmp"):
        sources(Listing(f"{folder}/*.bmp"))
    with pytest.raises(ListingError, match="nowhere was not found"):
        sources(Listing(f"{folder}/nowhere/*.jpg"))
    with pytest.raises(ListingError, match=r"\*\* stands for folders"):
        Listing(f"{folder}/**.jpg")
    with pytest.raises(ListingError, match="bucket or host"):
        Listing("s3://*/a.jpg")
    with pytest.raises(ListingError, match="together"):
        Listing(f"{folder}/*-{{1..2}}.jpg")


def test_braces(tmp_path):
    listing = Listing(f"{tmp_path}/s-{{08..11}}-{{a,b}}.tar")
    parts = list(listing.parts())
    expected = [f"s-{n}-{c}.tar" for n in ("08", "09", "10", "11") for c in "ab"]
    assert [part.shard for part in parts] == [str(tmp_path / n) for n in expected]
    assert parts[0].version == ""
    found = sources(Listing(f"{tmp_path}/{{2..0}}.jpg"))
    assert found == [f"{tmp_path}/{n}.jpg" for n in (2, 1, 0)]


def test_braces_are_lazy(tmp_path):
    parts = Listing(f"{tmp_path}/{{0..99999999999}}.jpg", part_size=10).parts()
    assert next(parts).sources[-1] == f"{tmp_path}/9.jpg"


# Files with names -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["list.txt", "list", "list.lst"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text(tmp_path, name, encoding):
    lines = [
        "# photos",
        "a.jpg",
        "",
        "  in/b č.jpg  ",
        "/abs/c.jpg",
        "http://h/d.jpg",
        "s3://b/e.jpg",
        "a.jpg",
    ]
    (tmp_path / name).write_bytes("\r\n".join(lines).encode(encoding))
    listing = Listing(tmp_path / name)
    assert sources(listing) == [
        str(tmp_path / "a.jpg"),
        str(tmp_path / "in/b č.jpg"),
        "/abs/c.jpg",
        "http://h/d.jpg",
        "s3://b/e.jpg",
        str(tmp_path / "a.jpg"),
    ]
    assert listing.count() is None


def test_text_with_shards(tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg\nb.tar\nc.jpg\nd.jpg\ne.tar\n")
    parts = list(Listing(tmp_path / "list.txt").parts())
    found = [(part.number, len(part.sources), part.shard is None) for part in parts]
    expected = [(0, 1, True), (1, 0, False), (2, 2, True), (3, 0, False)]
    assert found == expected


@pytest.mark.parametrize("content", [b"a\0b", b"caf\xe9.jpg\n", os.urandom(5000)])
@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_binary_instead_of_text(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ListingError, match=r"list\.\w+ is not a text file"):
        sources(Listing(tmp_path / name))


def test_empty_files(tmp_path):
    (tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(ListingError, match="no images in"):
        sources(Listing(tmp_path / "list.txt"))
    (tmp_path / "list.csv").write_text("image\n")
    with pytest.raises(ListingError, match="no images in"):
        sources(Listing(tmp_path / "list.csv"))


CSV = {
    ".csv": """\
name,image,kind
"x, y",a.jpg,cat
z,"b, c.jpg",
missing, ,dog
w,a.jpg,cat
""",
    ".tsv": "name\timage\tkind\nx, y\ta.jpg\tcat\nz\tb, c.jpg\nm\t\tdog\nw\ta.jpg\tcat",
    ".tab": "name\timage\tkind\nstring\tstring\td\n\tmeta type=image\tclass\n"
    "x\ta.jpg\tcat\ny\tb, c.jpg\t\nz\t\tdog\nw\ta.jpg\tcat\n",
}


@pytest.mark.parametrize("extension", CSV)
@pytest.mark.parametrize("column", [None, "image"])
def test_csv(tmp_path, extension, column):
    path = tmp_path / f"list{extension}"
    path.write_text(CSV[extension])
    listing = Listing(path, column, "kind")
    a, b = str(tmp_path / "a.jpg"), str(tmp_path / "b, c.jpg")
    assert pairs(listing) == [(a, "cat"), (b, None), (a, "cat")]
    assert listing.problems == [f"{path}: 1 rows have no image."]
    assert next(Listing(path).parts()).categories == ()
    for options in ({"column": "nope"}, {"category": "nope"}):
        with pytest.raises(ListingError, match=r"no column 'nope'.*'name', 'image'"):
            sources(Listing(path, **options))


@pytest.mark.parametrize("delimiter", ";|\t,")
def test_delimiters(tmp_path, delimiter):
    path = tmp_path / "list.csv"
    path.write_text(f"Path{delimiter}n\na.jpg{delimiter}1\n")
    assert sources(Listing(path)) == [str(tmp_path / "a.jpg")]


def test_which_column(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("whatever\na.jpg\n")
    assert sources(Listing(path)) == [str(tmp_path / "a.jpg")]
    path.write_text("image,url\na.jpg,b.jpg\n")
    with pytest.raises(ListingError, match="not clear which column"):
        sources(Listing(path))
    path.write_text("a,b\na.jpg,b.jpg\n")
    with pytest.raises(ListingError, match="name one of 'a', 'b'"):
        sources(Listing(path))


def test_columns_are_of_tables_only(tmp_path, folder):
    (tmp_path / "list.txt").write_text("a.jpg")
    for source in (folder, tmp_path / "list.txt", ["a.jpg"]):
        with pytest.raises(ListingError, match="only CSV and Parquet"):
            Listing(source, column="image")


def test_damaged_csv(tmp_path):
    limit = csv.field_size_limit(100_000)
    try:
        check_damaged_csv(tmp_path / "list.csv")
    finally:
        csv.field_size_limit(limit)


def check_damaged_csv(path):
    path.write_text("image\na.jpg\n" + "x" * 200_000 + "\n")
    with pytest.raises(ListingError, match=r"list\.csv cannot be read: line 3: field"):
        sources(Listing(path))


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_parquet(tmp_path):
    images = ["a.jpg", "/b.jpg", None, "http://h/c.jpg", "a.jpg"]
    path = parquet(
        tmp_path / "list.parquet",
        url=pa.array(images).dictionary_encode(),
        label=[1, 2, 3, None, 5],
        other=images,
    )
    listing = Listing(path, category="label", part_size=2)
    a = str(tmp_path / "a.jpg")
    expected = [(a, "1"), ("/b.jpg", "2"), ("http://h/c.jpg", None), (a, "5")]
    assert pairs(listing) == expected
    assert listing.count() == 5
    assert sources(Listing(path, "other")) == [source for source, _ in expected]
    assert listing.problems == [f"{path}: 1 rows have no image."]
    with pytest.raises(ListingError, match="'label' holds no text, but int64"):
        sources(Listing(path, "label"))
    with pytest.raises(ListingError, match="no column 'nope'"):
        sources(Listing(path, "nope"))
    # The same column twice, and the image as category.
    assert pairs(Listing(path, "other", "other"))[0] == (a, "a.jpg")


def test_not_parquet(tmp_path):
    path = tmp_path / "list.parquet"
    path.write_bytes(b"image\na.jpg\n" * 100)
    with pytest.raises(ListingError, match=r"list\.parquet cannot be read as Parquet"):
        sources(Listing(path))
    with pytest.raises(ListingError, match="cannot be read as Parquet"):
        Listing(path).count()


def test_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["a.jpg", tmp_path / "b.jpg", "s3://b/c.jpg", "data:image/png,x", "a.jpg"]
    listing = Listing(given)
    a = str(tmp_path / "a.jpg")
    expected = [a, str(tmp_path / "b.jpg"), "s3://b/c.jpg", "data:image/png,x", a]
    assert sources(listing) == sources(Listing(iter(given))) == expected
    assert listing.count() == 5
    assert Listing(["a.jpg", "b.tar"]).count() is None
    assert listing.description != Listing(given[:4]).description
    json.dumps(listing.description)
    with pytest.raises(ListingError, match="list of images is empty"):
        sources(Listing([]))
    for bad in ([3], [""]):
        with pytest.raises(ListingError):
            Listing(bad)


def test_one_image(folder):
    path = os.path.join(folder, "b.jpg")
    assert sources(Listing(path)) == [path]
    assert Listing(path).count() == 1


def test_other_archives(tmp_path):
    for name in ("a.tar.xz", "a.zip"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ListingError, match=r"only \.tar, \.tar\.gz and \.tgz"):
            Listing(tmp_path / name)


# Shards -----------------------------------------------------------------------------


def rows(part, n=1000):
    return [pair for chunk in members_of(part, n) for pair in zip(*chunk, strict=True)]


@pytest.fixture
def shard(tmp_path):
    def write(files, name="a.tar", mode="w"):
        (tmp_path / name).write_bytes(make_shard(files, mode))
        (part,) = Listing(tmp_path / name).parts()
        return part

    return write


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


def test_version_of_a_shard(shard):
    before = shard(web_dataset(1))
    assert before == shard(web_dataset(1)) or before.version
    os.utime(before.shard, (1, 1))
    (after,) = Listing(before.shard).parts()
    assert after.digest() != before.digest()
    assert Listing(before.shard).count() is None


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


def test_members_of_a_plain_part():
    part = Part(0, ("a", "b", "c"), ("x", None, "y"))
    assert list(members_of(part, 2)) == [(["a", "b"], ["x", None]), (["c"], ["y"])]
    assert list(members_of(Part(0, ("a",)))) == [(["a"], [None])]


# Stores and the web -----------------------------------------------------------------

KEYS = [
    "photos/.hidden/1.jpg",
    "photos/@eaDir/1.jpg",
    "photos/a b#1.jpg",
    "photos/cats/1.jpg",
    "photos/cats/young/2.JPG",
    "photos/cats.jpg",
    "photos/notes.txt",
    "photos/č.png",
    "photos2/x.jpg",
]
TAKEN = ["a b#1.jpg", "cats.jpg", "cats/1.jpg", "cats/young/2.JPG", "č.png"]


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


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a b#1.jpg", "cats.jpg"]),
        ("**/*.jpg", ["a b#1.jpg", "cats.jpg", "cats/1.jpg"]),
        ("cats/*", ["cats/1.jpg"]),
        ("c*/**/*", ["cats/1.jpg", "cats/young/2.JPG"]),
    ],
)
def test_patterns_in_s3(s3_server, pattern, expected):
    for key in KEYS:
        s3_server.put(key, b"x")
    address = "s3://photos/photos"
    assert names(Listing(f"{address}/{pattern}"), address) == expected


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


def test_nothing_in_s3(s3_server):
    for address in ("s3://nowhere", "s3://nowhere/in", "s3://photos/missing"):
        with pytest.raises(ListingError, match=address):
            Listing(address)
    with pytest.raises(ListingError, match="no bucket s3://nowhere"):
        sources(Listing("s3://nowhere/*.jpg"))
    with pytest.raises(ListingError, match="No files match"):
        sources(Listing("s3://photos/*.jpg"))
    with pytest.raises(ListingError, match="no images in s3://photos"):
        sources(Listing("s3://photos"))


def test_list_files_in_s3(s3_server):
    address = s3_server.put("lists/a.txt", b"b.jpg\n../c d.jpg\n/photos/e.jpg\n")
    expected = [f"s3://photos/{name}" for name in ("lists/b.jpg", "c d.jpg")]
    assert sources(Listing(address))[:2] == expected
    target = io.BytesIO()
    pq.write_table(pa.table({"image": ["a.jpg", "http://h/b.jpg"]}), target)
    address = s3_server.put("lists/a.parquet", target.getvalue())
    assert sources(Listing(address)) == ["s3://photos/lists/a.jpg", "http://h/b.jpg"]
    assert Listing(address).count() == 2


def test_shards_in_s3(s3_server):
    for number in range(3):
        s3_server.put(f"web/{number:03}.tar", make_shard(web_dataset(2, number)))
    expected = [f"s3://photos/web/{number:03}.tar" for number in range(3)]
    for source in ("web", "web/*.tar", "web/{000..002}.tar"):
        parts = list(Listing(f"s3://photos/{source}").parts())
        assert [part.shard for part in parts] == expected
        assert len({part.version for part in parts}) == 3
    before = parts[0].digest()
    assert [category for _, category in rows(parts[1])] == ["1", "0"]
    s3_server.put("web/000.tar", make_shard(web_dataset(3)))
    assert next(Listing("s3://photos/web").parts()).digest() != before


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


@pytest.fixture
def web(tmp_path):
    """A server of files on this computer; its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with serving(functools.partial(Handler, directory=str(tmp_path))) as server:
        yield server.url


def test_on_the_web(web, tmp_path):
    (tmp_path / "list.txt").write_text("b c.jpg\n/d.jpg\n")
    (tmp_path / "list.csv").write_text("image\ne.jpg\n")
    (tmp_path / "a.tar").write_bytes(make_shard(web_dataset(2)))
    (tmp_path / "a.tgz").write_bytes(gzip.compress(make_shard(web_dataset(2))))
    assert sources(Listing(web + "list.txt")) == [web + "b c.jpg", web + "d.jpg"]
    assert sources(Listing(web + "list.csv?x=1")) == [web + "e.jpg"]
    for name in ("a.tar", "a.tgz"):
        (part,) = Listing(web + name).parts()
        assert [category for _, category in rows(part)] == ["0", "1"]
    with pytest.raises(ListingError, match=r"no\.txt: 404"):
        sources(Listing(web + "no.txt"))


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr(stores, "PAUSES", ())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/list.txt"
        with pytest.raises(ListingError, match="cannot connect"):
            sources(Listing(address))


# Memory -----------------------------------------------------------------------------


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


@contextlib.contextmanager
def little_memory(most):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_memory_of_a_flat_folder(monkeypatch, tmp_path):
    listing = Listing(tmp_path, part_size=1000)
    monkeypatch.setattr(os, "scandir", Entries)
    with little_memory(20_000_000):
        last = ""
        for part in listing.parts():
            assert part.sources[0] > last
            last = part.sources[-1]
    assert part.number == Entries.n // 1000 - 1


def test_memory_of_a_text_file(tmp_path):
    path = tmp_path / "list.txt"
    with open(path, "w") as file:
        for number in range(200_000):
            print(f"a/rather/long/path/{number:010}.jpg", file=file)
    with little_memory(8_000_000):
        n_sources = sum(
            len(part.sources) for part in Listing(path, part_size=1000).parts()
        )
    assert n_sources == 200_000


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 95])
def test_sorted_names(n):
    numbers = np.random.default_rng(0).integers(0, 50, n)
    given = [f"{chr(0x10FFFF - 99 * i)}{'ž' * (i % 3)}{i}" for i in numbers]
    with SortedNames(10) as found:
        for name in given:
            found.add(name)
        assert list(found) == sorted(given)
        assert list(found) == sorted(given)
        found.add("")
        assert next(iter(found)) == ""


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
