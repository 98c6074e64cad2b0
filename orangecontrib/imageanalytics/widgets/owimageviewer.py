"""Image Viewer: a sheet of the images in a table, from which some can be selected."""

from typing import ClassVar

import numpy as np
from AnyQt.QtCore import QSize
from Orange.data import DiscreteVariable, Domain, StringVariable, Table, Variable
from Orange.widgets import gui, settings
from Orange.widgets.utils import vartype
from Orange.widgets.utils.annotated_data import create_annotated_table
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.widget import Input, Output
from orangewidget.widget import Msg

from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.widgets.preview.rowdetails import row_values
from orangecontrib.imageanalytics.widgets.sheet.coloring import COLORABLE, row_coloring
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.imagesheet import OWImageSheet
from orangecontrib.imageanalytics.widgets.sheet.legend import MISSING_NAME
from orangecontrib.imageanalytics.widgets.sheet.roworder import ordered_rows
from orangecontrib.imageanalytics.widgets.sheet.selecteditems import (
    Cell,
    numbered_cells,
    places_of,
    selected_items,
)
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import row_labels
from orangecontrib.imageanalytics.widgets.utils import signal_names
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    between,
    limit,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import auto_send
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    EMPTY_COLUMN,
    NO_IMAGE_COLUMN,
    likely_image_columns,
    proposed_label,
)
from orangecontrib.imageanalytics.widgets.utils.variablescombo import VariablesCombo

# How contexts in saved workflows mark a text column.
STORED_TEXT = 100 + vartype(StringVariable("any"))
NO_DATA = "Connect Import Images, or another table that says where images are."

TIPS = {
    "image_attr": "Column with paths or addresses of images",
    "title_attrs": "Columns with what is written below each image",
    "color_attr": "Column by which the frames around images are colored",
    "group_attr": "Categories by which images are put together, below headings",
    "sort_attr": "Column by which images are sorted; missing values come last",
    "descending": "The last or the greatest first",
}


