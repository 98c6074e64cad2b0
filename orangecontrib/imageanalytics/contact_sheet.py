"""Contact sheets: all images of a sheet with their labels, as one HTML file.

The same description of a sheet is what the widgets print and write as PDF.
"""

from __future__ import annotations

import base64
import contextlib
import html
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TextIO

from PIL import Image

from orangecontrib.imageanalytics.engine.device import processors
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.i18n import pl
from orangecontrib.imageanalytics.images.fitted import read_fitted
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.parallel import read_each
from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.output_file import replaced_file

#: Pixels of a thumbnail's longer side in HTML: sharp on dense screens, yet small.
MIN_PIXELS, MAX_PIXELS = 128, 320
QUALITY = 85
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Entry:
    """
    One image of a sheet.

    Attributes
    ----------
    source : str
        Path or URL.
    lines : tuple of str
        The text below it.
    color : str
        Color of its frame, as ``#rrggbb``; "" for no frame.
    group : str or None
        The heading above it. Entries of a group follow each other.
    """

    source: str
    lines: tuple[str, ...] = ()
    color: str = ""
    group: str | None = None


@dataclass(frozen=True)
class Key:
    """
    An entry of the legend: the meaning of a colour.

    Attributes
    ----------
    name : str
    color : str
        As ``#rrggbb``.
    count : int or None
        Number of images of that colour; None where colours have no limits.
    """

    name: str
    color: str
    count: int | None = None

    def __str__(self) -> str:
        return self.name if self.count is None else f"{self.name} ({self.count:,})"


@dataclass(frozen=True)
class ContactSheet:
    """
    Images with labels, in the order in which they are read.

    Attributes
    ----------
    title : str
    entries : sequence of Entry
    legend : sequence of Key
        What the colours stand for.
    legend_title : str
        The name of the variable that the colours show.
    edge : int
        Size of the images, in 1/96 inch.
    columns : int or None
        Width of a grid, in cells; None for lines that fill the width of the page.
    cells : sequence of int or None
        In a grid, the cell of each entry, counted line by line, in ascending order.
        None to fill the cells one after the other.
    crop : bool
        Whether a square is cut from the middle of each image.
    intensity : "auto", "full" or (float, float)
        As for `decode`.
    """

    title: str
    entries: Sequence[Entry]
    legend: Sequence[Key] = ()
    legend_title: str = ""
    edge: int = 100
    columns: int | None = None
    cells: Sequence[int] | None = None
    crop: bool = False
    intensity: Intensity = AUTOMATIC

    def sections(self) -> list[tuple[str | None, range]]:
        """Heading and entries of each group; one without heading if there are none."""
        sections = []
        groups = itertools.groupby(
            range(len(self.entries)), lambda number: self.entries[number].group
        )
        for group, numbers in groups:
            members = list(numbers)
            sections.append((group, range(members[0], members[-1] + 1)))
        return sections

    def lines(self, numbers: range, columns: int) -> list[list[int | None]]:
        """
        Arrange entries in lines.

        Parameters
        ----------
        numbers : range
            Which entries.
        columns : int
            Length of a line. It has no effect in a grid, which has its own.

        Returns
        -------
        list of list of (int or None)
            Numbers of entries, line by line; None for an empty cell.
        """
        columns = self.columns or columns
        if self.cells is None:
            return [
                list(numbers[start : start + columns])
                for start in range(0, len(numbers), columns)
            ]
        n_lines = max((self.cells[number] for number in numbers), default=-1) // columns
        lines: list[list[int | None]] = [[None] * columns for _ in range(n_lines + 1)]
        for number in numbers:
            line, column = divmod(int(self.cells[number]), columns)
            lines[line][column] = number
        return lines


@dataclass(frozen=True)
class Written:
    """
    The result of writing a sheet.

    Attributes
    ----------
    n_images : int
        Images on it.
    failures : list of (str, str)
        Source and reason of each that could not be read.
    """

    n_images: int
    failures: list[tuple[str, str]]


def write_html(
    sheet: ContactSheet,
    path: str,
    overwrite: bool = False,
    callback: Progress = lambda n_done, n_all: None,
) -> Written:
    """
    Write a sheet as one HTML file that needs no others.

    Parameters
    ----------
    sheet : ContactSheet
    path : str
        The new file.
    overwrite : bool
        Whether to replace a file that exists.
    callback : callable
        Called several times a second with the number of images done and of all
        images. An exception that it raises stops the work, and nothing is written.

    Returns
    -------
    Written

    Raises
    ------
    OSError
        The file exists, or it cannot be written.
    """
    pixels = min(max(2 * sheet.edge, MIN_PIXELS), MAX_PIXELS)
    failures = []
    with (
        replaced_file(path, overwrite) as partial,
        # Names of files may hold what no encoding can write.
        open(partial, "w", encoding="utf-8", errors="replace", newline="\n") as file,
        contextlib.closing(
            load_images(sheet, range(len(sheet.entries)), pixels, callback)
        ) as images,
    ):
        file.write(_head(sheet))
        for heading, numbers in sheet.sections():
            _write_section(file, sheet, heading, numbers, images, failures)
        file.write("</body>\n</html>\n")
    return Written(len(sheet.entries) - len(failures), failures)


