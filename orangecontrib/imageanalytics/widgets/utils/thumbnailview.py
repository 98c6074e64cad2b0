"""A sheet of thumbnails.

The view computes where a thumbnail is from its row alone, so opening, resizing and
scrolling take the same time for ten and for a million images.
"""

import math
from collections.abc import Iterable

from AnyQt.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
)
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QContextMenuEvent, QPainter, QRegion
from AnyQt.QtWidgets import (
    QAbstractItemView,
    QRubberBand,
    QStyle,
    QStyleOptionViewItem,
)

from orangecontrib.imageanalytics.widgets.utils.thumbnaildelegate import (
    ThumbnailDelegate,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    SourceRole,
    ThumbnailModel,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import Thumbnail

MIN_EDGE, MAX_EDGE = 32, 1024
NOTCH = 120  # what Qt reports for one of a mouse wheel's


_MOVES = {
    Qt.Key.Key_Left: QAbstractItemView.CursorAction.MoveLeft,
    Qt.Key.Key_Right: QAbstractItemView.CursorAction.MoveRight,
    Qt.Key.Key_Up: QAbstractItemView.CursorAction.MoveUp,
    Qt.Key.Key_Down: QAbstractItemView.CursorAction.MoveDown,
    Qt.Key.Key_Home: QAbstractItemView.CursorAction.MoveHome,
    Qt.Key.Key_End: QAbstractItemView.CursorAction.MoveEnd,
    Qt.Key.Key_PageUp: QAbstractItemView.CursorAction.MovePageUp,
    Qt.Key.Key_PageDown: QAbstractItemView.CursorAction.MovePageDown,
}


class ThumbnailView(QAbstractItemView):
    """
    Thumbnails in rows from left to right, of a size that can be changed.

    Only those in sight, and a page before and after, are asked of the model.
    """

    #: An image is to be shown at full size (double click, Enter, Space).
    preview_requested = Signal(QModelIndex)
    #: Ctrl and the wheel, or Ctrl and plus or minus: larger (1) or smaller (-1).
    resize_requested = Signal(int)
    #: What can be done with an image is asked for, at a place on the screen.
    menu_requested = Signal(QModelIndex, QPoint)
    #: The current row has changed.
    current_changed = Signal(QModelIndex)
    #: The selection has changed; while the mouse is dragged, only when that ends.
    selection_changed = Signal()

    spacing = 4
    # Dragging a slider would otherwise load every size on the way.
    settle_ms = 120

    def __init__(self, parent=None):
        super().__init__(parent)
        self._edge = 100
        self._ratio = self.devicePixelRatioF()
        self._hovered = QModelIndex()
        self._pressed = QPoint()
        self._selecting = False  # with the left button, which is still down
        self._selection_pending = False
        self._anchor = 0  # first row in sight, as long as only the layout changes
        self._n_columns = 0
        self._turned = 0
        self._band = QRubberBand(QRubberBand.Shape.Rectangle, self.viewport())
        self._request_timer = QTimer(self, singleShot=True, interval=0)
        self._request_timer.timeout.connect(self._request)
        self.setItemDelegate(ThumbnailDelegate(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)

    def setModel(self, model: ThumbnailModel) -> None:
        """Show the images of a model."""
        if self.model() is not None:
            self.model().loader.loaded.disconnect(self._update_loaded)
            self.model().modelReset.disconnect(self._ensure_current)
        super().setModel(model)
        model.loader.loaded.connect(self._update_loaded)
        # Not in `reset`: the selection model forgets the current item after that.
        model.modelReset.connect(self._ensure_current)

    # Geometry. Contents coordinates start at the top left of the first thumbnail's
    # cell; viewport coordinates are those less the scrolled offset.

    def edge(self) -> int:
        """Longer side of the images, in points."""
        return self._edge

    def setEdge(self, edge: int) -> None:
        """Change the size of the images; the first row in sight stays."""
        if edge != self._edge:
            self._edge = edge
            self._relayout(self._anchor)

    def cell_size(self) -> QSize:
        """Size of a cell, with the space between it and the next."""
        hint = self.itemDelegate().sizeHint(self._option(), QModelIndex())
        return hint + QSize(self.spacing, self.spacing)

    def columns(self) -> int:
        """Number of thumbnails side by side."""
        return max(1, self.viewport().width() // self._cell.width())

    def row_rect(self, row: int) -> QRect:
        """Where the frame of a row is, in contents coordinates."""
        line, column = divmod(row, self.columns())
        width, height = self._column_width(), self._cell.height()
        left, right = round(column * width), round((column + 1) * width)
        rect = QRect(left, line * height, right - left, height)
        half = self.spacing // 2
        return rect.adjusted(half, half, -half, -half)

    def visible_rows(self) -> range:
        """Rows that are at least partly in sight."""
        top = self.verticalOffset()
        return self._rows_between(top, top + self.viewport().height() - 1)

    def _rows_between(self, top: int, bottom: int) -> range:
        height, columns = self._cell.height(), self.columns()
        first = max(0, top // height) * columns
        last = (max(-1, bottom // height) + 1) * columns
        count = self._count()
        return range(min(first, count), min(last, count))

    def _column_width(self) -> float:
        columns = self.columns()
        if self._count() < columns:
            return self._cell.width()
        return self.viewport().width() / columns

    @property
    def _cell(self) -> QSize:
        if self._cached_cell is None:
            self._cached_cell = self.cell_size()
        return self._cached_cell

    _cached_cell: QSize | None = None

    def _count(self) -> int:
        return self.model().rowCount() if self.model() is not None else 0

    def _top_row(self) -> int:
        return self.verticalOffset() // self._cell.height() * self.columns()

    def _relayout(self, top_row: int | None = None) -> None:
        self._cached_cell = None
        self._n_columns = self.columns()
        self.updateGeometries()
        if top_row is not None:
            line = top_row // self._n_columns
            self.verticalScrollBar().setValue(line * self._cell.height())
            self._anchor = top_row
        self.viewport().update()
        self._request_timer.start(self.settle_ms)

    def updateGeometries(self) -> None:
        """Fit the scroll bar to the number of rows."""
        super().updateGeometries()
        bar, height = self.verticalScrollBar(), self.viewport().height()
        n_lines = math.ceil(self._count() / self.columns())
        bar.setRange(0, max(0, n_lines * self._cell.height() - height))
        bar.setPageStep(height)
        bar.setSingleStep(max(20, min(self._cell.height(), height) // 4))

    def resizeEvent(self, event) -> None:
        """Lay the thumbnails out anew."""
        top = self._anchor
        super().resizeEvent(event)
        if self.columns() != self._n_columns:
            self._relayout(top)
        self._request_timer.start(self.settle_ms)

    def changeEvent(self, event) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._relayout()

    # What a view of items has to say about them.

    def visualRect(self, index: QModelIndex) -> QRect:
        """Where an item is, in viewport coordinates."""
        if not index.isValid():
            return QRect()
        return self.row_rect(index.row()).translated(0, -self.verticalOffset())

    def indexAt(self, point: QPoint) -> QModelIndex:
        """Item at a place in the viewport."""
        contents = point + QPoint(0, self.verticalOffset())
        line = contents.y() // self._cell.height()
        column = min(int(contents.x() / self._column_width()), self.columns() - 1)
        row = line * self.columns() + column
        if point.x() < 0 or not 0 <= row < self._count():
            return QModelIndex()
        if not self.row_rect(row).contains(contents):
            return QModelIndex()
        return self.model().index(row, 0)

    def scrollTo(
        self,
        index: QModelIndex,
        hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible,
    ) -> None:
        """Bring an item into sight."""
        rect, height = self.visualRect(index), self.viewport().height()
        hints = QAbstractItemView.ScrollHint
        if not index.isValid():
            return
        if hint == hints.PositionAtCenter:
            move = rect.center().y() - height // 2
        elif hint == hints.PositionAtTop or rect.top() < 0:
            move = rect.top() - self.spacing // 2
        elif hint == hints.PositionAtBottom or rect.bottom() >= height:
            move = min(rect.bottom() + self.spacing - height, rect.top())
        else:
            return
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + move)

    def horizontalOffset(self) -> int:
        """Always 0: thumbnails never are outside to the right."""
        return 0

    def verticalOffset(self) -> int:
        """How far it is scrolled down, in points."""
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: QModelIndex) -> bool:
        """No item is hidden."""
        return False

    def moveCursor(self, action, modifiers) -> QModelIndex:
        """Item that a key leads to."""
        count, row = self._count(), self.currentIndex().row()
        if not count:
            return QModelIndex()
        if row < 0:
            return self.model().index(0, 0)
        columns, actions = self.columns(), QAbstractItemView.CursorAction
        page = max(1, self.viewport().height() // self._cell.height()) * columns
        steps = {
            actions.MoveLeft: -1,
            actions.MovePrevious: -1,
            actions.MoveRight: 1,
            actions.MoveNext: 1,
            actions.MoveUp: -columns if row >= columns else 0,
            actions.MoveDown: columns,
            actions.MovePageUp: -min(page, row // columns * columns),
            actions.MovePageDown: page,
            actions.MoveHome: -row,
            actions.MoveEnd: count,
        }
        target = row + steps[action]
        last_line = (count - 1) // columns
        if action == actions.MoveDown and row // columns == last_line:
            target = row
        return self.model().index(max(0, min(target, count - 1)), 0)

    def move_current(self, key: int) -> bool:
        """
        Move as a key does, without a change of what has been picked.

        Parameters
        ----------
        key : Qt.Key
            A key; modifiers do not matter.

        Returns
        -------
        bool
            Whether it is a key that moves.
        """
        action = _MOVES.get(key)
        if action is None:
            return False
        index = self.moveCursor(action, Qt.KeyboardModifier.NoModifier)
        if index.isValid():
            flags, current = QItemSelectionModel.SelectionFlag, self.currentIndex()
            follows = current.isValid() and self._selected_only(current.row())
            flag = flags.ClearAndSelect if follows else flags.NoUpdate
            self.selectionModel().setCurrentIndex(index, flag)
        return True

    def _selected_only(self, row: int) -> bool:
        ranges = [(part.top(), part.bottom()) for part in self._selection()]
        return ranges == [(row, row)]

    def setSelection(self, rect: QRect, command) -> None:
        """Select what a rubber band touches, or all from one item to another."""
        model, selection = self.model(), QItemSelection()
        if self.state() == QAbstractItemView.State.DragSelectingState:
            for first, last in self._runs(rect.normalized()):
                selection.select(model.index(first, 0), model.index(last, 0))
        else:
            ends = self.indexAt(rect.topLeft()), self.indexAt(rect.bottomRight())
            rows = sorted(index.row() for index in ends if index.isValid())
            if rows:
                selection.select(model.index(rows[0], 0), model.index(rows[-1], 0))
        self.selectionModel().select(selection, command)

    def _runs(self, rect: QRect) -> list[tuple[int, int]]:
        """First and last row of each run of neighbours that a rectangle touches."""
        rect = rect.translated(0, self.verticalOffset())
        rows, columns = self._rows_between(rect.top(), rect.bottom()), self.columns()
        if not rows:
            return []
        touched = [
            column
            for column in range(columns)
            if (cell := self.row_rect(column)).left() <= rect.right()
            and cell.right() >= rect.left()
        ]
        if not touched:
            return []
        runs = []
        for start in range(rows.start, rows.stop, columns):
            place = self.row_rect(start)
            first, last = start + touched[0], min(start + touched[-1], rows.stop - 1)
            inside = place.top() <= rect.bottom() and place.bottom() >= rect.top()
            if inside and first <= last:
                runs.append((first, last))
        return runs

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        """What has to be painted anew when a selection changes."""
        visible = self.visible_rows()
        region = QRegion()
        for part in selection:
            first = max(part.top(), visible.start)
            last = min(part.bottom(), visible.stop - 1)
            if last - first > 50:
                return QRegion(self.viewport().rect())
            for row in range(first, last + 1):
                region += self.visualRect(self.model().index(row, 0))
        return region

    def selected_rows(self) -> list[int]:
        """Selected rows, in order."""
        # Not from an index for each: there may be 100,000.
        rows = set()
        for part in self._selection():
            rows.update(range(part.top(), part.bottom() + 1))
        return sorted(rows)

    def _selection(self) -> QItemSelection:
        if self.selectionModel() is None:
            return QItemSelection()
        return self.selectionModel().selection()

    def select_rows(self, rows: Iterable[int]) -> None:
        """Select exactly these rows; the first of them becomes the current one."""
        selection, model, ranges = QItemSelection(), self.model(), _ranges(rows)
        for first, last in ranges:
            selection.select(model.index(first, 0), model.index(last, 0))
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(selection, flags.ClearAndSelect)
        if ranges:
            first = model.index(ranges[0][0], 0)
            self.selectionModel().setCurrentIndex(first, flags.NoUpdate)

    # Painting and loading

    def paintEvent(self, event) -> None:
        """Draw the thumbnails in the exposed area."""
        if self._ratio != self.devicePixelRatioF():
            self._ratio = self.devicePixelRatioF()
            self._request_timer.start()
        painter = QPainter(self.viewport())
        option, exposed = self._option(), event.region()
        states, plain = QStyle.StateFlag, self._option().state
        selection, current = self.selectionModel(), self.currentIndex()
        focused = self.hasFocus()
        for row in self.visible_rows():
            index = self.model().index(row, 0)
            option.rect = self.visualRect(index)
            if not exposed.intersects(option.rect):
                continue
            option.state = plain & ~states.State_HasFocus & ~states.State_MouseOver
            if selection.isSelected(index):
                option.state |= states.State_Selected
            if index == self._hovered:
                option.state |= states.State_MouseOver
            if focused and index == current:
                option.state |= states.State_HasFocus
            self.itemDelegate().paint(painter, option, index)

    def _option(self) -> QStyleOptionViewItem:
        if hasattr(self, "initViewItemOption"):
            option = QStyleOptionViewItem()
            self.initViewItemOption(option)
        else:  # Qt 5
            option = self.viewOptions()
        option.decorationSize = QSize(self._edge, self._edge)
        return option

    def _request(self) -> None:
        if self.model() is None or not self.isVisible():
            return
        visible, top = self.visible_rows(), self.verticalOffset()
        height = self.viewport().height()
        below = self._rows_between(top, top + 2 * height)
        above = self._rows_between(top - height, top)
        rows = [*visible, *below[len(visible) :], *above]
        edge = round(self._edge * self.devicePixelRatioF())
        self.model().request(rows, (edge, edge))

    def _update_loaded(self, thumbnails: list[Thumbnail]) -> None:
        sources = {thumbnail.source for thumbnail in thumbnails}
        for row in self.visible_rows():
            index = self.model().index(row, 0)
            if index.data(SourceRole) in sources:
                self.viewport().update(self.visualRect(index))

    def reset(self) -> None:
        """Forget the old rows: the model has others."""
        super().reset()
        self._hovered = QModelIndex()
        self._selecting = self._selection_pending = False
        self.verticalScrollBar().setValue(0)
        self._relayout()
        self._request_timer.start(0)
        self.current_changed.emit(self.currentIndex())

    def _ensure_current(self) -> None:
        # Qt does so when the focus comes, but not for new rows.
        if self.hasFocus() and self._count() and not self.currentIndex().isValid():
            flag = QItemSelectionModel.SelectionFlag.NoUpdate
            self.selectionModel().setCurrentIndex(self.model().index(0, 0), flag)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Move what is drawn, and load what comes into sight."""
        self.scrollDirtyRegion(dx, dy)
        self.viewport().scroll(dx, dy)
        self._anchor = self._top_row()
        if not self._request_timer.isActive():
            self._request_timer.start(0)

    def showEvent(self, event) -> None:
        """Start to load: nothing is loaded for a window that is not open."""
        super().showEvent(event)
        self._request_timer.start(0)

    def hideEvent(self, event) -> None:
        """Drop what is still to be loaded."""
        super().hideEvent(event)
        self._end_selecting()
        if self.model() is not None:
            self.model().request((), (self._edge, self._edge))

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        """Bring the current item into sight."""
        super().currentChanged(current, previous)
        self.viewport().update(self.visualRect(previous))
        self.current_changed.emit(current)

    def selectionChanged(self, selected, deselected) -> None:
        """Tell about it, at once or when the mouse is released."""
        super().selectionChanged(selected, deselected)
        if self._selecting:
            self._selection_pending = True
        else:
            self.selection_changed.emit()

    def _end_selecting(self) -> None:
        pending = self._selection_pending
        self._selecting = self._selection_pending = False
        if pending:
            self.selection_changed.emit()

    # Mouse and keys

    def viewportEvent(self, event) -> bool:
        """Mark the item under the mouse."""
        kinds = QEvent.Type
        if event.type() in (kinds.HoverMove, kinds.HoverEnter):
            position = event.position() if hasattr(event, "position") else event.posF()
            self._hover(self.indexAt(position.toPoint()))
        elif event.type() in (kinds.HoverLeave, kinds.Leave):
            self._hover(QModelIndex())
        return super().viewportEvent(event)

    def _hover(self, index: QModelIndex) -> None:
        if index != self._hovered:
            for changed in (self._hovered, index):
                self.viewport().update(self.visualRect(changed))
            self._hovered = index

    def mousePressEvent(self, event) -> None:
        """Select, or begin a rubber band."""
        self._pressed = event.pos() + QPoint(0, self.verticalOffset())
        # Other buttons open a menu, which takes their release.
        self._selecting = event.button() == Qt.MouseButton.LeftButton
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event) -> None:
        """Draw the rubber band."""
        super().mouseMoveEvent(event)
        if self._selecting and not event.buttons() & Qt.MouseButton.LeftButton:
            self._end_selecting()  # another window has taken the release
        if self.state() == QAbstractItemView.State.DragSelectingState:
            start = self._pressed - QPoint(0, self.verticalOffset())
            self._band.setGeometry(QRect(start, event.pos()).normalized())
            self._band.show()

    def mouseReleaseEvent(self, event) -> None:
        """End the rubber band."""
        self._band.hide()
        super().mouseReleaseEvent(event)
        self._end_selecting()

    def mouseDoubleClickEvent(self, event) -> None:
        """Ask for the preview."""
        super().mouseDoubleClickEvent(event)
        index = self.indexAt(event.pos())
        if event.button() == Qt.MouseButton.LeftButton and index.isValid():
            self.preview_requested.emit(index)

    def contextMenuEvent(self, event) -> None:
        """Ask for the menu, by the mouse or the key that keyboards have for it."""
        place, index = event.pos(), self.indexAt(event.pos())
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
            self.scrollTo(index)
            place = self.visualRect(index).center()
        if index.isValid():
            self.menu_requested.emit(index, self.viewport().mapToGlobal(place))

    def wheelEvent(self, event) -> None:
        """Scroll or, with Ctrl, ask for another size."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            # Touchpads turn by small fractions of a wheel's notch.
            self._turned += event.angleDelta().y()
            notches = int(self._turned / NOTCH)
            self._turned -= notches * NOTCH
            for _ in range(abs(notches)):
                self.resize_requested.emit(1 if notches > 0 else -1)
            event.accept()
        else:
            super().wheelEvent(event)

    def keyPressEvent(self, event) -> None:
        """Space or Enter ask for the preview, Ctrl and plus or minus for a size."""
        keys, key = Qt.Key, event.key()
        control = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        preview = key in (keys.Key_Space, keys.Key_Return, keys.Key_Enter)
        if preview and not control and self.currentIndex().isValid():
            self.preview_requested.emit(self.currentIndex())
        elif control and key in (keys.Key_Plus, keys.Key_Equal):
            self.resize_requested.emit(1)
        elif control and key == keys.Key_Minus:
            self.resize_requested.emit(-1)
        else:
            super().keyPressEvent(event)
            return
        event.accept()


def _ranges(rows: Iterable[int]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for row in sorted(rows):
        if ranges and ranges[-1][1] == row - 1:
            ranges[-1] = (ranges[-1][0], row)
        else:
            ranges.append((row, row))
    return ranges
