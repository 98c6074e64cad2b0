"""One image in a window: fitted into it, or zoomed and moved about."""

import math

from AnyQt.QtCore import QPointF, QRect, QRectF, Qt
from AnyQt.QtCore import pyqtSignal as Signal
from AnyQt.QtGui import QColor, QImage, QPainter, QPalette
from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.widgets.preview.imageregions import (
    Region,
    RegionLoader,
)
from orangecontrib.imageanalytics.widgets.preview.zoomedview import (
    WHOLE,
    Size,
    View,
)
from orangecontrib.imageanalytics.widgets.sheet.cellpainting import paint_broken
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Box,
    Thumbnail,
    ThumbnailLoader,
)

BACKGROUND = QColor(32, 32, 32)
FOREGROUND = QColor(220, 220, 220)
ZOOM_STEP = 1.25
#: Larger images are not copied for the screen as a whole, only what is in sight.
MAX_WHOLE_PIXELS = 24 * 2**20
# From here on one wants to see single pixels.
PIXELATED_ZOOM = 3.0
PAN_PART = 0.25  # of the canvas, for one press of a key
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class ImageCanvas(QWidget):
    """
    Shows an image in device pixels. The wheel zooms, the mouse drags.

    The canvas loads nothing: `wanted_box` and `wanted_region` are what its owner has
    to ask of the loaders.

    Parameters
    ----------
    loader : ThumbnailLoader
        Has the whole image, at some size.
    regions : RegionLoader
        Has the part of a large image that is in sight, in its own pixels.
    parent : QWidget, optional
    """

    #: The user has zoomed or moved the image.
    view_changed = Signal()

    def __init__(
        self,
        loader: ThumbnailLoader,
        regions: RegionLoader,
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self._loader, self._regions = loader, regions
        self._source = ""
        self._rough: Thumbnail | None = None
        self._view = WHOLE
        self._dragged: QPointF | None = None
        self.setMinimumSize(80, 60)
        loader.loaded.connect(self._on_loaded)
        regions.loaded.connect(self.update)

    # What is shown

    def show_image(self, source: str, rough: Thumbnail | None = None) -> None:
        """
        Show an image.

        Parameters
        ----------
        source : str
            Path or URL; "" shows nothing.
        rough : Thumbnail, optional
            Stands for it until it is loaded.
        """
        self._source, self._rough = source, rough
        self._update_cursor()
        self.update()

    def thumbnail(self) -> Thumbnail | None:
        """The image at the best size that there is of it as a whole."""
        return self._loader.get(self._source) or self._rough

    def size_in_pixels(self) -> Size | None:
        """Width and height of the image itself; None while they are not known."""
        thumbnail = self.thumbnail()
        return thumbnail.size if thumbnail is not None else None

    def view(self) -> View:
        """How the image is looked at."""
        return self._view

    def set_view(self, view: View) -> None:
        """Look at the image in another way; no signal is sent."""
        size = self.size_in_pixels()
        self._view = view if size is None else view.inside(size, self.box())
        self._update_cursor()
        self.update()

    def zoom(self) -> float:
        """Device pixels for one pixel of the image; 0 if there is no image."""
        size = self.size_in_pixels()
        return self._view.zoom(size, self.box()) if size is not None else 0.0

    def box(self) -> Size:
        """Size of the canvas in device pixels."""
        ratio = self.devicePixelRatioF()
        return max(1, int(self.width() * ratio)), max(1, int(self.height() * ratio))

    def wanted_box(self) -> Box:
        """The size at which the whole image is to be loaded."""
        size = self.size_in_pixels()
        if self._view.is_whole or size is None or _is_large(size):
            return self.box()
        return None

    def wanted_region(self) -> Region | None:
        """What is in sight, and some more, of an image too large to be copied."""
        size = self.size_in_pixels()
        if self._view.is_whole or size is None or not _is_large(size):
            return None
        whole, scale = self._target(size), self.zoom()
        width, height = self.box()
        seen = QRectF(-whole.left(), -whole.top(), width, height)
        seen.adjust(-width / 2, -height / 2, width / 2, height / 2)
        seen = seen.intersected(QRectF(0, 0, whole.width(), whole.height()))
        left, top = math.floor(seen.left() / scale), math.floor(seen.top() / scale)
        right = min(size[0], math.ceil(seen.right() / scale))
        bottom = min(size[1], math.ceil(seen.bottom() / scale))
        rect = QRect(left, top, right - left, bottom - top)
        return Region(self._source, rect, min(1.0, scale), self._loader.intensity)

    # Zoom and place

    def set_zoom(self, zoom: float | None, at: QPointF | None = None) -> None:
        """
        Zoom in or out.

        Parameters
        ----------
        zoom : float or None
            Device pixels for one of the image's; None fits it into the canvas.
        at : QPointF, optional
            Place in the canvas that is to stay the same in the image.
        """
        size = self.size_in_pixels()
        if size is not None:
            view = WHOLE if zoom is None else View(zoom, False)
            self._change(view, at)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom in or out by a factor; `at` as for `set_zoom`."""
        size = self.size_in_pixels()
        if size is not None:
            view = View(self._view.factor * factor, self._view.of_fit)
            self._change(view, at)

    def pan_key(self, key: int) -> bool:
        """Move what is in sight as an arrow key points; whether it is such a key."""
        direction = _ARROWS.get(key)
        if direction is None:
            return False
        box = self.box()
        self._pan(
            *(PAN_PART * way * side for way, side in zip(direction, box, strict=True))
        )
        return True

    def _pan(self, right: float, down: float) -> None:
        """Move what is in sight by device pixels."""
        size = self.size_in_pixels()
        if size is not None and not self._view.is_whole:
            self.set_view(self._view.moved(size, self.box(), (right, down)))
            self.view_changed.emit()

    def _change(self, view: View, at: QPointF | None) -> None:
        size, box = self.size_in_pixels(), self.box()
        view = view.limited(size, box)
        if not view.is_whole:
            middle = QPointF(self.width() / 2, self.height() / 2)
            shift = (at - middle if at is not None else QPointF()) * (
                self.devicePixelRatioF()
            )
            view = self._view.zoomed_to(view, size, box, (shift.x(), shift.y()))
        self.set_view(view)
        self.view_changed.emit()

    def _target(self, size: Size) -> QRectF:
        """Where the whole image is, in device pixels of the canvas."""
        return QRectF(*self._view.target(size, self.box()))

    # Painting

    def paintEvent(self, event) -> None:
        """Draw the image, or why there is none."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), BACKGROUND)
        thumbnail = self.thumbnail()
        if not self._source:
            return
        if thumbnail is None:
            self._paint_text(painter, "Loading…")
        elif thumbnail.image is None:
            self._paint_error(painter, thumbnail.error)
        else:
            self._paint_image(painter, thumbnail)

    def _paint_image(self, painter: QPainter, thumbnail: Thumbnail) -> None:
        size, view = thumbnail.size, self._view
        smooth = view.is_whole or self.zoom() < PIXELATED_ZOOM
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        self._paint_part(painter, thumbnail.image, QRectF(0, 0, *size), size)
        region = self._regions.region
        if (
            region is not None
            and not view.is_whole
            and (region.source, region.intensity)
            == (self._source, self._loader.intensity)
        ):
            self._paint_part(painter, region.image, QRectF(region.rect), size)

    def _paint_part(
        self, painter: QPainter, image: QImage, rect: QRectF, size: Size
    ) -> None:
        """Draw what an image has of a part, which is given in pixels of the whole."""
        whole, ratio = self._target(size), self.devicePixelRatioF()
        scale_x, scale_y = whole.width() / size[0], whole.height() / size[1]
        target = QRectF(
            whole.left() + rect.left() * scale_x,
            whole.top() + rect.top() * scale_y,
            rect.width() * scale_x,
            rect.height() * scale_y,
        )
        # Only what is in sight: Qt cannot draw to places that are far off.
        shown = target.intersected(QRectF(0, 0, *self.box()))
        scale_x, scale_y = (
            image.width() / target.width(),
            image.height() / target.height(),
        )
        part = QRectF(
            (shown.left() - target.left()) * scale_x,
            (shown.top() - target.top()) * scale_y,
            shown.width() * scale_x,
            shown.height() * scale_y,
        )
        if not shown.isEmpty():
            place = QRectF(shown.topLeft() / ratio, shown.size() / ratio)
            painter.drawImage(place, image, part)

    def _paint_error(self, painter: QPainter, error: str) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Text, FOREGROUND)
        edge = min(160, self.width(), self.height())
        mark = QRect(0, 0, edge, edge)
        mark.moveCenter(self.rect().center())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_broken(painter, mark, palette)
        self._paint_text(painter, error, below=mark.bottom())

    def _paint_text(self, painter: QPainter, text: str, below: int = 0) -> None:
        metrics = self.fontMetrics()
        room = max(0, self.width() - 24)
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)
        painter.setPen(FOREGROUND)
        left = (self.width() - metrics.horizontalAdvance(text)) // 2
        top = below or self.rect().center().y()
        painter.drawText(left, top + metrics.ascent(), text)

    # Events

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        if any(thumbnail.source == self._source for thumbnail in thumbnails):
            self.set_view(self._view)

    def resizeEvent(self, event) -> None:
        """Keep the image in sight."""
        super().resizeEvent(event)
        self.set_view(self._view)

    def wheelEvent(self, event) -> None:
        """Zoom about the mouse."""
        steps = event.angleDelta().y() / 120
        if steps:
            self.zoom_by(ZOOM_STEP**steps, event.position())
        event.accept()

    def mouseDoubleClickEvent(self, event) -> None:
        """Switch between the whole image and single pixels."""
        if self._view.is_whole:
            self.set_zoom(1.0, QPointF(event.pos()))
        else:
            self.set_zoom(None)

    def mousePressEvent(self, event) -> None:
        """Begin to drag the image."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._dragged = QPointF(event.pos())
            self._update_cursor()
        else:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event) -> None:
        """Drag the image."""
        if self._dragged is None:
            return
        moved = (self._dragged - QPointF(event.pos())) * self.devicePixelRatioF()
        self._dragged = QPointF(event.pos())
        self._pan(moved.x(), moved.y())

    def mouseReleaseEvent(self, event) -> None:
        """End dragging."""
        self._dragged = None
        self._update_cursor()

    def _update_cursor(self) -> None:
        shapes = Qt.CursorShape
        if self._view.is_whole:
            self.unsetCursor()
        elif self._dragged is not None:
            self.setCursor(shapes.ClosedHandCursor)
        else:
            self.setCursor(shapes.OpenHandCursor)


def _is_large(size: Size) -> bool:
    return size[0] * size[1] > MAX_WHOLE_PIXELS
