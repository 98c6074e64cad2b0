import errno
import os

import pytest

from orangecontrib.imageanalytics.import_images import folders as module
from orangecontrib.imageanalytics.import_images.folders import (
    absolute_folders,
    folder_problem,
    list_folders,
    scan,
)


@pytest.fixture
def tree(tmp_path):
    for name in ("a/1.png", "a/in/2.png", "a/.hidden/3.png", "b/4.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def listed(tree, *names, **options):
    listing = list_folders([str(tree / name) for name in names], **options)
    short = [os.path.relpath(path, tree).replace(os.sep, "/") for path in listing.paths]
    return listing, short


def test_several_folders_in_the_order_given(tree):
    listing, paths = listed(tree, "b", "a")
    assert paths == ["b/4.png", "a/1.png", "a/in/2.png"]
    assert listing.folders == [str(tree / "b"), str(tree / "a")]
    assert listing.roots == {
        str(tree / "b"): str(tree / "b"),
        str(tree / "a"): str(tree / "a"),
        str(tree / "a" / "in"): str(tree / "a"),
    }
    assert not listing.contained and not listing.missing


@pytest.mark.parametrize("names", [("a", "a/in"), ("a/in", "a")])
def test_folders_inside_each_other(tree, names):
    listing, paths = listed(tree, *names)
    assert paths == ["a/1.png", "a/in/2.png"]
    assert listing.folders == [str(tree / "a")]
    assert listing.contained == [str(tree / "a" / "in")]
    assert set(listing.roots.values()) == {str(tree / "a")}


def test_inner_folders_that_are_not_reached_otherwise(tree):
    listing, paths = listed(tree, "a", "a/.hidden")
    assert paths == ["a/1.png", "a/in/2.png", "a/.hidden/3.png"]
    listing, paths = listed(tree, "a", "a/in", subfolders=False)
    assert paths == ["a/1.png", "a/in/2.png"]
    assert not listing.contained


@pytest.mark.parametrize("numbered", [True, False])
def test_a_folder_by_two_paths(tree, numbered, monkeypatch):
    (tree / "link").symlink_to(tree / "a")
    if not numbered:
        stat = os.stat

        class Status:
            st_ino = st_dev = 0

        monkeypatch.setattr(module.os, "stat", lambda path: stat(path) and Status)
    listing, paths = listed(tree, "link", "a", "link/in")
    assert [path.partition("/")[2] for path in paths] == ["1.png", "in/2.png"]
    assert len(listing.folders) == 1 and len(listing.contained) == 2


def test_missing_folders(tree):
    listing, paths = listed(tree, "b", "nowhere", "a/1.png")
    assert paths == ["b/4.png"]
    assert [folder_problem(error) for error in listing.missing] == [
        f"The folder {tree / 'nowhere'} was not found.",
        f"{tree / 'a' / '1.png'} is not a folder.",
    ]
    error = PermissionError(errno.EACCES, "Permission denied", "x")
    assert folder_problem(error) == "The folder x cannot be read: Permission denied"


def test_cancelled(tree):
    assert listed(tree, "a", "b", cancelled=lambda: True)[1] == []


def test_absolute_folders(tree, monkeypatch):
    monkeypatch.chdir(tree)
    both = [str(tree / "a"), str(tree / "b")]
    assert absolute_folders(["a", tree / "b", "b/", "./a"]) == both
    assert absolute_folders(tree / "a") == both[:1]
    assert absolute_folders("a") == both[:1]
    assert absolute_folders(iter(())) == []


def test_unfinished_downloads_are_left_out(tree):
    for name in ("5.png.part", "6.jpg.crdownload"):
        (tree / "b" / name).touch()
    listing, paths = listed(tree, "b")
    assert paths == ["b/4.png"]
    assert {reason for _, reason in listing.left_out} == {"unfinished download"}
    assert len(list(scan(str(tree / "b")))) == 1


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("/photos", "@eaDir", True),
        ("/photos", "._a.jpg", True),
        ("/x/CaptureOne", "Cache", True),
        ("/x/other", "Cache", False),
        ("", "a.jpg", False),
    ],
)
def test_is_left_out(folder, name, expected):
    assert module.is_left_out(folder, name) == expected
