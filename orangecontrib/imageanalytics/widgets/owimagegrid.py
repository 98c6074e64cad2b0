"""Image Grid: images on a grid, like ones side by side."""

import copy
import logging
import math
from dataclasses import dataclass

import numpy as np
from AnyQt.QtCore import QSize, Qt, QTimer
from AnyQt.QtWidgets import QComboBox, QPushButton
from Orange.data import DiscreteVariable, Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.annotated_data import (
    create_annotated_table,
    create_groups_table,
)
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.utils.localization import pl
from Orange.widgets.widget import Input, Msg, Output, OWWidget
from orangewidget.report.report import get_html_img

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.image_grid import ImageGrid, grid_size
from orangecontrib.imageanalytics.images.intensity import column_intensity
from orangecontrib.imageanalytics.images.sources import column_sources, image_columns
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    all_between,
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.gridview import (
    GridView,
    slider_to_zoom,
    zoom_to_slider,
)
from orangecontrib.imageanalytics.widgets.utils.imagepreview import ImagePreview
from orangecontrib.imageanalytics.widgets.utils.threads import end_task
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    ThumbnailModel,
    row_titles,
    shown_source,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)

log = logging.getLogger(__name__)

LAYOUTS = (("t-SNE", "t-sne"), ("PCA", "pca"), ("MDS", "mds"))
WHOLE, SQUARE = range(2)
MIN_SIZE, MAX_SIZE = 1, 1000
# While a window is resized, the grid waits until its size is settled.
SETTLE_MS = 400
WORTH_IT = 1.1  # images larger by this are worth another grid


@dataclass(frozen=True)
class Task:
    """What is to be laid out: rows of the data, or a grid made before."""

    data: Table
    rows: np.ndarray
    layout: str
    size: tuple[int, int] | None
    aspect: float
    grid: ImageGrid | None


def lay_out(task: Task, state) -> ImageGrid:
    """Run in a thread: the whole work."""

    def report(fraction: float) -> None:
        if state.is_interruption_requested():
            raise Cancelled("cancelled")
        state.set_progress_value(100 * fraction)
        state.set_partial_result(fraction)

    grid = task.grid
    if grid is None:
        all_rows = len(task.rows) == len(task.data)
        data = task.data if all_rows else task.data[task.rows]
        grid = ImageGrid(data, task.layout)
    size = task.size or grid_size(len(grid), task.aspect)
    if size[0] * size[1] < len(grid):
        size = size[0], math.ceil(len(grid) / size[0])
    grid.process(*size, callback=report)
    return grid


