import base64
import errno
import io
import os
import sys
import threading
import time
import unicodedata
import zlib

import numpy as np
import pytest
from image_files import save_stack
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
    TimeVariable,
)
from PIL import Image, ImageCms

from orangecontrib.imageanalytics import save_images as module
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import drawing
from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.save_images import (
    EXISTING,
    FITS,
    FORMATS,
    MAX_NAME,
    Encoding,
    Saving,
    count_reasons,
    image_name,
    safe_name,
    save_images,
    writing,
)


def table(paths, classes=None, **columns):
    """Images, of classes if told, and other metas by their names."""
    class_var, Y = None, None
    if classes is not None:
        values = sorted({value for value in classes if value is not None})
        class_var = DiscreteVariable("kind", values=values)
        Y = [np.nan if c is None else values.index(c) for c in classes]
    metas = [StringVariable("image"), *map(StringVariable, columns)]
    metas[0].attributes["type"] = "image"
    domain = Domain([], class_var, metas)
    values = np.array([paths, *columns.values()], dtype=object).T
    return Table.from_numpy(domain, np.empty((len(paths), 0)), Y, values)


def tree(folder):
    """Paths of all files within, hidden ones too."""
    return sorted(
        os.path.relpath(os.path.join(where, name), folder).replace(os.sep, "/")
        for where, _, names in os.walk(folder)
        for name in names
    )


def read(path):
    with open(path, "rb") as file:
        return file.read()


