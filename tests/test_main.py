"""The command line: what it prints, writes and returns."""

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from helpers import make_harmful_file
from image_files import save_stack
from Orange.data import Table
from PIL import Image
from twin_images import save_copies

from orangecontrib.imageanalytics import image_embedder
from orangecontrib.imageanalytics.__main__ import main
from orangecontrib.imageanalytics.command_line import models
from orangecontrib.imageanalytics.engine import cache as engine_cache
from orangecontrib.imageanalytics.engine import compiled
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images import http_cache
from orangecontrib.imageanalytics.networks import torchvision_networks
from orangecontrib.imageanalytics.networks.checkpoints import CheckpointNetwork
from orangecontrib.imageanalytics.networks.registry import NETWORKS


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """Neither the cache nor the weights of whoever runs the tests are touched."""
    for name in ("ORANGE_IMAGEANALYTICS_CACHE_DIR", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def photos(tmp_path):
    """Two images and a text that claims to be one."""
    folder = tmp_path / "photos"
    for name, colour in (("a/red.png", "red"), ("b/blue sky.png", "blue")):
        path = folder / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (64, 48), colour).save(path)
    (folder / "b" / "notes.jpg").write_text("no image")
    return folder


@pytest.fixture
def out(tmp_path):
    """A file to write, in a folder of its own."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "out.tab"


@pytest.fixture
def no_embedding(monkeypatch):
    def fail(self, *_, **__):
        raise AssertionError("too late: embedding has begun")

    monkeypatch.setattr(ImageEmbedder, "__call__", fail)


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_embed(photos, out, capsys):
    assert run("embed", photos, "-o", out, "--device", "cpu") == 0
    table = Table.from_file(str(out))
    assert table.X.shape == (2, 1280)
    assert sorted(table.get_column("image")) == ["a/red.png", "b/blue sky.png"]
    said = capsys.readouterr()
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert lines["model"] == "efficientnet-lite0"
    assert lines["embedded"] == "2 (0 from cache)"
    assert lines["skipped"].startswith("1 (")
    assert lines["skipped"].endswith(": 1)")
    assert lines["device"] == "CPU"
    assert "images/s" in lines["time"]
    assert lines["saved"] == str(out)
    path = os.path.join(photos, "b", "notes.jpg")
    (line,) = said.err.splitlines()
    assert line.startswith(f"skipped: {path}: ")
    assert len(line) > len(f"skipped: {path}: ")


def test_second_run_is_cached_and_needs_force(photos, out, capsys):
    arguments = ("embed", photos, "-o", out, "-m", "squeezenet")
    assert run(*arguments) == 0
    first = Table.from_file(str(out))
    assert run(*arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert run(*arguments, "--force") == 0
    assert "2 (2 from cache)" in capsys.readouterr().out
    np.testing.assert_allclose(Table.from_file(str(out)).X, first.X, rtol=1e-4)
    assert run(*arguments, "--force", "--no-cache") == 0
    assert "2 (0 from cache)" in capsys.readouterr().out


def test_columns(photos, out, capsys):
    names = " main-color,format,,date taken"
    assert run("embed", photos, "-o", out, "--columns", names) == 0
    table = Table.from_file(str(out))
    metas = [meta.name for meta in table.domain.metas]
    assert metas[-3:] == ["date taken", "format", "main color"]
    assert [str(row["main color"]) for row in table] == ["red", "blue"]


@pytest.mark.usefixtures("no_embedding")
def test_no_such_column(photos, out, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("embed", photos, "-o", out, "--columns", "camera,colour")
    assert stopped.value.code == 2
    assert "'colour' is not a column" in capsys.readouterr().err


@pytest.mark.usefixtures("no_embedding")
def test_twins(tmp_path, capsys):
    paths = save_copies(tmp_path / "twins")
    (tmp_path / "twins" / "notes.jpg").write_text("no image")
    assert run("twins", tmp_path / "twins") == 0
    printed, told = capsys.readouterr()
    lines = [line.split("\t") for line in printed.splitlines()]
    assert lines[0] == ["1", "largest", "320", "240", paths[1]]
    assert {line[4] for line in lines[1:4]} == {paths[0], paths[4], paths[5]}
    assert [line[0] for line in lines] == list("111122")
    assert [line[1] for line in lines] == ["largest", *3 * ["twin"], "largest", "twin"]
    assert "notes.jpg: not an image" in told
    assert "7 images, 2 groups of twins, 4 images with a larger twin" in told


@pytest.mark.usefixtures("no_embedding")
def test_twins_by_content(tmp_path, capsys):
    paths = save_copies(tmp_path / "twins")
    assert run("twins", tmp_path / "twins", "--method", "content") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[4] for line in lines] == [paths[3], paths[6]]


@pytest.mark.usefixtures("no_embedding")
def test_twins_of_nothing(tmp_path, capsys):
    save_copies(tmp_path / "twins")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("no image")
    assert run("twins", tmp_path / "empty") == 1
    assert run("twins", tmp_path / "bad") == 1
    assert run("twins", tmp_path / "missing") == 1
    assert run("twins", tmp_path / "twins", "--threshold", "3") == 2
    printed, told = capsys.readouterr()
    assert printed == ""
    assert told.count("error: ") == 4
    # There may be images without twins.
    for name in ("1 photo.png", "4 mirrored.jpg", "5 bright.webp", "6 second.jpg"):
        os.remove(tmp_path / "twins" / name)
    assert run("twins", tmp_path / "twins") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("no_embedding")
@pytest.mark.parametrize(
    ("extra", "code", "reason"),
    [
        (["-o", "out.txt"], 2, "out.txt"),
        (["-o", os.path.join("nowhere", "out.tab")], 1, "nowhere"),
        (["--model", "nonesuch"], 2, "efficientnet-lite0"),
        (["--model", "painters"], 2, "server"),
        (["--device", "abacus"], 2, "abacus"),
        (["--layer", "attic"], 2, "features.17"),
        (["--model", "torchvision:regnet_y_9gf"], 2, "regnet_y_8gf"),
        (["--model", "nowhere.pt2"], 1, "nowhere.pt2"),
    ],
)
def test_mistakes_are_found_first(photos, out, capsys, extra, code, reason):
    assert run("embed", photos, "-o", out, *extra) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert reason in said.err
    assert not os.listdir(out.parent)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonesuch"],
        ["embed", "photos"],
        ["embed", "photos", "-o", "x.tab", "--batch-size", "0"],
        ["download"],
        ["cache", "burn"],
    ],
)
def test_wrong_command_line(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_no_such_folder(tmp_path, out, capsys):
    assert run("embed", tmp_path / "nowhere", "-o", out) == 1
    assert "nowhere" in capsys.readouterr().err


def test_several_folders(photos, out, capsys):
    gone = photos / "gone"
    arguments = (photos / "a", gone, photos / "b", "-o", out, "--device", "cpu")
    assert run("embed", *arguments, "--no-cache") == 0
    printed = capsys.readouterr()
    assert f"warning: there is no folder {gone}\n" in printed.err
    table = Table(str(out))
    assert list(table.get_column("image")) == ["a/red.png", "b/blue sky.png"]
    assert table.domain.class_var.values == ("a", "b")
    assert table.domain["image"].attributes["origin"] == str(photos)
    assert run("embed", gone, photos / "lost", "-o", out, "--force") == 1
    assert f"there is no folder {gone}, " in capsys.readouterr().err


def test_class_from_names(photos, out, capsys):
    assert run("embed", photos, "-o", out, "--class-from", "{class} *") == 0
    assert "no class  1 (by their names)" in capsys.readouterr().out
    table = Table(str(out))
    assert table.domain.class_var.values == ("blue",)
    with pytest.raises(SystemExit) as stopped:
        run("embed", photos, "-o", out, "--class-from", "cat")
    assert stopped.value.code == 2
    assert "no {class} in the pattern" in capsys.readouterr().err


def test_nothing_to_embed(tmp_path, out, capsys):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "notes.png").write_text("no image")
    assert run("embed", folder, "-o", out) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "notes.png" in said.err
    assert said.err.splitlines()[-1].startswith("error: no image in ")
    assert not os.listdir(out.parent)


def test_images_lost_after_reading_the_folder(photos, out, capsys, monkeypatch):
    embed = ImageEmbedder.__call__

    def lose_one(self, *arguments, **options):
        os.remove(photos / "a" / "red.png")
        return embed(self, *arguments, **options)

    monkeypatch.setattr(ImageEmbedder, "__call__", lose_one)
    assert run("embed", photos, "-o", out) == 0
    assert len(Table.from_file(str(out))) == 1
    said = capsys.readouterr()
    assert "red.png: file not found" in said.err
    assert "file not found: 1)" in said.out


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_skipped_names_take_one_line_each(photos, out, capsys):
    (photos / "two\nlines\x1b[2J.png").write_text("no image")
    assert run("embed", photos, "-o", out) == 0
    err = capsys.readouterr().err
    assert r"two\nlines\x1b[2J.png: " in err
    assert len(err.splitlines()) == 2


def test_interrupted(photos, out, capsys, monkeypatch):
    def interrupt(self, *_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageEmbedder, "__call__", interrupt)
    assert run("embed", photos, "-o", out) == 130
    assert "stopped" in capsys.readouterr().err
    assert not os.listdir(out.parent)


def test_models(capsys):
    assert run("models") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line[0] for line in lines] == [network.id for network in NETWORKS]
    here = {line[0]: line[4] for line in lines}
    assert here["efficientnet-lite0"] == "yes"
    assert here["resnet50"] == "no"


def test_models_by_name(capsys, monkeypatch):
    def names(family):
        if family == "timm":
            raise ModelError("timm is not installed")
        if family == "clip":
            return ("clip:RN50-quickgelu.openai",)
        return ("torchvision:regnet_y_8gf", "torchvision:resnet18")

    monkeypatch.setattr(models, "family_names", names)
    assert run("models", "RegNet") == 0
    output = capsys.readouterr()
    assert output.out == "torchvision:regnet_y_8gf\n"
    assert output.err == "warning: timm is not installed\n"
    assert run("models", "resnet") == 0
    assert capsys.readouterr().out == "resnet50\ntorchvision:resnet18\n"
    assert run("models", "openai") == 0
    assert capsys.readouterr().out == "clip:RN50-quickgelu.openai\n"
    assert run("models", "no such") == 1
    assert "no model's name contains 'no such'" in capsys.readouterr().err


@pytest.mark.parametrize("extra", [[], ["--layer", "features.3"]], ids=str)
def test_known_vectors_need_no_network(extra, photos, out, capsys, monkeypatch):
    arguments = "embed", photos, "-o", out, "--force", *extra
    assert run(*arguments) == 0

    def fail(*_, **__):
        raise AssertionError("the network is loaded")

    monkeypatch.setattr(OpenVinoRunner, "load", fail)
    monkeypatch.setattr(CheckpointNetwork, "build", fail)
    assert run(*arguments) == 0
    assert "2 (2 from cache)" in capsys.readouterr().out


def test_a_network_is_looked_up_once(photos, out, monkeypatch):
    looked_up = []

    def find(name):
        looked_up.append(name)
        return dataclasses.replace(NETWORKS[0], id=f"torchvision:{name}")

    monkeypatch.setattr(torchvision_networks, "find", find)
    assert run("embed", photos, "-o", out, "--model", "torchvision:tiny") == 0
    assert looked_up == ["tiny"]


def test_layer_and_fit(photos, out, capsys):
    arguments = ("--device", "cpu", "--layer", "features.17", "--fit", "pad")
    assert run("embed", photos, "-o", out, *arguments) == 0
    assert "efficientnet-lite0, layer features.17, fit pad" in capsys.readouterr().out
    table = Table.from_file(str(out))
    with ImageEmbedder(layer="features.17", fit="pad", device="cpu") as embedder:
        expected = embedder([str(photos / "b" / "blue sky.png")])[0]
    np.testing.assert_allclose(table.X[1], expected, rtol=1e-4)


def test_class_scores(photos, out, capsys):
    options = ("--device", "cpu", "--layer", "logits")
    assert run("embed", photos, "-o", out, *options) == 0
    table = Table.from_file(str(out))
    assert table.domain.attributes[0].name == "tench"
    assert len(table.domain.attributes) == 1000


def test_download(capsys, monkeypatch):
    asked = []

    def download(model, callback):
        callback(1)
        asked.append(model.id)

    monkeypatch.setattr(ImageEmbedder, "download", download)
    assert run("download", "squeezenet", "resnet50") == 0
    assert asked == ["resnet50"]
    said = capsys.readouterr().out.splitlines()
    assert said == ["squeezenet: here already", "resnet50: downloaded"]


def test_download_fails(capsys, monkeypatch):
    def fail(model, callback):
        raise ModelError("no route to the server; put the file in FOLDER")

    monkeypatch.setattr(ImageEmbedder, "download", fail)
    assert run("download", "resnet50", "vgg16") == 1
    assert "put the file in FOLDER" in capsys.readouterr().err
    assert run("download", "resnet50", "nonesuch") == 2


def test_cache(photos, out, capsys, nothing_compiled):
    assert run("embed", photos, "-o", out) == 0
    folder = image_embedder.cache_info()["folder"]
    capsys.readouterr()
    assert run("cache", "info") == 0
    vectors, images, networks = capsys.readouterr().out.splitlines()
    assert vectors.startswith("vectors")
    assert " 2 entries " in vectors
    assert folder in vectors
    assert images.startswith("web images  0 entries ")
    assert networks.startswith("networks    1 entries ")
    assert run("cache", "clear") == 0
    assert run("cache", "info") == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split("  ")[0] for line in lines] == [
        "vectors",
        "web images",
        "networks",
    ]
    assert all(" 0 entries " in line for line in lines)


@contextlib.contextmanager
def locked(path):
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def kept_from_removal(folder):
    """As a file that another program has open on Windows."""
    remove = os.remove

    def refuse(path):
        if str(path).startswith(folder) and str(path).endswith(".bin"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        remove(path)

    with mock.patch("os.remove", refuse):
        yield


@contextlib.contextmanager
def not_a_folder(folder):
    os.rename(folder, folder + ".away")
    pathlib.Path(folder).write_text("")
    yield
    os.remove(folder)
    os.rename(folder + ".away", folder)


@pytest.fixture
def filled_cache(photos, out, monkeypatch, capsys, nothing_compiled):
    """Something in each part of the cache; their folders by name."""
    nothing_compiled.mkdir()
    for ending in ("json", "bin"):
        (nothing_compiled / f"network.{ending}").write_text("{}")
    monkeypatch.setattr(engine_cache, "PATIENT_SECONDS", 0.05)
    monkeypatch.setattr(http_cache, "BUSY_SECONDS", 0.05)
    assert run("embed", photos, "-o", out, "--engine", "torch") == 0
    http_cache.open_cache("", 1_000_000).close()
    capsys.readouterr()
    parts = {"vectors": image_embedder, "web images": http_cache, "networks": compiled}
    return {name: part.cache_info()["folder"] for name, part in parts.items()}


@pytest.mark.parametrize(
    ("name", "hindrance", "file", "reason"),
    [
        ("vectors", locked, engine_cache.FILE_NAME, "another program is using it"),
        ("web images", locked, http_cache.DATABASE, "another program is using it"),
        ("networks", kept_from_removal, "", "Permission denied"),
        ("networks", not_a_folder, "", "Not a directory"),
    ],
)
def test_a_part_of_the_cache_that_cannot_be_cleared(
    filled_cache, name, hindrance, file, reason, capsys
):
    with hindrance(os.path.join(filled_cache[name], file).rstrip(os.path.sep)):
        assert run("cache", "clear") == 1
    said = capsys.readouterr()
    assert f"error: {name}: " in said.err
    assert filled_cache[name] in said.err and reason in said.err
    cleared = [line for line in said.out.splitlines() if "entries" in line]
    assert [line.split("  ")[0] for line in cleared] == [
        part for part in filled_cache if part != name
    ]
    assert run("cache", "info") == 0
    for line in capsys.readouterr().out.splitlines():
        assert (" 0 entries " in line) or line.startswith(name)


@pytest.mark.filterwarnings("ignore:The cache of vectors was damaged")
def test_damaged_caches_are_cleared(filled_cache, capsys):
    for name, file in (
        ("vectors", engine_cache.FILE_NAME),
        ("web images", http_cache.DATABASE),
    ):
        pathlib.Path(filled_cache[name], file).write_bytes(b"no database" * 1000)
    assert run("cache", "clear") == 0
    assert run("cache", "info") == 0
    assert capsys.readouterr().out.count(" 0 entries ") >= 3


def test_reader_that_goes_away():
    """As in ``... models | head -1``, with nobody reading from the start."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "orangecontrib.imageanalytics", "models"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_pages_and_intensity(tmp_path, out, capsys):
    folder = tmp_path / "stacks"
    folder.mkdir()
    save_stack(folder / "cells.tif", n_planes=2)
    arguments = ["--device", "cpu", "--model", "squeezenet"]
    assert run("embed", folder, "-o", out, *arguments) == 0
    assert "pages     1 file has more than are used" in capsys.readouterr().out
    options = ["--pages", "all", "--intensity", "0:4095", "-f"]
    assert run("embed", folder, "-o", out, *arguments, *options) == 0
    said = capsys.readouterr().out
    assert "squeezenet, intensity 0:4095" in said
    assert "more than are used" not in said
    table = Table.from_file(str(out))
    names = [f"Z {z}, {channel}" for z in (1, 2) for channel in ("DAPI", "GFP")]
    assert list(table.get_column("page")) == names
    assert table.domain["image"].attributes["intensity"] == "0:4095"


