"""The choice between all rows and a random sample, with the memory that they take."""

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import (
    QGridLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from orangecontrib.imageanalytics.vector_files.dataset import VectorDataset
from orangecontrib.imageanalytics.widgets.utils.form_parts import error_color
from orangecontrib.imageanalytics.widgets.vectors.texts import size

ALL, SAMPLE = "all", "sample"
MOST = 10**9
_SAMPLE_TIP = "Images are drawn at random, each with the same probability"


class RowsChoice(QWidget):
    """Shows what is chosen and how much memory it takes.

    Parameters
    ----------
    rows : {"all", "sample"}
    sample_size : int
    """

    #: The user has chosen all or a sample, or another size of the sample.
    changed = Signal()
    #: The user wants another sample.
    another = Signal()

    def __init__(self, rows: str, sample_size: int):
        super().__init__()
        self._dataset: VectorDataset | None = None
        self._free = 0
        self.all_button = QRadioButton("&All")
        self.sample_button = QRadioButton("Random &sample of", toolTip=_SAMPLE_TIP)
        self.spin = QSpinBox(minimum=1, maximum=MOST, value=sample_size)
        self.spin.setGroupSeparatorShown(True)
        self.spin.setKeyboardTracking(False)
        self.spin.setAlignment(Qt.AlignRight)
        self.spin.setMaximumWidth(self.spin.fontMetrics().horizontalAdvance("0") * 18)
        self.spin.setAccessibleName("Number of images in the sample")
        self.another_button = QPushButton(
            "New Sample", autoDefault=False, toolTip="Draw other images"
        )
        self.another_button.setSizePolicy(QSizePolicy.Maximum, QSizePolicy.Fixed)
        self.all_memory, self.sample_memory = QLabel(), QLabel()
        (self.sample_button if rows == SAMPLE else self.all_button).setChecked(True)
        self._lay_out()
        self.all_button.toggled.connect(self._toggled)
        self.spin.valueChanged.connect(self._size_chosen)
        self.spin.lineEdit().textEdited.connect(lambda _text: self._show_memory())
        self.another_button.clicked.connect(lambda: self.another.emit())
        self.show_dataset(None, 0)

    def _lay_out(self):
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.all_button, 0, 0)
        grid.addWidget(self.all_memory, 0, 2)
        grid.addWidget(self.sample_button, 1, 0)
        grid.addWidget(self.spin, 1, 1)
        grid.addWidget(self.sample_memory, 1, 2)
        grid.addWidget(self.another_button, 1, 3)
        grid.setColumnStretch(2, 1)

    @property
    def rows(self) -> str:
        """What is chosen: "all" or "sample"."""
        return SAMPLE if self.sample_button.isChecked() else ALL

    @property
    def sample_size(self) -> int:
        """Number of images in the sample."""
        return self.spin.value()

    def show_dataset(self, dataset: VectorDataset | None, free: int) -> None:
        """
        Show how much memory the rows take.

        Parameters
        ----------
        dataset : VectorDataset or None
        free : int
            Bytes of memory that are free.
        """
        self._dataset, self._free = dataset, free
        self._show_memory()
        self._enable()

    def _show_memory(self):
        sample = self.spin.valueFromText(self.spin.text())
        for label, n_rows in ((self.all_memory, MOST), (self.sample_memory, sample)):
            text = ""
            if self._dataset is not None:
                n_images = self._dataset.n_rows - (self._dataset.n_failed or 0)
                n_bytes = self._dataset.table_bytes(min(n_rows, n_images))
                text = f"{size(n_bytes)} of memory"
                if n_bytes > self._free:
                    color = error_color(self.palette())
                    text += f', <span style="color: {color}">'
                    text += f"{size(self._free)} free</span>"
            label.setText(text)

    def _enable(self):
        self.another_button.setEnabled(self.rows == SAMPLE)

    def _toggled(self):
        self._enable()
        self.changed.emit()

    def _size_chosen(self):
        self._show_memory()
        if self.rows == SAMPLE:
            self.changed.emit()
        else:
            self.sample_button.setChecked(True)  # which emits it
