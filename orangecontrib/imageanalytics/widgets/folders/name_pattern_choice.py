"""The choice of how to find the class of an image in the name of its file."""

from collections.abc import Sequence
from functools import partial
from html import escape
from threading import Event

from AnyQt.QtCore import Qt, Signal
from AnyQt.QtWidgets import (
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.import_images.name_patterns import (
    PRESETS,
    ClassCounts,
    NamePattern,
    PatternError,
    count_classes,
)
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    error_color,
    show_placeholder,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

CHOICES = (
    ("Text before the first _ or digit", "start"),
    ("Text before the number at the end", "before-number"),
    ("Text after the number at the start", "after-number"),
    ("Pattern", ""),
)
EXAMPLES = {
    "start": "cat_001.jpg, cat001.jpg → cat",
    "before-number": "red_fox_12.jpg → red_fox",
    "after-number": "025_tree_frog.jpg → tree_frog",
}
DEFAULT = "start"
FIRST_TEMPLATE = "{class}_*"
TIP = """\
<p>Describe the name of a file, with <b>{class}</b> where the class stands.
<b>*</b> is any text, <b>?</b> one character, <b>#</b> a number.</p>
<table>
<tr><td><b>{class}_*</b>&nbsp;&nbsp;</td><td>cat_001.jpg → cat</td></tr>
<tr><td><b>{class}_#</b>&nbsp;&nbsp;</td><td>red_fox_12.jpg → red_fox</td></tr>
<tr><td><b>*-{class}-*</b>&nbsp;&nbsp;</td><td>2024-cat-b.jpg → cat</td></tr>
</table>
<p>A regular expression is also taken, if it has a group (?P&lt;class&gt;…).</p>"""
_MOST_CLASSES = 500  # that are listed
_ROWS = 6


class NamePatternChoice(QWidget):
    """A list of presets, a field for a pattern, and the classes that it finds.

    Patterns are tried in a thread while the user types.
    """

    #: The user has chosen a pattern, and it is valid.
    changed = Signal(str)
    #: The user wants to see the names without a class.
    unmatched_asked = Signal(list)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._pattern = DEFAULT  # the last that was set or told
        self._names: Sequence[str] = ()
        self._found = ClassCounts()
        self._is_final = False
        self._cancelled = Event()
        self._trying = Background(self, self._show, self._show_error)
        self.combo = QComboBox(toolTip="What part of the name is the class")
        for text, preset in CHOICES:
            self.combo.addItem(text, preset)
            tip = EXAMPLES.get(preset, TIP)
            self.combo.setItemData(self.combo.count() - 1, tip, Qt.ToolTipRole)
        self.combo.activated.connect(self._choose)
        self.field = QLineEdit(toolTip=TIP, placeholderText=FIRST_TEMPLATE)
        show_placeholder(self.field)
        self.field.setAccessibleName("Pattern for names of files")
        self.field.textEdited.connect(lambda: self._try(is_final=False))
        self.field.editingFinished.connect(self._finish)
        self.problem = QLabel(wordWrap=True)
        self.preview = self._make_preview()
        self.summary = QLabel(wordWrap=True)
        self.summary.linkActivated.connect(
            lambda: self.unmatched_asked.emit(self._found.unmatched)
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.combo, self.field, self.problem, self.preview, self.summary):
            layout.addWidget(part)
        self.setFocusProxy(self.combo)
        self.set_pattern(DEFAULT)

    def _make_preview(self) -> QTreeWidget:
        preview = QTreeWidget()
        preview.setHeaderLabels(["Category", "Images", "Example"])
        preview.setRootIsDecorated(False)
        preview.setUniformRowHeights(True)
        preview.setSelectionMode(QTreeWidget.NoSelection)
        preview.setFocusPolicy(Qt.NoFocus)
        preview.setColumnWidth(0, 130)
        preview.header().setSectionResizeMode(1, QHeaderView.ResizeToContents)
        row = preview.fontMetrics().height() + 6
        preview.setFixedHeight((_ROWS + 1) * row)
        return preview

    @property
    def text(self) -> str:
        """The choice, for reports."""
        is_preset = self._pattern in PRESETS
        return self.combo.currentText() if is_preset else self._pattern

    def set_pattern(self, pattern: str) -> None:
        """Show a pattern and its effect without emitting signals."""
        self._pattern = pattern
        is_preset = pattern in PRESETS
        self.combo.setCurrentIndex(self.combo.findData(pattern if is_preset else ""))
        self.field.setVisible(not is_preset)
        if not is_preset and self.field.text() != pattern:
            self.field.setText(pattern)
        self._try(is_final=False)

    def set_names(self, names: Sequence[str]) -> None:
        """Show the classes of these names of files."""
        self._names = names
        # A pattern that was entered a moment ago is tried on these names instead.
        self._try(is_final=self._is_final and self._trying.busy)

    def show_problem(self, text: str) -> None:
        """Say below the field what is wrong with the pattern."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        style = f"color: {error_color(self.palette())}" if text else ""
        for part in (self.problem, self.field):
            part.setStyleSheet(style)

    def close_threads(self) -> None:
        """Stop trying patterns permanently."""
        self._cancelled.set()
        end_task(self._trying)

    def _choose(self, index: int) -> None:
        preset = self.combo.itemData(index)
        self.field.setVisible(not preset)
        if not preset:
            self.field.setText(self.field.text() or FIRST_TEMPLATE)
            self.field.setFocus()
        self._try(is_final=True)

    def _finish(self) -> None:
        # Not again if the focus leaves a field that was not edited.
        if self._entered() != self._pattern:
            self._try(is_final=True)

    def _entered(self) -> str:
        return self.combo.currentData() or self.field.text().strip()

    def _try(self, is_final: bool) -> None:
        """Try the entered pattern instead of any previous one."""
        self._is_final = is_final
        self._cancelled.set()
        self._trying.cancel()
        if not self._names and self._entered() in PRESETS:
            self._show(ClassCounts())
            return
        self._cancelled = Event()
        is_cancelled = self._cancelled.is_set
        self._trying.start(partial(_count, self._entered(), self._names, is_cancelled))

    def _show(self, found: ClassCounts | None) -> None:
        if found is None:
            return
        self._found = found
        self.show_problem("")
        self._fill_preview()
        self._show_summary(self._summary())
        entered = self._entered()
        if self._is_final and entered != self._pattern:
            self._pattern = entered
            self.changed.emit(entered)

    def _show_error(self, error: Exception) -> None:
        if not isinstance(error, PatternError):
            raise error
        self._found = ClassCounts()
        self.preview.clear()
        self._show_summary("")
        self.show_problem(str(error))

    def _show_summary(self, text: str) -> None:
        self.summary.setText(text)
        self.summary.setVisible(bool(text))

    def _fill_preview(self) -> None:
        self.preview.clear()
        counts = self._found.counts
        rows = []
        for name in sorted(counts, key=lambda name: (-counts[name], name)):
            example = self._found.examples[name]
            row = QTreeWidgetItem([name, f"{counts[name]:,}", example])
            row.setTextAlignment(1, int(Qt.AlignRight | Qt.AlignVCenter))
            rows.append(row)
            if len(rows) == _MOST_CLASSES:
                break
        self.preview.addTopLevelItems(rows)

    def _summary(self) -> str:
        n_classes, n_names = len(self._found.counts), len(self._names)
        if not n_names:
            return "When there are images, you see here what becomes of their names."
        text = f"{n_classes:,} {pl(n_classes, 'category')}"
        n_unmatched = len(self._found.unmatched)
        if n_unmatched:
            text += (
                f'; <a href="#">{n_unmatched:,} of {n_names:,} '
                f"{pl(n_names, 'name')}</a> without a category, such as "
                f"{escape(self._found.unmatched[0])}"
            )
        return text


def _count(pattern: str, names: Sequence[str], cancelled) -> ClassCounts | None:
    return count_classes(NamePattern(pattern), names, cancelled)
