"""Images of all kinds on their way to a network."""

import http.server
import io
import os
import shutil
import threading
import time
import zlib

import numpy as np
import pytest
import tifffile
from helpers import SOON, make_image, serving
from image_files import encoded, save_stack
from PIL import Image

from orangecontrib.imageanalytics.engine import batches, digests
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images import drawing
from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.import_images import ImportImages


def test_identical_files_are_embedded_once(embedder, photos, fresh_cache, counted):
    twins = []
    for index in range(20):
        twins.append(photos[0] + f".{index}.jpg")
        with open(photos[0], "rb") as source, open(twins[-1], "wb") as target:
            target.write(source.read())
    vectors = embedder([*twins, photos[1], *twins])
    assert sum(counted) == 2
    assert len({v.tobytes() for v in vectors}) == 2
    assert embedder.statistics.n_embedded == 41


def test_identical_broken_files(embedder, tmp_path):
    paths = [str(tmp_path / f"{index}.jpg") for index in range(9)]
    for path in paths:
        with open(path, "w") as file:
            file.write("no image")
    assert embedder(paths) == [None] * 9
    assert embedder.failures == dict.fromkeys(paths, "not an image")


def test_reduced_decoding_of_large_jpegs(tmp_path, monkeypatch):
    from sklearn.datasets import load_sample_images

    paths = []
    for index, image in enumerate(load_sample_images().images):
        paths.append(str(tmp_path / f"{index}.jpg"))
        Image.fromarray(image).resize((2560, 1708), 3).save(paths[-1], quality=92)
    for model in ("squeezenet", "efficientnet-lite0", "efficientnet-lite2"):
        with ImageEmbedder(model, "cpu", cache=False) as embedder:
            reduced = np.stack(embedder(paths))
            with monkeypatch.context() as patch:
                patch.setattr(batches, "decode", lambda content, *_: decode(content))
                full = np.stack(embedder(paths))
        assert not np.array_equal(reduced, full)
        cosine = (reduced * full).sum(1)
        cosine /= np.linalg.norm(reduced, axis=1) * np.linalg.norm(full, axis=1)
        assert cosine.min() >= 0.999


def test_orientation_is_applied(embedder, tmp_path):
    upright, turned = str(tmp_path / "upright.png"), str(tmp_path / "turned.png")
    image = make_image(3, (120, 80))
    image.save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    np.testing.assert_allclose(*embedder([upright, turned]), rtol=1e-5, atol=1e-5)


