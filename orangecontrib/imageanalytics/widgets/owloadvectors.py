"""Load Vectors: read vectors of images that were saved as Parquet."""

import logging
import os

from AnyQt.QtCore import QTimer, QUrl
from AnyQt.QtWidgets import QFileDialog
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.filedialogs import RecentPath, stored_recent_paths_prepend
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Msg, Output
from orangewidget.workflow.drophandler import SingleFileDropHandler

from orangecontrib.imageanalytics.errors import DatasetError, ImageAnalyticsError
from orangecontrib.imageanalytics.vector_files.reading import free_memory
from orangecontrib.imageanalytics.widgets.folders.folders_widget import OWFoldersBase
from orangecontrib.imageanalytics.widgets.folders.reading_status import ReadingStatus
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedSettingsHandler,
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import as_html
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import (
    SkippedDialog,
    without_links,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task
from orangecontrib.imageanalytics.widgets.vectors import texts
from orangecontrib.imageanalytics.widgets.vectors.contents import Contents
from orangecontrib.imageanalytics.widgets.vectors.loading_task import (
    Found,
    Request,
    Result,
    find,
    read,
)
from orangecontrib.imageanalytics.widgets.vectors.path_choice import (
    PathChoice,
    dropped_path,
    may_have_vectors,
)
from orangecontrib.imageanalytics.widgets.vectors.rows_choice import (
    ALL,
    MOST,
    SAMPLE,
    RowsChoice,
)

log = logging.getLogger(__name__)

EMPTY = """\
<b>Choose a Parquet file with vectors</b> or a folder of them, or drop it here.<br/>
They are made by the commands <i>embed</i> and <i>embed-dataset</i>."""
NOT_READ = "Nothing was read. Choose another file, or press Reload to try again."
LOOKING, LOADING = "Looking what there is…", "Loading…"
NOT_LOADED = "Press Load to load the vectors."
CANCELLED = "Cancelled. Press Reload to try again."
MOST_SEEDS = 2**31 - 1


class OWLoadVectors(OWFoldersBase, ConcurrentWidgetMixin):
    """The widget; `vector_files` does the work, in a thread."""

    name = "Load Vectors"
    description = "Load vectors of images from Parquet files, all or a sample."
    keywords = "load vectors, load, vectors, embedding, parquet, sample, read, file"
    icon = "icons/LoadVectors-symbolic.svg"
    priority = 155

    class Outputs:
        data = Output("Data", Table, default=True)
        skipped_images = Output("Skipped Images", Table)

    class Error(OWFoldersBase.Error):
        unreadable = Msg("{}")
        out_of_memory = Msg(
            "There is not enough memory ({} needed, {} free); choose a sample."
        )
        unexpected = Msg("The vectors could not be loaded: {}")

    class Warning(OWFoldersBase.Warning):
        damaged = Msg("{} left out: {}")
        images_skipped = Msg("{} without a vector.")
        images_missing = Msg(
            "Images are not found, such as {}. If they were moved, press Change…"
        )

    class Information(OWFoldersBase.Information):
        cancelled = Msg(CANCELLED)
        unknown_embedding = Msg(
            "It is not known how the vectors were computed, so models that are "
            "trained on them cannot predict from images."
        )

    want_main_area = False
    resizing_enabled = False

    settingsHandler = CheckedSettingsHandler()
    rows: str = Setting(ALL, valid=one_of(ALL, SAMPLE))
    sample_size: int = Setting(10_000, valid=between(1, MOST))
    seed: int = Setting(0, valid=between(0, MOST_SEEDS))
    #: The folder of the images, if it is not the one that the file tells
    images_folder: str = Setting("")
    auto_load: bool = Setting(True)

    def __init__(self):
        OWFoldersBase.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self.found: Found | None = None
        self.skipped_images: list[tuple[str, str]] = []
        self.controlArea.setMinimumWidth(500)
        self._make_file_box()
        self._make_contents_box()
        self._make_rows_box()
        self.status = ReadingStatus()
        self.status.cancelled.connect(self.stop)
        self.status.link.connect(lambda _link: self.show_skipped())
        gui.vBox(self.controlArea, "Status").layout().addWidget(self.status)
        gui.auto_commit(
            self.buttonsArea, self, "auto_load", "Load", "Load Automatically"
        )
        self.load()

    # Layout -----------------------------------------------------------------------

    def _make_file_box(self):
        self.path_choice = PathChoice()
        self.path_choice.chosen.connect(self.set_folder)
        self.path_choice.reload.connect(self.load)
        box = gui.vBox(self.controlArea, "File or Folder")
        box.layout().addWidget(self.path_choice)

    def _make_contents_box(self):
        self.contents_box = gui.vBox(self.controlArea, "Contents")
        self.contents = Contents()
        self.contents.change_asked.connect(self.choose_images)
        self.contents_box.layout().addWidget(self.contents)

    def _make_rows_box(self):
        self.rows_choice = RowsChoice(self.rows, self.sample_size)
        self.rows_choice.changed.connect(self._rows_chosen)
        self.rows_choice.another.connect(self.draw_again)
        gui.vBox(self.controlArea, "Images to Load").layout().addWidget(
            self.rows_choice
        )

    # Choices ----------------------------------------------------------------------

    def set_folders(self, paths: list):
        """Read another file or folder."""
        self.images_folder = ""
        super().set_folders(paths[:1])

    def _rows_chosen(self):
        self.rows = self.rows_choice.rows
        self.sample_size = self.rows_choice.sample_size
        self.commit.deferred()

    def draw_again(self):
        """Draw another sample."""
        self.seed = (self.seed + 1) % MOST_SEEDS
        self.commit.deferred()

    def choose_images(self):
        """Let the user choose the folder of the images."""
        start = self.images_folder or os.path.dirname(self.folder or "")
        folder = QFileDialog.getExistingDirectory(
            self, "Choose the Folder of the Images", start
        )
        if folder:
            self.images_folder = folder
            self.contents.show_images_folder(folder)
            self.commit.deferred()

    def canDropUrl(self, url: QUrl) -> bool:
        return url.isLocalFile() and may_have_vectors(url.toLocalFile())

    def dragEnterEvent(self, event):
        event.setAccepted(bool(dropped_path(event.mimeData())))

    def dropEvent(self, event):
        path = dropped_path(event.mimeData())
        event.setAccepted(bool(path))
        if path:
            self.set_folder(path)

    # Loading ------------------------------------------------------------------------

    def load(self):
        """Find out what the file or folder contains, and load it if that is wanted."""
        self._find(self.auto_load)

    def _find(self, and_load: bool):
        self.cancel()
        self.clear_messages()
        self.path_choice.show_paths(self.recent)
        self._show_found(None)
        if not self.recent.read:
            self._send(EMPTY)
            return
        self._send("")
        self.status.show_progress(0, LOOKING)
        request = self._request() if and_load else None
        self.start(find, list(self.recent.read), self._places(), request)

    def _request(self) -> Request:
        sample = self.sample_size if self.rows == SAMPLE else None
        return Request(sample, self.seed, self.images_folder)

    @gui.deferred
    def commit(self):
        if self.found is None:
            if self.task is not None:  # with other choices
                self._find(True)
            return
        self.cancel()
        self.clear_messages()
        if self._has_room():
            self.status.show_progress(0, LOADING)
            self.start(read, self.found.dataset, self._request())

    def _has_room(self) -> bool:
        """Whether there is enough memory; says so if there is not."""
        needed, free = self._request().n_bytes(self.found.dataset), free_memory()
        self.rows_choice.show_dataset(self.found.dataset, free)
        if needed > free:
            self.Error.out_of_memory(texts.size(needed), texts.size(free))
            self._send("Nothing was loaded. Choose a sample.")
        return needed <= free

    def stop(self):
        """Stop the work; the outputs are then empty."""
        if self.task is not None:
            self.cancel()
            self.Information.cancelled()
            self._send(CANCELLED)

    def _show_found(self, found: Found | None):
        self.found = found
        self.contents.show_found(found, self.images_folder)
        self.contents_box.setVisible(found is not None)
        dataset = None if found is None else found.dataset
        self.rows_choice.show_dataset(dataset, free_memory())

    # Results ------------------------------------------------------------------------

    def on_partial_result(self, result: float | Found):
        if isinstance(result, Found):
            self._take_found(result)
            result = 0
        text = LOADING if self.found is not None else LOOKING
        self.status.show_progress(round(100 * result), text)

    def on_done(self, result: Found | Result):
        if isinstance(result, Result):
            self._show_result(result)
            return
        self._take_found(result)
        self._warn_of(result.dataset.problems)
        if self._has_room():
            self._send(NOT_LOADED)
            # Not from here, where the task has not quite ended.
            QTimer.singleShot(0, self.commit.deferred)

    def _take_found(self, found: Found):
        self.recent.locate(found.recent)
        self._keep_recent()
        self.path_choice.show_paths(self.recent)
        self._show_found(found)

    def _show_result(self, result: Result):
        loaded = result.loaded
        self.skipped_images = result.skipped
        self._warn_of(loaded.problems)
        if loaded.n_skipped:
            n_skipped = loaded.n_skipped
            self.Warning.images_skipped(
                f"{n_skipped:,} {pl(n_skipped, 'image is|images are')}"
            )
        if result.missing_image:
            self.Warning.images_missing(result.missing_image)
        dataset = self.found.dataset
        if dataset.n_features and dataset.spec is None:
            self.Information.unknown_embedding()
        self._send(texts.summary(loaded), loaded.table, loaded.skipped)

    def _warn_of(self, problems: dict[str, DatasetError]):
        n_files = len(problems)
        if n_files:
            first = next(iter(problems.values()))
            self.Warning.damaged(
                f"{n_files:,} {pl(n_files, 'file is|files are')}", first
            )

    def on_exception(self, ex: Exception):
        if isinstance(ex, ImageAnalyticsError):
            log.info("Loading failed", exc_info=ex)
            self.Error.unreadable(str(ex))
            self._send(as_html(str(ex)) + NOT_READ)
        elif isinstance(ex, MemoryError):
            self.Error.out_of_memory("more", texts.size(free_memory()))
            self._send(NOT_READ)
        else:
            log.exception("Loading %s failed", self.folder, exc_info=ex)
            self.Error.unexpected(str(ex) or type(ex).__name__)
            self._send(NOT_READ)

    def _send(self, text: str, table: Table | None = None, skipped=None):
        if table is None:
            self.skipped_images = []
        self.status.show_text(text)
        self.Outputs.data.send(table)
        self.Outputs.skipped_images.send(skipped)

    def show_skipped(self):
        """Open the list of images without vectors."""
        SkippedDialog(
            self.skipped_images,
            self,
            "Images without Vectors",
            "Images without vectors",
        ).show()

    def send_report(self):
        if self.folder is None:
            return
        items = [("Path", self.folder)]
        if self.found is not None:
            items += texts.contents(self.found)
        rows = "all"
        if self.rows == SAMPLE:
            rows = f"random sample of {self.sample_size:,} (number {self.seed})"
        items += [("Rows", rows), ("Loaded", without_links(self.status.label.text()))]
        self.report_items("Vectors", items)

    def onDeleteWidget(self):
        end_task(self)
        super().onDeleteWidget()


class OWLoadVectorsDropHandler(SingleFileDropHandler):
    """Makes a Load Vectors widget of a file or folder dropped on the canvas."""

    WIDGET = OWLoadVectors

    def canDropFile(self, path: str) -> bool:
        return may_have_vectors(path)

    def parametersFromFile(self, path: str) -> dict:
        recent = RecentPath.create(path, [])
        return {"recent_paths": stored_recent_paths_prepend(self.WIDGET, recent)}


if __name__ == "__main__":
    WidgetPreview(OWLoadVectors).run()
