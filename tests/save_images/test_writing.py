import errno
import os
import sys
import unicodedata

import pytest
from saved_files import fill, read, table, tree

from orangecontrib.imageanalytics.save_images import (
    EXISTING,
    Encoding,
    save_images,
    writing,
)


@pytest.mark.skipif(os.name == "nt", reason="needs rights to make links there")
@pytest.mark.parametrize("existing", EXISTING)
def test_class_folder_that_is_a_link(photos, out, tmp_path, existing):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "photo 0.png").write_bytes(b"precious")
    os.makedirs(os.path.join(out, "dogs"))
    os.symlink(outside, os.path.join(out, "cats"))
    os.symlink("dogs", os.path.join(out, "wolves"))
    kinds = ["cats", "cats", "dogs", "dogs", "wolves", "wolves"]
    saving = save_images(table(photos, kinds), out, existing=existing)
    assert [source for source, _ in saving.saved] == photos[2:4]
    assert tree(outside) == ["photo 0.png"]
    assert read(outside / "photo 0.png") == b"precious"
    reasons = {reason for _, reason in saving.failures}
    assert all("is a link to elsewhere" in reason for reason in reasons)
    assert len(os.listdir(os.path.join(out, "dogs"))) == 2


@pytest.mark.parametrize(
    ("value", "on_disk"),
    [("Cat", "cat"), ("cat", "CAT"), ("Café", unicodedata.normalize("NFD", "Café"))],
)
def test_class_folder_whose_name_the_disk_writes_otherwise(
    photos, out, monkeypatch, value, on_disk
):
    """Windows and macOS find "cat" for "Cat", and say that it is "cat"."""
    resolved = os.path.realpath

    def realpath(path, **options):
        head, name = os.path.split(resolved(path, **options))
        return os.path.join(head, on_disk if name == value else name)

    monkeypatch.setattr(os.path, "realpath", realpath)
    saving = save_images(table(photos, [value] * 6), out)
    assert saving.failures == []
    assert len(saving.saved) == 6


@pytest.mark.skipif(os.name == "nt", reason="needs rights to make links there")
def test_chosen_folder_may_be_a_link(photos, tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "link")
    saving = save_images(table(photos, ["a"] * 6), tmp_path / "link")
    assert len(saving.saved) == 6
    assert len(tree(tmp_path / "real")) == 6


@pytest.mark.skipif(os.name == "nt", reason="needs rights to make links there")
def test_overwriting_a_link_leaves_what_it_leads_to(photos, out, tmp_path):
    os.makedirs(out)
    (tmp_path / "precious").write_bytes(b"precious")
    os.symlink(tmp_path / "precious", os.path.join(out, "photo 0.png"))
    saving = save_images(table(photos[:1]), out, existing="overwrite")
    assert len(saving.saved) == 1
    assert read(tmp_path / "precious") == b"precious"
    assert not os.path.islink(os.path.join(out, "photo 0.png"))


def test_file_made_meanwhile_is_left_alone(photos, out, monkeypatch):
    encode = Encoding.__call__
    path = os.path.join(out, "photo 0.png")

    def slow(self, content, page):
        with open(path, "wb") as file:
            file.write(b"theirs")
        return encode(self, content, page)

    monkeypatch.setattr(Encoding, "__call__", slow)
    saving = save_images(table(photos[:1]), out)
    assert saving.skipped == [(photos[0], path)]
    assert read(path) == b"theirs"
    saving = save_images(table(photos[:1]), out, existing="rename")
    assert [os.path.basename(path) for _, path in saving.saved] == ["photo 0 (2).png"]
    assert read(path) == b"theirs"


@pytest.mark.skipif(os.name == "nt", reason="does without links anyway")
def test_file_systems_without_links(photos, out, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    fill(out)
    saving = save_images(table(photos), out, existing="rename")
    assert len(saving.saved) == 6
    assert read(os.path.join(out, "photo 0.png")) == b"photo 0.png"
    assert len(tree(out)) == 9


def test_written_aside_and_renamed(photos, out, monkeypatch):
    seen = []
    link, rename = os.link, os.rename

    def watch(move):
        def moved(partial, path):
            seen.append((os.path.exists(path), os.path.getsize(partial) > 0))
            assert os.path.dirname(partial) == os.path.dirname(path)
            move(partial, path)

        return moved

    monkeypatch.setattr(os, "link", watch(link))
    monkeypatch.setattr(os, "rename", watch(rename))
    save_images(table(photos), out)
    assert seen == [(False, True)] * 6
    assert all(name.startswith("photo ") for name in tree(out))


def full_disk(monkeypatch, names, number=errno.ENOSPC):
    """As if the disk were full when those of the names are written."""

    def open_(path, mode="r", *args, **kwargs):
        if "x" in mode and any(name in path for name in names):
            with open(path, mode) as file:
                file.write(b"beginning")
            raise OSError(number, os.strerror(number))
        return open(path, mode, *args, **kwargs)

    monkeypatch.setattr(writing, "open", open_, raising=False)


def test_disk_full(photos, out, monkeypatch):
    full_disk(monkeypatch, ["cats"])
    kinds = ["cats", "cats", "dogs", "dogs", "dogs", "dogs"]
    saving = save_images(table(photos, kinds), out)
    assert len(saving.saved) == 4
    assert saving.failures == [(path, "the disk is full") for path in photos[:2]]
    assert all(name.startswith("dogs/photo") for name in tree(out))


@pytest.mark.skipif(sys.platform != "linux", reason="a device of Linux")
def test_disk_really_full(photos, out, monkeypatch):
    """The kernel's own error, from a device that is always full."""
    real = open

    def open_(path, mode="r"):
        return real("/dev/full", "wb") if "x" in mode else real(path, mode)

    monkeypatch.setattr(writing, "open", open_, raising=False)
    saving = save_images(table(photos), out)
    assert {reason for _, reason in saving.failures} == {"the disk is full"}
    assert tree(out) == []


@pytest.mark.parametrize(
    "number, reason",
    [
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_other_errors_of_writing(photos, out, monkeypatch, number, reason):
    full_disk(monkeypatch, ["cats"], number)
    saving = save_images(table(photos, ["cats"] + ["dogs"] * 5), out)
    assert len(saving.saved) == 5
    assert reason in saving.failures[0][1]


def test_no_permission(photos, out, monkeypatch):
    cats = os.path.join(out, "cats")
    os.makedirs(cats)
    if hasattr(os, "geteuid") and os.geteuid():
        os.chmod(cats, 0o500)
    else:
        full_disk(monkeypatch, ["cats"], errno.EACCES)
    saving = save_images(table(photos, ["cats"] * 2 + ["dogs"] * 4), out)
    os.chmod(cats, 0o700)
    reason = f"no permission to write into {cats}"
    assert saving.failures == [(path, reason) for path in photos[:2]]
    assert len(saving.saved) == 4


def test_file_in_place_of_class_folder(photos, out):
    os.makedirs(out)
    with open(os.path.join(out, "cats"), "wb") as file:
        file.write(b"mine")
    saving = save_images(table(photos, ["cats"] * 2 + ["dogs"] * 4), out)
    assert len(saving.failures) == 2
    assert all("is not a folder" in reason for _, reason in saving.failures)
    assert read(os.path.join(out, "cats")) == b"mine"


def test_files_are_as_others(photos, out):
    """Those of a temporary file would be readable by nobody else."""
    save_images(table(photos[:1]), out)
    plain = os.path.join(out, "plain")
    open(plain, "w").close()
    mode = os.stat(os.path.join(out, "photo 0.png")).st_mode
    assert mode == os.stat(plain).st_mode
