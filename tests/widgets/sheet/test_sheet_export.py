import re
import threading

import pytest
from AnyQt.QtWidgets import QMenu, QProgressDialog, QWidget
from orangewidget.io import PdfFormat, PngFormat
from orangewidget.utils import saveplot
from orangewidget.widget import OWBaseWidget
from PIL import Image

from orangecontrib.imageanalytics import contact_sheet
from orangecontrib.imageanalytics.contact_sheet import ContactSheet, Entry
from orangecontrib.imageanalytics.widgets.sheet import sheet_export
from orangecontrib.imageanalytics.widgets.sheet.sheet_export import SheetExport


class Widget(OWBaseWidget):
    """A widget with a sheet."""

    name = "Sheet"
    graph_name = "sheet"

    def __init__(self):
        super().__init__()
        self.sheet = QWidget(self)
        self.contact_sheet = None
        self.export = SheetExport(self, lambda: self.contact_sheet)

    def save_graph(self):
        self.export.save()


@pytest.fixture
def widget(tmp_path):
    sources = []
    for number in range(3):
        Image.new("RGB", (60, 40)).save(tmp_path / f"{number}.png")
        sources.append(str(tmp_path / f"{number}.png"))
    widget = Widget()
    widget.contact_sheet = ContactSheet("Sheet", [Entry(s) for s in sources])
    yield widget
    widget.export.shutdown()
    widget.onDeleteWidget()
    widget.deleteLater()


@pytest.fixture
def choose(monkeypatch, tmp_path):
    """Answers Orange's dialog for files; the list it gives has what was offered."""
    offered = []

    def choose(name):
        def dialog(start_dir, start_filter, formats):
            offered.extend(formats)
            extension = name[name.index(".") :]
            found = next((f for f in formats if extension in f.EXTENSIONS), None)
            return str(tmp_path / name), found, found.DESCRIPTION

        monkeypatch.setattr(saveplot.filedialogs, "open_filename_dialog_save", dialog)
        return offered

    return choose


def messages(widget):
    return [str(message) for message in widget.Warning.active]


@pytest.mark.parametrize("name, start", [("a.pdf", b"%PDF"), ("a.html", b"<!DOCTYPE")])
def test_save_image_writes_the_whole_sheet(
    widget, choose, until, tmp_path, name, start
):
    offered = choose(name)
    (tmp_path / name).write_text("old")  # the dialog has asked
    widget.save_graph()
    until(lambda: not widget.export.busy)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert messages(widget) == []
    # One format for each extension, so that the choice is plain.
    assert PdfFormat not in offered and PngFormat in offered
    extensions = [e for format in offered for e in format.EXTENSIONS]
    assert len(set(extensions)) == len(extensions)


def test_the_sheet_is_made_once(widget, choose, until):
    made = []
    export = SheetExport(widget, lambda: made.append(1) or widget.contact_sheet)
    choose("a.html")
    export.save()
    until(lambda: not export.busy)
    assert made == [1]


def test_other_formats_show_what_is_in_sight(widget, choose, tmp_path):
    choose("a.png")
    widget.save_graph()
    assert not widget.export.busy
    assert Image.open(tmp_path / "a.png").format == "PNG"


def test_without_images_there_is_no_sheet(widget, choose, tmp_path):
    offered = choose("a.png")
    widget.contact_sheet = None
    widget.save_graph()
    assert not any(isinstance(format, sheet_export.SheetFormat) for format in offered)
    widget.export.print()
    assert not widget.export.busy


def test_images_are_read_outside_the_gui_thread(widget, choose, until, monkeypatch):
    threads, read = set(), contact_sheet.read_fitted

    def spy(*arguments):
        threads.add(threading.current_thread())
        return read(*arguments)

    monkeypatch.setattr(contact_sheet, "read_fitted", spy)
    choose("a.pdf")
    widget.save_graph()
    until(lambda: not widget.export.busy)
    assert threads and threading.main_thread() not in threads


def test_cancelled_at_once_and_nothing_is_left(
    widget, choose, until, monkeypatch, tmp_path
):
    go_on, read = threading.Event(), contact_sheet.read_fitted

    def slow(*arguments):
        go_on.wait(60)
        return read(*arguments)

    monkeypatch.setattr(contact_sheet, "read_fitted", slow)
    before = sorted(tmp_path.iterdir())
    choose("a.html")
    widget.save_graph()
    (dialog,) = widget.findChildren(QProgressDialog)
    future = widget.export.task.future
    until(lambda: sorted(tmp_path.iterdir()) != before)
    dialog.canceled.emit()
    assert not widget.export.busy and not dialog.isVisible()
    go_on.set()
    until(future.done)
    assert sorted(tmp_path.iterdir()) == before
    assert messages(widget) == []


def test_progress_is_shown(widget, choose, until, monkeypatch):
    go_on, read = threading.Event(), contact_sheet.read_fitted

    def slow(source, *arguments):
        if source.endswith("2.png"):
            go_on.wait(60)
        return read(source, *arguments)

    monkeypatch.setattr(contact_sheet, "read_fitted", slow)
    choose("a.pdf")
    widget.save_graph()
    (dialog,) = widget.findChildren(QProgressDialog)
    until(lambda: dialog.labelText() == "Image 2 of 3")
    assert dialog.value() == 66
    go_on.set()
    until(lambda: widget.findChildren(QProgressDialog) == [])
    assert not widget.export.busy


def test_images_that_cannot_be_shown_are_told(widget, choose, until, tmp_path):
    (tmp_path / "1.png").unlink()
    choose("a.pdf")
    widget.save_graph()
    until(lambda: not widget.export.busy)
    (message,) = messages(widget)
    assert "1 image on the sheet" in message and "file not found" in message
    assert str(tmp_path / "1.png") in message
    Image.new("RGB", (60, 40)).save(tmp_path / "1.png")
    widget.save_graph()
    until(lambda: not widget.export.busy)
    assert messages(widget) == []


def test_a_file_that_cannot_be_written_is_told(widget, choose, until, tmp_path):
    (tmp_path / "a.html").mkdir()
    choose("a.html")
    widget.save_graph()
    until(lambda: not widget.export.busy)
    (message,) = messages(widget)
    assert str(tmp_path / "a.html") in message and "is a folder" in message


def test_print(widget, until, tmp_path):
    QtPrintSupport = pytest.importorskip("AnyQt.QtPrintSupport")
    printer = QtPrintSupport.QPrinter()
    printer.setOutputFormat(QtPrintSupport.QPrinter.OutputFormat.PdfFormat)
    printer.setOutputFileName(str(tmp_path / "printed.pdf"))
    entries = widget.contact_sheet.entries * 200
    widget.contact_sheet = ContactSheet("Sheet", entries, edge=200)
    printer.setFromTo(2, 3)
    widget.export.print_on(printer, widget.contact_sheet)
    until(lambda: not widget.export.busy)
    assert messages(widget) == []
    content = (tmp_path / "printed.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", content)) == 2


def test_print_is_in_the_menu(widget):
    menu = widget.menuBar().findChild(QMenu, "menu-file")
    assert widget.export.print_action in menu.actions()
    assert menu.menuAction().isVisible()
    assert widget.export.print_action in widget.actions()


def test_print_dialog(widget, monkeypatch):
    asked = []

    class Dialog:
        def __init__(self, printer, parent):
            asked.append((printer.docName(), parent))

        def exec(self):
            return 0

    monkeypatch.setattr(sheet_export, "QPrintDialog", Dialog)
    widget.export.print_action.trigger()
    assert asked == [("Sheet", widget)]
    assert not widget.export.busy