class OWImageViewer(OWImageSheet):
    """Shows the images that a table refers to; outputs the selected rows."""

    name = "Image Viewer"
    description = "View images that the data refers to."
    keywords = "image viewer, viewer, image, picture, photo, thumbnail, preview"
    icon = "icons/ImageViewer-symbolic.svg"
    priority = 130
    replaces: ClassVar = ["Orange.widgets.data.owimageviewer.OWImageViewer"]

    class Inputs:
        data = Input("Data", Table, replaces=signal_names.DATA)

    class Outputs:
        selected_data = Output(
            "Selected Images",
            Table,
            replaces=signal_names.SELECTED_IMAGES,
            default=True,
        )
        data = Output("Data", Table, replaces=signal_names.DATA)

    class Warning(OWImageSheet.Warning):
        no_images = Msg("Column '{}' is empty: there are no images to show.")

    settingsHandler = CheckedDomainContextHandler()
    settings_version = 3

    image_attr: Variable | None = settings.ContextSetting(None)
    title_attrs: list[Variable] = settings.ContextSetting([])
    color_attr: Variable | None = settings.ContextSetting(None)
    group_attr: Variable | None = settings.ContextSetting(None)
    sort_attr: Variable | None = settings.ContextSetting(None)
    descending: bool = settings.ContextSetting(False)
    # Values of `group_attr` whose images are hidden; None is the missing one.
    collapsed_groups: set = settings.ContextSetting(set(), schema_only=True)
    selected_items: set = settings.ContextSetting(set(), schema_only=True)
    imageSize: int = settings.Setting(
        100, valid=between(FlowGeometry.smallest, FlowGeometry.largest)
    )
    autoCommit: bool = settings.Setting(True)

    def __init__(self):
        super().__init__()
        self.data: Table | None = None
        self._sources: list[str | None] = []
        # Rows of the data with an image, in its order, and what their cells hold.
        self._cell_of: dict[int, Cell] = {}
        # The same rows and cells, in the order of the view.
        self._rows: list[int] = []
        self._cells: list[Cell] = []
        self._groups: list[str | None] = []
        self._restoring = False
        self._setup_controls()
        view = self.make_view(FlowGeometry(self.imageSize), ExtendedSelection)
        view.selection_changed.connect(self._on_selection_changed)
        view.scaled.connect(self.keep_size)
        view.sections_toggled.connect(self._on_sections_toggled)
        view.set_message(NO_DATA)

    def _setup_controls(self) -> None:
        box = self.options.add_box("Images")
        self.image_model = VariableListModel(parent=self)
        self._add_combo(
            "image_attr", "Column:", self.image_model, self._on_image_attr_changed
        )
        self.labels_combo = VariablesCombo()
        self.labels_combo.changed.connect(self._on_labels_changed)
        self.options.add_row("Labels:", self.labels_combo, TIPS["title_attrs"])
        self.add_size_slider()
        self.color_model = DomainModel(placeholder="(None)", valid_types=COLORABLE)
        self._add_combo("color_attr", "Color:", self.color_model, self._show_colors)
        self.make_legend(box)
        self._setup_order()
        gui.rubber(self.controlArea)
        auto_send(self, "autoCommit")

    def _setup_order(self) -> None:
        self.options.add_box("Order")
        self.group_model = DomainModel(
            placeholder="(None)", valid_types=DiscreteVariable
        )
        self._add_combo(
            "group_attr",
            "Group by:",
            self.group_model,
            self._on_group_attr_changed,
        )
        self.sort_model = DomainModel(placeholder="(As in the data)")
        self._add_combo("sort_attr", "Sort by:", self.sort_model, self._show_in_order)
        check = gui.checkBox(
            None, self, "descending", "Descending", callback=self._show_in_order
        )
        self.options.add_row("", check, TIPS["descending"])

    def _add_combo(self, name, label, model, callback) -> None:
        self.options.add_columns(self, name, label, model, callback, TIPS[name])

    def sizeHint(self):
        """Room for a good number of images."""
        return QSize(900, 600)

    @Inputs.data
    def set_data(self, data: Table | None) -> None:
        """Show the images of another table."""
        if self.image_attr is not None:
            # A context without a column would match any data.
            self.closeContext()
        self._clear()
        self.loader.refresh()
        if data is not None:
            self.image_model[:] = likely_image_columns(data)
            if self.image_model:
                self.data = data
                self._offer_columns(data.domain)
                self.image_attr = self.image_model[0]
                self.title_attrs = [proposed_label(data, self.image_attr)]
                self.openContext(data)
            else:
                self.Error.no_image_attr()
        self.labels_combo.choose(self.title_attrs)
        self._show_images()
        self.commit.now()

    def _clear(self) -> None:
        self.clear_messages()
        self.data = self.image_attr = None
        self.image_model.clear()
        self._offer_columns(None)
        self.title_attrs = []
        self.color_attr = self.group_attr = self.sort_attr = None
        self.descending = False
        self.selected_items, self.collapsed_groups = set(), set()

    def _offer_columns(self, domain: Domain | None) -> None:
        self.labels_combo.set_domain(domain)
        for model in (self.color_model, self.group_model, self.sort_model):
            model.set_domain(domain)

    # What is shown

    def _show_images(self) -> None:
        self.Warning.clear()
        self._sources = []
        if self.data is not None:
            self._sources = column_sources(self.data, self.image_attr)
        rows = [row for row, source in enumerate(self._sources) if source is not None]
        self._cell_of = numbered_cells(self.data, self.image_attr, rows)
        self.show_images_of(self.image_attr, self._sources)
        self._show_in_order()
        if self._sources and not self._rows:
            self.Warning.no_images(self.image_attr.name)

    def _show_in_order(self) -> None:
        counts = self._set_order()
        view = self.view
        view.model().set_images(
            [self._sources[row] for row in self._rows],
            row_labels(self.data, self.title_attrs, self._rows),
            self.intensity_of(self.image_attr),
        )
        self.set_details_of(self.data, self._rows)
        view.set_message(self._message())
        self._show_labels()
        self._show_colors()
        view.set_sections(
            [MISSING_NAME if name is None else name for name in self._groups],
            counts,
            [name in self.collapsed_groups for name in self._groups],
        )
        self._restore_selection()
        self.count_selected()

    def _message(self) -> str:
        """What to do next if there are no images."""
        if self.Error.no_image_attr.is_shown():
            return NO_IMAGE_COLUMN
        if self.data is None or not self._sources:
            return NO_DATA
        return "" if self._rows else EMPTY_COLUMN.format(self.image_attr.name)

    def _set_order(self) -> list[int]:
        """Put the rows into their order; return how many there are in each group."""
        rows = list(self._cell_of)
        self._rows, self._groups, counts = ordered_rows(
            self.data, rows, self.sort_attr, self.descending, self.group_attr
        )
        self._cells = [self._cell_of[row] for row in self._rows]
        return counts

    def _show_labels(self) -> None:
        labels = row_labels(self.data, self.title_attrs, self._rows)
        self.view.set_labels(len(self.title_attrs), labels)

    def shown_values(self, row: int) -> list[tuple[str, str]]:
        """The labels, and the columns for colours, groups and order."""
        variables = (self.color_attr, self.group_attr, self.sort_attr)
        return row_values(self.data, self._rows[row], (*self.title_attrs, *variables))

    def _show_colors(self) -> None:
        data = self.data if self._rows else None
        self.show_coloring(row_coloring(data, self.color_attr, self._rows))

    def _restore_selection(self) -> None:
        if not self.selected_items:
            return
        # What is selected but not in this data must not be forgotten.
        self._restoring = True
        self.view.select_rows(places_of(self.selected_items, self._cells))
        self._restoring = False

    def _on_image_attr_changed(self) -> None:
        self.selected_items = set()
        self._show_images()
        self.commit.deferred()

    def _on_labels_changed(self) -> None:
        self.title_attrs = self.labels_combo.chosen()
        self._show_labels()

    def _on_group_attr_changed(self) -> None:
        self.collapsed_groups = set()
        self._show_in_order()

    def _on_sections_toggled(self) -> None:
        collapsed = np.flatnonzero(self.view.look.collapsed)
        self.collapsed_groups = {self._groups[group] for group in collapsed}

    def _on_selection_changed(self) -> None:
        if self._restoring or self.data is None:
            return
        self.selected_items = selected_items(self._cells, self.view.selected_rows())
        self.count_selected()
        self.commit.deferred()

    @gui.deferred
    def commit(self) -> None:
        """Send the selected rows, and all with a mark."""
        selected, annotated = None, None
        if self.data is not None:
            rows = sorted(self._rows[place] for place in self.view.selected_rows())
            selected = self.data[rows] if rows else None
            annotated = create_annotated_table(self.data, rows)
        self.Outputs.selected_data.send(selected)
        self.Outputs.data.send(annotated)

    # Report, settings, end

    def send_report(self) -> None:
        """Report the columns, how many are selected, and the visible sheet."""
        if self.data is None:
            return
        n_selected = len(self.view.selected_rows())
        self.report_items(
            (
                ("Image column", self.image_attr.name),
                ("Labels", ", ".join(var.name for var in self.title_attrs) or False),
                ("Color", _name(self.color_attr)),
                ("Grouped by", _name(self.group_attr)),
                ("Sorted by", _name(self.sort_attr)),
                ("Images", f"{len(self._rows):,}"),
                ("Selected", f"{n_selected:,}" if n_selected else False),
            )
        )
        self.report_sheet()

    @classmethod
    def migrate_settings(cls, stored: dict, version: int | None) -> None:
        """Bring a size that the slider does not have into its range."""
        limit(stored, "imageSize", FlowGeometry.smallest, FlowGeometry.largest)

    @classmethod
    def migrate_context(cls, context, version) -> None:
        """Reject contexts whose column is not a text column, and convert the label."""
        if version is None or version < 2:
            image_attr = context.values.get("image_attr")
            if image_attr is None or image_attr[1] != STORED_TEXT:
                raise settings.IncompatibleContext
        if version is None or version < 3:
            label = context.values.pop("title_attr", None)
            if settings.DomainContextHandler.is_encoded_var(label):
                context.values["title_attrs"] = ([label], -3)
            else:
                context.values["title_attrs"] = []


def _name(variable: Variable | None) -> str | bool:
    return variable.name if variable is not None else False


if __name__ == "__main__":
    import sys

    from orangewidget.utils.widgetpreview import WidgetPreview

    from orangecontrib.imageanalytics.import_images import ImportImages

    table, _ = ImportImages()(sys.argv[1])
    WidgetPreview(OWImageViewer).run(table)
