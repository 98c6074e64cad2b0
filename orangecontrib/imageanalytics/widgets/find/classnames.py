"""The names of the classes into which images are sorted."""

from __future__ import annotations

from collections.abc import Sequence

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.widgets.find.question import class_names_of
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    combo_of,
    show_placeholder,
)

LINES = 4
PLACEHOLDER = "One class in each line, for example:\ncat\ndog"
#: Keys of `TEMPLATES`, as they are called here.
TEMPLATE_NAMES = (
    ("A photo of a …", "photo"),
    ("Photos, drawings and others", "ensemble"),
    ("As they are", "none"),
)
TEMPLATES_TIP = """\
<p>How the names are put into sentences, which networks know better than single
words.</p>
<p><b>A photo of a …</b>: the sentence "a photo of a cat."<br/>
<b>Photos, drawings and others</b>: the mean of seven sentences, such as "art of the
cat."<br/>
<b>As they are</b>: each name is a complete description, such as "a cat asleep on a
sofa", in any language that the network knows.</p>"""


class ClassNames(QWidget):
    """A field for names, one in each line, and what is done with them."""

    #: The user has changed the names, or what is done with them.
    changed = Signal()
    #: The user wants the classes that the data has.
    classes_asked = Signal()

    def __init__(self):
        super().__init__()
        self.edit = QPlainTextEdit(placeholderText=PLACEHOLDER)
        self.edit.setTabChangesFocus(True)
        show_placeholder(self.edit)
        self.edit.setAcceptDrops(False)  # files are examples, wherever they are dropped
        self.edit.setAccessibleName("Classes, one in each line")
        self.edit.setFixedHeight(
            LINES * self.edit.fontMetrics().lineSpacing()
            + 2 * int(self.edit.document().documentMargin())
            + 2 * self.edit.frameWidth()
        )
        self.edit.textChanged.connect(self.changed)
        self.templates_combo = combo_of(TEMPLATE_NAMES)
        self.templates_combo.setToolTip(TEMPLATES_TIP)
        self.templates_combo.activated.connect(lambda _: self.changed.emit())
        label = QLabel("&Sentence:", toolTip=TEMPLATES_TIP)
        label.setBuddy(self.templates_combo)
        self.data_button = QPushButton("&Classes of the Data", autoDefault=False)
        self.data_button.clicked.connect(lambda: self.classes_asked.emit())
        line = QHBoxLayout()
        for part in (label, self.templates_combo, self.data_button):
            line.addWidget(part)
        line.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.edit)
        layout.addLayout(line)
        self.setSizePolicy(QSizePolicy.Preferred, QSizePolicy.Fixed)
        self.offer_classes(())

    @property
    def names(self) -> list[str]:
        """The different names."""
        return list(class_names_of(self.edit.toPlainText()))

    def set_names(self, names: Sequence[str]) -> None:
        """Replace the names."""
        self.edit.setPlainText("\n".join(names))

    @property
    def templates(self) -> str:
        """A key of `TEMPLATES`."""
        return self.templates_combo.currentData()

    def set_templates(self, templates: str) -> None:
        """Choose a key of `TEMPLATES`, without emitting signals."""
        self.templates_combo.setCurrentIndex(self.templates_combo.findData(templates))

    def offer_classes(self, values: Sequence[str]) -> None:
        """Say which classes the data has; there may be none."""
        self.data_button.setEnabled(bool(values))
        tip = "The data has no classes"
        if values:
            tip = f"Use the {len(values):,} classes of the data: {', '.join(values)}"
        self.data_button.setToolTip(tip[:300])

    def focus(self) -> None:
        """Go to the names."""
        self.edit.setFocus(Qt.ShortcutFocusReason)
