import re
import threading

import numpy as np
import pytest
from AnyQt.QtCore import QBuffer, QLocale, QMarginsF
from AnyQt.QtGui import QPageLayout, QPageSize, QPdfWriter
from PIL import Image

from orangecontrib.imageanalytics.contact_sheet import ContactSheet, Entry, Key
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.widgets.sheet import sheet_pages
from orangecontrib.imageanalytics.widgets.sheet.sheet_pages import (
    page_layout,
    print_sheet,
    write_pdf,
)

DPI = 40
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def sources(tmp_path):
    """A red and a blue image."""
    paths = []
    for name, color in (("red", RED), ("blue", BLUE)):
        Image.new("RGB", (60, 40), color).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    return paths


def n_pages(path):
    return len(re.findall(rb"/Type /Page\b", path.read_bytes()))


def rendered(path, page=0):
    """A page as it is seen; needs a Qt that reads PDF."""
    if not QPdfWriter.__module__.startswith("PyQt6"):
        pytest.skip("PyQt5 does not read PDF")
    QtPdf = pytest.importorskip("PyQt6.QtPdf")
    document = QtPdf.QPdfDocument(None)
    document.load(str(path))
    size = document.pagePointSize(page)
    image = document.render(page, (size * DPI / 72).toSize())
    document.close()
    return image


def count(image, color):
    """How many pixels have a colour."""
    near = 0
    for y in range(image.height()):
        for x in range(image.width()):
            pixel = image.pixelColor(x, y)
            if pixel.alpha() < 128:
                continue
            channels = pixel.red(), pixel.green(), pixel.blue()
            near += all(abs(a - b) < 40 for a, b in zip(channels, color, strict=True))
    return near


def test_many_images_take_many_pages(sources, tmp_path):
    path = tmp_path / "a.pdf"
    sheet = ContactSheet("Sheet", [Entry(s) for s in sources * 100], edge=100)
    written = write_pdf(sheet, str(path))
    assert (written.n_images, written.failures) == (200, [])
    assert path.read_bytes().startswith(b"%PDF")
    # 6 images a line and at most 10 lines a page
    assert 4 <= n_pages(path) <= 6


def test_images_and_frames_are_drawn(sources, tmp_path):
    path = tmp_path / "a.pdf"
    entries = [Entry(s, ("label",), "#00ff00") for s in sources]
    write_pdf(ContactSheet("Sheet", entries, edge=400), str(path))
    image = rendered(path)
    assert count(image, RED) > 1000
    assert count(image, RED) == pytest.approx(count(image, BLUE), rel=0.1)
    assert count(image, (0, 255, 0)) > 50


def test_groups_keep_their_heading_with_them(sources, tmp_path):
    path = tmp_path / "a.pdf"
    entries = [
        Entry(sources[0], group=f"group {number // 7}") for number in range(7 * 12)
    ]
    legend = [Key(f"value {n}", "#00ff00", n) for n in range(60)]
    sheet = ContactSheet("Sheet", entries, legend, "variable", edge=100)
    write_pdf(sheet, str(path))
    assert n_pages(path) > 1
    assert count(rendered(path), (0, 255, 0)) > 60  # the legend's squares


def test_a_legend_of_very_many_values_leaves_room_for_images(sources, tmp_path):
    path = tmp_path / "a.pdf"
    legend = [Key(f"value {n}", "#00ff00", n) for n in range(3000)]
    sheet = ContactSheet("Sheet", [Entry(sources[0])], legend, "variable", edge=100)
    write_pdf(sheet, str(path))
    assert n_pages(path) == 1
    image = rendered(path)
    assert count(image, RED) > 500
    assert count(image, (0, 255, 0)) > 60


def test_a_long_name_does_not_cover_the_legend(sources, tmp_path):
    path = tmp_path / "a.pdf"
    key = Key("value", "#00ff00", 1)
    sheet = ContactSheet("", [Entry(sources[0])], [key], "very long " * 50, edge=100)
    write_pdf(sheet, str(path))
    image = rendered(path)
    green = (0, 255, 0)
    lines = [
        y
        for y in range(image.height())
        if any(
            image.pixelColor(x, y).getRgb()[:3] == green for x in range(image.width())
        )
    ]
    # The value is a short word at the left, the name as wide as the page.
    half = image.width() // 2
    assert count(image.copy(half, lines[0], half, len(lines)), (0, 0, 0)) == 0
    assert count(image.copy(half, 0, half, lines[0]), (0, 0, 0)) > 0


def test_very_many_labels_stay_on_the_page(sources, tmp_path):
    path = tmp_path / "a.pdf"
    entries = [Entry(source, ("label",) * 500) for source in sources]
    write_pdf(ContactSheet("Sheet", entries, edge=400), str(path))
    image = rendered(path, page=1)  # below the title there is too little room
    assert count(image, RED) > 500
    # Nothing is written over the number of the page.
    foot = image.copy(0, image.height() - 20, int(image.width() * 0.8), 20)
    assert count(foot, (0, 0, 0)) == 0


