"""A window beside the mouse that shows an image large, with a text below."""

import html
from collections.abc import Iterable

from AnyQt.QtCore import QPoint, QRect, QRectF, QSize, Qt, QTimer
from AnyQt.QtGui import QPainter, QPalette
from AnyQt.QtWidgets import QLabel, QStyle, QStyleOptionFrame, QVBoxLayout, QWidget

from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import shortened
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
    fitted,
)

EDGE = 320  # of the image, in points
DELAY_MS = 400
# From one image to the next it is faster.
NEXT_MS = 100
GAP, MARGIN = 12, 6
CACHE_BYTES = 32 * 2**20
MAX_VALUE = 200  # characters
HINT = "Space or a double click shows it at full size."


def card_text(values: Iterable[tuple[str, str]], description: Iterable[str]) -> str:
    """
    What a card says of an image.

    Parameters
    ----------
    values : iterable of (str, str)
        Names and values of variables.
    description : iterable of str
        Lines about the file, as HTML.

    Returns
    -------
    str
        Rich text.
    """
    lines = [
        f"<b>{html.escape(name)}:</b> {html.escape(shortened(value, MAX_VALUE))}"
        for name, value in values
    ]
    lines += [*description, f"<small>{HINT}</small>"]
    return f"<qt>{'<br>'.join(lines)}</qt>"


class HoverCard(QWidget):
    """
    Shows an image large after the mouse has rested on it.

    It goes when the mouse leaves the image, and with the window of its parent.

    Parameters
    ----------
    parent : QWidget
        The view that the images are in.
    """

    def __init__(self, parent: QWidget):
        super().__init__(parent, Qt.WindowType.ToolTip)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setBackgroundRole(QPalette.ColorRole.ToolTipBase)
        self.setForegroundRole(QPalette.ColorRole.ToolTipText)
        self._small: Thumbnail | None = None
        self._source = ""
        self._beside = QRect()
        self._loader = ThumbnailLoader(self, CACHE_BYTES)
        self._loader.loaded.connect(self._on_loaded)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._open)
        self._text = QLabel(wordWrap=True)
        self._text.setForegroundRole(QPalette.ColorRole.ToolTipText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.addStretch()
        layout.addWidget(self._text)

    def show_soon(
        self,
        small: Thumbnail,
        text: str,
        beside: QRect,
        intensity: Intensity = AUTOMATIC,
    ) -> None:
        """
        Show an image after a moment, unless `leave` is called before.

        Parameters
        ----------
        small : Thumbnail
            The image, in any size; it is shown until the large one is loaded.
        text : str
            What is written below, as rich text.
        beside : QRect
            What the card must not cover, in coordinates of the screen.
        intensity : "auto", "full" or (float, float)
            As for `decode`.
        """
        self._small, self._source = small, small.source
        self._beside = beside
        self._text.setText(text)
        self._loader.set_intensity(intensity)
        self._timer.start(NEXT_MS if self.isVisible() else DELAY_MS)

    def leave(self) -> None:
        """The mouse is on no image any more."""
        self._timer.stop()
        self.hide()

    def forget(self) -> None:
        """Close the window: the view has other images, or their files have changed."""
        self.leave()
        self._small, self._source = None, ""
        self._loader.refresh()

    def shutdown(self) -> None:
        """Close the window for good, and drop what is being loaded."""
        self.leave()
        self._loader.close()

    def image_size(self) -> QSize:
        """Size of the image, in points; of one that cannot be shown, empty."""
        thumbnail = self._thumbnail()
        if thumbnail is None or thumbnail.image is None:
            return QSize(0, 0)
        return QSize(*fitted(thumbnail.size, (EDGE, EDGE)))

    def _thumbnail(self) -> Thumbnail | None:
        loaded = self._loader.get(self._source)
        return loaded if loaded is not None else self._small

    def _open(self) -> None:
        if not self.parentWidget().isVisible():
            return
        edge = round(EDGE * self.devicePixelRatioF())
        if self._small is not None and self._small.image is not None:
            self._loader.request([self._source], (edge, edge))
        self._place()
        self.show()
        self.update()

    def _place(self) -> None:
        image = self.image_size()
        self._text.setFixedWidth(EDGE)
        height = self._text.heightForWidth(EDGE) + 2 * MARGIN
        if image.height():
            height += image.height() + MARGIN
        size = QSize(EDGE + 2 * MARGIN, height)
        screen = self.parentWidget().screen().availableGeometry()
        left = self._beside.right() + GAP
        if left + size.width() > screen.right():
            left = self._beside.left() - GAP - size.width()
        top = self._beside.center().y() - size.height() // 2
        place = QPoint(
            max(screen.left(), left),
            min(max(top, screen.top()), screen.bottom() - size.height()),
        )
        self.setGeometry(QRect(place, size))

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        self.update()

    def paintEvent(self, event) -> None:
        """Draw the frame of a tooltip, and the image."""
        painter, option = QPainter(self), QStyleOptionFrame()
        option.initFrom(self)
        painter.fillRect(self.rect(), self.palette().toolTipBase())
        self.style().drawPrimitive(
            QStyle.PrimitiveElement.PE_PanelTipLabel, option, painter, self
        )
        size = self.image_size()
        if size.isEmpty():
            return
        place = QRectF((self.width() - size.width()) / 2, MARGIN, 0, 0)
        place.setSize(QRectF(QRect(QPoint(), size)).size())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        image = self._thumbnail().image
        painter.drawImage(place, image, QRectF(image.rect()))
