import base64
import os
import threading
from io import BytesIO

import pytest
from AnyQt.QtGui import QImage
from helpers import make_image
from PIL import Image
from shard_files import jpeg, make_shard

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.shards import member_source, shard_members
from orangecontrib.imageanalytics.widgets.sheet import thumbnails
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailCache,
    ThumbnailLoader,
    fitted,
    render,
    to_qimage,
)
from orangecontrib.imageanalytics.widgets.utils import jobs

BOX = (50, 50)


@pytest.fixture
def loader():
    loader = ThumbnailLoader()
    yield loader
    loader.close()


class Gate:
    """Stands in for `render`: notes what is asked for, and waits to be opened."""

    def __init__(self, is_open=True):
        self.sources = []
        self.threads = set()
        self.open = threading.Event()
        if is_open:
            self.open.set()

    def __call__(self, source, content, box, intensity):
        self.sources.append(source)
        self.threads.add(threading.get_ident())
        assert self.open.wait(20)
        return Thumbnail(source, box, QImage(*box, QImage.Format.Format_RGB32), box)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(thumbnails, "render", gate)
    yield gate
    gate.open.set()


class Server:
    """Stands in for `Fetcher`."""

    made = 0
    fetch = Fetcher.fetch

    def __init__(self):
        type(self).made += 1
        self.closed = False

    def fetch_all(self, urls, cancelled):
        for url in urls:
            if "hangs" in url:
                assert cancelled.wait(20)
                return
            yield url, ImageError("404 Not Found") if "missing" in url else image()

    def close(self):
        self.closed = True


@pytest.fixture
def server(monkeypatch):
    server = type("OneServer", (Server,), {})
    monkeypatch.setattr(jobs, "Fetcher", server)
    return server


def image(size=(120, 60)):
    file = BytesIO()
    Image.new("RGB", size, (255, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "size, box, expected",
    [
        ((200, 100), (50, 50), (50, 25)),
        ((100, 200), (50, 50), (25, 50)),
        ((10, 5), (50, 50), (50, 25)),
        ((10000, 1), (50, 50), (50, 1)),
        ((640, 480), None, (640, 480)),
    ],
)
def test_fitted(size, box, expected):
    assert fitted(size, box) == expected


def test_fitted_full_size_is_bounded():
    width, height = fitted((13000, 13000), None)
    assert 0.99 < width * height / thumbnails.MAX_SHOWN_PIXELS <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (700, 900)])
