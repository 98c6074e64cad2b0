"""Import Images: a folder of images becomes a table."""

import logging
import os

from AnyQt.QtCore import Qt, QUrl
from AnyQt.QtGui import QStandardItem
from AnyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFileIconProvider,
    QFormLayout,
    QGridLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QStyle,
    QWidget,
)
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.filedialogs import (
    OWUrlDropBase,
    RecentPath,
    stored_recent_paths_prepend,
)
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Msg, Output
from orangewidget.workflow.drophandler import SingleFileDropHandler

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedSettingsHandler,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import (
    SkippedDialog,
    without_links,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

CATEGORIES = (
    ("Path of the folder", "path"),
    ("Top folder", "top"),
    ("None", "none"),
)
PAGES = (
    ("First", "first"),
    ("All as rows", "all"),
)
PAGES_TIP = """\
<p>What becomes of files with several pages, planes, channels or frames.</p>
<p>First: one row. Its image is the first page or frame; of a stack it is the plane in
the middle, with all of its channels in colour. All as rows: a row for each.</p>"""
MOST_RECENT = 20


def scan_folder(importer: ImportImages, folder: str, state):
    """Run in a thread: what `ImportImages` returns for a folder."""

    def report(progress):
        if not state.is_interruption_requested():
            state.set_progress_value(100 * progress.count / progress.total)
            state.set_partial_result(progress)

    importer.report_progress = report
    return importer(folder)


class OWImportImages(OWUrlDropBase, ConcurrentWidgetMixin):
    """The widget; `ImportImages` does the work, in a thread."""

    name = "Import Images"
    description = "List the images in a folder, with their categories, in a table."
    keywords = "import images, import, image, picture, photo, folder, read, load"
    icon = "icons/ImportImages-symbolic.svg"
    priority = 110

    class Outputs:
        data = Output("Data", Table, default=True)

    class Error(OWUrlDropBase.Error):
        folder = Msg("{}")
        unexpected = Msg("The folder could not be read: {}")

    class Warning(OWUrlDropBase.Warning):
        no_images = Msg("There are no images in {}.")

    class Information(OWUrlDropBase.Information):
        cancelled = Msg("Cancelled. Press Reload to read the folder.")

    want_main_area = False
    resizing_enabled = False

    settingsHandler = CheckedSettingsHandler()
    #: RecentPath objects; the first is the folder that is read
    recent_paths: list = Setting([])
    category_from: str = Setting("path", valid=one_of(*dict(CATEGORIES).values()))
    subfolders: bool = Setting(True)
    pages: str = Setting("first", valid=one_of(*dict(PAGES).values()))

    def __init__(self):
        OWUrlDropBase.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self.skipped: list[tuple[str, str]] = []
        self.left_out: list[tuple[str, str]] = []
        self.has_more: list[str] = []
        self._importer = None
        self._make_folder_box()
        self._make_options_box()
        self._make_info_box()
        self.recent_paths = self._relocated()[:MOST_RECENT]
        self._show_recent()
        self.load()

    # Layout -----------------------------------------------------------------------

    def _make_folder_box(self):
        self.controlArea.setMinimumWidth(420)
        box = gui.hBox(self.controlArea, "Folder")
        self.folder_combo = combo = QComboBox(toolTip="Folders read of late")
        combo.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(26)
        combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        combo.activated.connect(self._select_recent)
        box.layout().addWidget(combo)
        icon = self.style().standardIcon
        self.browse_button = gui.button(
            box, self, "...", callback=self.browse, autoDefault=False
        )
        self.browse_button.setIcon(icon(QStyle.SP_DirOpenIcon))
        self.browse_button.setToolTip("Choose a folder")
        self.reload_button = gui.button(
            box, self, "Reload", callback=self.load, autoDefault=False
        )
        self.reload_button.setIcon(icon(QStyle.SP_BrowserReload))
        self.reload_button.setToolTip("Read the folder again")
        for button in (self.browse_button, self.reload_button):
            button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)

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
            "The part of an image's path that becomes its category",
        )
        self.pages_combo = self._add_choice(form, "&Pages:", PAGES, "pages", PAGES_TIP)
        gui.checkBox(
            box,
            self,
            "subfolders",
            "Include images in &subfolders",
            callback=self.load,
        )

    def _add_choice(self, form, label, choices, setting, tip) -> QComboBox:
        combo = QComboBox(toolTip=tip)
        for text, value in choices:
            combo.addItem(text, value)
        combo.setCurrentIndex(combo.findData(getattr(self, setting)))
        combo.activated.connect(lambda index: self._choose(setting, choices[index][1]))
        form.addRow(label, combo)
        return combo

    def _choose(self, setting, value):
        if value != getattr(self, setting):
            setattr(self, setting, value)
            self.load()

    def _make_info_box(self):
        box = gui.vBox(self.controlArea, "Images")
        self.info_label = QLabel(wordWrap=True)
        self.info_label.setTextInteractionFlags(
            Qt.LinksAccessibleByMouse | Qt.LinksAccessibleByKeyboard
        )
        self.info_label.linkActivated.connect(self._show_list)
        self.progress_bar = QProgressBar(minimum=0, maximum=100)
        self.cancel_button = QPushButton(
            "Cancel",
            icon=self.style().standardIcon(QStyle.SP_DialogCancelButton),
            autoDefault=False,
            clicked=self.stop,
        )
        self.progress_label = QLabel()
        progress = QWidget()
        grid = QGridLayout(progress)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.progress_bar, 0, 0)
        grid.addWidget(self.cancel_button, 0, 1)
        grid.addWidget(self.progress_label, 1, 0, 1, 2)
        self.info_stack = QStackedWidget()
        self.info_stack.addWidget(self.info_label)
        self.info_stack.addWidget(progress)
        box.layout().addWidget(self.info_stack)

    # The folder ---------------------------------------------------------------------

    @property
    def folder(self) -> str | None:
        """The folder that is read; None until one was chosen."""
        return self.recent_paths[0].abspath if self.recent_paths else None

    def set_folder(self, path: str):
        """Read another folder, and remember it."""
        recent = self._recent(path)
        others = [other for other in self.recent_paths if other != recent]
        self.recent_paths = [recent, *others][:MOST_RECENT]
        self._show_recent()
        self.load()

    def browse(self):
        """Let the user choose a folder."""
        start = os.path.dirname(self.folder) if self.folder else os.path.expanduser("~")
        path = QFileDialog.getExistingDirectory(self, "Choose a Folder", start)
        if path:
            self.set_folder(path)

    def _select_recent(self, index):
        self.set_folder(self.recent_paths[index].abspath)

    def _show_recent(self):
        provider = QFileIconProvider()
        self.folder_combo.clear()
        model = self.folder_combo.model()
        for recent in self.recent_paths:
            item = QStandardItem(
                provider.icon(QFileIconProvider.Folder), _short_name(recent.abspath)
            )
            item.setToolTip(recent.abspath)
            model.appendRow(item)
        self.folder_combo.setToolTip(self.folder or "Folders read of late")
        self.folder_combo.setEnabled(bool(self.recent_paths))
        self.reload_button.setEnabled(bool(self.recent_paths))

    # Where the workflow is ----------------------------------------------------------

    def _search_paths(self):
        base = self.workflowEnv().get("basedir")
        return [("basedir", base)] if base else []

    def _recent(self, path) -> RecentPath:
        path = os.path.normpath(path)
        for name, base in self._search_paths():
            # RecentPath.create does not see a workflow saved among the images.
            if os.path.normpath(base) == path:
                return RecentPath(path, name, os.curdir)
        return RecentPath.create(path, self._search_paths())

    def _relocated(self) -> list[RecentPath]:
        """The recent folders as seen from where the workflow lies now."""
        places = self._search_paths()
        relocated = []
        # What comes from a file may be anything.
        recent_paths = self.recent_paths or []
        for recent in filter(lambda path: isinstance(path, RecentPath), recent_paths):
            found = recent.resolve(places)
            path = found.abspath if found else recent.search(places)
            relocated.append(self._recent(path) if path else recent)
        return relocated

    def workflowEnvChanged(self, key, value, oldvalue):
        """The workflow was saved in, or opened from, another folder."""
        if key != "basedir":
            return
        before = self.folder
        self.recent_paths = self._relocated()
        self._show_recent()
        if self.folder != before:
            self.load()

    # Drag and drop --------------------------------------------------------------------

    def canDropUrl(self, url: QUrl) -> bool:
        return os.path.isdir(url.toLocalFile())

    def handleDroppedUrl(self, url: QUrl) -> None:
        self.set_folder(url.toLocalFile())

    # Reading ----------------------------------------------------------------------

    def load(self):
        """Start to read the folder."""
        self._interrupt()
        self.clear_messages()
        self.skipped, self.left_out, self.has_more = [], [], []
        if self.folder is None:
            self._show_info("No folder chosen. Choose one, or drop it here.")
            return
        self._importer = ImportImages(
            category=self.category_from, subfolders=self.subfolders, pages=self.pages
        )
        self.start(scan_folder, self._importer, self.folder)
        self.progress_bar.setValue(0)
        self.progress_label.setText("Looking for files…")
        self.info_stack.setCurrentIndex(1)

    def stop(self):
        """Stop reading; the output is empty then."""
        if self.task is None:
            return
        self._interrupt()
        self._send(None, "Cancelled")
        self.Information.cancelled()

    def _interrupt(self):
        if self._importer is not None:
            self._importer.cancelled = True
        self.cancel()

    def on_partial_result(self, progress):
        self.progress_bar.setValue(100 * progress.count // progress.total)
        text = f"{progress.count:,} of {progress.total:,} files"
        self.progress_label.setText(text)
        self.setStatusMessage(text)

    def on_done(self, result):
        table, _ = result
        self.skipped = self._importer.skipped
        self.left_out = self._importer.left_out
        self.has_more = self._importer.has_more
        if not table:
            self.Warning.no_images(self.folder)
            table = None
        else:
            table.name = _short_name(self.folder)
        self._send(table, self._summary(table))

    def on_exception(self, ex):
        if isinstance(ex, OSError):
            self.Error.folder(_folder_problem(self.folder, ex))
        else:
            log.exception("Reading %s failed", self.folder, exc_info=ex)
            self.Error.unexpected(str(ex) or type(ex).__name__)
        self._send(None, "The folder was not read")

    def _send(self, table, text):
        self._show_info(text)
        self.Outputs.data.send(table)

    def _show_info(self, text):
        self.info_label.setText(text)
        self.info_stack.setCurrentIndex(0)

    def _summary(self, table) -> str:
        n_images = len(table) if table else 0
        text = f"{n_images:,} {pl(n_images, 'image')}"
        if table and table.domain.class_var:
            n_categories = len(table.domain.class_var.values)
            text += f" / {n_categories:,} {pl(n_categories, 'category')}"
        if self.skipped:
            text += f', <a href="#skipped">{len(self.skipped):,} skipped</a>'
        if self.left_out:
            text += f', <a href="#left-out">{len(self.left_out):,} left out</a>'
        if self.has_more:
            n_files = len(self.has_more)
            have = pl(n_files, "file has|files have")
            text += f"<br/>{n_files:,} {have} more pages than the one that is used"
        return text

    def _show_list(self, link):
        if link == "#left-out":
            self.show_left_out()
        else:
            self.show_skipped()

    def show_skipped(self):
        """Open the list of skipped files."""
        SkippedDialog(self.skipped, self).show()

    def show_left_out(self):
        """Open the list of what was left out for its name."""
        SkippedDialog(self.left_out, self, "Files and Folders Left Out").show()

    def send_report(self):
        if self.folder is None:
            return
        categories = {value: text for text, value in CATEGORIES}
        self.report_items(
            "Folder",
            [
                ("Path", self.folder),
                ("Category", categories[self.category_from]),
                ("Subfolders", "included" if self.subfolders else "left out"),
                ("Pages", self.pages_combo.currentText()),
                ("Images", without_links(self.info_label.text())),
            ],
        )

    def onDeleteWidget(self):
        if self._importer is not None:
            self._importer.cancelled = True
        end_task(self)
        super().onDeleteWidget()


def _short_name(path: str) -> str:
    return os.path.basename(os.path.normpath(path)) or path


def _folder_problem(folder: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"The folder {folder} was not found."
    if isinstance(error, NotADirectoryError):
        return f"{folder} is not a folder."
    return f"The folder {folder} cannot be read: {error.strerror or error}"


class OWImportImagesDropHandler(SingleFileDropHandler):
    """Makes a folder dropped on the canvas an Import Images."""

    WIDGET = OWImportImages

    def canDropFile(self, path: str) -> bool:
        return os.path.isdir(path)

    def parametersFromFile(self, path: str) -> dict:
        recent = RecentPath.create(path, [])
        return {"recent_paths": stored_recent_paths_prepend(self.WIDGET, recent)}


if __name__ == "__main__":
    WidgetPreview(OWImportImages).run()
