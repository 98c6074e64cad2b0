"""The window in which a network of one's own is chosen, by name or from a file."""

import os
from pathlib import Path

from AnyQt.QtCore import QEvent, QSize, Qt, Signal
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.networks.files.preparation import (
    find_preparation,
    prepare,
    read_preparation,
)
from orangecontrib.imageanalytics.networks.registry import FAMILIES, family_names
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.name_search import NameModel
from orangecontrib.imageanalytics.widgets.utils.network_choice import Choice
from orangecontrib.imageanalytics.widgets.utils.network_combo import FIT_TEXTS
from orangecontrib.imageanalytics.widgets.utils.two_texts import TwoTexts

FILES = "Networks (*.pt2 *.pt *.onnx);;All files (*)"
MOVES = (Qt.Key_Up, Qt.Key_Down, Qt.Key_PageUp, Qt.Key_PageDown)
RANGES = (("0 to 1", 1), ("0 to 255", 255))
CHANNELS = (("RGB", "RGB"), ("BGR", "BGR"))
# Where to start from: what most networks that learned from ImageNet expect.
IMAGENET = {
    "size": 224,
    "range": 1,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "channels": "RGB",
    "fit": "crop",
}


def read_expected(path: str, given: dict | None) -> tuple[str, dict]:
    """Run in a thread: what a network expects of an image.

    Parameters
    ----------
    path : str
        Of the network.
    given : dict or None
        What was said by hand when it was chosen before.

    Returns
    -------
    tuple of str and dict
        The name of the file beside that of the network, empty where there is none,
        and what that says, else what was given.

    Raises
    ------
    ModelError
        When there is no such network, or the file beside it cannot be read or says
        anything that cannot be meant.
    """
    if not os.path.exists(path):
        raise ModelError(f"There is no file {path}.")
    values = read_preparation(path)
    if values is None:
        return "", _usable(given)
    (file,) = find_preparation(path)
    prepare(values, file)
    return os.path.basename(file), values


def _usable(given: dict | None) -> dict:
    if not given:
        return {}
    try:  # it is from settings, which may be anything
        prepare(given, "what was given before")
    except ModelError:
        return {}
    return given


def try_network(path: str, preprocessing: dict | None) -> int:
    """Run in a thread: send one image through the network in a file."""
    return ImageEmbedder.check(Path(path), preprocessing)


class OtherNetworkDialog(QDialog):
    """Lets choose any network of torchvision and timm, or a file.

    Parameters
    ----------
    folder : str
        In which files are looked for first.
    own : sequence of Choice
        Networks that were chosen before.
    parent : QWidget, optional
    """

    #: A `Choice` that can be used
    chosen = Signal(object)

    def __init__(self, folder: str = "", own=(), parent=None):
        super().__init__(parent)
        self.setAttribute(Qt.WA_DeleteOnClose)
        self.setWindowTitle("Other Network")
        self.tabs = QTabWidget()
        self.by_name = NamePage()
        self.from_file = FilePage(folder, own)
        self.tabs.addTab(self.by_name, "By &Name")
        self.tabs.addTab(self.from_file, "From a &File")
        self.tabs.currentChanged.connect(self._update)
        layout = QVBoxLayout(self)
        layout.addWidget(self.tabs)
        layout.addWidget(self._make_buttons())
        for page in (self.by_name, self.from_file):
            page.changed.connect(self._update)
            page.taken.connect(self._take)
        self._update()
        em = self.fontMetrics().horizontalAdvance("m")
        size = QSize(42 * em, max(self.sizeHint().height(), 36 * em))
        # With large fonts, too, its buttons and its title have to be reached.
        self.resize(size.boundedTo(0.9 * self.screen().availableGeometry().size()))
        self.by_name.search.setFocus()
        self.by_name.start()

    def _make_buttons(self):
        buttons = QDialogButtonBox(QDialogButtonBox.Cancel)
        # Else Enter would cancel while there is nothing to use.
        buttons.button(QDialogButtonBox.Cancel).setAutoDefault(False)
        self.use_button = buttons.addButton("Use", QDialogButtonBox.AcceptRole)
        self.use_button.setDefault(True)
        buttons.accepted.connect(self.use)
        buttons.rejected.connect(self.reject)
        return buttons

    def _update(self):
        self.use_button.setEnabled(self.tabs.currentWidget().is_ready())
        # A network that works ends the dialog.
        self.tabs.setTabEnabled(0, not self.from_file.is_busy)

    def use(self):
        """Take what is chosen, if that works."""
        if self.use_button.isEnabled():
            self.tabs.currentWidget().take()

    def _take(self, choice):
        self.chosen.emit(choice)
        self.accept()

    def done(self, result):
        """Close, and leave to itself what still runs in a thread."""
        self.by_name.stop()
        self.from_file.stop()
        super().done(result)


