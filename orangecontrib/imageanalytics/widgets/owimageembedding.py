"""Image Embedding: images become vectors with a pretrained network."""

import html
import logging
import os
from typing import ClassVar

from AnyQt.QtCore import Qt
from AnyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QStyle,
    QWidget,
)
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.itemmodels import VariableListModel
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Input, Msg, Output, OWWidget

from orangecontrib.imageanalytics.errors import ModelError, TrustNeededError
from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    as_intensity,
    intensity_text,
)
from orangecontrib.imageanalytics.images.sources import image_columns
from orangecontrib.imageanalytics.networks.preprocessing import FITS
from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    NETWORKS,
    find_network,
)
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.embedding_task import (
    Progress,
    Result,
    Task,
    duration,
    embed,
)
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN
from orangecontrib.imageanalytics.widgets.utils.intensity_choice import (
    IntensityChoice,
)
from orangecontrib.imageanalytics.widgets.utils.network_choice import (
    Choice,
    Facts,
    look_up,
    look_up_stages,
    most_recent,
    read_choices,
)
from orangecontrib.imageanalytics.widgets.utils.network_combo import (
    FitCombo,
    LayerCombo,
    NetworkCombo,
)
from orangecontrib.imageanalytics.widgets.utils.other_network_dialog import (
    OtherNetworkDialog,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import (
    SkippedDialog,
    without_links,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task
from orangecontrib.imageanalytics.widgets.utils.trust_question import ask_to_trust

log = logging.getLogger(__name__)

NO_DATA = "Connect Import Images, or another table that says where images are."
DEVICES = (("Automatic", "auto"), ("GPU", "gpu"), ("CPU", "cpu"))

# Settings of version 1 number the networks in this order.
OLD_NETWORKS = (
    "inception-v3",
    "squeezenet",
    "vgg16",
    "vgg19",
    "painters",
    "deeploc",
    "openface",
)
OLD_NAMES = {"painters": "Painters", "deeploc": "DeepLoc", "openface": "openface"}

LAYER_TIP = """\
<p>How far the network works on an image before the numbers are taken.</p>
<p>The default suits most images. Early stages tell colours and textures apart, late
ones objects: for tissues, minerals or fabrics an earlier stage may do better.</p>"""
FIT_TIP = """\
<p>How an image meets the square that the network sees.</p>
<p>Crop takes the middle of it, which suits photos; images of microscopes and
scanners lose their rim. Stretch and Pad keep all of it.</p>"""


class _SettingsHandler(CheckedDomainContextHandler):
    """Keeps the last networks for all widgets, and their places out of workflows.

    A workflow goes to others: it has the network that it uses alone, with where that
    lies from the workflow. Among the defaults are the paths alone, as the same place
    beside another workflow is another network.
    """

    def initialize(self, instance, data=None):
        super().initialize(instance, data)
        instance.is_new = not data

    def pack_data(self, widget):
        data = super().pack_data(widget)
        data["own_networks"] = widget.network_to_save()
        del data["last_dir"]
        return data

    @property
    def recent(self) -> list[Choice]:
        """The last networks that were chosen in any widget, the newest first."""
        return read_choices(self.defaults.get("own_networks"))

    def remember(self, choice: Choice, instead: Choice | None = None):
        """Put a network in front of the last ones."""
        self._set_recent(choice, *(c for c in self.recent if c != instead))

    def _set_recent(self, *choices):
        self.defaults["own_networks"] = _as_settings(most_recent(*choices))

    def _prepare_defaults(self, widget):
        # The widget does not know what was chosen in others since it was made.
        recent = self.recent
        super()._prepare_defaults(widget)
        self._set_recent(*recent, *read_choices(widget.own_networks))


class OWImageEmbedding(OWWidget, ConcurrentWidgetMixin):
    """The widget; `embed` does the work, in a thread."""

    name = "Image Embedding"
    description = "Turn images into vectors with a pretrained neural network."
    keywords = "image embedding, embedding, image, features, deep learning, profile"
    icon = "icons/ImageEmbedding-symbolic.svg"
    priority = 150

    class Inputs:
        images = Input("Images", Table)

    class Outputs:
        embeddings = Output("Embeddings", Table, default=True)
        skipped_images = Output("Skipped Images", Table)

    class Warning(OWWidget.Warning):
        no_image_attribute = Msg(NO_IMAGE_COLUMN)
        images_skipped = Msg("{} skipped.")
        network_replaced = Msg("{} is not available; {} is used instead.")
        layer_replaced = Msg("{} has no layer '{}'; its default layer is used.")
        download_needed = Msg("{} has to be downloaded first ({}).")
        trust_needed = Msg("{} can run any program when it is opened: see Open…")
        no_gpu = Msg("{} The CPU is used.")
        gpu_failed = Msg("{} failed, so the CPU was used.")

    class Error(OWWidget.Error):
        network_missing = Msg("{}")
        out_of_memory = Msg(
            "There is not enough memory; choose a smaller network or "
            "close other programs."
        )
        unexpected_error = Msg("The images could not be embedded: {}")

    class Information(OWWidget.Information):
        cancelled = Msg("Cancelled. Apply goes on from where it was.")

    settingsHandler = _SettingsHandler()
    settings_version = 3
    image_column: Variable | None = ContextSetting(None)
    #: As for `ImageEmbedder`; a file with its path
    embedder: str = Setting(DEFAULT)
    #: The last networks of the user's own, as `Choice.as_settings` gives them; in a
    #: workflow only that which it uses
    own_networks: list = Setting([])
    #: The name of a layer; empty: the network's default
    layer: str = Setting("")
    #: How images meet the square that the network sees; empty: as it was trained
    fit: str = Setting("", valid=one_of("", *FITS))
    #: As `intensity_text` writes it
    intensity: str = Setting(AUTOMATIC)
    #: Where the last file of a network was
    last_dir: str = Setting("")
    device: str = Setting("auto", valid=one_of(*dict(DEVICES).values()))
    _auto_apply: bool = Setting(True)
    #: From settings of version 1, until the data says which column it is
    old_column_index: int | None = Setting(None, schema_only=True)

    want_main_area = False
    resizing_enabled = False

    #: Networks that the user has agreed to download since Orange was started
    agreed: ClassVar[set[str]] = set()

    def __init__(self):
        OWWidget.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self.data: Table | None = None
        self.skipped_images: list[tuple[str, str]] = []
        self._question = self._dialog = None
        self._used_column = None
        self._run_choice: Choice | None = None
        self._trust_needed: TrustNeededError | None = None
        self._vouched: TrustNeededError | None = None
        self._is_of_workflow = not self.is_new
        self._may_ask = False  # only after a choice, not when a workflow is opened
        self._gave_up = False
        self._facts: Facts | None = None
        self._stages: tuple[str, ...] | None = None
        self._n_features: int | None = None
        self._looking_up = Background(self, self._take_facts, self._not_looked_up)
        self._finding_stages = Background(self, self._show_stages, self._no_stages)
        self._check_settings()
        self._recall_own()
        self._make_network_box()
        self._make_status_box()
        self._make_buttons()
        self._forget_facts()
        self._show_network()
        self._show_text(NO_DATA)

    def _check_settings(self):
        try:
            self.intensity = intensity_text(as_intensity(self.intensity))
        except ValueError:
            self.intensity = AUTOMATIC
        self._check_network()

    def _check_network(self):
        # Even what can be no name is named in the warning.
        self.embedder = str(self.replaced_settings.get("embedder", self.embedder))
        choice = Choice(self.embedder)
        if not (choice.is_listed or choice.family or choice.is_file):
            default = find_network(DEFAULT).name
            name = OLD_NAMES.get(self.embedder, self.embedder)
            self.Warning.network_replaced(name, default)
            self.embedder = DEFAULT
            self.layer = ""

    def _recall_own(self):
        """Networks of the user's own from the workflow, then from other times."""
        own = [*read_choices(self.own_networks), *self.settingsHandler.recent]
        known = (choice for choice in own if choice.model == self.embedder)
        saved = next(known, Choice(self.embedder))
        if self.is_new:
            current = saved.absolute()
        else:  # others are looked at when they are chosen: their disk may be slow
            current = saved.relocated(self._search_paths())
        self.embedder = current.model
        others = (choice.absolute() for choice in own if choice is not saved)
        self._set_own(current, *others)

    @classmethod
    def migrate_settings(cls, settings, version):
        if version is None or version < 2:
            number = settings.pop("cb_embedder_current_id", None)
            if number is not None:
                known = isinstance(number, int) and 0 <= number < len(OLD_NETWORKS)
                settings["embedder"] = (
                    OLD_NETWORKS[number] if known else f"Network {number}"
                )
            index = settings.pop("cb_image_attr_current_id", None)
            settings["old_column_index"] = index

    # Layout -----------------------------------------------------------------------

    def _make_network_box(self):
        box = gui.vBox(self.controlArea, "Settings")
        self.column_model = VariableListModel(parent=self)
        self.column_combo = gui.comboBox(
            box,
            self,
            "image_column",
            model=self.column_model,
            callback=self._select_column,
            addToLayout=False,
        )
        self.column_combo.setToolTip("The column with the images' paths or URLs")
        self.network_combo = NetworkCombo()
        self.network_combo.activated.connect(self._select_network)
        self.other_button = QPushButton(
            "Other…",
            autoDefault=False,
            toolTip="Other network…",
            clicked=self.choose_other,
        )
        self.network_label = QLabel()
        self.network_label.setMinimumWidth(self._widest_network())
        _wrap(self.network_label)
        self.layer_combo = LayerCombo()
        self.layer_combo.setToolTip(LAYER_TIP)
        self.layer_combo.stages_wanted.connect(self._find_stages)
        self.layer_combo.activated.connect(self._select_layer)
        self.fit_combo = FitCombo()
        self.fit_combo.setToolTip(FIT_TIP)
        self.fit_combo.choose(self.fit)
        self.fit_combo.activated.connect(self._select_fit)
        self.intensity_choice = IntensityChoice()
        self.intensity_choice.set_intensity(as_intensity(self.intensity))
        self.intensity_choice.changed.connect(self._select_intensity)
        self.device_combo = QComboBox(toolTip="The processor that runs the network")
        for text, value in DEVICES:
            self.device_combo.addItem(text, value)
        self.device_combo.setCurrentIndex(self.device_combo.findData(self.device))
        self.device_combo.activated.connect(self._select_device)
        self.device_label = QLabel()
        for combo in (
            self.column_combo,
            self.network_combo,
            self.layer_combo,
            self.fit_combo,
        ):
            combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
            # Long names are cut off instead of making the window wider.
            combo.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(12)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        form.addRow("&Image column:", self.column_combo)
        _add_row(form, "&Network:", self.network_combo, self.other_button)
        form.addRow("", self.network_label)
        form.addRow("&Layer:", self.layer_combo)
        form.addRow("&Fit:", self.fit_combo)
        form.addRow("&Intensity:", self.intensity_choice)
        _add_row(form, "&Device:", self.device_combo, self.device_label)
        box.layout().addLayout(form)

    @staticmethod
    def _widest_network() -> int:
        # The window keeps its width whichever is chosen.
        texts = (_describe(look_up(Choice(n.id)), n.n_features) for n in NETWORKS)
        return max(QLabel(text).sizeHint().width() for text in texts)

    def _make_status_box(self):
        box = gui.vBox(self.controlArea, "Status")
        self.status_label = QLabel()
        _wrap(self.status_label)
        self.status_label.setAlignment(Qt.AlignLeft | Qt.AlignTop)
        # Most texts have a line or two: the window keeps its size.
        self.status_label.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        # Whoever fetches a file by hand copies its address from here.
        self.status_label.setTextInteractionFlags(Qt.TextBrowserInteraction)
        self.status_label.linkActivated.connect(self.show_skipped)
        self.progress_bar = QProgressBar(minimum=0, maximum=1000)
        self.progress_bar.setAccessibleName("Progress")
        self.download_button = QPushButton(
            "Download…", autoDefault=False, clicked=self.ask_to_download
        )
        # Stacked, so that the window keeps its size from one state to the next.
        self.status_stack = QStackedWidget()
        self.status_stack.addWidget(QLabel())
        self.status_stack.addWidget(self.progress_bar)
        self.status_stack.addWidget(self.download_button)
        self.open_button = QPushButton(
            "Open…", autoDefault=False, clicked=self.ask_to_trust
        )
        self.status_stack.addWidget(self.open_button)
        self.status_stack.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)
        box.layout().addWidget(self.status_label)
        box.layout().addWidget(self.status_stack)

    def _make_buttons(self):
        self.apply_box = gui.auto_apply(self.buttonsArea, self, "_auto_apply")
        self.apply_box.checkbox.toggled.connect(self._auto_apply_toggled)
        self.cancel_button = QPushButton(
            "Cancel",
            icon=self.style().standardIcon(QStyle.SP_DialogCancelButton),
            autoDefault=False,
            enabled=False,
            toolTip="Stop; what is done is kept",
            clicked=self.stop,
        )
        self.buttonsArea.layout().addWidget(self.cancel_button)

    # What is chosen, and what is known of it ------------------------------------------

    @property
    def _choice(self) -> Choice:
        for choice in self._own:
            if choice.model == self.embedder:
                return choice
        return Choice(self.embedder)

    def _forget_facts(self):
        """Know of the chosen network what can be known without looking it up."""
        choice = self._choice
        self._looking_up.cancel()
        self._finding_stages.cancel()
        self._facts = look_up(choice) if choice.is_listed else None
        self._stages = self._n_features = None

    def _set_own(self, *choices: Choice):
        self._own = most_recent(*choices)
        self.own_networks = _as_settings(self._own)

    def _remember(self, choice: Choice):
        """Put a network in front of those of the user's own."""
        if not choice.is_listed:
            others = (other for other in self._own if other.model != choice.model)
            self._set_own(choice, *others)
            self.settingsHandler.remember(choice)

    def network_to_save(self) -> list[dict]:
        """What a workflow has to say of a network that is not listed."""
        choice = self._choice
        if choice.is_listed:
            return []
        return [choice.seen_from(self._search_paths()).as_settings()]

    def _show_network(self):
        choice, facts = self._choice, self._facts
        self.network_combo.show_own(self._own)
        self.network_combo.choose(self.embedder)
        path = choice.model if choice.is_file else ""
        self.network_combo.setToolTip(path or self.network_combo.currentText())
        self.network_label.setToolTip("")
        if facts is None:
            text = f"From {choice.origin}" if choice.family else "From a file"
            self.network_label.setText(f"{text}<br/><small>&nbsp;</small>")
        else:
            self.network_label.setText(_describe(facts, self._length()))
        self._show_layers()
        self.fit_combo.show_trained(facts.network if facts else None)

    def _show_layers(self):
        network = self._facts.network if self._facts else None
        only_output = not network.has_layers if network else self._choice.is_file
        self.layer_combo.show_layers(
            network, self.layer, self._stages, only_output=only_output
        )

    def _length(self) -> int | None:
        """Length of the vectors, where it is known."""
        if self._n_features or self.layer or self._facts is None:
            return self._n_features
        return self._facts.network.n_features

    def _is_of_choice(self, facts: Facts) -> bool:
        return self._choice in (facts.choice, facts.pinned)

    def _take_facts(self, facts: Facts):
        """What was looked up in a thread."""
        choice, pinned = self._choice, facts.pinned
        if choice != pinned:
            self.embedder = pinned.model
            self._set_own(*(pinned if c == choice else c for c in self._own))
            self.settingsHandler.remember(pinned, instead=choice)
        self._facts = facts
        self._show_network()
        self._ask_if_chosen()

    def _ask_if_chosen(self):
        """Ask about the download, once after the user has chosen."""
        if self._may_ask and self.data is not None and self._must_download():
            self.ask_to_download()
        self._may_ask = False

    def _not_looked_up(self, error):
        log.info("Looking up %s failed", self.embedder, exc_info=error)
        self._show_reason(str(error))

    def _show_reason(self, reason):
        """Say of the chosen network why it cannot be used."""
        text = f"Cannot be used:<br/><small>{html.escape(reason)}</small>"
        self.network_label.setText(text)
        self.network_label.setToolTip(f"<p>{html.escape(reason)}</p>")

    def _find_stages(self):
        if not self._finding_stages.busy:
            self._finding_stages.start(look_up_stages, self._choice)

    def _show_stages(self, stages):
        self._stages = stages
        self._show_layers()

    def _no_stages(self, error):
        log.info("No stages of %s", self.embedder, exc_info=error)
        self._show_stages(())

    # Where the workflow is ----------------------------------------------------------

    def _search_paths(self):
        base = self.workflowEnv().get("basedir")
        return [("basedir", base)] if base else []

    def workflowEnvChanged(self, key, value, oldvalue):
        """The workflow was saved in, or opened from, another folder."""
        choice = self._choice
        # A file that was found stays the same wherever the workflow is saved.
        if key != "basedir" or not choice.relpath:
            return
        found = choice.relocated(self._search_paths())
        if found == choice:
            return
        self.embedder = found.model
        self._set_own(*(found if c == choice else c for c in self._own))
        self._forget_facts()
        self._show_network()
        self.commit.now()

    def _show_text(self, text, page=0):
        self.status_label.setText(text)
        self.status_stack.setCurrentIndex(page)

    # What the user or the workflow does ---------------------------------------------

    @Inputs.images
    def set_images(self, data: Table | None):
        self.closeContext()
        self.data = data if data else None
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

    def _select_column(self):
        if self.image_column != self._used_column:
            self.commit.deferred()

    def _select_network(self, index):
        chosen = self.network_combo.itemData(index)
        if chosen != self.embedder:
            own = (choice for choice in self._own if choice.model == chosen)
            self._use(next(own, Choice(chosen)))

    def choose_other(self):
        """Open the window in which any other network can be chosen."""
        if self._dialog is not None:
            _raise(self._dialog)
            return
        base = self.workflowEnv().get("basedir")
        folder = self.last_dir or base or os.path.expanduser("~")
        self._dialog = dialog = OtherNetworkDialog(folder, self._own, self)
        dialog.chosen.connect(self._use_other)
        dialog.finished.connect(self._forget_dialog)
        # Not exec: a loop of its own would run in the middle of the workflow's.
        dialog.open()

    def _forget_dialog(self):
        self._dialog = None

    def _use_other(self, choice: Choice):
        if choice.is_file:
            self.last_dir = os.path.dirname(choice.model)
        if choice != self._choice:
            self._use(choice)
        else:
            self._remember(choice)
            self._show_network()

    def _use(self, choice: Choice):
        self.embedder = choice.model
        self._is_of_workflow = False
        self._remember(choice)
        self.layer = ""
        self.Warning.network_replaced.clear()
        self.Warning.layer_replaced.clear()
        if self.Warning.download_needed.is_shown():  # of the one before
            self.Warning.download_needed.clear()
            self._show_text("Apply embeds the images.")
        self._may_ask = True
        self._forget_facts()
        self._show_network()
        self.commit.deferred()
        if self._facts is not None:
            self._ask_if_chosen()
        elif self.task is None or self._run_choice != choice:  # else the run does it
            self._looking_up.start(look_up, choice)

    def _select_layer(self, index):
        chosen = self.layer_combo.itemData(index)
        if chosen is not None and chosen != self.layer:
            self.layer = chosen
            self.Warning.layer_replaced.clear()
            self._n_features = None
            self._show_network()
            self.commit.deferred()

    def _select_fit(self, index):
        chosen = self.fit_combo.itemData(index)
        if chosen != self.fit:
            self.fit = chosen
            self.commit.deferred()

    def _select_intensity(self, intensity):
        self.intensity = intensity_text(intensity)
        self.commit.deferred()

    def _select_device(self, index):
        chosen = self.device_combo.itemData(index)
        if chosen != self.device:
            self.device = chosen
            self.commit.deferred()

    def _must_download(self) -> bool:
        """Whether to ask first; False while nothing is known of the network."""
        facts = self._facts
        return (
            facts is not None
            and facts.must_download
            and facts.network.id not in self.agreed
        )

    def ask_to_download(self):
        """Ask whether the network may be downloaded, and go on if so."""
        if self._question is not None:
            _raise(self._question)
            return
        network, size = self._facts.network, f"({self._facts.size})"
        self._question = question = QMessageBox(
            QMessageBox.Question,
            f"Download {network.name}",
            f"Download the network {network.name} {size}?",
            parent=self,
        )
        question.setInformativeText(
            f"It is downloaded once, from {network.origin}, and kept in "
            f"{network.weights.path}. Images are never sent anywhere."
        )
        yes = question.addButton("Download", QMessageBox.AcceptRole)
        question.addButton(QMessageBox.Cancel)
        question.setDefaultButton(yes)
        question.setAttribute(Qt.WA_DeleteOnClose)

        def answered():
            self._question = None
            if question.clickedButton() is yes:
                self.agreed.add(network.id)
                self.commit.now()

        question.finished.connect(answered)
        # Not exec: a loop of its own would run in the middle of the workflow's.
        question.open()

    def ask_to_trust(self):
        """Ask whether a file that can run code may be opened, and go on if so."""
        if self._question is not None:
            _raise(self._question)
            return
        needed = self._trust_needed

        def answered(may_open):
            self._question = None
            if may_open:
                self._vouched = needed
                self.commit.now()

        self._question = ask_to_trust(self, needed, self._is_of_workflow, answered)

    # The work -----------------------------------------------------------------------

    @gui.deferred
    def commit(self):
        self.cancel()
        self._clear_results()
        self._used_column = self.image_column
        if self._choice.is_listed:  # its file may have come or gone meanwhile
            self._facts = look_up(self._choice)
        if self.data is None:
            self._show_text(NO_DATA)
            self._send(None, None)
        elif self.image_column is None:
            self.Warning.no_image_attribute()
            self._show_text(NO_IMAGE_COLUMN)
            self._send(None, None)
        elif self._choice.is_listed and self._must_download():
            self._show_download()
        else:  # whether others have to be downloaded shows in the thread
            self._start()

    def _show_download(self):
        name, size = self._facts.network.name, self._facts.size
        self.Warning.download_needed(name, size)
        self._show_text(f"{name} is not on this computer yet.", page=2)
        self.download_button.setText(f"Download ({size})…")
        self._send(None, None)

    def _show_trust(self, needed: TrustNeededError):
        """Say that a file is not opened unasked, and where to agree to it."""
        self._trust_needed = needed
        name = self._choice.label
        self.Warning.trust_needed(name)
        self._show_text(
            f"{name} has not been opened, since it can run any program.", page=3
        )
        self._send(None, None)

    def _clear_results(self):
        self._gave_up = False
        self.skipped_images = []
        self.Error.clear()
        self.Information.clear()
        for message in (
            self.Warning.no_image_attribute,
            self.Warning.images_skipped,
            self.Warning.download_needed,
            self.Warning.trust_needed,
            self.Warning.no_gpu,
            self.Warning.gpu_failed,
        ):
            message.clear()
        self.apply_box.button.setText(
            "Apply Automatically" if self._auto_apply else "Apply"
        )

    def _start(self):
        self.device_label.clear()
        self.progress_bar.setRange(0, 0)
        self._show_text("Starting…", page=1)
        self.cancel_button.setEnabled(True)
        self._looking_up.cancel()
        self._run_choice = self._choice
        task = Task(
            data=self.data,
            column=self.image_column,
            choice=self._run_choice,
            device=self.device,
            layer=self.layer,
            options={
                "fit": self.fit or None,
                "intensity": as_intensity(self.intensity),
            },
            agreed=frozenset(self.agreed),
            places=tuple(self._search_paths()),
            vouched=self._vouched,
        )
        self.start(embed, task)

    def stop(self):
        """Stop the work; the outputs are empty then."""
        if self.task is not None:
            self.cancel()
            self.Information.cancelled()
            self._give_up("Cancelled.")

    def _auto_apply_toggled(self):
        if self._gave_up:
            if self._auto_apply:
                self.commit.now()
            else:
                self._offer_to_apply()

    def cancel(self):
        self.cancel_button.setEnabled(False)
        super().cancel()

    def _give_up(self, text):
        self._show_text(text)
        self._gave_up = True
        self._send(None, None)
        self._offer_to_apply()

    def _offer_to_apply(self):
        # Else it is disabled while it is automatic, or nothing has changed.
        self.apply_box.button.setText("Apply")
        self.apply_box.button.setEnabled(True)

    def on_partial_result(self, progress: Progress | Facts):
        if isinstance(progress, Facts):
            if self._is_of_choice(progress):
                self._take_facts(progress)
            return
        self.status_label.setText(progress.text)
        self._show_device(progress.device)
        if progress.fraction is None:
            self.progress_bar.setRange(0, 0)
        else:
            self.progress_bar.setRange(0, 1000)
            self.progress_bar.setValue(round(1000 * progress.fraction))

    def _show_device(self, device):
        self.device_label.setText(f"in use: {device}" if device else "")

    def on_done(self, result: Result | Facts):
        self.cancel_button.setEnabled(False)
        if isinstance(result, Facts):
            if self._is_of_choice(result):
                self._take_facts(result)
                self._show_download()
            else:
                self._give_up("Apply embeds the images.")
            return
        # Without automatic apply another choice may have been made meanwhile.
        if self._is_of_choice(result.facts) and self.layer == result.layer:
            self._take_result(result)
        self._show_device(result.device)
        self.skipped_images = result.skipped_images
        self._show_text(_summary(result))
        n_skipped = len(result.skipped_images)
        if n_skipped:
            self.Warning.images_skipped(
                f"{n_skipped:,} {pl(n_skipped, 'image was|images were')}"
            )
        if result.no_gpu:
            self.Warning.no_gpu(result.no_gpu.rstrip(".") + ".")
        if result.gpu_failed:
            self.Warning.gpu_failed(result.gpu_failed)
        self._send(result.embedded, result.skipped)

    def _take_result(self, result: Result):
        """What it tells about the chosen network."""
        self._facts = result.facts
        if result.stages is not None:
            self._stages = result.stages
        if result.missing_layer:
            self.Warning.layer_replaced(result.facts.network.name, result.missing_layer)
            self.layer = ""
        if result.embedded is not None:
            n_columns = len(result.embedded.domain.attributes)
            self._n_features = n_columns - len(self.data.domain.attributes)
        self._show_network()

    def on_exception(self, ex: Exception):
        self.cancel_button.setEnabled(False)
        if isinstance(ex, TrustNeededError):
            self._show_trust(ex)
            return
        text = "No image was embedded."
        if isinstance(ex, ModelError | ValueError):  # the latter: no such layer
            log.info("Embedding failed", exc_info=ex)
            problem = str(ex)
            self.Error.network_missing(problem)
            # A tag makes Qt take it as rich text, in which what is escaped is read.
            text = f"<p>{html.escape(problem)}</p>"
        elif isinstance(ex, MemoryError) or "out of memory" in str(ex).lower():
            self.Error.out_of_memory()
        else:
            log.exception("Embedding failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._give_up(text)

    def _send(self, embedded, skipped):
        self.Outputs.embeddings.send(embedded)
        self.Outputs.skipped_images.send(skipped)

    def show_skipped(self):
        """Open the list of skipped images."""
        SkippedDialog(self.skipped_images, self).show()

    def send_report(self):
        length = self._length()
        name = self._facts.network.name if self._facts else self._choice.label
        self.report_items(
            "Settings",
            [
                ("Image column", self.image_column and self.image_column.name),
                ("Network", f"{name}, {length:,} features" if length else name),
                ("Layer", self.layer_combo.currentText()),
                ("Fit", self.fit_combo.currentText()),
                ("Intensity", self.intensity_choice.text),
                ("Device", self.device_label.text().removeprefix("in use: ")),
            ],
        )
        if self.data is not None:
            text = without_links(self.status_label.text())
            self.report_items("Images", [("Result", text)])
        if self.skipped_images:
            self.report_items("Skipped Images", self.skipped_images[:100])

    def onDeleteWidget(self):
        for window in (self._dialog, self._question):
            if window is not None:
                window.reject()
        self._looking_up.cancel()
        self._finding_stages.cancel()
        end_task(self, 0.1)  # the thread hands over nothing after the widget is gone
        super().onDeleteWidget()


def _add_row(form: QFormLayout, label: str, field: QWidget, beside: QWidget):
    """A field with something at its right."""
    row = QHBoxLayout()
    row.addWidget(field, 0 if isinstance(beside, QLabel) else 1)
    row.addWidget(beside, 1 if isinstance(beside, QLabel) else 0)
    form.addRow(label, row)
    form.labelForField(row).setBuddy(field)


def _wrap(label: QLabel):
    """Break a long text into lines instead of making the window wider for it."""
    label.setWordWrap(True)
    # Else it does for a long word, which is cut off instead.
    label.setSizePolicy(QSizePolicy.Ignored, QSizePolicy.Preferred)


def _as_settings(choices) -> list[dict]:
    return [choice.absolute().as_settings() for choice in choices]


def _raise(window: QWidget):
    window.raise_()
    window.activateWindow()


def _describe(facts: Facts, n_features: int | None) -> str:
    text = facts.describe(n_features)
    description = facts.network.description
    return f"{text[0].upper()}{text[1:]}<br/><small>{description}</small>"


def _summary(result: Result) -> str:
    n_embedded = len(result.embedded) if result.embedded else 0
    n_skipped = len(result.skipped_images)
    seconds = result.seconds
    time_taken = duration(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    text = f"{n_embedded:,} {pl(n_embedded, 'image')} embedded in {time_taken}"
    if n_skipped:
        text += f', <a href="#skipped">{n_skipped:,} skipped</a>'
    if result.n_cached:
        text += f"<br/>{result.n_cached:,} of them were known from before"
    return text


if __name__ == "__main__":
    WidgetPreview(OWImageEmbedding).run()
