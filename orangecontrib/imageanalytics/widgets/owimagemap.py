"""Image Map: images at the places that t-SNE, PCA or any two columns give them."""

import numpy as np
from AnyQt.QtCore import QSize, Qt
from AnyQt.QtWidgets import QSizePolicy
from Orange.data import ContinuousVariable, Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting, SettingProvider
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.plot import OWPlotGUI
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.visualize.utils.widget import OWDataProjectionWidget
from Orange.widgets.widget import Msg
from orangewidget.report.report import get_html_img

from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, column_intensity
from orangecontrib.imageanalytics.images.sources import column_sources, image_columns
from orangecontrib.imageanalytics.widgets.utils.coloring import (
    COLORABLE,
    Coloring,
    row_coloring,
)
from orangecontrib.imageanalytics.widgets.utils.hovercard import card_text, row_values
from orangecontrib.imageanalytics.widgets.utils.imageactions import ImageActions
from orangecontrib.imageanalytics.widgets.utils.imagecompare import ImageCompare
from orangecontrib.imageanalytics.widgets.utils.imagepreview import ImagePreview
from orangecontrib.imageanalytics.widgets.utils.mapgraph import ImageMapGraph
from orangecontrib.imageanalytics.widgets.utils.mapview import MapView
from orangecontrib.imageanalytics.widgets.utils.projections import (
    projections,
    proposed_axes,
)
from orangecontrib.imageanalytics.widgets.utils.rowdetails import row_details
from orangecontrib.imageanalytics.widgets.utils.subset import rows_in_subset
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    ThumbnailModel,
    row_labels,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import ThumbnailLoader
from orangecontrib.imageanalytics.widgets.utils.unshown import UnshownWarning

MIN_EDGE, MAX_EDGE, EDGE_STEP = 24, 256, 8
#: Larger numbers cannot be plotted.
MAX_NUMBER = 1e100
NO_DATA = (
    "Connect a table with images and two numeric columns that say where they are.\n\n"
    "For example: Import Images, Image Embedding, t-SNE, Image Map.\n"
    "Use the output Data of t-SNE, which has all images, rather than Selected Data."
)


