"""The hub's client reads its settings when it is imported: so in other processes."""

import http.server
import inspect
import json
import os
import subprocess
import sys
import time

import pytest
from helpers import serving

huggingface_hub = pytest.importorskip("huggingface_hub")

CONTENT = bytes(range(256)) * 400
COMMIT = "0123456789" * 4
REPOSITORY = "timm/tiny.test"
SCRIPT = """
import json, sys, time
import huggingface_hub.constants
huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = 1000
time.sleep = lambda seconds: None  # between the hub's attempts
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.hub_weights import HubWeights

weights = HubWeights("timm/tiny.test", "mit", "tiny.test")
stop_after = float(sys.argv[1])
told = {"before": weights.available(), "will": weights.path, "fractions": []}
assert told["before"] or weights.megabytes != weights.megabytes
start = time.perf_counter()

def callback(fraction):
    told["fractions"].append(fraction)
    if time.perf_counter() - start > stop_after:
        told["stopped"] = time.perf_counter()
        raise KeyboardInterrupt

try:
    told["path"] = weights.ensure("Tiny", callback)
except ModelError as error:
    told["error"] = str(error)
except KeyboardInterrupt:
    told["waited"] = time.perf_counter() - told["stopped"]
told["after"] = weights.available()
if told["after"]:
    told["megabytes"] = weights.megabytes
assert "torch" not in sys.modules
print(json.dumps(told))
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub that hands out files."""

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        if self._answer():
            half = len(CONTENT) // 2
            self.wfile.write(CONTENT[:half])
            self.server.stop.wait(self.server.pause)
            self.wfile.write(CONTENT[half:])

    def _answer(self):
        self.server.requests.append((self.command, self.path))
        file = self.path.rpartition("/")[2]
        status, code = self.server.refusal or (200, "")
        if status == 200 and file not in self.server.files:
            status, code = 404, "EntryNotFound"
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{file}"')
        self.send_header("Content-Length", str(len(CONTENT)) if status == 200 else "0")
        self.end_headers()
        return status == 200

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with serving(Hub) as server:
        yield server


@pytest.fixture
def hub(server):
    server.files = {"model.safetensors"}
    server.refusal, server.pause = None, 0
    server.requests.clear()
    return server


def fetch(tmp_path, url, stop_after=1000, **environment):
    """What happens to who wants the weights."""
    settings = {
        "HF_ENDPOINT": url.rstrip("/"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_ETAG_TIMEOUT": "5",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(stop_after)],
        capture_output=True,
        text=True,
        env=kept | settings | environment,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def folder(tmp_path):
    return tmp_path / "hf" / "hub" / "models--timm--tiny.test"


def test_download_reports_and_lies_where_the_hub_keeps_it(hub, tmp_path):
    hub.pause = 0.6
    told = fetch(tmp_path, hub.url)
    assert not told["before"] and told["after"]
    path = folder(tmp_path) / "snapshots" / COMMIT / "model.safetensors"
    assert told["path"] == str(path)
    assert path.read_bytes() == CONTENT
    assert told["megabytes"] == pytest.approx(len(CONTENT) / 1e6)
    # Ten times a second; half of the file lay there for six of them.
    assert len(told["fractions"]) >= 5
    assert told["fractions"] == sorted(told["fractions"])
    if "tqdm_class" in inspect.signature(huggingface_hub.hf_hub_download).parameters:
        assert any(0.4 < fraction < 0.6 for fraction in told["fractions"])


def test_a_file_already_there_is_used_without_a_word_to_the_hub(hub, tmp_path):
    fetch(tmp_path, hub.url)
    hub.requests.clear()
    told = fetch(tmp_path, hub.url)
    assert told["before"] and told["fractions"] == []
    assert hub.requests == []


def test_its_own_cache_folder(hub, tmp_path):
    told = fetch(tmp_path, hub.url, HF_HUB_CACHE=str(tmp_path / "other"))
    assert told["path"].startswith(str(tmp_path / "other"))


def test_second_best_file(hub, tmp_path):
    hub.files = {"pytorch_model.bin"}
    told = fetch(tmp_path, hub.url)
    assert os.path.basename(told["path"]) == "pytorch_model.bin"
    assert told["after"]


def test_stop(hub, tmp_path):
    hub.pause = 20
    start = time.perf_counter()
    told = fetch(tmp_path, hub.url, stop_after=0.5)
    assert told["waited"] < 0.25
    assert not told["after"]
    # Nor does the thread that is left keep the process from ending.
    assert time.perf_counter() - start < 15


def complaint(told):
    assert not told["after"]
    for part in ("Tiny", REPOSITORY, "model.safetensors", "models--timm--tiny.test"):
        assert part in told["error"]
    assert "hf download timm/tiny.test model.safetensors" in told["error"]
    assert "\n" not in told["error"]
    return told["error"]


def test_no_such_file(hub, tmp_path):
    hub.files = set()
    error = complaint(fetch(tmp_path, hub.url))
    assert "404" in error
    assert str(tmp_path / "hf" / "hub") in error
    asked = {path.rpartition("/")[2] for _, path in hub.requests}
    assert asked == {"model.safetensors", "pytorch_model.bin"}


def test_gated(hub, tmp_path):
    hub.refusal = 403, "GatedRepo"
    assert "license must first be accepted" in complaint(fetch(tmp_path, hub.url))


def test_private_or_unknown(hub, tmp_path):
    hub.refusal = 401, "RepoNotFound"
    assert "no such repository" in complaint(fetch(tmp_path, hub.url))


def test_no_connection(tmp_path):
    complaint(fetch(tmp_path, "http://127.0.0.1:9"))


def test_told_to_stay_offline(hub, tmp_path):
    complaint(fetch(tmp_path, hub.url, HF_HUB_OFFLINE="1"))
    assert hub.requests == []


def test_folder_that_cannot_be_written(hub, tmp_path):
    (tmp_path / "hf").write_text("a file where the folder should be")
    complaint(fetch(tmp_path, hub.url))
