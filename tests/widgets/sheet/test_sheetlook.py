"""Frames of rows."""

import numpy as np
import pytest
from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.sheet.sheetcontents import contact_sheet
from orangecontrib.imageanalytics.widgets.sheet.sheetlook import (
    DASHED_FRAME,
    NO_FRAME,
    SOLID_FRAME,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader

RED = 255, 0, 0


@pytest.fixture
def view():
    parent = QWidget()
    view = SheetView(FlowGeometry(60), ExtendedSelection)
    view.setParent(parent)
    view.resize(400, 300)
    loader = ThumbnailLoader(parent)
    view.setModel(ThumbnailModel(loader))
    view.model().set_images(["/no/a.png", "/no/b.png", "/no/c.png"])
    yield view
    loader.close()
    parent.deleteLater()


def n_red(view, row):
    """Pixels of a row that are red."""
    image = view.viewport().grab().toImage()
    rect = view.visualRect(view.model().index(row, 0))
    colors = (
        image.pixelColor(x, y).getRgb()[:3]
        for x in range(rect.left(), rect.right() + 1)
        for y in range(rect.top(), rect.bottom() + 1)
    )
    return sum(color == RED for color in colors)


def test_kinds_of_frames(view):
    colors = np.tile(np.array(RED, dtype=np.uint8), (3, 1))
    view.set_colors(colors, np.array([NO_FRAME, DASHED_FRAME, SOLID_FRAME]))
    none, dashed, solid = (n_red(view, row) for row in range(3))
    assert none == 0
    assert 0.4 * solid < dashed < 0.8 * solid
    assert [entry.color for entry in contact_sheet(view, "x").entries] == [
        "",
        "#ff0000",
        "#ff0000",
    ]
    view.set_colors(colors)
    assert [view.frame_of(row) for row in range(3)] == 3 * [SOLID_FRAME]
    assert n_red(view, 0) == solid
    view.set_colors(None)
    assert view.frame_of(0) == NO_FRAME and n_red(view, 2) == 0


def test_new_images_have_no_frames(view):
    view.set_colors(np.zeros((3, 3), dtype=np.uint8), np.array([1, 1, 1]))
    view.model().set_images(["/no/a.png"])
    assert view.look.frames is None and view.frame_of(0) == NO_FRAME
