"""The part of Image Grid that lays images out: its controls, its thread, its size."""

import copy
import logging
import math

import numpy as np
from AnyQt.QtCore import Qt, QTimer
from AnyQt.QtWidgets import QPushButton
from Orange.widgets import gui
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.image_grid import ImageGrid
from orangecontrib.imageanalytics.widgets.grid import grid_task
from orangecontrib.imageanalytics.widgets.grid.grid_task import (
    Task,
    fitting_size,
    image_rooms,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import setting_combo
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

LAYOUTS = (("t-SNE", "t-sne"), ("PCA", "pca"), ("MDS", "mds"))
FAILED = "The images could not be laid out. The message below says why."
MIN_SIZE, MAX_SIZE = 1, 1000
# While a window is resized, the grid waits until its size is settled.
SETTLE_MS = 400
WORTH_IT = 1.1  # a new grid is made if it enlarges images by this factor
# Before the window is laid out, the sizes of its widgets have no meaning.
USUAL_WINDOW = 800, 720


class GridLayoutMixin(ConcurrentWidgetMixin):
    """
    Lays images out in a thread.

    The widget has the view, the settings `layout_method`, `auto_size`, `columns` and
    `rows`, and the input of the layout: `data`, `_imaged` and `_sources`. The result
    is in `grid`, and `_show_grid` and `_finish` are called with it.
    """

    def _init_layout(self):
        ConcurrentWidgetMixin.__init__(self)
        self.grid: ImageGrid | None = None
        self._image_aspect: float | None = None

    # Controls

    def _make_grid_box(self):
        self.options.add_box("Grid")
        self.layout_combo = setting_combo(
            self, "layout_method", LAYOUTS, self._restart_with_selection
        )
        tip = "How likeness is measured; t-SNE keeps the most neighbors together"
        self.options.add_row("Layout:", self.layout_combo, tip)
        check = gui.checkBox(
            None,
            self,
            "auto_size",
            "Set size automatically",
            callback=self._change_auto_size,
        )
        self.options.add_row("", check, "As few cells as fill the window")
        self.spins = []
        for name, label, callback in (
            ("columns", "Columns:", self._change_columns),
            ("rows", "Rows:", self._change_rows),
        ):
            spin = gui.spin(
                None,
                self,
                name,
                MIN_SIZE,
                MAX_SIZE,
                callback=callback,
                alignment=Qt.AlignmentFlag.AlignRight,
            )
            self.options.add_row(label, spin)
            self.spins.append(spin)

    def _make_run_button(self):
        self.run_button = QPushButton(
            "Stop", autoDefault=False, enabled=False, clicked=self._start_or_stop
        )
        self.buttonsArea.layout().addWidget(self.run_button)

    def _follow_window(self):
        self._resize_timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._resize_timer.timeout.connect(self._fit_window)
        self.view.resized.connect(self._resize_timer.start)
        self._show_spins()

    def _show_spins(self):
        for spin in self.spins:
            spin.setEnabled(not self.auto_size)

    def _change_auto_size(self):
        self._show_spins()
        if self.auto_size:
            self._change_size()

    def _change_columns(self):
        self.rows = max(self.rows, math.ceil(self._count() / self.columns))
        self._change_size()

    def _change_rows(self):
        self.columns = max(self.columns, math.ceil(self._count() / self.rows))
        self._change_size()

    def _count(self) -> int:
        return len(self.grid) if self.grid is not None else len(self._imaged)

    def _change_size(self):
        if self.grid is not None and len(self.grid):
            self._start()
        elif self.task is not None:
            self._restart()

    # The work

    def _start(self):
        self.Information.stopped.clear()
        self.run_button.setText("Stop")
        self.run_button.setEnabled(True)
        self._on_progress(0)
        task = Task(
            data=self.data,
            rows=self._imaged,
            sources=[self._sources[row] for row in self._imaged],
            layout=self.layout_method,
            size=None if self.auto_size else (self.columns, self.rows),
            window=self._window(),
            # A copy, since a cancelled task may not have ended yet.
            grid=copy.copy(self.grid),
            aspect=self._image_aspect,
        )
        self.start(grid_task.lay_out, task)

    def _window(self) -> tuple[int, int, int]:
        label = self.fontMetrics().height() if self.label_attr is not None else 0
        if not self.view.isVisible():
            return *USUAL_WINDOW, label
        room = self.view.maximumViewportSize()
        return max(1, room.width()), max(1, room.height()), label

    def _on_progress(self, fraction: float):
        count = len(self._imaged)
        self.view.set_message(
            f"Laying out {count:,} {pl(count, 'image')}… {fraction:.0%}"
        )

    def on_partial_result(self, fraction: float):
        """Show the progress of the work."""
        self._on_progress(fraction)

    def on_done(self, result: tuple[ImageGrid, float]):
        """Show the grid."""
        self.run_button.setEnabled(False)
        first, message = self.grid is None, ""
        self.grid, self._image_aspect = grid, _ = result
        n_skipped = len(grid.skipped)
        if not len(grid):
            reason = "all vectors have missing or only equal values"
            self.Warning.no_valid_data(reason)
            message = "No image can be laid out: " + reason + "."
        elif n_skipped:
            self.Warning.left_out(
                f"{n_skipped:,} {pl(n_skipped, 'image is|images are')}"
            )
        self._show_grid(first)
        self._finish(message)

    def on_exception(self, ex: Exception):
        """Say why there is no grid."""
        self.run_button.setEnabled(False)
        if isinstance(ex, MemoryError):
            self.Error.out_of_memory()
        else:
            log.exception("Laying out failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._finish("" if self.grid is not None else FAILED)

    def _start_or_stop(self):
        if self.task is None:
            self._start()
            return
        self.cancel()
        self.Information.stopped()
        self.run_button.setText("Start")
        self.run_button.setEnabled(True)
        self._finish(
            "" if self.grid is not None else "Stopped. Press Start to begin again."
        )

    def cancel(self):
        """Stop any running work."""
        self.run_button.setEnabled(False)
        super().cancel()

    def _fit_window(self):
        """Adapt the grid to the window if this makes the images larger."""
        is_whole = self.view.isVisible() and self.view.scale() == 1
        if not self.auto_size or not is_whole or not self._shown.size or self.task:
            return
        window, aspect = self._window(), self._image_aspect
        best = fitting_size(len(self.grid), window, aspect)
        sizes = np.array([(self.grid.size_x, self.grid.size_y), best])
        now, then = image_rooms(sizes[:, 0], sizes[:, 1], window, aspect)
        if then > WORTH_IT * now:
            self._start()

    def onDeleteWidget(self):
        """Stop laying out."""
        end_task(self)
        super().onDeleteWidget()