@pytest.mark.parametrize("text", ["bright", "5:1", "1:2:3"])
def test_no_such_intensity(text, photos, out, no_embedding, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("embed", photos, "-o", out, "--intensity", text)
    assert stopped.value.code == 2
    assert "intensity" in capsys.readouterr().err


def test_what_is_left_out_is_told(photos, out, capsys):
    (photos / "@eaDir").mkdir()
    (photos / "@eaDir" / "thumb.jpg").touch()
    assert run("embed", photos, "-o", out, "--device", "cpu") == 0
    said = capsys.readouterr()
    reason = "thumbnails of a Synology disk station"
    assert f"left out: {photos / '@eaDir'}: {reason}" in said.err.splitlines()
    assert f"left out  1 ({reason}: 1)" in said.out


def program(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def test_libraries_are_not_heard(tmp_path, out):
    """Neither libtiff, which writes past Python, nor warnings and logs."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "a.tif", compression="tiff_lzw")
    content = bytearray((folder / "a.tif").read_bytes())
    content[2000:3000] = bytes(range(250)) * 4
    (folder / "a.tif").write_bytes(content)
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    Image.fromarray(noise).save(folder / "b.jpg", exif=exif)
    (folder / "c.tif").write_bytes(b"II*\0\x08\0\0\0\xff\0" + bytes(90))
    code = f"from PIL import Image; Image.open({str(folder / 'a.tif')!r}).load()"
    assert "tempfile.tif: " in program("-c", code).stderr
    done = program(
        *("-m", "orangecontrib.imageanalytics", "embed", folder, "-o", out),
        *("--device", "cpu", "--model", "squeezenet"),
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for line, name in zip(sorted(lines), ("a.tif", "c.tif"), strict=True):
        assert line.startswith(f"skipped: {folder / name}: ")


def test_errors_are_heard_all_the_same(out):
    done = program("-m", "orangecontrib.imageanalytics", "embed", "/none", "-o", out)
    assert done.returncode == 1
    assert done.stderr == "error: there is no folder /none\n"


def test_a_file_that_can_run_code(photos, out, tmp_path, capsys, nothing_trusted):
    mark = tmp_path / "sprung"
    path = make_harmful_file(tmp_path / "cells.pt2", mark)
    written = {"size": 40, "mean": [0.5] * 3, "std": [0.5] * 3}
    (tmp_path / "cells.json").write_text(json.dumps(written))
    arguments = ("embed", photos, "-o", out, "-m", path)
    assert run(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path} can run any program")
    assert "--trust" in error
    assert not mark.exists() and not out.exists()
    assert run(*arguments, "--trust") == 0
    assert mark.exists() and out.exists()
    mark.rmdir()
    # It is remembered, but not for another file by that name.
    assert run(*arguments, "--force", "--no-cache") == 0
    assert mark.exists()
    mark.rmdir()
    make_harmful_file(path, tmp_path / "other mark")
    assert run(*arguments, "--force", "--no-cache") == 1
    assert not (tmp_path / "other mark").exists()
