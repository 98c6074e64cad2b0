import errno
import os
import threading

import numpy as np
import pytest
from image_files import save_stack
from Orange.data import Table
from PIL import Image

from orangecontrib.imageanalytics.images.sources import column_sources, image_columns
from orangecontrib.imageanalytics.import_images import (
    ImportImages,
    scan,
)
from orangecontrib.imageanalytics.import_images import (
    importer as module,
)


def save(path, size=(8, 6), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, **options)
    return path


def column(table, name):
    return list(table.get_column(name))


def skipped(importer):
    return {os.path.basename(path): reason for path, reason in importer.skipped}


@pytest.fixture
def folder(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    save(tmp_path / "cats" / "b.JPG", (20, 10), exif=exif)
    save(tmp_path / "cats" / "a.x.png", (7, 9))
    save(tmp_path / "dogs" / "in" / "c.tiff")
    save(tmp_path / "z.bmp")
    (tmp_path / "only text").mkdir()
    (tmp_path / "only text" / "notes.txt").write_text("text")
    return tmp_path


def test_table(folder):
    importer = ImportImages()
    table, n_skipped = importer(str(folder))
    assert n_skipped == 1 and skipped(importer) == {"notes.txt": "not an image"}

    assert [var.name for var in table.domain.metas] == [
        "image name", "image", "size", "width", "height",
    ]  # fmt: skip
    assert not table.domain.attributes
    paths = ["z.bmp", "cats/a.x.png", "cats/b.JPG", "dogs/in/c.tiff"]
    assert column(table, "image") == paths
    assert column(table, "image name") == ["z", "a.x", "b", "c"]
    assert column(table, "width") == [8, 7, 10, 8]
    assert column(table, "height") == [6, 9, 20, 6]
    assert column(table, "size") == [os.path.getsize(folder / path) for path in paths]
    category = table.domain.class_var
    assert category.name == "category"
    assert category.values == (".", "cats", "dogs/in")
    assert column(table, "category") == [0, 1, 1, 2]
    image = table.domain["image"]
    assert image.attributes == {"type": "image", "origin": str(folder)}
    assert image_columns(table)[0] is image
    assert all(table.domain[name].number_of_decimals == 0 for name in ("size", "width"))
    assert column_sources(table, image) == [os.path.join(folder, p) for p in paths]


def test_one_folder_has_no_class(folder):
    table, _ = ImportImages()(folder / "cats")
    assert table.domain.class_var is None
    assert column(table, "image") == ["a.x.png", "b.JPG"]
    table, _ = ImportImages()(folder / "dogs")
    assert column(table, "image") == ["in/c.tiff"]


@pytest.mark.parametrize("end", ["", os.sep, os.sep + os.curdir])
def test_relative_start(folder, monkeypatch, end):
    monkeypatch.chdir(folder)
    table, _ = ImportImages()("cats" + end)
    assert column(table, "image") == ["a.x.png", "b.JPG"]
    assert table.domain["image"].attributes["origin"] == str(folder / "cats")


@pytest.mark.parametrize("extension", ["tab", "xlsx", "pkl"])
def test_saved_and_loaded(folder, extension, tmp_path):
    save(folder / "čšž 'q'" / "画 像.png")
    table, _ = ImportImages()(folder)
    path = str(tmp_path / f"saved.{extension}")
    table.save(path)
    loaded = Table(path)
    if extension == "xlsx":
        assert column(loaded, "image") == column(table, "image")
    else:
        assert column_sources(loaded, "image") == column_sources(table, "image")


def test_empty_and_wrong_folders(tmp_path):
    importer = ImportImages()
    assert importer(tmp_path) == (None, 0)
    (tmp_path / "a.png").touch()
    table, n_skipped = importer(str(tmp_path))
    assert len(table) == 0 and n_skipped == 1
    assert table.domain["image"].attributes["type"] == "image"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        importer(str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match=r"a\.png"):
        importer(str(tmp_path / "a.png"))


def test_bad_files(tmp_path):
    jpeg = save(tmp_path / "good.jpg", (300, 200)).read_bytes()
    png = save(tmp_path / "good.png", (300, 200)).read_bytes()
    save(tmp_path / "1x1.png", (1, 1))
    save(tmp_path / "1x20000.png", (1, 20_000))
    save(tmp_path / "corrupt exif.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    (tmp_path / "wrong.tif").write_bytes(png)
    (tmp_path / 'it\'s "x" čšž画.png').write_bytes(png)
    (tmp_path / "folder.png").mkdir()
    bad = {
        "empty.jpg": (b"", "file is empty"),
        "text.jpg": (b"This is a text.", "not an image"),
        "cut.jpg": (jpeg[:100], "the file is cut short"),
        "cut.png": (png[:20], "the file is cut short"),
        "bomb.png": (
            png[:16] + (50_000).to_bytes(4, "big") * 2 + png[24:],
            "damaged PNG data",
        ),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "broken.png").symlink_to("nowhere")
    (tmp_path / "loop.png").symlink_to("loop.png")
    importer = ImportImages()
    table, n_skipped = importer(tmp_path)
    assert len(table) == 7
    expected = {name: reason for name, (_, reason) in bad.items()}
    expected |= {"broken.png": "broken link", "loop.png": "a link that leads to itself"}
    assert skipped(importer) == expected
    assert n_skipped == len(expected)


def test_hidden_files_and_links(tmp_path):
    save(tmp_path / "photos" / "a.png")
    save(tmp_path / "photos" / ".b.png")
    save(tmp_path / "photos" / ".hidden" / "c.png")
    save(tmp_path / "elsewhere" / "d.png")
    (tmp_path / "photos" / "link.png").symlink_to(tmp_path / "elsewhere" / "d.png")
    (tmp_path / "photos" / "up").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "aside").symlink_to(tmp_path / "elsewhere")
    importer = ImportImages()
    table, n_skipped = importer(tmp_path / "photos")
    assert column(table, "image") == ["a.png", "link.png"]
    assert n_skipped == 0 and importer.skipped == []


def test_undecodable_names(tmp_path):
    save(tmp_path / "a.png")
    try:
        os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/\xff.png")
    except OSError:
        pytest.skip("the file system has no such names")
    save(tmp_path / "b.png")
    importer = ImportImages()
    table, n_skipped = importer(tmp_path)
    assert column(table, "image") == ["b.png"] and n_skipped == 1
    assert list(skipped(importer).values()) == ["the file's name is not valid text"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_skipped(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    importer = ImportImages()
    importer(tmp_path)
    assert skipped(importer) == {"pipe.png": "not an ordinary file"}


def test_unreadable_folder(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("dogs"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    importer = ImportImages()
    table, n_skipped = importer(folder / "cats")
    assert len(table) == 2
    table, n_skipped = importer(folder)
    assert len(table) == 3 and n_skipped == 2
    assert skipped(importer)["dogs"] == "folder: permission denied"
    with pytest.raises(PermissionError, match="dogs"):
        importer(folder / "dogs")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may")
def test_unreadable_file(folder):
    (folder / "z.bmp").chmod(0)
    importer = ImportImages()
    importer(folder)
    assert skipped(importer)["z.bmp"] == "permission denied"


def test_progress(folder, monkeypatch):
    monkeypatch.setattr(module, "_PROGRESS_EVERY", 2)
    seen = []
    ImportImages(seen.append)(folder)
    assert [progress.count for progress in seen] == [2, 4, 5]
    assert [len(progress.batch) for progress in seen] == [2, 2, 1]
    assert {progress.total for progress in seen} == {5}
    assert seen[0].lastpath == seen[0].batch[-1].path
    assert seen[0].lastpath.endswith("a.x.png")


def test_subfolders(folder):
    table, n_skipped = ImportImages(subfolders=False)(folder)
    assert column(table, "image") == ["z.bmp"] and n_skipped == 0


@pytest.mark.parametrize(
    ("category", "expected"),
    [("path", (".", "cats", "dogs/in")), ("top", (".", "cats", "dogs")), ("none", ())],
)
def test_category(folder, category, expected):
    table, _ = ImportImages(category=category)(folder)
    variable = table.domain.class_var
    assert (variable.values if variable else ()) == expected


def test_wrong_category():
    with pytest.raises(ValueError, match="path, top, none"):
        ImportImages(category="bottom")


def test_cancelled(folder, monkeypatch):
    importer = ImportImages()
    importer.cancelled = True
    assert importer("/") == (None, 0)

    importer = ImportImages(lambda progress: setattr(importer, "cancelled", True))
    monkeypatch.setattr(module, "_PROGRESS_EVERY", 1)
    assert importer(folder) == (None, 0)
    assert importer.skipped == []


def test_cancelled_from_another_thread(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    importer = ImportImages()
    stopped = threading.Event()

    def endless():
        while True:
            yield str(tmp_path / "a.png")

    def stop():
        importer.cancelled = True
        stopped.set()

    threading.Timer(0.1, stop).start()
    assert importer.image_meta(endless()) is None
    assert stopped.is_set()


def test_scan(folder):
    (folder / ".hidden.png").touch()
    names = [os.path.relpath(path, folder) for path in scan(str(folder))]
    assert [name.replace(os.sep, "/") for name in names] == [
        "z.bmp", "cats/a.x.png", "cats/b.JPG", "dogs/in/c.tiff", "only text/notes.txt",
    ]  # fmt: skip

    def found(**kwargs):
        return [os.path.basename(path) for path in scan(str(folder), **kwargs)]

    assert found(include_patterns=["*.jpg", "z.*"]) == ["z.bmp", "b.JPG"]
    assert found(include_patterns=["*.jpg"], case_insensitive=False) == []
    assert found(exclude_patterns=["*.txt", "*.p*"])[-1] == "c.tiff"
    assert ".hidden.png" in found(exclude_patterns=[])
    assert len(found(include_patterns=None)) == 5


def test_image_meta_patterns(folder):
    importer = ImportImages()
    assert len(importer.image_meta(scan(str(folder)), ["*.jpg"])) == 1
    importer = ImportImages(case_insensitive=False)
    assert importer.image_meta(scan(str(folder)), ["*.jpg"]) == []
    assert len(importer.image_meta(scan(str(folder)), ["*.JPG"])) == 1


def test_each_call_makes_its_own_variables(folder):
    first, _ = ImportImages()(folder / "cats")
    second, _ = ImportImages()(folder / "dogs")
    origins = [t.domain["image"].attributes["origin"] for t in (first, second)]
    assert origins == [str(folder / "cats"), str(folder / "dogs")]


def test_many_files(tmp_path):
    content = save(tmp_path / "0.png").read_bytes()
    for index in range(1, 500):
        (tmp_path / f"{index}.png").write_bytes(content)
    table, n_skipped = ImportImages()(tmp_path)
    assert len(table) == 500 and n_skipped == 0
    assert np.all(table.get_column("width") == 8)
    assert column(table, "image") == sorted(f"{index}.png" for index in range(500))


@pytest.fixture
def stacks(tmp_path):
    """A stack of two channels, a deep image, an animation and a photo."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    save_stack(folder / "cells.ome.tif", n_planes=3)
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:])
    save(folder / "photo.jpg", (20, 10))
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(folder / "scan.png")
    return folder


def test_first_pages(stacks):
    importer = ImportImages()
    table, n_skipped = importer(str(stacks))
    assert n_skipped == 0
    assert column(table, "image") == [
        "cells.ome.tif",
        "film.gif",
        "photo.jpg",
        "scan.png",
    ]
    assert "page" not in table.domain
    more = [os.path.basename(path) for path in importer.has_more]
    assert more == ["cells.ome.tif", "film.gif"]


def test_all_pages_as_rows(stacks):
    progress = []
    importer = ImportImages(progress.append, pages="all")
    table, n_skipped = importer(str(stacks))
    assert n_skipped == 0 and importer.has_more == []
    names = [f"Z {z}, {channel}" for z in (1, 2, 3) for channel in ("DAPI", "GFP")] + [
        "frame 1",
        "frame 2",
        "",
        "",
    ]
    assert column(table, "page") == names
    images = [f"cells.ome.tif#page={number}" for number in range(1, 7)]
    images += ["film.gif#page=1", "film.gif#page=2", "photo.jpg", "scan.png"]
    assert column(table, "image") == images
    assert column(table, "image name") == ["cells.ome"] * 6 + ["film"] * 2 + [
        "photo",
        "scan",
    ]
    assert column(table, "width") == [64] * 6 + [8, 8, 20, 5]
    # Files are counted, not pages.
    assert (progress[-1].count, progress[-1].total) == (4, 4)
    assert len(progress[-1].batch) == 10


def test_no_such_choice_of_pages():
    with pytest.raises(ValueError, match="'some' is not a choice of pages"):
        ImportImages(pages="some")


def test_a_damaged_stack_is_skipped_once(stacks):
    path = stacks / "cells.ome.tif"
    content = path.read_bytes()
    path.write_bytes(content[:20])
    importer = ImportImages(pages="all")
    _, n_skipped = importer(str(stacks))
    assert n_skipped == 1 and "cells.ome.tif" in skipped(importer)


LEFT_OUT = {
    "@eaDir": "thumbnails of a Synology disk station",
    "__MACOSX": "notes of macOS in an archive",
    ".thumbnails": "thumbnails of the desktop",
    "My Catalog Previews.lrdata": "previews of Lightroom",
    "My Catalog.lrcat-data": "previews of Lightroom",
    "SYNOPHOTO_THUMB_M": "thumbnails of a Synology disk station",
    "$RECYCLE.BIN": "recycle bin",
    "Photos.photoslibrary/resources": "previews of Apple Photos",
    "CaptureOne/Cache": "previews of Capture One",
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_thumbnails_of_other_programs_are_left_out(tmp_path, name):
    save(tmp_path / "cat.jpg")
    save(tmp_path / name / "cat.jpg" / "thumb.jpg")
    save(tmp_path / "resources" / "dog.jpg")  # whose name alone says nothing
    importer = ImportImages()
    table, n_skipped = importer(str(tmp_path))
    assert column(table, "image") == ["cat.jpg", "resources/dog.jpg"]
    assert n_skipped == 0
    assert importer.left_out == [(str(tmp_path / name), LEFT_OUT[name])]


def test_files_that_are_left_out(tmp_path):
    for name in ("Thumbs.db", "ehthumbs_vista.db", "MVI_1.THM", "._cat.jpg", "cat.jpg"):
        save(tmp_path / name, format="JPEG")
    importer = ImportImages()
    table, _ = importer(str(tmp_path))
    assert column(table, "image") == ["cat.jpg"]
    assert {os.path.basename(path): reason for path, reason in importer.left_out} == {
        "Thumbs.db": "thumbnails of Windows",
        "ehthumbs_vista.db": "thumbnails of Windows",
        "MVI_1.THM": "thumbnails of a camera",
        "._cat.jpg": "notes of macOS",
    }


def test_a_folder_that_was_chosen_is_read_whatever_its_name(tmp_path):
    save(tmp_path / "@eaDir" / "cat.jpg")
    importer = ImportImages()
    table, _ = importer(str(tmp_path / "@eaDir"))
    assert column(table, "image") == ["cat.jpg"] and not importer.left_out


def test_what_is_in_folders_that_are_not_read_is_not_told(tmp_path):
    save(tmp_path / "cat.jpg")
    save(tmp_path / "@eaDir" / "cat.jpg")
    importer = ImportImages(subfolders=False)
    importer(str(tmp_path))
    assert importer.left_out == []


def sources(table):
    return column_sources(table, "image")


@pytest.fixture
def two(tmp_path):
    """Two folders with subfolders for classes, one flat; paths of the images."""
    for name in (
        "train/cat/1.png",
        "train/dog/2.png",
        "test/cat/3.png",
        "more/fox/4.png",
    ):
        save(tmp_path / name)
    return tmp_path


def test_several_folders(two):
    folders = [two / "train", two / "test", two / "more" / "fox"]
    importer = ImportImages()
    table, n_skipped = importer(folders)
    assert n_skipped == 0
    images = ["train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "more/fox/4.png"]
    assert column(table, "image") == images
    assert table.domain["image"].attributes["origin"] == str(two)
    assert sources(table) == [str(two / image) for image in images]
    assert all(map(os.path.exists, sources(table)))
    category = table.domain.class_var
    # Subfolders are classes in each folder; without them, the folder is one itself.
    assert [category.values[int(i)] for i in table.Y] == ["cat", "dog", "cat", "fox"]
    folder = table.domain["folder"]
    assert [folder.values[int(i)] for i in table.get_column(folder)] == [
        "train",
        "train",
        "test",
        "more/fox",
    ]
    assert [var.name for var in table.domain.metas][-1] == "folder"


def test_saved_with_several_folders(two, tmp_path):
    table, _ = ImportImages()([two / "train", two / "test"])
    table.save(str(tmp_path / "saved.tab"))
    assert sources(Table(str(tmp_path / "saved.tab"))) == sources(table)


def test_a_list_of_one_is_as_one(two):
    several, _ = ImportImages()([two / "train"])
    one, _ = ImportImages()(two / "train")
    assert several.domain == one.domain
    assert column(several, "image") == column(one, "image")
    inner, _ = ImportImages()([two / "train" / "cat", two / "train"])
    assert column(inner, "image") == column(one, "image")
    assert column(inner, "category") == column(one, "category")
    assert "folder" not in inner.domain
    assert ImportImages()([]) == (None, 0)


def test_no_common_folder(two, monkeypatch):
    def on_different_drives(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr(module.os.path, "commonpath", on_different_drives)
    table, _ = ImportImages()([two / "train", two / "test"])
    assert "origin" not in table.domain["image"].attributes
    assert [os.path.isabs(path) for path in column(table, "image")] == [True] * 3
    assert all(map(os.path.exists, sources(table)))
    assert table.domain["folder"].values == (str(two / "test"), str(two / "train"))


def test_only_the_root_in_common(two, monkeypatch):
    monkeypatch.setattr(module.os.path, "commonpath", lambda paths: os.sep)
    table, _ = ImportImages()([two / "train", two / "test"])
    assert "origin" not in table.domain["image"].attributes
    assert all(map(os.path.exists, sources(table)))


def test_some_folders_are_missing(two):
    importer = ImportImages()
    table, n_skipped = importer([two / "train", two / "gone"])
    # Paths and classes are as if the folder were there.
    assert column(table, "image") == ["train/cat/1.png", "train/dog/2.png"]
    assert [error.filename for error in importer.missing] == [str(two / "gone")]
    assert n_skipped == 0
    with pytest.raises(FileNotFoundError, match="gone"):
        importer([two / "gone", two / "lost"])


def test_pages_of_several_folders(stacks, two):
    importer = ImportImages(pages="all")
    table, _ = importer([stacks, two / "train"])
    assert [var.name for var in table.domain.metas][-2:] == ["folder", "page"]
    assert len(table) == 12


def test_class_from_the_name(tmp_path):
    for name in ("a/cat_1.png", "b/dog_1.png", "b/cat_2.png", "b/notes.png"):
        save(tmp_path / name)
    importer = ImportImages(class_from="{class}_*")
    table, n_skipped = importer(tmp_path)
    category = table.domain.class_var
    assert category.name == "category" and category.values == ("cat", "dog")
    values = column(table, "category")
    assert values[:3] == [0, 0, 1] and np.isnan(values[3])
    assert importer.unmatched == [str(tmp_path / "b" / "notes.png")]
    assert n_skipped == 0
    # Other than with folders, one class was asked for and is there.
    table, _ = importer(tmp_path / "a")
    assert table.domain.class_var.values == ("cat",)
    table, _ = ImportImages(class_from="#{class}")(tmp_path)
    assert table.domain.class_var is None


def test_class_from_the_name_of_a_file_with_pages(stacks):
    importer = ImportImages(pages="all", class_from="{class}.*")
    table, _ = importer(stacks)
    assert set(table.domain.class_var.values) == {"cells", "film", "photo", "scan"}


def test_bad_class_from(folder):
    with pytest.raises(ValueError, match=r"no \{class\}"):
        ImportImages(class_from="cat")
    save(folder / (200 * "a" + ".png"))
    with pytest.raises(ValueError, match="takes too long"):
        ImportImages(class_from="(?P<class>(?R)*a)")(folder)


def test_cancelled_while_classes_are_found(folder):
    importer = ImportImages(class_from="start")
    listing = importer.read(folder)
    importer.cancelled = True
    assert importer.table(listing) == (None, 0)
