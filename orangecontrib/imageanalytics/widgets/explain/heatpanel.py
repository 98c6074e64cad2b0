"""The current image, and below it the same with its heat map."""

from AnyQt.QtCore import QRectF, Qt, QTimer
from AnyQt.QtGui import QImage, QPainter
from AnyQt.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from orangecontrib.imageanalytics.images.intensity import Intensity
from orangecontrib.imageanalytics.widgets.preview.imagecanvas import ImageCanvas
from orangecontrib.imageanalytics.widgets.preview.imageregions import RegionLoader
from orangecontrib.imageanalytics.widgets.preview.imagewindow import SETTLE_MS
from orangecontrib.imageanalytics.widgets.preview.zoomedview import WHOLE
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)


class HeatCanvas(ImageCanvas):
    """Shows an image with something laid over it."""

    overlay: QImage | None = None
    opacity = 1.0

    def show_overlay(self, overlay: QImage | None, opacity: float) -> None:
        """Change what is laid over the whole image."""
        self.overlay, self.opacity = overlay, opacity
        self.update()

    def paintEvent(self, event) -> None:
        """Draw the image and the overlay."""
        super().paintEvent(event)
        thumbnail = self.thumbnail()
        if self.overlay is None or thumbnail is None or thumbnail.image is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setOpacity(self.opacity)
        size = thumbnail.size
        self._paint_part(painter, self.overlay, QRectF(0, 0, *size), size)


class HeatPanel(QWidget):
    """
    Shows an image twice; both are zoomed and moved together.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._source = ""
        self.loader = ThumbnailLoader(self)
        self._regions = RegionLoader(self)
        self.original = ImageCanvas(self.loader, self._regions, self)
        self.heated = HeatCanvas(self.loader, self._regions, self)
        self.caption = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        # Else a long name would make the panel wider.
        self.caption.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        )
        self._timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._timer.timeout.connect(self._request)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        canvases = self.original, self.heated
        for canvas, other in (canvases, canvases[::-1]):
            canvas.setMinimumWidth(180)
            layout.addWidget(canvas, 1)
            canvas.view_changed.connect(
                lambda canvas=canvas, other=other: self._follow(canvas, other)
            )
        layout.addWidget(self.caption)

    def show_image(
        self, source: str, rough: Thumbnail | None, intensity: Intensity
    ) -> None:
        """Show another image, as for `ImageCanvas.show_image`."""
        if source != self._source or intensity != self.loader.intensity:
            self._source = source
            self.loader.set_intensity(intensity)
            for canvas in (self.original, self.heated):
                canvas.show_image(source, rough)
                canvas.set_view(WHOLE)
        self._timer.start()

    def show_heat(self, overlay: QImage | None, opacity: float, text: str) -> None:
        """Show the heat map of the image, and what is to be said about it."""
        self.heated.show_overlay(overlay, opacity)
        self.caption.setText(text)

    def _follow(self, canvas: ImageCanvas, other: ImageCanvas) -> None:
        other.set_view(canvas.view())
        self._timer.start()

    def _request(self) -> None:
        if not self.isVisible() or not self._source:
            return
        self.loader.request([self._source], self.original.wanted_box())
        region = self.original.wanted_region()
        if region is not None:
            self._regions.request(region)
        else:
            self._regions.clear()

    def resizeEvent(self, event) -> None:
        """Load the image in the size in which it is shown."""
        super().resizeEvent(event)
        self._timer.start()

    def showEvent(self, event) -> None:
        """Load what was not loaded while it was hidden."""
        super().showEvent(event)
        self._timer.start()

    def shutdown(self) -> None:
        """Stop loading."""
        self._timer.stop()
        self.loader.close()
        self._regions.clear()
