import numpy as np
import pytest

from orangecontrib.imageanalytics.images.readers.tiff_axes import Axes


def axes(names, shape, are_colours=False, has_opacity=False):
    return Axes(names, shape, are_colours, has_opacity)


@pytest.mark.parametrize(
    ("found", "stack", "n_channels", "has_colours"),
    [
        (axes("YX", (4, 6)), (), 1, False),
        (axes("YXS", (4, 6, 3), are_colours=True), (), 1, True),
        (axes("YXS", (4, 6, 3)), (), 3, False),
        (axes("SYX", (4, 4, 6), has_opacity=True), (), 3, False),
        (axes("YXS", (4, 6, 1), has_opacity=True), (), 1, False),
        (axes("YXS", (4, 6, 4), True, has_opacity=True), (), 1, True),
        (axes("TZCYX", (2, 3, 5, 4, 6)), (2, 3), 5, False),
        (axes("CYXS", (2, 4, 6, 3), are_colours=True), (2,), 1, True),
        (axes("CYXS", (2, 4, 6, 3)), (), 6, False),
    ],
)
def test_planes_and_channels(found, stack, n_channels, has_colours):
    assert found.size == (6, 4)
    assert found.stack == stack
    assert found.n_planes == np.prod(stack)
    assert found.n_channels == n_channels
    assert found.has_colours == has_colours


@pytest.mark.parametrize("names", ["", "Y", "XZ"])
def test_without_width_or_height(names):
    with pytest.raises(NotImplementedError, match="axes"):
        axes(names, (3,) * len(names))


@pytest.mark.parametrize("names", ["TZCYX", "CTZYX", "ZTCYX"])
def test_pages_are_numbered_as_they_lie_in_the_file(names):
    lengths = {"T": 2, "Z": 3, "C": 5, "Y": 4, "X": 6}
    shape = tuple(lengths[name] for name in names)
    found = axes(names, shape)
    expected = np.arange(2 * 3 * 5).reshape(shape[:3])
    for number in range(found.n_planes):
        place = found.place(number)
        for channel in range(5):
            at = found.coordinates(place, channel)
            where = tuple(at[name] for name in names[:3])
            assert found.page_number(place, channel, "YX") == expected[where]


def test_axes_within_a_page():
    found = axes("ZCYX", (3, 2, 4, 6))
    assert found.page_number((2,), 1, "CYX") == 2
    with pytest.raises(NotImplementedError, match="ZYX in ZCYX"):
        found.page_number((2,), 1, "ZYX")
