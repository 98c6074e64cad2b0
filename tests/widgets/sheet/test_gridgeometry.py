import numpy as np
import pytest

from orangecontrib.imageanalytics.widgets.sheet.geometry import Move
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry

# .  0  1  .
# 2  .  .  3
# 4  .  5  .
CELLS = [1, 2, 4, 7, 8, 10]


def grid(cells=CELLS, columns=4, lines=3, window=(400, 300), aspect=1.0):
    geometry = GridGeometry()
    geometry.set_window(window, window)
    geometry.set_cells(np.array(cells), columns, lines, aspect)
    return geometry


@pytest.mark.parametrize("window", [(400, 300), (403, 299), (1001, 777)])
@pytest.mark.parametrize("scale", [1, 3.3])
def test_cells_touch_and_fill_the_window(window, scale):
    geometry = grid(window=window)
    geometry.set_scale(scale)
    lefts, tops = geometry.edges()
    assert len(lefts) == 5 and len(tops) == 4
    assert np.ptp(np.diff(lefts)) <= 1 and np.ptp(np.diff(tops)) <= 1
    assert lefts[0] == tops[0] == 0
    assert lefts[-1] == int(window[0] * scale) and tops[-1] == int(window[1] * scale)


def test_images_are_not_stretched_too_much():
    for aspect in (0.5, 1, 2):
        geometry = grid(range(12), 12, 1, (300, 300), aspect)
        width, height = geometry.image_size()
        assert width / height >= aspect / 1.6
        _, tops = geometry.edges()
        assert tops[0] == pytest.approx((300 - tops[-1] + tops[0]) / 2, abs=1)


@pytest.mark.parametrize("scale", [1, 2.7])
def test_rows_in_is_what_rects_say(scale):
    geometry = grid()
    geometry.set_scale(scale)
    rects, random = geometry.rects(np.arange(6)), np.random.default_rng(0)
    for _ in range(100):
        left, top = random.integers(-50, 800, 2)
        width, height = random.integers(1, 300, 2)
        expected = np.flatnonzero(
            (rects[:, 0] < left + width)
            & (rects[:, 0] + rects[:, 2] > left)
            & (rects[:, 1] < top + height)
            & (rects[:, 1] + rects[:, 3] > top)
        )
        found = geometry.rows_in((left, top, width, height))
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "row, move, end",
    [
        (0, Move.RIGHT, 1),
        (1, Move.RIGHT, 1),
        (2, Move.RIGHT, 3),
        (3, Move.LEFT, 2),
        (1, Move.DOWN, 5),
        (5, Move.UP, 1),
        (0, Move.DOWN, 0),
        (1, Move.NEXT, 2),
        (2, Move.PREVIOUS, 1),
        (5, Move.NEXT, 5),
        (0, Move.PREVIOUS, 0),
        (3, Move.HOME, 0),
        (3, Move.END, 5),
        (2, Move.PAGE_DOWN, 4),
        (4, Move.PAGE_UP, 2),
        (-1, Move.RIGHT, 0),
    ],
)
def test_keys_pass_over_empty_cells(row, move, end):
    assert grid().neighbour(row, move) == end


def test_a_place_stays_when_zoomed():
    geometry = grid()
    left, top, width, height = geometry.rect(5)
    located = geometry.locate(left + width // 2, top + height // 2)
    geometry.set_scale(7)
    assert geometry.row_at(*geometry.place(located)) == 5


def test_small_cells_can_be_made_large():
    geometry = grid(range(20_000), 160, 125)
    geometry.set_scale(10**6)
    assert geometry.steps[0] >= 150
    geometry = grid([0], 1, 1, (2000, 2000))
    assert geometry.scale_range() == (1, 1)


def test_labels_take_room():
    geometry = grid()
    height = geometry.image_size()[1]
    geometry.set_labels(2, 15)
    assert geometry.label_height() >= 30
    assert geometry.image_size()[1] == height - geometry.label_height()
    geometry.set_window((100, 100), (100, 100))
    assert geometry.label_height() == 0


def test_no_rows():
    geometry = GridGeometry()
    geometry.set_window((100, 100), (100, 100))
    geometry.set_count(0)
    assert geometry.neighbour(-1, Move.DOWN) == -1
    assert geometry.row_at(5, 5) == -1
    assert geometry.size == (100, 100)


def test_rows_without_given_cells_are_laid_out_in_order():
    geometry = GridGeometry()
    geometry.set_count(7)
    assert geometry.cells.tolist() == list(range(7))
    assert (geometry.columns, geometry.lines) == (3, 3)
