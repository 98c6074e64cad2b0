import hashlib
import http.server
import os
import subprocess
import sys
import threading
import time

import pytest
import torch
from helpers import serving

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.weights import (
    DownloadedWeights,
    PackagedWeights,
    checkpoints_folder,
    read_checkpoint,
)

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT, or part of it, or a 404."""

    def do_GET(self):
        self.server.requests.append(self.path)
        if "missing" in self.path:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        end = len(CONTENT) // 2 if "half" in self.path else len(CONTENT)
        if self.server.slow:
            self.wfile.write(CONTENT[:1000])
            return self.server.stop.wait(20)
        self.wfile.write(CONTENT[:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with serving(Handler) as server:
        server.slow = False
        yield server


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def weights(server, name="net", digest=DIGEST):
    url = f"{server.url}{name}-{digest[:8]}.pth"
    return DownloadedWeights(url, len(CONTENT) / 1e6, "MIT", "here")


def test_download(server, hub):
    entry, fractions = weights(server), []
    assert not entry.available()
    path = entry.ensure("Net", fractions.append)
    assert path == str(hub / entry.file)
    assert (hub / entry.file).read_bytes() == CONTENT
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert entry.available()


def test_a_file_already_there_is_used(server, hub):
    entry = weights(server)
    hub.mkdir(parents=True)
    (hub / entry.file).write_bytes(CONTENT)
    entry.ensure("Net")
    assert server.requests == []


@pytest.mark.parametrize(
    "name, digest",
    [("half", DIGEST), ("missing", DIGEST), ("net", "0" * 64)],
    ids=["connection lost", "404", "wrong hash"],
)
def test_failed_download_leaves_nothing(server, hub, name, digest):
    entry = weights(server, name, digest)
    with pytest.raises(ModelError) as error:
        entry.ensure("Net")
    for part in ("Net", entry.url, entry.file, str(hub)):
        assert part in str(error.value)
    assert not entry.available()
    assert [name for name in os.listdir(hub) if not name.endswith(".lock")] == []


def test_offline(hub):
    entry = DownloadedWeights("http://127.0.0.1:9/net-12345678.pth", 1, "MIT", "here")
    with pytest.raises(ModelError, match=r"net-12345678.pth elsewhere and put it into"):
        entry.ensure("Net")


def test_stopped_download_leaves_nothing(server, hub):
    entry = weights(server)
    server.slow = True

    def stop(fraction):
        raise KeyboardInterrupt

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        entry.ensure("Net", stop)
    assert time.perf_counter() - start < 5  # the server would take 20
    server.stop.set()
    deadline = time.monotonic() + 5
    while [name for name in os.listdir(hub) if not name.endswith(".lock")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stop_while_another_process_downloads(server, hub):
    from filelock import FileLock

    entry = weights(server)
    hub.mkdir(parents=True)

    def stop(fraction):
        raise KeyboardInterrupt

    with FileLock(entry.path + ".lock"):
        with pytest.raises(KeyboardInterrupt):
            entry.ensure("Net", stop)
        assert server.requests == []


def test_killed_download_leaves_no_file_that_looks_whole(server, hub):
    entry = weights(server)
    server.slow = True
    code = (
        "import os\n"
        "from orangecontrib.imageanalytics.networks.weights import DownloadedWeights\n"
        f"entry = DownloadedWeights({entry.url!r}, 1, 'MIT', 'here')\n"
        "entry.ensure('Net', lambda fraction: os._exit(9))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert not entry.available()
    server.slow = False
    entry.ensure("Net")
    assert (hub / entry.file).read_bytes() == CONTENT


def test_several_at_once_download_once(server):
    entry = weights(server)
    threads = [threading.Thread(target=entry.ensure, args=("Net",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1


def test_folder_is_that_of_torch_hub(monkeypatch):
    def compare():
        expected = os.path.join(torch.hub.get_dir(), "checkpoints")
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "torch.hub")
            assert checkpoints_folder() == expected

    compare()
    monkeypatch.delenv("TORCH_HOME")
    compare()
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    compare()


def test_folder_set_in_torch_hub(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "chosen"))
    assert checkpoints_folder() == str(tmp_path / "chosen" / "checkpoints")


def test_missing_package():
    entry = PackagedWeights("no_such_package", "file.pth", "", "MIT", "here")
    assert not entry.available()
    with pytest.raises(ModelError, match="no_such_package"):
        entry.ensure("Net")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_reads_tensors(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.arange(3)}, path)
    assert read_checkpoint(str(path), sha256(path))["a"].tolist() == [0, 1, 2]


def test_hash_is_checked_before_anything_is_read(tmp_path, monkeypatch):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.arange(3)}, path)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ModelError, match=r"damaged.*SHA-256"):
        read_checkpoint(str(path), "0" * 8)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


def test_code_in_a_weight_file_does_not_run(tmp_path, monkeypatch):
    evil = tmp_path / "evil"
    monkeypatch.setenv("EVIL", str(evil))
    path = tmp_path / "net.pth"
    torch.save({"a": Evil()}, path)
    with pytest.raises(ModelError):
        read_checkpoint(str(path), sha256(path))
    assert not evil.exists()


def test_truncated_checkpoint(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.arange(1000)}, path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(str(path), sha256(path))
