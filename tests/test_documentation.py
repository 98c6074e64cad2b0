"""The examples in the documentation, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from orangecontrib.imageanalytics import tutorials
from orangecontrib.imageanalytics.images.formats import FORMATS

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TUTORIALS = os.path.dirname(tutorials.__file__)


def example(page, mark):
    """The code that follows the line ``<!-- mark -->`` of a page."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        text = file.read()
    (code,) = re.findall(rf"<!-- {mark} -->\n```python\n(.*?\n)```\n", text, re.DOTALL)
    return code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, into which examples write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Orange's arguments
def test_a_model_for_new_images(folder, capsys):
    for name in ("photos", "new-photos"):
        shutil.copytree(os.path.join(TUTORIALS, name), folder / name)
    exec(example("doc/scripting.md", "train"), {})
    exec(example("doc/scripting.md", "predict"), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(os.listdir(folder / "new-photos"))
    assert {"charminar.jpg buildings", "kitten.jpg cats"} < set(printed)


def test_a_network_that_is_looked_up(folder, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    exec(example("doc/scripting.md", "network"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("regnet_y_400mf (IMAGENET1K_V2) 224 17.")


@pytest.mark.parametrize("page", ["README.md", "doc/models.md"])
def test_a_network_in_a_file(page, folder, photos):
    import torch
    from torch import nn

    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

    pool = nn.AdaptiveAvgPool2d(1)
    network = nn.Sequential(nn.Conv2d(3, 8, 7, stride=4), pool, nn.Flatten())
    exec(example(page, "export"), {"network": network.train()})
    with ImageEmbedder(folder / "cells.pt2", cache=False) as embedder:
        vectors = embedder(photos)
    assert [vector.shape for vector in vectors] == 6 * [(8,)]
    assert torch.tensor(vectors[0]).isfinite().all()


def test_microscopy(folder, capsys):
    script = os.path.join(ROOT, "scripts", "microscopy_stack.py")
    subprocess.run([sys.executable, script, "cells"], check=True)
    assert len(os.listdir(folder / "cells")) == 4
    exec(example("doc/microscopy.md", "microscopy"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        "field 1.ome.tif#page=1 Z 1, Nuclei",
        "field 1.ome.tif#page=2 Z 1, Antibody",
    ]


def test_all_formats_are_listed():
    with open(os.path.join(ROOT, "doc", "formats.md"), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("| ")]
    for format in FORMATS:
        if format.refused:
            continue
        name = format.title or format.name
        found = [row for row in rows if name.lower() in row.lower()]
        assert found, name
        if format.needs:
            assert any("`formats`" in row.split("|")[3] for row in found), name
        else:
            assert any(
                row.split("|")[3].strip().startswith("nothing") for row in found
            ), name