def load_images(
    sheet: ContactSheet,
    numbers: Sequence[int],
    pixels: int,
    callback: Progress = lambda n_done, n_all: None,
) -> Iterator[Image.Image | ImageError]:
    """
    The images of a sheet, read in threads; only a few are in memory at once.

    Parameters
    ----------
    sheet : ContactSheet
    numbers : sequence of int
        Which of its entries.
    pixels : int
        Longest side of the images.
    callback : callable
        As for `write_html`, called in this thread.

    Yields
    ------
    PIL.Image.Image or ImageError
        In the order of `numbers`: an image in mode RGB, or why it cannot be read.
    """
    sources = [sheet.entries[number].source for number in numbers]

    def read(source: str, content: bytes | None) -> Image.Image:
        return read_fitted(source, pixels, content, sheet.intensity)

    return read_each(sources, read, processors(), callback)


def cropped(image: Image.Image) -> Image.Image:
    """The square in the middle of an image."""
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.crop((left, top, left + edge, top + edge))


_STYLE = """\
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 24px; }
h1 { font-size: 1.5em; margin: 0; }
h2 { font-size: 1.1em; margin: 28px 0 8px; }
h2 span, .about { opacity: .65; font-weight: normal; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px;
  margin: 12px 0 0; padding: 0; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin-right: 6px; }
.sheet { display: grid; gap: 14px 10px; margin-top: 16px;
  grid-template-columns: repeat(auto-fill, minmax(EDGEpx, 1fr)); }
.grid { grid-template-columns: repeat(COLUMNS, minmax(48px, EDGEpx)); gap: 6px;
  overflow-x: auto; }
figure { margin: 0; text-align: center; break-inside: avoid; }
figure > div { height: EDGEpx; display: flex; align-items: center;
  justify-content: center; }
.grid figure > div { height: auto; aspect-ratio: 1; }
img { max-width: 100%; max-height: 100%; box-sizing: border-box;
  border: 0 solid transparent; }
.broken { font-size: .8em; opacity: .65; border: 1px dashed; border-radius: 4px;
  padding: 8px; overflow-wrap: anywhere; }
figcaption { font-size: .82em; margin-top: 4px; overflow-wrap: anywhere; }
figcaption div { display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 2; overflow: hidden; }
@media print { body { margin: 0; } h2 { break-after: avoid; } }
"""

_SAFE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def _head(sheet: ContactSheet) -> str:
    title, count = html.escape(sheet.title), len(sheet.entries)
    style = _STYLE.replace("EDGE", str(int(sheet.edge)))
    style = style.replace("COLUMNS", str(sheet.columns or 1))
    return (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_SAFE}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<h1>{title}</h1>\n"
        f'<div class="about">{count:,} {pl(count, "image")}</div>\n' + _legend(sheet)
    )


def _legend(sheet: ContactSheet) -> str:
    if not sheet.legend:
        return ""
    items = "".join(
        f'<li><i style="background:{_safe_color(key.color)}"></i>'
        f"{html.escape(str(key))}</li>\n"
        for key in sheet.legend
    )
    title = html.escape(sheet.legend_title)
    return f'<ul class="legend">\n<li><b>{title}</b></li>\n{items}</ul>\n'


def _write_section(
    file: TextIO,
    sheet: ContactSheet,
    heading: str | None,
    numbers: range,
    images: Iterator[Image.Image | ImageError],
    failures: list[tuple[str, str]],
) -> None:
    if heading is not None:
        name = html.escape(heading)
        file.write(f"<h2>{name} <span>({len(numbers):,})</span></h2>\n")
    file.write(f'<div class="sheet{" grid" if sheet.columns else ""}">\n')
    for number in numbers:
        entry, image = sheet.entries[number], next(images)
        if isinstance(image, ImageError):
            failures.append((entry.source, str(image)))
        file.write(_figure(sheet, number, image))
    file.write("</div>\n")


def _figure(sheet: ContactSheet, number: int, image: Image.Image | ImageError) -> str:
    entry = sheet.entries[number]
    name = html.escape(file_name(entry.source))
    color = _safe_color(entry.color)
    style = f"border:2px solid {color}" if color else ""
    if isinstance(image, ImageError):
        reason = html.escape(str(image))
        shown = f'<div class="broken" style="{style}">{name}<br>{reason}</div>'
    else:
        image = cropped(image) if sheet.crop else image
        style = f"width:{_width(sheet, image)};{style}"
        shown = (
            f'<img src="{_data_url(image)}" alt="{name}" title="{name}" '
            f'style="{style}">'
        )
    lines = "".join(f"<div>{html.escape(line)}</div>" for line in entry.lines)
    caption = f"<figcaption>{lines}</figcaption>" if lines else ""
    return f"<figure{_place(sheet, number)}><div>{shown}</div>{caption}</figure>\n"


def _width(sheet: ContactSheet, image: Image.Image) -> str:
    """Small images are enlarged, as in the widgets."""
    part = min(1.0, image.width / image.height)
    return f"{100 * part:.4g}%" if sheet.columns else f"{part * sheet.edge:.4g}px"


def _place(sheet: ContactSheet, number: int) -> str:
    if sheet.cells is None or not sheet.columns:
        return ""
    line, column = divmod(int(sheet.cells[number]), sheet.columns)
    return f' style="grid-area:{line + 1}/{column + 1}"'


def _data_url(image: Image.Image) -> str:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _safe_color(color: str) -> str:
    return color if _COLOR.fullmatch(color) else ""
