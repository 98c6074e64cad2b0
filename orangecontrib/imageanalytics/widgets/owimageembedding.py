"""Image Embedding: pictures become vectors with a pretrained network."""

import html
import logging
import sys
import time
from collections import deque
from dataclasses import dataclass
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
)
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, DomainContextHandler, Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.itemmodels import VariableListModel
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Input, Msg, Output, OWWidget

from orangecontrib.imageanalytics.engine.device import choose_device
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images.sources import column_sources, image_columns
from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    NETWORKS,
    Network,
    find_network,
)
from orangecontrib.imageanalytics.widgets.utils.network_combo import (
    NetworkCombo,
    network_details,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import (
    SkippedDialog,
    without_links,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

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

STATUS_SECONDS = 0.5  # between two changes of the text
RATE_SECONDS = 10  # over which the speed is measured


@dataclass(frozen=True)
class Task:
    """What is to be embedded, and how."""

    data: Table
    column: Variable
    network: str
    device: str


@dataclass(frozen=True)
class Progress:
    """How far it is: a text, a fraction (None: unknown), the device once known."""

    text: str
    fraction: float | None = None
    device: str = ""


@dataclass(frozen=True)
class Result:
    """What came of it; `skipped_images` are pictures and reasons."""

    embedded: Table | None
    skipped: Table | None
    skipped_images: list[tuple[str, str]]
    device: str
    seconds: float
    n_cached: int
    no_gpu: str = ""
    gpu_failed: str = ""


def embed(task: Task, state) -> Result:
    """Run in a thread: the whole work."""
    progress = _Reporter(task, state)
    progress.say(f"Loading {find_network(task.network).name}…")
    device, no_gpu = _find_device(task.device)
    with ImageEmbedder(task.network, device=device) as embedder:
        embedder.load(progress.downloading)
        progress.device = first_device = embedder.device
        progress.embedding(0)
        embedded, skipped, _ = embedder(task.data, task.column, progress.embedding)
        statistics = embedder.statistics
        changed = statistics.device != first_device
        return Result(
            embedded=embedded,
            skipped=skipped,
            skipped_images=_reasons(skipped, task.column, embedder.failures),
            device=statistics.device,
            seconds=statistics.seconds,
            n_cached=statistics.n_cached,
            no_gpu=no_gpu,
            gpu_failed=first_device if changed else "",
        )


def _find_device(choice: str) -> tuple[str, str]:
    """What torch calls the chosen device; why there is no GPU if one was chosen."""
    if choice != "gpu":
        return choice, ""
    gpu = "mps" if sys.platform == "darwin" else "cuda"
    try:
        choose_device(gpu)
    except ValueError as error:
        return "cpu", str(error)
    return gpu, ""


def _reasons(skipped, column, failures) -> list[tuple[str, str]]:
    if skipped is None:
        return []
    return [
        (source or "(missing)", failures.get(source, "no image is named"))
        for source in column_sources(skipped, column)
    ]


class _Reporter:
    """Tells the widget how far the work is; ends it when it is not wanted."""

    def __init__(self, task, state):
        self.device = ""
        self._network = find_network(task.network)
        self._total = len(task.data)
        self._state = state
        self._said = -STATUS_SECONDS
        self._history = deque()

    def say(self, text, fraction=None):
        """Show a text, unless the last one is too young.

        Raises
        ------
        Cancelled
            When the widget does not want the result any more.
        """
        if self._state.is_interruption_requested():
            raise Cancelled
        now = time.monotonic()
        if fraction is None or now - self._said >= STATUS_SECONDS:
            self._said = now
            self._state.set_status(text)
            self._state.set_partial_result(Progress(text, fraction, self.device))

    def downloading(self, fraction):
        """Tell how much of the weights has arrived."""
        name, total = self._network.name, self._network.megabytes
        text = f"Downloading {name}: {fraction * total:,.0f} of {total:,.0f} MB"
        self.say(text, fraction)

    def embedding(self, fraction):
        """Tell how many of the pictures are done."""
        done = round(fraction * self._total)
        text = f"{done:,} of {self._total:,} images"
        if rate := self._rate(done):
            left = _duration((self._total - done) / rate)
            text += f", {rate:,.{0 if rate >= 10 else 1}f}/s, {left} left"
        self.say(text, fraction)
        self._state.set_progress_value(100 * fraction)

    def _rate(self, done) -> float:
        """Pictures a second of late; 0 at the start."""
        now = time.monotonic()
        history = self._history
        history.append((now, done))
        while len(history) > 2 and now - history[1][0] > RATE_SECONDS:
            history.popleft()
        start, before = history[0]
        return (done - before) / (now - start) if now - start > STATUS_SECONDS else 0


def _duration(seconds: float) -> str:
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


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
        no_image_attribute = Msg(
            "The data has no column that could name images (a text or "
            "categorical meta)."
        )
        images_skipped = Msg("{} skipped.")
        network_replaced = Msg("{} is not available; {} is used instead.")
        download_needed = Msg("{} has to be downloaded first ({:,.0f} MB).")
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

    settingsHandler = DomainContextHandler()
    settings_version = 2
    image_column: Variable | None = ContextSetting(None)
    embedder: str = Setting(DEFAULT)
    device: str = Setting("auto")
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
        self._question = None
        self._used_column = None
        self._gave_up = False
        self._check_settings()
        self._make_network_box()
        self._make_status_box()
        self._make_buttons()
        self._show_network()
        self._show_text("No data.")

    def _check_settings(self):
        if self.device not in dict(DEVICES).values():
            self.device = "auto"
        try:
            find_network(self.embedder)
        except ValueError:
            default = find_network(DEFAULT).name
            name = OLD_NAMES.get(self.embedder, self.embedder)
            self.Warning.network_replaced(name, default)
            self.embedder = DEFAULT

    @classmethod
    def migrate_settings(cls, settings, version):
        if version is None or version < 2:
            number = settings.pop("cb_embedder_current_id", None)
            if number is not None:
                known = dict(enumerate(OLD_NETWORKS))
                settings["embedder"] = known.get(number, f"Network {number}")
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
        self.network_label = QLabel()
        self.network_label.setMinimumWidth(self._widest_network())
        self.device_combo = QComboBox(toolTip="The processor that runs the network")
        for text, value in DEVICES:
            self.device_combo.addItem(text, value)
        self.device_combo.setCurrentIndex(self.device_combo.findData(self.device))
        self.device_combo.activated.connect(self._select_device)
        self.device_label = QLabel()
        for combo in (self.column_combo, self.network_combo):
            combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        device = QHBoxLayout()
        device.addWidget(self.device_combo)
        device.addWidget(self.device_label, 1)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        form.addRow("&Image column:", self.column_combo)
        form.addRow("&Network:", self.network_combo)
        form.addRow("", self.network_label)
        form.addRow("&Device:", device)
        form.labelForField(device).setBuddy(self.device_combo)
        box.layout().addLayout(form)

    @staticmethod
    def _widest_network() -> int:
        # The window keeps its width whichever is chosen.
        return max(QLabel(_describe(n)).sizeHint().width() for n in NETWORKS)

    def _make_status_box(self):
        box = gui.vBox(self.controlArea, "Images")
        self.status_label = QLabel(wordWrap=True)
        # Whoever fetches a file by hand copies its address from here.
        self.status_label.setTextInteractionFlags(Qt.TextBrowserInteraction)
        self.status_label.linkActivated.connect(self.show_skipped)
        self.progress_bar = QProgressBar(minimum=0, maximum=1000)
        self.download_button = QPushButton(
            "Download…", autoDefault=False, clicked=self.ask_to_download
        )
        # Stacked, so that the window keeps its size from one state to the next.
        self.status_stack = QStackedWidget()
        self.status_stack.addWidget(QLabel())
        self.status_stack.addWidget(self.progress_bar)
        self.status_stack.addWidget(self.download_button)
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

    def _show_network(self):
        network = find_network(self.embedder)
        self.network_combo.setCurrentIndex(self.network_combo.findData(network.id))
        self.network_label.setText(_describe(network))

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
        if chosen == self.embedder:
            return
        self.embedder = chosen
        self.Warning.network_replaced.clear()
        if self.Warning.download_needed.is_shown():  # of the one before
            self.Warning.download_needed.clear()
            self._show_text("Apply embeds the images.")
        self._show_network()
        self.commit.deferred()
        if self.data is not None and self._must_download():
            self.ask_to_download()

    def _select_device(self, index):
        chosen = self.device_combo.itemData(index)
        if chosen != self.device:
            self.device = chosen
            self.commit.deferred()

    def _must_download(self) -> bool:
        network = find_network(self.embedder)
        return not network.available() and network.id not in self.agreed

    def ask_to_download(self):
        """Ask whether the network may be downloaded, and go on if so."""
        network = find_network(self.embedder)
        self._question = question = QMessageBox(
            QMessageBox.Question,
            f"Download {network.name}",
            f"Download {network.name} ({network.megabytes:,.0f} MB)?",
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

        def answered(button):
            self._question = None
            if button is yes:
                self.agreed.add(network.id)
                self.commit.now()

        question.buttonClicked.connect(answered)
        # Not exec: a loop of its own would run in the middle of the workflow's.
        question.open()

    # The work -----------------------------------------------------------------------

    @gui.deferred
    def commit(self):
        self.cancel()
        self._clear_results()
        self._used_column = self.image_column
        network = find_network(self.embedder)
        if self.data is None:
            self._show_text("No data.")
            self._send(None, None)
        elif self.image_column is None:
            self.Warning.no_image_attribute()
            self._show_text("No images.")
            self._send(None, None)
        elif not self._must_download():
            self._start()
        else:
            self.Warning.download_needed(network.name, network.megabytes)
            self._show_text(f"{network.name} is not on this computer yet.", page=2)
            self.download_button.setText(f"Download {network.megabytes:,.0f} MB…")
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
        task = Task(self.data, self.image_column, self.embedder, self.device)
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

    def on_partial_result(self, progress: Progress):
        self.status_label.setText(progress.text)
        self._show_device(progress.device)
        if progress.fraction is None:
            self.progress_bar.setRange(0, 0)
        else:
            self.progress_bar.setRange(0, 1000)
            self.progress_bar.setValue(round(1000 * progress.fraction))

    def _show_device(self, device):
        self.device_label.setText(f"in use: {device}" if device else "")

    def on_done(self, result: Result):
        self.cancel_button.setEnabled(False)
        self._show_network()
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

    def on_exception(self, ex: Exception):
        self.cancel_button.setEnabled(False)
        text = "No image was embedded."
        if isinstance(ex, ModelError):
            self.Error.network_missing(str(ex))
            # A tag makes Qt take it as rich text, in which what is escaped is read.
            text = f"<p>{html.escape(str(ex))}</p>"
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
        network = find_network(self.embedder)
        self.report_items(
            "Settings",
            [
                ("Image column", self.image_column and self.image_column.name),
                ("Network", f"{network.name}, {network.n_features:,} features"),
                ("Device", self.device_label.text().removeprefix("in use: ")),
            ],
        )
        if self.data is not None:
            text = without_links(self.status_label.text())
            self.report_items("Images", [("Result", text)])
        if self.skipped_images:
            self.report_items("Skipped Images", self.skipped_images[:100])

    def onDeleteWidget(self):
        end_task(self)
        super().onDeleteWidget()


def _describe(network: Network) -> str:
    return f"{network_details(network)}<br/><small>{network.description}</small>"


def _summary(result: Result) -> str:
    n_embedded = len(result.embedded) if result.embedded else 0
    n_skipped = len(result.skipped_images)
    seconds = result.seconds
    time_taken = _duration(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    text = f"{n_embedded:,} {pl(n_embedded, 'image')} embedded in {time_taken}"
    if n_skipped:
        text += f', <a href="#skipped">{n_skipped:,} skipped</a>'
    if result.n_cached:
        text += f"<br/>{result.n_cached:,} of them were known from before"
    return text


if __name__ == "__main__":
    WidgetPreview(OWImageEmbedding).run()
