import base64
import os
import threading
import time

import numpy as np
import pytest
from image_files import save_stack
from Orange.data import Table
from PIL import Image
from saved_files import PIXEL, Enough, fill, pixels_of, read, table, tree

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import drawing
from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.save_images import (
    Encoding,
    Saving,
    count_reasons,
    progress,
    save_images,
)
from orangecontrib.imageanalytics.save_images import saving as module


def test_folder_that_cannot_be_made(photos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        save_images(table(photos), tmp_path / "file" / "out")


# Files that exist


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


# Writing


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


# Stopping and going on


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


# Arguments and errors


def test_size_of_a_network(photos, out):
    saving = save_images(table(photos[:1]), out, size="inception-v3", fit="crop")
    with Image.open(saving.saved[0][1]) as image:
        assert image.size == (299, 299)
    with pytest.raises(ValueError, match="nothing"):
        Saving(table(photos), out, size="nothing")


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
    fetch = Fetcher.fetch

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


# Pages


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
    monkeypatch.setattr(progress, "TICK_SECONDS", 0)
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
