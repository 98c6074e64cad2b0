"""Forms in which the owner of a network's file describes the network."""

from AnyQt.QtCore import QStringListModel, Qt
from AnyQt.QtWidgets import (
    QCompleter,
    QFormLayout,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from orangecontrib.imageanalytics.networks.files.preparation import MAX_CLASSES
from orangecontrib.imageanalytics.widgets.embedding.fit_combo import FIT_TEXTS
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    at_the_left,
    combo_of,
    show_placeholder,
    three_numbers,
)

RANGES = (("0 to 1", 1), ("0 to 255", 255))
CHANNELS = (("RGB", "RGB"), ("BGR", "BGR"))
# Initial values: those that most networks trained on ImageNet expect.
IMAGENET = {
    "size": 224,
    "range": 1,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "channels": "RGB",
    "fit": "crop",
}


class PreparationForm(QWidget):
    """How images are prepared for a network."""

    def __init__(self):
        super().__init__()
        self.size_spin = QSpinBox(minimum=1, maximum=4096, suffix=" px")
        self.size_spin.setToolTip("Side of the square that the network sees")
        self.range_combo = combo_of(RANGES)
        self.range_combo.setToolTip("How mean and std count the brightness of a pixel")
        self.range_combo.activated.connect(self._rescale)
        self.mean_spins, means = three_numbers("Mean", lowest=0)
        self.std_spins, deviations = three_numbers("Std", lowest=0.0001)
        self.channels_combo = combo_of(CHANNELS)
        self.channels_combo.setToolTip("The order in which the network takes colors")
        self.fit_combo = combo_of(
            (f"{text}: {details}", fit) for fit, (text, details) in FIT_TEXTS.items()
        )
        self.fit_combo.setToolTip("How images met the square when it was trained")
        rows = (
            ("Si&ze:", at_the_left(self.size_spin), self.size_spin),
            ("Sc&ale:", at_the_left(self.range_combo), self.range_combo),
            ("&Mean:", means, self.mean_spins[0]),
            ("S&td:", deviations, self.std_spins[0]),
            ("&Channels:", at_the_left(self.channels_combo), self.channels_combo),
            ("F&it:", at_the_left(self.fit_combo), self.fit_combo),
        )
        _add_rows(self, rows)
        self.show_values(IMAGENET)

    def show_values(self, values: dict):
        """Show what is said, with the keys of the file that could say it."""
        values = IMAGENET | values
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
        """Convert proposed values, but not typed ones, to the scale."""
        top = self.range_combo.currentData()
        for spins, key in ((self.mean_spins, "mean"), (self.std_spins, "std")):
            for spin, value in zip(spins, IMAGENET[key], strict=True):
                other = value if top == 255 else 255 * value
                if abs(spin.value() - other) < 1e-6:
                    spin.setValue(255 * value if top == 255 else value)


class ArchitectureForm(QWidget):
    """The architecture of the weights in a file."""

    def __init__(self):
        super().__init__()
        self.name_edit = QLineEdit(
            placeholderText="torchvision:resnet18", clearButtonEnabled=True
        )
        show_placeholder(self.name_edit)
        self.name_edit.setToolTip(
            "The network that was trained further, by its name in torchvision or timm"
        )
        self._names = QStringListModel(self)
        completer = QCompleter(self._names, self)
        completer.setCaseSensitivity(Qt.CaseInsensitive)
        completer.setFilterMode(Qt.MatchContains)
        self.name_edit.setCompleter(completer)
        self.classes_spin = QSpinBox(maximum=MAX_CLASSES, value=2)
        self.classes_spin.setToolTip(
            "How many classes it tells apart; 0 if it has no classifier"
        )
        rows = (
            ("&Architecture:", self.name_edit, self.name_edit),
            ("&Classes:", at_the_left(self.classes_spin), self.classes_spin),
        )
        _add_rows(self, rows)

    def add_names(self, names: tuple[str, ...]):
        """Offer networks while the user types."""
        self._names.setStringList([*self._names.stringList(), *names])

    def show_values(self, values: dict):
        """Show what is said, with the keys of the file that could say it."""
        self.name_edit.setText(values.get("architecture", ""))
        classes = values.get("classes", 2)
        n_classes = classes if isinstance(classes, int) else len(classes)
        self.classes_spin.setValue(n_classes)

    def values(self) -> dict:
        """What the form says, with the keys of the file that could say it."""
        return {
            "architecture": self.name_edit.text().strip(),
            "classes": self.classes_spin.value(),
        }


def _add_rows(widget: QWidget, rows):
    """Labels, what is beside them, and which field they name."""
    form = QFormLayout(widget)
    form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
    form.setContentsMargins(0, 0, 0, 0)
    for row, (text, field, buddy) in enumerate(rows):
        form.addRow(text, field)
        form.itemAt(row, QFormLayout.LabelRole).widget().setBuddy(buddy)
    widget.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Maximum)
