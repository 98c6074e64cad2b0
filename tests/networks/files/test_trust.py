import json
import logging
import os
import subprocess
import sys

import pytest

from orangecontrib.imageanalytics.cache_folder import ENVIRONMENT_VARIABLE
from orangecontrib.imageanalytics.errors import TrustNeededError
from orangecontrib.imageanalytics.networks.files import trust

HASH, OTHER = "a" * 64, "b" * 64


def forget_this_run():
    trust._vouched.clear()


def test_nothing_is_trusted_at_first(nothing_trusted):
    assert not trust.is_vouched(HASH)
    assert not nothing_trusted.exists()


def test_it_is_remembered(nothing_trusted):
    trust.vouch(HASH, "/home/me/cells.pt")
    forget_this_run()
    assert trust.is_vouched(HASH)
    assert not trust.is_vouched(OTHER)
    trust.vouch(OTHER, "/home/me/birds.pt")
    forget_this_run()
    assert trust.is_vouched(HASH) and trust.is_vouched(OTHER)
    (file,) = (f for f in nothing_trusted.iterdir() if f.suffix == ".json")
    written = json.loads(file.read_text())
    assert written["files"][HASH]["path"] == "/home/me/cells.pt"
    # Nothing half-written is left beside it.
    names = {path.name for path in nothing_trusted.iterdir()}
    assert names <= {trust.FILE, trust.FILE + ".lock"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"files": []}',
        b'{"files": {"%b": 1}}' % HASH.encode(),
        b'{"files": {"short": {}, "%b": {}}}' % HASH.encode(),
        b'{"other": {"%b": {}}}' % HASH.encode(),
        b"[" * 100_000,
        b'{"files": {"%b": {}}}' % HASH.encode() + b" " * trust.MOST_BYTES,
    ],
)
def test_damaged_file_means_that_nothing_is_trusted(nothing_trusted, content):
    nothing_trusted.mkdir()
    (nothing_trusted / trust.FILE).write_bytes(content)
    assert not trust.is_vouched(HASH)
    trust.vouch(OTHER, "cells.pt")
    forget_this_run()
    assert trust.is_vouched(OTHER)
    assert not trust.is_vouched(HASH)


def test_it_cannot_be_remembered(nothing_trusted, caplog):
    nothing_trusted.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        trust.vouch(HASH, "cells.pt")
    assert "cells.pt may be opened was not saved" in caplog.text
    assert trust.is_vouched(HASH)  # in this run
    forget_this_run()
    assert not trust.is_vouched(HASH)


def test_check(nothing_trusted, tmp_path):
    path = tmp_path / "cells.pt"
    path.write_bytes(b"content")
    with pytest.raises(TrustNeededError) as caught:
        trust.check_vouched(str(path), b"content")
    needed = caught.value
    assert needed.path == str(path)
    assert needed.n_bytes == 7
    assert needed.modified == os.path.getmtime(path)
    for text in (str(path), "trust=True", "--trust", "Image Embedding", "ONNX"):
        assert text in str(needed)
    trust.vouch(needed.sha256, str(path))
    assert trust.check_vouched(str(path), b"content") == needed.sha256
    # By the content, wherever it is and whatever it is called.
    trust.check_vouched("elsewhere.pt", b"content")
    with pytest.raises(TrustNeededError):
        trust.check_vouched(str(path), b"Content")


def test_several_processes(nothing_trusted):
    """What one of them remembers is not lost by another."""
    code = (
        "import sys\n"
        "from orangecontrib.imageanalytics.networks.files import trust\n"
        "for number in range(int(sys.argv[1]), int(sys.argv[1]) + 20):\n"
        "    trust.vouch(f'{number:064x}', 'cells.pt')\n"
    )
    environment = os.environ | {ENVIRONMENT_VARIABLE: str(nothing_trusted)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code, start], env=environment)
        for start in ("0", "100")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    numbers = [*range(20), *range(100, 120)]
    assert all(trust.is_vouched(f"{number:064x}") for number in numbers)


def write_list(folder, mode=0o600):
    folder.mkdir(exist_ok=True)
    file = folder / trust.FILE
    file.write_text(json.dumps({"files": {HASH: {}}}))
    file.chmod(mode)
    return file


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such bits")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_list_that_others_can_change_is_not_relied_on(nothing_trusted, mode, caplog):
    file = write_list(nothing_trusted)
    assert trust.is_vouched(HASH)
    file.chmod(mode)
    with caplog.at_level(logging.WARNING):
        assert not trust.is_vouched(HASH)
    assert f"{file} can be changed by other users" in caplog.text
    trust.vouch(OTHER, "cells.pt")
    forget_this_run()
    assert trust.is_vouched(OTHER) and not trust.is_vouched(HASH)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such numbers of users")
def test_a_list_of_another_user(nothing_trusted, monkeypatch, caplog):
    """It is neither relied on nor overwritten."""
    file = write_list(nothing_trusted)
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    before = file.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert not trust.is_vouched(HASH)
        trust.vouch(OTHER, "cells.pt")
    assert "belongs to another user, so no file is trusted" in caplog.text
    assert "cells.pt may be opened was not saved" in caplog.text
    assert file.read_bytes() == before
    assert trust.is_vouched(OTHER)  # in this run