class NamePage(QWidget):
    """Search among the names of all networks of torchvision and timm."""

    changed = Signal()
    taken = Signal(object)

    def __init__(self):
        super().__init__()
        self.search = QLineEdit(
            placeholderText="Search, for example: resnet 50",
            clearButtonEnabled=True,
            toolTip="Words or parts of them, in any order",
        )
        _show_placeholder(self.search)
        label = QLabel("&Search:")
        label.setBuddy(self.search)
        self.search.textChanged.connect(self._find)
        self.search.installEventFilter(self)
        self.model = NameModel(self)
        self.view = QListView(uniformItemSizes=True)
        self.view.setAccessibleName("Networks")
        self.view.setModel(self.model)
        self.view.setItemDelegate(TwoTexts(self.view))
        self.view.selectionModel().currentChanged.connect(self.changed)
        self.view.doubleClicked.connect(self.take)
        self.count_label = QLabel()
        self.problem_label = _text_label()
        self.problem_label.hide()
        note = _text_label(
            "Networks of the Python packages torchvision and timm. "
            "Nothing is downloaded before you agree to it."
        )
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.search, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.count_label)
        layout.addWidget(self.problem_label)
        layout.addWidget(note)
        self._families = iter(FAMILIES)
        self._lookup: Background | None = None

    def start(self):
        """Look up the names, of one family after the other."""
        family = next(self._families, None)
        self._lookup = None
        if family is not None:
            self._lookup = Background(self, self._add, self._failed)
            self._lookup.start(family_names, family)
        self._count()

    @property
    def busy(self) -> bool:
        """Whether names are being looked up."""
        return self._lookup is not None

    def stop(self):
        """Await nothing any more."""
        if self._lookup is not None:
            self._lookup.cancel()

    def _add(self, names):
        id = self.id
        self.model.extend(names)
        self._select(id)
        self.start()

    def _failed(self, error):
        text = str(error)
        if not isinstance(error, ModelError):
            text = f"The names could not be looked up: {text}"
        before = self.problem_label.text()
        self.problem_label.setText(f"{before}\n{text}" if before else text)
        self.problem_label.show()
        self.start()

    def _find(self, text):
        id = self.id
        self.model.search(text)
        self._select(id)
        self._count()

    def _select(self, id):
        """Keep the choice while it is found, else Enter takes the first."""
        row = self.model.row_of(id)
        if row < 0 and self.search.text().strip() and self.model.rowCount():
            row = 0
        self.view.setCurrentIndex(self.model.index(row, 0))
        self.changed.emit()

    def _count(self):
        found, total = self.model.rowCount(), self.model.total
        if self.busy:
            text = "Looking up the names…"
            if found:
                text = f"{found:,} {pl(found, 'network')}; looking up more names…"
        elif total and not found:
            text = "No name contains all of these words."
        elif found < total:
            text = f"{found:,} of {total:,} networks"
        else:
            text = f"{total:,} networks"
        self.count_label.setText(text)

    def eventFilter(self, watched, event):
        """Arrow keys move in the list while one types."""
        if event.type() == QEvent.KeyPress and event.key() in MOVES:
            QApplication.sendEvent(self.view, event)
            return True
        return super().eventFilter(watched, event)

    @property
    def id(self) -> str:
        """The chosen network; empty while there is none."""
        return self.view.currentIndex().data(Qt.UserRole) or ""

    def is_ready(self) -> bool:
        """Whether a network is chosen."""
        return bool(self.id)

    def take(self):
        """Hand over the chosen network."""
        if self.is_ready():
            self.taken.emit(Choice(self.id))


