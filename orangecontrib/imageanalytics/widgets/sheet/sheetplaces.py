"""Places in a view of images: from its viewport to the sheet's geometry and back."""

import numpy as np
from AnyQt.QtCore import QModelIndex, QPoint, QRect
from AnyQt.QtWidgets import QAbstractItemView

from orangecontrib.imageanalytics.widgets.sheet.geometry import Geometry

Hint = QAbstractItemView.ScrollHint


class PlacesMixin:
    """
    The part of a `SheetView` that knows where things are, scrolls and zooms.

    Places in the viewport are those of the geometry, less the offset.
    """

    sheet_geometry: Geometry

    def offset(self) -> QPoint:
        """How far the sheet is scrolled."""
        return QPoint(self.horizontalOffset(), self.verticalOffset())

    def scale(self) -> float:
        """How large cells are, as the geometry counts it."""
        return self.sheet_geometry.scale

    def set_scale(self, scale: float, at: QPoint | None = None) -> None:
        """
        Make cells larger or smaller.

        Parameters
        ----------
        scale : float
            As the geometry counts it.
        at : QPoint, optional
            Place in the viewport that stays on the same image.
        """
        before, geometry = self.scale(), self.sheet_geometry
        if at is not None:
            place = at + self.offset()
            located = geometry.locate(place.x(), place.y())
        geometry.set_scale(scale)
        if self.scale() == before:
            return
        self.relayout(keep_place=at is None)
        if at is not None:
            self._scroll_to(located, at)
            self._remember_place()
        self.scaled.emit(self.scale())

    def zoom_by(self, steps: int, at: QPoint | None = None) -> None:
        """Make cells larger by some steps, or smaller, about a place."""
        self.set_scale(self.sheet_geometry.stepped_scale(steps), at)

    def relayout(self, keep_place: bool = True) -> None:
        """Arrange the cells anew; what was in sight stays there, if that is wanted."""
        self._arranging = True
        self.updateGeometries()
        if keep_place:
            self._scroll_to(self._anchor, self._focus())
        self._arranging = False
        self.viewport().update()
        self.loading.settle()

    def _focus(self) -> QPoint:
        """The place in the viewport whose image stays there."""
        if self.sheet_geometry.is_lattice:
            return self.viewport().rect().center()
        return QPoint(0, 0)

    def _remember_place(self) -> None:
        place = self.offset() + self._focus()
        is_start = not self.sheet_geometry.is_lattice and self.verticalOffset() == 0
        self._anchor = None
        if not is_start:
            self._anchor = self.sheet_geometry.locate(place.x(), place.y())

    def _scroll_to(self, located: tuple | None, at: QPoint) -> None:
        if located is None:
            self.verticalScrollBar().setValue(0)
            return
        x, y = self.sheet_geometry.place(located)
        self.horizontalScrollBar().setValue(x - at.x())
        self.verticalScrollBar().setValue(y - at.y())

    def updateGeometries(self) -> None:
        """Fit the scroll bars to the sheet."""
        super().updateGeometries()
        room, whole = self.viewport().size(), self.maximumViewportSize()
        geometry = self.sheet_geometry
        geometry.set_window(
            (room.width(), room.height()), (whole.width(), whole.height())
        )
        width, height = geometry.size
        if width <= whole.width() and height <= whole.height():
            # The bars that there may be are needed no more.
            room = whole
        for bar, size, page, step in (
            (self.horizontalScrollBar(), width, room.width(), 0),
            (self.verticalScrollBar(), height, room.height(), 1),
        ):
            bar.setRange(0, max(0, size - page))
            bar.setPageStep(page)
            bar.setSingleStep(max(20, min(geometry.steps[step], page) // 4))

    def horizontalOffset(self) -> int:
        """How far it is scrolled to the right, in points."""
        return self.horizontalScrollBar().value()

    def verticalOffset(self) -> int:
        """How far it is scrolled down, in points."""
        return self.verticalScrollBar().value()

    def rows_in(self, rect: QRect) -> np.ndarray:
        """Rows that a rectangle in the viewport touches."""
        place = rect.translated(self.offset())
        return self.sheet_geometry.rows_in(
            (place.x(), place.y(), place.width(), place.height())
        )

    def visible_rows(self) -> np.ndarray:
        """Rows that are at least partly in sight."""
        return self.rows_in(self.viewport().rect())

    def visualRect(self, index: QModelIndex) -> QRect:
        """Where an item is, in viewport coordinates."""
        if not index.isValid() or index.row() >= self.count():
            return QRect()
        return QRect(*self.sheet_geometry.rect(index.row())).translated(-self.offset())

    def heading_rect(self, section: int) -> QRect:
        """Where a heading is, in viewport coordinates."""
        geometry = self.sheet_geometry
        top = int(geometry.heading_tops()[section]) - self.verticalOffset()
        return QRect(0, top, self.viewport().width(), geometry.heading_height())

    def indexAt(self, point: QPoint) -> QModelIndex:
        """Item at a place in the viewport."""
        place = point + self.offset()
        row = self.sheet_geometry.row_at(place.x(), place.y()) if self.count() else -1
        return self.model().index(row, 0) if row >= 0 else QModelIndex()

    def heading_at(self, point: QPoint) -> int:
        """The section whose heading is at a place in the viewport; -1 if none is."""
        if not self.look.headings:
            return -1
        y = point.y() + self.verticalOffset()
        return next(
            (
                section
                for section in self.sheet_geometry.headings_in(y, y)
                if self.heading_rect(section).contains(point)
            ),
            -1,
        )

    def scrollTo(self, index: QModelIndex, hint: Hint = Hint.EnsureVisible) -> None:
        """Bring an item into sight."""
        rect, room = self.visualRect(index), self.viewport().size()
        if rect.isEmpty():
            return
        space = self.sheet_geometry.spacing
        for bar, start, end, length in (
            (self.horizontalScrollBar(), rect.left(), rect.right(), room.width()),
            (
                self.verticalScrollBar(),
                rect.top() - self.sheet_geometry.heading_above(index.row()),
                rect.bottom(),
                room.height(),
            ),
        ):
            if hint == Hint.PositionAtCenter:
                move = (start + end) // 2 - length // 2
            elif hint == Hint.PositionAtTop or start < 0:
                move = start - space // 2
            elif hint == Hint.PositionAtBottom or end >= length:
                move = min(end + space - length, start)
            else:
                continue
            bar.setValue(bar.value() + move)
