import numpy as np
from AnyQt.QtGui import QImage

from orangecontrib.imageanalytics.explain import Explanation, HeatMap
from orangecontrib.imageanalytics.widgets.explain.overlays import (
    LONGEST,
    MOST_KEPT,
    Overlays,
    overlay_image,
)


def heat_map(size=(100, 50), edges=(0.0, 0.0, 1.0, 1.0)):
    values = np.zeros((5, 5), np.float32)
    values[1, 3] = 1
    return HeatMap(values, edges, size)


def test_image():
    image = overlay_image(heat_map())
    assert (image.width(), image.height()) == (LONGEST, LONGEST // 2)
    hot = image.pixelColor(round(0.7 * LONGEST), round(0.3 * LONGEST / 2))
    cold = image.pixelColor(2, LONGEST // 2 - 3)
    assert hot.lightness() > cold.lightness()
    assert hot.alpha() > cold.alpha() > 0


def test_what_is_not_seen_is_transparent():
    image = overlay_image(heat_map(edges=(0.3, 0.0, 0.8, 1.0)))
    assert image.pixelColor(5, 40).alpha() == 0
    assert image.pixelColor(LONGEST - 5, 40).alpha() == 0


def test_kept_until_there_is_a_finer_one():
    overlays = Overlays()
    assert overlays.get(None) is None
    first = Explanation(0, heat_map(), "occlusion", "", 0.5, 1, 3)
    image = overlays.get(first)
    assert isinstance(image, QImage)
    assert overlays.get(first) is image
    finer = Explanation(0, heat_map(), "occlusion", "", 0.5, 2, 3)
    assert overlays.get(finer) is not image
    for row in range(1, MOST_KEPT + 1):
        small = HeatMap(np.ones((1, 1), np.float32), (0, 0, 1, 1), (LONGEST, 1))
        overlays.get(Explanation(row, small, "occlusion", "", 0.5))
    assert overlays.get(finer) is not None
    assert len(overlays._kept) <= MOST_KEPT
