"""A sheet of images: the view of Image Viewer and Image Grid.

Its parts each do one thing: a `Geometry` says where cells are, a `Selection` what is
selected, `SheetLoading` what is loaded, and `SheetPainter` paints. The view ties them
to Qt.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from AnyQt.QtCore import QEvent, QModelIndex, QPoint, QRect, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QPainter, QRegion
from AnyQt.QtWidgets import QAbstractItemView

from orangecontrib.imageanalytics.widgets.sheet.geometry import Geometry, Move
from orangecontrib.imageanalytics.widgets.sheet.selection import Selection
from orangecontrib.imageanalytics.widgets.sheet.sheetevents import EventsMixin
from orangecontrib.imageanalytics.widgets.sheet.sheetloading import (
    MAX_PLACES,
    SheetLoading,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetlook import Look, LookMixin
from orangecontrib.imageanalytics.widgets.sheet.sheetpainter import SheetPainter
from orangecontrib.imageanalytics.widgets.sheet.sheetplaces import PlacesMixin
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel

_Action = QAbstractItemView.CursorAction
_MOVES = {
    _Action.MoveLeft: Move.LEFT,
    _Action.MoveRight: Move.RIGHT,
    _Action.MoveUp: Move.UP,
    _Action.MoveDown: Move.DOWN,
    _Action.MoveNext: Move.NEXT,
    _Action.MovePrevious: Move.PREVIOUS,
    _Action.MovePageUp: Move.PAGE_UP,
    _Action.MovePageDown: Move.PAGE_DOWN,
    _Action.MoveHome: Move.HOME,
    _Action.MoveEnd: Move.END,
}
_KEYS = {
    Qt.Key.Key_Left: _Action.MoveLeft,
    Qt.Key.Key_Right: _Action.MoveRight,
    Qt.Key.Key_Up: _Action.MoveUp,
    Qt.Key.Key_Down: _Action.MoveDown,
    Qt.Key.Key_Home: _Action.MoveHome,
    Qt.Key.Key_End: _Action.MoveEnd,
    Qt.Key.Key_PageUp: _Action.MovePageUp,
    Qt.Key.Key_PageDown: _Action.MovePageDown,
}


class SheetView(EventsMixin, PlacesMixin, LookMixin, QAbstractItemView):
    """
    Images in cells, of a size that can be changed.

    Only what is in sight, and what is near to it, is asked of the model, painted and
    loaded.

    Parameters
    ----------
    geometry : Geometry
        Where the cells are: `FlowGeometry` or `GridGeometry`.
    selection : callable
        Makes the selection: `ExtendedSelection` or `GroupSelection`.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    sheet_geometry : Geometry
        Where the cells are.
    selection : Selection
        What is selected.
    look : Look
        What is shown beside images. `set_labels`, `set_colors`, `set_dimmed`,
        `set_crop`, `set_sections` and `set_message` change it.
    """

    #: An image is to be shown at full size (double click, Enter, Space).
    preview_requested = Signal(QModelIndex)
    #: The current row has changed.
    current_changed = Signal(QModelIndex)
    #: The selection has changed; while the mouse is dragged, only when that ends.
    selection_changed = Signal()
    #: What can be done with an image is asked for, at a place on the screen.
    menu_requested = Signal(QModelIndex, QPoint)
    #: The mouse has come onto a row, or onto none (-1); also at a click or scrolling.
    hovered = Signal(int)
    #: Cells have become larger or smaller.
    scaled = Signal(float)
    #: The room for the sheet has changed.
    resized = Signal()
    #: Rows below some headings are hidden or shown.
    sections_toggled = Signal()

    def __init__(
        self,
        geometry: Geometry,
        selection: Callable[["SheetView"], Selection],
        parent=None,
    ):
        super().__init__(parent)
        self.sheet_geometry = geometry
        self.look = Look()
        self.selection = selection(self)
        self.loading = SheetLoading(self)
        self._n_labels = 0
        self._ratio = self.devicePixelRatioF()
        #: Whether an item's tooltip is shown under the mouse.
        self.has_tooltips = True
        self._arranging = False
        # What stays in its place when cells are arranged anew; None is the start.
        self._anchor: tuple | None = None
        modes = QAbstractItemView.SelectionMode
        by_qt = self.selection.by_qt
        self.setSelectionMode(modes.ExtendedSelection if by_qt else modes.NoSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setMouseTracking(True)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        if not geometry.is_lattice:
            # Lines are as long as the window is wide.
            self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def setModel(self, model: ThumbnailModel) -> None:
        """Show the images of a model."""
        if self.model() is not None:
            self.model().loader.loaded.disconnect(self.loading.on_loaded)
            self.model().loader.finished.disconnect(self.loading.on_finished)
            self.model().modelReset.disconnect(self._ensure_current)
        super().setModel(model)
        model.loader.loaded.connect(self.loading.on_loaded)
        model.loader.finished.connect(self.loading.on_finished)
        # Not in `reset`: the selection model forgets the current item after that.
        model.modelReset.connect(self._ensure_current)
        self._measure()

    def reset(self) -> None:
        """Forget the old rows: the model has others."""
        super().reset()
        self._hover(-1)
        self.look.colors = self.look.frames = self.look.dimmed = None
        self.look.headings = []
        self.sheet_geometry.set_count(self.count())
        self.selection.reset(self.count())
        self.loading.reset()
        self._measure()
        self.horizontalScrollBar().setValue(0)
        self.verticalScrollBar().setValue(0)
        self._remember_place()
        self.current_changed.emit(self.currentIndex())

    def _ensure_current(self) -> None:
        # Qt does so when the focus comes, but not for new rows.
        if self.hasFocus() and self.count() and not self.currentIndex().isValid():
            flag = self.selectionModel().SelectionFlag.NoUpdate
            self.selectionModel().setCurrentIndex(self.model().index(0, 0), flag)

    # Rows

    def count(self) -> int:
        """Number of rows."""
        return self.model().rowCount() if self.model() is not None else 0

    def selected_rows(self) -> list[int]:
        """Selected rows, in order."""
        return self.selection.rows()

    def select_rows(self, rows: Iterable[int]) -> None:
        """Select exactly these rows."""
        self.selection.set_rows(rows)

    def select(self, rows: Sequence[int], modifiers) -> None:
        """Change the selection as a click on rows does, with keys held."""
        self.selection.select(rows, modifiers)

    def move_current(self, key) -> bool:
        """
        Move as a key does, without changing the selection.

        Parameters
        ----------
        key : Qt.Key or QAbstractItemView.CursorAction
            A key, whose modifiers do not matter, or what it does.

        Returns
        -------
        bool
            Whether it is a key that moves.
        """
        action = key if isinstance(key, _Action) else _KEYS.get(key)
        if action is None:
            return False
        index = self.moveCursor(action, Qt.KeyboardModifier.NoModifier)
        if index.isValid():
            self.selection.follow(index.row())
        return True

    # Methods of item views

    def isIndexHidden(self, index: QModelIndex) -> bool:
        """Whether an item is below a heading that is collapsed."""
        return not len(self.shown(np.array([index.row()])))

    def shown(self, rows: np.ndarray) -> np.ndarray:
        """Those of these rows that are not below a heading that is collapsed."""
        return rows[(self.sheet_geometry.rects(rows)[:, 2:] > 0).all(axis=1)]

    def moveCursor(self, action, modifiers) -> QModelIndex:
        """Item that a key leads to."""
        if not self.count():
            return QModelIndex()
        row = self.sheet_geometry.neighbour(self.currentIndex().row(), _MOVES[action])
        return self.model().index(row, 0) if row >= 0 else QModelIndex()

    def setSelection(self, rect: QRect, command) -> None:
        """Select what a frame touches, or all from one item to another."""
        self.selection.select_rect(rect, command)

    def visualRegionForSelection(self, selection) -> QRegion:
        """The area to repaint when a selection changes."""
        visible = self.visible_rows()
        changed = np.zeros(len(visible), dtype=bool)
        for part in selection:
            changed |= (visible >= part.top()) & (visible <= part.bottom())
        if changed.sum() > MAX_PLACES:
            return QRegion(self.viewport().rect())
        region = QRegion()
        for row in visible[changed].tolist():
            region += self.visualRect(self.model().index(row, 0))
        return region

    def selectionChanged(self, selected, deselected) -> None:
        """Let the selection report the change."""
        super().selectionChanged(selected, deselected)
        self.selection.changed()

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        """Bring the current item into sight."""
        super().currentChanged(current, previous)
        self.viewport().update(self.visualRect(previous))
        self.current_changed.emit(current)

    # Events

    def paintEvent(self, event) -> None:
        """Draw what is in the exposed area."""
        if self._ratio != self.devicePixelRatioF():
            self._ratio = self.devicePixelRatioF()
            self.loading.start()
        painter = QPainter(self.viewport())
        SheetPainter(self).paint(painter, event.region())
        painter.end()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Move what is drawn, and load what comes into sight."""
        if self.look.message:
            self.viewport().update()
        else:
            self.scrollDirtyRegion(dx, dy)
            self.viewport().scroll(dx, dy)
        if not self._arranging:
            self._remember_place()
        self.loading.go_on()

    def resizeEvent(self, event) -> None:
        """Arrange the cells anew."""
        self._arranging = True
        super().resizeEvent(event)
        self.relayout()
        self.resized.emit()

    def changeEvent(self, event) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._measure()

    def showEvent(self, event) -> None:
        """Start to load: nothing is loaded for a window that is not open."""
        super().showEvent(event)
        self.loading.start()

    def hideEvent(self, event) -> None:
        """Drop pending loading."""
        super().hideEvent(event)
        self._hover(-1)
        self.selection.end()
        self.loading.stop()
