import gzip
import io
import os
import threading

import pytest
from shard_files import make_shard, web_dataset

from orangecontrib.imageanalytics.errors import Cancelled, ImageError
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.images.copies import copy, opened_file
from orangecontrib.imageanalytics.images.shards import (
    ShardError,
    local_copy,
    shard_members,
)


def test_copying_is_stopped(s3_server, tmp_path):
    shard = s3_server.put("a.tar", make_shard(web_dataset(1)))
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        local_copy(shard, str(tmp_path), stop).__enter__()
    assert os.listdir(tmp_path) == []


def test_a_web_server_that_fails_for_a_moment(server, monkeypatch):
    monkeypatch.setattr(stores, "PAUSES", (0.01, 0.01))
    content = gzip.compress(make_shard(web_dataset(3)))

    def answer(handler):
        if server.count("/a.tgz") < 3:
            return handler.answer(503, b"busy", {})
        return handler.answer(200, content, {})

    shard = server.add_function("/a.tgz", answer)
    assert len(list(shard_members(shard))) == 6
    gone = server.add("/b.tar", b"gone", 503)
    with pytest.raises(ShardError, match="503") as caught:
        list(shard_members(gone))
    assert caught.value.transient
    assert server.count("/b.tar") == 3


def test_copy_from_the_web(server):
    content = bytes(range(256)) * 10_000
    with opened_file(server.add("/a.bin", content)) as file:
        assert file.read() == content
        file.seek(5)
        assert file.read(1) == b"\x05"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ftp://127.0.0.1/a.tar", "copy the file here"),
        ("http:///a.tar", "not a valid address"),
        ("http://127.0.0.1:99999/a.tar", "not a valid address"),
    ],
)
def test_what_is_not_copied(address, reason):
    with pytest.raises(ImageError, match=reason) as caught:
        copy(address, io.BytesIO())
    assert not caught.value.transient


def test_a_connection_that_breaks(server, monkeypatch):
    monkeypatch.setattr(stores, "PAUSES", (0.01,))
    content = bytes(range(256)) * 10_000

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        whole = server.count("/a.bin") > 1
        handler.wfile.write(content if whole else content[:500_000])
        handler.close_connection = True

    address = server.add_function("/a.bin", answer)
    target = io.BytesIO()
    copy(address, target)
    assert target.getvalue() == content
    assert server.count("/a.bin") == 2
