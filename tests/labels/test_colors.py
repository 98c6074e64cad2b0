"""Colors that people with any color vision can tell apart."""

from itertools import combinations

import numpy as np
import pytest

from orangecontrib.imageanalytics.labels.colors import COLORS, next_color

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def as_seen(colors, vision):
    from skimage.color import rgb2lab

    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colors]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    seen = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    return rgb2lab(seen[None])[0]


@pytest.mark.parametrize("vision", VISION)
def test_nine_colors_differ(vision):
    from skimage.color import deltaE_ciede2000

    lab = as_seen(COLORS[:9], vision)
    distances = [deltaE_ciede2000(a, b) for a, b in combinations(lab, 2)]
    assert min(distances) > 10


def test_next_color():
    used = []
    for _ in range(len(COLORS) + 1):
        used.append(next_color(used))
    assert used == [*COLORS, COLORS[0]]
    assert next_color(["#0072B2"]) == COLORS[1]
