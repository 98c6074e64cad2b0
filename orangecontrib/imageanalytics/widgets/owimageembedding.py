"""Image Embedding: turn images into vectors with a pretrained network."""

from AnyQt.QtWidgets import QFormLayout
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.itemmodels import VariableListModel
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Input, Msg, Output, OWWidget

from orangecontrib.imageanalytics.images.sources import image_columns
from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.widgets.embedding.device_choice import (
    DEVICES,
    DeviceChoice,
)
from orangecontrib.imageanalytics.widgets.embedding.embedding_options import (
    EmbeddingOptions,
    OptionSettings,
)
from orangecontrib.imageanalytics.widgets.embedding.embedding_run import (
    NOT_APPLIED,
    EmbeddingRunMixin,
)
from orangecontrib.imageanalytics.widgets.embedding.embedding_settings import (
    EmbeddingSettingsHandler,
    is_known,
    migrate,
)
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import Task
from orangecontrib.imageanalytics.widgets.embedding.network_chooser import (
    NetworkChooser,
)
from orangecontrib.imageanalytics.widgets.utils import signal_names
from orangecontrib.imageanalytics.widgets.utils.checked_settings import one_of
from orangecontrib.imageanalytics.widgets.utils.form_parts import narrow
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    NO_IMAGE_COLUMN,
    NO_ROWS,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import without_links
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

NO_DATA = "Connect Import Images, or another table that says where images are."


