"""The command ``find``: what it prints, writes and returns."""

import os
import subprocess
import sys

import pytest
from helpers import make_image
from Orange.data import Table

from orangecontrib.imageanalytics.__main__ import main
from orangecontrib.imageanalytics.find_images import find_images
from orangecontrib.imageanalytics.import_images import ImportImages

# Which precision is the default, may differ each time.
SINGLE = ("--device", "cpu", "--precision", "float32")
FAST = ("-m", "squeezenet", *SINGLE)


@pytest.fixture
def folder(tmp_path):
    """Three images in two subfolders, and a text that claims to be one."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(("a/0.png", "a/1.png", "b/2 b.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_image(seed).save(folder / name)
    (folder / "b" / "notes.jpg").write_text("no image")
    return folder


@pytest.fixture
def example(tmp_path):
    """An image like the last one."""
    path = tmp_path / "example.png"
    make_image(2, (80, 60)).save(path)
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_like(folder, example, capsys):
    assert run("find", folder, "--like", example, *FAST) == 0
    printed = capsys.readouterr()
    lines = [line.split("\t") for line in printed.out.splitlines()]
    assert lines[0][0] == str(folder / "b" / "2 b.png")
    scores = [float(score) for _, score in lines]
    assert len(lines) == 3 and scores == sorted(scores, reverse=True)
    (line,) = printed.err.splitlines()
    assert line.startswith(f"skipped: {folder / 'b' / 'notes.jpg'}: ")
    table, _ = ImportImages()(folder)
    expected = find_images(
        table, like=example, model="squeezenet", device="cpu", precision="float32"
    )
    assert scores == pytest.approx(expected.get_column("score"), abs=1e-4)


def test_several_examples_and_folders(folder, example, capsys):
    like = ("--like", example, "--like", folder / "a" / "0.png")
    gone = folder / "gone"
    assert run("find", folder / "b", folder / "a", gone, *like, *FAST) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert f"warning: there is no folder {gone}\n" in printed.err


def test_how_many(folder, example, capsys):
    like = ("--like", example, *FAST)
    assert run("find", folder, *like, "--top", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    least = float(lines[1].split("\t")[1]) + 0.001
    assert run("find", folder, *like, "--threshold", least) == 0
    assert capsys.readouterr().out.splitlines() == lines[:1]
    assert run("find", folder, *like, "--threshold", 1.5) == 0
    assert capsys.readouterr().out == ""


def test_words(folder, word_networks, hub_cache, fresh_cache, capsys):
    network, _ = word_networks.put_network(hub_cache, "Tiny-CLIP")
    model = ("-m", network.id, *SINGLE)
    outputs = []
    for words in (("a cat",), ("a cat", "--not", "a dog"), ("--not", "a dog")):
        positive = words[:1] if words[0] == "a cat" else ()
        others = words[len(positive) :]
        assert run("find", *positive, folder, *others, *model) == 0
        outputs.append(capsys.readouterr().out.splitlines())
        assert len(outputs[-1]) == 3
    assert len({tuple(output) for output in outputs}) == 3


def test_a_text_that_is_also_the_name_of_a_folder(
    folder, example, word_networks, hub_cache, monkeypatch, capsys
):
    network, _ = word_networks.put_network(hub_cache, "Tiny-CLIP")
    monkeypatch.chdir(folder)
    assert run("find", "a", "b", "-m", network.id, "--device", "cpu") == 0
    (line,) = capsys.readouterr().out.splitlines()  # of the folder b
    assert line.startswith(str(folder / "b" / "2 b.png"))
    assert run("find", "a", "b", "--like", example, *FAST) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_table_is_written(folder, example, tmp_path, capsys):
    out = tmp_path / "found.tab"
    arguments = ("find", folder, "--like", example, "--top", 2, "-o", out, *FAST)
    assert run(*arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    table = Table.from_file(str(out))
    assert len(table) == len(lines) == 2
    assert table.get_column("score")[0] == pytest.approx(
        float(lines[0].split("\t")[1]), abs=1e-4
    )
    assert run(*arguments) == 1
    assert "--force" in capsys.readouterr().err
    assert run(*arguments, "--force") == 0


def test_examples_that_cannot_be_read(folder, example, tmp_path, capsys):
    lost = tmp_path / "lost.png"
    assert run("find", folder, "--like", lost, "--like", example, *FAST) == 0
    printed = capsys.readouterr()
    assert f"skipped: {lost}: file not found\n" in printed.err
    assert len(printed.out.splitlines()) == 3
    assert run("find", folder, "--like", lost, *FAST) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"error: No example can be used: {lost}: file not found\n" in printed.err


def test_no_image_can_be_embedded(tmp_path, example, capsys):
    (tmp_path / "texts").mkdir()
    assert run("find", tmp_path / "texts", "--like", example, *FAST) == 1
    (tmp_path / "texts" / "a.png").write_text("no image")
    assert run("find", tmp_path / "texts", "--like", example, *FAST) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error: no image in ") == 2


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["FOLDER"], 2, "add what to search for"),
        (["  ", "FOLDER"], 2, "empty"),
        (["FOLDER", "--not", ""], 2, "empty"),
        (["a cat", "FOLDER", "-m", "squeezenet"], 2, "clip-vit-b-32"),
        (["a cat", "FOLDER", "--layer", "logits"], 2, "layer joint"),
        (["a cat", "nowhere"], 1, "there is no folder nowhere"),
        (["FOLDER", "--like", "x.png", "-m", "nonesuch"], 2, "nonesuch"),
        (["FOLDER", "--like", "x.png", "--device", "abacus"], 2, "abacus"),
        (["FOLDER", "--like", "x.png", "-o", "out.npz"], 2, ".tab"),
        (["FOLDER", "--like", "x.png", "-o", "out.txt"], 2, "out.txt"),
        (["FOLDER", "--like", "x.png", "-o", "nowhere/x.tab"], 1, "nowhere"),
    ],
    ids=str,
)
def test_mistakes(folder, monkeypatch, tmp_path, capsys, arguments, code, reason):
    monkeypatch.chdir(tmp_path)
    arguments = [folder if text == "FOLDER" else text for text in arguments]
    assert run("find", *arguments) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith("error: ")
    assert reason in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["find"],
        ["find", "photos", "--like"],
        ["find", "photos", "--like", "x.png", "--top", "0"],
        ["find", "photos", "--like", "x.png", "--threshold", "nan"],
        ["find", "photos", "--like", "x.png", "--threshold", "high"],
    ],
    ids=str,
)
def test_wrong_command_line(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="no such names on Windows")
def test_names_take_one_line_each(folder, example, capsys):
    make_image(7).save(folder / "two\nlines\t.png")
    assert run("find", folder, "--like", example, *FAST) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.count("\t") == 1 for line in lines)


@pytest.mark.skipif(os.name == "nt", reason="needs a shell of Unix")
def test_a_reader_that_stops_early(folder, example):
    command = f"'{sys.executable}' -m orangecontrib.imageanalytics find '{folder}' "
    command += f"--like '{example}' {' '.join(FAST)} | head -n 1"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0
    assert ended.stdout.count("\n") == 1
    assert "Error" not in ended.stderr
