"""Contact sheets on pages: PDF and printers.

All of it may run in a thread; images are read in others, a few at a time.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from AnyQt.QtCore import QFile, QIODevice, QLocale, QMarginsF, QPointF, QRectF, Qt
from AnyQt.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPagedPaintDevice,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QPen,
)
from Orange.widgets.utils.localization import pl
from PIL import Image

from orangecontrib.imageanalytics.contact_sheet import (
    ContactSheet,
    Progress,
    Written,
    cropped,
    load_images,
)
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.output_file import replaced_file
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import to_qimage

PDF_DPI = 300
IMAGE_DPI = 150
MIN_PIXELS, MAX_PIXELS = 64, 1200
MARGIN_MM = 12
# In points of 1/72 inch.
GAP = 6.0
LABEL_GAP = 1.5  # between an image and its labels
MIN_EDGE, MAX_EDGE = 30.0, 220.0
# In narrower cells there is no room for text.
MIN_LABELLED = 24.0
TEXT, HEADING, TITLE = 7.5, 11.0, 16.0
MAX_LEGEND = 0.5  # of the first page
GREY = QColor(110, 110, 110)

#: Where paper is of the size Letter (Unicode CLDR, paperSize US-Letter).
LETTER = frozenset(
    ("BZ", "CA", "CL", "CO", "CR", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE")
)


@dataclass(frozen=True)
class _Line:
    """Cells side by side; their top is `top` pixels below that of the page."""

    top: float
    numbers: list[int | None]
    n_labels: int


@dataclass
class _Page:
    lines: list[_Line] = field(default_factory=list)
    headings: list[tuple[float, str]] = field(default_factory=list)

    def numbers(self) -> list[int]:
        """The entries on the page."""
        return [n for line in self.lines for n in line.numbers if n is not None]


def write_pdf(
    sheet: ContactSheet,
    path: str,
    overwrite: bool = False,
    callback: Progress = lambda n_done, n_all: None,
) -> Written:
    """
    Write a sheet as PDF, on paper of the size that is common where the user lives.

    Parameters
    ----------
    sheet : ContactSheet
    path : str
        The new file.
    overwrite : bool
        Whether to replace a file that exists.
    callback : callable
        As for `contact_sheet.write_html`.

    Returns
    -------
    Written

    Raises
    ------
    OSError
        The file exists, or it cannot be written.
    """
    with replaced_file(path, overwrite) as partial:
        file = QFile(partial)
        if not file.open(QIODevice.OpenModeFlag.WriteOnly):
            raise OSError(file.errorString())
        writer = QPdfWriter(file)
        writer.setResolution(PDF_DPI)
        writer.setTitle(sheet.title)
        writer.setCreator("Orange")
        writer.setPageLayout(page_layout(sheet))
        try:
            written = print_sheet(sheet, writer, callback)
        finally:
            file.close()
        _check_whole(file, partial)
    return written


def page_layout(sheet: ContactSheet) -> QPageLayout:
    """Letter or A4; on its side for a grid that is wider than high."""
    sizes, orientations = QPageSize.PageSizeId, QPageLayout.Orientation
    territory = QLocale.system().name().rpartition("_")[2]
    size = QPageSize(sizes.Letter if territory in LETTER else sizes.A4)
    numbers = range(len(sheet.entries))
    wide = sheet.columns is not None and (
        sheet.columns > len(sheet.lines(numbers, sheet.columns))
    )
    turned = orientations.Landscape if wide else orientations.Portrait
    margins = QMarginsF(MARGIN_MM, MARGIN_MM, MARGIN_MM, MARGIN_MM)
    return QPageLayout(size, turned, margins, QPageLayout.Unit.Millimeter)


def print_sheet(
    sheet: ContactSheet,
    device: QPagedPaintDevice,
    callback: Progress = lambda n_done, n_all: None,
    pages: tuple[int, int] | None = None,
) -> Written:
    """
    Draw a sheet on the pages of a device.

    Parameters
    ----------
    sheet : ContactSheet
    device : QPagedPaintDevice
        A QPdfWriter or a QPrinter.
    callback : callable
        As for `contact_sheet.write_html`.
    pages : (int, int), optional
        The first and the last page to be drawn, from 1; by default all.

    Returns
    -------
    Written

    Raises
    ------
    OSError
        The device cannot be drawn on.
    """
    painter = QPainter()
    if not painter.begin(device):
        raise OSError("the file or the printer cannot be written to")
    try:
        return _Printing(sheet, device, painter).run(callback, pages)
    except BaseException:
        if hasattr(device, "abort"):  # before the end, which sends it to the printer
            device.abort()
        raise
    finally:
        painter.end()


def _check_whole(file: QFile, path: str) -> None:
    """Check the file, since Qt does not report that the disk is full."""
    if file.error() != QFile.FileError.NoError:
        raise OSError(file.errorString())
    with open(path, "rb") as written:
        written.seek(-min(1024, os.path.getsize(path)), os.SEEK_END)
        if b"%%EOF" not in written.read():
            raise OSError("it could not be written to its end; the disk may be full")


class _Printing:
    """Lays a sheet out on pages and draws them; all sizes in pixels of the device."""

    def __init__(
        self, sheet: ContactSheet, device: QPagedPaintDevice, painter: QPainter
    ):
        self._sheet, self._device, self._painter = sheet, device, painter
        self._point = device.logicalDpiX() / 72
        self._width, self._height = float(device.width()), float(device.height())
        self._fonts = {size: self._font(size) for size in (TEXT, HEADING, TITLE)}
        self._foot = 2 * self._line_height(TEXT)
        self._columns, self._edge = self._cell_size()
        self._legend_top = 0.0
        # Place, text, and color, which is "" for text alone
        self._legend: list[tuple[QPointF, str, str]] = []
        self._pages = self._lay_out(self._lay_out_legend())

    def run(self, callback: Progress, pages: tuple[int, int] | None) -> Written:
        first, last = pages or (1, len(self._pages))
        chosen = range(max(1, first) - 1, min(last, len(self._pages)))
        numbers = [n for page in chosen for n in self._pages[page].numbers()]
        pixels = self._edge / self._point / 72 * IMAGE_DPI
        pixels = int(min(max(pixels, MIN_PIXELS), MAX_PIXELS))
        failures: list[tuple[str, str]] = []
        with contextlib.closing(
            load_images(self._sheet, numbers, pixels, callback)
        ) as images:
            for page in chosen:
                if page != chosen[0] and not self._device.newPage():
                    raise OSError("a new page cannot be begun")
                self._draw_page(page, images, failures)
        return Written(len(numbers) - len(failures), failures)

    # Layout

    def _font(self, points: float) -> QFont:
        font = QFont()
        font.setPixelSize(max(1, round(points * self._point)))
        font.setBold(points != TEXT)
        font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
        return font

    def _metrics(self, size: float) -> QFontMetricsF:
        # Of a font in pixels they are the same on every device.
        return QFontMetricsF(self._fonts[size])

    def _line_height(self, size: float) -> float:
        return self._metrics(size).height()

    def _cell_size(self) -> tuple[int, float]:
        gap, point = GAP * self._point, self._point
        columns = self._sheet.columns
        if columns is None:
            edge = min(max(self._sheet.edge * 0.75, MIN_EDGE), MAX_EDGE) * point
            columns = max(1, int((self._width + gap) / (edge + gap)))
        else:
            gap = min(gap, self._width / columns / 10)
        self._gap = gap
        edge = (self._width - gap * (columns - 1)) / columns
        most = MAX_EDGE * point, self._height / 2
        return columns, min(edge, *most)

    def _lay_out_legend(self) -> float:
        """Places the title's and the legend's parts; where what follows starts."""
        height, metrics = self._line_height(TEXT), self._metrics(TEXT)
        top = self._line_height(TITLE) + height
        if not self._sheet.legend:
            return top + height
        top += 0.5 * height
        self._legend_top, most = top, self._height * MAX_LEGEND
        left = metrics.horizontalAdvance(self._sheet.legend_title) + 2 * height
        for number, key in enumerate(self._sheet.legend):
            text = metrics.elidedText(
                str(key), Qt.TextElideMode.ElideRight, self._width
            )
            width = metrics.horizontalAdvance(text) + 2.5 * height
            if left + width > self._width:
                left, top = 0.0, top + 1.2 * height
                if top > most:
                    rest = f"… and {len(self._sheet.legend) - number:,} more"
                    self._legend.append((QPointF(left, top), rest, ""))
                    break
            self._legend.append((QPointF(left, top), text, key.color))
            left += width
        return top + 2 * height

    def _lay_out(self, top: float) -> list[_Page]:
        pages = [_Page()]
        bottom = self._height - self._foot
        for heading, numbers in self._sheet.sections():
            head = 2 * self._line_height(HEADING) if heading is not None else 0.0
            for line in self._sheet.lines(numbers, self._columns):
                n_labels = self._n_labels(line)
                height = self._edge + n_labels * self._line_height(TEXT)
                height += LABEL_GAP * self._point
                if top > 0 and top + head + height > bottom:
                    pages.append(_Page())
                    top = 0.0
                if head:
                    pages[-1].headings.append((top, f"{heading} ({len(numbers):,})"))
                    top, head = top + head, 0.0
                pages[-1].lines.append(_Line(top, line, n_labels))
                top += height + self._gap
        return pages

    def _n_labels(self, line: list[int | None]) -> int:
        if self._edge < MIN_LABELLED * self._point:
            return 0
        entries, room = self._sheet.entries, self._height - self._foot - self._edge
        most = int((room - 2 * self._line_height(HEADING)) / self._line_height(TEXT))
        wanted = max((len(entries[n].lines) for n in line if n is not None), default=0)
        return min(wanted, max(0, most))

    # Drawing

    def _draw_page(
        self,
        number: int,
        images: Iterator[Image.Image | ImageError],
        failures: list[tuple[str, str]],
    ) -> None:
        painter, page = self._painter, self._pages[number]
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        if number == 0:
            self._draw_head()
        for top, heading in page.headings:
            height = self._line_height(HEADING)
            self._text(
                HEADING, QRectF(0, top + height / 2, self._width, height), heading
            )
        for line in page.lines:
            for column, entry in enumerate(line.numbers):
                if entry is None:
                    continue
                image = next(images)
                if isinstance(image, ImageError):
                    failures.append((self._sheet.entries[entry].source, str(image)))
                left = column * (self._edge + self._gap)
                self._draw_entry(entry, image, QPointF(left, line.top), line.n_labels)
        self._draw_foot(number)

    def _draw_head(self) -> None:
        count, height = len(self._sheet.entries), self._line_height(TITLE)
        self._text(TITLE, QRectF(0, 0, self._width, height), self._sheet.title)
        text = f"{count:,} {pl(count, 'image')}"
        self._text(TEXT, QRectF(0, height, self._width, self._line_height(TEXT)), text)
        if not self._legend:
            return
        height = self._line_height(TEXT)
        room = QRectF(0, self._legend_top, self._width, height)
        self._text(TEXT, room, self._sheet.legend_title)
        for place, text, color in self._legend:
            left = place.x()
            if color:
                square = QRectF(left, place.y() + 0.15 * height, *2 * [0.7 * height])
                self._painter.fillRect(square, QColor(color))
                left += height
            self._text(TEXT, QRectF(left, place.y(), self._width, height), text)

    def _draw_foot(self, number: int) -> None:
        height = self._line_height(TEXT)
        room = QRectF(0, self._height - height, self._width, height)
        self._painter.setPen(GREY)
        right = f"{number + 1} / {len(self._pages)}"
        align = Qt.AlignmentFlag
        self._painter.setFont(self._fonts[TEXT])
        self._painter.drawText(room, int(align.AlignRight), right)
        room.setRight(self._width * 0.8)
        self._text(TEXT, room, self._sheet.title, GREY)

    def _draw_entry(
        self,
        number: int,
        image: Image.Image | ImageError,
        place: QPointF,
        n_labels: int,
    ) -> None:
        entry, edge = self._sheet.entries[number], self._edge
        box = QRectF(place.x(), place.y(), edge, edge)
        if isinstance(image, ImageError):
            self._draw_broken(box, file_name(entry.source), str(image))
        else:
            if self._sheet.crop:
                image = cropped(image)
            box = _fitted(image.size, box)
            self._painter.drawImage(box, to_qimage(image))
        if entry.color:
            width = min(1.2 * self._point, edge / 12)
            self._painter.setPen(QPen(QColor(entry.color), width))
            self._painter.setBrush(Qt.BrushStyle.NoBrush)
            self._painter.drawRect(
                box.adjusted(width / 2, width / 2, -width / 2, -width / 2)
            )
        height = self._line_height(TEXT)
        top = place.y() + edge + LABEL_GAP * self._point
        for n, text in enumerate(entry.lines[:n_labels]):
            room = QRectF(place.x(), top + n * height, edge, height)
            self._text(TEXT, room, text, centred=True)

    def _draw_broken(self, box: QRectF, name: str, reason: str) -> None:
        self._painter.setPen(QPen(GREY, self._point / 2, Qt.PenStyle.DashLine))
        self._painter.setBrush(Qt.BrushStyle.NoBrush)
        inset = self._edge / 20
        box = box.adjusted(inset, inset, -inset, -inset)
        self._painter.drawRect(box)
        height = self._line_height(TEXT)
        if box.height() < 2 * height:
            return
        middle = box.center().y()
        for top, text in ((middle - height, name), (middle, reason)):
            room = QRectF(box.left(), top, box.width(), height)
            self._text(TEXT, room, text, GREY, centred=True)

    def _text(
        self,
        size: float,
        room: QRectF,
        text: str,
        color: QColor | Qt.GlobalColor = Qt.GlobalColor.black,
        centred: bool = False,
    ) -> None:
        metrics, align = self._metrics(size), Qt.AlignmentFlag
        text = " ".join(text.split())
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())
        self._painter.setFont(self._fonts[size])
        self._painter.setPen(color)
        side = align.AlignHCenter if centred else align.AlignLeft
        flags = int(side) | int(Qt.TextFlag.TextSingleLine)
        self._painter.drawText(room, flags, shown)


def _fitted(size: tuple[int, int], box: QRectF) -> QRectF:
    scale = min(box.width() / size[0], box.height() / size[1])
    rect = QRectF(0, 0, size[0] * scale, size[1] * scale)
    rect.moveCenter(box.center())
    return rect
