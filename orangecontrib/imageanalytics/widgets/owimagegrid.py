"""Image Grid: images on a grid, similar ones side by side."""

import numpy as np
from AnyQt.QtCore import QSize
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.annotated_data import (
    create_annotated_table,
    create_groups_table,
)
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics.images.sources import column_sources, image_columns
from orangecontrib.imageanalytics.widgets.grid.gridlayout import (
    LAYOUTS,
    MAX_SIZE,
    MIN_SIZE,
    GridLayoutMixin,
)
from orangecontrib.imageanalytics.widgets.grid.gridlook import (
    CROPPED,
    WHOLE,
    GridLookMixin,
)
from orangecontrib.imageanalytics.widgets.sheet.coloring import (
    COLORABLE,
)
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.sheet.imagesheet import OWImageSheet
from orangecontrib.imageanalytics.widgets.sheet.selection import GroupSelection
from orangecontrib.imageanalytics.widgets.utils import signal_names
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    all_between,
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import auto_send
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    EMPTY_COLUMN,
    NO_IMAGE_COLUMN,
)

NO_DATA = (
    "Connect Image Embedding, or another table with images and vectors.\n\n"
    "Import Images → Image Embedding → Image Grid"
)
NO_FEATURES = (
    "Put Image Embedding before Image Grid: it turns images into vectors.\n\n"
    "Import Images → Image Embedding → Image Grid"
)
TIPS = {
    "imageAttr": "The column with the images' paths",
    "label_attr": "The column with the images' labels",
    "color_attr": "The column with the images' colors",
}


