import math

import numpy as np
import pytest
from helpers import make_image
from shard_files import jpeg, make_shard

from orangecontrib.imageanalytics.images.shards import member_source, shard_members
from orangecontrib.imageanalytics.widgets.grid.grid_task import (
    fitting_size,
    image_rooms,
    typical_aspect,
)


@pytest.mark.parametrize("count", [1, 2, 7, 24, 240, 5000])
@pytest.mark.parametrize("window", [(800, 600, 0), (300, 900, 0), (800, 600, 15)])
@pytest.mark.parametrize("aspect", [0.5, 0.75, 1.5])
def test_no_other_size_gives_images_more_room(count, window, aspect):
    columns, lines = fitting_size(count, window, aspect)
    assert columns * lines >= count
    assert lines == math.ceil(count / columns)

    def height(columns):
        width, lines = window[0] / columns, math.ceil(count / columns)
        label = window[2] if width >= 40 else 0
        return min(width / aspect, window[1] / lines - label)

    others = range(1, count + 1)
    if window[2] and window[0] >= 40:
        others = [number for number in others if window[0] / number >= 40]
    assert height(columns) == pytest.approx(max(map(height, others)))


def test_rooms():
    rooms = image_rooms(np.array([10, 40]), np.array([5, 20]), (800, 600, 20), 2.0)
    # Cells of the second are too small for labels.
    assert rooms.tolist() == [40, 10]


def test_typical_aspect(tmp_path):
    sources = ["http://example.org/wide.png", "data:,x", str(tmp_path / "none.png")]
    calls = []
    assert typical_aspect(sources, lambda: None) == 1
    for index in range(3):
        path = str(tmp_path / f"{index}.png")
        make_image(index, (60, 80)).save(path)
        sources.append(path)
    make_image(4, (400, 20)).save(tmp_path / "wide.png")
    sources.append(str(tmp_path / "wide.png"))
    assert typical_aspect(sources, lambda: calls.append(1)) == 0.75
    assert len(calls) == 5
    assert typical_aspect(sources[-1:], lambda: None) == 2
    (tmp_path / "a.tar").write_bytes(make_shard([("a.jpg", jpeg(1, (90, 60)))]))
    (member,) = shard_members(str(tmp_path / "a.tar"))
    source = member_source(str(tmp_path / "a.tar"), member)
    assert typical_aspect([source], lambda: None) == 1.5
    # Of many images, few are read.
    calls.clear()
    typical_aspect(sources[3:] * 1000, lambda: calls.append(1))
    assert len(calls) == 50


def test_finding_out_the_aspect_can_be_stopped(tmp_path):
    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        typical_aspect([str(tmp_path / "x.png")], stop)
