"""Import Images: list the images in folders in a table."""

import logging
import os
from dataclasses import dataclass

from AnyQt.QtWidgets import QComboBox, QFormLayout
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.filedialogs import RecentPath, stored_recent_paths_prepend
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Msg, Output
from orangewidget.workflow.drophandler import FilesDropHandler

from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.import_images import (
    COLUMNS,
    ImportImages,
    NamePattern,
    PatternError,
)
from orangecontrib.imageanalytics.import_images.folders import Listing, folder_problem
from orangecontrib.imageanalytics.import_images.watch import Changes, FolderWatch
from orangecontrib.imageanalytics.widgets.folders import import_summary
from orangecontrib.imageanalytics.widgets.folders.columns_combo import ColumnsCombo
from orangecontrib.imageanalytics.widgets.folders.folder_choice import short_name
from orangecontrib.imageanalytics.widgets.folders.folder_watcher import FolderWatcher
from orangecontrib.imageanalytics.widgets.folders.folders_widget import OWFoldersBase
from orangecontrib.imageanalytics.widgets.folders.name_pattern_choice import (
    DEFAULT,
    NamePatternChoice,
)
from orangecontrib.imageanalytics.widgets.folders.reading_status import ReadingStatus
from orangecontrib.imageanalytics.widgets.folders.recent_folders import located
from orangecontrib.imageanalytics.widgets.utils import signal_names
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedSettingsHandler,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import setting_combo
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import without_links
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

FROM_NAME = "name"
CATEGORIES = (
    ("Path of the folder", "path"),
    ("Top folder", "top"),
    ("Name of the file", FROM_NAME),
    ("None", "none"),
)
PAGES = (
    ("First", "first"),
    ("All as rows", "all"),
)
PAGES_TIP = """\
<p>How files with several pages, planes, channels or frames are listed.</p>
<p>First: one row. Its image is the first page or frame; of a stack it is the plane in
the middle, with all of its channels in color. All as rows: a row for each.</p>"""
WATCH = (
    ("Off", "off"),
    ("Show what is new", "show"),
    ("Load what is new", "load"),
)
WATCH_TIP = """\
<p>Whether to look for images that are added, changed or removed while the widget is
here. They are loaded by themselves, or when you press a button. Files that are still
being written wait until they are complete.</p>"""
EMPTY = """\
<b>Choose a folder of images</b>, or drop one or more folders here.<br/>
If it has subfolders, they become the categories of the images in them."""
NOT_READ = "Nothing was read. Choose another folder, or press Reload to try again."
CANCELLED = "Cancelled. Press Reload to read the folder."


def all_columns(names: list[str]) -> bool:
    """A check that these are names of columns."""
    return set(names) <= set(COLUMNS)


@dataclass
class Found:
    """The result of the thread."""

    folders: list[RecentPath]
    listing: Listing
    table: Table | None
    names: list[str]
    problem: str = ""  # with the pattern


def read_folders(importer, pattern: str, recent: list[RecentPath], places, state):
    """Run in a thread: find the images in folders."""

    def report(progress):
        if not state.is_interruption_requested():
            state.set_progress_value(100 * progress.count / progress.total)
            state.set_partial_result(progress)

    importer.report_progress = report
    folders = located(recent, places)
    listing = importer.read([folder.abspath for folder in folders])
    if listing is None:
        return None
    return make_table(importer, pattern, folders, listing, state)


def make_table(importer, pattern: str, folders, listing: Listing, _state):
    """Run in a thread: make a table of the images that were found."""
    names = []
    problem = ""
    if pattern:
        names = [file_name(image.path) for image in listing.images if image.isvalid]
    try:
        importer.class_from = NamePattern(pattern) if pattern else None
        table, _ = importer.table(listing)
    except PatternError as error:
        importer.class_from, importer.category = None, "none"
        problem = str(error)
        table, _ = importer.table(listing)
    return Found(folders, listing, table or None, names, problem)


