"""What is written on a sheet beside the cells: headings and a message."""

from AnyQt.QtCore import QPointF, QRect, QRectF, Qt
from AnyQt.QtGui import QColor, QPainter, QPainterPath, QPalette, QPen
from AnyQt.QtWidgets import QWidget

from orangecontrib.imageanalytics.widgets.sheet.cellpainting import faded
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import shortened

MAX_HEADING = 200
CORNER = 4


def paint_heading(
    painter: QPainter,
    rect: QRect,
    widget: QWidget,
    title: str,
    count: int,
    collapsed: bool,
    current: bool,
) -> None:
    """
    Draw the heading of a section.

    Parameters
    ----------
    painter : QPainter
    rect : QRect
        Where it is drawn.
    widget : QWidget
        Has the font and the palette.
    title : str
    count : int
        How many images the section has.
    collapsed : bool
        Whether they are hidden.
    current : bool
        Whether keys act on the section.
    """
    text = widget.palette().color(QPalette.ColorRole.Text)
    bar = QRectF(rect).adjusted(2.5, 2.5, -2.5, -2.5)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(faded(text, 0.6), 1) if current else Qt.PenStyle.NoPen)
    painter.setBrush(faded(text, 0.06))
    painter.drawRoundedRect(bar, CORNER, CORNER)
    _paint_arrow(painter, QPointF(rect.left() + 16, bar.center().y()), collapsed, text)
    font, metrics = widget.font(), widget.fontMetrics()
    font.setBold(True)
    painter.setFont(font)
    number, left = f"{count:,}", rect.left() + 30
    room = rect.width() - 30 - metrics.horizontalAdvance(number) - 24
    title = painter.fontMetrics().elidedText(
        shortened(title, MAX_HEADING), Qt.TextElideMode.ElideRight, max(0, room)
    )
    spare = rect.height() - metrics.height()
    baseline = rect.top() + spare // 2 + metrics.ascent()
    painter.setPen(text)
    painter.drawText(left, baseline, title)
    left += painter.fontMetrics().horizontalAdvance(title) + 10
    painter.setFont(widget.font())
    painter.setPen(faded(text, 0.6))
    painter.drawText(left, baseline, number)


def _paint_arrow(
    painter: QPainter, middle: QPointF, collapsed: bool, color: QColor
) -> None:
    """Point to the right if the section is collapsed, else down."""
    length, half = 4.0, 2.0
    corners = ((-length, -half), (0, half), (length, -half))
    if collapsed:
        corners = ((-half, -length), (half, 0), (-half, length))
    path = QPainterPath(middle + QPointF(*corners[0]))
    for corner in corners[1:]:
        path.lineTo(middle + QPointF(*corner))
    painter.setPen(QPen(faded(color, 0.7), 1.6))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)


def paint_message(painter: QPainter, view: QWidget, message: str) -> None:
    """Write something in the middle of a view."""
    flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
    room = view.viewport().rect().adjusted(40, 20, -40, -20)
    text = view.fontMetrics().boundingRect(room, flags, message)
    roles, palette = QPalette.ColorRole, view.palette()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(view.font())
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(palette.color(roles.Base))
    painter.drawRoundedRect(text.adjusted(-20, -12, 20, 12), 6, 6)
    painter.setPen(palette.color(roles.Text))
    painter.drawText(text, flags, message)
