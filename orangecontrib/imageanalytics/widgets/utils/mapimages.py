"""Images at their places in a plot, as many as there is room for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from AnyQt.QtCore import QPointF, QRectF, Qt, QTimer
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPalette, QPen
from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.separation import separations
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    SourceRole,
    ThumbnailModel,
    ThumbnailRole,
    shortened,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import Thumbnail, fitted

MAX_EDGE = 512
# Images grow with the root of the zoom, so that zooming also makes room for more.
GROWTH = 0.5
# How far images are apart at least, in edges.
SPACING = 1.08
# Below smaller images there is no room for more than a letter or two.
MIN_LABELLED = 48
# Thumbnails are loaded in these sizes only, so that most zooming loads nothing.
LOADED_EDGES = (64, 128, 256, 512, 1024)
DIMMED = 0.2
#: How near to a dot the mouse has to be, in pixels.
NEAR_DOT = 7
FRAME, RING = 2, 3
SETTLE_MS = 80
# While sizes change, the old choice of images is good enough.
CHOOSE_MS = 200


@dataclass(frozen=True)
class Look:
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
    #: The image under the mouse is another one; -1 is none.
    hovered = Signal(int)

    def __init__(self, view_box: pg.ViewBox, model: ThumbnailModel):
        super().__init__(view_box)
        self._box, self._model = view_box, model
        self._x = self._y = np.zeros(0)
        self._separations: np.ndarray | None = None
        self._chosen_for: tuple = ()  # what `_separations` depend on
        self._home = QRectF(0, 0, 1, 1)
        self._look = Look()
        self._font: QFont | None = None
        self._edge = 64
        self._current = self._hovered = -1
        self._choosing = Background(self, self._take_separations, self._not_chosen)
        self._request_timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._request_timer.timeout.connect(self.request)
        self._choose_timer = QTimer(self, singleShot=True, interval=CHOOSE_MS)
        self._choose_timer.timeout.connect(self._choose)
        view_box.sigTransformChanged.connect(self._moved)
        view_box.sigResized.connect(self._choose_soon)
        model.loader.loaded.connect(self._on_loaded)

    # What is shown

    def set_places(self, x: np.ndarray, y: np.ndarray, home: QRectF) -> None:
        """
        Say where the images are.

        Parameters
        ----------
        x, y : numpy.ndarray of float, shape (n,)
            Places of the model's rows, in the plot's coordinates.
        home : QRectF
            What the plot shows at first: all of them.
        """
        self._x, self._y, self._home = x, y, home
        self._separations, self._chosen_for = None, ()
        self._current = self._hovered = -1
        self._choose()
        self._moved()

    def set_look(self, look: Look) -> None:
        """Change colours, selection and so on."""
        self._look = look
        self._choose_soon()
        self.update()

    def look(self) -> Look:
        """How the images are shown now."""
        return self._look

    def set_edge(self, edge: int) -> None:
        """Longer side of the images, in points, as long as all of them are in view."""
        self._edge = edge
        self._choose_soon()
        self._moved()

    def set_current(self, row: int) -> None:
        """Show this image in any case, with a frame; -1 is none."""
        self._current = row
        self._moved()

    def edge(self) -> float:
        """Longer side of the images at the present zoom."""
        zoom = math.sqrt(math.prod(self._zooms()))
        if zoom < 1:
            return self._edge * zoom
        return max(float(self._edge), min(self._edge * zoom**GROWTH, MAX_EDGE))

    def places(self) -> np.ndarray:
        """
        Where the images are in the window.

        Returns
        -------
        numpy.ndarray of float, shape (n, 2)
            In points, from the top left of the plot.
        """
        to_box = self._box.childTransform()
        return np.column_stack(
            (self._x * to_box.m11() + to_box.dx(), self._y * to_box.m22() + to_box.dy())
        )

    def shown(self, margin: float = 0.0) -> np.ndarray:
        """
        The rows whose images have room in the window.

        Parameters
        ----------
        margin : float
            How far around the window images count, too, in its sides.

        Returns
        -------
        numpy.ndarray of int
            The most important ones first.
        """
        if self._separations is None or self._box.rect().isEmpty():
            return np.zeros(0, dtype=int)
        places, room = self.places(), self._box.rect()
        size = np.array([room.width(), room.height()])
        reach = size * margin + self.edge() / 2
        inside = np.all((places > -reach) & (places < size + reach), axis=1)
        _, down = self._home_scales()
        apart = self._separations * down * min(self._zooms())
        rows = np.flatnonzero(inside & (apart >= self._needed(self.edge())))
        return rows[np.argsort(-self._separations[rows], kind="stable")]

    # Geometry. Separations are in units of the vertical axis, along both axes.

    def _home_scales(self) -> tuple[float, float]:
        """Points in the window for 1 of the plot's coordinates, when all is in view."""
        room = self._box.rect()
        across = max(room.width(), 1) / self._home.width()
        down = max(room.height(), 1) / self._home.height()
        if self._box.state["aspectLocked"] is not False:
            across = down = min(across, down)
        return across, down

    def _zooms(self) -> tuple[float, float]:
        """How much larger things are than when all is in view, along each axis."""
        to_box, home = self._box.childTransform(), self._home_scales()
        return abs(to_box.m11()) / home[0], abs(to_box.m22()) / home[1]

    def _needed(self, edge: float) -> float:
        return (edge + self._label_height(edge)) * SPACING

    def _choose_soon(self) -> None:
        if not self._choose_timer.isActive():
            self._choose_timer.start()

    def _choose(self) -> None:
        """Find out which images are shown first, unless that is known."""
        across, down = self._home_scales()
        dimmed, packed = self._look.dimmed, self._needed(self._edge) / down
        chosen_for = (
            round(math.log(across / down), 1),
            round(math.log(packed), 2),
            None if dimmed is None else dimmed.tobytes(),
        )
        if len(self._x) and chosen_for != self._chosen_for:
            self._chosen_for = chosen_for
            places = np.column_stack((self._x * (across / down), self._y))
            self._choosing.start(separations, places, packed, dimmed)

    def _take_separations(self, found: np.ndarray) -> None:
        if len(found) == len(self._x):
            self._separations = found
            self._moved()

    def _not_chosen(self, error: Exception) -> None:
        raise error

    def _label_height(self, edge: float) -> float:
        if not self._look.labelled or edge < MIN_LABELLED:
            return 0
        return QFontMetricsF(self.font()).height() + FRAME

    def font(self) -> QFont:
        """That of the labels."""
        return self._font if self._font is not None else self._view().font()

    def set_font(self, font: QFont) -> None:
        """Write labels in another font."""
        self._font = font
        self._moved()

    def _view(self) -> QWidget:
        return self._box.getViewWidget()

    # Painting and loading

    def boundingRect(self) -> QRectF:
        """All of the plot."""
        return QRectF(self._box.rect())

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
        view = self._view()
        if not view.isVisible():
            return
        rows = [*self.shown(), *self.shown(0.5)]
        if self._current >= 0:
            rows.insert(0, self._current)
        wanted = self.edge() * view.devicePixelRatioF()
        edge = next((e for e in LOADED_EDGES if e >= wanted), LOADED_EDGES[-1])
        self._model.request(dict.fromkeys(map(int, rows)), (edge, edge))

    def stop_loading(self) -> None:
        """Drop what is still to be loaded."""
        self._request_timer.stop()
        self._model.request((), (1, 1))

    def close(self) -> None:
        """Stop all work, for good."""
        self._request_timer.stop()
        self._choose_timer.stop()
        self._choosing.cancel()

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        self.update()

    def paint(self, painter: QPainter, option, widget=None) -> None:
        """Draw the images; the current one is on top."""
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setFont(self.font())
        places, edge, dimmed = self.places(), self.edge(), self._look.dimmed
        rows = self.shown()
        if dimmed is not None:
            rows = rows[np.argsort(~dimmed[rows], kind="stable")]
        for row in rows.tolist():
            if row != self._current:
                self._paint(painter, row, places[row], edge)
        if 0 <= self._current < len(places):
            self._paint(painter, self._current, places[self._current], edge)
        painter.setOpacity(1.0)

    def _paint(self, painter: QPainter, row: int, place, edge: float) -> None:
        thumbnail = self._model.index(row, 0).data(ThumbnailRole)
        if thumbnail is None or thumbnail.image is None:
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
        if self._label_height(edge):
            self._paint_label(painter, row, frame, edge)

    def _paint_label(self, painter: QPainter, row: int, frame: QRectF, edge) -> None:
        title = shortened(self._model.index(row, 0).data() or "", 200)
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
        if not len(self._x):
            return -1
        places = self.places()
        distances = np.abs(places - [point.x(), point.y()]).max(axis=1)
        rows = self.shown()
        near = rows[distances[rows] <= self.edge() / 2 + FRAME].tolist()
        if 0 <= self._current < len(places):
            near.insert(0, self._current)
        for row in near:
            thumbnail = self._model.index(row, 0).data(ThumbnailRole)
            if thumbnail is not None and thumbnail.image is not None:
                rect = self._rect(places[row], self.edge(), thumbnail)
                if rect.adjusted(-FRAME, -FRAME, FRAME, FRAME).contains(point):
                    return row
        nearest = int(np.argmin(distances))
        return nearest if distances[nearest] <= NEAR_DOT else -1

    def mouseClickEvent(self, event) -> None:
        """Report clicks on images; others go on to the plot."""
        row = self.row_at(event.pos())
        if row < 0 or event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        event.accept()
        (self.double_clicked if event.double() else self.clicked).emit(row)

    def hoverEvent(self, event) -> None:
        """Report which image the mouse is on."""
        row = -1 if event.isExit() else self.row_at(event.pos())
        if row != self._hovered:
            self._hovered = row
            self.hovered.emit(row)

    def source(self, row: int) -> str:
        """Path or URL of an image."""
        return self._model.index(row, 0).data(SourceRole)