def test_bad_files_one_by_one(embedder, tmp_path):
    whole = encoded(make_image(1, (400, 300)), "JPEG")
    stream = io.BytesIO()
    Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    ).save(stream, "PNG")
    png = stream.getvalue()
    bomb = bytearray(png)
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    contents = {
        "empty.jpg": b"",
        "cut.jpg": whole[: len(whole) // 2],
        "cut.png": png[: len(png) // 2],
        "text.jpg": b"I am a text",
        "bomb.png": bytes(bomb),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken link.png").symlink_to(tmp_path / "nothing")
    names = [*contents, "folder.png", "broken link.png", "nothing.png"]
    paths = [str(tmp_path / name) for name in names]
    (tmp_path / "good.jpg").write_bytes(whole)
    *bad, good = embedder([*paths, str(tmp_path / "good.jpg")])
    assert bad == [None] * len(paths)
    assert good is not None
    reasons = {os.path.basename(p): r for p, r in embedder.failures.items()}
    assert set(reasons) == set(names)
    assert reasons["empty.jpg"] == "file is empty"
    assert "short" in reasons["cut.jpg"] and "short" in reasons["cut.png"]
    assert reasons["text.jpg"] == "not an image"
    assert "too many pixels" in reasons["bomb.png"]
    assert reasons["folder.png"] == "is a folder"
    assert reasons["broken link.png"] == "broken link"
    assert reasons["nothing.png"] == "file not found"


def test_odd_but_good_files(embedder, tmp_path):
    odd = {
        "wrong extension.jpg": (make_image(1), "PNG"),
        "dot.png": (Image.new("RGB", (1, 1), "red"), "PNG"),
        "line.png": (Image.new("L", (1, 20000), 100), "PNG"),
        "wide.png": (Image.new("1", (20000, 1)), "PNG"),
        "big.png": (Image.new("L", (10000, 6000), 100), "PNG"),
        "quo\"te's & 100%.png": (make_image(2), "PNG"),
        "中文 ščž.png": (make_image(3), "PNG"),
        os.fsdecode(b"\xff\xfe.png"): (make_image(4), "PNG"),
    }
    paths = []
    for name, (image, kind) in odd.items():
        paths.append(os.path.join(str(tmp_path), name))
        image.save(paths[-1], kind)
    vectors = embedder(paths)
    assert embedder.failures == {}
    assert all(np.isfinite(vector).all() for vector in vectors)


def test_a_image_that_cannot_be_scaled(embedder, photos, monkeypatch, fresh_cache):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(type(embedder._embedder.runner.preprocessing), "square", fail)
    assert embedder(photos[:1]) == [None]
    assert "too large" in embedder.failures[photos[0]]


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("name", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_images_have_the_vectors_of_those_of_8_bits(
    embedder, tmp_path, bits, name
):
    from skimage import data

    plain, deep = str(tmp_path / "plain.png"), str(tmp_path / f"deep.{name}")
    for array in (data.camera(), data.coffee()):
        Image.fromarray(array).save(plain)
        values = array.astype(np.uint16) * ((2**bits - 1) // 255)
        tifffile.imwrite(deep, values) if name == "tif" else write_png(deep, values)
        first, second = embedder([plain, deep])
        assert cosine(first, second) > 0.99


def write_png(path, values):
    import imagecodecs

    with open(path, "wb") as file:
        file.write(imagecodecs.png_encode(values))


def test_dim_images_are_not_black(embedder, tmp_path):
    from skimage import data

    plain, dim, black = (str(tmp_path / f"{name}.tif") for name in "abc")
    camera = data.camera()
    Image.fromarray(camera).save(plain)
    tifffile.imwrite(dim, (100 + camera.astype(float) * 600 / 255).astype(np.uint16))
    Image.new("L", (512, 512)).save(black)
    first, second, third = embedder([plain, dim, black])
    assert cosine(first, second) > 0.95 > cosine(first, third) + 0.2


def test_intensity_decides_and_is_remembered(tmp_path, fresh_cache):
    path = str(tmp_path / "deep.tif")
    save_stack(path, n_planes=1, n_channels=1)
    vectors = {}
    for intensity in ("auto", "full", (0, 4095), "0:4095", (0, 1000)):
        with ImageEmbedder("squeezenet", "cpu", intensity=intensity) as embedder:
            vectors[intensity] = embedder([path])[0]
            embedder([path])
            assert embedder.statistics.n_cached == 1
    assert np.array_equal(vectors[0, 4095], vectors["0:4095"])
    del vectors["0:4095"]
    different = {vector.tobytes() for vector in vectors.values()}
    assert len(different) == len(vectors)


def test_pages(embedder, tmp_path, fresh_cache, counted):
    save_stack(tmp_path / "a.tif", n_planes=3)
    table, _ = ImportImages(pages="all")(str(tmp_path))
    vectors = embedder(table)[0].X
    assert sum(counted) == 6
    assert len({vector.tobytes() for vector in vectors}) == 6
    # Each is the vector of a file with that plane alone.
    for number, plane in enumerate(
        tifffile.imread(tmp_path / "a.tif").reshape(6, 48, 64)
    ):
        path = str(tmp_path / f"{number}.tif")
        tifffile.imwrite(path, plane)
        (vector,) = embedder([path])
        np.testing.assert_allclose(vector, vectors[number], atol=1e-4)
    embedder(table)
    assert embedder.statistics.n_cached == 6


def test_a_file_of_many_pages_is_read_once_for_its_digest(
    embedder, tmp_path, fresh_cache, monkeypatch
):
    save_stack(tmp_path / "a.tif", n_planes=6)
    read, original = [], digests.digest_of_file
    monkeypatch.setattr(
        digests,
        "digest_of_file",
        lambda file: read.append(file.name) or original(file),
    )
    paths = [f"{tmp_path / 'a.tif'}#page={number}" for number in range(1, 13)]
    assert all(vector is not None for vector in embedder(paths))
    assert read == [str(tmp_path / "a.tif")]


def test_the_same_page_in_two_files(embedder, tmp_path, fresh_cache, counted):
    save_stack(tmp_path / "a.tif")
    shutil.copy(tmp_path / "a.tif", tmp_path / "b.tif")
    paths = [str(tmp_path / name) for name in ("a.tif#page=2", "b.tif#page=2")]
    first, second = embedder(paths)
    assert np.array_equal(first, second) and sum(counted) == 1
    (other,) = embedder([str(tmp_path / "a.tif#page=3")])
    assert not np.array_equal(first, other)


def test_pages_that_are_not_there(embedder, tmp_path):
    save_stack(tmp_path / "a.tif", n_planes=1)
    path = str(tmp_path / "a.tif")
    vectors = embedder([f"{path}#page=2", f"{path}#page=3", f"{path}x#page=1"])
    assert [vector is None for vector in vectors] == [False, True, True]
    assert embedder.failures == {
        f"{path}#page=3": "there is no page 3, the last is 2",
        f"{path}x#page=1": "file not found",
    }


def test_pages_from_the_web(embedder, tmp_path, fresh_cache):
    save_stack(tmp_path / "a.tif", n_planes=2)
    content = (tmp_path / "a.tif").read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with serving(Handler) as server:
        url = server.url + "a.tif"
        remote = embedder([f"{url}#page=1", f"{url}#page=4", f"{url}#page=9"])
        assert server.requests == ["/a.tif"]
    assert remote[2] is None
    assert "no page 9" in embedder.failures[f"{url}#page=9"]
    local = embedder([f"{tmp_path / 'a.tif'}#page={number}" for number in (1, 4)])
    assert np.array_equal(remote[:2], local)


SLOW_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="900">'
    b'<filter id="f"><feTurbulence numOctaves="1000000000"/></filter>'
    b'<rect width="900" height="900" filter="url(#f)"/></svg>'
)


def test_a_drawing_without_end_is_skipped(embedder, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "DRAWING_SECONDS", 1)
    path = tmp_path / "slow.svg"
    path.write_bytes(SLOW_SVG)
    vectors = embedder([str(path), *photos])
    assert [vector is None for vector in vectors] == [True] + 6 * [False]
    assert embedder.failures == {str(path): "takes longer than 1 s"}


def test_cancel_during_a_drawing_without_end(embedder, tmp_path):
    paths = []
    for number in range(8):
        paths.append(str(tmp_path / f"{number}.svg"))
        with open(paths[-1], "wb") as file:
            file.write(SLOW_SVG.replace(b"900", b"%d" % (900 + number)))
    threads = set(threading.enumerate())
    timer = threading.Timer(1, embedder.cancel)
    timer.start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        embedder(paths)
    assert time.monotonic() - start < 1 + SOON / 2
    # Nothing is left behind that would keep the program from ending.
    end = time.monotonic() + SOON
    while set(threading.enumerate()) - threads - {timer} and time.monotonic() < end:
        time.sleep(0.05)
    left = set(threading.enumerate()) - threads - {timer}
    assert not [thread for thread in left if thread.name.startswith("embedding")]
