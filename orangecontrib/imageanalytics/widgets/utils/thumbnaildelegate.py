"""How one image on a sheet of thumbnails is drawn."""

from AnyQt.QtCore import QModelIndex, QPointF, QRect, QRectF, QSize, Qt
from AnyQt.QtGui import QColor, QPainter, QPainterPath, QPalette, QPen
from AnyQt.QtWidgets import QAbstractItemDelegate, QStyle, QStyleOptionViewItem

from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    ThumbnailRole,
    shortened,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import Thumbnail

# Longer titles cannot be seen anyway, and take long to be cut to a width.
MAX_TITLE = 200
# Below smaller images there is no room for more than a letter or two.
MIN_TITLED = 48


class ThumbnailDelegate(QAbstractItemDelegate):
    """Draws an image with its title below."""

    margin = 6  # around the image, inside the frame that marks the selection
    corner = 4

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Size of any cell; it depends on the size of images and font only."""
        edge = option.decorationSize.width()
        width = edge + 2 * self.margin
        return QSize(width, width + self._title_height(option))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw one cell."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self._paint_frame(painter, option)
        rect = option.rect.adjusted(
            self.margin, self.margin, -self.margin, -self._title_height(option)
        )
        rect.setHeight(option.decorationSize.height())
        thumbnail = index.data(ThumbnailRole)
        if thumbnail is None:
            paint_placeholder(painter, rect, option.palette)
        elif thumbnail.image is None:
            paint_broken(painter, rect, option.palette)
        else:
            paint_image(painter, rect, thumbnail, option.decorationSize)
        self._paint_title(painter, option, index, rect.bottom() + 1)
        painter.restore()

    def _title_height(self, option: QStyleOptionViewItem) -> int:
        if option.decorationSize.width() < MIN_TITLED:
            return 0
        return option.fontMetrics.height() + self.margin

    def _paint_frame(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        state, flag = option.state, QStyle.StateFlag
        rect = QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -0.5)
        highlight = option.palette.color(QPalette.ColorRole.Highlight)
        if state & flag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(highlight)
            painter.drawRoundedRect(rect, self.corner, self.corner)
        elif state & flag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(_faded(highlight, 0.15))
            painter.drawRoundedRect(rect, self.corner, self.corner)
        if state & flag.State_HasFocus:
            role = QPalette.ColorRole.Text
            painter.setPen(QPen(_faded(option.palette.color(role), 0.6), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect, self.corner, self.corner)

    def _paint_title(self, painter, option, index, top: int) -> None:
        title = shortened(index.data(Qt.ItemDataRole.DisplayRole) or "", MAX_TITLE)
        if not title or not self._title_height(option):
            return
        rect = option.rect.adjusted(self.margin, 0, -self.margin, 0)
        rect.setTop(top + self.margin // 2)
        rect.setHeight(option.fontMetrics.height())
        selected = option.state & QStyle.StateFlag.State_Selected
        roles = QPalette.ColorRole
        role = roles.HighlightedText if selected else roles.Text
        elide = Qt.TextElideMode.ElideMiddle
        painter.setFont(option.font)
        painter.setPen(option.palette.color(role))
        text = option.fontMetrics.elidedText(title, elide, rect.width())
        spare = rect.width() - option.fontMetrics.horizontalAdvance(text)
        baseline = rect.top() + option.fontMetrics.ascent()
        painter.drawText(rect.left() + max(0, spare // 2), baseline, text)


def _faded(color: QColor, alpha: float) -> QColor:
    color = QColor(color)
    color.setAlphaF(alpha)
    return color


def paint_image(
    painter: QPainter, rect: QRect, thumbnail: Thumbnail, box: QSize
) -> None:
    """Draw a thumbnail in the middle, pixel by pixel where it has the right size."""
    ratio = painter.device().devicePixelRatioF()
    image = thumbnail.image
    scale = min(
        box.width() * ratio / image.width(), box.height() * ratio / image.height()
    )
    width, height = image.width() * scale, image.height() * scale
    # Only whole device pixels keep the image sharp.
    left = round(rect.left() * ratio + (rect.width() * ratio - width) / 2)
    top = round(rect.top() * ratio + (rect.height() * ratio - height) / 2)
    target = QRectF(left, top, round(width), round(height))
    painter.drawImage(
        QRectF(
            target.left() / ratio,
            target.top() / ratio,
            target.width() / ratio,
            target.height() / ratio,
        ),
        image,
        QRectF(image.rect()),
    )


def paint_placeholder(painter: QPainter, rect: QRect, palette: QPalette) -> None:
    """Mark an image that is still to come."""
    text = palette.color(QPalette.ColorRole.Text)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_faded(text, 0.07))
    painter.drawRoundedRect(_middle(rect, 1.0, 0.75), 3, 3)


def paint_broken(painter: QPainter, rect: QRect, palette: QPalette) -> None:
    """Mark an image that cannot be shown: an image torn in two."""
    text = palette.color(QPalette.ColorRole.Text)
    frame = _middle(rect, 0.6, 0.48)
    pen = QPen(_faded(text, 0.45), max(1.0, frame.width() / 30))
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(_faded(text, 0.05))
    for half in _torn(frame):
        painter.drawPath(half)


def _middle(rect: QRect, width: float, height: float) -> QRectF:
    edge = min(rect.width(), rect.height())
    middle = QRectF(0, 0, edge * width, edge * height)
    middle.moveCenter(QRectF(rect).center())
    return middle


def _torn(frame: QRectF) -> list[QPainterPath]:
    crack = ((0.58, 0.0), (0.46, 0.3), (0.6, 0.55), (0.42, 1.0))
    halves = []
    for side, shift in ((0.0, -0.03), (1.0, 0.03)):
        outline = [(side, 0.0), *crack, (side, 1.0)]
        path = QPainterPath()
        points = [
            QPointF(
                frame.left() + (x + shift) * frame.width(),
                frame.top() + y * frame.height() + shift * frame.height(),
            )
            for x, y in outline
        ]
        path.moveTo(points[0])
        for point in points[1:]:
            path.lineTo(point)
        path.closeSubpath()
        halves.append(path)
    return halves
