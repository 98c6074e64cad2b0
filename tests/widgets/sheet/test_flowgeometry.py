import numpy as np
import pytest

from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.geometry import Move


def flow(counts=(23,), collapsed=None, columns=5, edge=100):
    geometry = FlowGeometry(edge)
    geometry.set_sections(counts, collapsed)
    width = geometry.steps[0] * columns + 3
    geometry.set_window((width, 300), (width, 300))
    return geometry


def all_rects(geometry):
    return geometry.rects(np.arange(geometry.count))


def test_sections_are_below_each_other():
    geometry = flow([7, 0, 3], [False] * 3)
    tops, height = geometry.heading_tops(), geometry.heading_height()
    assert height > 0
    assert tops.tolist() == [
        0,
        height + 2 * geometry.steps[1],
        2 * height + 2 * geometry.steps[1],
    ]
    rects = all_rects(geometry)
    assert (rects[:5, 1] == rects[0, 1]).all()
    assert rects[7, 0] == rects[0, 0]
    assert rects[7, 1] > tops[2] + height
    assert geometry.size[1] == tops[2] + height + geometry.steps[1]
    assert [geometry.section_of(row) for row in (0, 6, 7, 9)] == [0, 0, 2, 2]


def test_collapsed_sections_take_no_room():
    geometry = flow([7, 6, 3], [False, True, False])
    rects = all_rects(geometry)
    assert (rects[7:13, 2:] == 0).all()
    assert (rects[:7, 2:] > 0).all() and (rects[13:, 2:] > 0).all()
    everything = geometry.rows_in((0, 0, *geometry.size))
    assert everything.tolist() == [*range(7), *range(13, 16)]
    assert geometry.is_visible(6) and not geometry.is_visible(7)
    all_hidden = flow([7, 6], [True, True])
    assert all_hidden.neighbour(3, Move.DOWN) == -1
    assert len(all_hidden.rows_in((0, 0, 1000, 1000))) == 0
    assert (all_rects(all_hidden)[:, 2:] == 0).all()


@pytest.mark.parametrize(
    "counts, collapsed",
    [((23,), None), ((7, 6, 3), [False, True, False]), ((0,), None), ((2,), None)],
)
def test_rows_in_is_what_rects_say(counts, collapsed):
    geometry = flow(counts, collapsed)
    rects, random = all_rects(geometry), np.random.default_rng(0)
    for _ in range(100):
        left, top = random.integers(-50, 700, 2)
        width, height = random.integers(1, 300, 2)
        expected = np.flatnonzero(
            (rects[:, 2] > 0)
            & (rects[:, 0] < left + width)
            & (rects[:, 0] + rects[:, 2] > left)
            & (rects[:, 1] < top + height)
            & (rects[:, 1] + rects[:, 3] > top)
        )
        found = geometry.rows_in((left, top, width, height))
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "row, move, end",
    [
        (6, Move.RIGHT, 13),
        (13, Move.LEFT, 6),
        (13, Move.PREVIOUS, 6),
        (6, Move.DOWN, 14),
        (5, Move.DOWN, 13),
        (14, Move.UP, 6),
        (15, Move.UP, 6),
        (15, Move.RIGHT, 15),
        (15, Move.DOWN, 15),
        (0, Move.END, 15),
        (15, Move.HOME, 0),
        (0, Move.PAGE_DOWN, 13),
        # From a row that is hidden
        (9, Move.RIGHT, 13),
        (9, Move.DOWN, 13),
        (9, Move.LEFT, 6),
        (9, Move.UP, 6),
        (-1, Move.DOWN, 0),
    ],
)
def test_keys_pass_over_what_is_collapsed(row, move, end):
    assert flow([7, 6, 3], [False, True, False]).neighbour(row, move) == end


def test_places_stay_if_the_size_changes():
    geometry = flow([2000])
    located = geometry.locate(0, int(geometry.rects(np.array([1000]))[0, 1]) + 20)
    for edge in (300, 40, 100):
        geometry.set_scale(edge)
        _, y = geometry.place(located)
        _, top, _, height = geometry.rect(1000)
        assert top - 10 <= y <= top + height


def test_headings_in():
    geometry = flow([7, 6, 3], [True, False, True])
    height = geometry.heading_height()
    assert list(geometry.headings_in(0, 1)) == [0]
    assert list(geometry.headings_in(height - 1, height)) == [0, 1]
    assert list(geometry.headings_in(2 * height, 2 * height + 1)) == []
    assert list(geometry.headings_in(0, 10_000)) == [0, 1, 2]


def test_only_what_is_asked_for_is_computed():
    geometry = flow([100_000], columns=8)
    assert len(geometry.rects(np.array([99_999]))) == 1
    found = geometry.rows_in((0, geometry.size[1] // 2, 10_000, 300))
    assert 8 <= len(found) <= 8 * (300 // geometry.steps[1] + 2)
