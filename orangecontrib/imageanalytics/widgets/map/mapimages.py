"""Images at their places in a plot, as many as there is room for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from AnyQt.QtCore import QPoint, QPointF, QRect, QRectF, Qt, QTimer
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen
from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.widgets.map.mapplaces import SPACING, MapPlaces
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    ThumbnailModel,
    shortened,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail, fitted

# Below smaller images there is no room for more than a letter or two.
MIN_LABELLED = 48
# Thumbnails are loaded in these sizes only, so that most zooming loads nothing.
LOADED_EDGES = (64, 128, 256, 512, 1024)
DIMMED = 0.2
#: How near to a dot the mouse has to be, in pixels.
NEAR_DOT = 7
FRAME, RING, DOT = 2, 3, 8
SETTLE_MS = 80


@dataclass(frozen=True)
class MapLook:
    """
    How the images are shown; all are arrays with an element for each.

    Attributes
    ----------
    colors : sequence of QColor or None
        Colours of the frames.
    rings : sequence of (QColor or None) or None
        Colours of the rings around those that are selected.
    dimmed : numpy.ndarray of bool or None
        Which ones are pale.
    labelled : bool
        Whether titles are written below them.
    """

    colors: Sequence[QColor] | None = None
    rings: Sequence[QColor | None] | None = None
    dimmed: np.ndarray | None = None
    labelled: bool = False


class MapImages(pg.GraphicsObject):
    """
    Draws the images of a model at places of a plot.

    Parameters
    ----------
    view_box : pyqtgraph.ViewBox
        The plot.
    model : ThumbnailModel
        The images.
    """

    #: An image, by its row in the model, was clicked.
    clicked = Signal(int)
    double_clicked = Signal(int)
    #: What can be done with an image is asked for, at a place on the screen.
    menu_requested = Signal(int, QPoint)
    #: How many images are shown has changed, maybe.
    counted = Signal()
    #: The image under the mouse is another one; -1 is none.
    hovered = Signal(int)

    def __init__(self, view_box: pg.ViewBox, model: ThumbnailModel):
        super().__init__(view_box)
        self._box, self._model = view_box, model
        self.places = MapPlaces(view_box)
        self._look = MapLook()
        self._font: QFont | None = None
        self._current = self._hovered = -1
        self._request_timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._request_timer.timeout.connect(self.request)
        self.places.changed.connect(self._moved)
        model.loader.loaded.connect(self._on_loaded)

    # What is shown

    def set_places(self, x: np.ndarray, y: np.ndarray, home: QRectF) -> None:
        """Say where the model's rows are, as `MapPlaces.set_places` has it."""
        self._current = self._hovered = -1
        self.places.set_places(x, y, home)

    def set_look(self, look: MapLook) -> None:
        """Change colours, selection and so on."""
        self._look = look
        self.places.set_later(look.dimmed)
        self._leave_room()
        self.update()

    def look(self) -> MapLook:
        """How the images are shown now."""
        return self._look

    def set_current(self, row: int) -> None:
        """Show this image in any case, with a frame; -1 is none."""
        self._current = row
        self._moved()

    def _leave_room(self) -> None:
        height = QFontMetricsF(self.font()).height() if self._look.labelled else 0
        self.places.set_room_below(height)

    def font(self) -> QFont:
        """That of the labels."""
        return self._font if self._font is not None else self._view().font()

    def set_font(self, font: QFont) -> None:
        """Write labels in another font."""
        self._font = font
        self._leave_room()

    def _view(self) -> QWidget:
        return self._box.getViewWidget()

    # Painting and loading

    def boundingRect(self) -> QRectF:
        """All of the plot."""
        return self.places.box()

    def _moved(self) -> None:
        self.prepareGeometryChange()
        self.update()
        self.request_soon()

    def request_soon(self) -> None:
        """Call `request` when there is time for it."""
        if not self._request_timer.isActive():
            self._request_timer.start()

    def request(self) -> None:
        """Have the images loaded that are shown, and those around."""
        self.counted.emit()
        view = self._view()
        if not view.isVisible():
            return
        rows = [*self.places.shown(), *self.places.shown(0.5)]
        if self._current >= 0:
            rows.insert(0, self._current)
        wanted = self.places.edge() * view.devicePixelRatioF()
        edge = next((e for e in LOADED_EDGES if e >= wanted), LOADED_EDGES[-1])
        self._model.request(dict.fromkeys(map(int, rows)), (edge, edge))

    def stop_loading(self) -> None:
        """Drop what is still to be loaded."""
        self._request_timer.stop()
        self._model.request((), (1, 1))

    def close(self) -> None:
        """Stop all work, for good."""
        self._request_timer.stop()
        self.places.close()

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        self.update()

    def paint(self, painter: QPainter, option, widget=None) -> None:
        """Draw the images; the current one is on top."""
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setFont(self.font())
        places, edge = self.places.in_window(), self.places.edge()
        for row in self._drawn():
            self._paint(painter, row, places[row], edge)
        painter.setOpacity(1.0)

    def _drawn(self) -> list[int]:
        """The rows in the order in which they are drawn; the current one is on top."""
        rows, dimmed = self.places.shown(), self._look.dimmed
        if dimmed is not None:
            rows = rows[np.argsort(~dimmed[rows], kind="stable")]
        drawn = rows.tolist()
        if 0 <= self._current < len(self.places):
            drawn = [row for row in drawn if row != self._current]
            drawn.append(self._current)
        return drawn

    def _thumbnail(self, row: int) -> Thumbnail | None:
        thumbnail = self._model.thumbnail(row)
        return None if thumbnail is None or thumbnail.image is None else thumbnail

    def _paint(self, painter: QPainter, row: int, place, edge: float) -> None:
        thumbnail = self._thumbnail(row)
        if thumbnail is None:
            return  # there is a dot
        look = self._look
        pale = look.dimmed is not None and bool(look.dimmed[row])
        painter.setOpacity(DIMMED if pale else 1.0)
        rect = self._rect(place, edge, thumbnail)
        ring = look.rings[row] if look.rings is not None else None
        frame = rect
        if look.colors is not None and not pale:
            frame = rect.adjusted(-FRAME, -FRAME, FRAME, FRAME)
        if ring is not None:
            painter.fillRect(frame.adjusted(-RING, -RING, RING, RING), ring)
        if frame is not rect:
            painter.fillRect(frame, look.colors[row])
        painter.drawImage(rect, thumbnail.image, QRectF(thumbnail.image.rect()))
        if row == self._current and self._view().hasFocus():
            painter.setPen(QPen(self._color(QPalette.ColorRole.Text), 1))
            painter.drawRect(frame.adjusted(-RING, -RING, RING - 1, RING - 1))
        if self._look.labelled and edge >= MIN_LABELLED:
            self._paint_label(painter, row, frame, edge)

    def _paint_label(self, painter: QPainter, row: int, frame: QRectF, edge) -> None:
        title = shortened(", ".join(filter(None, self._model.labels(row))), 200)
        metrics = QFontMetricsF(self.font())
        text = metrics.elidedText(title, Qt.TextElideMode.ElideMiddle, edge * SPACING)
        width, height = metrics.horizontalAdvance(text), metrics.height()
        place = QRectF(frame.center().x() - width / 2, frame.bottom(), width, height)
        background = self._color(QPalette.ColorRole.Base)
        background.setAlphaF(0.7)  # there may be dots
        painter.fillRect(place, background)
        painter.setPen(self._color(QPalette.ColorRole.Text))
        painter.drawText(place.topLeft() + QPointF(0, metrics.ascent()), text)

    def _color(self, role) -> QColor:
        return self._view().palette().color(role)

    @staticmethod
    def _rect(place, edge: float, thumbnail: Thumbnail) -> QRectF:
        side = max(1, round(edge))
        width, height = fitted(thumbnail.size, (side, side))
        return QRectF(
            round(place[0] - width / 2), round(place[1] - height / 2), width, height
        )

    # The mouse

    def row_at(self, point: QPointF) -> int:
        """
        The image at a place.

        Parameters
        ----------
        point : QPointF
            Place in the window.

        Returns
        -------
        int
            Row of the image that is drawn there, or whose dot is near; -1 if there
            is none.
        """
        if not len(self.places):
            return -1
        places = self.places.in_window()
        distances = np.abs(places - [point.x(), point.y()]).max(axis=1)
        for row in reversed(self._drawn()):
            thumbnail = self._thumbnail(row)
            if (
                thumbnail is not None
                and distances[row] <= self.places.edge() / 2 + FRAME
            ):
                rect = self._rect(places[row], self.places.edge(), thumbnail)
                if rect.adjusted(-FRAME, -FRAME, FRAME, FRAME).contains(point):
                    return row
        nearest = int(np.argmin(distances))
        return nearest if distances[nearest] <= NEAR_DOT else -1

    def mouseClickEvent(self, event) -> None:
        """Report clicks on images; others go on to the plot."""
        row, button = self.row_at(event.pos()), event.button()
        event.ignore()
        if row >= 0 and button == Qt.MouseButton.LeftButton:
            event.accept()
            (self.double_clicked if event.double() else self.clicked).emit(row)
        elif row >= 0 and button == Qt.MouseButton.RightButton:
            event.accept()
            self.menu_requested.emit(row, event.screenPos().toPoint())

    def hoverEvent(self, event) -> None:
        """Report which image the mouse is on; none while something is dragged."""
        resting = not event.isExit() and not event.buttons()
        row = self.row_at(event.pos()) if resting else -1
        if row != self._hovered:
            self._hovered = row
            self.hovered.emit(row)

    def place_on_screen(self, row: int) -> QRect:
        """Where an image, or its dot, is on the screen."""
        place, thumbnail = self.places.in_window()[row], self._thumbnail(row)
        rect = QRectF(place[0] - DOT / 2, place[1] - DOT / 2, DOT, DOT)
        if thumbnail is not None and row in self._drawn():
            rect = self._rect(place, self.places.edge(), thumbnail)
        view = self._view()
        shown = view.mapFromScene(self.mapRectToScene(rect)).boundingRect()
        return QRect(view.viewport().mapToGlobal(shown.topLeft()), shown.size())
