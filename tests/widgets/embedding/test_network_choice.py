import dataclasses
import math
import os
import sys

import pytest

from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    Facts,
    look_up,
    most_recent,
    read_choices,
)


@pytest.mark.parametrize(
    "model, label, origin",
    [
        (DEFAULT, "EfficientNet-Lite0", ""),
        ("torchvision:resnet18", "resnet18", "torchvision"),
        ("torchvision:resnet18.IMAGENET1K_V1", "resnet18", "torchvision"),
        ("timm:vit_small.dino", "vit_small.dino", "timm"),
        (os.path.join(os.sep, "some", "cells.pt2"), "cells.pt2", "file"),
        # A folder may be named like a family.
        (os.path.join(os.sep, "timm:a", "cells.onnx"), "cells.onnx", "file"),
    ],
)
def test_label(model, label, origin):
    choice = Choice(model)
    assert choice.label == label
    assert choice.origin == origin
    assert choice.is_listed == (model == DEFAULT)
    assert choice.is_file == (origin == "file")


def test_network_whose_package_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    facts = look_up(Choice("clip-vit-b-32"))
    assert "pip install" in facts.not_installed
    # What could not be used then is not downloaded.
    assert not facts.must_download
    assert facts.describe(512) == "512 features, needs open_clip_torch"


def test_network_that_needs_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    facts = look_up(Choice("resnet50"))
    assert facts.not_installed.startswith("ResNet-50 needs torchvision")
    assert facts.not_installed.endswith(": pip install torch torchvision")
    assert not facts.must_download
    assert facts.describe(2048) == "2,048 features, needs torchvision"
    facts = look_up(Choice(DEFAULT))
    assert not facts.not_installed
    assert facts.describe(1280) == "1,280 features, on this computer"


def test_settings():
    choice = Choice("/some/cells.pt", {"size": 8}, "basedir", "cells.pt")
    assert Choice.from_settings(choice.as_settings()) == choice
    choice = Choice("timm:a.b")
    assert choice.as_settings() == {"model": "timm:a.b"}
    assert Choice.from_settings({"model": "timm:a.b"}) == choice


@pytest.mark.parametrize(
    "values",
    [
        None,
        "timm:a",
        [],
        {},
        {"model": 3},
        {"model": "nothing known"},
        {"model": "timm:a", "other": 1},
        {"model": "a.pt", "prefix": "basedir", "relpath": 3},
        {"model": "a.pt", "prefix": "basedir"},
        {"model": "a.pt", "relpath": "a.pt"},
        {"model": "a.pt", "preprocessing": [1]},
    ],
)
def test_odd_settings(values):
    assert Choice.from_settings(values) is None


@pytest.mark.parametrize("values", [None, 5, "timm:a", {"model": "timm:a"}])
def test_odd_lists(values):
    assert read_choices(values) == []
    assert read_choices([{"model": 3}, {"model": "timm:a"}]) == [Choice("timm:a")]


def test_most_recent():
    names = [f"timm:{letter}" for letter in "abcdefg"]
    first, *others = map(Choice, names)
    recent = most_recent(first, Choice(DEFAULT), first, *others)
    assert [choice.model for choice in recent] == names[:5]


def test_moved(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "nets").mkdir(parents=True)
    (old / "nets" / "cells.pt").touch()
    path = str(old / "nets" / "cells.pt")
    choice = Choice.of_file(path, {"size": 8}, [("basedir", str(old))])
    assert choice.relpath == "nets/cells.pt"
    assert choice.relocated([]) == Choice(path, {"size": 8})
    old.rename(new)
    places = [("basedir", str(new))]
    moved = choice.relocated(places)
    assert moved.model == str(new / "nets" / "cells.pt")
    assert moved.preprocessing == {"size": 8}
    assert choice.relocated([]) == choice  # as it was, until it is found
    # Of a file from elsewhere, beside the workflow.
    (new / "far.pt").touch()
    far = Choice("/gone/far.pt")
    assert far.relocated(places).model == str(new / "far.pt")
    assert choice.beside_workflow(places) == moved.model
    assert Choice("/gone/x.pt").beside_workflow(places) == str(new / "x.pt")
    assert far.beside_workflow([]) == ""
    assert moved.seen_from(places).relpath == "nets/cells.pt"
    assert moved.seen_from([]) == moved
    assert choice.seen_from(places) is choice  # as it was saved, until it is found
    assert choice.absolute() == Choice(path, {"size": 8})
    named = Choice("timm:a.b")
    assert named.seen_from(places) is named
    assert named.relocated(places) is named


def test_workflow_from_windows(tmp_path):
    (tmp_path / "nets").mkdir()
    places = [("basedir", str(tmp_path))]
    path = "C:\\Users\\ana\\proj\\nets\\cells.pt"
    choice = Choice(path, None, "basedir", "nets\\cells.pt")
    assert choice.label == "cells.pt"
    assert choice.relocated(places) is choice
    assert choice.beside_workflow(places) == str(tmp_path / "nets" / "cells.pt")
    (tmp_path / "nets" / "cells.pt").touch()
    assert choice.relocated(places).model == str(tmp_path / "nets" / "cells.pt")
    (tmp_path / "cells.pt").touch()
    assert Choice(path).relocated(places).model == str(tmp_path / "cells.pt")


def test_pinned():
    network = dataclasses.replace(find_network(DEFAULT), id="torchvision:a.V1")
    assert Facts(Choice("torchvision:a"), network, True, 0).pinned == Choice(network.id)
    assert Facts(Choice("a.pt"), network, True, 0).pinned == Choice("a.pt")


@pytest.mark.parametrize(
    "available, megabytes, n_features, must_download, text",
    [
        (True, 0, 1280, False, "1,280 features, on this computer"),
        (True, math.nan, None, False, "on this computer"),
        (False, 0, 7, False, "7 features, not installed"),
        (False, 1234.5, None, True, "download of 1,234 MB"),
        (False, math.nan, 7, True, "7 features, to be downloaded"),
    ],
)
def test_facts(available, megabytes, n_features, must_download, text):
    facts = Facts(Choice(DEFAULT), find_network(DEFAULT), available, megabytes)
    assert facts.must_download == must_download
    assert facts.describe(n_features) == text


def test_look_up():
    facts = look_up(Choice(DEFAULT))
    assert facts.network is find_network(DEFAULT)
    assert facts.choice == Choice(DEFAULT)
    assert facts.available
