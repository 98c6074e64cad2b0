"""Benchmarks that run anywhere."""

import dataclasses
import os
import re
import runpy
import subprocess
import sys

import pytest
from twin_images import make_photo

from orangecontrib.imageanalytics.networks.registry import find_network

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.mark.slow
def test_gpu_on_the_cpu(fresh_cache):
    script = os.path.join(ROOT, "benchmarks", "gpu.py")
    # One whose weights are installed, and those of each package drawn.
    models = ["squeezenet", "torchvision:shufflenet_v2_x0_5"]
    models += ["timm:mobilenetv3_small_050.lamb_in1k", "clip:MobileCLIP2-S0.dfndr2b"]
    text = subprocess.run(
        [sys.executable, script, "--smoke", "--device", "cpu", "--models", *models],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert text.startswith("CPU\ntorch ")
    assert len(re.findall("network alone .* images/s", text)) == len(models)
    by_one = re.findall(r"decoded by 1 threads .* images/s +\d+\.\d\d", text)
    assert len(by_one) == len(models)


def test_gpu_draws_weights_whatever_the_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    gpu = runpy.run_path(os.path.join(ROOT, "benchmarks", "gpu.py"))
    network = find_network("torchvision:shufflenet_v2_x0_5")
    spec = gpu["choose"](dataclasses.replace(network, name="Shuffle/Net"), tmp_path)
    assert spec.network.load(spec.network.ensure_weights()) is not None


def test_find(photos):
    folder = os.path.dirname(os.path.dirname(photos[0]))
    script = os.path.join(ROOT, "benchmarks", "find.py")
    options = ["--models", "squeezenet", "--count", "1000", "--features", "8"]
    text = subprocess.run(
        [sys.executable, script, folder, *options],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "6 images of 2 classes" in text
    assert len(re.findall(r"^squeezenet +[15] +0\.\d{3} +0\.\d{3}$", text, re.M)) == 2
    assert re.search(r"query of 1000 x 8 vectors: \d+ ms, \d\.\d\d of one", text)


@pytest.mark.slow
def test_a_cluster(fresh_cache, photos):
    pytest.importorskip("distributed")
    script = os.path.join(ROOT, "benchmarks", "distributed.py")
    few = ["--images", "24", "--parts", "4", "--rounds", "1", "--rows", "3000"]
    folder = os.path.dirname(os.path.dirname(photos[0]))
    text = subprocess.run(
        [sys.executable, script, folder, *few],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    assert re.search(r"scheduler +\d+ MB and +\d+ MB: [+-]\d+ MB", text)
    assert re.search(r"workers are \d+\.\d\d times as fast as threads", text)
    assert re.search(r"a part takes -?\d+ ms of a worker", text)


def test_as_many_parts_as_workers():
    script = os.path.join(ROOT, "benchmarks", "distributed.py")
    run = subprocess.run(
        [sys.executable, script, ROOT, "--workers", "2", "--parts", "2"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert run.stdout == ""  # before anything is measured
    assert "--parts should be more than --workers" in run.stderr


@pytest.mark.slow
def test_twins(tmp_path):
    for seed in range(3):
        make_photo(seed).save(tmp_path / f"{seed}.png")
    script = os.path.join(ROOT, "benchmarks", "twins.py")
    arguments = [str(tmp_path), "--models", "squeezenet", "--speed", "2000"]
    text = subprocess.run(
        [sys.executable, script, *arguments],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (line,) = re.findall(r"hash +1 .*", text)
    # Precision, and recall of the five kinds of copies, of which one is cropped
    assert line.split()[2:] == [
        "1.000",
        "1.00",
        "1.00",
        line.split()[5],
        "1.00",
        "1.00",
    ]
    assert re.search(r"both: 2,000 images, [\d,]+ groups, \d+\.\d s", text)


@pytest.mark.slow
def test_labelling(fresh_cache):
    script = os.path.join(ROOT, "benchmarks", "labelling.py")
    photos = os.path.join(ROOT, "orangecontrib/imageanalytics/tutorials/photos")
    text = subprocess.run(
        [sys.executable, script, photos, "--seeds", "2", "--most", "8"],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "photos: 23 images of 6 classes, 2 seeds" in text
    for order in ("random", "typical", "uncertain"):
        assert re.search(rf"^{order} .* \+- ", text, re.MULTILINE)
