import os

import pytest
from image_files import save_stack
from PIL import Image

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.import_images.watch import FolderWatch


def save(path, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photos"
    for name in ("a.png", "in/b.png", "in/c.png"):
        save(folder / name)
    (folder / "notes.txt").write_text("text")
    return folder


@pytest.fixture
def importer():
    return ImportImages()


@pytest.fixture
def watch(folder, importer):
    return FolderWatch(importer.read(folder))


def counts(changes):
    return changes.n_new, changes.n_changed, changes.n_removed


def names(changes):
    return [os.path.basename(im.path) for im in changes.listing.images if im.isvalid]


def test_nothing_has_changed(watch):
    for _ in range(3):
        changes = watch.look()
        assert counts(changes) == (0, 0, 0) and not changes
    assert changes.n_waiting == 0
    assert names(changes) == ["a.png", "b.png", "c.png"]


def test_it_begins_without_going_through_the_images(folder, importer):
    """The widget makes it in the GUI's thread, and there may be 100,000 images."""

    class Images(list):
        uses = 0

        def __iter__(self):
            self.uses += 1
            return super().__iter__()

    listing = importer.read(folder)
    listing.images = images = Images(listing.images)
    watch = FolderWatch(listing)
    assert images.uses == 0
    assert not watch.look()
    assert images.uses > 0


def test_a_new_image_waits_for_a_second_look(watch, folder, importer):
    watch.look()
    save(folder / "in" / "bb.png", (5, 4))
    changes = watch.look()
    assert not changes and changes.n_waiting == 1
    changes = watch.look()
    assert counts(changes) == (1, 0, 0) and changes.n_waiting == 0
    assert names(changes) == ["a.png", "b.png", "bb.png", "c.png"]
    # It goes on being told until it is taken.
    assert counts(watch.look()) == (1, 0, 0)
    table, n_skipped = importer.table(changes.listing)
    assert list(table.get_column("width")) == [8, 8, 5, 8]
    assert table.domain.class_var.values == (".", "in") and n_skipped == 1
    watch.take(changes)
    assert not watch.look()


def test_a_half_written_file_waits(watch, folder):
    save(folder / "whole.png", (300, 200))
    content = (folder / "whole.png").read_bytes()
    (folder / "whole.png").unlink()
    watch.look()
    for end in (0, 10, 100, 200):
        (folder / "new.png").write_bytes(content[:end])
        changes = watch.look()
        assert not changes and changes.n_waiting == 1
    (folder / "new.png").write_bytes(content)
    assert not watch.look()
    changes = watch.look()
    assert counts(changes) == (1, 0, 0)
    (image,) = (im for im in changes.listing.images if im.path.endswith("new.png"))
    assert (image.width, image.height, image.size) == (300, 200, len(content))


def test_a_file_that_was_half_written_when_it_was_read(folder, importer):
    save(folder / "whole.png", (300, 200))
    content = (folder / "whole.png").read_bytes()
    (folder / "whole.png").write_bytes(content[:20])
    listing = importer.read(folder)
    watch = FolderWatch(listing)
    (folder / "whole.png").write_bytes(content)
    watch.look()
    assert counts(watch.look()) == (1, 0, 0)


def test_changed_and_removed(watch, folder):
    watch.look()
    save(folder / "a.png", (30, 20))
    os.remove(folder / "in" / "b.png")
    changes = watch.look()
    assert counts(changes) == (0, 0, 1)
    # Until it is complete, the image is as it was.
    assert changes.listing.images[0].width == 8
    changes = watch.look()
    assert counts(changes) == (0, 1, 1)
    assert changes.listing.images[0].width == 30
    # An image that comes back is none that was removed.
    save(folder / "in" / "b.png")
    watch.look()
    assert counts(watch.look()) == (0, 2, 0)


def test_a_file_of_the_same_size_has_changed(watch, folder):
    watch.look()
    os.utime(folder / "a.png", (1, 1))
    watch.look()
    assert counts(watch.look()) == (0, 1, 0)


def test_other_files_are_not_told(watch, folder):
    watch.look()
    (folder / "more.txt").write_text("more")
    os.remove(folder / "notes.txt")
    watch.look()
    changes = watch.look()
    assert not changes
    assert [im.path for im in changes.listing.images if not im.isvalid] == [
        str(folder / "more.txt")
    ]


def test_an_image_that_is_spoilt_is_removed(watch, folder):
    watch.look()
    (folder / "a.png").write_bytes(b"no image")
    watch.look()
    assert counts(watch.look()) == (0, 0, 1)


def test_a_folder_that_cannot_be_reached_keeps_its_images(folder, importer, tmp_path):
    save(tmp_path / "other" / "d.png")
    folders = [folder, tmp_path / "other"]
    watch = FolderWatch(importer.read(folders))
    watch.look()
    away = tmp_path / "away"
    os.rename(folder, away)
    changes = watch.look()
    assert not changes
    assert [error.filename for error in changes.unreachable] == [str(folder)]
    assert sorted(names(changes)) == ["a.png", "b.png", "c.png", "d.png"]
    table, _ = importer.table(changes.listing)
    assert set(table.domain.class_var.values) == {"photos", "in", "other"}
    os.rename(away, folder)
    os.remove(folder / "a.png")
    changes = watch.look()
    assert counts(changes) == (0, 0, 1) and not changes.unreachable
    # Folders that stay away keep theirs over several looks.
    os.rename(folder, away)
    for _ in range(3):
        assert counts(watch.look()) == (0, 0, 1)


def test_a_folder_that_was_missing_comes_back(folder, importer, tmp_path):
    late = tmp_path / "late"
    watch = FolderWatch(importer.read([folder, late]))
    watch.look()
    save(late / "d.png")
    watch.look()
    assert counts(watch.look()) == (1, 0, 0)


def test_subfolders(folder):
    importer = ImportImages(subfolders=False)
    watch = FolderWatch(importer.read(folder), subfolders=False)
    save(folder / "in" / "new.png")
    watch.look()
    assert not watch.look()


def test_pages(folder):
    save_stack(folder / "cells.tif", n_planes=2)
    importer = ImportImages(pages="all")
    # A file may be named as a page is.
    save(folder / "a.png#page=1.png")
    watch = FolderWatch(importer.read(folder), pages="all")
    watch.look()
    assert not watch.look()
    save_stack(folder / "cells.tif", n_planes=3)
    save_stack(folder / "more.tif", n_planes=1)
    watch.look()
    assert counts(watch.look()) == (4, 4, 0)
    os.remove(folder / "cells.tif")
    assert counts(watch.look()) == (2, 0, 4)


def test_cancelled(watch):
    watch.cancelled = True
    assert watch.look() is None
    watch.cancelled = False
    assert watch.look() is not None


def test_only_what_is_new_is_read(watch, folder, monkeypatch):
    from orangecontrib.imageanalytics.import_images import headers

    read = []
    header = headers.read_header
    monkeypatch.setattr(
        headers, "read_header", lambda path: read.append(path) or header(path)
    )
    watch.look()
    save(folder / "new.png")
    for _ in range(4):
        watch.look()
    # The text was refused, and might have been half of an image.
    assert sorted(read) == [str(folder / "new.png"), str(folder / "notes.txt")]
