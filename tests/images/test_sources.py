import base64
import errno
import os
import pickle

import numpy as np
import pytest
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import sources
from orangecontrib.imageanalytics.images.sources import (
    column_sources,
    file_name,
    file_stamp,
    image_column,
    image_columns,
    is_file,
    is_remote,
    opened,
    page_source,
    read_local,
    resolve,
    split_page,
    stamp,
)
from orangecontrib.imageanalytics.utils import image_utils


def marked(variable, **attributes):
    variable.attributes.update(attributes)
    return variable


def test_is_file():
    assert is_file("/a/b.png")
    assert not is_file("http://a/b.png")
    assert not is_file("data:image/png,x")


@pytest.fixture
def table():
    domain = Domain(
        [ContinuousVariable("x"), DiscreteVariable("attr", values=["u.png", "v.png"])],
        DiscreteVariable("class", values=["c.png"]),
        [
            StringVariable("name"),
            DiscreteVariable("breed", values=["a.png", "http://h/b.png"]),
            ContinuousVariable("size"),
            marked(StringVariable("photo"), type="image", origin="/photos"),
        ],
    )
    nan = np.nan
    return Table.from_numpy(
        domain,
        np.array([[1, 0], [2, nan], [3, 1]]),
        np.array([0, nan, 0]),
        np.array(
            [["n1", 1, 5, "1.png"], ["", nan, 6, None], ["n3", 0, 7, "/abs/3.png"]],
            dtype=object,
        ),
    )


@pytest.mark.parametrize(
    ("value", "origin", "expected"),
    [
        ("a.png", "", "a.png"),
        ("a.png", "/photos", "/photos/a.png"),
        ("in/a b.png", "/photos/", "/photos/in/a b.png"),
        ("/abs/a.png", "/photos", "/abs/a.png"),
        (" a.png", "/photos", "/photos/ a.png"),
        ("a.png", "http://h/dir", "http://h/dir/a.png"),
        ("a.png", "HTTPS://h/dir/", "https://h/dir/a.png"),
        ("/a.png", "http://h/dir", "http://h/a.png"),
        ("a.png", "http://[broken", "http://[broken/a.png"),
        ("http://h/a.png", "/photos", "http://h/a.png"),
        (" HTTP://h/a.png ", "/photos", "HTTP://h/a.png"),
        ("ftp://h/a.png", "http://g/", "ftp://h/a.png"),
        ("data:image/png;base64,AA==", "/photos", "data:image/png;base64,AA=="),
        ("file:///tmp/a%20b%23.png", "/photos", "/tmp/a b#.png"),
        ("file://localhost/tmp/a#1.png", "", "/tmp/a#1.png"),
        ("file:/tmp/a.png", "http://h/", "/tmp/a.png"),
        ("file:///tmp/%E2%82%AC%FF.png", "", "/tmp/€\udcff.png"),
        ("a.png", "file:///my%20photos", "/my photos/a.png"),
        ("data:1.png", "/photos", "/photos/data:1.png"),
        ("file:1.png", "/photos", "/photos/file:1.png"),
        ("C:a.png", "/photos", "/photos/C:a.png"),
    ],
)
def test_resolve(value, origin, expected):
    assert resolve(value, origin) == expected


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///C:/a%20b.png", "C:/a b.png"),
        ("file:///d|/a.png", "d:/a.png"),
        ("file://server/share/a.png", "//server/share/a.png"),
    ],
)
def test_file_urls_on_windows(url, path):
    assert sources._path_of_file_url(url, windows=True) == path


def test_is_remote():
    assert is_remote("http://h/a") and is_remote("HTTPS://h") and is_remote("ftp://h/a")
    assert not is_remote("/http/a.png")
    assert not is_remote("data:image/png,xx")
    assert not is_remote("httpx://h/a")