def test_a_grid_keeps_its_shape(sources, tmp_path):
    path = tmp_path / "a.pdf"
    sheet = ContactSheet(
        "Grid",
        [Entry(s) for s in sources],
        columns=5,
        cells=np.array([4, 5]),
        crop=True,
    )
    write_pdf(sheet, str(path))
    image = rendered(path)
    assert image.width() > image.height()
    # Red at the right, blue at the left, one line lower.
    right = [
        (x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).red() > 200 and image.pixelColor(x, y).green() < 50
    ]
    assert min(x for x, _ in right) > image.width() / 2


def test_a_grid_of_very_many_columns(sources, tmp_path):
    path = tmp_path / "a.pdf"
    entries = [Entry(sources[0], ("label",))] * 400
    sheet = ContactSheet("Grid", entries, columns=200, cells=range(400))
    assert write_pdf(sheet, str(path)).n_images == 400
    assert n_pages(path) == 1


def test_an_empty_sheet_is_a_page(tmp_path):
    path = tmp_path / "a.pdf"
    assert write_pdf(ContactSheet("Sheet", []), str(path)).n_images == 0
    assert n_pages(path) == 1


def test_images_that_cannot_be_read(sources, tmp_path):
    path = tmp_path / "a.pdf"
    missing = str(tmp_path / "none.png")
    sheet = ContactSheet("Sheet", [Entry(missing), Entry(sources[0])], edge=300)
    written = write_pdf(sheet, str(path))
    assert written.failures == [(missing, "file not found")]
    assert written.n_images == 1


def test_nothing_is_overwritten_unasked(sources, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_text("mine")
    sheet = ContactSheet("Sheet", [Entry(sources[0])])
    with pytest.raises(FileExistsError):
        write_pdf(sheet, str(path))
    assert path.read_text() == "mine"
    write_pdf(sheet, str(path), overwrite=True)
    assert path.read_bytes().startswith(b"%PDF")


def test_cancelled_work_leaves_nothing(sources, tmp_path):
    path = tmp_path / "a.pdf"
    before = sorted(tmp_path.iterdir())

    def callback(done, total):
        if done:
            raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        write_pdf(
            ContactSheet("Sheet", [Entry(s) for s in sources]),
            str(path),
            False,
            callback,
        )
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_without_its_end_is_no_success(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet_pages, "print_sheet", lambda *_: None)
    with pytest.raises(OSError, match="to its end"):
        write_pdf(ContactSheet("Sheet", []), str(tmp_path / "a.pdf"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["blue.png", "red.png"]


def test_works_in_a_thread(sources, tmp_path):
    path, results = tmp_path / "a.pdf", []
    sheet = ContactSheet("Sheet", [Entry(s) for s in sources])
    thread = threading.Thread(
        target=lambda: results.append(write_pdf(sheet, str(path)))
    )
    thread.start()
    thread.join(60)
    assert results[0].n_images == 2


def test_chosen_pages_only(sources):
    read = []
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    sheet = ContactSheet("Sheet", [Entry(s) for s in sources * 100], edge=100)
    written = print_sheet(sheet, writer, lambda *done: read.append(done), (2, 3))
    pages = len(re.findall(rb"/Type /Page\b", bytes(buffer.data())))
    assert pages == 2
    assert 0 < written.n_images < 200 and read[-1] == (written.n_images,) * 2


def test_a_printer_gets_no_part_of_what_was_cancelled(sources):
    done = []

    class Printer(QPdfWriter):
        def abort(self):
            done.append("abort")

    def callback(*_):
        raise Cancelled("cancelled")

    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    with pytest.raises(Cancelled):
        print_sheet(ContactSheet("", [Entry(sources[0])]), Printer(buffer), callback)
    assert done == ["abort"]


@pytest.mark.parametrize(
    "locale, size", [("en_US", "Letter"), ("es_MX", "Letter"), ("sl_SI", "A4")]
)
def test_paper_of_the_country(monkeypatch, locale, size):
    monkeypatch.setattr(QLocale, "system", staticmethod(lambda: QLocale(locale)))
    layout = page_layout(ContactSheet("", []))
    assert layout.pageSize().id() == getattr(QPageSize.PageSizeId, size)
    assert layout.orientation() == QPageLayout.Orientation.Portrait
    assert layout.margins(QPageLayout.Unit.Millimeter) == QMarginsF(12, 12, 12, 12)


@pytest.mark.parametrize(
    "columns, cells, wide",
    [(5, np.array([4, 9]), True), (2, np.arange(6, 8), False), (None, None, False)],
)
def test_wide_grids_turn_the_page(columns, cells, wide):
    layout = page_layout(
        ContactSheet("", [Entry("a")] * 2, columns=columns, cells=cells)
    )
    assert (layout.orientation() == QPageLayout.Orientation.Landscape) is wide
