"""Draw an image in a cell: whole or cropped, framed, not loaded yet, or broken."""

from AnyQt.QtCore import QPointF, QRect, QRectF, Qt
from AnyQt.QtGui import QColor, QPainter, QPainterPath, QPalette, QPen

from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail


def faded(color: QColor, alpha: float) -> QColor:
    """The same colour, translucent."""
    color = QColor(color)
    color.setAlphaF(alpha)
    return color


def image_rect(rect: QRect, width: int, height: int, ratio: float) -> QRectF:
    """
    The middle of a rectangle, as large as an image that is fitted into it.

    Parameters
    ----------
    rect : QRect
        The rectangle.
    width, height : int
        Size of the image, of which only the proportion matters.
    ratio : float
        Device pixels for a point. Only whole device pixels keep images sharp.

    Returns
    -------
    QRectF
    """
    scale = min(rect.width() * ratio / width, rect.height() * ratio / height)
    width, height = width * scale, height * scale
    left = round(rect.left() * ratio + (rect.width() * ratio - width) / 2)
    top = round(rect.top() * ratio + (rect.height() * ratio - height) / 2)
    return QRectF(
        left / ratio,
        top / ratio,
        max(1, round(width)) / ratio,
        max(1, round(height)) / ratio,
    )


def paint_image(painter: QPainter, rect: QRect, thumbnail: Thumbnail) -> QRectF:
    """
    Draw a thumbnail in the middle, pixel by pixel where it has the right size.

    Returns
    -------
    QRectF
        Where it is.
    """
    image, ratio = thumbnail.image, painter.device().devicePixelRatioF()
    target = image_rect(rect, image.width(), image.height(), ratio)
    painter.drawImage(target, image, QRectF(image.rect()))
    return target


def paint_cropped(painter: QPainter, rect: QRect, thumbnail: Thumbnail) -> None:
    """Fill a rectangle with the middle of a thumbnail."""
    image = thumbnail.image
    scale = min(image.width() / rect.width(), image.height() / rect.height())
    part = QRectF(0, 0, rect.width() * scale, rect.height() * scale)
    part.moveCenter(QRectF(image.rect()).center())
    painter.drawImage(QRectF(rect), image, part)


def paint_frame(painter: QPainter, rect: QRectF, width: int, color: QColor) -> None:
    """Draw a frame of a width, just inside a rectangle."""
    # Not filled: a pale image would let it through.
    for left, top, right, bottom in (
        (0, 0, 0, width - rect.height()),
        (0, rect.height() - width, 0, 0),
        (0, width, width - rect.width(), -width),
        (rect.width() - width, width, 0, -width),
    ):
        painter.fillRect(rect.adjusted(left, top, right, bottom), color)


def paint_dashed_frame(
    painter: QPainter, rect: QRectF, width: int, color: QColor
) -> None:
    """Draw a dashed frame of a width, just inside a rectangle."""
    pen = QPen(color, width, Qt.PenStyle.CustomDashLine, Qt.PenCapStyle.FlatCap)
    pen.setDashPattern([2.5, 1.5])
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    half = width / 2
    painter.drawRect(rect.adjusted(half, half, -half, -half))


def paint_placeholder(painter: QPainter, rect: QRect, palette: QPalette) -> None:
    """Mark an image that is not loaded yet."""
    text = palette.color(QPalette.ColorRole.Text)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(faded(text, 0.07))
    painter.drawRoundedRect(_middle(rect, 1.0, 0.75), 3, 3)


def paint_broken(painter: QPainter, rect: QRect, palette: QPalette) -> None:
    """Mark an image that cannot be shown: an image torn in two."""
    text = palette.color(QPalette.ColorRole.Text)
    frame = _middle(rect, 0.6, 0.48)
    pen = QPen(faded(text, 0.45), max(1.0, frame.width() / 30))
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(faded(text, 0.05))
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
