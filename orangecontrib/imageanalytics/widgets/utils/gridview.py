"""Thumbnails at given cells of a grid, fitted into the window or zoomed."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from AnyQt.QtCore import QModelIndex, QPoint, QRect, QRectF, QSize, Qt, QTimer
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QColor, QPainter, QPalette, QPen, QRegion
from AnyQt.QtWidgets import QAbstractItemView, QApplication, QRubberBand
from Orange.widgets.utils.colorpalettes import LimitedDiscretePalette

from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.widgets.utils.thumbnaildelegate import (
    paint_broken,
    paint_image,
    paint_placeholder,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    SourceRole,
    ThumbnailModel,
    ThumbnailRole,
    shortened,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import Thumbnail

MAX_ZOOM = 16.0
ZOOM_STEP = 1.25
MAX_EDGE = 1024
# Cells with less room have neither label nor margin.
MIN_LABELLED = 40
# Thumbnails are loaded in these sizes only, so that most zooming loads nothing.
LOADED_EDGES = (32, 64, 128, 256, 512, 1024)
DIMMED = 0.2
NOTCH = 120  # what Qt reports for one of a mouse wheel's


class GridView(QAbstractItemView):
    """
    A grid of thumbnails; rows of the model are images, each in a cell of its own.

    Selected images belong to groups, numbered from 1. A click or a frame starts a
    new selection; with Shift it makes another group, with Ctrl it adds to the last
    one, with Alt it removes.
    """

    #: An image is to be shown at full size (double click, Enter, Space).
    preview_requested = Signal(QModelIndex)
    #: The current row has changed.
    current_changed = Signal(QModelIndex)
    #: The user has changed the selection.
    groups_changed = Signal()
    #: The user has zoomed.
    zoomed = Signal(float)
    #: The room for the grid has changed.
    resized = Signal()

    settle_ms = 120

    def __init__(self, parent=None):
        super().__init__(parent)
        self._columns = self._lines = 0
        self._cells = np.zeros(0, dtype=int)
        self._rows: dict[int, int] = {}  # rows of the model by cell
        self._groups = np.zeros(0, dtype=int)
        self._dimmed: np.ndarray | None = None
        self._colors: Sequence[QColor | None] | None = None
        self._crop = self._labelled = False
        self._zoom = 1.0
        self._message = ""
        self._pressed: QPoint | None = None
        self._dragged = False
        self._turned = 0
        self._band = QRubberBand(QRubberBand.Shape.Rectangle, self.viewport())
        self._request_timer = QTimer(self, singleShot=True, interval=0)
        self._request_timer.timeout.connect(self._request)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)

    def setModel(self, model: ThumbnailModel) -> None:
        """Show the images of a model."""
        super().setModel(model)
        model.loader.loaded.connect(self._update_loaded)

    # What is shown

    def set_images(
        self,
        sources: Sequence[str],
        cells: np.ndarray,
        size: tuple[int, int],
        title: Callable[[int], str],
        intensity: Intensity = AUTOMATIC,
    ) -> None:
        """
        Show images in cells.

        Parameters
        ----------
        sources : sequence of str
            Path or URL for each row.
        cells : numpy.ndarray of int
            For each row its cell, counted line by line.
        size : (int, int)
            Columns and lines of the grid.
        title : callable
            Gives the title of a row.
        intensity : "auto", "full" or (float, float)
            As for `decode`.
        """
        self._columns, self._lines = size
        self._cells = cells
        self._rows = {int(cell): row for row, cell in enumerate(cells)}
        self._groups = np.zeros(len(cells), dtype=int)
        self._dimmed = self._colors = None
        self._zoom = 1.0
        self.model().set_images(sources, title, intensity)
        self._relayout()

    def set_message(self, text: str) -> None:
        """What stands where the grid will be; with it, the grid is pale."""
        self._message = text
        self.viewport().update()

    def set_crop(self, crop: bool) -> None:
        """Whether images are cut to squares that fill their cells."""
        self._crop = crop
        self._relayout()

    def set_labelled(self, labelled: bool) -> None:
        """Whether titles are written below images."""
        self._labelled = labelled
        self._relayout()

    def set_colors(self, colors: Sequence[QColor | None] | None) -> None:
        """Colours of the frames of rows."""
        self._colors = colors
        self.viewport().update()

    def set_dimmed(self, dimmed: np.ndarray | None) -> None:
        """Which rows are pale."""
        self._dimmed = dimmed
        self.viewport().update()

    @property
    def groups(self) -> np.ndarray:
        """For each row the number of its group; 0 if it is not selected."""
        return self._groups

    def set_groups(self, groups: np.ndarray) -> None:
        """Select rows in groups."""
        self._groups = np.asarray(groups, dtype=int)
        self.viewport().update()

    def select(self, rows: Sequence[int], modifiers) -> None:
        """
        Change the selection as a click or a frame does.

        Parameters
        ----------
        rows : sequence of int
            Rows clicked.
        modifiers : Qt.KeyboardModifier
            Keys that were held.
        """
        held, groups = Qt.KeyboardModifier, self._groups.copy()
        rows = np.asarray(rows, dtype=int)
        last = int(groups.max(initial=0))
        if modifiers & held.AltModifier:
            groups[rows] = 0
        elif modifiers & held.ControlModifier:
            single = len(rows) == 1 and groups[rows[0]] > 0
            groups[rows] = 0 if single else max(1, last)
        elif modifiers & held.ShiftModifier:
            groups[rows] = last + 1
        else:
            groups[:] = 0
            groups[rows] = 1
        # A group that has lost all of its images leaves no gap.
        used = np.unique(groups[groups > 0])
        groups[groups > 0] = np.searchsorted(used, groups[groups > 0]) + 1
        if (groups != self._groups).any():
            self.set_groups(groups)
            self.groups_changed.emit()

    # Geometry. Contents coordinates start at the top left of the grid; viewport
    # coordinates are those less the scrolled offset.

    def zoom(self) -> float:
        """Size of the cells; 1 shows the whole grid."""
        return self._zoom

    def set_zoom(self, zoom: float, at: QPoint | None = None) -> None:
        """
        Zoom in or out.

        Parameters
        ----------
        zoom : float
            From 1 to `MAX_ZOOM`.
        at : QPoint, optional
            Place in the viewport that stays on the same image.
        """
        zoom = min(max(zoom, 1.0), MAX_ZOOM)
        if zoom == self._zoom or not self._columns:
            return
        at = at if at is not None else self.viewport().rect().center()
        cell, place = self._cell(), at - self._origin()
        x, y = place.x() / cell.width(), place.y() / cell.height()
        self._zoom = zoom
        self._relayout()
        cell = self._cell()
        self.horizontalScrollBar().setValue(round(x * cell.width()) - at.x())
        self.verticalScrollBar().setValue(round(y * cell.height()) - at.y())
        self.zoomed.emit(zoom)

    def aspect(self, count: int) -> float:
        """Columns for each line with which this many images become largest."""
        room = self.maximumViewportSize()
        width, height = max(1, room.width()), max(1, room.height())
        edge = math.sqrt(width * height / max(1, count))
        return width / height * (1 + self._label_height(edge) / edge)

    def _label_height(self, edge: float) -> int:
        if not self._labelled or edge < MIN_LABELLED:
            return 0
        return self.fontMetrics().height() + 2

    def _cell(self) -> QSize:
        """Size of a cell in points, at the present zoom."""
        room = self.maximumViewportSize()
        columns, lines = max(1, self._columns), max(1, self._lines)
        edge = min(room.width() / columns, room.height() / lines)
        label = self._label_height(edge * self._zoom)
        edge = min(room.width() / columns, room.height() / lines - label / self._zoom)
        edge = int(min(max(2.0, edge * self._zoom), MAX_EDGE))
        return QSize(edge, edge + label)

    def _grid(self) -> QSize:
        cell = self._cell()
        return QSize(cell.width() * self._columns, cell.height() * self._lines)

    def _origin(self) -> QPoint:
        """Where the grid starts, in viewport coordinates: small ones are centred."""
        grid, room = self._grid(), self.viewport().size()
        return QPoint(
            max(0, room.width() - grid.width()) // 2 - self.horizontalOffset(),
            max(0, room.height() - grid.height()) // 2 - self.verticalOffset(),
        )

    def _rect(self, row: int) -> QRect:
        line, column = divmod(int(self._cells[row]), self._columns)
        cell = self._cell()
        place = QPoint(column * cell.width(), line * cell.height())
        return QRect(self._origin() + place, cell)

    def _rows_in(self, rect: QRect) -> list[int]:
        """Rows that a rectangle in the viewport touches."""
        cell, rect = self._cell(), rect.translated(-self._origin())
        left, right = rect.left() // cell.width(), rect.right() // cell.width()
        top, bottom = rect.top() // cell.height(), rect.bottom() // cell.height()
        found = []
        for line in range(max(0, top), min(bottom + 1, self._lines)):
            for column in range(max(0, left), min(right + 1, self._columns)):
                row = self._rows.get(line * self._columns + column)
                if row is not None:
                    found.append(row)
        return found

    def _relayout(self) -> None:
        self.updateGeometries()
        self.viewport().update()
        self._request_timer.start(self.settle_ms)

    def updateGeometries(self) -> None:
        """Fit the scroll bars to the grid."""
        super().updateGeometries()
        grid, cell, room = self._grid(), self._cell(), self.viewport().size()
        for bar, size, page, step in (
            (self.horizontalScrollBar(), grid.width(), room.width(), cell.width()),
            (self.verticalScrollBar(), grid.height(), room.height(), cell.height()),
        ):
            bar.setRange(0, max(0, size - page))
            bar.setPageStep(page)
            bar.setSingleStep(max(10, step // 2))

    def resizeEvent(self, event) -> None:
        """Lay the thumbnails out anew."""
        super().resizeEvent(event)
        self._relayout()
        self.resized.emit()

    # What a view of items has to say about them.

    def visualRect(self, index: QModelIndex) -> QRect:
        """Where an item is, in viewport coordinates."""
        if not index.isValid() or index.row() >= len(self._cells):
            return QRect()
        return self._rect(index.row())

    def indexAt(self, point: QPoint) -> QModelIndex:
        """Item at a place in the viewport."""
        rows = self._rows_in(QRect(point, QSize(1, 1)))
        return self.model().index(rows[0], 0) if rows else QModelIndex()

    def scrollTo(self, index: QModelIndex, hint=None) -> None:
        """Bring an item into sight."""
        rect, room = self.visualRect(index), self.viewport().rect()
        if rect.isNull():
            return
        horizontal, vertical = self.horizontalScrollBar(), self.verticalScrollBar()
        for bar, before, after in (
            (horizontal, rect.left(), rect.right() - room.right()),
            (vertical, rect.top(), rect.bottom() - room.bottom()),
        ):
            bar.setValue(bar.value() + min(before, max(0, after)))

    def horizontalOffset(self) -> int:
        """How far it is scrolled to the right, in points."""
        return self.horizontalScrollBar().value()

    def verticalOffset(self) -> int:
        """How far it is scrolled down, in points."""
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: QModelIndex) -> bool:
        """No item is hidden."""
        return False

    def setSelection(self, rect: QRect, command) -> None:
        """Of no effect: groups are selected instead."""

    def visualRegionForSelection(self, selection) -> QRegion:
        """Nothing: groups are painted instead."""
        return QRegion()

    def moveCursor(self, action, modifiers) -> QModelIndex:
        """Item that a key leads to: the next one in its direction."""
        actions, row = QAbstractItemView.CursorAction, self.currentIndex().row()
        if not len(self._cells):
            return QModelIndex()
        ordered = np.argsort(self._cells)
        if row < 0 or action in (actions.MoveHome, actions.MoveEnd):
            return self.model().index(int(ordered[-(action == actions.MoveEnd)]), 0)
        if action in (actions.MoveNext, actions.MovePrevious):
            place = int(np.searchsorted(self._cells[ordered], self._cells[row]))
            place += 1 if action == actions.MoveNext else -1
            place = min(max(place, 0), len(ordered) - 1)
            return self.model().index(int(ordered[place]), 0)
        page = max(1, self.viewport().height() // self._cell().height())
        steps = {
            actions.MoveLeft: (-1, 0, 1),
            actions.MoveRight: (1, 0, 1),
            actions.MoveUp: (0, -1, 1),
            actions.MoveDown: (0, 1, 1),
            actions.MovePageUp: (0, -1, page),
            actions.MovePageDown: (0, 1, page),
        }
        return self.model().index(self._next(row, *steps[action]), 0)

    def _next(self, row: int, right: int, down: int, steps: int) -> int:
        line, column = divmod(int(self._cells[row]), self._columns)
        while steps > 0:
            line, column = line + down, column + right
            if not (0 <= line < self._lines and 0 <= column < self._columns):
                break
            found = self._rows.get(line * self._columns + column)
            if found is not None:
                row, steps = found, steps - 1
        return row

    # Painting and loading

    def paintEvent(self, event) -> None:
        """Draw the thumbnails in the exposed area."""
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        exposed, palette = event.region(), self._group_colors()
        cell, current = self._cell(), self.currentIndex().row()
        for row in self._rows_in(exposed.boundingRect()):
            rect = self._rect(row)
            if not exposed.intersects(rect):
                continue
            pale = self._message or (self._dimmed is not None and self._dimmed[row])
            painter.setOpacity(DIMMED if pale else 1.0)
            group = self._groups[row]
            self._paint_cell(painter, row, rect, cell, palette[group])
            if row == current and self.hasFocus():
                painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Text), 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(rect.adjusted(0, 0, -1, -1))
        painter.setOpacity(1.0)
        if self._message:
            self._paint_message(painter)

    def _group_colors(self) -> list[QColor | None]:
        count = int(self._groups.max(initial=0))
        highlight = self.palette().color(QPalette.ColorRole.Highlight)
        if count < 2:
            return [None, highlight]
        palette = LimitedDiscretePalette(number_of_colors=count + 1)
        return [None, *(palette[number] for number in range(count))]

    def _paint_cell(self, painter, row, rect, cell, selected) -> None:
        edge = cell.width()
        margin = 3 if edge >= MIN_LABELLED else 1
        if selected is not None:
            painter.fillRect(rect, selected)
        image = QRect(rect.topLeft(), QSize(edge, edge))
        image.adjust(margin, margin, -margin, -margin)
        color = self._colors[row] if self._colors is not None else None
        if color is not None:
            width = 3 if edge >= MIN_LABELLED else 1
            _paint_frame(painter, image, width, color)
            image.adjust(width, width, -width, -width)
        if image.width() > 0:
            self._paint_image(painter, row, image)
        if rect.height() > edge:
            self._paint_label(painter, row, rect, edge, selected)

    def _paint_image(self, painter: QPainter, row: int, rect: QRect) -> None:
        thumbnail = self.model().index(row, 0).data(ThumbnailRole)
        if thumbnail is None:
            paint_placeholder(painter, rect, self.palette())
        elif thumbnail.image is None:
            paint_broken(painter, rect, self.palette())
        elif self._crop:
            image = thumbnail.image
            edge = min(image.width(), image.height())
            left, top = (image.width() - edge) / 2, (image.height() - edge) / 2
            painter.drawImage(QRectF(rect), image, QRectF(left, top, edge, edge))
        else:
            paint_image(painter, rect, thumbnail, rect.size())

    def _paint_label(self, painter, row, rect, edge, selected) -> None:
        text = shortened(self.model().index(row, 0).data() or "", 200)
        text = self.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideMiddle, edge - 4
        )
        roles = QPalette.ColorRole
        color = self.palette().color(roles.Text)
        if selected is not None:
            color = QColor("black" if selected.lightnessF() > 0.55 else "white")
        painter.setPen(color)
        place = QRect(rect.left(), rect.top() + edge - 1, edge, rect.height() - edge)
        painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), text)

    def _paint_message(self, painter: QPainter) -> None:
        metrics, middle = self.fontMetrics(), self.viewport().rect().center()
        box = QRect(0, 0, metrics.horizontalAdvance(self._message) + 40, 0)
        box.setHeight(metrics.height() + 24)
        box.moveCenter(middle)
        roles = QPalette.ColorRole
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.palette().color(roles.Base))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(self.palette().color(roles.Text))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), self._message)

    def _request(self) -> None:
        if self.model() is None or not self.isVisible():
            return
        room = self.viewport().rect()
        shown = self._rows_in(room)
        half = QSize(room.width() // 2, room.height() // 2)
        around = self._rows_in(
            room.adjusted(-half.width(), -half.height(), half.width(), half.height())
        )
        wanted = self._cell().width() * self.devicePixelRatioF()
        # A crop is as large as the shorter side of the image.
        wanted *= 1.4 if self._crop else 1.0
        edge = next((e for e in LOADED_EDGES if e >= wanted), LOADED_EDGES[-1])
        self.model().request(dict.fromkeys([*shown, *around]), (edge, edge))

    def _update_loaded(self, thumbnails: list[Thumbnail]) -> None:
        sources = {thumbnail.source for thumbnail in thumbnails}
        model = self.model()
        for row in self._rows_in(self.viewport().rect()):
            if model.index(row, 0).data(SourceRole) in sources:
                self.viewport().update(self._rect(row))

    def reset(self) -> None:
        """Forget the old rows: the model has others."""
        super().reset()
        self._request_timer.start(0)
        self.current_changed.emit(self.currentIndex())

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Move what is drawn, and load what comes into sight."""
        self.viewport().update()
        if not self._request_timer.isActive():
            self._request_timer.start(0)

    def showEvent(self, event) -> None:
        """Start to load: nothing is loaded for a window that is not open."""
        super().showEvent(event)
        self._request_timer.start(0)

    def hideEvent(self, event) -> None:
        """Drop what is still to be loaded."""
        super().hideEvent(event)
        if self.model() is not None:
            self.model().request((), (1, 1))

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        """Bring the current item into sight."""
        super().currentChanged(current, previous)
        self.viewport().update()
        self.current_changed.emit(current)

    # Mouse and keys

    def mousePressEvent(self, event) -> None:
        """Begin a click or a frame."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed, self._dragged = event.pos(), False
            index = self.indexAt(event.pos())
            if index.isValid():
                self.setCurrentIndex(index)

    def mouseMoveEvent(self, event) -> None:
        """Draw the frame."""
        if self._pressed is None:
            return
        moved = (event.pos() - self._pressed).manhattanLength()
        self._dragged |= moved >= QApplication.startDragDistance()
        if self._dragged:
            self._band.setGeometry(QRect(self._pressed, event.pos()).normalized())
            self._band.show()

    def mouseReleaseEvent(self, event) -> None:
        """Select what was clicked or is inside the frame."""
        if self._pressed is None or event.button() != Qt.MouseButton.LeftButton:
            return
        end = event.pos() if self._dragged else self._pressed
        frame = QRect(self._pressed, end).normalized()
        self._pressed = None
        self._band.hide()
        self.select(self._rows_in(frame), event.modifiers())

    def mouseDoubleClickEvent(self, event) -> None:
        """Ask for the preview."""
        index = self.indexAt(event.pos())
        if event.button() == Qt.MouseButton.LeftButton and index.isValid():
            self.preview_requested.emit(index)

    def wheelEvent(self, event) -> None:
        """Scroll or, with Ctrl, zoom about the mouse."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            # Touchpads turn by small fractions of a wheel's notch.
            self._turned += event.angleDelta().y()
            notches = int(self._turned / NOTCH)
            self._turned -= notches * NOTCH
            if notches:
                place = event.position().toPoint()
                self.set_zoom(self._zoom * ZOOM_STEP**notches, place)
            event.accept()
        else:
            super().wheelEvent(event)

    def keyPressEvent(self, event) -> None:
        """Preview, zoom, select all or the current one, move."""
        keys, key, current = Qt.Key, event.key(), self.currentIndex()
        control = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if key == keys.Key_Space and control and current.isValid():
            self.select([current.row()], event.modifiers())
        elif key in (keys.Key_Space, keys.Key_Return, keys.Key_Enter):
            if current.isValid():
                self.preview_requested.emit(current)
        elif key in (keys.Key_Plus, keys.Key_Equal):
            self.set_zoom(self._zoom * ZOOM_STEP)
        elif key == keys.Key_Minus:
            self.set_zoom(self._zoom / ZOOM_STEP)
        elif key == keys.Key_0:
            self.set_zoom(1.0)
        elif key == keys.Key_A and control:
            self.select(range(len(self._cells)), Qt.KeyboardModifier.NoModifier)
        else:
            super().keyPressEvent(event)
            return
        event.accept()


def _paint_frame(painter: QPainter, rect: QRect, width: int, color: QColor) -> None:
    # Not filled: a pale image would let it through.
    for left, top, right, bottom in (
        (0, 0, 0, width - rect.height()),
        (0, rect.height() - width, 0, 0),
        (0, width, width - rect.width(), -width),
        (rect.width() - width, width, 0, -width),
    ):
        painter.fillRect(rect.adjusted(left, top, right, bottom), color)


def slider_to_zoom(value: int) -> float:
    """Zoom for a place of a slider, from 0 to 100."""
    return MAX_ZOOM ** (value / 100)


def zoom_to_slider(zoom: float) -> int:
    """Place of a slider for a zoom."""
    return round(100 * math.log(zoom, MAX_ZOOM))
