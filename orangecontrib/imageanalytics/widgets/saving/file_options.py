"""The options of Save Images for the files that it writes."""

from collections.abc import Callable

from AnyQt.QtCore import QSignalBlocker, Qt
from AnyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSpinBox,
    QWidget,
)
from Orange.widgets import gui
from Orange.widgets.widget import OWWidget

from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network
from orangecontrib.imageanalytics.save_images import FORMATS, find_format
from orangecontrib.imageanalytics.widgets.utils.form_parts import setting_combo

SIZE = "size"  # of one's own, rather than a network's
KEEP, STRETCH, CROP = "keep", "stretch", "crop"
FITS = (
    ("Keep proportions", KEEP),
    ("Stretch", STRETCH),
    ("Crop to the middle", CROP),
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


class FileOptions(QWidget):
    """
    Controls for the format, the size and what happens to existing files.

    Parameters
    ----------
    owner : OWWidget
        Has the settings ``format``, ``quality``, ``use_scale``, ``scale_to``,
        ``image_width``, ``image_height``, ``fit`` and ``existing``.
    changed : callable
        Called after the user has changed one of them.
    """

    def __init__(self, owner: OWWidget, changed: Callable[[], None]):
        super().__init__()
        self._owner, self._changed = owner, changed
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        self._add_format(form)
        self._add_scale(form)
        self.fit_combo = self._combo("fit", FITS)
        form.addRow("&Proportions:", self.fit_combo)
        self.existing_combo = self._combo("existing", EXISTING)
        form.addRow("Files that &exist:", self.existing_combo)
        self._enable()

    def image_size(self) -> tuple[int, int] | None:
        """Width and height to scale images to, in pixels; None to keep theirs."""
        return self._size() if self._owner.use_scale else None

    def scale_text(self) -> str:
        """How images are scaled, for a report."""
        owner = self._owner
        if not owner.use_scale:
            return "no"
        if owner.scale_to == SIZE:
            size = f"{owner.image_width}{TIMES}{owner.image_height}"
        else:
            size = find_network(owner.scale_to).name
        fits = {
            KEEP: "keep proportions",
            STRETCH: "stretch",
            CROP: "crop to the middle",
        }
        return f"{size}, {fits[owner.fit]}"

    def _add_format(self, form):
        formats = [(format.name, format.id) for format in FORMATS]
        self.format_combo = self._combo("format", formats)
        self.quality_spin = self._spin("quality", 1, 100)
        self.quality_spin.setToolTip(
            "For files that are written anew; others are copied as they are"
        )
        quality_label = QLabel("&Quality:")
        quality_label.setBuddy(self.quality_spin)
        row = _row(self.format_combo, quality_label, self.quality_spin)
        form.addRow("&Format:", row)
        form.labelForField(row).setBuddy(self.format_combo)

    def _add_scale(self, form):
        self.scale_check = gui.checkBox(
            None, self._owner, "use_scale", "Sc&ale to:", callback=self._change
        )
        networks = [(f"Input of {network.name}", network.id) for network in NETWORKS]
        self.scale_combo = self._combo("scale_to", [("Size", SIZE), *networks])
        self.width_spin = self._spin("image_width", 1, LARGEST)
        self.height_spin = self._spin("image_height", 1, LARGEST)
        self.times_label = QLabel(TIMES)
        sizes = (self.width_spin, self.times_label, self.height_spin)
        form.addRow(self.scale_check, _row(self.scale_combo, *sizes))

    def _combo(self, attribute, choices) -> QComboBox:
        combo = setting_combo(self._owner, attribute, choices, self._change)
        combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        return combo

    def _spin(self, attribute, low, high) -> QSpinBox:
        spin = QSpinBox(minimum=low, maximum=high, keyboardTracking=False)
        spin.setValue(getattr(self._owner, attribute))
        spin.setAlignment(Qt.AlignRight)

        def changed(value):
            setattr(self._owner, attribute, value)
            self._change()

        spin.valueChanged.connect(changed)
        return spin

    def _change(self):
        self._enable()
        self._changed()

    def _enable(self):
        owner = self._owner
        self.quality_spin.setEnabled(find_format(owner.format).lossy)
        self.scale_combo.setEnabled(owner.use_scale)
        self.fit_combo.setEnabled(owner.use_scale)
        has_own_size = owner.use_scale and owner.scale_to == SIZE
        size = self._size()
        for spin, side in zip((self.width_spin, self.height_spin), size, strict=True):
            spin.setEnabled(has_own_size)
            # The size of a network is shown; the user's own is kept.
            with QSignalBlocker(spin):
                spin.setValue(side)
        self.times_label.setEnabled(has_own_size)

    def _size(self) -> tuple[int, int]:
        owner = self._owner
        if owner.scale_to == SIZE:
            return owner.image_width, owner.image_height
        return (find_network(owner.scale_to).input_size,) * 2


def _row(*widgets) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
