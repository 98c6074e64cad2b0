"""The command line."""

import os

import pytest
from Orange.data import Table

from orangecontrib.imageanalytics.__main__ import main


@pytest.fixture
def folder(photos, fresh_cache):
    return os.path.dirname(os.path.dirname(photos[0]))


def test_embed(folder, tmp_path, capsys):
    target = str(tmp_path / "photos.tab")
    assert main(["embed", folder, "-o", target]) == 0
    table = Table(target)
    assert len(table) == 6 and len(table.domain.attributes) == 1280
    assert "device    CPU" in capsys.readouterr().out


def test_embed_with_a_network_that_needs_torch(folder, tmp_path, capsys):
    target = tmp_path / "photos.tab"
    assert main(["embed", folder, "-o", str(target), "-m", "resnet50"]) == 1
    assert "ResNet-50 needs PyTorch" in capsys.readouterr().err
    assert not target.exists()


def test_models(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    here = {line.split()[0]: line for line in lines}
    for model in ("efficientnet-lite0", "efficientnet-lite2", "squeezenet"):
        assert " yes " in here[model]
    for model in ("resnet50", "vit-b-16"):
        assert " needs PyTorch " in here[model]
    assert " needs open_clip_torch " in here["clip-vit-b-32"]


def test_names_of_models_are_searched_nevertheless(capsys):
    assert main(["models", "lite"]) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == ["efficientnet-lite0", "efficientnet-lite2"]
    assert "A network of torchvision needs PyTorch" in printed.err


def test_find(folder, photos, capsys):
    assert main(["find", folder, "--like", photos[2]]) == 0
    assert capsys.readouterr().out.startswith(photos[2])


def test_twins(folder, capsys):
    assert main(["twins", folder]) == 0
    assert "6 images, 0 groups" in capsys.readouterr().err
