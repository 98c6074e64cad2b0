"""Folders to be listed, and what a listing contains."""

import contextlib
import tracemalloc

from helpers import make_image
from shard_files import jpeg

from orangecontrib.imageanalytics.distributed.listing import (
    members_of,
)


def make_folder(tmp_path):
    """A folder with some of everything."""
    for name in (
        "b.jpg",
        "a.png",
        "notes.txt",
        ".hidden.jpg",
        "cats/2.jpg",
        "cats/10.jpg",
        "cats/young/1.JPG",
        ".secret/1.jpg",
        "@eaDir/thumb.jpg",
        "no extension",
        "page.html",
        "dogs and more/ž.gif",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        extension = path.suffix[1:].lower()
        if name == "no extension":
            path.write_bytes(jpeg(1))
        elif extension in ("txt", "html"):
            path.write_text("<html></html>")
        else:
            kind = "JPEG" if extension == "jpg" else extension
            make_image(len(name)).save(path, kind)
    return str(tmp_path / "photos")


def pairs(listing):
    """All sources with their categories."""
    found = []
    for part in listing.parts():
        categories = part.categories or [None] * len(part.sources)
        found += zip(part.sources, categories, strict=True)
    return found


def sources(listing):
    return [source for source, _ in pairs(listing)]


def names(listing, start):
    """The sources without what all have in common."""
    found = sources(listing)
    assert all(source.startswith(start) for source in found)
    return [source.removeprefix(start).lstrip("/") for source in found]


def rows(part, n=1000):
    return [pair for chunk in members_of(part, n) for pair in zip(*chunk, strict=True)]


KEYS = [
    "photos/.hidden/1.jpg",
    "photos/@eaDir/1.jpg",
    "photos/a b#1.jpg",
    "photos/cats/1.jpg",
    "photos/cats/young/2.JPG",
    "photos/cats.jpg",
    "photos/notes.txt",
    "photos/č.png",
    "photos2/x.jpg",
]


TAKEN = ["a b#1.jpg", "cats.jpg", "cats/1.jpg", "cats/young/2.JPG", "č.png"]


@contextlib.contextmanager
def little_memory(most):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
