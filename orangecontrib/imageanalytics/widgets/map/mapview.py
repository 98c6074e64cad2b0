"""The window of a plot with images: its keys, its current image, and its message."""

from collections.abc import Callable

import numpy as np
from AnyQt.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QPointF, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import QApplication, QHBoxLayout, QLabel, QWidget

from orangecontrib.imageanalytics.widgets.map.mapgraph import ImageMapGraph
from orangecontrib.imageanalytics.widgets.sheet.hovercard import HoverCard
from orangecontrib.imageanalytics.widgets.sheet.legend import Legend
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail

ZOOM_STEP = 1.25
# How far aside a key leads, compared with how far along.
ASIDE = 2.0
_DIRECTIONS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_STEPS = {Qt.Key.Key_PageUp: -1, Qt.Key.Key_PageDown: 1}


class MapView(QWidget):
    """
    Holds a plot, and knows which of its images is the current one.

    Arrow keys lead to the next image in their direction, Home, End, Page Up and Page
    Down through the rows in their order. Space and Enter ask for the preview, Ctrl and
    Space select the current image, Ctrl and A all; plus, minus and 0 zoom.

    Parameters
    ----------
    model : ThumbnailModel
        The images.
    describe : callable
        From a row to what is written below the large image, as rich text.
    parent : QWidget, optional
        Owner.
    """

    #: An image is to be shown at full size.
    preview_requested = Signal(QModelIndex)
    #: What can be done with an image is asked for, at a place on the screen.
    menu_requested = Signal(QModelIndex, QPoint)
    #: The current row has changed.
    current_changed = Signal(QModelIndex)

    def __init__(
        self,
        model: ThumbnailModel,
        describe: Callable[[int], str],
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self._model, self._describe = model, describe
        self._current = QPersistentModelIndex()
        self._graph: ImageMapGraph | None = None
        self.legend = Legend(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.legend, 0, Qt.AlignmentFlag.AlignTop)
        # The legend is a part of the plot, in saved images, too.
        self.setBackgroundRole(QPalette.ColorRole.Base)
        self.setAutoFillBackground(True)
        self.card = HoverCard(self)
        self._message = QLabel(self, wordWrap=True)
        self._message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._message.setTextFormat(Qt.TextFormat.PlainText)
        self._message.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        model.modelReset.connect(self._forget_current)
        model.modelReset.connect(self.card.forget)

    def set_graph(self, graph: ImageMapGraph) -> None:
        """Show a plot."""
        self._graph = graph
        self.layout().insertWidget(0, graph.plot_widget, 1)
        self._message.raise_()
        graph.plot_widget.installEventFilter(self)
        graph.plot_widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        graph.plot_widget.setAccessibleName("Image map")
        graph.images.clicked.connect(self._make_current)
        graph.images.double_clicked.connect(self._preview)
        graph.images.menu_requested.connect(self._request_menu)
        graph.images.hovered.connect(self._hover)
        graph.view_box.sigTransformChanged.connect(self.card.leave)

    def shutdown(self) -> None:
        """Stop all work, for good; the plot may be deleted then."""
        self.card.shutdown()
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.plot_widget.removeEventFilter(self)
            graph.images.close()

    def set_message(self, text: str) -> None:
        """Write something where the images will be."""
        self._message.setText(text)
        self._message.setVisible(bool(text))

    def message(self) -> str:
        """What is written where the images will be."""
        return self._message.text()

    def resizeEvent(self, event) -> None:
        """Keep the message in the middle."""
        super().resizeEvent(event)
        margin = self.width() // 8
        self._message.setGeometry(self.rect().adjusted(margin, 0, -margin, 0))

    # What the preview, and others, ask of a view

    def model(self) -> ThumbnailModel:
        """The images."""
        return self._model

    def currentIndex(self) -> QModelIndex:
        """The current image; invalid if there is none."""
        return QModelIndex(self._current)

    def setCurrentIndex(self, index: QModelIndex) -> None:
        """Make an image the current one; an invalid index is none."""
        if index != self.currentIndex():
            self._set_current(index)

    def _forget_current(self) -> None:
        # The index is invalid already, but nobody has been told.
        self._set_current(QModelIndex())

    def _set_current(self, index: QModelIndex) -> None:
        self._current = QPersistentModelIndex(index)
        if self._graph is not None:
            self._graph.images.set_current(index.row())
        self.current_changed.emit(index)

    def selected_rows(self) -> list[int]:
        """The selected rows, in order."""
        return [] if self._graph is None else self._graph.selected_images()

    def move_current(self, key: int) -> bool:
        """
        Move as a key does; the selection stays as it is.

        Parameters
        ----------
        key : Qt.Key
            A key; modifiers do not matter.

        Returns
        -------
        bool
            Whether it is a key that moves.
        """
        count, row = self._model.rowCount(), self.currentIndex().row()
        keys = Qt.Key
        if key in _DIRECTIONS:
            target = self._neighbour(row, *_DIRECTIONS[key])
        elif key in _STEPS:
            target = row + _STEPS[key]
        elif key in (keys.Key_Home, keys.Key_End):
            target = 0 if key == keys.Key_Home else count - 1
        else:
            return False
        if count:
            self._make_current(min(max(target, 0), count - 1))
            self._graph.bring_into_view(self.currentIndex().row())
        return True

    def _neighbour(self, row: int, right: int, down: int) -> int:
        places = self._graph.images.places.in_window()
        if row < 0 or row >= len(places):
            shown = self._graph.images.places.shown()
            return int(shown[0]) if len(shown) else 0
        away = places - places[row]
        along = away @ [right, down]
        aside = np.abs(away @ [down, right])
        ahead = (along > 0) & (aside <= ASIDE * along)
        if not ahead.any():
            return row
        return int(np.argmin(np.where(ahead, along + ASIDE * aside, np.inf)))

    def _make_current(self, row: int) -> None:
        self.setCurrentIndex(self._model.index(row, 0))

    def _preview(self, row: int) -> None:
        self.card.leave()
        self._make_current(row)
        self.preview_requested.emit(self.currentIndex())

    def _request_menu(self, row: int, place: QPoint) -> None:
        self.card.leave()
        self._make_current(row)
        self.menu_requested.emit(self.currentIndex(), place)

    def _hover(self, row: int) -> None:
        if row < 0:
            self.card.leave()
            return
        thumbnail = self._model.thumbnail(row)
        if thumbnail is None:
            thumbnail = Thumbnail(self._model.source(row), None)
        self.card.show_soon(
            thumbnail,
            self._describe(row),
            self._graph.images.place_on_screen(row),
            self._model.loader.intensity,
        )

    # Events

    def hideEvent(self, event) -> None:
        """Drop what is still to be loaded."""
        super().hideEvent(event)
        self.card.leave()
        if self._graph is not None:
            self._graph.images.stop_loading()

    def showEvent(self, event) -> None:
        """Start to load: nothing is loaded for a window that is not open."""
        super().showEvent(event)
        if self._graph is not None:
            self._graph.images.request_soon()

    def eventFilter(self, watched, event) -> bool:
        """Keys in the plot."""
        kinds = QEvent.Type
        if event.type() == kinds.KeyPress:
            # What is left goes to those who watch this view, and to the widget.
            if not self._press(event):
                QApplication.sendEvent(self, event)
            return True
        if event.type() in (kinds.FocusIn, kinds.FocusOut):
            self._graph.images.update()
        return super().eventFilter(watched, event)

    def _press(self, event) -> bool:
        keys, key, current = Qt.Key, event.key(), self.currentIndex()
        control = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if key == keys.Key_Space and control:
            if current.isValid():
                self._graph.select_images([current.row()], event.modifiers())
        elif key in (keys.Key_Space, keys.Key_Return, keys.Key_Enter):
            if current.isValid():
                self.preview_requested.emit(current)
        elif key == keys.Key_A and control:
            self._graph.select_all()
        elif key in (keys.Key_Plus, keys.Key_Equal):
            self._zoom(ZOOM_STEP)
        elif key == keys.Key_Minus:
            self._zoom(1 / ZOOM_STEP)
        elif key == keys.Key_0:
            self._graph.reset_button_clicked()
        else:
            return self.move_current(key)
        return True

    def _zoom(self, factor: float) -> None:
        box = self._graph.view_box
        center = None
        if self.currentIndex().isValid():
            place = self._graph.images.places.in_window()[self.currentIndex().row()]
            center = box.mapToView(QPointF(*place))
        box.scaleBy((1 / factor, 1 / factor), center)
