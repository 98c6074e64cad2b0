"""The controls of Explain Images."""

from typing import ClassVar

from AnyQt.QtCore import Qt
from AnyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)
from Orange.widgets import gui
from Orange.widgets.settings import Setting

from orangecontrib.imageanalytics.explain import KINDS, METHODS
from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import shortened
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    auto_send,
    narrow,
    setting_combo,
    wrap,
)

PREDICTED = "Predicted class"
METHOD_NAMES = {
    "auto": "Automatic",
    "activation": "Class activation map",
    "occlusion": "Occlusion",
}
KIND_NAMES = {"overlay": "Heat map over image", "grey": "Heat map in grey"}
MAX_NAME = 60

TIPS = {
    "class": "The class whose evidence is shown",
    "like": "The image with which the others are compared",
    "method": "Class activation maps are exact, but only for linear models and "
    "networks that average; occlusion hides parts and is for all models",
    "strength": "How much of the images is covered",
    "kind": "What is in the files",
}


class ExplainControlsMixin:
    """The controls, and their settings."""

    method: str = Setting("auto", valid=one_of(*METHODS))
    #: Name of the class to explain; empty for the predicted one
    target: str = Setting("")
    #: Row of the image with which others are compared, if there is no model
    like: int = Setting(0, valid=between(0, 2**31 - 1), schema_only=True)
    strength: int = Setting(60, valid=between(0, 100))
    size_setting: ClassVar = "image_size"
    image_size: int = Setting(
        140, valid=between(FlowGeometry.smallest, FlowGeometry.largest)
    )
    kind: str = Setting("overlay", valid=one_of(*KINDS))
    auto_commit: bool = Setting(True)

    def _make_controls(self) -> None:
        self._make_question_box()
        self._make_look_box()
        self._make_save_box()
        gui.rubber(self.controlArea)
        auto_send(self, "auto_commit")

    def _make_question_box(self) -> None:
        box = self.options.add_box("Explain")
        self.class_combo = QComboBox()
        narrow(self.class_combo)
        self.class_combo.activated.connect(self._on_class_chosen)
        self.options.add_row("Class:", self.class_combo, TIPS["class"])
        self.like_label = QLineEdit(readOnly=True)
        self.like_button = QPushButton(
            "Use Current", autoDefault=False, clicked=self.compare_with_current
        )
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.like_label, 1)
        layout.addWidget(self.like_button)
        self.options.add_row("Similar to:", row, TIPS["like"])
        self.method_combo = setting_combo(
            self,
            "method",
            [(METHOD_NAMES[name], name) for name in METHODS],
            self.restart,
        )
        self.options.add_row("Method:", self.method_combo, TIPS["method"])
        self.status_label = QLabel()
        wrap(self.status_label)
        self.status_label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )
        box.layout().addWidget(self.status_label)
        self.run_button = QPushButton("Start", autoDefault=False)
        self.run_button.clicked.connect(self._start_or_stop)
        box.layout().addWidget(self.run_button)

    def _make_look_box(self) -> None:
        self.options.add_box("Look")
        strength = gui.hSlider(
            None,
            self,
            "strength",
            minValue=0,
            maxValue=100,
            step=5,
            callback=self._show_heat,
            createLabel=False,
        )
        self.options.add_row("Strength:", strength, TIPS["strength"])
        self.add_size_slider()

    def _make_save_box(self) -> None:
        box = self.options.add_box("Files")
        kinds = [(KIND_NAMES[name], name) for name in KINDS]
        self.kind_combo = setting_combo(self, "kind", kinds, lambda: None)
        self.options.add_row("Save as:", self.kind_combo, TIPS["kind"])
        self.save_button = QPushButton(
            "Save Heat Maps…", autoDefault=False, clicked=self.save_maps
        )
        box.layout().addWidget(self.save_button)

    # Showing ------------------------------------------------------------------------

    def _show_classes(self, classes) -> None:
        """Offer the classes of the model."""
        self.class_combo.clear()
        if classes:
            self.class_combo.addItem(PREDICTED, "")
        for name in classes:
            self.class_combo.addItem(name, name)
        place = self.class_combo.findData(self.target)
        self.class_combo.setCurrentIndex(max(0, place))
        self.class_combo.setEnabled(bool(classes))

    def _show_compared(self, source: str | None) -> None:
        """Show with which image others are compared; None if there is a model."""
        text = "" if source is None else shortened(file_name(source), MAX_NAME)
        self.like_label.setText(text)
        self.like_label.setCursorPosition(0)
        self.like_label.setEnabled(source is not None)
        self.like_button.setEnabled(source is not None)

    def _on_class_chosen(self) -> None:
        target = self.class_combo.currentData()
        if target != self.target:
            self.target = target
            self.restart()
