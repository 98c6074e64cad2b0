"""How a sheet of images is painted: its cells one by one or, if small, all at once."""

import numpy as np
from AnyQt.QtCore import QRect, QRectF, Qt
from AnyQt.QtGui import (
    QColor,
    QImage,
    QPainter,
    QPalette,
    QPen,
    QRegion,
)

from orangecontrib.imageanalytics.widgets.sheet.cellpainting import (
    faded,
    paint_broken,
    paint_cropped,
    paint_dashed_frame,
    paint_frame,
    paint_image,
    paint_placeholder,
)
from orangecontrib.imageanalytics.widgets.sheet.geometry import Geometry
from orangecontrib.imageanalytics.widgets.sheet.headingpainting import (
    paint_heading,
    paint_message,
)
from orangecontrib.imageanalytics.widgets.sheet.mosaic import MAX_EDGE, packed
from orangecontrib.imageanalytics.widgets.sheet.sheetlook import NO_FRAME, SOLID_FRAME
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import shortened

# Longer labels cannot be seen anyway, and take long to be cut to a width.
MAX_LABEL = 200
DIMMED = 0.2
CORNER = 4
#: Cells with a smaller margin show in the image itself that they are selected.
WIDE_MARGIN = 4
MARK = 3  # points of that
_LIGHT = 0.55  # of colours on which text is black


def is_mosaic(geometry: Geometry, ratio: float) -> bool:
    """Whether cells are so small that they are painted together."""
    small = min(geometry.image_size()) * ratio < MAX_EDGE
    return geometry.is_lattice and small


