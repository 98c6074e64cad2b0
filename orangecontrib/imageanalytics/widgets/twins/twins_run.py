"""The part of Twins that finds them: its controls, its thread, what it says."""

import logging

from AnyQt.QtCore import Qt
from AnyQt.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget
from Orange.widgets import gui
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.twins import (
    MOST_THRESHOLD,
    NoVectorsError,
    TwinFinder,
    Twins,
)
from orangecontrib.imageanalytics.widgets.twins.twins_task import Found, Task, find
from orangecontrib.imageanalytics.widgets.utils.form_parts import setting_combo, wrap
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

METHODS = (
    ("Hashes and vectors", "both"),
    ("Hashes of the images", "hash"),
    ("Vectors", "vectors"),
    ("Content of the files", "content"),
)
METHOD_TIP = """\
<p>What is compared.</p>
<p>Hashes find the same image in another size, format or brightness, also mirrored.
Vectors, which Image Embedding makes, also find images that are cropped. The content of
files finds only exact copies.</p>"""
DISTANCE_TIP = """\
<p>The greatest distance of twins. At 1, hardly any different images are taken for
twins.</p>"""
MOST_DISTANCE = round(100 * MOST_THRESHOLD)
FAILED = "The twins could not be found. The message below says why."
STOPPED = "Stopped. Press Start to begin again."