class OWImageMap(OWDataProjectionWidget):
    """Shows images at the points of two numeric columns; outputs the selected ones."""

    name = "Image Map"
    description = "Show images at their places in a projection, such as t-SNE or PCA."
    keywords = "image map, map, image, picture, photo, scatter plot, t-sne, pca"
    icon = "icons/ImageMap-symbolic.svg"
    priority = 170

    class Warning(OWDataProjectionWidget.Warning):
        no_places = Msg("No row has a number in both '{}' and '{}'.")
        no_images = Msg("Column '{}' is empty: there are only dots to show.")
        no_images_shown = Msg(
            "Images cannot be shown: {}.\n{}\nIs '{}' the right column?"
        )
        cannot_open = Msg("The desktop has no program to open {}.")
        cannot_copy = Msg("{} cannot be copied: {}.")

    class Error(OWDataProjectionWidget.Error):
        no_image_attr = Msg(
            "The data has no column with images.\n"
            "It must be a text or categorical column, among the meta attributes, "
            "that holds file names or addresses."
        )
        no_numbers = Msg(
            "The data has no two numeric columns. Use Image Embedding, and t-SNE, "
            "PCA or MDS after it."
        )

    class Information(OWDataProjectionWidget.Information):
        left_out = Msg("{} not shown: '{}' or '{}' is missing or not a finite number.")
        no_projection = Msg(
            "Images are placed by '{}' and '{}'. Use t-SNE, PCA or MDS before Image "
            "Map to have similar images side by side."
        )

    image_attr: Variable | None = ContextSetting(None)
    attr_x: Variable | None = ContextSetting(None)
    attr_y: Variable | None = ContextSetting(None)
    image_size: int = Setting(48)

    GRAPH_CLASS = ImageMapGraph
    graph = SettingProvider(ImageMapGraph)
    graph_name = "view"
    # The places are in the data already.
    embedding_variables_names = None

    def __init__(self):
        self.loader = ThumbnailLoader(self)
        self.unshown = UnshownWarning(self.loader, self.Warning)
        self.image_model = ThumbnailModel(self.loader, self)
        #: Colours of the points, and the points of the images in the model.
        self.coloring: Coloring | None = None
        self.imaged = np.zeros(0, dtype=int)
        self._sources: list[str | None] = []
        self._inside: np.ndarray | None = None
        self._pending_selection = self.selection
        super().__init__()
        self.compare = ImageCompare(self.view)
        self.preview = ImagePreview(self.view, self.compare)
        self.image_actions = ImageActions(
            self.view, self.preview, self.compare, self.Warning
        )
        self.graph.images.places.set_edge(self.image_size)
        self.view.set_message(NO_DATA)

    # Layout -------------------------------------------------------------------------

    def _add_graph(self):
        box = gui.vBox(self.mainArea, True, margin=0)
        self.view = MapView(self.image_model, self._describe, box)
        self.graph = ImageMapGraph(self, self.view)
        self.view.set_graph(self.graph)
        box.layout().addWidget(self.view)
        self.legend = self.view.legend
        self.legend.clicked.connect(self._select_value)

    def _add_controls(self):
        self.gui = OWPlotGUI(self)
        self.column_model = VariableListModel(parent=self)
        self.axis_model = DomainModel(
            DomainModel.MIXED, valid_types=(ContinuousVariable,)
        )
        self.label_model = DomainModel(placeholder="(None)")
        self.color_model = DomainModel(placeholder="(None)", valid_types=COLORABLE)
        boxes = (
            ("Images", "image_attr", "Column:", self.column_model, self._change_images),
            ("Axes", "attr_x", "Axis x:", self.axis_model, self._change_axes),
            (None, "attr_y", "Axis y:", self.axis_model, self._change_axes),
            ("Looks", "attr_color", "Color:", self.color_model, self.colors_changed),
            (None, "attr_label", "Label:", self.label_model, self.labels_changed),
        )
        for title, name, label, model, callback in boxes:
            if title is not None:
                box = gui.vBox(self.controlArea, title)
            gui.comboBox(
                box,
                self,
                name,
                label=label,
                callback=callback,
                orientation=Qt.Orientation.Horizontal,
                labelWidth=56,
                contentsLength=12,
                searchable=True,
                model=model,
            )
        gui.hSlider(
            box,
            self,
            "image_size",
            label="Size:",
            minValue=MIN_EDGE,
            maxValue=MAX_EDGE,
            step=EDGE_STEP,
            callback=lambda: self.graph.images.places.set_edge(self.image_size),
            createLabel=False,
            tooltip="Size of the images; the smaller they are, the more are shown",
        )
        self.room_label = gui.label(box, self, "")
        self.room_label.setWordWrap(True)
        # Its text must not make the controls wider than their place.
        self.room_label.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        )
        self.graph.images.counted.connect(self._show_count)

    def sizeHint(self):
        """Room for a good number of images."""
        return QSize(1000, 700)

    # Data ---------------------------------------------------------------------------

    @OWDataProjectionWidget.Inputs.data
    @check_sql_input
    def set_data(self, data: Table | None):
        """Show another table; of the same images at the same places, the selection."""
        # Not the inherited one, which compares tables number by number.
        shown_before, selection = self._shown(), self.selection
        self.closeContext()
        self.data = data
        self.check_data()
        self.init_attr_values()
        self.openContext(self.data)
        self.clear()
        if shown_before is not None and shown_before == self._shown():
            self._pending_selection = selection
        self._invalidated = True

    def _shown(self) -> tuple | None:
        """What the map shows: which images, and where."""
        if self.data is None:
            return None
        places = np.nan_to_num(self.get_embedding())
        sources = column_sources(self.data, self.image_attr)
        return self.data.ids.tobytes(), places.tobytes(), tuple(sources)

    def check_data(self):
        """Take only data with images and numbers; say what else is needed."""
        super().check_data()
        if not self.data:
            self.data = None
        elif not image_columns(self.data):
            self.Error.no_image_attr()
            self.data = None
        elif proposed_axes(_numeric(self.data)) is None:
            self.Error.no_numbers()
            self.data = None

    def init_attr_values(self):
        """Propose columns for new data."""
        data = self.data
        domain = None if data is None else data.domain
        self.column_model[:] = [] if data is None else image_columns(data)
        for model in (self.axis_model, self.label_model, self.color_model):
            model.set_domain(domain)
        self.image_attr = self.attr_x = self.attr_y = None
        self.attr_color = self.attr_label = None
        if data is not None:
            self.image_attr = self.column_model[0]
            self.attr_x, self.attr_y = proposed_axes(_numeric(data))
            if domain.class_var in self.color_model:
                self.attr_color = domain.class_var

    def setup_plot(self):
        """Show the data anew."""
        self._show_axes()
        self.get_embedding()
        self._show_images()
        self._find_colors()
        self.graph.reset_graph()
        self.apply_selection()
        self.view.set_message(NO_DATA if self.data is None else "")

    @property
    def axes(self) -> tuple[Variable | None, Variable | None]:
        """The columns of the places."""
        return self.attr_x, self.attr_y

    @property
    def is_projection(self) -> bool:
        """Whether the axes have the same unit."""
        return self.data is not None and self.axes in projections(_numeric(self.data))

    @property
    def labelled(self) -> bool:
        """Whether something is written below images."""
        return self.attr_label is not None

    def get_embedding(self):
        """Places of all rows; notes in `valid_data` which of them have one."""
        self.valid_data = None
        if self.data is None:
            return None
        places = np.column_stack(
            [self.data.get_column(variable).astype(float) for variable in self.axes]
        )
        self.valid_data = np.all(np.abs(places) <= MAX_NUMBER, axis=1)
        return places

    def _show_axes(self):
        for message in (
            self.Warning.no_places,
            self.Warning.cannot_open,
            self.Warning.cannot_copy,
            self.Information.left_out,
            self.Information.no_projection,
        ):
            message.clear()
        self.get_embedding()
        if self.data is None:
            return
        names = [variable.name for variable in self.axes]
        n_left_out = int(np.sum(~self.valid_data))
        if n_left_out == len(self.data):
            self.Warning.no_places(*names)
        elif n_left_out:
            rows = f"{n_left_out:,} {pl(n_left_out, 'row is|rows are')}"
            self.Information.left_out(rows, *names)
        numeric = _numeric(self.data)
        if not projections(numeric) and self.axes == proposed_axes(numeric):
            self.Information.no_projection(*names)

    def _show_images(self):
        self.Warning.no_images.clear()
        sources: list[str | None] = []
        if self.data is not None:
            found = column_sources(self.data, self.image_attr)
            sources = [found[row] for row in np.flatnonzero(self.valid_data)]
            if not any(source is not None for source in found):
                self.Warning.no_images(self.image_attr.name)
        have = [point for point, source in enumerate(sources) if source is not None]
        self.imaged = np.array(have, dtype=int)
        self._sources = [sources[point] for point in have]
        attr = self.image_attr
        self.unshown.expect(attr, self._sources)
        self.image_model.set_images(
            self._sources,
            self._labels(),
            # As Image Embedding has seen them.
            AUTOMATIC if attr is None else column_intensity(attr),
        )
        self.image_model.set_details(
            row_details(self.data, self._rows_of_points()[self.imaged])
        )

    def _labels(self):
        rows = self._rows_of_points()[self.imaged]
        variables = [] if self.attr_label is None else [self.attr_label]
        return row_labels(self.data, variables, rows)

    def _describe(self, image: int) -> str:
        """What is known of an image, as rich text."""
        row = int(self._rows_of_points()[self.imaged[image]])
        variables = (self.attr_label, self.attr_color, *self.axes)
        values = row_values(self.data, row, variables)
        return card_text(values, self.image_model.description(image))

    def _rows_of_points(self) -> np.ndarray:
        if self.valid_data is None:
            return np.zeros(0, dtype=int)
        return np.flatnonzero(self.valid_data)

    # Subset -------------------------------------------------------------------------

    def _handle_subset_data(self):
        """Find the subset's rows."""
        self.Warning.subset_independent.clear()
        self.Warning.subset_not_subset.clear()
        self._inside = None
        data, subset = self.data, self.subset_data
        if data is None or not subset:
            return
        sources = column_sources(data, self.image_attr)
        self._inside, n_found = rows_in_subset(data, sources, self.image_attr, subset)
        if not n_found:
            self.Warning.subset_independent()
        elif n_found < len(subset):
            self.Warning.subset_not_subset()

    def _update_opacity_warning(self):
        """Nothing: the opacity is not to be chosen."""

    def get_subset_mask(self):
        """Which points are in the subset; None if there is no subset."""
        if self._inside is None or self.valid_data is None:
            return None
        return self._inside[self.valid_data]

    # Colours and labels -------------------------------------------------------------

    def _find_colors(self):
        self.coloring = row_coloring(self.data, self.attr_color, self._rows_of_points())
        self.legend.set_coloring(self.coloring)
        self._count_selected()

    def colors_changed(self):
        """Color images and dots by another column."""
        self._find_colors()
        self.graph.update_colors()

    def get_color_data(self):
        """Values by which the plot puts dots in front of others."""
        values = self.get_column(self.attr_color)
        if values is None:
            return None
        values = values.astype(float)
        return np.where(np.isfinite(values), values, np.nan)

    def labels_changed(self):
        """Write something else below images."""
        self.image_model.set_labels(self._labels())
        self.graph.update_labels()

    def can_draw_density(self):
        """Never: what is behind images would not be seen."""
        return False

    def _show_count(self):
        """Say how many images there is no room for, in view or elsewhere."""
        places, count = self.graph.images.places, len(self.imaged)
        n_shown = places.count_with_room()
        text = ""
        if 0 < n_shown < count:
            text = f"{n_shown:,} of {count:,} images have room; zoom in to see more."
        self.room_label.setText(text)

    # Controls -----------------------------------------------------------------------

    def _change_images(self):
        if self.data is not None:
            self._handle_subset_data()
            self.setup_plot()

    def _change_axes(self):
        if self.data is not None:
            self.setup_plot()
            self.commit.deferred()

    def _select_value(self, value: int, modifiers):
        self.graph.select_by_indices(self.coloring.rows_of(value), modifiers)

    # Selection and outputs ----------------------------------------------------------

    def clear(self):
        """Forget what belongs to the data before."""
        super().clear()
        self._inside = None

    def apply_selection(self):
        """Select what was selected: rows of the data, wherever they are now."""
        stored, self._pending_selection = self._pending_selection, None
        stored = self.selection or stored
        points = {int(row): n for n, row in enumerate(self._rows_of_points())}
        try:
            chosen = [(points[row], group) for row, group in stored or () if group > 0]
        except (KeyError, TypeError, ValueError):
            chosen = []  # of other data
        if chosen:
            selection = np.zeros(self.graph.n_valid, dtype=np.uint8)
            places, groups = np.array(chosen).T
            selection[places] = groups
            self.graph.selection = selection
        self.graph.update_selection_colors()
        self._store_selection()

    def selection_changed(self):
        """Remember what is selected, and send it."""
        self._store_selection()
        self.commit.deferred()

    def _store_selection(self):
        self.selection = None
        if self.graph.selection is not None:
            rows = self._rows_of_points()
            self.selection = [
                (int(rows[point]), int(self.graph.selection[point]))
                for point in np.flatnonzero(self.graph.selection)
            ]
        self._count_selected()

    def _count_selected(self):
        chosen = self.graph.selection
        same = chosen is not None and self.coloring is not None
        if same and len(chosen) == len(self.coloring):
            self.legend.set_selected(chosen > 0)
        else:
            self.legend.set_selected(None)

    # Report, end --------------------------------------------------------------------

    def send_report(self):
        """Report the columns, and the map as it is seen."""
        if self.data is None:
            return
        n_selected = len(self.graph.get_selection())
        self.report_items(
            (
                ("Image column", self.image_attr.name),
                ("Axes", " / ".join(variable.name for variable in self.axes)),
                ("Images", f"{len(self.imaged):,}"),
                ("Color", self._get_caption_var_name(self.attr_color) or False),
                ("Label", self._get_caption_var_name(self.attr_label) or False),
                ("Selected", f"{n_selected:,}" if n_selected else False),
            )
        )
        self.report_html += get_html_img(self.view)

    @classmethod
    def migrate_settings(cls, stored: dict, version: int | None):
        """A size that the slider does not have is brought into its range."""
        size = stored.get("image_size")
        if isinstance(size, int | float):
            stored["image_size"] = int(max(MIN_EDGE, min(size, MAX_EDGE)))
        else:
            stored.pop("image_size", None)

    def onDeleteWidget(self):
        """Stop loading."""
        self.preview.shutdown()
        self.compare.shutdown()
        self.image_actions.close()
        self.view.shutdown()
        self.loader.close()
        super().onDeleteWidget()


def _numeric(data: Table) -> list[ContinuousVariable]:
    domain = data.domain
    columns = (*domain.attributes, *domain.class_vars, *domain.metas)
    return [column for column in columns if column.is_continuous]


if __name__ == "__main__":
    import sys

    from orangewidget.utils.widgetpreview import WidgetPreview

    from orangecontrib.imageanalytics.import_images import ImportImages

    table, _ = ImportImages()(sys.argv[1])
    WidgetPreview(OWImageMap).run(table)