class OWImageEmbedding(EmbeddingRunMixin, OptionSettings, OWWidget):
    """The widget; `embed` does the work, in a thread."""

    name = "Image Embedding"
    description = "Turn images into vectors with a pretrained neural network."
    keywords = "image embedding, embedding, image, features, deep learning, profile"
    icon = "icons/ImageEmbedding-symbolic.svg"
    priority = 150

    class Inputs:
        images = Input("Images", Table, replaces=signal_names.IMAGES)

    class Outputs:
        embeddings = Output(
            "Embeddings", Table, replaces=signal_names.EMBEDDINGS, default=True
        )
        skipped_images = Output(
            "Skipped Images", Table, replaces=signal_names.SKIPPED_IMAGES
        )

    class Warning(EmbeddingRunMixin.Warning):
        no_image_attribute = Msg(NO_IMAGE_COLUMN)
        layer_replaced = Msg("{} has no layer '{}'; its default layer is used.")
        no_gpu = Msg("{} The CPU is used.")
        gpu_failed = Msg("{} failed, so the CPU was used.")

    class Information(OWWidget.Information):
        cancelled = Msg("Cancelled. Press Apply to continue where it stopped.")

    settingsHandler = EmbeddingSettingsHandler()
    settings_version = 3
    image_column: Variable | None = ContextSetting(None)
    #: As for `ImageEmbedder`; a file with its path
    embedder: str = Setting(DEFAULT, valid=is_known)
    #: The last networks of the user's own, as `Choice.as_settings` gives them; in a
    #: workflow only that which it uses
    own_networks: list = Setting([])
    #: Where the last file of a network was
    last_dir: str = Setting("")
    device: str = Setting("auto", valid=one_of(*dict(DEVICES).values()))
    _auto_apply: bool = Setting(True)
    #: From settings of version 1, until the data says which column it is
    old_column_index: int | None = Setting(None, schema_only=True)

    want_main_area = False
    resizing_enabled = False

    def __init__(self):
        OWWidget.__init__(self)
        EmbeddingRunMixin.__init__(self)
        self.data: Table | None = None
        self._no_data = NO_DATA
        self._used_column: Variable | None = None
        self._may_ask = False  # only after a choice, not when a workflow is opened
        if self.warn_of_replaced():
            self.layer = ""
        self._make_settings_box()
        self._make_status_box()
        self._make_buttons()
        self.status.show_text(NO_DATA)

    @classmethod
    def migrate_settings(cls, settings, version):
        migrate(settings, version)

    # Layout -----------------------------------------------------------------------

    def _make_settings_box(self):
        box = gui.vBox(self.controlArea, "Settings")
        self.column_model = VariableListModel(parent=self)
        self.column_combo = gui.comboBox(
            box,
            self,
            "image_column",
            model=self.column_model,
            callback=self._column_chosen,
            addToLayout=False,
        )
        narrow(self.column_combo)
        self.column_combo.setToolTip("The column with the images' paths or URLs")
        self.network = NetworkChooser(self)
        self.network.chosen.connect(self._network_chosen)
        self.network.updated.connect(self._show_network)
        self.network.looked_up.connect(self._ask_if_chosen)
        self.options = EmbeddingOptions(self)
        self.options.changed.connect(self._option_chosen)
        self._show_network()
        self.device_choice = DeviceChoice(self.device)
        self.device_choice.chosen.connect(self._device_chosen)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        form.addRow("&Image column:", self.column_combo)
        self.network.add_rows(form)
        self.options.add_rows(form)
        form.addRow("&Device:", self.device_choice)
        box.layout().addLayout(form)

    def _show_network(self):
        self.options.show_network(self.network.choice, self.network.facts)

    # What the user or the workflow does ---------------------------------------------

    @Inputs.images
    def set_images(self, data: Table | None):
        self.closeContext()
        self.data = data if data else None
        self._no_data = NO_DATA if data is None else NO_ROWS
        columns = image_columns(self.data) if self.data else []
        self.column_model[:] = columns
        self.image_column = columns[0] if columns else None
        if columns:
            self.openContext(self.data.domain)
            self._take_old_column(columns)
        self.commit.now()

    def _take_old_column(self, columns):
        index, self.old_column_index = self.old_column_index, None
        if index is not None and 0 <= index < len(columns):
            self.image_column = columns[index]

    def workflowEnvChanged(self, key, value, oldvalue):
        """The workflow was saved in, or opened from, another folder."""
        if key == "basedir" and self.network.relocate():
            self.commit.now()

    def _column_chosen(self):
        if self.image_column != self._used_column:
            self.commit.deferred()

    def _network_chosen(self):
        self.options.set("layer", "")  # of another network it would be another one
        self.Warning.network_replaced.clear()
        self.Warning.layer_replaced.clear()
        if self.Warning.download_needed.is_shown():  # of the one before
            self.Warning.download_needed.clear()
            self.status.show_text(NOT_APPLIED)
        self._may_ask = True
        self.commit.deferred()
        if self.network.facts is not None:
            self._ask_if_chosen()
        elif not self.is_running(self.network.choice):  # which looks it up
            self.network.look_up()

    def _option_chosen(self, name):
        if name == "layer":
            self.Warning.layer_replaced.clear()
            self.network.set_layer(self.layer)
        self.commit.deferred()

    def _device_chosen(self, device):
        if device != self.device:
            self.device = device
            self.commit.deferred()

    # The work -----------------------------------------------------------------------

    def _ask_if_chosen(self):
        """Ask about the download, once after the user has chosen."""
        if self._may_ask and self.data is not None and self.must_download():
            self.ask_to_download()
        self._may_ask = False

    @gui.deferred
    def commit(self):
        self.cancel()
        self.clear_results()
        self._used_column = self.image_column
        self.network.look_again()
        if self.data is None:
            self.end(self._no_data)
        elif self.image_column is None:
            self.Warning.no_image_attribute()
            self.end(NO_IMAGE_COLUMN)
        elif self.network.choice.is_listed and self.must_download():
            self.offer_download()
        else:  # whether others have to be downloaded shows in the thread
            self.embed(self._task())

    def _task(self) -> Task:
        return Task(
            data=self.data,
            column=self.image_column,
            options=self.options.arguments(),
            device=self.device,
            **self.network_arguments(),
        )

    def send_report(self):
        n_features = self.network.n_features
        length = f", {n_features:,} features" if n_features else ""
        self.report_items(
            "Settings",
            [
                ("Image column", self.image_column and self.image_column.name),
                ("Network", self.network.name + length),
                *self.options.report_items(),
                ("Device", self.device_choice.used),
            ],
        )
        if self.data is not None:
            text = without_links(self.status.text)
            self.report_items("Images", [("Result", text)])
        if self.skipped_images:
            self.report_items("Skipped Images", self.skipped_images[:100])

    def onDeleteWidget(self):
        self.consent.close()
        self.network.close()
        self.options.stop()
        end_task(self, 0.1)  # the thread hands over nothing after the widget is gone
        super().onDeleteWidget()


if __name__ == "__main__":
    WidgetPreview(OWImageEmbedding).run()