def test_image_columns_marked_ones_first(table):
    assert [var.name for var in image_columns(table)] == ["photo", "name", "breed"]
    assert image_utils.filter_image_attributes(table) == image_columns(table)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("photo", ["/photos/1.png", None, "/abs/3.png"]),
        ("name", ["n1", None, "n3"]),
        ("breed", ["http://h/b.png", None, "a.png"]),
        ("attr", ["u.png", None, "v.png"]),
        ("class", ["c.png", None, "c.png"]),
    ],
)
def test_column_sources(table, column, expected):
    variable = table.domain[column]
    assert column_sources(table, column) == expected
    assert column_sources(table, variable) == expected
    assert image_utils.extract_paths(table, variable) == expected
    one_by_one = [image_utils.extract_image_path(row, variable) for row in table]
    assert one_by_one == expected


def test_missing_strings():
    domain = Domain([], None, [StringVariable("s")])
    missing = ["", None, np.nan, StringVariable.Unknown, "  \t"]
    metas = np.array([[value] for value in [*missing, "a.png"]], dtype=object)
    table = Table.from_numpy(domain, np.empty((6, 0)), metas=metas)
    assert column_sources(table, "s") == [None] * 5 + ["a.png"]


def test_category_without_values_and_empty_table(table):
    domain = Domain([], None, [DiscreteVariable("d", values=[])])
    missing = Table.from_numpy(domain, np.empty((2, 0)), metas=np.full((2, 1), np.nan))
    assert column_sources(missing, "d") == [None, None]
    assert column_sources(table[:0], "breed") == []
    assert column_sources(table[:0], "photo") == []


def test_the_column_that_is_meant(table):
    domain = table.domain
    assert image_column(table) is domain["photo"]
    assert image_column(table, "name") is domain["name"]
    assert image_column(table, domain["breed"]) is domain["breed"]
    with pytest.raises(ValueError, match="'nowhere'"):
        image_column(table, "nowhere")
    with pytest.raises(ValueError, match="no column that could name images"):
        image_column(Table("iris"))


def test_wrong_columns(table):
    with pytest.raises(ValueError, match="'size'"):
        column_sources(table, "size")
    with pytest.raises(ValueError, match="'nowhere'"):
        column_sources(table, "nowhere")
    with pytest.raises(ValueError, match="'other'"):
        column_sources(table, StringVariable("other"))


def reason(source, **kwargs):
    with pytest.raises(ImageError) as raised:
        read_local(str(source), **kwargs)
    return str(raised.value)


@pytest.mark.parametrize("name", ["a b.png", 'it\'s "x".png', "slika čšž 画像.png"])
def test_read_local(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"content")
    assert read_local(str(path)) == b"content"
    assert read_local(resolve(path.as_uri())) == b"content"


def test_read_local_undecodable_name(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"\xff.png")
    try:
        with open(path, "wb") as file:
            file.write(b"content")
    except OSError:
        pytest.skip("the file system has no such names")
    assert read_local(os.fsdecode(path)) == b"content"


def test_read_local_reasons(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "large.png").write_bytes(b"x" * 2_000_001)
    assert reason(tmp_path / "none.png") == "file not found"
    assert reason(tmp_path / "empty.png" / "x.png") == "file not found"
    assert reason(tmp_path / "folder.png") == "is a folder"
    assert reason(tmp_path / "empty.png") == "file is empty"
    assert reason(tmp_path / "large.png", max_bytes=2_000_000) == "larger than 2 MB"
    assert reason(tmp_path / ("x" * 5000)) == "the path is too long"
    assert reason("a\0b.png") == "not a valid path"
    assert (
        len(read_local(str(tmp_path / "large.png"), max_bytes=2_000_001)) == 2_000_001
    )


def test_links(tmp_path):
    (tmp_path / "real.png").write_bytes(b"content")
    (tmp_path / "link.png").symlink_to("real.png")
    (tmp_path / "broken.png").symlink_to("nothing.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert read_local(str(tmp_path / "link.png")) == b"content"
    assert reason(tmp_path / "broken.png") == "broken link"
    assert reason(tmp_path / "loop.png") == "a link that leads to itself"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(tmp_path / "pipe.png") == "not an ordinary file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may")
def test_unreadable(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"content")
    path.chmod(0)
    assert reason(path) == "permission denied"


def test_unreadable_for_anybody(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.png"
    path.write_bytes(b"content")
    monkeypatch.setattr("builtins.open", refuse)
    assert reason(path) == "permission denied"


def test_a_disk_that_fails(tmp_path, monkeypatch):
    class Failing:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, _):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sources, "open_local", lambda _: Failing())
    assert reason("a.png") == "cannot be read (Input/output error)"


