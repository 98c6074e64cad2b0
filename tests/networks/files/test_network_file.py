import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from network_files import SIZE, WRITTEN, load, make_network, make_onnx

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks import weights as weights_module
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.files import trust
from orangecontrib.imageanalytics.networks.files.file_weights import FileWeights
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.network import LOGITS
from orangecontrib.imageanalytics.networks.registry import find_network


def refusal(path, values=None):
    with pytest.raises(ModelError) as caught:
        load_backbone(find(str(path), values or WRITTEN))
    message = str(caught.value)
    assert os.path.basename(str(path)) in message
    return message


def test_network(made):
    network = find_network(made["program"], WRITTEN)
    assert network.id == made["program"]
    assert network.name == "dynamic.pt2"
    assert network.input_size == SIZE
    assert network.layer == LOGITS
    assert network.classes == ()
    assert (network.megabytes, network.licence) == (0, "")
    assert network.origin == f"file {made['program']}"
    assert network.available()
    assert not network.cpu_only
    assert network.stages() == ()
    assert network.preprocessing.mean == pytest.approx((127.5, 102, 76.5))
    assert network.preprocessing.std == pytest.approx((51, 63.75, 76.5))


def test_relative_path_becomes_absolute(made, monkeypatch):
    folder, name = os.path.split(made["program"])
    monkeypatch.chdir(folder)
    assert find(name, WRITTEN).id == os.path.join(os.getcwd(), name)


def test_onnx_is_for_the_cpu_only(tmp_path):
    assert find(make_onnx(tmp_path / "a.onnx"), WRITTEN).cpu_only


@pytest.mark.parametrize("layer", ["penultimate", "0"])
def test_the_output_is_the_only_layer(made, layer):
    network = find_network(made["program"], WRITTEN, trusted=True)
    load_backbone(network, LOGITS)
    with pytest.raises(ValueError, match=f"one output, so it has no layer '{layer}'"):
        load_backbone(network, layer)


def test_fingerprint_is_of_the_content(made, tmp_path):
    first, second = tmp_path / "a.pt2", tmp_path / "b.pt2"
    for path in (first, second):
        path.write_bytes(b"one")
    weights = find(str(first), WRITTEN).weights
    before = weights.fingerprint
    assert before == find(str(second), WRITTEN).weights.fingerprint
    assert before.startswith("sha256:")
    first.write_bytes(b"another")
    assert weights.fingerprint == before  # of what was chosen
    with pytest.raises(ModelError, match=r"a\.pt2 has changed since it was chosen"):
        weights.check_unchanged()
    assert find(str(first), WRITTEN).weights.fingerprint != before


def test_fingerprint_is_computed_once(tmp_path, monkeypatch):
    (tmp_path / "a.pt2").write_bytes(b"one")
    path = str(tmp_path / "a.pt2")
    before = find(path, WRITTEN).weights.fingerprint
    monkeypatch.setattr(weights_module, "sha256_of", None)
    assert find(path, WRITTEN).weights.fingerprint == before


def test_weights_are_pickled_by_path(made):
    weights = find(made["program"], WRITTEN).weights
    assert pickle.loads(pickle.dumps(weights)) == weights
    assert len(pickle.dumps(weights)) < 1000


def test_file_of_another_computer(made, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    there = r"C:\networks\cells.pt2"
    assert not FileWeights(there).available()
    with pytest.raises(ModelError) as caught:
        find(there, WRITTEN)
    assert there in str(caught.value)
    assert str(folder / "cells.pt2") in str(caught.value)
    with open(made["program"], "rb") as file:
        (folder / "cells.pt2").write_bytes(file.read())
    (folder / "cells.json").write_text(json.dumps(WRITTEN))
    network = find(there)
    assert network.available()
    assert network.weights.path == str(folder / "cells.pt2")
    assert network.id == there
    trust.vouch(network.weights.sha256, there)
    load_backbone(network)


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "empty.pt2").touch()
    assert "is empty" in refusal(tmp_path / "empty.pt2")
    (tmp_path / "folder.pt2").mkdir()
    assert "is a folder without a network" in refusal(tmp_path / "folder.pt2")
    assert "is neither at" in refusal(tmp_path / "missing" / "missing.pt2")


def test_nothing_beside_the_file(made, tmp_path):
    """The question says which file to write and what into it."""
    path = tmp_path / "cells.onnx"
    path.write_bytes(b"one")
    with pytest.raises(ModelError, match=r"(?s)How are images.*cells\.json or .*size"):
        find(str(path))
    path = tmp_path / "cells.safetensors"
    path.write_bytes(b"one")
    with pytest.raises(ModelError, match=r"(?s)Which architecture.*cells\.json.*"):
        find(str(path))
    torch.save(make_network(), tmp_path / "whole.pt")
    with pytest.raises(ModelError, match=r"A whole network .* is not opened"):
        find(str(tmp_path / "whole.pt"))


def test_architecture_of_what_has_one(made, tmp_path):
    shutil.copy(made["traced"], tmp_path / "a.pt")
    (tmp_path / "a.json").write_text(
        json.dumps({"architecture": "timm:resnet18", "classes": 5})
    )
    with pytest.raises(ModelError, match="is a TorchScript network: remove arch"):
        find(str(tmp_path / "a.pt"))


def test_vouching_is_for_files_that_run_code_only(made, tmp_path, nothing_trusted):
    find_network(make_onnx(tmp_path / "a.onnx"), WRITTEN, trusted=True)
    assert not nothing_trusted.exists()
    find(made["traced"], WRITTEN)
    assert not nothing_trusted.exists()
    find_network(made["traced"], WRITTEN, trusted=True)
    assert nothing_trusted.exists()


def test_nothing_is_vouched_for_that_cannot_be_used(tmp_path, made, nothing_trusted):
    with pytest.raises(ModelError):
        find_network(made["traced"], WRITTEN | {"size": 0}, trusted=True)
    assert not nothing_trusted.exists()


def test_found_by_name_of_a_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    for model in (tmp_path / "empty", f"{tmp_path}/empty"):
        with pytest.raises(ModelError, match="is a folder without a network"):
            find_network(model)


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.pkl", "a.bin", "a.ckpt"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_that_runs_code(tmp_path, trap, name, protocol):
    (tmp_path / name).write_bytes(pickle.dumps(trap, protocol))
    refusal(tmp_path / name, {"architecture": "torchvision:resnet18", "classes": 5})
    with pytest.raises(ModelError):
        load(tmp_path / name, trusted=True)
    assert not trap.sprung


def test_finding_imports_neither_torch_nor_engines(tmp_path):
    path = make_onnx(tmp_path / "a.onnx")
    code = (
        "import sys\n"
        "from orangecontrib.imageanalytics.networks.registry import find_network\n"
        f"find_network({path!r}, {WRITTEN!r}).weights.fingerprint\n"
        "assert not {'torch', 'onnxruntime', 'openvino'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
