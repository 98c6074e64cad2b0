"""The page on which a network in a file or folder is chosen."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from AnyQt.QtCore import Signal
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.errors import ModelError, TrustNeededError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.networks.files import trust
from orangecontrib.imageanalytics.networks.files.kinds import Kind, find_kind
from orangecontrib.imageanalytics.networks.files.network_file import find
from orangecontrib.imageanalytics.networks.files.preparation import (
    check_values,
    find_preparation,
    read_preparation,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice
from orangecontrib.imageanalytics.widgets.embedding.preparation_form import (
    ArchitectureForm,
    PreparationForm,
)
from orangecontrib.imageanalytics.widgets.embedding.trust_question import ask_to_trust
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    FittingStack,
    readable,
    scrolling,
    show_placeholder,
    text_label,
)

FILES = (
    "Networks (*.onnx *.tflite *.xml *.safetensors *.pt *.pth *.bin *.ckpt *.pt2);;"
    "All files (*)"
)
KINDS = (
    "ONNX (.onnx), TensorFlow Lite (.tflite), OpenVINO (.xml), weights of a network of "
    "torchvision or timm (.safetensors, .pt, .pth), TorchScript (.pt), torch.export "
    "(.pt2)"
)
FOLDERS = "timm (config.json and model.safetensors), SavedModel of TensorFlow"


@dataclass(frozen=True)
class Known:
    """What is known about a file before its network is tried.

    Attributes
    ----------
    kind : Kind
    beside : str
        Name of the file beside it with its description; empty if there is none.
    values : dict
        The description, or what the user gave when the network was chosen before.
    """

    kind: Kind
    beside: str = ""
    values: dict = field(default_factory=dict)


def read_known(path: str, given: dict | None) -> Known:
    """Run in a thread: find out what a network is, and what input it expects.

    Parameters
    ----------
    path : str
        Path of the network.
    given : dict or None
        What the user entered when it was chosen before.

    Raises
    ------
    ModelError
        When there is no such network, or the file beside it cannot be read or
        contains values that make no sense.
    """
    if not os.path.exists(path):
        raise ModelError(f"There is no file {path}.")
    kind = find_kind(path)
    values = read_preparation(path)
    if values is None:
        return Known(kind, "", _usable(given))
    find(path)  # tells what cannot be meant
    (file,) = find_preparation(path)
    return Known(kind, os.path.basename(file), values)


def _usable(given: dict | None) -> dict:
    try:  # it is from settings, which may be anything
        check_values(given or {}, "what was given before")
    except ModelError:
        return {}
    return given or {}


def try_network(
    path: str, preprocessing: dict | None, needed: TrustNeededError | None
) -> int:
    """Run in a thread: send one image through the network in a file.

    Parameters
    ----------
    path, preprocessing
        As for `ImageEmbedder`.
    needed : TrustNeededError or None
        What the user has agreed to.
    """
    if needed is not None:
        trust.vouch(needed.sha256, needed.path)
    return ImageEmbedder.check(Path(path), preprocessing)


class FilePage(QWidget):
    """A file or folder, and the input that its network expects."""

    changed = Signal()
    taken = Signal(object)

    def __init__(self, folder, own):
        super().__init__()
        self.path = ""
        self.question = None
        self._folder = folder
        self._given_before = {choice.model: choice.preprocessing for choice in own}
        self._known: Known | None = None
        self._reading = Background(self, self._read, self._failed)
        self._trying = Background(self, self._works, self._not_tried)
        layout = QVBoxLayout(self)
        layout.addLayout(self._make_file_row())
        self.source_label = text_label()
        layout.addWidget(self.source_label)
        self.preparation_form = PreparationForm()
        self.architecture_form = ArchitectureForm()
        self.architecture_form.name_edit.textChanged.connect(self.changed)
        self.forms = FittingStack()
        for form in (self.preparation_form, self.architecture_form, QWidget()):
            self.forms.addWidget(form)
        self.forms.setCurrentIndex(2)  # until there is a file
        area = scrolling(self.forms)
        self.forms.currentChanged.connect(area.updateGeometry)
        layout.addWidget(area)
        self._make_status(layout)
        self._show_source()

    # Layout -----------------------------------------------------------------------

    def _make_file_row(self):
        self.path_edit = QLineEdit(
            readOnly=True, placeholderText="A file or folder with a network"
        )
        show_placeholder(self.path_edit)
        self.path_edit.setAccessibleName("File of the network")
        icon = self.style().standardIcon
        self.browse_button = QPushButton(
            "File…",
            icon=icon(QStyle.SP_FileIcon),
            autoDefault=False,
            clicked=self.browse,
        )
        self.browse_button.setToolTip(KINDS)
        self.folder_button = QPushButton(
            "Folder…",
            icon=icon(QStyle.SP_DirOpenIcon),
            autoDefault=False,
            clicked=self.browse_folder,
        )
        self.folder_button.setToolTip(FOLDERS)
        row = QHBoxLayout()
        row.addWidget(self.path_edit, 1)
        row.addWidget(self.browse_button)
        row.addWidget(self.folder_button)
        return row

    def _make_status(self, layout):
        self.busy_label = QLabel("Trying the network on an image…")
        self.busy_bar = QProgressBar(minimum=0, maximum=0, textVisible=False)
        self.busy_bar.setAccessibleName("Trying the network")
        self.problem_label = QLabel("This network cannot be used:")
        self.problem_text = QPlainTextEdit(readOnly=True, tabChangesFocus=True)
        self.problem_text.setAccessibleName("Why it cannot be used")
        for widget in (self.busy_label, self.busy_bar, self.problem_label):
            layout.addWidget(widget)
        layout.addWidget(self.problem_text, 1)
        layout.addStretch()
        self._show_status()

    def _show_status(self, problem=""):
        for widget in (self.busy_label, self.busy_bar):
            widget.setVisible(self.is_busy)
        self.problem_text.setPlainText(problem)
        for widget in (self.problem_label, self.problem_text):
            widget.setVisible(bool(problem))
        is_said = self._known is not None and bool(self._known.beside)
        self.forms.setPalette(readable(self.palette()) if is_said else QPalette())
        is_asked = self._known is not None and not is_said
        self.forms.setEnabled(is_asked and not self.is_busy)
        for button in (self.browse_button, self.folder_button):
            button.setEnabled(not self.is_busy)
        self.changed.emit()

    @property
    def form(self) -> QWidget:
        """The form with questions about the network."""
        return self.forms.currentWidget()

    # The file ---------------------------------------------------------------------

    def browse(self):
        """Let the user choose a file."""
        path, _ = QFileDialog.getOpenFileName(
            self, "Choose the File of a Network", self._start_folder(), FILES
        )
        self._set_chosen(path)

    def browse_folder(self):
        """Let the user choose a folder."""
        path = QFileDialog.getExistingDirectory(
            self, "Choose the Folder of a Network", self._start_folder()
        )
        self._set_chosen(path)

    def _start_folder(self) -> str:
        return os.path.dirname(self.path) or self._folder

    def _set_chosen(self, path: str):
        if path:
            self.set_file(os.path.normpath(path))

    def set_file(self, path: str):
        """Show a file or folder and what is known about its network."""
        self.path = path
        self.path_edit.setText(path)
        self.path_edit.setToolTip(path)
        if self._known and self._known.values:  # of another network
            self._show_values({})
        self._known = None
        self.forms.setCurrentIndex(2)
        self._reading.start(read_known, path, self._given_before.get(path))
        self._show_status()

    def _read(self, known: Known):
        self._known = known
        is_weights = known.kind is Kind.WEIGHTS
        page = 2 if known.kind is Kind.TIMM else 1 if is_weights else 0
        self.forms.setCurrentIndex(page)
        self._show_values(known.values)
        self._show_source()
        self._show_status()

    def _show_values(self, values: dict):
        if self.form is self.architecture_form:
            self.architecture_form.show_values(values)
        elif self.form is self.preparation_form:
            self.preparation_form.show_values(values)

    def _show_source(self):
        self.source_label.setText(self._source())

    def _source(self) -> str:
        known = self._known
        if known is None:
            return (
                "Choose a network that you have trained, or that someone gave you.\n\n"
                f"Files: {KINDS}.\n\nFolders: {FOLDERS}."
            )
        if known.kind is Kind.TIMM:
            return "The folder says which network it is, and how images are prepared."
        stem = os.path.splitext(os.path.basename(self.path))[0]
        if known.kind is Kind.WEIGHTS:
            if known.beside:
                return f"Which network the weights belong to, as {known.beside} says:"
            return (
                "Say which network the weights belong to. Images are prepared as this "
                f"network expects. (A file {stem}.json beside the weights can say so, "
                "and name the classes.)"
            )
        if known.beside:
            return f"How images are prepared, as the file {known.beside} says:"
        return (
            "Say how images are prepared for the network. Whoever trained it knows; "
            "with other numbers it gives poor results. "
            f"(A file {stem}.json beside it can say so.)"
        )

    def _failed(self, error):
        self._show_status(str(error) or type(error).__name__)

    # The choice -------------------------------------------------------------------

    def is_ready(self) -> bool:
        """Whether there is a file that could be tried."""
        if self._known is None or self.is_busy:
            return False
        form = self.architecture_form
        return self.form is not form or bool(form.values()["architecture"])

    @property
    def is_busy(self) -> bool:
        """Whether a network is being tried."""
        return self._trying.busy

    def values(self) -> dict:
        """The values in the form, with the keys of a description file."""
        return self.form.values()

    def take(self, needed: TrustNeededError | None = None):
        """Choose the network if it works.

        Parameters
        ----------
        needed : TrustNeededError, optional
            What the user has agreed to.
        """
        self._trying.start(try_network, self.path, self._given(), needed)
        self._show_status()

    def _given(self) -> dict | None:
        is_said = self._known.beside or self._known.kind is Kind.TIMM
        return None if is_said else self.values()

    def _works(self, _n_features):
        self._show_status()
        self.taken.emit(Choice.of_file(self.path, self._given()))

    def _not_tried(self, error):
        if not isinstance(error, TrustNeededError):
            self._failed(error)
            return
        self._show_status()

        def answered(may_open):
            self.question = None
            if may_open:
                self.take(error)
            else:
                self._failed(error)

        self.question = ask_to_trust(self, error, False, answered)

    def stop(self):
        """Stop waiting for results."""
        self._reading.cancel()
        self._trying.cancel()
