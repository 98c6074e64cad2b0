"""Benchmarks that run anywhere."""

import dataclasses
import os
import re
import runpy
import subprocess
import sys

import pytest

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