def test_to_qimage_has_the_same_pixels(size):
    # The largest takes several strips.
    colours = Image.effect_noise(size, 90).convert("RGB")
    colours.putpixel((0, 0), (1, 2, 3))
    image = to_qimage(colours)
    assert (image.width(), image.height()) == size
    assert image.pixel(0, 0) == 0xFF010203
    for place in ((size[0] - 1, size[1] - 1), (size[0] // 2, size[1] // 2)):
        shown = image.pixelColor(*place)
        shown = shown.red(), shown.green(), shown.blue(), shown.alpha()
        assert shown == (*colours.getpixel(place), 255)


def test_render_fits_and_knows_the_whole_size(photos):
    with open(photos[0], "rb") as file:
        thumbnail = render(photos[0], file.read(), BOX)
    assert (thumbnail.image.width(), thumbnail.image.height()) == (50, 38)
    assert thumbnail.size == (320, 240)


def test_render_full_size(photos):
    with open(photos[0], "rb") as file:
        thumbnail = render(photos[0], file.read(), None)
    assert (thumbnail.image.width(), thumbnail.image.height()) == (320, 240)


@pytest.mark.parametrize("kind", ["file", "data", "web"])
def test_images_are_decoded_once_and_no_larger_than_needed(kind, tmp_path, monkeypatch):
    path = str(tmp_path / "large.jpg")
    make_image(0, (1600, 1200)).save(path)
    with open(path, "rb") as file:
        content = file.read()
    encoded = base64.b64encode(content).decode()
    source, content = {
        "file": (path, None),
        "data": (f"data:image/jpeg;base64,{encoded}", None),
        "web": ("https://example.org/large.jpg", content),
    }[kind]
    sizes = []

    def spy(*args):
        image = decode(*args)
        sizes.append(image.size)
        return image

    decode = thumbnails.decode
    monkeypatch.setattr(thumbnails, "decode", spy)
    thumbnail = render(source, content, (100, 100))
    # JPEGs are decoded at 1/8.
    assert sizes == [(200, 150)]
    assert thumbnail.size == (1600, 1200)
    assert (thumbnail.image.width(), thumbnail.image.height()) == (100, 75)


def test_render_applies_the_orientation(tmp_path):
    path = str(tmp_path / "turned.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100)).save(path, exif=exif)
    with open(path, "rb") as file:
        thumbnail = render(path, file.read(), BOX)
    assert (thumbnail.image.width(), thumbnail.image.height()) == (25, 50)
    assert thumbnail.size == (100, 200)


def test_render_vector_graphics_sharply():
    content = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8">'
        b'<rect width="4" height="8" fill="black"/></svg>'
    )
    thumbnail = render("http://example.org/x.svg", content, (80, 80))
    assert thumbnail.size == (8, 8)
    row = [thumbnail.image.pixelColor(x, 40).red() for x in range(80)]
    assert set(row[:39]) == {0} and set(row[41:]) == {255}


def test_cache_drops_the_least_recently_used():
    def entry(name):
        return Thumbnail(name, BOX, QImage(100, 100, QImage.Format.Format_RGB32))

    size = entry("any").n_bytes
    assert size > 40_000
    cache = ThumbnailCache(3 * size)
    for name in "abc":
        cache.put(entry(name))
    cache.get("a")
    cache.put(entry("d"))
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]
    assert cache.n_bytes == 3 * size
    cache.put(entry("d"))
    assert cache.n_bytes == 3 * size
    cache.clear()
    assert len(cache) == cache.n_bytes == 0


def test_cache_keeps_the_last_however_large():
    cache = ThumbnailCache(10)
    cache.put(Thumbnail("a", BOX))
    cache.put(Thumbnail("b", BOX))
    assert cache.get("a") is None and cache.get("b") is not None


def test_failures_take_memory_too():
    cache = ThumbnailCache(10_000)
    for index in range(100):
        cache.put(Thumbnail(str(index), BOX, error="file not found"))
    assert 1 < len(cache) <= 10


def test_loads_files_and_data(loader, until, photos):
    data = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>"
    received = []
    loader.loaded.connect(received.extend)
    loader.request([*photos, data], BOX)
    assert not loader.idle
    until(lambda: loader.idle)
    assert {thumbnail.source for thumbnail in received} == {*photos, data}
    for source in (*photos, data):
        assert loader.get(source).image is not None
    assert loader.get(photos[0]).stamp[0] == os.path.getsize(photos[0])
    assert loader.get(data).stamp is None


def test_failures_say_why(loader, until, tmp_path):
    missing, text = str(tmp_path / "none.png"), tmp_path / "text.png"
    text.write_text("just words")
    loader.request([missing, str(text), "\0"], BOX)
    until(lambda: loader.idle)
    assert loader.get(missing).error == "file not found"
    assert loader.get(str(text)).error == "not an image"
    assert loader.get("\0").error == "not a valid path"


def test_nothing_is_touched_in_the_gui_thread(loader, until, photos, monkeypatch):
    threads = {}

    def spy(name):
        function = getattr(thumbnails, name)

        def spied(*args, **kwargs):
            threads.setdefault(name, set()).add(threading.get_ident())
            return function(*args, **kwargs)

        monkeypatch.setattr(thumbnails, name, spied)

    names = ("stamp", "opened", "content_header", "decode", "to_qimage")
    for name in names:
        spy(name)
    loader.request(photos, BOX)
    until(lambda: loader.idle)
    assert set(threads) == set(names)
    assert threading.get_ident() not in set.union(*threads.values())


def test_what_is_loaded_is_not_loaded_again(loader, until, gate):
    loader.request(["a", "b"], BOX)
    until(lambda: loader.idle)
    loader.request(["a", "b", "c"], BOX)
    until(lambda: loader.idle)
    assert sorted(gate.sources) == ["a", "b", "c"]
    loader.request(["a"], (70, 70))
    until(lambda: loader.idle)
    assert gate.sources[3:] == ["a"]
    assert loader.get("a").box == (70, 70)


def test_first_things_first_and_what_is_out_of_sight_is_dropped(
    until, gate, monkeypatch
):
    monkeypatch.setattr(thumbnails, "DECODERS", 1)
    loader = ThumbnailLoader()
    gate.open.clear()
    loader.request([f"old {index}" for index in range(100)], BOX)
    until(lambda: gate.sources)
    new = [f"new {index}" for index in (3, 1, 2)]
    loader.request(new, BOX)
    gate.open.set()
    until(lambda: loader.idle)
    loader.close()
    assert gate.sources == ["old 0", *new]
    assert loader.get("old 0") is None
    assert all(loader.get(source) for source in new)


def test_what_is_running_and_still_wanted_is_not_started_anew(loader, until, gate):
    gate.open.clear()
    loader.request(["a"], BOX)
    until(lambda: gate.sources == ["a"])
    loader.request(["b", "a"], BOX)
    gate.open.set()
    until(lambda: loader.idle)
    assert sorted(gate.sources) == ["a", "b"]
    assert loader.get("a") is not None


def test_memory_is_bounded(until, gate):
    loader = ThumbnailLoader(cache_bytes=200_000)
    try:
        for start in range(0, 100, 10):
            loader.request([str(index) for index in range(start, start + 10)], BOX)
            until(lambda: loader.idle)
        assert len(gate.sources) == 100
        assert 100_000 < loader.cache.n_bytes <= 200_000
    finally:
        loader.close()


def test_refresh_loads_what_has_changed(loader, until, photos, monkeypatch):
    changed, same, absent = photos[0], photos[1], photos[2] + ".later.jpg"
    loader.request([changed, same, absent], BOX)
    until(lambda: loader.idle)
    unchanged = loader.get(same)
    Image.new("RGB", (30, 10)).save(changed)
    os.rename(photos[2], absent)
    loader.request([changed, same, absent], BOX)
    assert loader.get(changed).size == (320, 240)

    loader.refresh()
    loader.request([changed, same, absent], BOX)
    until(lambda: loader.idle)
    assert loader.get(changed).size == (30, 10)
    assert loader.get(same) is unchanged
    assert loader.get(absent).image is not None


def test_downloads(loader, until, server):
    loader.request(["http://x/1.png", "HTTPS://x/missing.png"], BOX)
    until(lambda: loader.idle)
    thumbnail = loader.get("http://x/1.png")
    assert thumbnail.size == (120, 60) and thumbnail.image.width() == 50
    assert loader.get("HTTPS://x/missing.png").error == "404 Not Found"
    assert server.made == 1


def test_downloads_that_hang_hold_up_nothing(loader, until, server, photos):
    urls = [f"http://x/hangs {index}" for index in range(50)]
    loader.request([*urls, *photos], BOX)
    until(lambda: all(loader.get(photo) for photo in photos))
    assert not loader.idle
    loader.request(["http://x/1.png"], BOX)
    until(lambda: loader.idle)
    assert loader.get("http://x/1.png").image is not None
    assert not any(loader.get(url) for url in urls)


def test_refresh_gives_dead_hosts_another_chance(loader, until, server):
    loader.request(["http://x/1.png"], BOX)
    until(lambda: loader.idle)
    loader.refresh()
    loader.request(["http://x/1.png"], BOX)
    until(lambda: loader.idle)
    assert server.made == 2


def test_closing_ends_the_threads(until, server, photos):
    before = set(threading.enumerate())
    loader = ThumbnailLoader()
    loader.request([*photos, "http://x/1.png", "http://x/hangs"], BOX)
    until(lambda: loader.get("http://x/1.png"))
    assert set(threading.enumerate()) - before
    loader.close()
    until(lambda: not set(threading.enumerate()) - before)


def test_unexpected_errors_do_not_end_the_thread(loader, until, gate, monkeypatch):
    def fail(source, *_):
        if source == "bad":
            raise RuntimeError("no one foresaw this")
        return gate(source, *_)

    monkeypatch.setattr(thumbnails, "render", fail)
    loader.request(["bad", *"abcdefgh"], BOX)
    until(lambda: loader.idle)
    assert all(loader.get(source) for source in "abcdefgh")
    assert "RuntimeError" in loader.get("bad").error


def test_what_is_read_before_a_refresh_does_not_count(
    loader, until, photos, monkeypatch
):
    reading, go_on = threading.Event(), threading.Event()
    render = thumbnails.render

    def slowly(*args):
        result = render(*args)
        reading.set()
        go_on.wait(20)
        return result

    monkeypatch.setattr(thumbnails, "render", slowly)
    loader.request([photos[0]], (32, 32))
    assert reading.wait(20)
    Image.new("RGB", (50, 10)).save(photos[0])
    loader.refresh()
    loader.request([photos[0]], (32, 32))
    go_on.set()
    until(lambda: loader.idle)
    assert loader.get(photos[0]).size == (50, 10)


def test_stores_and_shards(loader, until, s3_server, tmp_path):
    shard = make_shard([("in/a.jpg", jpeg(1))])
    (tmp_path / "a.tar").write_bytes(shard)
    places = str(tmp_path / "a.tar"), s3_server.put("a.tar", shard)
    (member,) = shard_members(places[0])
    sources = [member_source(place, member) for place in places]
    sources.append(s3_server.put("b.jpg", jpeg(2)))
    loader.request([*sources, "s3://photos/missing.jpg"], BOX)
    until(lambda: loader.idle)
    assert [loader.get(source).size for source in sources] == [(64, 48)] * 3
    assert loader.get(sources[0]).stamp[0] == 512 + len(jpeg(1))
    assert loader.get("s3://photos/missing.jpg").error == "file not found"


def test_what_is_dropped_and_wanted_again_is_loaded(loader, until, monkeypatch):
    gate = Gate(is_open=False)
    monkeypatch.setattr(thumbnails, "render", gate)
    loader.request(["a"], BOX)
    until(lambda: gate.sources)
    # As when a view is scrolled away and back
    loader.request([], BOX)
    loader.request(["a"], BOX)
    gate.open.set()
    until(lambda: loader.idle)
    assert loader.get("a") is not None


def test_it_tells_when_everything_has_come_in(loader, until, gate, monkeypatch):
    # The last thumbnails come in before the threads are found to be idle.
    idle, results = jobs.Workers.idle.fget, loader._work.results
    monkeypatch.setattr(
        jobs.Workers, "idle", property(lambda self: not results and idle(self))
    )
    events = []
    loader.loaded.connect(
        lambda thumbnails: events.extend(t.source for t in thumbnails)
    )
    loader.finished.connect(lambda: events.append("finished"))
    for sources in (["a"], ["a"], [], ["a", "b"]):
        loader.request(sources, BOX)
        until(lambda: loader.idle)
    assert events == ["a", "finished", "finished", "finished", "b", "finished"]


def test_it_has_not_finished_if_more_is_requested(loader, until, gate):
    finished = []
    loader.finished.connect(lambda: finished.append(list(gate.sources)))
    requested = iter(["b", "c"])

    def request_more(thumbnails):
        for source in requested:
            loader.request([source], BOX)
            return

    loader.loaded.connect(request_more)
    loader.request(["a"], BOX)
    until(lambda: finished)
    assert finished == [["a", "b", "c"]]


def test_capacity():
    cache = ThumbnailCache(1_000_000)
    count = cache.capacity(BOX)
    for number in range(2 * count):
        image = QImage(*BOX, QImage.Format.Format_RGB32)
        cache.put(Thumbnail(str(number), BOX, image, BOX))
    assert len(cache) == count
    assert cache.capacity((1000, 1000)) == 1
