import errno
import multiprocessing
import sys
import threading
import time

import fsspec
import numpy as np
import pytest
from helpers import SOON
from Orange.data import Domain, StringVariable, Table
from shard_files import jpeg

from orangecontrib.imageanalytics.errors import Cancelled, ImageError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.sources import (
    file_name,
    is_file,
    is_remote,
    is_url,
    page_source,
    path_of,
    resolve,
    split_page,
    stamp,
)
from orangecontrib.imageanalytics.images.stores import (
    failure,
    is_store,
    open_file,
    place,
    read,
    status,
)
from orangecontrib.imageanalytics.save_images import save_images

MEGABYTE = 1_000_000


@pytest.fixture
def quick(monkeypatch):
    """Attempts follow each other at once."""
    monkeypatch.setattr(stores, "PAUSES", (0.01,))


@pytest.fixture(autouse=True)
def new_filesystems(monkeypatch):
    monkeypatch.setattr(stores, "_filesystems", {})


@pytest.mark.parametrize(
    "address", ["s3://b/a.jpg", "GS://b/a.jpg", "abfs://c@a.net/x", "memory://a.jpg"]
)
def test_addresses_in_stores(address):
    assert is_store(address) and is_url(address) and is_remote(address)
    assert not is_file(address)
    assert path_of(address) is stamp(address) is None
    assert resolve(f" {address} ", "/photos") == address
    assert split_page(page_source(address, 2)) == (address, 2)


@pytest.mark.parametrize(
    "path",
    [
        "c:\\photos\\a.jpg",
        "C:/photos/a.jpg",
        "c://photos/a.jpg",
        "data:1.png",
        "s3:a.jpg",
        "s3:/a.jpg",
        "s3/a.jpg",
        "x/s3://b/a.jpg",
        "dask://host:1/a.jpg",
        "reference://a.jpg",
        "zip://a.jpg::s3://b/c.zip",
        "local://a.jpg",
    ],
)
def test_what_is_no_address_in_a_store(path):
    assert not is_store(path) and not is_remote(path)
    assert is_file(path)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://b/in/a b.jpg", "a b.jpg"),
        ("s3://b/in/50%25?x#y&z.jpg", "50%25?x#y&z.jpg"),
        ("s3://b/a.tif#page=2", "a.tif"),
        ("s3://b", "b"),
    ],
)
def test_file_names(address, name):
    assert file_name(address) == name


@pytest.mark.parametrize(
    ("value", "origin", "expected"),
    [
        ("a b.jpg", "s3://b/in", "s3://b/in/a b.jpg"),
        ("a#1%20.jpg", "s3://b/in/", "s3://b/in/a#1%20.jpg"),
        ("../a.jpg", "s3://b/in", "s3://b/a.jpg"),
        ("/x/a.jpg", "s3://b/in", "s3://b/x/a.jpg"),
        ("a.jpg", "s3://b", "s3://b/a.jpg"),
        ("gs://c/a.jpg", "s3://b", "gs://c/a.jpg"),
        ("in//a.jpg", "s3://b", "s3://b/in//a.jpg"),
    ],
)
def test_origin_in_a_store(value, origin, expected):
    assert resolve(value, origin) == expected


def test_every_store_is_known_to_fsspec():
    from fsspec.registry import known_implementations

    # Two that it finds by the packages themselves.
    assert set(stores.PACKAGES) - {"abfss", "tos"} <= set(known_implementations)


@pytest.mark.parametrize(
    "key", ["in/a b.jpg", "č#%20?&=+.jpg", "a[1]*.jpg", "x//y.jpg"]
)
def test_read(s3_server, key):
    address = s3_server.put(key, b"content")
    assert read(address, MEGABYTE) == b"content"
    assert read(address, MEGABYTE, 2, 5) == b"nte"
    assert read(address, MEGABYTE, 5, 100) == b"nt"
    assert read(address.replace("s3:", "S3:"), 7) == b"content"
    assert status(address)[::2] == (7, False)
    with Fetcher() as fetcher:
        assert fetcher.fetch(address) == b"content"


def test_status(s3_server):
    before = status(s3_server.put("in/a.jpg", b"content"))
    assert before.version != status(s3_server.put("in/a.jpg", b"another")).version
    assert status(f"s3://{s3_server.bucket}/in").is_folder
    assert status(f"s3://{s3_server.bucket}").is_folder


def refused(address, **options):
    with pytest.raises(ImageError) as caught:
        read(address, MEGABYTE, **options)
    assert not caught.value.transient
    return str(caught.value)


