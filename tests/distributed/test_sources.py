import functools
import gzip
import http.server
import json
import os
import socket

import pytest
from helpers import serving
from listings import KEYS, names, pairs, rows, sources
from shard_files import make_shard, web_dataset

from orangecontrib.imageanalytics.distributed.listing import (
    Listing,
    ListingError,
)
from orangecontrib.imageanalytics.distributed.sources import split_pattern
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.import_images import ImportImages


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
    json.dumps(listing.description)


def test_relative_folder(folder, monkeypatch):
    monkeypatch.chdir(os.path.dirname(folder))
    assert sources(Listing("photos")) == sources(Listing(folder))
    assert sources(Listing("photos/*.jpg")) == [os.path.join(folder, "b.jpg")]


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


def test_nothing_in_s3(s3_server):
    for address in ("s3://nowhere", "s3://nowhere/in", "s3://photos/missing"):
        with pytest.raises(ListingError, match=address):
            Listing(address)
    with pytest.raises(ListingError, match="no bucket s3://nowhere"):
        sources(Listing("s3://nowhere/*.jpg"))
    with pytest.raises(ListingError, match="No files match"):
        sources(Listing("s3://photos/*.jpg"))
    # Older versions of s3fs do not find buckets in which nothing is.
    with pytest.raises(ListingError, match=r"no images in s3://photos|s3://photos: "):
        sources(Listing("s3://photos"))


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


def test_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["a.jpg", tmp_path / "b.jpg", "s3://b/c.jpg", "data:image/png,x", "a.jpg"]
    listing = Listing(given)
    a = str(tmp_path / "a.jpg")
    expected = [a, str(tmp_path / "b.jpg"), "s3://b/c.jpg", "data:image/png,x", a]
    assert sources(listing) == sources(Listing(iter(given))) == expected
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


def test_other_archives(tmp_path):
    for name in ("a.tar.xz", "a.zip"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ListingError, match=r"only \.tar, \.tar\.gz and \.tgz"):
            Listing(tmp_path / name)


def test_columns_are_of_tables_only(tmp_path, folder):
    (tmp_path / "list.txt").write_text("a.jpg")
    for source in (folder, tmp_path / "list.txt", ["a.jpg"]):
        with pytest.raises(ListingError, match="only CSV and Parquet"):
            Listing(source, column="image")


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


def test_a_folder_of_the_user(folder, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, os.path.dirname(folder))
    expected = sources(Listing(folder))
    assert sources(Listing(os.path.join("~", "photos"))) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("C:/*.jpg", ("C:/", "*.jpg")),  # not C:, where the program is on that drive
        ("C:/photos/*.jpg", ("C:/photos", "*.jpg")),
        ("/*.jpg", ("/", "*.jpg")),
        ("s3://bucket/a/*.jpg", ("s3://bucket/a", "*.jpg")),
    ],
)
def test_where_a_pattern_starts(pattern, expected):
    assert split_pattern(pattern) == expected
