import html
import re
import threading
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from helpers import make_image
from PIL import Image

from orangecontrib.imageanalytics import contact_sheet
from orangecontrib.imageanalytics.contact_sheet import (
    ContactSheet,
    Entry,
    Key,
    cropped,
    load_images,
    write_html,
)
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import parallel
from orangecontrib.imageanalytics.images.sources import read_local

NASTY = '<b>"it\'s" & more</b>'


@pytest.fixture
def sources(tmp_path):
    """Four images, each of a size and brightness of its own."""
    paths = []
    for number in range(4):
        path = tmp_path / f"image {number}.png"
        level = 60 * number
        Image.new("RGB", (400 + number, 200), (level, level, level)).save(path)
        paths.append(str(path))
    return paths


class _Tags(HTMLParser):
    """Start tags with their attributes, and all text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip():
            self.text.append(data.strip())

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


def written(sheet, tmp_path, **options):
    path = tmp_path / "sheet.html"
    result = write_html(sheet, str(path), **options)
    return result, _Tags(path.read_text("utf-8"))


def shown(tags):
    """The images in the file, as what a browser would decode."""
    return [
        Image.open(BytesIO(read_local(attrs["src"]))).convert("RGB")
        for attrs in tags.all("img")
    ]


def test_all_images_are_in_the_one_file(sources, tmp_path):
    sheet = ContactSheet("Sheet", [Entry(source) for source in sources], edge=100)
    result, tags = written(sheet, tmp_path)
    assert (result.n_images, result.failures) == (4, [])
    images = shown(tags)
    assert [round(np.mean(image) / 60) for image in images] == [0, 1, 2, 3]
    assert all(max(image.size) == 200 for image in images)
    assert not any(
        "http" in value for _, attrs in tags.tags for value in attrs.values()
    )


def test_small_images_take_no_more_bytes_than_they_have(tmp_path):
    make_image(1, (30, 20)).save(tmp_path / "small.png")
    _, tags = written(ContactSheet("", [Entry(str(tmp_path / "small.png"))]), tmp_path)
    assert [image.size for image in shown(tags)] == [(30, 20)]
    # A browser enlarges them, as the widgets do.
    assert tags.all("img")[0]["style"].startswith("width:100px")


def test_what_comes_from_the_user_is_escaped(sources, tmp_path):
    entry = Entry(sources[0], (NASTY, "second"), group=NASTY)
    sheet = ContactSheet(NASTY, [entry], [Key(NASTY, "#112233", 7)], NASTY)
    _, tags = written(sheet, tmp_path)
    text = (tmp_path / "sheet.html").read_text("utf-8")
    assert NASTY not in text and html.escape(NASTY) in text
    assert tags.text.count(NASTY) == 5  # title twice, heading, label, legend's title
    assert f"{NASTY} (7)" in tags.text and "second" in tags.text


@pytest.mark.parametrize(
    "color", ["red;background:url(http://x)", '#12345"', "#1234567"]
)
def test_only_colours_become_style(sources, tmp_path, color):
    sheet = ContactSheet("", [Entry(sources[0], color=color)], [Key("a", color, 1)])
    written(sheet, tmp_path)
    assert color not in (tmp_path / "sheet.html").read_text("utf-8")


def test_colours_and_legend(sources, tmp_path):
    entries = [Entry(sources[0], color="#aabbcc"), Entry(sources[1])]
    sheet = ContactSheet("", entries, [Key("cats", "#aabbcc", 1234)], "animal")
    _, tags = written(sheet, tmp_path)
    framed, plain = tags.all("img")
    assert "#aabbcc" in framed["style"] and "solid" not in plain["style"]
    assert "animal" in tags.text and "cats (1,234)" in tags.text
    assert tags.all("i") == [{"style": "background:#aabbcc"}]


def test_groups_have_headings(sources, tmp_path):
    groups = ["cats", "cats", "dogs", "dogs"]
    entries = [Entry(s, group=g) for s, g in zip(sources, groups, strict=True)]
    sheet = ContactSheet("", entries)
    assert sheet.sections() == [("cats", range(2)), ("dogs", range(2, 4))]
    _, tags = written(sheet, tmp_path)
    assert len(tags.all("h2")) == 2
    assert [t for t in tags.text if t in ("cats", "dogs")] == ["cats", "dogs"]


def test_sections_without_groups_or_images():
    assert ContactSheet("", [Entry("a"), Entry("b")]).sections() == [(None, range(2))]
    assert ContactSheet("", []).sections() == []


def test_lines():
    entries = [Entry(str(number)) for number in range(5)]
    assert ContactSheet("", entries).lines(range(5), 2) == [[0, 1], [2, 3], [4]]
    assert ContactSheet("", entries).lines(range(2, 5), 2) == [[2, 3], [4]]
    grid = ContactSheet("", entries, columns=3, cells=[1, 3, 5, 6, 10])
    assert grid.lines(range(5), 99) == [
        [None, 0, None],
        [1, None, 2],
        [3, None, None],
        [None, 4, None],
    ]


def test_places_on_a_grid(sources, tmp_path):
    entries = [Entry(source) for source in sources[:2]]
    sheet = ContactSheet("", entries, columns=3, cells=np.array([2, 4]))
    _, tags = written(sheet, tmp_path)
    places = [figure["style"] for figure in tags.all("figure")]
    assert places == ["grid-area:1/3", "grid-area:2/2"]


def test_squares_are_cut_from_the_middle(tmp_path):
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, 10:20] = 255
    image = cropped(Image.fromarray(stripes))
    assert image.size == (10, 10) and (np.asarray(image) == 255).all()
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    sheet = ContactSheet("", [Entry(str(tmp_path / "stripes.png"))], crop=True)
    _, tags = written(sheet, tmp_path)
    assert shown(tags)[0].size == (10, 10)


def test_images_that_cannot_be_read_leave_their_place_and_reason(sources, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    bad = [str(tmp_path / "text.png"), str(tmp_path / "none.png")]
    sheet = ContactSheet("", [Entry(s) for s in (sources[0], *bad, sources[3])])
    result, tags = written(sheet, tmp_path)
    assert result.n_images == 2
    assert [source for source, _ in result.failures] == bad
    assert result.failures[1][1] == "file not found"
    assert len(tags.all("figure")) == 4 and len(tags.all("img")) == 2
    assert "none.png" in tags.text and "file not found" in tags.text
    # Who gets the file is not to read where the images were.
    assert str(tmp_path) not in (tmp_path / "sheet.html").read_text("utf-8")


def test_names_that_no_encoding_can_write(sources, tmp_path):
    _, tags = written(ContactSheet("bad \udcff", [Entry(sources[0])]), tmp_path)
    assert "bad ?" in tags.text


def test_nothing_is_overwritten_unasked(sources, tmp_path):
    path = tmp_path / "sheet.html"
    path.write_text("mine")
    sheet = ContactSheet("", [Entry(sources[0])])
    with pytest.raises(FileExistsError, match=re.escape(f"{path} exists")):
        write_html(sheet, str(path))
    assert path.read_text() == "mine"
    write_html(sheet, str(path), overwrite=True)
    assert path.read_text("utf-8").startswith("<!DOCTYPE")


def test_cancelled_work_leaves_nothing(sources, tmp_path):
    path = tmp_path / "sheet.html"
    path.write_text("mine")
    before = sorted(tmp_path.iterdir())

    def callback(done, total):
        if done == 2:
            raise KeyboardInterrupt

    sheet = ContactSheet("", [Entry(source) for source in sources])
    with pytest.raises(KeyboardInterrupt):
        write_html(sheet, str(path), True, callback)
    assert path.read_text() == "mine" and sorted(tmp_path.iterdir()) == before


def test_progress(sources):
    calls = []
    sheet = ContactSheet("", [Entry(source) for source in sources])
    images = list(load_images(sheet, range(4), 50, lambda *call: calls.append(call)))
    assert [image.size for image in images] == [(50, 25)] * 4
    assert list(dict.fromkeys(calls)) == [(n, 4) for n in range(5)]


def test_callback_is_called_while_an_image_takes_long(sources, monkeypatch):
    go_on, calls = threading.Event(), []

    def slow(*_):
        go_on.wait(60)
        return Image.new("RGB", (1, 1))

    def callback(done, total):
        calls.append(done)
        if len(calls) == 3:
            go_on.set()

    monkeypatch.setattr(contact_sheet, "read_fitted", slow)
    sheet = ContactSheet("", [Entry(sources[0])])
    assert len(list(load_images(sheet, [0], 50, callback))) == 1
    assert calls[:3] == [0, 0, 0]


def test_only_a_few_images_are_read_ahead(sources, monkeypatch):
    read = []

    def spy(source, *_):
        read.append(source)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(contact_sheet, "read_fitted", spy)
    sheet = ContactSheet("", [Entry(sources[0])] * 1000)
    images = load_images(sheet, range(1000), 50)
    next(images)
    assert len(read) <= parallel.AHEAD * parallel.MOST_THREADS
    images.close()


def test_unexpected_errors_are_reasons(sources, monkeypatch):
    def fail(*_):
        raise RuntimeError("oh")

    monkeypatch.setattr(contact_sheet, "read_fitted", fail)
    sheet = ContactSheet("", [Entry(sources[0])])
    (error,) = load_images(sheet, [0], 50)
    assert isinstance(error, ImageError)
    assert str(error) == "unexpected error (RuntimeError)"