class FilePage(QWidget):
    """A file, and what its network expects of an image."""

    changed = Signal()
    taken = Signal(object)

    def __init__(self, folder, own):
        super().__init__()
        self.path = ""
        self._folder = folder
        self._known = {choice.model: choice.preprocessing for choice in own}
        self._is_read = False
        self._beside = ""
        self._is_filled = False
        self._reading = Background(self, self._read, self._failed)
        self._trying = Background(self, self._works, self._failed)
        layout = QVBoxLayout(self)
        layout.addLayout(self._make_file_row())
        self.source_label = _text_label()
        layout.addWidget(self.source_label)
        self.form = self._make_form()
        layout.addWidget(_scrolling(self.form))
        self._make_status(layout)
        self._show_values(IMAGENET)
        self._show_source()

    # Layout -----------------------------------------------------------------------

    def _make_file_row(self):
        self.path_edit = QLineEdit(
            readOnly=True, placeholderText="A file .pt2, .pt or .onnx"
        )
        _show_placeholder(self.path_edit)
        self.path_edit.setAccessibleName("File of the network")
        self.browse_button = QPushButton(
            "Choose…",
            icon=self.style().standardIcon(QStyle.SP_DirOpenIcon),
            autoDefault=False,
            clicked=self.browse,
        )
        self.browse_button.setToolTip(
            "A torch.export program (.pt2), TorchScript (.pt) or ONNX (.onnx)"
        )
        row = QHBoxLayout()
        row.addWidget(self.path_edit, 1)
        row.addWidget(self.browse_button)
        return row

    def _make_form(self):
        widget = QWidget()
        form = QFormLayout(widget)
        form.setContentsMargins(0, 0, 0, 0)
        self.size_spin = QSpinBox(minimum=1, maximum=4096, suffix=" px")
        self.size_spin.setToolTip("Side of the square that the network sees")
        self.range_combo = _combo(RANGES)
        self.range_combo.setToolTip("How mean and std count the brightness of a pixel")
        self.range_combo.activated.connect(self._rescale)
        self.mean_spins, means = _three("Mean", lowest=0)
        self.std_spins, deviations = _three("Std", lowest=0.0001)
        self.channels_combo = _combo(CHANNELS)
        self.channels_combo.setToolTip("The order in which the network takes colours")
        self.fit_combo = _combo(
            (f"{text}: {details}", fit) for fit, (text, details) in FIT_TEXTS.items()
        )
        self.fit_combo.setToolTip("How images met the square when it was trained")
        form.addRow("Si&ze:", _left(self.size_spin))
        form.addRow("Sc&ale:", _left(self.range_combo))
        form.addRow("&Mean:", means)
        form.addRow("S&td:", deviations)
        form.addRow("&Channels:", _left(self.channels_combo))
        form.addRow("F&it:", _left(self.fit_combo))
        for row, buddy in enumerate(
            (
                self.size_spin,
                self.range_combo,
                self.mean_spins[0],
                self.std_spins[0],
                self.channels_combo,
                self.fit_combo,
            )
        ):
            form.itemAt(row, QFormLayout.LabelRole).widget().setBuddy(buddy)
        return widget

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
        own = self._is_read and not self._beside
        self.form.setPalette(_readable(self.palette()) if self._beside else QPalette())
        self.form.setEnabled(own and not self.is_busy)
        self.browse_button.setEnabled(not self.is_busy)
        self.changed.emit()

    # The file ---------------------------------------------------------------------

    def browse(self):
        """Let the user choose a file."""
        start = os.path.dirname(self.path) or self._folder
        path, _ = QFileDialog.getOpenFileName(
            self, "Choose the File of a Network", start, FILES
        )
        if path:
            self.set_file(os.path.normpath(path))

    def set_file(self, path: str):
        """Show a file and what is known of its network."""
        self.path = path
        self.path_edit.setText(path)
        self.path_edit.setToolTip(path)
        if self._is_filled:  # for another network
            self._show_values(IMAGENET)
        self._is_read, self._beside, self._is_filled = False, "", False
        self._reading.start(read_expected, path, self._known.get(path))
        self._show_status()

    def _read(self, result):
        self._is_read = True
        self._beside, values = result
        if values:
            self._is_filled = True
            self._show_values(IMAGENET | values)
        self._show_source()
        self._show_status()

    def _show_source(self):
        if not self.path:
            text = "A network that you have trained, or got from someone, in a file."
        elif self._beside:
            text = f"What it expects of an image, as the file {self._beside} says:"
        else:
            stem = os.path.splitext(os.path.basename(self.path))[0]
            text = (
                "What it expects of an image. Whoever trained the network knows: "
                "with other numbers it works, but badly. "
                f"(A file {stem}.json beside it could say so.)"
            )
        self.source_label.setText(text)

    def _failed(self, error):
        self._show_status(str(error) or type(error).__name__)

    # What is expected of an image ----------------------------------------------------

    def _show_values(self, values: dict):
        self.size_spin.setValue(values["size"])
        for combo, key in (
            (self.range_combo, "range"),
            (self.channels_combo, "channels"),
            (self.fit_combo, "fit"),
        ):
            combo.setCurrentIndex(combo.findData(values[key]))
        for spins, key in ((self.mean_spins, "mean"), (self.std_spins, "std")):
            for spin, value in zip(spins, values[key], strict=True):
                spin.setValue(value)

    def values(self) -> dict:
        """What the form says, with the keys of the file that could say it."""
        return {
            "size": self.size_spin.value(),
            "range": self.range_combo.currentData(),
            "mean": [round(spin.value(), 4) for spin in self.mean_spins],
            "std": [round(spin.value(), 4) for spin in self.std_spins],
            "channels": self.channels_combo.currentData(),
            "fit": self.fit_combo.currentData(),
        }

    def _rescale(self):
        """Let what we proposed, but not what was typed, follow the scale."""
        top = self.range_combo.currentData()
        for spins, key in ((self.mean_spins, "mean"), (self.std_spins, "std")):
            for spin, value in zip(spins, IMAGENET[key], strict=True):
                other = value if top == 255 else 255 * value
                if abs(spin.value() - other) < 1e-6:
                    spin.setValue(255 * value if top == 255 else value)

    # The choice -------------------------------------------------------------------

    def is_ready(self) -> bool:
        """Whether there is a file that could be tried."""
        return self._is_read and not self.is_busy

    @property
    def is_busy(self) -> bool:
        """Whether a network is being tried."""
        return self._trying.busy

    def take(self):
        """Hand the network over if it works."""
        self._trying.start(try_network, self.path, self._given())
        self._show_status()

    def _given(self) -> dict | None:
        return None if self._beside else self.values()

    def _works(self, _n_features):
        self._show_status()
        self.taken.emit(Choice.of_file(self.path, self._given()))

    def stop(self):
        """Await nothing any more."""
        self._reading.cancel()
        self._trying.cancel()