class OWImageGrid(GridLayoutMixin, GridLookMixin, OWImageSheet):
    """Shows images on a grid by similarity; outputs the selected ones."""

    name = "Image Grid"
    description = "Show images on a grid, similar ones side by side."
    keywords = "image grid, grid, image, picture, photo, similarity, map"
    icon = "icons/ImageGrid-symbolic.svg"
    priority = 160

    class Inputs:
        data = Input(
            "Embeddings", Table, replaces=signal_names.EMBEDDINGS, default=True
        )
        data_subset = Input("Data Subset", Table, replaces=signal_names.DATA_SUBSET)

    class Outputs:
        selected_data = Output(
            "Selected Images",
            Table,
            replaces=signal_names.SELECTED_IMAGES,
            default=True,
        )
        data = Output("Images", Table, replaces=signal_names.IMAGES)

    class Warning(OWImageSheet.Warning):
        incompatible_subset = Msg("No Data Subset elements appear in the data.")
        extras_in_subset = Msg("Some Data Subset elements do not appear in the data.")
        no_valid_data = Msg("There is nothing to lay out: {}.")
        left_out = Msg("{} left out: the vectors have missing or all equal values.")

    class Error(OWImageSheet.Error):
        no_features = Msg("The data has no features. Use Image Embedding first.")
        out_of_memory = Msg("There is not enough memory for a grid of these images.")
        unexpected_error = Msg("The images could not be laid out: {}")

    class Information(OWImageSheet.Information):
        stopped = Msg("Stopped. Press Start to begin again.")

    settingsHandler = CheckedDomainContextHandler()
    settings_version = 2
    imageAttr: Variable | None = ContextSetting(None)
    label_attr: Variable | None = ContextSetting(None)
    color_attr: Variable | None = ContextSetting(None)
    #: From contexts of version 1, until the data says which column it is
    old_column_index: int | None = ContextSetting(None)
    layout_method: str = Setting("t-sne", valid=one_of(*dict(LAYOUTS).values()))
    cell_fit: int = Setting(WHOLE, valid=one_of(WHOLE, CROPPED))
    auto_size: bool = Setting(True)
    columns: int = Setting(10, valid=between(MIN_SIZE, MAX_SIZE))
    rows: int = Setting(10, valid=between(MIN_SIZE, MAX_SIZE))
    auto_commit: bool = Setting(True)
    #: Rows of the data, and their groups, as saved with the workflow
    selection: list[tuple[int, int]] = Setting(
        [], schema_only=True, valid=all_between(0, 2**31 - 1)
    )

    def __init__(self):
        OWImageSheet.__init__(self)
        self._init_layout()
        self.data: Table | None = None
        self.data_subset: Table | None = None
        # Rows of the data that have an image, and those on the grid, as in the view.
        self._imaged = np.zeros(0, dtype=int)
        self._shown = np.zeros(0, dtype=int)
        self._sources: list[str | None] = []
        self._pending_selection = self.selection
        self.zoom = 0
        self._make_columns_box()
        self._make_grid_box()
        self._make_look_boxes()
        self._make_buttons()
        self._make_view()
        self.view.set_message(NO_DATA)

    # Layout -----------------------------------------------------------------------

    def _make_columns_box(self):
        box = self.options.add_box("Images")
        self.image_model = VariableListModel(parent=self)
        self.label_model = DomainModel(placeholder="(None)")
        self.color_model = DomainModel(placeholder="(None)", valid_types=COLORABLE)
        for name, label, model, callback in (
            ("imageAttr", "Column:", self.image_model, self._change_images),
            ("label_attr", "Label:", self.label_model, self._show_labels),
            ("color_attr", "Color:", self.color_model, self._show_colors),
        ):
            self.options.add_columns(self, name, label, model, callback, TIPS[name])
        self.make_legend(box)

    def _make_buttons(self):
        auto_send(self, "auto_commit")
        self._make_run_button()

    def _make_view(self):
        view = self.make_view(GridGeometry(), GroupSelection)
        view.set_crop(self.cell_fit == CROPPED)
        view.selection_changed.connect(self._on_selection_changed)
        view.scaled.connect(self._on_scaled)
        self._follow_window()

    def sizeHint(self):
        """Room for a good number of images."""
        return QSize(1000, 700)

    # Data -------------------------------------------------------------------------

    @Inputs.data
    def set_data(self, data: Table | None):
        """Lay out the images of another table."""
        self.closeContext()
        self.cancel()
        self.loader.refresh()
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
        """Dim the images that are not in the subset."""
        self.data_subset = data

    def handleNewSignals(self):
        """Dim images that are not in the subset, once both inputs have arrived."""
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
        self.grid = self._image_aspect = None
        self._clear_messages()
        self._clear_view()
        if self.data is None:
            self._finish(NO_DATA)
        elif self.imageAttr is None:
            self.Error.no_image_attr()
            self._finish(NO_IMAGE_COLUMN)
        elif not self.data.domain.attributes:
            self.Error.no_features()
            self._finish(NO_FEATURES)
        elif not len(self._imaged):
            self.Warning.no_valid_data(f"column '{self.imageAttr.name}' is empty")
            self._finish(EMPTY_COLUMN.format(self.imageAttr.name))
        else:
            self._start()

    def _clear_messages(self):
        for message in (
            self.Error.out_of_memory,
            self.Error.unexpected_error,
            self.Warning.no_valid_data,
            self.Warning.left_out,
            self.Information.stopped,
        ):
            message.clear()

    def _clear_view(self):
        self._shown = np.zeros(0, dtype=int)
        self.show_images_of(self.imageAttr, self._sources)
        self.view.model().set_images([])
        self._show_colors()
        self._on_scaled(1.0)

    def _finish(self, message: str):
        self.view.set_message(message)
        self.commit.now()

    # What is shown ------------------------------------------------------------------

    def _show_grid(self, is_new: bool):
        groups = self._groups_of_rows()
        cells = np.flatnonzero(self.grid.grid_indices >= 0)
        self._shown = self._imaged[self.grid.grid_indices[cells]]
        self.columns = max(MIN_SIZE, self.grid.size_x)
        self.rows = max(MIN_SIZE, self.grid.size_y)
        self.view.sheet_geometry.set_cells(
            cells, self.grid.size_x, self.grid.size_y, self._image_aspect
        )
        self.view.model().set_images(
            [self._sources[row] for row in self._shown],
            # As Image Embedding has seen them.
            intensity=self.intensity_of(self.imageAttr),
        )
        self.set_details_of(self.data, self._shown)
        self._label_view()
        self._on_scaled(1.0)
        self._show_colors()
        self._show_subset()
        if is_new and self._pending_selection:
            for row, group in self._pending_selection:
                if row < len(groups):
                    groups[row] = group
            self._pending_selection = []
        self.view.selection.set_groups(groups[self._shown])
        self._store_selection()
        self.count_selected()

    def _groups_of_rows(self) -> np.ndarray:
        groups = np.zeros(len(self.data) if self.data is not None else 0, dtype=int)
        groups[self._shown] = self.view.selection.groups
        return groups

    # Controls -----------------------------------------------------------------------

    def _change_images(self):
        self._find_images()
        self._restart()

    def _restart_with_selection(self):
        if self.data is not None:
            if self.grid is not None:
                self._pending_selection = list(self.selection)
            self._restart()

    # Selection and outputs ----------------------------------------------------------

    def _on_selection_changed(self):
        self._store_selection()
        self.count_selected()
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
        """Report how the grid was made, and the visible grid."""
        if self.data is None or self.imageAttr is None:
            return
        n_selected = int((self.view.selection.groups > 0).sum())
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
        self.report_sheet()

    @classmethod
    def migrate_settings(cls, stored: dict, version: int | None):
        """Version 1 had no automatic size to switch off, and kept a text here."""
        if stored.get("cell_fit") not in (WHOLE, CROPPED):
            stored.pop("cell_fit", None)

    @classmethod
    def migrate_context(cls, context, version: int | None):
        """Version 1 numbers the columns with images."""
        if version is None or version < 2:
            stored = context.values.pop("imageAttr", None)
            index = stored[0] if isinstance(stored, tuple) else stored
            if isinstance(index, int):
                context.values["old_column_index"] = (index, -2)
