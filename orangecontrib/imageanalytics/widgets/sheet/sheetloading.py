"""Which images of a sheet are loaded: those in sight, and those near to them."""

import numpy as np
from AnyQt.QtCore import QObject, QRect, QTimer

from orangecontrib.imageanalytics.widgets.sheet.mosaic import Mosaic
from orangecontrib.imageanalytics.widgets.sheet.sheetpainter import is_mosaic
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail

#: Where images are not shown in exactly the size that they are loaded in, they are
#: loaded in these, so that most zooming loads nothing.
EDGES = (32, 64, 128, 256, 512, 1024)
#: A square that is cut from an image is as large as its shorter side.
CROPPED = 1.4
#: Thumbnails that are asked for at once: asking for more takes long, too.
MAX_REQUEST = 1000
#: Places that are painted one by one rather than all that is between them.
MAX_PLACES = 50


class SheetLoading(QObject):
    """
    Has the images of a `SheetView` loaded, and shows them as they come.

    Parameters
    ----------
    view : SheetView
        The view.
    """

    # Dragging a slider would otherwise load every size on the way.
    settle_ms = 120

    def __init__(self, view):
        super().__init__(view)
        self._view = view
        self._more = False
        self.mosaic = Mosaic()
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._request)

    def reset(self) -> None:
        """The rows are others."""
        # Only cells that touch are ever painted together.
        is_lattice = self._view.sheet_geometry.is_lattice
        self.mosaic = Mosaic(self._view.count() if is_lattice else 0)
        self.start()

    def start(self) -> None:
        """Load what is in sight as soon as events have been processed."""
        self._timer.start(0)

    def go_on(self) -> None:
        """Load what comes into sight, without putting it off again and again."""
        if not self._timer.isActive():
            self._timer.start(0)

    def settle(self) -> None:
        """Load when nothing has changed for a while; new rows do not wait for it."""
        if not (self._timer.isActive() and self._timer.interval() == 0):
            self._timer.start(self.settle_ms)

    def stop(self) -> None:
        """Drop what is still to be loaded."""
        self._timer.stop()
        model = self._view.model()
        if model is not None:
            model.request((), (1, 1))

    def _request(self) -> None:
        view = self._view
        if view.model() is None or not view.isVisible():
            return
        rows = self._wanted()
        self._more = len(rows) > MAX_REQUEST
        view.model().request(rows[:MAX_REQUEST].tolist(), self._box())

    def _wanted(self) -> np.ndarray:
        view, room = self._view, self._view.viewport().rect()
        shown = view.rows_in(room)
        if is_mosaic(view.sheet_geometry, view.devicePixelRatioF()):
            self._take_loaded(shown)
            return shown[~self.mosaic.known[shown]]
        width, height = room.width() // 2, room.height()
        below = view.rows_in(room.adjusted(-width, 0, width, height))
        above = view.rows_in(room.adjusted(-width, -height, width, 0))
        rows, first = np.unique(np.concatenate((shown, below, above)), True)
        return rows[np.argsort(first)]

    def _take_loaded(self, rows: np.ndarray) -> None:
        model = self._view.model()
        for row in rows[~self.mosaic.known[rows]].tolist():
            thumbnail = model.thumbnail(row)
            if thumbnail is not None:
                self.mosaic.put([row], thumbnail.tile)

    def _box(self) -> tuple[int, int]:
        view = self._view
        ratio = view.devicePixelRatioF()
        width, height = view.sheet_geometry.image_size()
        if view.sheet_geometry.exact and not view.look.crop:
            return round(width * ratio), round(height * ratio)
        wanted = max(width, height) * ratio * (CROPPED if view.look.crop else 1)
        edge = next((edge for edge in EDGES if edge >= wanted), EDGES[-1])
        return edge, edge

    def on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        """Paint what has come, where it is in sight."""
        view = self._view
        found: list[int] = []
        for thumbnail in thumbnails:
            rows = view.model().rows_of(thumbnail.source)
            found.extend(rows)
            if rows and view.sheet_geometry.is_lattice:
                self.mosaic.put(rows, thumbnail.tile)
        self._paint(np.array(found, dtype=int))
        if self._more and view.model().loader.idle:
            self.go_on()

    def _paint(self, rows: np.ndarray) -> None:
        if not len(rows):
            return
        viewport, offset = self._view.viewport(), self._view.offset()
        rects = self._view.sheet_geometry.rects(rows)
        rects[:, :2] -= offset.x(), offset.y()
        room = viewport.rect()
        ends = rects[:, :2] + rects[:, 2:]
        seen = (ends > 0).all(axis=1) & (rects[:, 2:] > 0).all(axis=1)
        seen &= (rects[:, :2] < (room.width(), room.height())).all(axis=1)
        rects, ends = rects[seen], ends[seen]
        if len(rects) > MAX_PLACES:
            left, top = rects[:, :2].min(axis=0).tolist()
            right, bottom = ends.max(axis=0).tolist()
            viewport.update(QRect(left, top, right - left, bottom - top))
            return
        for rect in rects.tolist():
            viewport.update(QRect(*rect))
