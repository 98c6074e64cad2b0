"""Save Images: saves the images of a table as files in a folder."""

from AnyQt.QtCore import QTimer
from Orange.data import DiscreteVariable, Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Input, Msg, OWWidget

from orangecontrib.imageanalytics.images.sources import image_columns
from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.save_images import FORMATS, find_format
from orangecontrib.imageanalytics.widgets.saving.column_options import ColumnOptions
from orangecontrib.imageanalytics.widgets.saving.file_options import (
    ASK,
    EXISTING,
    FITS,
    LARGEST,
    SIZE,
    FileOptions,
)
from orangecontrib.imageanalytics.widgets.saving.old_save_settings import migrate
from orangecontrib.imageanalytics.widgets.saving.saving_folder import SavingFolder
from orangecontrib.imageanalytics.widgets.saving.saving_run import SavingRunMixin
from orangecontrib.imageanalytics.widgets.utils import signal_names
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN
from orangecontrib.imageanalytics.widgets.utils.option_boxes import AlignedForms
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import without_links
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

NO_DATA = "Connect a table with images, to save them as files."
AUTOSAVE_MILLISECONDS = 700  # after the last change of an option


class OWSaveImages(OWWidget, SavingRunMixin):
    """The options; `SavingRunMixin` does the work, in a thread."""

    name = "Save Images"
    description = "Save images as files, in a folder for each category."
    keywords = "save images, save, export, image, picture, photo, folder, convert"
    icon = "icons/SaveImages-symbolic.svg"
    priority = 180

    class Inputs:
        data = Input("Data", Table, replaces=signal_names.DATA)

    class Warning(OWWidget.Warning):
        no_image_attribute = Msg(NO_IMAGE_COLUMN)
        no_folder = Msg("Choose a folder; autosave does nothing without one.")
        autosave_waits = Msg(
            "Autosave waits until you press Save: this folder comes from the "
            "saved workflow."
        )
        format_replaced = Msg("{} can no longer be written; PNG is chosen instead.")
        existed = Msg("{}")
        not_saved = Msg("{}")

    class Error(OWWidget.Error):
        folder = Msg("{}")
        unexpected_error = Msg("The images could not be saved: {}")

    class Information(OWWidget.Information):
        stopped = Msg("Stopped. Press Go On to save the others.")

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

    def __init__(self):
        OWWidget.__init__(self)
        SavingRunMixin.__init__(self)
        self.data: Table | None = None
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
        self._show_autosave()
        self.show_ready()

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
        self.folder = SavingFolder(self)
        self.folder.asked.connect(self.browse)
        box.layout().addWidget(self.folder)
        autosave = "A&utosave when the data or an option changes"
        self.auto_check = gui.checkBox(
            box, self, "auto_save", autosave, callback=self._auto_save_changed
        )

    # What the user or the workflow does ---------------------------------------------

    @Inputs.data
    def dataset(self, data: Table | None):
        self.closeContext()
        self._timer.stop()
        self.give_up()
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
        self.show_ready()
        self._autosave()

    def _take_old_column(self, columns):
        index, self.old_column_index = self.old_column_index, None
        if index is not None and 0 <= index < len(columns):
            self.image_column = columns[index]

    def _options_changed(self):
        self.Warning.format_replaced.clear()
        self.give_up()
        self.show_ready()
        if self.auto_save:
            self._timer.start()  # anew

    def _auto_save_changed(self):
        if self.auto_save:
            self.folder.confirm()
        self._show_autosave()

    def _show_autosave(self):
        """Show whether autosave waits, and for what."""
        waits = self.auto_save and not self.folder.is_confirmed
        self.Warning.no_folder(shown=waits and not self.dirname)
        self.Warning.autosave_waits(shown=waits and bool(self.dirname))

    def show_ready(self):
        """Show what would be saved."""
        if self.data is None:
            self.show_text(NO_DATA, can_save=False)
        elif self.image_column is None:
            self.show_text(NO_IMAGE_COLUMN, can_save=False)
        else:
            n = len(self.data)
            where = "" if self.dirname else " Press Save to choose a folder."
            self.show_text(f"{n:,} {pl(n, 'image')} to save.{where}")

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
        before = self.dirname
        if not self.folder.choose():
            return False
        if self.dirname != before:
            self.give_up()
        self.clear_results()
        self._show_autosave()
        if self.task is None and self.saving is None:
            self.show_ready()
        return True

    def save_file_as(self):
        """Choose a folder and save into it."""
        if self.choose_folder():
            self.give_up()
            self._save(by_hand=True)

    def save_file(self):
        """Save, stop or continue, as the button says."""
        if self.task is not None:
            self.stop()
        elif self.saving is not None:
            self.go_on()
        elif not self.folder.can_be():
            self.save_file_as()
        else:
            self.folder.confirm()
            self._show_autosave()
            self._save(by_hand=True)

    def _autosave(self):
        if self.auto_save and self.folder.is_confirmed:
            self._save(by_hand=False)

    def _save(self, by_hand: bool):
        if self.image_column is None:
            return
        self._timer.stop()
        asks = self.existing == ASK
        # After an answer, the user knows what happened to existing files.
        hint = None if asks and by_hand else "Press Save to be asked." if asks else ""
        self.run(self.data, self.dirname, self._options(), asks and by_hand, hint)

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
            text = without_links(self.status.text)
            self.report_items("Images", [("Result", text)])
        if self.failures:
            self.report_items("Not Saved", self.failures[:100])

    def onDeleteWidget(self):
        self._timer.stop()
        end_task(self)
        super().onDeleteWidget()


if __name__ == "__main__":
    WidgetPreview(OWSaveImages).run()
