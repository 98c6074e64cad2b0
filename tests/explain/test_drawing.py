import os

import numpy as np
import pytest
from explaining import composed, images_table, training_data
from Orange.classification import LogisticRegressionLearner
from PIL import Image

from orangecontrib.imageanalytics.explain import (
    HeatMap,
    colors_of,
    explain_images,
    overlaid,
    overlay_of,
    save_heat_maps,
)

MIDDLE = np.zeros((5, 5), np.float32)
MIDDLE[2, 2] = 1
SPOT = HeatMap(MIDDLE, (0, 0, 1, 1), (9, 9))


def test_colors_become_brighter():
    colors = colors_of(np.linspace(0, 1, 50))
    brightness = colors @ [0.299, 0.587, 0.114]
    assert (np.diff(brightness) > 0).all()
    assert colors_of(np.zeros((2, 3))).shape == (2, 3, 3)


def test_overlaid():
    photo = Image.new("RGB", (90, 90), (200, 0, 0))
    assert np.array_equal(overlaid(photo, SPOT, 0), photo)
    pixels = np.asarray(overlaid(photo, SPOT, 1))
    hottest = colors_of(np.ones(())).astype(int)
    assert np.abs(pixels[45, 45] - hottest).max() < 20
    assert pixels[0, 0, 0] > 100  # the photo is seen


def test_what_is_not_seen_stays_as_it_is():
    heat_map = HeatMap(SPOT.values, (0.3, 0.0, 0.7, 1.0), (100, 50))
    overlay = overlay_of(heat_map, 100, 50)
    assert not overlay[:, :30, 3].any() and not overlay[:, 70:, 3].any()
    assert overlay[:, 30:70, 3].all()


@pytest.fixture
def explained(tmp_path, colours):
    (tmp_path / "images").mkdir()
    paths = composed(tmp_path / "images")
    model = LogisticRegressionLearner()(training_data())
    return explain_images(images_table(paths), model, "red")


def test_save(explained, tmp_path):
    out = tmp_path / "new" / "maps"
    fractions = []
    assert save_heat_maps(explained, str(out), callback=fractions.append) == {}
    assert fractions[0] == 0 and fractions[-1] == 1
    names = sorted(os.listdir(out))
    assert names == [f"{row} heat map.png" for row in range(3)]
    with Image.open(out / names[0]) as image:
        assert image.size == (200, 100) and image.mode == "RGB"


def test_existing_files_are_kept(explained, tmp_path):
    (tmp_path / "0 heat map.png").write_text("mine")
    save_heat_maps(explained, str(tmp_path), "grey")
    assert (tmp_path / "0 heat map.png").read_text() == "mine"
    with Image.open(tmp_path / "0 heat map (2).png") as image:
        pixels = np.asarray(image)
    assert image.mode == "L" and pixels.max() > 250
    place = np.unravel_index(pixels.argmax(), pixels.shape)
    assert 60 <= place[0] <= 90 and 20 <= place[1] <= 60


def test_images_that_are_gone(explained, tmp_path):
    os.remove(explained.sources[1])
    failures = save_heat_maps(explained, str(tmp_path / "out"))
    assert list(failures) == [explained.sources[1]]
    assert len(os.listdir(tmp_path / "out")) == 2


def test_unknown_kind(explained, tmp_path):
    with pytest.raises(ValueError, match="should be one of"):
        save_heat_maps(explained, str(tmp_path), "jet")
