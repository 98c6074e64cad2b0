"""A window that shows the current image of a `SheetView` at full size."""

import math

from AnyQt.QtCore import QEvent, QModelIndex, QPointF, QRect, QRectF, Qt, QTimer
from AnyQt.QtGui import QColor, QPainter, QPalette
from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.widgets.utils.cellpainting import paint_broken
from orangecontrib.imageanalytics.widgets.utils.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    SourceRole,
    ThumbnailRole,
    describe,
    shown_source,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
    fitted,
)

# Room for the image and its two neighbours on a large screen.
CACHE_BYTES = 128 * 2**20
BACKGROUND = QColor(32, 32, 32)
FOREGROUND = QColor(220, 220, 220)
MAX_ZOOM = 16.0
ZOOM_STEP = 1.25
# From here on one wants to see single pixels.
PIXELATED_ZOOM = 3.0
SETTLE_MS = 80


class ImagePreview(QWidget):
    """
    The current image, fitted into the window or zoomed.

    The arrow keys and others that move in the view move in the preview, too, but
    leave the selection as it is unless it is just the current image; Esc and
    Space close it. The wheel, plus and minus zoom, 1 shows single pixels, 0
    the whole image; a zoomed image can be dragged.

    Parameters
    ----------
    view : SheetView
        View whose current item is shown.
    """

    def __init__(self, view: SheetView):
        super().__init__(view.window(), Qt.WindowType.Window)
        self._view = view
        self._loader = ThumbnailLoader(self, CACHE_BYTES)
        self._loader.loaded.connect(self._on_loaded)
        # Device pixels for one of the image's; None fits it into the window.
        self._zoom: float | None = None
        self._center = QPointF(0.5, 0.5)  # of the window, in parts of the image
        self._dragged: QPointF | None = None
        self._request_timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._request_timer.timeout.connect(self._request)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(200, 150)
        view.current_changed.connect(self._on_current_changed)
        view.preview_requested.connect(self.open)
        view.installEventFilter(self)

    def open(self) -> None:
        """Show the window, or bring it to the front."""
        if not self.testAttribute(Qt.WidgetAttribute.WA_Resized):
            space = self._view.screen().availableGeometry()
            place = QRect(space.topLeft(), space.size() * 0.7)
            place.moveCenter(space.center())
            self.setGeometry(place)
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self._on_current_changed(self._view.currentIndex())
        self.show()
        self.raise_()
        self.activateWindow()

    def shutdown(self) -> None:
        """Close the window for good, and drop what is being loaded."""
        self._request_timer.stop()
        self._loader.close()
        self.close()

    def zoom(self) -> float:
        """Device pixels for one pixel of the image; 0 if there is no image."""
        size = self._size()
        if size is None:
            return 0.0
        if self._zoom is not None:
            return self._zoom
        box = self._box()
        return min(box[0] / size[0], box[1] / size[1])

    def set_zoom(self, zoom: float | None, at: QPointF | None = None) -> None:
        """
        Zoom in or out.

        Parameters
        ----------
        zoom : float or None
            Device pixels for one of the image's; None fits it into the window.
        at : QPointF, optional
            Place in the window that is to stay the same in the image.
        """
        size = self._size()
        if size is None:
            return
        before, box = self.zoom(), self._box()
        fit = min(box[0] / size[0], box[1] / size[1])
        if zoom is not None:
            zoom = min(max(zoom, min(fit, 1.0)), max(fit, MAX_ZOOM))
            zoom = None if math.isclose(zoom, fit) else zoom
        if at is not None:
            ratio = self.devicePixelRatioF()
            shift = (at - QPointF(self._area().center())) * ratio
            after = fit if zoom is None else zoom
            change = 1 / before - 1 / after
            self._center += QPointF(
                shift.x() * change / size[0], shift.y() * change / size[1]
            )
        self._zoom = zoom
        self._stay_inside()
        self._request_timer.start()
        self.update()

    def _thumbnail(self) -> Thumbnail | None:
        index = self._view.currentIndex()
        if not index.isValid():
            return None
        return self._loader.get(index.data(SourceRole)) or index.data(ThumbnailRole)

    def _size(self) -> tuple[int, int] | None:
        thumbnail = self._thumbnail()
        return thumbnail.size if thumbnail is not None else None

    def _area(self) -> QRect:
        return self.rect().adjusted(0, 0, 0, -self._caption_height())

    def _caption_height(self) -> int:
        return self.fontMetrics().height() + 12

    def _box(self) -> tuple[int, int]:
        ratio, area = self.devicePixelRatioF(), self._area()
        return (
            max(1, int(area.width() * ratio)),
            max(1, int(area.height() * ratio)),
        )

    def _request(self) -> None:
        index, model = self._view.currentIndex(), self._view.model()
        if not self.isVisible() or not index.isValid():
            return
        row = index.row()
        neighbours = [row + step for step in (1, -1)] if self._zoom is None else []
        rows = [row, *(n for n in neighbours if 0 <= n < model.rowCount())]
        sources = [model.index(n, 0).data(SourceRole) for n in rows]
        self._loader.set_intensity(model.loader.intensity)
        self._loader.request(sources, self._box() if self._zoom is None else None)

    def _on_current_changed(self, index: QModelIndex) -> None:
        if not index.isValid():
            self.close()
            return
        self._zoom, self._center = None, QPointF(0.5, 0.5)
        title = index.data(Qt.ItemDataRole.DisplayRole)
        self.setWindowTitle(title or shown_source(index.data(SourceRole)))
        self._request_timer.start()
        self.update()

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        self._stay_inside()
        self.update()

    def _stay_inside(self) -> None:
        size, zoom, box = self._size(), self.zoom(), self._box()
        if size is None or not zoom:
            return
        places = []
        for place, side, room in zip(
            (self._center.x(), self._center.y()), size, box, strict=True
        ):
            half = min(0.5, room / (side * zoom) / 2)
            places.append(min(max(place, half), 1 - half))
        self._center = QPointF(*places)

    def paintEvent(self, event) -> None:
        """Draw the image, or why there is none, and the line below."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), BACKGROUND)
        thumbnail = self._thumbnail()
        if thumbnail is None:
            self._paint_text(painter, "Loading…")
        elif thumbnail.image is None:
            self._paint_error(painter, thumbnail.error)
        else:
            self._paint_image(painter, thumbnail)
        self._paint_caption(painter, thumbnail)

    def _paint_image(self, painter: QPainter, thumbnail: Thumbnail) -> None:
        ratio, zoom, area = self.devicePixelRatioF(), self.zoom(), self._area()
        width, height = (round(side * zoom) for side in thumbnail.size)
        if self._zoom is None:
            width, height = fitted(thumbnail.size, self._box())
        middle = QPointF(area.center()) * ratio
        left = round(middle.x() - self._center.x() * width)
        top = round(middle.y() - self._center.y() * height)
        whole = QRectF(left, top, width, height)
        box = QRectF(0, 0, *self._box())
        # Only what is in sight: Qt cannot draw to places that are far off.
        shown = whole.intersected(box)
        image = thumbnail.image
        scale_x, scale_y = image.width() / width, image.height() / height
        part = QRectF(
            (shown.left() - left) * scale_x,
            (shown.top() - top) * scale_y,
            shown.width() * scale_x,
            shown.height() * scale_y,
        )
        smooth = zoom < PIXELATED_ZOOM or self._zoom is None
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        target = QRectF(shown.topLeft() / ratio, shown.size() / ratio)
        painter.drawImage(target, image, part)

    def _paint_error(self, painter: QPainter, error: str) -> None:
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.Text, FOREGROUND)
        area = self._area()
        mark = QRect(0, 0, 160, 160)
        mark.moveCenter(area.center())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        paint_broken(painter, mark, palette)
        self._paint_text(painter, error, below=mark.bottom())

    def _paint_text(self, painter: QPainter, text: str, below: int = 0) -> None:
        metrics, area = self.fontMetrics(), self._area()
        text = metrics.elidedText(
            text, Qt.TextElideMode.ElideRight, max(0, area.width() - 24)
        )
        painter.setPen(FOREGROUND)
        left = area.center().x() - metrics.horizontalAdvance(text) // 2
        top = below or area.center().y()
        painter.drawText(left, top + metrics.ascent(), text)

    def _paint_caption(self, painter: QPainter, thumbnail: Thumbnail | None) -> None:
        metrics, index = self.fontMetrics(), self._view.currentIndex()
        if not index.isValid():
            return
        place = f"{index.row() + 1:,} of {self._view.model().rowCount():,}"
        parts = []
        if thumbnail is not None and thumbnail.size is not None:
            parts = [describe(thumbnail), f"{self.zoom():.0%}"]
        right = "    ".join([*parts, place])
        baseline = self.height() - 6 - metrics.descent()
        width = metrics.horizontalAdvance(right)
        painter.setPen(FOREGROUND)
        painter.drawText(self.width() - width - 12, baseline, right)
        room = max(0, self.width() - width - 48)
        source = metrics.elidedText(
            shown_source(index.data(SourceRole)), Qt.TextElideMode.ElideMiddle, room
        )
        painter.drawText(12, baseline, source)

    def resizeEvent(self, event) -> None:
        """Load the image in its new size, once that is settled."""
        super().resizeEvent(event)
        self._stay_inside()
        self._request_timer.start()

    def hideEvent(self, event) -> None:
        """Free the memory: nothing is kept of images at full size."""
        super().hideEvent(event)
        self._loader.clear()

    def keyPressEvent(self, event) -> None:
        """Close, zoom, or move in the view."""
        keys, key = Qt.Key, event.key()
        if key in (keys.Key_Escape, keys.Key_Space):
            self.close()
        elif key in (keys.Key_Plus, keys.Key_Equal):
            self.set_zoom(self.zoom() * ZOOM_STEP)
        elif key == keys.Key_Minus:
            self.set_zoom(self.zoom() / ZOOM_STEP)
        elif key == keys.Key_1:
            self.set_zoom(1.0)
        elif key == keys.Key_0:
            self.set_zoom(None)
        elif not self._view.move_current(key):
            super().keyPressEvent(event)

    def wheelEvent(self, event) -> None:
        """Zoom about the mouse."""
        steps = event.angleDelta().y() / 120
        if steps:
            self.set_zoom(self.zoom() * ZOOM_STEP**steps, event.position())
        event.accept()

    def mouseDoubleClickEvent(self, event) -> None:
        """Switch between the whole image and single pixels."""
        if self._zoom is None:
            self.set_zoom(1.0, QPointF(event.pos()))
        else:
            self.set_zoom(None)

    def mousePressEvent(self, event) -> None:
        """Begin to drag the image."""
        self._dragged = QPointF(event.pos())

    def mouseMoveEvent(self, event) -> None:
        """Drag the image."""
        size, zoom = self._size(), self.zoom()
        if self._dragged is None or size is None:
            return
        moved = (QPointF(event.pos()) - self._dragged) * self.devicePixelRatioF()
        self._dragged = QPointF(event.pos())
        self._center -= QPointF(moved.x() / zoom / size[0], moved.y() / zoom / size[1])
        self._stay_inside()
        self.update()

    def mouseReleaseEvent(self, event) -> None:
        """End dragging."""
        self._dragged = None

    def eventFilter(self, watched, event) -> bool:
        """Esc in the view closes the preview, which goes with the view."""
        kinds = QEvent.Type
        if watched is self._view and self.isVisible():
            if event.type() == kinds.Hide:
                self.close()
            elif event.type() == kinds.KeyPress and event.key() == Qt.Key.Key_Escape:
                self.close()
                return True
        return super().eventFilter(watched, event)
