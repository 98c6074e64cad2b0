"""Save Images: saves the images of a table as files in a folder."""

import logging
import os
from typing import ClassVar

from AnyQt.QtCore import Qt, QTimer
from AnyQt.QtWidgets import (
    QFileDialog,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStyle,
)
from Orange.data import DiscreteVariable, Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Input, Msg, OWWidget

from orangecontrib.imageanalytics.images.sources import image_columns
from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.save_images import (
    FORMATS,
    Saving,
    count_reasons,
    find_format,
)
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.column_options import ColumnOptions
from orangecontrib.imageanalytics.widgets.utils.existing_files_dialog import (
    ExistingFilesDialog,
)
from orangecontrib.imageanalytics.widgets.utils.file_options import (
    ASK,
    EXISTING,
    FITS,
    LARGEST,
    SIZE,
    FileOptions,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import show_placeholder
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN
from orangecontrib.imageanalytics.widgets.utils.old_save_settings import migrate
from orangecontrib.imageanalytics.widgets.utils.option_boxes import AlignedForms
from orangecontrib.imageanalytics.widgets.utils.saving_task import Question, begin, save
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import (
    SkippedDialog,
    without_links,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

NO_DATA = "Connect a table with images, to save them as files."
AUTOSAVE_MILLISECONDS = 700  # after the last change of an option


class OWSaveImages(OWWidget, ConcurrentWidgetMixin):
    """The widget; `Saving` does the work, in a thread."""

    name = "Save Images"
    description = "Save images as files, in a folder for each category."
    keywords = "save images, save, export, image, picture, photo, folder, convert"
    icon = "icons/SaveImages-symbolic.svg"
    priority = 180

    class Inputs:
        data = Input("Data", Table)

    class Warning(OWWidget.Warning):
        no_image_attribute = Msg(NO_IMAGE_COLUMN)
        no_folder = Msg("Choose a folder; autosave does nothing without.")
        autosave_waits = Msg(
            "Autosave waits until you press Save: this folder comes from the "
            "saved workflow."
        )
        format_replaced = Msg("{} is not written any more; PNG is chosen instead.")
        existed = Msg("{}")
        not_saved = Msg("{}")

    class Error(OWWidget.Error):
        folder = Msg("{}")
        unexpected_error = Msg("The images could not be saved: {}")

    class Information(OWWidget.Information):
        stopped = Msg("Stopped. Go On saves the others.")

    settingsHandler = CheckedDomainContextHandler()
    settings_version = 3
    image_column: Variable | None = ContextSetting(None)
    #: None: as the images are named
    name_column: Variable | None = ContextSetting(None)
    #: None: all into the folder itself
    folder_column: Variable | None = ContextSetting(None)
    format: str = Setting("png", valid=one_of(*(known.id for known in FORMATS)))
    quality: int = Setting(90, valid=between(1, 100))
    use_scale: bool = Setting(False)
    #: `SIZE` or the id of a network
    scale_to: str = Setting(
        SIZE, valid=one_of(SIZE, *(network.id for network in NETWORKS))
    )
    # Not `width` and `height`, which are methods of every Qt widget.
    image_width: int = Setting(640, valid=between(1, LARGEST))
    image_height: int = Setting(640, valid=between(1, LARGEST))
    fit: str = Setting("keep", valid=one_of(*dict(FITS).values()))
    existing: str = Setting(ASK, valid=one_of(*dict(EXISTING).values()))
    auto_save: bool = Setting(False)
    dirname: str = Setting("", schema_only=True)
    last_dir: str = Setting("")
    #: From settings of version 1, until the data says which column it is
    old_column_index: int | None = Setting(None, schema_only=True)

    want_main_area = False
    resizing_enabled = False

    #: Folders that were chosen by hand since Orange was started. Workflows come from
    #: others, too: what they name is not written into unasked.
    chosen_folders: ClassVar[set[str]] = set()

    def __init__(self):
        OWWidget.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self.data: Table | None = None
        self.saving: Saving | None = None
        self.failures: list[tuple[str, str]] = []
        self._by_hand = False
        self._question = None
        self._timer = QTimer(self, singleShot=True, interval=AUTOSAVE_MILLISECONDS)
        self._timer.timeout.connect(self._autosave)
        self._show_replaced()
        self.controlArea.setMinimumWidth(440)
        self.columns = ColumnOptions(self, self._options_changed)
        gui.vBox(self.controlArea, "Images").layout().addWidget(self.columns)
        self.file_options = FileOptions(self, self._options_changed)
        gui.vBox(self.controlArea, "Files").layout().addWidget(self.file_options)
        AlignedForms(self.controlArea)
        self._make_folder_box()
        self._make_status_box()
        self._make_buttons()
        self._show_folder()
        self._show_state(NO_DATA)

    def _show_replaced(self):
        format = self.replaced_settings.get("format")
        if isinstance(format, str):
            self.Warning.format_replaced(format.upper())

    @classmethod
    def migrate_settings(cls, settings: dict, version: int | None):
        """Take over the settings of older versions."""
        migrate(settings, version)

    # Layout -----------------------------------------------------------------------

    def _make_folder_box(self):
        box = gui.vBox(self.controlArea, "Folder")
        self.folder_edit = QLineEdit(readOnly=True, placeholderText="No folder chosen")
        show_placeholder(self.folder_edit)
        self.browse_button = QPushButton(
            "...",
            icon=self.style().standardIcon(QStyle.SP_DirOpenIcon),
            autoDefault=False,
            toolTip="Choose a folder",
            clicked=self.browse,
        )
        self.browse_button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
        row = gui.hBox(box)
        row.layout().addWidget(self.folder_edit)
        row.layout().addWidget(self.browse_button)
        autosave = "A&utosave when the data or an option changes"
        self.auto_check = gui.checkBox(
            box, self, "auto_save", autosave, callback=self._auto_save_changed
        )

    def _make_status_box(self):
        box = gui.vBox(self.controlArea, "Status")
        self.status_label = QLabel(wordWrap=True)
        self.status_label.setTextInteractionFlags(
            Qt.LinksAccessibleByMouse | Qt.LinksAccessibleByKeyboard
        )
        self.status_label.linkActivated.connect(self.show_failures)
        self.progress_bar = QProgressBar(minimum=0)
        # Its place is kept, so that the window does not change its size.
        policy = self.progress_bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.progress_bar.setSizePolicy(policy)
        box.layout().addWidget(self.status_label)
        box.layout().addWidget(self.progress_bar)

    def _make_buttons(self):
        self.bt_save = gui.button(
            self.buttonsArea, self, "Save", callback=self.save_file, autoDefault=False
        )
        self.bt_save_as = gui.button(
            self.buttonsArea,
            self,
            "Save As…",
            callback=self.save_file_as,
            autoDefault=False,
        )
        self.bt_save_as.setToolTip("Choose a folder and save into it")

    def _show_folder(self):
        self.folder_edit.setText(self.dirname)
        self.folder_edit.setToolTip(self.dirname)
        self.folder_edit.setCursorPosition(0)

    def _show_state(self, text, busy=False):
        """Show the status, and update the buttons."""
        self.status_label.setText(text)
        self.progress_bar.setVisible(busy)
        paused = self.saving is not None and not busy
        self.bt_save.setText("Stop" if busy else "Go On" if paused else "Save")
        self.bt_save.setEnabled(self.image_column is not None)
        self.bt_save_as.setEnabled(self.image_column is not None and not busy)

    # What the user or the workflow does ---------------------------------------------

    @Inputs.data
    def dataset(self, data: Table | None):
        self.closeContext()
        self._give_up()
        self.data = data if data else None
        columns = image_columns(self.data) if self.data else []
        domain = self.data.domain if self.data else None
        self.columns.set_domain(columns, domain)
        self.image_column = columns[0] if columns else None
        self.name_column = self.folder_column = None
        if columns:
            if isinstance(domain.class_var, DiscreteVariable):
                self.folder_column = domain.class_var
            self.openContext(domain)
            self._take_old_column(columns)
        self.Warning.no_image_attribute(shown=bool(self.data) and not columns)
        self._show_ready()
        self._autosave()

    def _take_old_column(self, columns):
        index, self.old_column_index = self.old_column_index, None
        if index is not None and 0 <= index < len(columns):
            self.image_column = columns[index]

    def _options_changed(self):
        self.Warning.format_replaced.clear()
        self._give_up()
        self._show_ready()
        if self.auto_save:
            self._timer.start()

    def _auto_save_changed(self):
        if self.auto_save and self.dirname:
            self.chosen_folders.add(self.dirname)
        self._update_autosave_messages()

    def _show_ready(self):
        if self.data is None:
            self._show_state(NO_DATA)
        elif self.image_column is None:
            self._show_state(NO_IMAGE_COLUMN)
        else:
            n = len(self.data)
            where = "" if self.dirname else " Press Save to choose a folder."
            self._show_state(f"{n:,} {pl(n, 'image')} to save.{where}")

    def _give_up(self):
        """Cancel saving, and forget what was stopped."""
        self._timer.stop()
        self.cancel()
        self.saving = None
        if self._question is not None:
            self._question.reject()
        self._clear_results()

    def _clear_results(self):
        self.failures = []
        self.Error.clear()
        self.Information.clear()
        self.Warning.existed.clear()
        self.Warning.not_saved.clear()
        self._update_autosave_messages()

    def _update_autosave_messages(self):
        self.Warning.no_folder(shown=self.auto_save and not self.dirname)
        waits = self.auto_save and self.dirname not in {"", *self.chosen_folders}
        self.Warning.autosave_waits(shown=waits)

    def browse(self):
        """Choose a folder; autosave starts to save into it."""
        if self.choose_folder():
            self._autosave()

    def choose_folder(self) -> bool:
        """Let the user choose the folder.

        Returns
        -------
        bool
            Whether one was chosen.
        """
        folder = QFileDialog.getExistingDirectory(
            self, "Choose the Folder to Save Into", self._initial_start_dir()
        )
        if not folder:
            return False
        folder = os.path.normpath(folder)
        if folder != self.dirname:
            self._give_up()
        self.dirname = folder
        self.last_dir = os.path.dirname(folder)
        self.chosen_folders.add(folder)
        self._show_folder()
        self._clear_results()
        if self.saving is None:
            self._show_ready()
        return True

    def _initial_start_dir(self) -> str:
        for folder in (self.dirname, os.path.dirname(self.dirname), self.last_dir):
            if folder and os.path.isdir(folder):
                return folder
        return os.path.expanduser("~")

    def save_file_as(self):
        """Choose a folder and save into it."""
        if self.choose_folder():
            self._give_up()
            self._start(by_hand=True)

    def save_file(self):
        """Save, stop or continue, as the button says."""
        if self.task is not None:
            self.stop()
        elif self.saving is not None:
            self._clear_results()
            self._go_on()
        elif not self._folder_can_be():
            self.save_file_as()
        else:
            self.chosen_folders.add(self.dirname)
            self._start(by_hand=True)

    def _folder_can_be(self) -> bool:
        # A workflow from another computer may name places that are not on this one.
        parent = os.path.dirname(self.dirname)
        return bool(self.dirname) and os.path.isdir(parent)

    def _autosave(self):
        allowed = self.dirname and self.dirname in self.chosen_folders
        if self.auto_save and allowed and self.image_column is not None:
            self._start(by_hand=False)

    # The work -----------------------------------------------------------------------

    def _start(self, by_hand: bool):
        if self.image_column is None:
            return
        self._timer.stop()
        self._clear_results()
        self._by_hand = by_hand
        ask = by_hand and self.existing == ASK
        self.start(begin, (self.data, self.dirname), self._options(), ask)
        self.progress_bar.setRange(0, 0)
        self._show_state("Looking at the folder…", busy=True)

    def _options(self) -> dict:
        return {
            "column": self.image_column,
            "names": self.name_column,
            "subfolders": self.folder_column or False,
            "format": self.format,
            "quality": self.quality,
            "size": self.file_options.image_size(),
            "fit": self.fit,
            "existing": "skip" if self.existing == ASK else self.existing,
        }

    def _go_on(self):
        self.start(save, self.saving)
        self.progress_bar.setRange(0, 1000)
        self.on_partial_result(
            (self.saving.total - self.saving.n_left, self.saving.total)
        )

    def stop(self):
        """Stop; saved files stay, and another click continues."""
        self.cancel()
        if self.saving is None:
            self._show_ready()
            return
        n_done = self.saving.total - self.saving.n_left
        self._show_state(f"{n_done:,} of {self.saving.total:,} images done.")
        self.Information.stopped()

    def on_partial_result(self, result: Saving | tuple[int, int]):
        if isinstance(result, Saving):
            self.saving = result
            result = 0, result.total
        n_done, n_all = result
        self.progress_bar.setRange(0, n_all)
        self.progress_bar.setValue(n_done)
        self._show_state(f"Saving: {n_done:,} of {n_all:,} images done…", busy=True)

    def on_done(self, result: Saving | Question):
        self.saving = None
        if isinstance(result, Question):
            self._show_ready()
            self.ask(result.saving, result.n_existing)
        else:
            self._show_result(result)

    def ask(self, saving: Saving, n_existing: int):
        """Ask what to do with existing files, and continue with the answer."""
        self._question = ExistingFilesDialog(saving, n_existing, self)

        def answered(_):
            answer, self._question = self._question.answer(), None
            if answer is not None:
                self.saving = saving
                saving.existing = answer
                self._go_on()

        self._question.finished.connect(answered)
        # Not exec: a loop of its own would run in the middle of the workflow's.
        self._question.open()

    def _show_result(self, saving: Saving):
        self.failures = saving.failures
        n_saved, n_failed = len(saving.saved), len(saving.failures)
        text = f"{n_saved:,} {pl(n_saved, 'image')} saved"
        n_existed = len(saving.skipped)
        if n_existed:
            text += f", {n_existed:,} existed"
            self._warn_of_existing(n_existed)
        if n_failed:
            text += f', <a href="#failures">{n_failed:,} not saved</a>'
            were = pl(n_failed, "image was|images were")
            reasons = count_reasons(saving.failures)
            self.Warning.not_saved(f"{n_failed:,} {were} not saved: {reasons}")
        self._show_state(text + ".")

    def _warn_of_existing(self, n_existed):
        were = pl(n_existed, "file existed and was|files existed and were")
        text = f"{n_existed:,} {were} left as {pl(n_existed, 'it is|they are')}."
        if self.existing == ASK and not self._by_hand:
            self.Warning.existed(f"{text} Press Save to be asked.")
        elif self.existing != ASK:
            self.Warning.existed(text)

    def on_exception(self, ex: Exception):
        self.saving, text = None, "No image was saved."
        if isinstance(ex, OSError):
            reason = ex.strerror or ex
            self.Error.folder(f"The folder {self.dirname} cannot be used: {reason}.")
            text = "No image was saved. Save As… takes another folder."
        else:
            log.exception("Saving failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._show_state(text)

    def show_failures(self):
        """Open the list of images that were not saved."""
        SkippedDialog(self.failures, self).show()

    def send_report(self):
        self.report_items(
            "Settings",
            [
                ("Image column", self.image_column and self.image_column.name),
                ("File names", self.name_column and self.name_column.name),
                ("Subfolders", self.folder_column and self.folder_column.name),
                ("Format", find_format(self.format).name),
                ("Scaled", self.file_options.scale_text()),
                ("Folder", self.dirname),
            ],
        )
        if self.data is not None:
            text = without_links(self.status_label.text())
            self.report_items("Images", [("Result", text)])
        if self.failures:
            self.report_items("Not Saved", self.failures[:100])

    def onDeleteWidget(self):
        self._timer.stop()
        end_task(self)
        super().onDeleteWidget()


if __name__ == "__main__":
    WidgetPreview(OWSaveImages).run()
