"""Save Images: the images of a table become files in a folder."""

import logging
import os
import time
from dataclasses import dataclass
from typing import ClassVar

from AnyQt.QtCore import QSignalBlocker, Qt, QTimer
from AnyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QStyle,
)
from Orange.data import DiscreteVariable, Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Input, Msg, OWWidget

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.images.sources import image_columns
from orangecontrib.imageanalytics.networks.registry import (
    NETWORKS,
    find_network,
)
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
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import (
    SkippedDialog,
    without_links,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

SIZE = "size"  # of one's own, rather than a network's
FITS = (
    ("Keep proportions", "keep"),
    ("Stretch", "stretch"),
    ("Crop to the middle", "crop"),
)
ASK = "ask"
EXISTING = (
    ("Ask", ASK),
    ("Skip", "skip"),
    ("Rename the new one", "rename"),
    ("Overwrite", "overwrite"),
)
TIMES = "\N{MULTIPLICATION SIGN}"
LARGEST = 10_000  # pixels
PROGRESS_SECONDS = 0.1  # between two reports
AUTOSAVE_MILLISECONDS = 700  # after the last change of an option

# Settings of version 1 number formats and networks in these orders; of networks
# that there are no more, the input size remains.
OLD_FORMATS = ("png", "jpeg", "gif", "tiff", "pdf", "bmp", "eps", "ico")
OLD_SCALES = ("inception-v3", "squeezenet", "vgg16", "vgg19", 256, 64, 256)


@dataclass(frozen=True)
class Question:
    """Some files exist; the user is to say what becomes of them."""

    saving: Saving
    n_existing: int


def begin(task: tuple, options: dict, ask: bool, state) -> Saving | Question:
    """Run in a thread: choose names, look for files that have them, and save."""

    def look(*_):
        if state.is_interruption_requested():
            raise Cancelled

    saving = Saving(*task, **options, callback=look)
    look()
    state.set_partial_result(saving)
    n_existing = saving.n_existing(look) if ask else 0
    return Question(saving, n_existing) if n_existing else save(saving, state)


def save(saving: Saving, state) -> Saving:
    """Run in a thread: save what is left."""
    reported = 0.0

    def report(n_done, n_all):
        nonlocal reported
        if state.is_interruption_requested():
            raise Cancelled
        now = time.monotonic()
        if now - reported >= PROGRESS_SECONDS:
            reported = now
            state.set_progress_value(100 * n_done / max(n_all, 1))
            state.set_partial_result((n_done, n_all))

    saving(report)
    return saving


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
        no_image_attribute = Msg(
            "The data has no column that could name images (a text or "
            "categorical meta)."
        )
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
        self._make_images_box()
        self._make_files_box()
        self._make_folder_box()
        self._make_status_box()
        self._make_buttons()
        self._enable_options()
        self._show_folder()
        self._show_state("No data.")

    def _show_replaced(self):
        format = self.replaced_settings.get("format")
        if isinstance(format, str):
            self.Warning.format_replaced(format.upper())

    @classmethod
    def migrate_settings(cls, settings, version):
        if version is None or version < 2:
            index = settings.pop("file_format_index", None)
            if index is not None:
                settings["format"] = _entry(OLD_FORMATS, index)
            index = settings.pop("scale_index", None)
            if index is not None:
                settings["fit"] = "stretch"
                settings.update(_old_scale(index))
            index = settings.pop("image_attr_current_index", None)
            settings["old_column_index"] = index
        elif version < 3:
            for old in ("width", "height"):
                if old in settings:
                    settings[f"image_{old}"] = settings.pop(old)

    # Layout -----------------------------------------------------------------------

    def _make_images_box(self):
        box = gui.vBox(self.controlArea, "Images")
        self.column_model = VariableListModel(parent=self)
        self.name_model = DomainModel(
            order=(DomainModel.METAS, DomainModel.CLASSES, DomainModel.ATTRIBUTES),
            placeholder="Name of the image",
            parent=self,
        )
        self.folder_model = DomainModel(
            order=(DomainModel.CLASSES, DomainModel.METAS, DomainModel.ATTRIBUTES),
            valid_types=DiscreteVariable,
            placeholder="None",
            parent=self,
        )
        form = self._form(box)
        for label, attribute, model, tip in (
            (
                "&Image column:",
                "image_column",
                self.column_model,
                "The column with the images' paths or URLs",
            ),
            (
                "File &names:",
                "name_column",
                self.name_model,
                "What the files are named; equal names get a number",
            ),
            (
                "&Subfolders:",
                "folder_column",
                self.folder_model,
                "The column whose values have a subfolder each",
            ),
        ):
            combo = gui.comboBox(
                box,
                self,
                attribute,
                model=model,
                callback=self._options_changed,
                addToLayout=False,
                searchable=attribute == "name_column",
            )
            combo.setToolTip(tip)
            combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
            form.addRow(label, combo)

    def _make_files_box(self):
        form = self._form(gui.vBox(self.controlArea, "Files"))
        formats = [(format.name, format.id) for format in FORMATS]
        self.format_combo = self._combo("format", formats)
        self.quality_spin = self._spin("quality", 1, 100)
        self.quality_spin.setToolTip(
            "Of files that have to be written anew; others are copied as they are"
        )
        quality_label = QLabel("&Quality:")
        quality_label.setBuddy(self.quality_spin)
        row = _row(self.format_combo, quality_label, self.quality_spin)
        form.addRow("&Format:", row)
        form.labelForField(row).setBuddy(self.format_combo)
        self.scale_check = gui.checkBox(
            None, self, "use_scale", "Sc&ale to:", callback=self._options_changed
        )
        networks = [(f"Input of {network.name}", network.id) for network in NETWORKS]
        self.scale_combo = self._combo("scale_to", [("Size", SIZE), *networks])
        self.width_spin = self._spin("image_width", 1, LARGEST)
        self.height_spin = self._spin("image_height", 1, LARGEST)
        self.times_label = QLabel(TIMES)
        sizes = (self.width_spin, self.times_label, self.height_spin)
        form.addRow(self.scale_check, _row(self.scale_combo, *sizes))
        self.fit_combo = self._combo("fit", FITS)
        form.addRow("&Proportions:", self.fit_combo)
        self.existing_combo = self._combo("existing", EXISTING)
        form.addRow("Files that &exist:", self.existing_combo)

    def _make_folder_box(self):
        box = gui.vBox(self.controlArea, "Folder")
        self.folder_edit = QLineEdit(readOnly=True)
        self.browse_button = QPushButton(
            "...",
            icon=self.style().standardIcon(QStyle.SP_DirOpenIcon),
            autoDefault=False,
            toolTip="Choose a folder",
            clicked=self.browse,
        )
        self.browse_button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
        box.layout().addLayout(_row(self.folder_edit, self.browse_button))
        self.auto_check = gui.checkBox(
            box,
            self,
            "auto_save",
            "A&utosave when the data or an option changes",
            callback=self._auto_save_changed,
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

    @staticmethod
    def _form(box) -> QFormLayout:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        box.layout().addLayout(form)
        return form

    def _combo(self, attribute, choices) -> QComboBox:
        combo = QComboBox()
        combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        for text, value in choices:
            combo.addItem(text, value)
        combo.setCurrentIndex(combo.findData(getattr(self, attribute)))

        def chosen(index):
            if combo.itemData(index) != getattr(self, attribute):
                setattr(self, attribute, combo.itemData(index))
                self._options_changed()

        combo.activated.connect(chosen)
        return combo

    def _spin(self, attribute, low, high) -> QSpinBox:
        spin = QSpinBox(minimum=low, maximum=high, keyboardTracking=False)
        spin.setValue(getattr(self, attribute))
        spin.setAlignment(Qt.AlignRight)

        def changed(value):
            setattr(self, attribute, value)
            self._options_changed()

        spin.valueChanged.connect(changed)
        return spin

    def _enable_options(self):
        self.quality_spin.setEnabled(find_format(self.format).lossy)
        self.scale_combo.setEnabled(self.use_scale)
        self.fit_combo.setEnabled(self.use_scale)
        own_size = self.scale_to == SIZE
        size = self.image_width, self.image_height
        if not own_size:
            size = (find_network(self.scale_to).input_size,) * 2
        for spin, side in zip((self.width_spin, self.height_spin), size, strict=True):
            spin.setEnabled(self.use_scale and own_size)
            # That of a network is shown, but the user's own is kept.
            with QSignalBlocker(spin):
                spin.setValue(side)
        self.times_label.setEnabled(self.use_scale and own_size)

    def _show_folder(self):
        self.folder_edit.setText(self.dirname or "No folder chosen")
        self.folder_edit.setToolTip(self.dirname)
        self.folder_edit.setCursorPosition(0)

    def _show_state(self, text, busy=False):
        """Write the status, and what the buttons can do now."""
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
        self.column_model[:] = columns
        self.name_model.set_domain(domain)
        self.folder_model.set_domain(domain)
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
        self._enable_options()
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
            self._show_state("No data.")
        elif self.image_column is None:
            self._show_state("No images.")
        else:
            n = len(self.data)
            self._show_state(f"{n:,} {pl(n, 'image')} to save.")

    def _give_up(self):
        """Forget what is being saved, or what was stopped."""
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
        """Choose a folder; autosave begins to save into it."""
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
        """Save, stop, or go on: what the button says."""
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
        size = (
            (self.image_width, self.image_height)
            if self.scale_to == SIZE
            else self.scale_to
        )
        return {
            "column": self.image_column,
            "names": self.name_column,
            "subfolders": self.folder_column or False,
            "format": self.format,
            "quality": self.quality,
            "size": size if self.use_scale else None,
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
        """Stop; what was saved stays, and another click goes on."""
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
        """Ask what to do with files that exist, and go on with the answer."""
        files = pl(n_existing, "file")
        self._question = question = QMessageBox(
            QMessageBox.Question,
            "Files Exist",
            f"{n_existing:,} {files} of {saving.total:,} "
            f"{pl(n_existing, 'exists|exist')} already in {self.dirname}.",
            parent=self,
        )
        question.setInformativeText(
            "Skip them, give the new files other names, or overwrite them?"
        )
        # Roles let each desktop put the buttons in its own order; only one of these
        # cannot be undone.
        skip = question.addButton("Skip", QMessageBox.AcceptRole)
        rename = question.addButton("Rename", QMessageBox.AcceptRole)
        overwrite = question.addButton("Overwrite", QMessageBox.DestructiveRole)
        question.addButton(QMessageBox.Cancel)
        question.setDefaultButton(skip)
        question.setAttribute(Qt.WA_DeleteOnClose)
        answers = {skip: "skip", rename: "rename", overwrite: "overwrite"}

        def answered(_):
            self._question = None
            answer = answers.get(question.clickedButton())
            if answer is not None:
                self.saving = saving
                saving.existing = answer
                self._go_on()

        question.finished.connect(answered)
        # Not exec: a loop of its own would run in the middle of the workflow's.
        question.open()

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
        self.saving = None
        if isinstance(ex, OSError):
            reason = ex.strerror or ex
            self.Error.folder(f"The folder {self.dirname} cannot be used: {reason}.")
        else:
            log.exception("Saving failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._show_state("No image was saved.")

    def show_failures(self):
        """Open the list of images that were not saved."""
        SkippedDialog(self.failures, self).show()

    def send_report(self):
        scale = "no"
        if self.use_scale:
            side = "" if self.scale_to == SIZE else find_network(self.scale_to).name
            size = side or f"{self.image_width}{TIMES}{self.image_height}"
            scale = f"{size}, {self.fit_combo.currentText().lower()}"
        self.report_items(
            "Settings",
            [
                ("Image column", self.image_column and self.image_column.name),
                ("File names", self.name_column and self.name_column.name),
                ("Subfolders", self.folder_column and self.folder_column.name),
                ("Format", find_format(self.format).name),
                ("Scaled", scale),
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


def _entry(entries, index):
    """The entry of a number from old settings; the first if there is none."""
    known = isinstance(index, int) and 0 <= index < len(entries)
    return entries[index if known else 0]


def _old_scale(index) -> dict:
    scale = _entry(OLD_SCALES, index)
    if isinstance(scale, str):
        return {"scale_to": scale}
    return {"scale_to": SIZE, "image_width": scale, "image_height": scale}


def _row(*widgets) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


if __name__ == "__main__":
    WidgetPreview(OWSaveImages).run()