def content(format="PNG", size=(64, 48), mode="RGB", **options):
    grey = Image.linear_gradient("L").resize(size)
    image = Image.merge("RGB", (grey, grey.rotate(180), grey)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


# Where images go


def test_subfolder_for_each_class(photos, out):
    kinds = ["cats", "cats", "dogs", "dogs", "dogs", None]
    saving = save_images(table(photos, kinds), out, format="jpeg")
    assert tree(out) == [
        "cats/photo 0.jpg",
        "cats/photo 1.jpg",
        "dogs/photo 2.jpg",
        "dogs/photo 3.jpg",
        "dogs/photo 4.jpg",
        "photo 5.jpg",
    ]
    assert [source for source, _ in saving.saved] == photos
    assert all(read(source) == read(path) for source, path in saving.saved)
    assert not saving.skipped
    assert not saving.failures
    assert saving.n_left == 0


def test_choice_of_subfolders(photos, out, tmp_path):
    data = table(photos, ["a", "b"] * 3)
    save_images(data, out, subfolders=False)
    assert len(os.listdir(out)) == 6
    group = DiscreteVariable("group", values=["x", "y"])
    data = data.add_column(group, [0, 1, 1, 1, 1, 0], to_metas=True)
    save_images(data, tmp_path / "other", subfolders="group")
    assert len(os.listdir(tmp_path / "other" / "x")) == 2
    assert len(os.listdir(tmp_path / "other" / "y")) == 4
    for wrong in ("image", "nothing"):
        with pytest.raises(ValueError, match=wrong):
            Saving(data, out, subfolders=wrong)


def test_no_subfolders_for_numbers(photos, out):
    domain = Domain([], ContinuousVariable("y"), table(photos).domain.metas)
    data = Table.from_numpy(domain, np.empty((6, 0)), np.arange(6), table(photos).metas)
    assert len(save_images(data, out).saved) == 6
    assert len(os.listdir(out)) == 6


def test_folder_that_cannot_be_made(photos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        save_images(table(photos), tmp_path / "file" / "out")


def test_class_values_stay_inside(photos, out, tmp_path):
    kinds = ["..", "../../up", "/etc", "a/b", "NUL", "x" * 500]
    saving = save_images(table(photos, kinds), out)
    assert len(saving.saved) == 6
    assert set(os.listdir(tmp_path)) <= {"photos", "out", "cache"}
    root = os.path.realpath(out)
    for _, path in saving.saved:
        assert os.path.dirname(os.path.dirname(os.path.realpath(path))) == root
    assert {"_", "_.._up", "_etc", "a_b", "_NUL"} < set(os.listdir(out))


def test_class_values_that_would_share_a_folder(photos, out):
    kinds = ["cat", "Cat", "cat.", "a/b", "a:b", "a_b"]
    save_images(table(photos, kinds), out)
    folders = os.listdir(out)
    assert len({name.casefold() for name in folders}) == 6
    assert sum(name.startswith("a_b") for name in folders) == 3


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


def test_names_that_are_the_same_to_some_systems(photos, out):
    names = ["É", "é", "e\u0301", "ß", "SS", "\u0131"]
    save_images(table(photos, names=names), out, names="names")
    found = tree(out)
    assert len(found) == 6
    assert sum("(2)" in name for name in found) == 2
    assert sum("(3)" in name for name in found) == 1


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


# Names


@pytest.mark.parametrize(
    "text, name",
    [
        ("cat", "cat"),
        ("IMG.2021.06", "IMG.2021.06"),
        ("..", "_"),
        ("", "_"),
        ("...", "_"),
        ("a/b\\c", "a_b_c"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        ("con", "_con"),
        ("CON.tar", "_CON.tar"),
        ("Aux .x", "_Aux .x"),
        ("NUL", "_NUL"),
        ("com¹", "_com¹"),
        ("LPT9", "_LPT9"),
        ("CONSOLE", "CONSOLE"),
        ("trailing. . ", "trailing"),
        (".hidden", "hidden"),
        ("a\0b\nc\x7f", "a_b_c_"),
        ("exe\u202egpj", "exe_gpj"),
        ("half\ud800", "half_"),
        ("e\u0301", "\xe9"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("猫 и кот", "猫 и кот"),
    ],
)
def test_safe_name(text, name):
    assert safe_name(text) == name
    assert safe_name(name) == name


def test_safe_name_of_anything():
    rng = np.random.default_rng(0)
    pool = "./\\: \0conCONàé猫😀\u202e\ud800" + "x" * 4
    for _ in range(3000):
        text = "".join(rng.choice(list(pool), rng.integers(0, 200)))
        name = safe_name(text)
        assert 0 < len(name.encode()) <= MAX_NAME
        assert name[0] not in ". "
        assert name[-1] not in ". "
        assert not set(name) & set('/\\:\0<>"|?*')


@pytest.mark.parametrize(
    "source, name",
    [
        ("/a/b/cat.jpg", "cat"),
        ("/a/b/IMG.2021.06.jpg", "IMG.2021.06"),
        ("/a/b/IMG.2021.06", "IMG.2021.06"),
        ("scan.SVGZ", "scan"),
        ("/a/.jpg", ".jpg"),
        ("https://x.org/a/my%20cat.png?size=2&x=/y#z", "my cat"),
        ("https://x.org/", "image"),
        ("http://[bad", "[bad"),
        ("data:image/png;base64,AAAA/BBBB", "image"),
    ],
)
def test_image_name(source, name):
    assert image_name(source) == name


def test_names_cut_at_last_dot_only(photos, out):
    paths = []
    for number in range(3):
        path = os.path.join(os.path.dirname(photos[0]), f"IMG.2021.{number}.jpg")
        os.rename(photos[number], path)
        paths.append(path)
    save_images(table(paths), out)
    assert tree(out) == [f"IMG.2021.{number}.png" for number in range(3)]


def test_clashes_get_numbers(photos, out):
    names = ["cat", "cat", "Cat", "cat (2)", "c/t", "c:t"]
    saving = save_images(table(photos, name=names), out, names="name")
    assert len(saving.saved) == 6
    assert [os.path.basename(path) for _, path in saving.saved] == [
        "cat.png",
        "cat (2).png",
        "Cat (3).png",
        "cat (2) (2).png",
        "c_t.png",
        "c_t (2).png",
    ]
    assert len({name.casefold() for name in tree(out)}) == 6


def test_long_names_that_clash(photos, out):
    names = ["猫" * 200 + str(number) for number in range(6)]
    saving = save_images(table(photos, name=names), out, names="name")
    assert len(saving.saved) == 6
    assert all(len(name.encode()) <= MAX_NAME for name in tree(out))


def test_names_from_variables(photos, out, tmp_path):
    titles = ["one.jpg", "", None, "v1.2", "..", "con"]
    data = table(photos, title=titles)
    save_images(data, out, names="title")
    assert tree(out) == [
        "_.png",
        "_con.png",
        "one.png",
        "photo 1.png",
        "photo 2.png",
        "v1.2.png",
    ]
    numbers = ContinuousVariable("number", number_of_decimals=0)
    times = TimeVariable("time", have_date=1, have_time=1)
    data = data.add_column(numbers, [3, 4, 5, 6, 7, np.nan])
    data = data.add_column(times, np.arange(6) * 3600.0)
    save_images(data, tmp_path / "numbers", names=numbers)
    names = ["3.png", "4.png", "5.png", "6.png", "7.png", "photo 5.png"]
    assert tree(tmp_path / "numbers") == names
    save_images(data, tmp_path / "times", names="time")
    assert "1970-01-01 05_00_00.png" in tree(tmp_path / "times")
    with pytest.raises(ValueError, match="nothing"):
        Saving(data, out, names="nothing")


def test_many_equal_names_are_quick(photos):
    n = 20_000
    data = table([photos[0]] * n)
    seen = []
    saving = Saving(data, "nowhere", callback=lambda *done: seen.append(done))
    assert saving.n_left == n
    # Quadratic work would take minutes.
    assert len(seen) < 100


# Files that exist


def fill(folder):
    os.makedirs(folder)
    for name in ("photo 0.png", "photo 0 (2).png", "other.txt"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(name.encode())


def test_skip(photos, out):
    fill(out)
    saving = Saving(table(photos), out)
    assert saving.n_existing() == 1
    saving()
    assert saving.skipped == [(photos[0], os.path.join(out, "photo 0.png"))]
    assert len(saving.saved) == 5
    assert read(os.path.join(out, "photo 0.png")) == b"photo 0.png"
    again = save_images(table(photos), out)
    assert len(again.skipped) == 6


def test_what_is_skipped_is_not_read(photos, out):
    fill(out)
    os.remove(photos[0])
    assert len(save_images(table(photos[:1]), out).skipped) == 1


def test_rename(photos, out):
    fill(out)
    saving = save_images(table(photos), out, existing="rename")
    assert len(saving.saved) == 6
    assert saving.saved[0][1] == os.path.join(out, "photo 0 (3).png")
    for name in ("photo 0.png", "photo 0 (2).png", "other.txt"):
        assert read(os.path.join(out, name)) == name.encode()


def test_rename_does_not_take_names_of_others(photos, out):
    fill(out)
    os.remove(os.path.join(out, "photo 0 (2).png"))
    data = table(photos[:2], name=["photo 0", "photo 0 (2)"])
    saving = save_images(data, out, names="name", existing="rename")
    names = [os.path.basename(path) for _, path in saving.saved]
    assert names == ["photo 0 (3).png", "photo 0 (2).png"]


def test_overwrite(photos, out):
    fill(out)
    saving = save_images(table(photos), out, existing="overwrite")
    assert len(saving.saved) == 6
    assert Image.open(os.path.join(out, "photo 0.png")).format == "PNG"
    for name in ("photo 0 (2).png", "other.txt"):
        assert read(os.path.join(out, name)) == name.encode()


def test_nothing_is_deleted(photos, out):
    """Whatever lies in the folder, it is all there afterwards."""
    fill(out)
    fill(os.path.join(out, "cats"))
    fill(os.path.join(out, "others"))
    before = {path: read(os.path.join(out, path)) for path in tree(out)}
    for existing in ("skip", "rename"):
        save_images(table(photos, ["cats"] * 6), out, existing=existing)
        assert (
            before.items() <= {p: read(os.path.join(out, p)) for p in tree(out)}.items()
        )
    save_images(table(photos, ["cats"] * 6), out, existing="overwrite")
    assert set(before) <= set(tree(out))


def test_images_of_the_data_are_never_overwritten(photos):
    folder = os.path.dirname(photos[0])
    before = [read(path) for path in photos]
    data = table(photos[:3])
    saving = save_images(data, folder, format="jpeg", size=(8, 8), existing="overwrite")
    assert len(saving.failures) == 3
    assert "image of the data" in saving.failures[0][1]
    # Those of other rows neither.
    data = table(photos[:2], name=["photo 1", "x"])
    saving = save_images(
        data, folder, names="name", format="jpeg", size=(8, 8), existing="overwrite"
    )
    assert len(saving.saved) == 1
    assert [read(path) for path in photos] == before


def test_folder_of_the_name(photos, out):
    os.makedirs(os.path.join(out, "photo 0.png", "kept"))
    saving = save_images(table(photos[:2]), out, existing="overwrite")
    assert "there is a folder named photo 0.png" in saving.failures[0][1]
    assert len(saving.saved) == 1
    assert os.path.isdir(os.path.join(out, "photo 0.png", "kept"))


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


# Writing


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


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_sources_that_cannot_be_used(photos, out, format, tmp_path):
    (tmp_path / "words.jpg").write_text("no image")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "cut.jpg").write_bytes(read(photos[0])[:200])
    bad = ["/no/such.jpg", None, "words.jpg", "empty.jpg", "cut.jpg", ".", "a\0b"]
    bad = [path and str(tmp_path / path) for path in bad]
    bad[0], bad[-1] = "/no/such.jpg", "a\0b"
    saving = save_images(table([*photos, *bad]), out, format=format)
    assert [source for source, _ in saving.saved] == photos
    reasons = [reason for _, reason in saving.failures]
    assert reasons[:4] == [
        "file not found",
        "no image is named",
        "not an image",
        "file is empty",
    ]
    assert reasons[5:] == ["is a folder", "not a valid path"]
    assert saving.failures[1][0] == "(missing)"
    assert len(tree(out)) == 6


def test_count_reasons():
    failures = [("a", "lost"), ("b", "full"), ("c", "full")]
    assert count_reasons(failures) == "full (2); lost (1)"
    assert count_reasons(failures, 1) == "full (2); ..."
    assert count_reasons([]) == ""


def test_files_are_as_others(photos, out):
    """Those of a temporary file would be readable by nobody else."""
    save_images(table(photos[:1]), out)
    plain = os.path.join(out, "plain")
    open(plain, "w").close()
    mode = os.stat(os.path.join(out, "photo 0.png")).st_mode
    assert mode == os.stat(plain).st_mode


# Stopping and going on


class Enough(Exception):
    pass


def test_stop_and_go_on(photos, out):
    paths = photos * 10
    saving = Saving(table(paths), out, size=(300, 300))

    def stop(n_done, n_all):
        assert n_all == 60
        if n_done >= 5:
            raise Enough

    with pytest.raises(Enough):
        saving(stop)
    n_saved = len(saving.saved)
    assert 5 <= n_saved < 60
    assert saving.n_left == 60 - n_saved
    assert len(tree(out)) == n_saved
    assert saving.n_existing() == 0
    stamps = {path: os.stat(path).st_mtime_ns for _, path in saving.saved}

    calls = []
    saving(lambda n_done, n_all: calls.append(n_done))
    assert calls[0] == n_saved
    assert calls[-1] == 60
    assert calls == sorted(calls)
    assert len(saving.saved) == 60
    assert [source for source, _ in saving.saved] == paths
    assert all(os.stat(p).st_mtime_ns == stamp for p, stamp in stamps.items())
    saving()
    assert len(tree(out)) == 60


def test_going_on_waits_for_the_one_before(photos, out):
    saving = Saving(table(photos * 5), out)
    threads = [threading.Thread(target=saving) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(saving.saved) == 30
    assert len(tree(out)) == 30


# Encoding


def test_what_is_not_changed_is_copied():
    for format in FORMATS:
        if format.id == "pdf":
            continue
        original = content(format.pillow)
        encode = Encoding(format.id, quality=10)
        assert encode(original) is original
        size = Image.open(io.BytesIO(original)).size
        for fit in FITS:
            assert Encoding(format.id, size=size, fit=fit)(original) is original


def test_several_jpegs_in_one_file_are_a_jpeg():
    two = [Image.new("RGB", (64, 48), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    two[0].save(buffer, "MPO", save_all=True, append_images=two[1:])
    original = buffer.getvalue()
    assert Encoding("jpeg")(original) is original


def test_animations_are_copied():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert Encoding("gif")(buffer.getvalue()) == buffer.getvalue()


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.id)
def test_formats(format, photos, out):
    saving = save_images(table(photos[:2]), out, format=format.id, size=(100, 100))
    assert not saving.failures
    for _, path in saving.saved:
        assert path.endswith(format.extension)
        if format.id == "pdf":
            written = read(path)
            assert written.startswith(b"%PDF")
            assert b"%%EOF" in written
            continue
        with Image.open(path) as image:
            image.load()
            assert image.format == format.pillow
            assert image.size == (100, 75)
            seen = np.asarray(image.convert("RGB"), float)
        with Image.open(photos[0]) as original:
            expected = original.resize((100, 75), Image.Resampling.LANCZOS)
        if path == saving.saved[0][1]:
            difference = np.abs(seen - np.asarray(expected, float)).mean()
            assert difference < (12 if format.id == "gif" else 4)


def test_quality():
    original = content(size=(200, 200))
    for format in FORMATS:
        low, high = (Encoding(format.id, quality=q)(original) for q in (10, 95))
        assert (len(low) < len(high)) == format.lossy


def test_sizes():
    original = content(size=(64, 48))

    def size(*args):
        made = Encoding("bmp", 90, *args)(original)
        return Image.open(io.BytesIO(made)).size

    assert size((32, 32), "keep") == (32, 24)
    assert size((128, 1000), "keep") == (128, 96)
    assert size((32, 32), "stretch") == (32, 32)
    assert size((32, 32), "crop") == (32, 32)
    assert size(None) == (64, 48)
    assert size((1, 1), "keep") == (1, 1)


def test_crop_keeps_the_middle():
    image = Image.new("RGB", (90, 30), "red")
    image.paste("blue", (30, 0, 60, 30))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    made = Encoding("bmp", size=(10, 10), fit="crop")(buffer.getvalue())
    pixels = np.asarray(Image.open(io.BytesIO(made)), float)
    assert pixels[:, 1:-1, 2].min() > 250
    assert pixels[..., 2].min() > 200


def test_very_long_images():
    original = content(size=(5000, 1))
    made = Encoding("png", size=(50, 50))(original)
    assert Image.open(io.BytesIO(made)).size == (50, 1)
    made = Encoding("png", size=(50, 50), fit="crop")(original)
    assert Image.open(io.BytesIO(made)).size == (50, 50)


def test_size_of_a_network(photos, out):
    saving = save_images(table(photos[:1]), out, size="inception-v3", fit="crop")
    with Image.open(saving.saved[0][1]) as image:
        assert image.size == (299, 299)
    with pytest.raises(ValueError, match="nothing"):
        Saving(table(photos), out, size="nothing")


def test_icons():
    assert Image.open(io.BytesIO(Encoding("ico")(content(size=(600, 300))))).size == (
        256,
        128,
    )
    small = Encoding("ico")(content(size=(5, 3)))
    assert Image.open(io.BytesIO(small)).size == (5, 3)


def test_turned_photos():
    exif = Image.Exif()
    exif[0x0112] = 6
    original = content("JPEG", (64, 48), exif=exif)
    made = Image.open(io.BytesIO(Encoding("png")(original)))
    assert made.size == (48, 64)
    assert not made.getexif().get(0x0112)
    assert Encoding("jpeg", size=(48, 64))(original) is original
    made = Image.open(io.BytesIO(Encoding("jpeg", size=(24, 24))(original)))
    assert made.size == (18, 24)
    assert not made.getexif()


def test_all_modes_become_all_formats():
    sources = [
        content("PNG", mode=mode)
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    ]
    sources += [content("JPEG", mode="CMYK"), content("TIFF", mode="F")]
    sources.append(b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'/>")
    for original in sources:
        for format in FORMATS:
            assert Encoding(format.id)(original)
            assert Encoding(format.id, size=(20, 20))(original)


def test_colour_profiles():
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = rgb[:16] + b"CMYK" + rgb[20:]
    for format in ("jpeg", "png", "tiff", "webp"):
        for profile, kept in ((rgb, rgb), (other, None)):
            original = content("PNG", icc_profile=profile)
            made = Encoding(format, size=(9, 9), fit="stretch")(original)
            assert Image.open(io.BytesIO(made)).info.get("icc_profile") == kept


def test_private_data_do_not_go_along():
    exif = Image.Exif()
    exif[0x010E] = "at home"
    original = content("JPEG", exif=exif)
    for format in FORMATS:
        assert b"at home" not in Encoding(format.id, size=(9, 9))(original)


def test_what_a_format_cannot_hold():
    original = content(size=(20000, 2))
    with pytest.raises(ImageError, match="WebP holds at most 16,383 pixels a side"):
        Encoding("webp")(original)
    assert Encoding("jpeg")(original)


def test_errors_of_encoders(monkeypatch):
    def fail(*_, **__):
        raise zlib.error("odd")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(ImageError, match=r"cannot be made a TIFF \(odd\)"):
        Encoding("tiff")(base64.b64decode(PIXEL))


PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


def test_unexpected_errors_are_of_one_image(photos, out, monkeypatch):
    def fail(self, content, page):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Encoding, "__call__", fail)
    saving = save_images(table(photos), out)
    assert {r for _, r in saving.failures} == {"unexpected error (RuntimeError)"}


@pytest.mark.parametrize(
    "options",
    [
        {"format": "eps"},
        {"quality": 0},
        {"quality": 101},
        {"fit": "squeeze"},
        {"size": (0, 5)},
        {"size": (10**6, 10**6)},
        {"existing": "delete"},
    ],
)
def test_wrong_arguments(photos, out, options):
    with pytest.raises(ValueError):
        save_images(table(photos), out, **options)
    assert not os.path.exists(out)


def test_columns(photos, out):
    data = table(["x"] * 6, path=photos)
    assert len(save_images(data, out, "path").saved) == 6
    with pytest.raises(ValueError, match="no column that could name images"):
        Saving(Table("iris"), out)
    assert save_images(data[:0], out).saved == []


# Images from the web


class FakeFetcher:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def fetch_all(self, urls, cancelled):
        (url,) = urls
        if url.endswith("slow.png"):
            cancelled.wait(20)
            return
        bad = url.endswith("bad.png")
        yield url, ImageError("404 Not Found") if bad else base64.b64decode(PIXEL)


def test_web_and_data_addresses(photos, out, monkeypatch):
    monkeypatch.setattr(module, "Fetcher", FakeFetcher)
    urls = ["https://x.org/a.png?b=c", "http://x.org/a.png", "https://x.org/bad.png"]
    data = table([*urls, "data:image/png;base64," + PIXEL, photos[0]])
    saving = save_images(data, out)
    assert tree(out) == ["a (2).png", "a.png", "image.png", "photo 0.png"]
    assert read(os.path.join(out, "a.png")) == base64.b64decode(PIXEL)
    assert saving.failures == [(urls[2], "404 Not Found")]


def test_stopping_does_not_wait_for_servers(photos, out, monkeypatch):
    monkeypatch.setattr(module, "Fetcher", FakeFetcher)
    urls = [f"https://x.org/{number}/slow.png" for number in range(9)]
    saving = Saving(table([photos[0], *urls]), out)

    def stop(n_done, n_all):
        if n_done:
            raise Enough

    with pytest.raises(Enough):
        saving(stop)
    assert saving.n_left == 9
    assert not saving.failures


# Deep images and pages --------------------------------------------------------------


def pixels_of(path):
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def test_pages(tmp_path, out):
    save_stack(tmp_path / "cells.tif", n_planes=2)
    path = str(tmp_path / "cells.tif")
    paths = [f"{path}#page={number}" for number in range(1, 5)]
    saving = save_images(table([*paths, f"{path}#page=9", path]), out)
    names = [f"cells page {number}.png" for number in range(1, 5)]
    assert tree(out) == [*names, "cells.png"]
    assert [reason for _, reason in saving.failures] == [
        "there is no page 9, the last is 4"
    ]
    for number, name in enumerate(names, 1):
        expected = np.asarray(decode(read(path), page=number))
        assert (pixels_of(os.path.join(out, name)) == expected).all()
    assert (pixels_of(os.path.join(out, "cells.png")) == decode(read(path))).all()


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_what_is_saved_is_what_the_network_sees(tmp_path, out, format):
    deep, plain = str(tmp_path / f"deep.{format}"), str(tmp_path / f"plain.{format}")
    values = np.linspace(100, 700, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(values).save(deep)
    Image.fromarray(values.astype(np.uint8)).save(plain)
    data = table([deep, plain])
    save_images(data, out, format=format)
    found = pixels_of(os.path.join(out, f"deep.{format}"))
    assert (found == decode(read(deep))).all()
    assert found.min() == 0 and found.max() == 255
    # Of 8 bits it is what it was.
    assert read(os.path.join(out, f"plain.{format}")) == read(plain)
    data.domain["image"].attributes["intensity"] = "0:1000"
    save_images(data, out, format=format, existing="overwrite")
    found = pixels_of(os.path.join(out, f"deep.{format}"))
    assert (found == decode(read(deep), intensity=(0, 1000))).all()
    assert found.max() == 178


def test_the_images_of_the_data_are_protected_whatever_page_is_meant(tmp_path):
    save_stack(tmp_path / "cells.tiff", n_planes=2)
    path = str(tmp_path / "cells.tiff")
    before = read(path)
    data = table([f"{path}#page=1"], name=["cells"])
    saving = save_images(
        data, str(tmp_path), names="name", format="tiff", existing="overwrite"
    )
    assert [reason for _, reason in saving.failures] == [
        "it would replace an image of the data"
    ]
    assert read(path) == before


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/a/cells.ome.tif#page=3", "cells.ome page 3"),
        ("http://h/a%20b.tif?x#page=2", "a b page 2"),
        ("scan.dng", "scan"),
        ("scan.dcm", "scan"),
        ("a.jxl", "a"),
    ],
)
def test_names_of_pages_and_formats(source, name):
    assert image_name(source) == name


def test_stop_during_a_drawing_without_end(tmp_path, out, monkeypatch):
    path = tmp_path / "slow.svg"
    path.write_bytes(
        b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="900">'
        b'<filter id="f"><feTurbulence numOctaves="1000000000"/></filter>'
        b'<rect width="900" height="900" filter="url(#f)"/></svg>'
    )
    saving = Saving(table([str(path)]), out)

    n_calls = 0

    def stop(*_):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise InterruptedError

    monkeypatch.setattr(drawing, "DRAWING_SECONDS", 300)
    start = time.monotonic()
    with pytest.raises(InterruptedError):
        saving(stop)
    assert time.monotonic() - start < 100  # it does not wait for the drawing
    assert saving.n_left == 1 and not saving.failures


def test_choosing_names_and_looking_for_files_can_be_stopped(photos, out, monkeypatch):
    monkeypatch.setattr(module, "TICK_SECONDS", 0)
    data = table(photos)
    saving = Saving(data, out)

    def stop(n_done, n_all):
        assert (n_done, n_all) == (0, 6)
        raise Enough

    with pytest.raises(Enough):
        Saving(data, out, callback=stop)
    with pytest.raises(Enough):
        saving.n_existing(stop)
    saving.existing = "overwrite"
    with pytest.raises(Enough):
        saving(stop)
    assert saving.n_left == 6
    assert tree(out) == []
    saving()
    assert len(saving.saved) == 6
