"""What is compared of images."""

import math

import pytest
from helpers import make_image
from image_files import save_stack
from PIL import Image, ImageOps
from twin_images import make_photo

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.twins import fingerprints
from orangecontrib.imageanalytics.twins.fingerprints import (
    HASH_BITS,
    Fingerprint,
    perceptual_hashes,
    read_fingerprints,
)


def test_hashes_of_a_mirror_image():
    photo = make_photo(0)
    bits, mirrored = perceptual_hashes(photo)
    assert len(bits) == len(mirrored) == HASH_BITS // 8
    assert perceptual_hashes(ImageOps.mirror(photo)) == (mirrored, bits)
    assert bits != mirrored


def test_images_without_detail():
    assert perceptual_hashes(Image.new("RGB", (90, 60), "orange")) == (None, None)
    noise = Image.effect_noise((90, 60), 1).convert("RGB")
    assert perceptual_hashes(noise) == (None, None)


def test_distance(copies):
    prints = read_fingerprints(copies).of_rows
    small, photo, other, second, mirrored, _bright, same = prints
    assert photo.distance(photo) == second.distance(same) == 0
    assert 0 < small.distance(photo) < 0.15
    assert photo.distance(mirrored) < 0.15
    assert 0.3 < photo.distance(other) <= 0.5
    assert second.digest == same.digest
    assert photo.size == (320, 240)


def test_distance_is_the_same_both_ways():
    one = Fingerprint(b"1", (1, 1), 1, bytes(32), b"\xff" * 32)
    other = Fingerprint(b"2", (1, 1), 1, b"\x0f" * 32, b"\x01" + bytes(31))
    assert one.distance(other) == other.distance(one) == 1 / HASH_BITS


def test_without_hashes(copies):
    first, second, *_ = read_fingerprints(copies, with_hash=False).of_rows
    assert first.bits is first.mirrored_bits is None
    assert first.size == (160, 120)
    assert first.distance(second) == math.inf
    assert first.distance(first) == 0


def test_stopped_before_images_are_read(copies, monkeypatch):
    """Network drives take a while to say when files were changed."""
    asked = []
    monkeypatch.setattr(fingerprints, "stamp", asked.append)

    def stop(_fraction):
        if len(asked) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        read_fingerprints(copies, callback=stop)
    assert asked == copies[:2]


def test_pages(tmp_path):
    path = str(tmp_path / "cells.tif")
    save_stack(path, n_planes=2)
    prints = read_fingerprints([f"{path}#page={page}" for page in (1, 2, 1, 99)])
    first, second, again, none = prints.of_rows
    assert first.digest == again.digest != second.digest
    assert none is None
    assert list(prints.failures) == [f"{path}#page=99"]


def test_data_urls_and_missing_values(tmp_path):
    import base64

    path = tmp_path / "a.png"
    make_image(0).save(path)
    url = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    prints = read_fingerprints([None, str(path), url, "data:,x"])
    assert prints.of_rows[0] is prints.of_rows[3] is None
    assert prints.of_rows[1].digest == prints.of_rows[2].digest
    assert list(prints.failures) == ["data:,x"]