def _scrolling(widget: QWidget) -> QScrollArea:
    """As high as it has to be, or as there is room."""
    area = QScrollArea(widgetResizable=True, frameShape=QScrollArea.NoFrame)
    area.setWidget(widget)
    area.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
    area.viewport().setAutoFillBackground(False)
    widget.setAutoFillBackground(False)
    return area


def _text_label(text="") -> QLabel:
    label = QLabel(text, wordWrap=True)
    label.setTextInteractionFlags(
        Qt.TextSelectableByMouse | Qt.TextSelectableByKeyboard
    )
    label.setFocusPolicy(Qt.ClickFocus)
    return label


def _show_placeholder(edit: QLineEdit):
    """In a colour that is seen with dark themes, too, which do not set it."""
    palette = edit.palette()
    color = palette.color(QPalette.Text)
    color.setAlphaF(0.5)
    palette.setColor(QPalette.PlaceholderText, color)
    edit.setPalette(palette)


def _readable(palette: QPalette) -> QPalette:
    """A palette in which what cannot be changed can be read all the same."""
    palette = QPalette(palette)
    for role in (QPalette.Text, QPalette.WindowText, QPalette.ButtonText):
        color = palette.color(QPalette.Active, role)
        palette.setColor(QPalette.Disabled, role, color)
    return palette


def _combo(choices) -> QComboBox:
    combo = QComboBox()
    for text, value in choices:
        combo.addItem(text, value)
    return combo


def _three(name, lowest) -> tuple[list[QDoubleSpinBox], QHBoxLayout]:
    row, spins = QHBoxLayout(), []
    for number in ("first", "second", "third"):
        spin = QDoubleSpinBox(minimum=lowest, maximum=255, decimals=4)
        spin.setButtonSymbols(QDoubleSpinBox.NoButtons)
        spin.setAlignment(Qt.AlignRight)
        spin.setAccessibleName(f"{name} of the {number} channel")
        spins.append(spin)
        row.addWidget(spin)
    row.addStretch()
    return spins, row


def _left(widget) -> QHBoxLayout:
    """At the left and no wider than it has to be."""
    widget.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
    row = QHBoxLayout()
    row.addWidget(widget)
    row.addStretch()
    return row
