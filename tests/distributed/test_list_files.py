import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from listings import (
    little_memory,
    pairs,
    sources,
)

from orangecontrib.imageanalytics.distributed.listing import (
    Listing,
    ListingError,
)


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


def test_text_with_shards(tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg\nb.tar\nc.jpg\nd.jpg\ne.tar\n")
    parts = list(Listing(tmp_path / "list.txt").parts())
    found = [(part.number, len(part.sources), part.shard is None) for part in parts]
    expected = [(0, 1, True), (1, 0, False), (2, 2, True), (3, 0, False)]
    assert found == expected


NOISE = np.random.default_rng(0).bytes(5000)


@pytest.mark.parametrize(
    "content", [b"a\0b", b"caf\xe9.jpg\n", NOISE], ids=["zero", "latin-1", "noise"]
)
@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
def test_binary_instead_of_text(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ListingError, match=r"list\.\w+ is not a text file"):
        sources(Listing(tmp_path / name))


def test_empty_files(tmp_path):
    (tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(ListingError, match="no images in"):
        sources(Listing(tmp_path / "list.txt"))
    (tmp_path / "list.csv").write_text("")
    with pytest.raises(ListingError, match=r"list\.csv is empty; it has no columns"):
        sources(Listing(tmp_path / "list.csv"))
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
    assert listing.problems == [f"{path}: 1 row has no image."]
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
    assert sources(Listing(path, "other")) == [source for source, _ in expected]
    assert listing.problems == [f"{path}: 1 row has no image."]
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


def test_list_files_in_s3(s3_server):
    address = s3_server.put("lists/a.txt", b"b.jpg\n../c d.jpg\n/photos/e.jpg\n")
    expected = [f"s3://photos/{name}" for name in ("lists/b.jpg", "c d.jpg")]
    assert sources(Listing(address))[:2] == expected
    target = io.BytesIO()
    pq.write_table(pa.table({"image": ["a.jpg", "http://h/b.jpg"]}), target)
    address = s3_server.put("lists/a.parquet", target.getvalue())
    assert sources(Listing(address)) == ["s3://photos/lists/a.jpg", "http://h/b.jpg"]


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


def test_empty_lines_of_a_csv_are_no_rows(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("\nimage,kind\n\n".lstrip() + "a.jpg,cat\n\n,dog\n,\n\n")
    listing = Listing(path)
    assert sources(listing) == [str(tmp_path / "a.jpg")]
    assert listing.problems == [f"{path}: 2 rows have no image."]


def test_missing_categories_of_a_parquet_file(tmp_path):
    path = parquet(
        tmp_path / "list.parquet",
        image=["/a.jpg", "/b.jpg", "/c.jpg"],
        number=[1.5, float("nan"), None],
        text=["cat", "", None],
    )
    for category, first in ("number", "1.5"), ("text", "cat"):
        found = [label for _, label in pairs(Listing(path, category=category))]
        assert found == [first, None, None]
