"""A widget's whole sheet as PDF, as HTML or on paper, made in a thread."""

import logging
from collections.abc import Callable
from typing import ClassVar

from AnyQt.QtCore import QObject, Qt
from AnyQt.QtGui import QKeySequence
from AnyQt.QtWidgets import QAction, QDialog, QMenu, QProgressDialog
from Orange.widgets.utils.concurrent import ConcurrentMixin, TaskState
from Orange.widgets.utils.localization import pl
from Orange.widgets.widget import OWWidget
from orangewidget.io import PdfFormat
from orangewidget.utils import saveplot
from orangewidget.widget import Msg

from orangecontrib.imageanalytics.contact_sheet import (
    ContactSheet,
    Progress,
    Written,
    write_html,
)
from orangecontrib.imageanalytics.errors import Cancelled, first_line
from orangecontrib.imageanalytics.widgets.sheet.sheet_pages import (
    page_layout,
    print_sheet,
    write_pdf,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

try:
    from AnyQt.QtPrintSupport import QPrintDialog, QPrinter
except ImportError:  # some builds of Qt are without it
    QPrintDialog = QPrinter = None

log = logging.getLogger(__name__)


class SheetFormat:
    """
    A format that Save Image offers for the whole sheet.

    Parameters
    ----------
    export : SheetExport
        Writes it.
    sheet : ContactSheet
        The sheet.
    write : callable
        Takes the sheet, a path, whether to overwrite, and a callback for the progress.
    extension, description : str
    """

    PRIORITY = 40  # before the formats for what is in sight

    def __init__(
        self,
        export: "SheetExport",
        sheet: ContactSheet,
        write: Callable,
        extension: str,
        description: str,
    ):
        self._export, self._sheet, self._write = export, sheet, write
        self.EXTENSIONS = (extension,)
        self.DESCRIPTION = description

    def write(self, path: str, _) -> None:
        """Begin to write; the file's name was agreed to in Orange's dialog."""

        def write(sheet: ContactSheet, callback: Progress) -> Written:
            return self._write(sheet, path, True, callback)

        self._export.start(self._sheet, path, write)


class SheetExport(QObject, ConcurrentMixin):
    """
    Saves and prints the sheet of a widget; adds *Print…* to its menu.

    Parameters
    ----------
    widget : OWWidget
        Shows messages about failures, and its menu gets the action.
    make_sheet : callable
        Gives the `ContactSheet` as it is now, or None if there are no images.
    """

    MESSAGES: ClassVar = {
        "sheet_not_written": "{} was not written: {}.",
        "left_off_sheet": "{} on the sheet could not be shown: {}",
    }

    def __init__(self, widget: OWWidget, make_sheet: Callable[[], ContactSheet | None]):
        QObject.__init__(self, widget)
        ConcurrentMixin.__init__(self)
        self._widget, self._make_sheet = widget, make_sheet
        self._name = ""
        self._dialog: QProgressDialog | None = None
        for name, text in self.MESSAGES.items():
            widget.Warning.add_message(name, Msg(text))
        self.print_action = QAction("Print…", widget)
        self.print_action.setShortcut(QKeySequence(QKeySequence.StandardKey.Print))
        self.print_action.triggered.connect(self.print)
        self.print_action.setEnabled(QPrinter is not None)
        self._add_to_menu()

    def _add_to_menu(self) -> None:
        self._widget.addAction(self.print_action)
        menu = self._widget.menuBar().findChild(QMenu, "menu-file")
        if menu is not None:
            menu.addAction(self.print_action)

    def save(self) -> None:
        """Save the whole sheet, or an image of the visible part, for Save Image."""
        widget = self._widget
        formats = [format for format in widget.graph_writers if format is not PdfFormat]
        sheet = self._make_sheet()
        if sheet is not None:
            formats += [
                SheetFormat(self, sheet, write_pdf, ".pdf", "PDF, the whole sheet"),
                SheetFormat(
                    self, sheet, write_html, ".html", "Web page, the whole sheet"
                ),
            ]
        saveplot.save_plot(getattr(widget, widget.graph_name), formats)

    def print(self) -> None:
        """Ask for a printer, and print the sheet."""
        sheet = self._make_sheet()
        if sheet is None or QPrinter is None:
            return
        printer = QPrinter(QPrinter.PrinterMode.HighResolution)
        printer.setDocName(sheet.title)
        printer.setPageLayout(page_layout(sheet))
        dialog = QPrintDialog(printer, self._widget)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self.print_on(printer, sheet)

    def print_on(self, printer: "QPrinter", sheet: ContactSheet) -> None:
        """Print a sheet on a printer, as far as its page range goes."""
        pages = (printer.fromPage(), printer.toPage()) if printer.toPage() else None

        def write(sheet: ContactSheet, callback: Progress) -> Written:
            return print_sheet(sheet, printer, callback, pages)

        self.start(sheet, printer.printerName() or "The sheet", write)

    def start(self, sheet: ContactSheet, name: str, write: Callable) -> None:
        """
        Write a sheet in the thread.

        Parameters
        ----------
        sheet : ContactSheet
        name : str
            Of the file or the printer, for messages.
        write : callable
            Takes the sheet and a callback for the progress; gives `Written`.
        """
        for message in self.MESSAGES:
            getattr(self._widget.Warning, message).clear()
        self._close_dialog()
        self._name = name
        dialog = QProgressDialog("Writing the sheet…", "Cancel", 0, 100, self._widget)
        dialog.setWindowTitle(sheet.title)
        dialog.setWindowModality(Qt.WindowModality.NonModal)
        dialog.setAutoReset(False)
        dialog.canceled.connect(self.stop)
        self._dialog = dialog
        ConcurrentMixin.start(self, _run, write, sheet)

    def stop(self) -> None:
        """Stop without writing anything. The thread ends by itself."""
        self.cancel()
        self._close_dialog()

    def shutdown(self) -> None:
        """Stop permanently, since the widget closes."""
        end_task(self)
        self._close_dialog()

    @property
    def busy(self) -> bool:
        """Whether a sheet is being written."""
        return self.task is not None

    def on_partial_result(self, progress: tuple[int, int]) -> None:
        """Show the progress."""
        done, total = progress
        self._dialog.setLabelText(f"Image {done:,} of {total:,}")
        self._dialog.setValue(100 * done // max(1, total))

    def on_done(self, written: Written) -> None:
        """Report images that could not be shown."""
        self._close_dialog()
        failures = written.failures
        if failures:
            source, reason = failures[0]
            count = f"{len(failures):,} {pl(len(failures), 'image')}"
            self._widget.Warning.left_off_sheet(count, f"{reason}\n{source}")

    def on_exception(self, ex: Exception) -> None:
        """Report why there is no file."""
        self._close_dialog()
        if not isinstance(ex, OSError | MemoryError):
            log.error("Writing %s", self._name, exc_info=ex)
        reason = "not enough memory" if isinstance(ex, MemoryError) else first_line(ex)
        self._widget.Warning.sheet_not_written(self._name, reason.rstrip("."))

    def _close_dialog(self) -> None:
        if self._dialog is not None:
            dialog, self._dialog = self._dialog, None
            dialog.canceled.disconnect(self.stop)
            dialog.close()
            dialog.deleteLater()


def _run(write: Callable, sheet: ContactSheet, state: TaskState) -> Written:
    shown = -1

    def callback(done: int, total: int) -> None:
        nonlocal shown
        if state.is_interruption_requested():
            raise Cancelled("cancelled")
        if 100 * done // max(1, total) != shown:
            shown = 100 * done // max(1, total)
            state.set_partial_result((done, total))

    return write(sheet, callback)