class OWImportImages(OWFoldersBase, ConcurrentWidgetMixin):
    """The widget; `ImportImages` does the work, in a thread."""

    name = "Import Images"
    description = "List the images in folders, with their categories, in a table."
    keywords = "import images, import, image, picture, photo, folder, read, load"
    icon = "icons/ImportImages-symbolic.svg"
    priority = 110

    class Outputs:
        data = Output("Data", Table, replaces=signal_names.DATA, default=True)

    class Error(OWFoldersBase.Error):
        folder = Msg("{}")
        unexpected = Msg("The folder could not be read: {}")

    class Warning(OWFoldersBase.Warning):
        no_images = Msg("There are no images in {}. Choose another folder{}.")
        missing = Msg("{}")
        unreachable = Msg("{} Its images are kept.")
        pattern = Msg("There are no categories: {}")

    class Information(OWFoldersBase.Information):
        cancelled = Msg(CANCELLED)

    want_main_area = False
    resizing_enabled = False

    settingsHandler = CheckedSettingsHandler()
    category_from: str = Setting("path", valid=one_of(*dict(CATEGORIES).values()))
    name_pattern: str = Setting(DEFAULT)
    subfolders: bool = Setting(True)
    pages: str = Setting("first", valid=one_of(*dict(PAGES).values()))
    columns: list[str] = Setting([], valid=all_columns)
    watch: str = Setting("off", valid=one_of(*dict(WATCH).values()))

    def __init__(self):
        OWFoldersBase.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self._importer = None
        self._listing: Listing | None = None
        self._news: Changes | None = None
        self._watcher = FolderWatcher(self)
        self._watcher.looked.connect(self._show_changes)
        self.controlArea.setMinimumWidth(440)
        self._make_folder_box()
        self._make_options_box()
        self.status = ReadingStatus()
        self.status.cancelled.connect(self.stop)
        self.status.news_asked.connect(self.load_news)
        self.status.link.connect(self._show_list)
        gui.vBox(self.controlArea, "Status").layout().addWidget(self.status)
        self.load()

    def _make_options_box(self):
        box = gui.vBox(self.controlArea, "Options")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        box.layout().addLayout(form)
        self.category_combo = self._add_choice(
            form,
            "Ca&tegory:",
            CATEGORIES,
            "category_from",
            "Which part of an image's path becomes its category",
            self._category_chosen,
        )
        self.name_choice = NamePatternChoice()
        self.name_choice.set_pattern(self.name_pattern)
        self.name_choice.changed.connect(self._pattern_chosen)
        self.name_choice.unmatched_asked.connect(
            lambda names: import_summary.show_unmatched(names, self)
        )
        form.addRow("", self.name_choice)
        self.name_choice.setVisible(self.category_from == FROM_NAME)
        self.pages_combo = self._add_choice(
            form, "&Pages:", PAGES, "pages", PAGES_TIP, self.load
        )
        self.columns_combo = ColumnsCombo(self.columns)
        self.columns_combo.closed.connect(self._columns_chosen)
        form.addRow("C&olumns:", self.columns_combo)
        self.watch_combo = self._add_choice(
            form, "&Watch:", WATCH, "watch", WATCH_TIP, self._watch_changed
        )
        gui.checkBox(
            box,
            self,
            "subfolders",
            "Include images in &subfolders",
            callback=self.load,
        )

    def _add_choice(self, form, label, choices, setting, tip, chosen) -> QComboBox:
        combo = setting_combo(self, setting, choices, chosen)
        combo.setToolTip(tip)
        form.addRow(label, combo)
        return combo

    # Reading ----------------------------------------------------------------------

    def load(self):
        """Start to read the folders."""
        self._interrupt()
        self._stop_watching()
        self._listing = None
        self.folder_choice.show_folders(self.recent)
        if not self.recent.read:
            self._send(None, EMPTY)
            return
        self._start(read_folders, list(self.recent.read), self._places())
        self.status.show_progress(0, "Looking for files…")

    def _remake(self):
        """Make the table again from what is known about the images."""
        if self._listing is None:
            self.load()
        else:
            self._interrupt()
            self._start(make_table, list(self.recent.read), self._listing)

    def _start(self, task, *arguments):
        self.clear_messages()
        by_name = self.category_from == FROM_NAME
        self._importer = ImportImages(
            category="none" if by_name else self.category_from,
            subfolders=self.subfolders,
            pages=self.pages,
            columns=self.columns,
        )
        pattern = self.name_pattern if by_name else ""
        self.start(task, self._importer, pattern, *arguments)

    def stop(self):
        """Stop reading; the output is then empty."""
        if self.task is None:
            return
        self._interrupt()
        self._stop_watching()
        self._listing = None
        self._send(None, CANCELLED)
        self.Information.cancelled()

    def _interrupt(self):
        if self._importer is not None:
            self._importer.cancelled = True
        self.cancel()

    def on_partial_result(self, progress):
        text = f"{progress.count:,} of {progress.total:,} files"
        self.status.show_progress(100 * progress.count // progress.total, text)
        self.setStatusMessage(text)

    def on_done(self, found):
        self._listing = found.listing
        self.recent.locate(found.folders)
        self._keep_recent()
        listing = found.listing
        notes = import_summary.folder_notes(listing.missing, listing.contained)
        self.folder_choice.show_folders(self.recent, notes)
        if listing.missing:
            self.Warning.missing(_problems(listing.missing))
        self.name_choice.set_names(found.names)
        if found.problem:
            self.name_choice.show_problem(found.problem)
            self.Warning.pattern(found.problem)
        summary = self._summary(found.table)
        if found.table is None:
            others = "" if self.subfolders else " or include the subfolders"
            self.Warning.no_images(self._where(), others)
            summary += f"<br/>Choose another folder{others}."
        else:
            found.table.name = self._where()
        self._send(found.table, summary)
        if not self._watcher.active:
            self._watch_changed()

    def _where(self) -> str:
        n_others = len(self.folders) - 1
        first = short_name(self.folder)
        return f"{first} and {n_others} more" if n_others else first

    def on_exception(self, ex):
        if isinstance(ex, OSError):
            missing = self._importer.missing or [ex]
            notes = import_summary.folder_notes(missing)
            self.folder_choice.show_folders(self.recent, notes)
            self.Error.folder(_problems(missing))
        else:
            log.exception("Reading %s failed", self.folders, exc_info=ex)
            self.Error.unexpected(str(ex) or type(ex).__name__)
        self._send(None, NOT_READ)

    def _send(self, table, text):
        self.status.show_text(text)
        self.Outputs.data.send(table)

    # Choices ----------------------------------------------------------------------

    def _category_chosen(self):
        self.name_choice.setVisible(self.category_from == FROM_NAME)
        self._remake()

    def _pattern_chosen(self, pattern: str):
        self.name_pattern = pattern
        self._remake()

    def _columns_chosen(self):
        chosen = self.columns_combo.chosen()
        if chosen == self.columns:
            return
        is_known = set(chosen) <= set(self.columns)
        self.columns = chosen
        if is_known and self.task is None:
            self._remake()
            self._watch_changed()
        else:
            self.load()

    # Watching ---------------------------------------------------------------------

    def _watch_changed(self):
        """Begin or stop to watch what was read, as the user wants it."""
        self._stop_watching()
        if self.watch != "off" and self._listing is not None:
            watch = FolderWatch(
                self._listing, self.subfolders, self.pages, self.columns
            )
            self._watcher.start(watch)

    def _stop_watching(self):
        self._watcher.stop()
        self._show_changes(None)

    def _show_changes(self, changes: Changes | None):
        self._news = changes or None
        text = f"{import_summary.news(changes)} - Reload" if changes else ""
        self.status.show_news(text)
        if changes is not None and changes.unreachable:
            problem = folder_problem(changes.unreachable[0])
            self.Warning.unreachable(problem)
        else:
            self.Warning.unreachable.clear()
        if self.watch == "load" and self.task is None:
            self.load_news()

    def load_news(self):
        """Take over changes in the folders; only new files are read."""
        if self._news is not None:
            changes, self._news = self._news, None
            self._watcher.take(changes)
            self._listing = changes.listing
            self.status.show_news("")
            self._remake()

    # Lists and report -------------------------------------------------------------

    def _summary(self, table) -> str:
        n_folders = len(self._listing.folders) - len(self._listing.missing)
        return import_summary.summary(self._importer, table, n_folders)

    def _show_list(self, link):
        import_summary.show_list(link, self._importer, self)

    def send_report(self):
        if self.folder is None:
            return
        category = self.category_combo.currentText()
        if self.category_from == FROM_NAME:
            category += f" ({self.name_choice.text})"
        self.report_items(
            "Folder",
            [
                ("Path", ", ".join(self.folders)),
                ("Category", category),
                ("Subfolders", "included" if self.subfolders else "left out"),
                ("Pages", self.pages_combo.currentText()),
                ("Columns", self.columns and self.columns_combo.text()),
                ("Images", without_links(self.status.label.text())),
            ],
        )

    def onDeleteWidget(self):
        if self._importer is not None:
            self._importer.cancelled = True
        self._watcher.close()
        self.name_choice.close_threads()
        end_task(self)
        super().onDeleteWidget()


def _problems(errors: list[OSError]) -> str:
    return "\n".join(map(folder_problem, errors))


class OWImportImagesDropHandler(FilesDropHandler):
    """Makes an Import Images widget of folders dropped on the canvas."""

    WIDGET = OWImportImages

    def canDropFiles(self, paths) -> bool:
        return all(map(os.path.isdir, paths))

    def parametersFromFiles(self, paths) -> dict:
        folders = [RecentPath.create(path, []) for path in paths]
        before = stored_recent_paths_prepend(self.WIDGET, folders[0])
        others = [recent for recent in before if recent not in folders]
        return {"recent_paths": [*folders, *others], "n_folders": len(folders)}


if __name__ == "__main__":
    WidgetPreview(OWImportImages).run()