def test_lasting_failures(s3_server, quick):
    assert refused("s3://photos/missing.jpg") == "file not found"
    assert refused("s3://nowhere/a.jpg") == "there is no bucket s3://nowhere"
    assert refused(s3_server.put("empty.jpg", b"")) == "file is empty"
    assert refused("memory://missing.jpg") == "file not found"
    address = s3_server.put("large.jpg", b"x" * (MEGABYTE + 1))
    s3_server.requests.clear()
    assert refused(address) == "larger than 1 MB"
    assert len(s3_server.requests) == 1
    s3_server.refusals["large"] = 100
    for code, reason in (
        ("AccessDenied", "access denied by s3://photos"),
        ("InvalidAccessKeyId", "s3://photos does not accept the credentials"),
        ("SignatureDoesNotMatch", "s3://photos does not accept the credentials"),
    ):
        s3_server.status, s3_server.code = "403 Forbidden", code
        assert refused(address) == reason


def test_no_credentials(s3_server, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert refused(s3_server.put("a.jpg", b"x")) == "no credentials for s3://photos"


def test_busy_for_a_moment(s3_server, quick):
    address = s3_server.put("a.jpg", b"content")
    s3_server.refusals["a.jpg"] = 7
    assert read(address, MEGABYTE) == b"content"


def test_busy_for_long(s3_server, quick):
    address = s3_server.put("a.jpg", b"content")
    s3_server.refusals["a.jpg"] = 1000
    s3_server.status, s3_server.code = "500 Internal Server Error", "InternalError"
    with pytest.raises(ImageError) as caught:
        read(address, MEGABYTE)
    assert caught.value.transient
    assert str(caught.value).startswith("s3://photos is busy or fails (50")


def test_nobody_answers(s3_server, quick, monkeypatch, closed_port):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    with pytest.raises(ImageError, match="cannot connect to s3://photos") as caught:
        read("s3://photos/a.jpg", MEGABYTE)
    assert caught.value.transient


@pytest.mark.parametrize(
    ("protocol", "packages"), [("gs", "gcsfs"), ("az", "adlfs"), ("sftp", "paramiko")]
)
def test_missing_package(monkeypatch, protocol, packages):
    for name in (packages, f"fsspec.implementations.{protocol}"):
        monkeypatch.setitem(sys.modules, name, None)
    reason = refused(f"{protocol}://x/a.jpg")
    assert reason == (
        f"reading {protocol}:// needs fsspec and {packages}: "
        f"pip install fsspec {packages}"
    )


def test_missing_fsspec(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    expected = "reading s3:// needs fsspec and s3fs: pip install fsspec s3fs"
    assert refused("s3://b/a.jpg") == expected
    assert refused("memory://a").endswith("pip install fsspec")


class HttpError(Exception):
    """As of gcsfs."""

    def __init__(self, code):
        super().__init__(f"Error {code}")
        self.code = code


class HttpResponseError(Exception):
    """As of azure."""

    def __init__(self, code):
        super().__init__(f"Error {code}")
        self.status_code = code


class ServiceRequestError(Exception):
    """As of azure."""


class DefaultCredentialsError(Exception):
    """As of google."""


@pytest.mark.parametrize(
    ("error", "reason", "transient"),
    [
        (HttpError(503), "is busy or fails (503 Service Unavailable)", True),
        (HttpError("429"), "is busy or fails (429 Too Many Requests)", True),
        (HttpError(404), "file not found", False),
        (HttpError(401), "access denied", False),
        (HttpResponseError(403), "access denied", False),
        (HttpResponseError(500), "is busy or fails", True),
        (ServiceRequestError(), "cannot connect to gs://b", True),
        (DefaultCredentialsError(), "no credentials for gs://b", False),
        (TimeoutError(), "no answer from gs://b in time", True),
        (fsspec.exceptions.FSTimeoutError(), "no answer from gs://b in time", True),
        (ConnectionResetError(), "cannot connect to gs://b", True),
        (IsADirectoryError(), "is a folder", False),
        (PermissionError(errno.EACCES, "x"), "access denied", False),
        (OSError("odd\nthing"), "gs://b cannot be read (odd)", False),
        (ValueError(), "gs://b cannot be read (ValueError)", False),
    ],
)
def test_failures_of_other_packages(error, reason, transient):
    found = failure(error, "gs://b/in/a.jpg")
    assert reason in str(found)
    assert found.transient == transient


def test_no_passwords_in_messages():
    assert place("sftp://me:secret@host:22/a/b.jpg") == "sftp://host:22"


def test_open_file(s3_server, monkeypatch):
    monkeypatch.setattr(stores, "BLOCK_BYTES", block := 10_000)
    content = np.random.default_rng(0).bytes(block + 1000)
    address = s3_server.put("large", content)
    with open_file(address) as file:
        assert file.read(10) == content[:10]
        file.seek(-10, 2)
        assert file.read() == content[-10:]
        file.seek(block - 5)
        assert file.read(10) == content[block - 5 :][:10]
        file.seek(0)
        assert file.read() == content
        assert file.read(1) == b""
    with pytest.raises(ImageError, match="file not found"):
        open_file("s3://photos/missing")
    s3_server.put("in/a", b"x")
    with pytest.raises(ImageError, match="is a folder"):
        open_file("s3://photos/in")


def test_one_filesystem_for_all_threads(s3_server):
    found = set()
    threads = [
        threading.Thread(
            target=lambda n=n: found.add(stores.filesystem(f"s3://photos/{n}")[0])
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1


def test_own_configuration_of_fsspec(s3_server, monkeypatch):
    monkeypatch.setitem(
        fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 7}}
    )
    filesystem, _ = stores.filesystem("s3://photos/a")
    assert filesystem.config_kwargs == {"read_timeout": 7}


def _read_in_child(address, answers):
    answers.put(read(address, MEGABYTE))


@pytest.mark.skipif(sys.platform == "win32", reason="cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_a_fork(s3_server):
    address = s3_server.put("a.jpg", b"content")
    assert read(address, MEGABYTE) == b"content"
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_read_in_child, args=(address, answers), daemon=True)
    child.start()
    try:
        assert answers.get(timeout=60) == b"content"
    finally:
        child.kill()
        child.join()
    assert read(address, MEGABYTE) == b"content"


# As sources -------------------------------------------------------------------------


def test_fetched_with_limits(s3_server, quick):
    good = s3_server.put("a.jpg", b"content")
    large = s3_server.put("large.jpg", b"x" * 2000)
    s3_server.put("busy.jpg", b"x")
    s3_server.refusals["busy"] = 1000
    urls = [good, large, "s3://photos/busy.jpg"]
    with Fetcher(max_bytes=1000) as fetcher:
        found = dict(fetcher.fetch_all(urls))
    assert found[good] == b"content"
    assert str(found[large]) == "larger than 0.001 MB"
    assert not found[large].transient
    assert found["s3://photos/busy.jpg"].transient


def test_a_silent_store(s3_server, silent, monkeypatch):
    address, _ = silent
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with Fetcher(total_timeout=0.5) as fetcher:
        with pytest.raises(ImageError, match=r"not downloaded within 0\.5 s") as caught:
            fetcher.fetch("s3://photos/a.jpg")
        assert caught.value.transient
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        start = time.monotonic()
        assert list(fetcher.fetch_all(["s3://photos/a.jpg"] * 3, stop)) == []
        assert time.monotonic() - start < SOON


def test_embedding(s3_server, tmp_path, embedder, monkeypatch):
    monkeypatch.setattr(stores, "PAUSES", ())
    values = []
    for index in range(5):
        s3_server.put(f"in/{index}.jpg", jpeg(index))
        values.append(f"{index}.jpg")
    values += ["missing.jpg", "busy.jpg"]
    s3_server.put("in/busy.jpg", jpeg(9))
    s3_server.refusals["busy"] = 1000
    image = StringVariable("image")
    image.attributes.update(type="image", origin="s3://photos/in")
    metas = np.array(values, dtype=object)[:, None]
    table = Table.from_numpy(Domain([], metas=[image]), np.empty((7, 0)), metas=metas)
    embedded, _, n_skipped = embedder(table, col="image")
    assert (len(embedded), n_skipped) == (5, 2)
    assert embedder.failures["s3://photos/in/missing.jpg"] == "file not found"
    assert "busy" in embedder.failures["s3://photos/in/busy.jpg"]
    assert embedder.transient == {"s3://photos/in/busy.jpg"}
    saving = save_images(embedded, str(tmp_path / "out"), subfolders=False)
    assert saving.failures == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{index}.png" for index in range(5)
    ]
    (tmp_path / "a.jpg").write_bytes(jpeg(3))
    (vector,) = embedder([str(tmp_path / "a.jpg")])
    np.testing.assert_array_equal(embedded.X[3], vector)


def test_embedding_is_stopped(s3_server, silent, monkeypatch):
    address, accepted = silent
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with ImageEmbedder("squeezenet", device="cpu", cache=False) as embedder:
        start = time.monotonic()

        def callback(_fraction):
            if accepted:
                embedder.cancel()

        with pytest.raises(Cancelled):
            embedder(["s3://photos/a.jpg"], callback=callback)
        assert time.monotonic() - start < SOON
