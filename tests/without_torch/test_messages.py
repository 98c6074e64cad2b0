"""What needs torch says so, and how to install it."""

import re

import pytest

from orangecontrib.imageanalytics.engine.device import choose_device
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.find_images import find_images
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.registry import NETWORKS

ADVICE = "which is not installed: pip install torch torchvision"
OTHERS = [network for network in NETWORKS if not network.makes_graph]


@pytest.mark.parametrize("network", OTHERS, ids=lambda network: network.id)
def test_networks_that_need_torch(network, photos, fresh_cache):
    assert network.missing_package
    assert "pip install" in network.not_installed
    reason = re.escape(network.not_installed)
    for call in (
        lambda: ImageEmbedder.download(network),
        lambda: ImageEmbedder.check(network),
        lambda: ImageEmbedder(network).load(),
        lambda: ImageEmbedder(network)(photos),
        lambda: ImageEmbedder(network, layer="attic").check_layer(),
    ):
        with pytest.raises(ModelError, match=reason):
            call()


def test_networks_of_torchvision():
    assert OTHERS[0].not_installed == f"Inception v3 needs PyTorch, {ADVICE}"
    with pytest.raises(ModelError, match=ADVICE):
        ImageEmbedder("torchvision:resnet18")


def test_files_of_networks(tmp_path):
    with pytest.raises(ModelError, match=f"network in a file needs PyTorch, {ADVICE}"):
        ImageEmbedder(tmp_path / "cells.onnx")


@pytest.mark.parametrize("options", [{"device": "cuda"}, {"engine": "torch"}])
def test_what_is_asked_of_torch(options, photos):
    with pytest.raises(ValueError, match=f"needs PyTorch, {ADVICE}"):
        ImageEmbedder(**options)(photos)


def test_devices():
    with pytest.raises(ValueError, match=f"device 'cuda' needs PyTorch, {ADVICE}"):
        choose_device("cuda")


def test_a_precision_that_openvino_lacks(photos, fresh_cache, monkeypatch):
    monkeypatch.setattr(OpenVinoRunner, "_capable", lambda _: [])
    with (
        pytest.raises(ModelError, match=rf"no bfloat16.* needs PyTorch, {ADVICE}"),
        ImageEmbedder(precision="bfloat16", cache=False) as embedder,
    ):
        embedder(photos)


def test_words(photos, fresh_cache):
    table, _ = ImportImages()([photos[0].rpartition("/")[0]])
    with pytest.raises(ModelError, match="open_clip_torch: pip install"):
        find_images(table, "a red car")