class OWImageGrid(OWWidget, ConcurrentWidgetMixin):
    """Shows images on a grid by their likeness; outputs the selected ones."""

    name = "Image Grid"
    description = "Show images on a grid, similar ones side by side."
    keywords = "image grid, grid, image, picture, photo, similarity, map"
    icon = "icons/ImageGrid-symbolic.svg"
    priority = 160

    class Inputs:
        data = Input("Embeddings", Table, default=True)
        data_subset = Input("Data Subset", Table)

    class Outputs:
        selected_data = Output("Selected Images", Table, default=True)
        data = Output("Images", Table)

    class Warning(OWWidget.Warning):
        incompatible_subset = Msg("No Data Subset elements appear in the data.")
        extras_in_subset = Msg("Some Data Subset elements do not appear in the data.")
        no_valid_data = Msg("There is nothing to lay out: {}.")
        left_out = Msg("{} left out: the vectors have missing or all equal values.")
        no_images_shown = Msg("Images cannot be shown: {}.\n{}")

    class Error(OWWidget.Error):
        no_image_attr = Msg(
            "The data has no column with images.\n"
            "It must be a text or categorical column, among the meta attributes, "
            "that holds file names or addresses."
        )
        no_features = Msg("The data has no features. Use Image Embedding first.")
        out_of_memory = Msg("There is not enough memory for a grid of these images.")
        unexpected_error = Msg("The images could not be laid out: {}")

    class Information(OWWidget.Information):
        stopped = Msg("Stopped. Start begins anew.")

    settingsHandler = CheckedDomainContextHandler()
    settings_version = 2
    imageAttr: Variable | None = ContextSetting(None)
    label_attr: Variable | None = ContextSetting(None)
    color_attr: Variable | None = ContextSetting(None)
    #: From contexts of version 1, until the data says which column it is
    old_column_index: int | None = ContextSetting(None)
    layout_method: str = Setting("t-sne", valid=one_of(*dict(LAYOUTS).values()))
    cell_fit: int = Setting(WHOLE, valid=one_of(WHOLE, SQUARE))
    auto_size: bool = Setting(True)
    columns: int = Setting(10, valid=between(MIN_SIZE, MAX_SIZE))
    rows: int = Setting(10, valid=between(MIN_SIZE, MAX_SIZE))
    auto_commit: bool = Setting(True)
    #: Rows of the data, and their groups, as saved with the workflow
    selection: list[tuple[int, int]] = Setting(
        [], schema_only=True, valid=all_between(0, 2**31 - 1)
    )

    graph_name = "sheet"

    def __init__(self):
        OWWidget.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self.data: Table | None = None
        self.data_subset: Table | None = None
        self.grid: ImageGrid | None = None
        # Rows of the data that have an image, and those on the grid, as in the view.
        self._imaged = np.zeros(0, dtype=int)
        self._shown = np.zeros(0, dtype=int)
        self._sources: list[str | None] = []
        self._pending_selection = self.selection
        self._any_shown = False
        self.zoom = 0
        self._make_columns_box()
        self._make_grid_box()
        self._make_look_boxes()
        self._make_buttons()
        self._make_view()

    # Layout -----------------------------------------------------------------------

    def _make_columns_box(self):
        box = gui.vBox(self.controlArea, "Images")
        self.image_model = VariableListModel(parent=self)
        self.label_model = DomainModel(placeholder="(None)")
        self.color_model = DomainModel(
            placeholder="(None)", valid_types=(DiscreteVariable,)
        )
        for name, label, model, callback, tip in (
            ("imageAttr", "Column:", self.image_model, self._change_images, "paths"),
            ("label_attr", "Label:", self.label_model, self._show_labels, "labels"),
            ("color_attr", "Color:", self.color_model, self._show_colors, "colors"),
        ):
            gui.comboBox(
                box,
                self,
                name,
                label=label,
                tooltip=f"The column with the images' {tip}",
                callback=callback,
                orientation=Qt.Orientation.Horizontal,
                labelWidth=56,
                contentsLength=12,
                searchable=True,
                model=model,
            )

    def _make_grid_box(self):
        box = gui.vBox(self.controlArea, "Grid")
        self.layout_combo = QComboBox(
            toolTip="How likeness is measured; t-SNE keeps the most neighbours together"
        )
        for text, value in LAYOUTS:
            self.layout_combo.addItem(text, value)
        self.layout_combo.setCurrentIndex(
            self.layout_combo.findData(self.layout_method)
        )
        self.layout_combo.activated.connect(self._change_layout)
        row = gui.hBox(box)
        gui.label(row, self, "Layout:", labelWidth=56)
        row.layout().addWidget(self.layout_combo, 1)
        gui.checkBox(
            box,
            self,
            "auto_size",
            "Set size automatically",
            callback=self._change_auto_size,
            tooltip="As few cells as fill the window",
        )
        self.spins = [
            gui.spin(
                box,
                self,
                name,
                MIN_SIZE,
                MAX_SIZE,
                label=label,
                callback=callback,
                alignment=Qt.AlignmentFlag.AlignRight,
            )
            for name, label, callback in (
                ("columns", "Columns:", self._change_columns),
                ("rows", "Rows:", self._change_rows),
            )
        ]

    def _make_look_boxes(self):
        gui.radioButtons(
            self.controlArea,
            self,
            "cell_fit",
            ["Whole image", "Square crop"],
            box="Cells",
            callback=lambda: self.view.set_crop(self.cell_fit == SQUARE),
        )
        gui.hSlider(
            self.controlArea,
            self,
            "zoom",
            box="Zoom",
            minValue=0,
            maxValue=100,
            callback=lambda: self.view.set_zoom(slider_to_zoom(self.zoom)),
            createLabel=False,
            tooltip="Or hold Ctrl and turn the mouse wheel",
        )
        gui.rubber(self.controlArea)

    def _make_buttons(self):
        gui.auto_send(self.buttonsArea, self, "auto_commit")
        self.run_button = QPushButton(
            "Stop", autoDefault=False, enabled=False, clicked=self._start_or_stop
        )
        self.buttonsArea.layout().addWidget(self.run_button)

    def _make_view(self):
        self.loader = ThumbnailLoader(self)
        self.loader.loaded.connect(self._on_loaded)
        self.view = GridView()
        self.view.setModel(ThumbnailModel(self.loader, self))
        self.view.set_crop(self.cell_fit == SQUARE)
        self.view.groups_changed.connect(self._on_groups_changed)
        self.view.zoomed.connect(self._on_zoomed)
        self.mainArea.layout().addWidget(self.view)
        self.preview = ImagePreview(self.view)
        self._resize_timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._resize_timer.timeout.connect(self._fit_window)
        self.view.resized.connect(self._resize_timer.start)
        self._show_spins()

    @property
    def sheet(self):
        """What Save Image saves: the visible part of the grid, without its bars."""
        return self.view.viewport()

    def sizeHint(self):
        """Room for a good number of images."""
        return QSize(1000, 700)

    # Data -------------------------------------------------------------------------

    @Inputs.data
    def set_data(self, data: Table | None):
        """Lay the images of another table out."""
        self.closeContext()
        self.cancel()
        self.Error.clear()
        self.data = data if data else None
        columns = image_columns(self.data) if self.data else []
        domain = self.data.domain if self.data else None
        self.image_model[:] = columns
        self.label_model.set_domain(domain)
        self.color_model.set_domain(domain)
        self.imageAttr = columns[0] if columns else None
        self.label_attr = self.color_attr = self.old_column_index = None
        if columns:
            self.color_attr = domain.class_var if domain.has_discrete_class else None
            self.openContext(domain)
            self._take_old_column(columns)
        self._find_images()
        self._restart()

    def _take_old_column(self, columns):
        index, self.old_column_index = self.old_column_index, None
        if index is not None and 0 <= index < len(columns):
            self.imageAttr = columns[index]

    @Inputs.data_subset
    def set_data_subset(self, data: Table | None):
        """Other images than those of the subset are pale."""
        self.data_subset = data

    def handleNewSignals(self):
        """Dim what is not in the subset, when both inputs have come."""
        self._show_subset()

    def _find_images(self):
        self._sources = []
        if self.imageAttr is not None:
            self._sources = column_sources(self.data, self.imageAttr)
        found = [row for row, source in enumerate(self._sources) if source is not None]
        self._imaged = np.array(found, dtype=int)

    def _restart(self):
        """Lay out from the beginning; nothing is shown until it is done."""
        self.cancel()
        self.grid = None
        self._clear_messages()
        self._clear_view()
        if self.data is None:
            self._finish("")
        elif self.imageAttr is None:
            self.Error.no_image_attr()
            self._finish("")
        elif not self.data.domain.attributes:
            self.Error.no_features()
            self._finish("")
        elif not len(self._imaged):
            self.Warning.no_valid_data(f"column '{self.imageAttr.name}' is empty")
            self._finish("")
        else:
            self._start()

    def _clear_messages(self):
        for message in (
            self.Error.out_of_memory,
            self.Error.unexpected_error,
            self.Warning.no_valid_data,
            self.Warning.left_out,
            self.Warning.no_images_shown,
            self.Information.stopped,
        ):
            message.clear()

    def _clear_view(self):
        self._shown = np.zeros(0, dtype=int)
        self._any_shown = False
        self.view.set_images([], self._shown, (0, 0), lambda row: "")
        self._on_zoomed(1.0)

    def _finish(self, message: str):
        self.view.set_message(message)
        self.commit.now()

    # The work -----------------------------------------------------------------------

    def _start(self):
        self.Information.stopped.clear()
        self.run_button.setText("Stop")
        self.run_button.setEnabled(True)
        self._on_progress(0)
        task = Task(
            data=self.data,
            rows=self._imaged,
            layout=self.layout_method,
            size=None if self.auto_size else (self.columns, self.rows),
            aspect=self._aspect(),
            # A copy, for a task that was cancelled may not have ended yet.
            grid=copy.copy(self.grid),
        )
        self.start(lay_out, task)

    def _aspect(self) -> float:
        if not self.view.isVisible():
            # Before the window is laid out, its widgets have sizes of no meaning.
            return 1.1
        return self.view.aspect(self._count())

    def _on_progress(self, fraction: float):
        count = len(self._imaged)
        self.view.set_message(
            f"Laying out {count:,} {pl(count, 'image')}… {fraction:.0%}"
        )

    def on_partial_result(self, fraction: float):
        self._on_progress(fraction)

    def on_done(self, grid: ImageGrid):
        self.run_button.setEnabled(False)
        first, self.grid = self.grid is None, grid
        n_skipped = len(grid.skipped)
        if not len(grid):
            reason = "all vectors have missing or only equal values"
            self.Warning.no_valid_data(reason)
        elif n_skipped:
            self.Warning.left_out(
                f"{n_skipped:,} {pl(n_skipped, 'image is|images are')}"
            )
        self._show_grid(first)
        self._finish("")

    def on_exception(self, ex: Exception):
        self.run_button.setEnabled(False)
        if isinstance(ex, MemoryError):
            self.Error.out_of_memory()
        else:
            log.exception("Laying out failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._finish("")

    def _start_or_stop(self):
        if self.task is None:
            self._start()
            return
        self.cancel()
        self.Information.stopped()
        self.run_button.setText("Start")
        self.run_button.setEnabled(True)
        self._finish("" if self.grid is not None else "Stopped")

    def cancel(self):
        """Stop the work, if there is any."""
        self.run_button.setEnabled(False)
        super().cancel()

    # What is shown ------------------------------------------------------------------

    def _show_grid(self, is_new: bool):
        groups = self._groups_of_rows()
        cells = np.flatnonzero(self.grid.grid_indices >= 0)
        self._shown = self._imaged[self.grid.grid_indices[cells]]
        self.columns = max(MIN_SIZE, self.grid.size_x)
        self.rows = max(MIN_SIZE, self.grid.size_y)
        self.view.set_images(
            [self._sources[row] for row in self._shown],
            cells,
            (self.grid.size_x, self.grid.size_y),
            self._titles(),
            # As Image Embedding has seen them.
            column_intensity(self.imageAttr),
        )
        self.view.set_labelled(self.label_attr is not None)
        self._on_zoomed(1.0)
        self._show_colors()
        self._show_subset()
        if is_new and self._pending_selection:
            for row, group in self._pending_selection:
                if row < len(groups):
                    groups[row] = group
            self._pending_selection = []
        self.view.set_groups(groups[self._shown])
        self._store_selection()

    def _groups_of_rows(self) -> np.ndarray:
        groups = np.zeros(len(self.data) if self.data is not None else 0, dtype=int)
        groups[self._shown] = self.view.groups
        return groups

    def _titles(self):
        return row_titles(self.data, self.label_attr, self._shown)

    def _show_labels(self):
        self.view.model().set_title(self._titles())
        self.view.set_labelled(self.label_attr is not None)
        self._resize_timer.start()

    def _show_colors(self):
        colors = None
        if self.color_attr is not None and len(self._shown):
            palette = self.color_attr.palette
            values = self.data.get_column(self.color_attr)[self._shown]
            # In a meta column, numbers are objects.
            colors = [
                None if np.isnan(value) else palette[int(value)]
                for value in values.astype(float)
            ]
        self.view.set_colors(colors)

    def _show_subset(self):
        self.Warning.incompatible_subset.clear()
        self.Warning.extras_in_subset.clear()
        if self.data is None or not self.data_subset:
            self.view.set_dimmed(None)
            return
        inside, n_found = self._inside_subset()
        if not n_found:
            self.Warning.incompatible_subset()
        elif n_found < len(self.data_subset):
            self.Warning.extras_in_subset()
        self.view.set_dimmed(~inside[self._shown])

    def _inside_subset(self) -> tuple[np.ndarray, int]:
        """Which rows are in the subset, and how many of the subset's are in the data.

        The same image is the same element, even in another table.
        """
        data, subset = self.data, self.data_subset
        inside = np.isin(data.ids, subset.ids)
        found = np.isin(subset.ids, data.ids)
        if self.imageAttr is not None and self.imageAttr in subset.domain.metas:
            theirs = column_sources(subset, self.imageAttr)
            ours, wanted = set(self._sources) - {None}, set(theirs) - {None}
            inside |= np.array([source in wanted for source in self._sources])
            found |= np.array([source in ours for source in theirs])
        return inside, int(found.sum())

    def _on_zoomed(self, zoom: float):
        self.zoom = zoom_to_slider(zoom)

    def _on_loaded(self, thumbnails: list[Thumbnail]):
        """Warn if nothing at all can be shown: it may be the wrong column."""
        # Some may still come from the data before this.
        ours = set(self._sources)
        thumbnails = [entry for entry in thumbnails if entry.source in ours]
        if self._any_shown or not thumbnails:
            return
        self._any_shown = any(thumbnail.image is not None for thumbnail in thumbnails)
        if self._any_shown:
            self.Warning.no_images_shown.clear()
        else:
            failed = thumbnails[0]
            source = shown_source(failed.source)
            self.Warning.no_images_shown(failed.error, source[:100])

    # Controls -----------------------------------------------------------------------

    def _change_images(self):
        self._find_images()
        self._restart()

    def _change_layout(self, index: int):
        chosen = self.layout_combo.itemData(index)
        if chosen != self.layout_method:
            self.layout_method = chosen
            self._restart_with_selection()

    def _restart_with_selection(self):
        if self.data is not None:
            if self.grid is not None:
                self._pending_selection = list(self.selection)
            self._restart()

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

    def _fit_window(self):
        """Take the shape of the window, if the images get larger by it."""
        if not self.auto_size or not self.view.isVisible() or not self._shown.size:
            return
        size, aspect = grid_size(len(self.grid), self._aspect()), self._aspect()

        def edge(columns, rows):
            return min(aspect / columns, 1 / rows)

        now = edge(self.grid.size_x, self.grid.size_y)
        if self.task is None and edge(*size) > WORTH_IT * now:
            self._start()

    # Selection and outputs ----------------------------------------------------------

    def _on_groups_changed(self):
        self._store_selection()
        self.commit.deferred()

    def _store_selection(self):
        groups = self._groups_of_rows()
        self.selection = [(int(r), int(groups[r])) for r in np.flatnonzero(groups)]

    @gui.deferred
    def commit(self):
        """Send the selected rows with their groups, and all with a mark."""
        selected = annotated = None
        if self.data is not None and self.imageAttr is not None:
            groups = self._groups_of_rows()
            if groups.any():
                selected = create_groups_table(self.data, groups, False, "Group")
            if groups.max(initial=0) > 1:
                annotated = create_groups_table(self.data, groups)
            else:
                annotated = create_annotated_table(self.data, np.flatnonzero(groups))
        self.Outputs.selected_data.send(selected)
        self.Outputs.data.send(annotated)

    # Report, settings, end ----------------------------------------------------------

    def send_report(self):
        """Report how the grid was made, and the grid as it is seen."""
        if self.data is None or self.imageAttr is None:
            return
        n_selected = int((self.view.groups > 0).sum())
        self.report_items(
            (
                ("Image column", self.imageAttr.name),
                ("Layout", self.layout_combo.currentText()),
                ("Size", f"{self.columns} by {self.rows}" if self.grid else False),
                ("Images", f"{len(self._shown):,}"),
                ("Label", self.label_attr.name if self.label_attr else False),
                ("Color", self.color_attr.name if self.color_attr else False),
                ("Selected", f"{n_selected:,}" if n_selected else False),
            )
        )
        if self._shown.size:
            self.report_html += get_html_img(self.sheet)

    @classmethod
    def migrate_settings(cls, stored: dict, version: int | None):
        """Version 1 had no automatic size to switch off, and kept a text here."""
        if stored.get("cell_fit") not in (WHOLE, SQUARE):
            stored.pop("cell_fit", None)

    @classmethod
    def migrate_context(cls, context, version: int | None):
        """Version 1 numbers the columns with images."""
        if version is None or version < 2:
            stored = context.values.pop("imageAttr", None)
            index = stored[0] if isinstance(stored, tuple) else stored
            if isinstance(index, int):
                context.values["old_column_index"] = (index, -2)

    def onDeleteWidget(self):
        """Stop laying out and loading."""
        end_task(self)
        self.preview.shutdown()
        self.loader.close()
        super().onDeleteWidget()