def test_data_urls():
    content = bytes(range(256))
    encoded = base64.b64encode(content).decode()
    assert read_local(f"data:image/png;base64,{encoded}") == content
    assert read_local(f"DATA:;BASE64,{encoded.rstrip('=')}") == content
    assert read_local(f"data:;base64,{encoded[:40]} \n{encoded[40:]}") == content
    assert read_local("data:image/svg+xml,%3Csvg/%3E") == b"<svg/>"
    assert reason("data:image/png;base64,A") == "data URL is damaged"
    assert reason("data:image/png;base64,!!!!") == "data URL is damaged"
    assert reason("data:image/png;base64,") == "file is empty"
    assert reason("data:,abc", max_bytes=2) == "larger than 2e-06 MB"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.tif#page=3", ("a.tif", 3)),
        ("/b/c d.tif#page=12", ("/b/c d.tif", 12)),
        ("http://h/a.tif?x=1#page=2", ("http://h/a.tif?x=1", 2)),
        ("a#page=1.tif", ("a#page=1.tif", None)),
        ("a.tif#page=0", ("a.tif#page=0", None)),
        ("a.tif#page=", ("a.tif#page=", None)),
        ("a.tif#page=1#page=2", ("a.tif#page=1", 2)),
        ("data:,x#page=1", ("data:,x#page=1", None)),
        ("#page=1", ("#page=1", None)),
    ],
)
def test_pages_of_sources(source, expected):
    assert split_page(source) == expected
    if expected[1]:
        assert page_source(*expected) == source


def test_a_file_of_such_a_name_is_a_file(tmp_path):
    path = str(tmp_path / "a.tif#page=3")
    assert split_page(path) == (str(tmp_path / "a.tif"), 3)
    open(path, "wb").close()
    assert split_page(path) == (path, None)


def test_pages_are_resolved_like_files(tmp_path):
    uri = (tmp_path / "a b.tif").as_uri()
    assert resolve(uri + "#page=2") == str(tmp_path / "a b.tif") + "#page=2"
    assert resolve("a.tif#page=2", "/b") == os.path.join("/b", "a.tif#page=2")
    assert resolve("a.tif#page=2", "http://h/b") == "http://h/b/a.tif#page=2"


def test_opened(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"content")
    with opened(str(path)) as found:
        assert found == (b"content", None)
    with opened(f"{path}#page=2") as (file, page):
        assert (file.read(), file.name, page) == (b"content", str(path), 2)
    assert file.closed
    with opened("http://h/a#page=2", b"other") as found:
        assert found == (b"other", 2)
    with pytest.raises(ImageError, match="file not found"), opened("none.tif#page=1"):
        pass


def test_stamp(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"content")
    size, changed = stamp(str(path))
    assert size == 7 and changed == os.stat(path).st_mtime_ns
    assert stamp(f"{path}#page=2") == (size, changed)
    assert file_stamp(str(path)) == (size, changed)
    assert file_stamp(f"{path}#page=2") is None
    for source in ("none", "http://h/a", "data:,x", "\0"):
        assert stamp(source) is None


@pytest.mark.parametrize(
    "source, name",
    [
        (os.path.join("folder", "a b.png"), "a b.png"),
        ("a.tif#page=2", "a.tif"),
        ("http://host/folder/a%20b.jpg?size=1", "a b.jpg"),
        ("http://host/folder/", "folder"),
        ("http://host", ""),
        ("http://[bad", "[bad"),
        ("data:image/png;base64,AAAA/BBBB", ""),
    ],
)
def test_file_name(source, name):
    assert file_name(source) == name


@pytest.mark.parametrize(
    ("number", "transient"),
    [(errno.EIO, True), (errno.EMFILE, True), (errno.EACCES, False)],
)
def test_failures_that_may_pass(monkeypatch, number, transient):
    def fail(*_):
        raise OSError(number, "it fails")

    monkeypatch.setattr(os, "stat", fail)
    with pytest.raises(ImageError) as caught:
        read_local("/a.png")
    assert caught.value.transient == transient
    assert pickle.loads(pickle.dumps(caught.value)).transient == transient