class SheetPainter:
    """
    Paints what is seen of a sheet.

    Parameters
    ----------
    view : SheetView
        Whose model, geometry, selection and look are painted.
    """

    def __init__(self, view):
        self._view = view
        self._look = view.look
        self._geometry = view.sheet_geometry
        self._palette = view.palette()
        self._metrics = view.fontMetrics()
        self._label_height = view.sheet_geometry.label_height()
        self._margin = view.sheet_geometry.margin

    def paint(self, painter: QPainter, exposed: QRegion) -> None:
        """Draw everything within a region of the viewport."""
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        bounds = exposed.boundingRect()
        if is_mosaic(self._geometry, self._view.devicePixelRatioF()):
            self._paint_mosaic(painter, bounds)
        else:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint_cells(painter, exposed)
        self._paint_headings(painter, bounds)
        if self._look.message:
            paint_message(painter, self._view, self._look.message)

    # Cells, one by one

    def _paint_cells(self, painter: QPainter, exposed: QRegion) -> None:
        view, geometry = self._view, self._geometry
        rows = view.rows_in(exposed.boundingRect())
        rects = geometry.rects(rows)
        rects[:, :2] -= view.offset().x(), view.offset().y()
        marks, group_colors = view.selection.marks(rows), view.selection.colors()
        pale = self._pale(rows)
        current = view.currentIndex().row() if view.hasFocus() else -1
        several = exposed.rectCount() > 1
        for row, place, mark, is_pale in zip(
            rows.tolist(), rects.tolist(), marks.tolist(), pale.tolist(), strict=True
        ):
            rect = QRect(*place)
            if several and not exposed.intersects(rect):
                continue
            painter.setOpacity(DIMMED if is_pale else 1.0)
            self._paint_cell(painter, row, rect, group_colors[mark])
            if row == current:
                self._paint_current(painter, rect)
        painter.setOpacity(1.0)

    def _pale(self, rows: np.ndarray) -> np.ndarray:
        dimmed = self._look.dimmed
        if self._look.message or dimmed is None:
            return np.full(rows.shape, bool(self._look.message))
        return dimmed[rows]

    def _paint_cell(self, painter, row: int, rect: QRect, selected) -> None:
        margin = self._margin
        if selected is not None:
            self._fill(painter, rect, selected)
        elif row == self._view.hovered_row():
            highlight = self._palette.color(QPalette.ColorRole.Highlight)
            self._fill(painter, rect, faded(highlight, 0.15))
        below = -margin - self._label_height
        room = rect.adjusted(margin, margin, -margin, below)
        target = self._paint_image(painter, row, room)
        marked = selected is not None and margin < WIDE_MARGIN
        area = QRectF(rect.adjusted(0, 0, 0, -self._label_height))
        mark = MARK if rect.width() > 8 * MARK else 1
        kind = self._view.frame_of(row)
        if kind != NO_FRAME:
            width = self._frame_width()
            frame = target.adjusted(-width, -width, width, width)
            if marked:
                frame = frame.intersected(area.adjusted(mark, mark, -mark, -mark))
            color = QColor(*self._look.colors[row].tolist())
            paint = paint_frame if kind == SOLID_FRAME else paint_dashed_frame
            paint(painter, frame, width, color)
        if marked:
            paint_frame(painter, area, mark, selected)
        if self._label_height:
            self._paint_labels(painter, row, room, selected)

    def _frame_width(self) -> int:
        return max(1, (self._margin + 1) // 2)

    def _fill(self, painter: QPainter, rect: QRect, color: QColor) -> None:
        if self._margin < WIDE_MARGIN:
            painter.fillRect(rect, color)
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawRoundedRect(rect, CORNER, CORNER)

    def _paint_current(self, painter: QPainter, rect: QRect) -> None:
        text = self._palette.color(QPalette.ColorRole.Text)
        painter.setPen(QPen(faded(text, 0.6), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        corner = CORNER if self._margin >= WIDE_MARGIN else 0
        frame = QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(frame, corner, corner)

    def _paint_image(self, painter: QPainter, row: int, room: QRect) -> QRectF:
        """Where the image is; it may be smaller than its room."""
        thumbnail = self._view.model().thumbnail(row)
        if thumbnail is None:
            paint_placeholder(painter, room, self._palette)
        elif thumbnail.image is None:
            paint_broken(painter, room, self._palette)
        elif self._look.crop:
            paint_cropped(painter, room, thumbnail)
        else:
            target = paint_image(painter, room, thumbnail)
            self._paint_overlay(painter, row, target)
            return target
        return QRectF(room)

    def _paint_overlay(self, painter: QPainter, row: int, target: QRectF) -> None:
        overlay = self._look.overlay and self._look.overlay(row)
        if overlay is not None:
            before = painter.opacity()
            painter.setOpacity(before * self._look.opacity)
            painter.drawImage(target, overlay, QRectF(overlay.rect()))
            painter.setOpacity(before)

    def _paint_labels(self, painter, row: int, image: QRect, selected) -> None:
        color = self._palette.color(QPalette.ColorRole.Text)
        if selected is not None:
            color = QColor("black" if selected.lightnessF() > _LIGHT else "white")
        painter.setPen(color)
        painter.setFont(self._view.font())
        left, width, height = image.left(), image.width(), self._metrics.height()
        # Clear of the frame, which is in the margin.
        top = image.bottom() + 1 + self._margin
        for line, text in enumerate(self._view.model().labels(row)):
            text = self._metrics.elidedText(
                shortened(text, MAX_LABEL), Qt.TextElideMode.ElideMiddle, width
            )
            spare = width - self._metrics.horizontalAdvance(text)
            baseline = top + line * height + self._metrics.ascent()
            painter.drawText(left + max(0, spare // 2), baseline, text)

    # Cells all at once

    def _paint_mosaic(self, painter: QPainter, exposed: QRect) -> None:
        view, geometry, offset = self._view, self._geometry, self._view.offset()
        ratio = painter.device().devicePixelRatioF()
        area = exposed.translated(offset)
        block = geometry.block((area.x(), area.y(), area.width(), area.height()))
        rows = geometry.rows_of(block)
        if not rows.size:
            return
        lines, columns = block
        x_edges, y_edges = geometry.edges()
        x_edges = x_edges[columns.start : columns.stop + 1] - offset.x()
        y_edges = y_edges[lines.start : lines.stop + 1] - offset.y()
        frames, marks = self._frames(rows), self._marks(rows)
        pixels = view.loading.mosaic.pixels(
            rows,
            np.rint(x_edges * ratio).astype(int),
            np.rint(y_edges * ratio).astype(int),
            np.where(marks > 0, marks, frames),
            np.where(self._pale(rows), round(255 * DIMMED), 255).astype(np.uint8),
            # Among colored frames, another frame does not stand out.
            marks if self._look.colors is not None else None,
        )
        height, width = pixels.shape
        image = QImage(
            pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_ARGB32
        )
        image.setDevicePixelRatio(ratio)
        painter.drawImage(
            QRectF(x_edges[0], y_edges[0], width / ratio, height / ratio), image
        )
        self._paint_current_tile(painter)

    def _frames(self, rows: np.ndarray) -> np.ndarray:
        frames = np.zeros(rows.shape, dtype=np.uint32)
        there = rows >= 0
        if self._look.colors is not None:
            frames[there] = packed(self._look.colors[rows[there]])
            if self._look.frames is not None:
                frames[there] *= self._look.frames[rows[there]] != NO_FRAME
        return frames

    def _marks(self, rows: np.ndarray) -> np.ndarray:
        """Colours of the selection; 0 for cells that are not selected."""
        there, selection = rows >= 0, self._view.selection
        colors = [color.getRgb()[:3] for color in selection.colors()[1:]]
        marks = np.zeros(rows.shape, dtype=np.uint32)
        marks[there] = np.append(np.uint32(0), packed(colors))[
            selection.marks(rows[there])
        ]
        return marks

    def _paint_current_tile(self, painter: QPainter) -> None:
        current = self._view.currentIndex()
        if self._view.hasFocus() and current.isValid():
            self._paint_current(painter, self._view.visualRect(current))

    def _paint_headings(self, painter: QPainter, exposed: QRect) -> None:
        view, look = self._view, self._look
        if not look.headings:
            return
        top, bottom = exposed.top(), exposed.bottom()
        offset, current = view.offset().y(), view.current_section()
        for section in self._geometry.headings_in(top + offset, bottom + offset):
            collapsed = bool(look.collapsed[section])
            paint_heading(
                painter,
                view.heading_rect(section),
                view,
                look.headings[section],
                int(look.counts[section]),
                collapsed,
                view.hasFocus() and collapsed and section == current,
            )
