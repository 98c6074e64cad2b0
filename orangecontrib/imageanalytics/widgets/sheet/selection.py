"""What is selected in a sheet, and how the mouse and keys change it.

A `SheetView` has one of these. Both know rows only; where they are, the view's geometry
says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from AnyQt.QtCore import QItemSelection, QItemSelectionModel, QPoint, QRect, Qt
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtWidgets import QAbstractItemView, QApplication, QRubberBand
from Orange.widgets.utils.colorpalettes import LimitedDiscretePalette

Keys = Qt.KeyboardModifier


class Selection:
    """
    What both kinds of selection have in common: the frame that the mouse draws.

    Parameters
    ----------
    view : SheetView
        The view that it belongs to.
    """

    #: Whether Qt changes the selection, at a click and so on.
    by_qt = False

    def __init__(self, view):
        self.view = view
        self.band = QRubberBand(QRubberBand.Shape.Rectangle, view.viewport())
        self._start: QPoint | None = None  # of a click or frame, in the contents

    def reset(self, count: int) -> None:
        """Forget everything: there are other rows."""
        self._start = None
        self.band.hide()

    def rows(self) -> list[int]:
        """The selected rows, in order."""
        raise NotImplementedError

    def marks(self, rows: np.ndarray) -> np.ndarray:
        """For each of these rows the number of its group; 0 if it is not selected."""
        raise NotImplementedError

    def colors(self) -> list[QColor | None]:
        """Colours of the groups, the first being None for what is not selected."""
        return [None, self.view.palette().color(QPalette.ColorRole.Highlight)]

    def set_rows(self, rows: Iterable[int]) -> None:
        """Select exactly these rows."""
        raise NotImplementedError

    def select(self, rows: Sequence[int], modifiers) -> None:
        """Change the selection as a click on rows would, with keys held."""
        raise NotImplementedError

    def follow(self, row: int) -> None:
        """Another row becomes the current one, though not by the user's selecting."""
        raise NotImplementedError

    def select_rect(self, rect: QRect, command) -> None:
        """Select what a frame touches, where Qt asks for it."""

    def changed(self) -> None:
        """Qt has changed the selection."""

    def press(self, event) -> None:
        """A button of the mouse is pressed."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._start = event.pos() + self.view.offset()

    def move(self, event) -> None:
        """The mouse is moved."""

    def release(self, event) -> None:
        """A button of the mouse is released."""

    def end(self) -> None:
        """The mouse is no longer at it."""
        self.band.hide()
        self._start = None

    def key(self, event) -> bool:
        """A key is pressed; whether it was one that selects."""
        return False

    def _frame(self, end: QPoint) -> QRect:
        return QRect(self._start - self.view.offset(), end).normalized()

    def _show_band(self, end: QPoint) -> None:
        self.band.setGeometry(self._frame(end))
        self.band.show()


class ExtendedSelection(Selection):
    """Rows as in any list: Shift extends to a row, Ctrl switches one on or off."""

    by_qt = True

    def __init__(self, view):
        super().__init__(view)
        self._selecting = False  # with the left button, which is still down
        self._pending = False
        self._mask: np.ndarray | None = None

    def reset(self, count: int) -> None:
        """Forget everything: there are other rows."""
        super().reset(count)
        self._selecting = self._pending = False
        self._mask = None

    def rows(self) -> list[int]:
        """The selected rows, in order."""
        return np.flatnonzero(self._selected()).tolist()

    def marks(self, rows: np.ndarray) -> np.ndarray:
        """1 for selected rows, 0 for others."""
        return self._selected()[rows].astype(int)

    def _selected(self) -> np.ndarray:
        if self._mask is None:
            # Not from an index for each: there may be 100,000.
            mask = np.zeros(self.view.count(), dtype=bool)
            for part in self._model().selection() if self._model() else ():
                mask[part.top() : part.bottom() + 1] = True
            self._mask = mask
        return self._mask

    def _model(self) -> QItemSelectionModel | None:
        return self.view.selectionModel()

    def set_rows(self, rows: Iterable[int]) -> None:
        """Select exactly these rows; the first of them becomes the current one."""
        flags, rows = QItemSelectionModel.SelectionFlag, sorted(rows)
        self._model().select(self._ranges(rows), flags.ClearAndSelect)
        if rows:
            first = self.view.model().index(rows[0], 0)
            self._model().setCurrentIndex(first, flags.NoUpdate)

    def select(self, rows: Sequence[int], modifiers) -> None:
        """Shift adds rows; Ctrl adds them, or removes them if all are selected."""
        flags, rows = QItemSelectionModel.SelectionFlag, np.sort(rows)
        flag = flags.ClearAndSelect
        if modifiers & Keys.ShiftModifier:
            flag = flags.Select
        elif modifiers & Keys.ControlModifier:
            selected = len(rows) and self._selected()[rows].all()
            flag = flags.Deselect if selected else flags.Select
        self._model().select(self._ranges(rows), flag)

    def select_rect(self, rect: QRect, command) -> None:
        """Select what a frame touches, or all from one row to another."""
        view = self.view
        if view.state() == QAbstractItemView.State.DragSelectingState:
            found = view.rows_in(rect.normalized())
        else:
            ends = view.indexAt(rect.topLeft()), view.indexAt(rect.bottomRight())
            rows = sorted(index.row() for index in ends if index.isValid())
            found = view.shown(np.arange(rows[0], rows[-1] + 1)) if rows else []
        self._model().select(self._ranges(found), command)

    def _ranges(self, rows: Sequence[int]) -> QItemSelection:
        rows, selection = np.asarray(rows, dtype=int), QItemSelection()
        breaks = np.flatnonzero(np.diff(rows) > 1) + 1
        model = self.view.model()
        for part in np.split(rows, breaks) if len(rows) else ():
            first, last = model.index(int(part[0]), 0), model.index(int(part[-1]), 0)
            selection.select(first, last)
        return selection

    def follow(self, row: int) -> None:
        """What is selected stays, unless it is just the row that was the current."""
        flags, current = QItemSelectionModel.SelectionFlag, self.view.currentIndex()
        follows = current.isValid() and self.rows() == [current.row()]
        flag = flags.ClearAndSelect if follows else flags.NoUpdate
        self._model().setCurrentIndex(self.view.model().index(row, 0), flag)

    def changed(self) -> None:
        """The selection has changed: tell so, at once or when the mouse is released."""
        self._mask = None
        self._pending = self._selecting
        if not self._selecting:
            self.view.selection_changed.emit()

    def press(self, event) -> None:
        """Tell nothing until the button is released."""
        super().press(event)
        # Other buttons open a menu, which takes their release.
        self._selecting = event.button() == Qt.MouseButton.LeftButton

    def move(self, event) -> None:
        """Draw the frame."""
        if self._selecting and not event.buttons() & Qt.MouseButton.LeftButton:
            self.end()  # another window has taken the release
        dragging = QAbstractItemView.State.DragSelectingState
        if self.view.state() == dragging and self._start is not None:
            self._show_band(event.pos())

    def end(self) -> None:
        """The mouse is no longer at it; what it has changed is told now."""
        super().end()
        pending = self._pending
        self._selecting = self._pending = False
        if pending:
            self.view.selection_changed.emit()


class GroupSelection(Selection):
    """
    Rows in groups, numbered from 1.

    A click or a frame starts a new selection; with Shift it makes another group, with
    Ctrl it adds to the last one, with Alt it removes.
    """

    def __init__(self, view):
        super().__init__(view)
        self.groups = np.zeros(0, dtype=int)
        self._dragged = False

    def reset(self, count: int) -> None:
        """Forget everything: there are other rows."""
        super().reset(count)
        self.groups = np.zeros(count, dtype=int)

    def rows(self) -> list[int]:
        """The selected rows, in order."""
        return np.flatnonzero(self.groups).tolist()

    def marks(self, rows: np.ndarray) -> np.ndarray:
        """For each of these rows the number of its group; 0 if it is not selected."""
        return self.groups[rows]

    def colors(self) -> list[QColor | None]:
        """A single group has the usual colour, several have those of Orange."""
        count = int(self.groups.max(initial=0))
        if count < 2:
            return super().colors()
        palette = LimitedDiscretePalette(number_of_colors=count + 1)
        return [None, *(palette[number] for number in range(count))]

    def set_rows(self, rows: Iterable[int]) -> None:
        """Select exactly these rows, as one group; nothing is told about it."""
        groups = np.zeros(len(self.groups), dtype=int)
        groups[list(rows)] = 1
        self.set_groups(groups)

    def set_groups(self, groups: np.ndarray) -> None:
        """Select rows in groups; nothing is told about it."""
        self.groups = np.asarray(groups, dtype=int)
        self.view.viewport().update()

    def select(self, rows: Sequence[int], modifiers) -> None:
        """Change the selection as a click or a frame does, and tell about it."""
        groups, rows = self.groups.copy(), np.asarray(rows, dtype=int)
        last = int(groups.max(initial=0))
        if modifiers & Keys.AltModifier:
            groups[rows] = 0
        elif modifiers & Keys.ControlModifier:
            single = len(rows) == 1 and groups[rows[0]] > 0
            groups[rows] = 0 if single else max(1, last)
        elif modifiers & Keys.ShiftModifier:
            groups[rows] = last + 1
        else:
            groups[:] = 0
            groups[rows] = 1
        # A group that has lost all of its images leaves no gap.
        used = np.unique(groups[groups > 0])
        groups[groups > 0] = np.searchsorted(used, groups[groups > 0]) + 1
        if (groups != self.groups).any():
            self.set_groups(groups)
            self.view.selection_changed.emit()

    def follow(self, row: int) -> None:
        """The groups stay."""
        self.view.setCurrentIndex(self.view.model().index(row, 0))

    def press(self, event) -> None:
        """Begin a click or a frame."""
        super().press(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self._dragged = False
            index = self.view.indexAt(event.pos())
            if index.isValid():
                self.view.setCurrentIndex(index)

    def move(self, event) -> None:
        """Draw the frame."""
        if self._start is None:
            return
        moved = event.pos() - (self._start - self.view.offset())
        self._dragged |= moved.manhattanLength() >= QApplication.startDragDistance()
        if self._dragged:
            self._show_band(event.pos())

    def release(self, event) -> None:
        """Select what was clicked or is inside the frame."""
        if self._start is None or event.button() != Qt.MouseButton.LeftButton:
            return
        start = self._start - self.view.offset()
        end = event.pos() if self._dragged else start
        rows = self.view.rows_in(QRect(start, end).normalized())
        self.select(rows, event.modifiers())

    def key(self, event) -> bool:
        """Ctrl+Space selects the current row, Ctrl+A all of them."""
        if not event.modifiers() & Keys.ControlModifier:
            return False
        current = self.view.currentIndex()
        if event.key() == Qt.Key.Key_Space and current.isValid():
            self.select([current.row()], event.modifiers())
        elif event.key() == Qt.Key.Key_A:
            self.select(range(len(self.groups)), Keys.NoModifier)
        else:
            return False
        return True
