"""The hub's client reads its settings when it is imported: so in other processes."""

import http.server
import inspect
import json
import os
import subprocess
import sys
import time

import numpy as np
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
        if (content := self._answer()) is not None:
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.server.stop.wait(self.server.pause)
            self.wfile.write(content[half:])

    def _answer(self):
        self.server.requests.append((self.command, self.path))
        file = self.path.rpartition("/")[2]
        status, code = self.server.refusal or (200, "")
        content = self.server.files.get(file)
        if status == 200 and content is None:
            status, code = 404, "EntryNotFound"
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{file}"')
        self.send_header("Content-Length", str(len(content)) if status == 200 else "0")
        self.end_headers()
        return content if status == 200 else None

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with serving(Hub) as server:
        yield server


@pytest.fixture
def hub(server):
    server.files = {"model.safetensors": CONTENT}
    server.refusal, server.pause = None, 0
    server.requests.clear()
    return server


def fetch(tmp_path, url, stop_after=1000, script=SCRIPT, **environment):
    """What happens to who wants the weights."""
    settings = {
        "HF_ENDPOINT": url.rstrip("/"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_ETAG_TIMEOUT": "5",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(stop_after)],
        capture_output=True,
        text=True,
        env=kept | settings | environment,
        timeout=120,
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


def test_files_are_found_where_the_client_finds_them(tmp_path, monkeypatch):
    from huggingface_hub import constants, try_to_load_from_cache

    from orangecontrib.imageanalytics.networks.hub_weights import HubFile

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--a--b"
    for name, commit in (("main", "1" * 40), ("v2", "2" * 40), ("pr/3", "3" * 40)):
        ref = folder / "refs" / name
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)
        (folder / "snapshots" / commit).mkdir(parents=True)
        (folder / "snapshots" / commit / f"of {commit[0]}").write_text("")
    found = []
    for revision in (None, "main", "v2", "pr/3", "2" * 40, "v4", "4" * 40):
        for name in ("of 1", "of 2", "of 3", "none"):
            theirs = try_to_load_from_cache("a/b", name, revision=revision)
            repository = f"a/b@{revision}" if revision else "a/b"
            assert HubFile(repository, (name,)).cached() == theirs
            found.append(theirs)
    assert len(set(found)) == 4
    assert HubFile("a/c", ("of 1",)).cached() is None
    assert HubFile("a/b", ("none", "of 1")).cached() == found[0]


def test_its_own_cache_folder(hub, tmp_path):
    told = fetch(tmp_path, hub.url, HF_HUB_CACHE=str(tmp_path / "other"))
    assert told["path"].startswith(str(tmp_path / "other"))


def test_second_best_file(hub, tmp_path):
    hub.files = {"pytorch_model.bin": CONTENT}
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
    hub.files = {}
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


# A network that knows words -----------------------------------------------------------

WORDS = """
import json, sys
sys.path.insert(0, TESTS)
import word_networks
from orangecontrib.imageanalytics.engine.text_encoder import TextEncoder
from orangecontrib.imageanalytics.errors import ModelError

told = {"fractions": []}
with word_networks.known_to_open_clip():
    network = word_networks.find(word_networks.SIGLIP)
    encoder = TextEncoder(network, "cpu", may_download=True)
    try:
        vectors = encoder.encode(["a red dog", "pes"], told["fractions"].append)
        told["vectors"] = vectors.tolist()
        told["path"] = network.weights.path
        told["megabytes"] = network.megabytes
    except ModelError as error:
        told["error"] = str(error)
    told["after"] = network.available()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def words():
    """The files of a tiny network, and its vectors in open_clip."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("open_clip")
    pytest.importorskip("tokenizers")
    import word_networks

    with word_networks.known_to_open_clip():
        model = word_networks.make(word_networks.SIGLIP)
    # "a red dog" and "pes", as in the tests of its tokenizer.
    tokens = torch.zeros(2, 16, dtype=torch.long)
    tokens[0, :6] = torch.tensor([260, 303, 309, 303, 305, 1])
    tokens[1, :3] = torch.tensor([315, 278, 1])
    with torch.inference_mode():
        vectors = model.encode_text(tokens, normalize=True).numpy()
    return word_networks.files(word_networks.SIGLIP, model), vectors


def fetch_words(tmp_path, url, **environment):
    tests = os.path.dirname(os.path.dirname(__file__))
    script = f"TESTS = {tests!r}\n{WORDS}"
    return fetch(tmp_path, url, script=script, **environment)


def test_words_from_the_hub(hub, words, tmp_path):
    hub.files, expected = words
    told = fetch_words(tmp_path, hub.url)
    np.testing.assert_allclose(told["vectors"], expected, atol=1e-4)
    folder = tmp_path / "hf" / "hub" / "models--timm--Tiny-SigLIP2" / "snapshots"
    assert told["path"] == str(folder / COMMIT / "open_clip_model.safetensors")
    assert sorted(os.listdir(folder / COMMIT)) == sorted(hub.files)
    assert told["megabytes"] == pytest.approx(sum(map(len, hub.files.values())) / 1e6)
    # The small files come first and do not count.
    got = [
        path.rpartition("/")[2] for command, path in hub.requests if command == "GET"
    ]
    assert got[-1] == "open_clip_model.safetensors"
    hub.requests.clear()
    again = fetch_words(tmp_path, hub.url)
    assert again["vectors"] == told["vectors"]
    assert hub.requests == []


@pytest.mark.parametrize("missing", ["tokenizer.json", "tokenizer_config.json"])
def test_words_without_the_tokenizer(hub, words, tmp_path, missing):
    hub.files = {name: data for name, data in words[0].items() if name != missing}
    told = fetch_words(tmp_path, hub.url)
    assert not told["after"]
    assert "404" in told["error"]
    # What is of no use is not downloaded.
    assert not any(path.endswith(".safetensors") for _, path in hub.requests)


def test_words_without_a_connection(words, tmp_path):
    told = fetch_words(tmp_path, "http://127.0.0.1:9")
    assert not told["after"]
    command = "hf download timm/Tiny-SigLIP2 open_clip_model.safetensors tokenizer.json"
    assert command in told["error"]
