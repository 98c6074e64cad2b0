import os

import pytest
from orangewidget.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.widgets.folders.recent_folders import (
    MOST,
    RecentFolders,
    located,
    recent_folder,
)


def paths(*names):
    return [RecentPath.create(f"/{name}", []) for name in names]


def names(folders):
    return "".join(os.path.basename(path.abspath) for path in folders)


def test_the_first_are_read():
    recent = RecentFolders(paths(*"abc"), 2)
    assert names(recent.read) == "ab"
    recent.set(["/c"], [])
    assert (names(recent.read), names(recent.paths)) == ("c", "cab")
    recent.add(["/d", "/c", "/d/"], [])
    assert (names(recent.read), names(recent.paths)) == ("cd", "cdab")
    recent.remove([0])
    assert (names(recent.read), names(recent.paths)) == ("d", "dcab")
    recent.remove([0])
    assert (names(recent.read), names(recent.paths)) == ("", "dcab")
    recent.set(recent.paths[2:], [])
    assert names(recent.read) == "ab"


def test_not_more_than_are_of_use():
    many = [f"/{number}" for number in range(MOST + 5)]
    recent = RecentFolders(paths(*range(MOST + 5)))
    assert len(recent.paths) == MOST
    recent.set(many, [])
    assert len(recent.read) == len(recent.paths) == MOST + 5
    recent.set(["/x"], [])
    assert len(recent.paths) == MOST


@pytest.mark.parametrize(
    ("stored", "n_read", "expected"),
    [
        (None, 1, ""),
        ("abc", 1, ""),
        ([None, *paths("a", "b")], 1, "a"),
        (paths("a", "b"), "x", "a"),
        (paths("a", "b"), 0, "a"),
        (paths("a", "b"), 7, "ab"),
        (paths("a", "b"), None, "a"),
        ([], 3, ""),
    ],
)
def test_what_was_stored_may_be_anything(stored, n_read, expected):
    assert names(RecentFolders(stored, n_read).read) == expected


def test_a_folder_seen_from_the_workflow(tmp_path):
    places = [("basedir", str(tmp_path))]
    inside = recent_folder(str(tmp_path / "in" / ".." / "photos"), places)
    assert (inside.prefix, inside.relpath) == ("basedir", "photos")
    same = recent_folder(str(tmp_path), places)
    assert (same.prefix, same.relpath) == ("basedir", ".")
    assert recent_folder("/elsewhere", places).prefix is None


def test_located(tmp_path):
    (tmp_path / "photos").mkdir()
    places = [("basedir", str(tmp_path))]
    moved = RecentPath("/gone/photos", "basedir", "photos")
    lost = RecentPath("/gone/more", "basedir", "more")
    bare = RecentPath("", "basedir", "more")
    found = located([moved, lost, bare], places)
    assert [path.abspath for path in found] == [
        str(tmp_path / "photos"),
        "/gone/more",
        str(tmp_path / "more"),
    ]


def test_the_workflow_is_saved_elsewhere(tmp_path):
    recent = RecentFolders([RecentPath("/gone/photos", "basedir", "photos")])
    # Not known yet where it is on this computer.
    recent.start_from([("basedir", "/gone")])
    assert recent.paths[0].relpath == "photos"
    recent.locate([RecentPath.create(str(tmp_path / "photos"), [])])
    recent.start_from([("basedir", str(tmp_path))])
    assert (recent.paths[0].prefix, recent.paths[0].relpath) == ("basedir", "photos")


def test_addresses_stay_as_they_are():
    places = [("basedir", "/home/me")]
    recent = RecentFolders([])
    recent.set(["s3://bucket//vectors/"], places)
    (found,) = located(recent.read, places)
    recent.locate([found])
    recent.start_from([("basedir", "/home/you")])
    (path,) = recent.read
    assert (path.abspath, path.prefix) == ("s3://bucket//vectors/", None)