class TwinsRunMixin(ConcurrentWidgetMixin):
    """
    Finds twins in a thread.

    The widget has the table `data`, the settings `image_attr`, `method`, `distance` and
    `n_folds`, and the view. The result is in `twins` and, with the tables, in `found`.
    When they have changed, `show_twins` and `send_twins` are called. `none_was_read`
    says whether no image could be read.
    """

    def __init__(self):
        ConcurrentWidgetMixin.__init__(self)
        self.twins: Twins | None = None
        self.found: Found | None = None
        self._finder: TwinFinder | None = None
        # What was read of images, also by runs that were stopped.
        self._known: dict = {}

    # Controls

    def make_method_rows(self) -> None:
        """Add what determines which images are twins."""
        self.method_combo = setting_combo(
            self, "method", METHODS, self._on_method_changed
        )
        self.options.add_row("Compare:", self.method_combo, METHOD_TIP)
        self.slider = gui.hSlider(
            None,
            self,
            "distance",
            minValue=0,
            maxValue=MOST_DISTANCE,
            step=5,
            callback=self._show_distance,
            callback_finished=self.find,
            createLabel=False,
        )
        self.slider.setAccessibleName("Distance")
        self._distance_label = QLabel()
        self.options.add_row("Distance:", self._with_ends(), DISTANCE_TIP)
        self._show_distance()

    def _with_ends(self) -> QWidget:
        """The slider, with what its ends mean below."""
        whole = QWidget()
        grid = QGridLayout(whole)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(0)
        grid.addWidget(self.slider, 0, 0, 1, 2)
        grid.addWidget(self._distance_label, 0, 2)
        # As wide for all numbers, so that the slider keeps its length.
        width = self._distance_label.fontMetrics().horizontalAdvance("0.00")
        self._distance_label.setMinimumWidth(width)
        grid.addWidget(QLabel("strict"), 1, 0)
        grid.addWidget(QLabel("loose"), 1, 1, Qt.AlignmentFlag.AlignRight)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        whole.setFocusProxy(self.slider)
        return whole

    def make_status(self, box: QWidget) -> None:
        """Add the text that says what was found."""
        self.status = QLabel()
        wrap(self.status)
        self.status.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextBrowserInteraction
        )
        self.status.linkActivated.connect(lambda _: self.show_unreadable())
        box.layout().addWidget(self.status)

    def make_run_button(self) -> None:
        """Add the button that stops the work, or starts it again."""
        self.run_button = QPushButton(
            "Stop", autoDefault=False, enabled=False, clicked=self._start_or_stop
        )
        self.buttonsArea.layout().addWidget(self.run_button)

    def _show_distance(self) -> None:
        self._distance_label.setText(f"{self.distance / 100:.2f}")
        self.slider.setEnabled(self.method != "content")

    def _on_method_changed(self) -> None:
        self._finder = None
        self._show_distance()
        self.find()

    # The work

    def forget(self) -> None:
        """Stop; the data or the column has changed."""
        self.cancel()
        self._finder = self.twins = self.found = None

    def find(self) -> None:
        """Find the twins in the data, if there is any."""
        self._run(None)

    def distribute(self) -> None:
        """Make the tables again, with another number of folds."""
        if self.task is not None:
            self.find()
        elif self.twins is not None:  # else the work was stopped, or failed
            self._run(self.twins)

    def _run(self, twins: Twins | None) -> None:
        self.cancel()
        if self.data is None or self.image_attr is None:
            return
        self.clear_result_messages()
        self.run_button.setText("Stop")
        self.run_button.setEnabled(True)
        self.on_partial_result(0.0)
        self.setInvalidated(True)
        task = Task(
            self.data,
            self.image_attr,
            self.method,
            self.distance / 100,
            self._known,
            self.n_folds,
            self._finder,
            twins,
        )
        self.start(find, task)

    def clear_result_messages(self) -> None:
        """Forget what was said about the last run."""
        for message in (
            self.Error.no_vectors,
            self.Error.out_of_memory,
            self.Error.unexpected_error,
            self.Warning.unreadable,
            self.Warning.chained,
            self.Information.stopped,
        ):
            message.clear()

    def on_partial_result(self, fraction: float) -> None:
        """Show the progress."""
        n_rows = len(self.data)
        if self.twins is None:
            self.view.set_message(
                f"Comparing {n_rows:,} {pl(n_rows, 'image')}… {fraction:.0%}"
            )
        self.status.setText(f"Comparing… {fraction:.0%}")

    def on_done(self, found: Found) -> None:
        """Show the twins."""
        self._end()
        is_new = found.twins is not self.twins
        self.found, self._finder, self.twins = found, found.finder, found.twins
        n_unreadable = len(self.twins.failures)
        if n_unreadable:
            self.Warning.unreadable(
                f"{n_unreadable:,} {pl(n_unreadable, 'image')}",
            )
        n_chained = int(self.twins.chained.sum())
        if n_chained:
            self.Warning.chained(
                f"{n_chained:,} {pl(n_chained, 'image is|images are')}"
            )
        self.status.setText(self._summary())
        if is_new:
            self.show_twins()
        self.send_twins()

    def _summary(self) -> str:
        n_groups, n_failures = self.twins.n_groups, len(self.twins.failures)
        n_left_out = int((~self.twins.kept).sum())
        lines = ["No twins"]
        if n_groups:
            lines = [
                f"{n_groups:,} {pl(n_groups, 'group')} of twins; "
                f"{n_left_out:,} {pl(n_left_out, 'image')} left out"
            ]
        if self.method == "both" and not self._finder.has_vectors:
            lines.append("There are no vectors; hashes are compared.")
        if self.none_was_read():
            lines = []
        if n_failures:
            lines.append(f'<a href="#unreadable">{n_failures:,} not read</a>')
        return "<br/>".join(lines)

    def on_exception(self, ex: Exception) -> None:
        """Say why there is no result."""
        self._end()
        self.twins = self.found = None
        if isinstance(ex, NoVectorsError):
            self.Error.no_vectors()
        elif isinstance(ex, MemoryError):
            self.Error.out_of_memory()
        else:
            log.exception("Finding twins failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self.status.setText("")
        self.show_twins(FAILED)
        self.send_twins()

    def _start_or_stop(self) -> None:
        if self.task is None:
            self.find()
            return
        self.cancel()
        self.twins = self.found = None
        self.Information.stopped()
        self.status.setText(STOPPED)
        self.run_button.setText("Start")
        self.run_button.setEnabled(True)
        self.show_twins(STOPPED)
        self.send_twins()

    def _end(self) -> None:
        self.run_button.setEnabled(False)
        self.setInvalidated(False)

    def cancel(self) -> None:
        """Stop any running work."""
        self._end()
        super().cancel()

    def show_unreadable(self) -> None:
        """Open the list of images that cannot be read."""
        failures = list(self.twins.failures.items()) if self.twins else []
        SkippedDialog(failures, self, "Images Not Read", "Images not read").show()

    def onDeleteWidget(self) -> None:
        """Stop the work."""
        end_task(self)
        super().onDeleteWidget()
