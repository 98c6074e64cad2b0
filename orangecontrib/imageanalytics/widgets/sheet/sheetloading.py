"""Which images of a sheet are loaded: those in sight, and those near to them."""

from collections.abc import Callable
from itertools import islice

import numpy as np
from AnyQt.QtCore import QObject, QRect, QTimer

from orangecontrib.imageanalytics.widgets.sheet.mosaic import Mosaic
from orangecontrib.imageanalytics.widgets.sheet.sheetpainter import is_mosaic
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Box, Thumbnail

#: Where images are not shown in exactly the size that they are loaded in, they are
#: loaded in these, so that most zooming loads nothing.
EDGES = (32, 64, 128, 256, 512, 1024)
#: A square that is cut from an image is as large as its shorter side.
CROPPED = 1.4
#: Thumbnails that are requested at once: requesting more takes long, too.
MAX_REQUEST = 1000
#: Rows around those in sight that are examined at once; this takes some milliseconds.
MAX_EXAMINED = 2000
#: Places that are painted one by one rather than all that is between them.
MAX_PLACES = 50


class SheetLoading(QObject):
    """
    Requests the images of a `SheetView`, and shows them as they arrive.

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
        self.mosaic = Mosaic()
        # Rows of a lattice that were loaded, even if only their tiles are left.
        self._loaded = np.zeros(0, dtype=bool)
        # Rows to be examined once the requested ones are loaded, and their size.
        self._rest: list[int] = []
        self._box: Box = None
        self._is_missing: Callable[[int], bool] = self._has_no_thumbnail
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._request)

    def reset(self) -> None:
        """Handle new rows."""
        # Only cells that touch are ever painted together.
        is_lattice = self._view.sheet_geometry.is_lattice
        count = self._view.count() if is_lattice else 0
        self.mosaic, self._loaded = Mosaic(count), np.zeros(count, dtype=bool)
        self._rest = []
        self.start()

    def start(self) -> None:
        """Load what is in sight as soon as events have been processed."""
        self._timer.start(0)

    def go_on(self) -> None:
        """Load what comes into view, without delaying it again and again."""
        if not self._timer.isActive():
            self._timer.start(0)

    def settle(self) -> None:
        """Load when nothing has changed for a while; new rows do not wait for it."""
        if not (self._timer.isActive() and self._timer.interval() == 0):
            self._timer.start(self.settle_ms)

    def stop(self) -> None:
        """Drop pending loading."""
        self._timer.stop()
        self._rest = []
        model = self._view.model()
        if model is not None:
            model.request((), (1, 1))

    def _request(self) -> None:
        view = self._view
        if view.model() is None or not view.isVisible():
            return
        shown = view.rows_in(view.viewport().rect())
        self._box = self._box_for(len(shown))
        if is_mosaic(view.sheet_geometry, view.devicePixelRatioF()):
            self._take_loaded(shown[~self._loaded[shown]])
            rows = shown[~self._loaded[shown]]
            self._is_missing = self._has_no_tile
        else:
            # More than there is room for would drive out what is in sight.
            room = view.model().loader.cache.capacity(self._box)
            rows = self._with_surroundings(shown)[:room]
            self._is_missing = self._has_no_thumbnail
        self._rest = rows.tolist()
        self._request_next(max(len(shown), MAX_EXAMINED))

    def on_finished(self) -> None:
        """Go on with what is still to be loaded, unless that is about to change."""
        if self._rest and not self._timer.isActive():
            self._request_next(MAX_EXAMINED)

    def _request_next(self, n_examined: int) -> None:
        examined = self._rest[:n_examined]
        rows = list(islice(filter(self._is_missing, examined), MAX_REQUEST))
        full = len(rows) == MAX_REQUEST
        del self._rest[: examined.index(rows[-1]) + 1 if full else n_examined]
        self._view.model().request(rows, self._box)

    def _has_no_tile(self, row: int) -> bool:
        return not self._loaded[row]

    def _has_no_thumbnail(self, row: int) -> bool:
        return not self._view.model().is_current(row, self._box)

    def _take_loaded(self, rows: np.ndarray) -> None:
        """Show tiles of what is loaded; what may have changed is loaded again."""
        model = self._view.model()
        found = False
        for row in rows.tolist():
            thumbnail = model.thumbnail(row)
            if thumbnail is not None:
                self.mosaic.put([row], thumbnail.tile)
                self._loaded[row] = model.is_current(row, thumbnail.box)
                found = True
        if found:
            self._view.viewport().update()

    def _with_surroundings(self, shown: np.ndarray) -> np.ndarray:
        view, room = self._view, self._view.viewport().rect()
        width, height = room.width() // 2, room.height()
        below = view.rows_in(room.adjusted(-width, 0, width, height))
        above = view.rows_in(room.adjusted(-width, -height, width, 0))
        rows, first = np.unique(np.concatenate((shown, below, above)), True)
        return rows[np.argsort(first)]

    def _box_for(self, n_shown: int) -> tuple[int, int]:
        """The size to load, which is smaller if not all in sight fit into memory."""
        view = self._view
        ratio = view.devicePixelRatioF()
        width, height = view.sheet_geometry.image_size()
        if view.sheet_geometry.exact and not view.look.crop:
            return round(width * ratio), round(height * ratio)
        wanted = max(width, height) * ratio * (CROPPED if view.look.crop else 1)
        capacity = view.model().loader.cache.capacity
        edges = [edge for edge in EDGES if capacity((edge, edge)) >= n_shown]
        edges = edges or [EDGES[0]]
        edge = next((edge for edge in edges if edge >= wanted), edges[-1])
        return edge, edge

    def on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        """Paint the loaded images that are visible."""
        view = self._view
        if not view.sheet_geometry.is_lattice:
            # To look for them among all rows would take long if there are many.
            loaded = {thumbnail.source for thumbnail in thumbnails}
            shown = view.rows_in(view.viewport().rect())
            source = view.model().source
            self._paint(shown[[source(row) in loaded for row in shown.tolist()]])
            return
        found: list[int] = []
        for thumbnail in thumbnails:
            rows = view.model().rows_of(thumbnail.source)
            found.extend(rows)
            if rows:
                self.mosaic.put(rows, thumbnail.tile)
                self._loaded[rows] = True
        self._paint(np.array(found, dtype=int))

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
