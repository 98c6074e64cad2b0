"""Image Map: images at the places that t-SNE, PCA or any two columns give them."""

import numpy as np
from Orange.data import Table, Variable
from Orange.widgets.settings import ContextSetting, Setting, SettingProvider
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.sql import check_sql_input
from Orange.widgets.visualize.utils.widget import OWDataProjectionWidget
from Orange.widgets.widget import Msg
from orangewidget.report.report import get_html_img

from orangecontrib.imageanalytics.images.sources import image_columns
from orangecontrib.imageanalytics.widgets.map.mapcontrols import (
    MAX_EDGE,
    MIN_EDGE,
    MapControlsMixin,
)
from orangecontrib.imageanalytics.widgets.map.mapdata import MapData, numeric_columns
from orangecontrib.imageanalytics.widgets.map.mapgraph import ImageMapGraph
from orangecontrib.imageanalytics.widgets.map.mapselection import (
    MapSelectionMixin,
    MapSubsetMixin,
)
from orangecontrib.imageanalytics.widgets.map.projections import (
    projections,
    proposed_axes,
)
from orangecontrib.imageanalytics.widgets.preview.rowdetails import (
    row_details,
    row_values,
)
from orangecontrib.imageanalytics.widgets.sheet.coloring import (
    Coloring,
    row_coloring,
)
from orangecontrib.imageanalytics.widgets.sheet.hovercard import card_text
from orangecontrib.imageanalytics.widgets.sheet.imagewindows import (
    ImageWarnings,
    ImageWindowsMixin,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    ThumbnailModel,
    row_labels,
)
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    between,
    limit,
)
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN

_NONE = np.zeros(0, dtype=int)
CHAIN = (
    "Import Images → Image Embedding → t-SNE → Image Map\n"
    "From t-SNE, connect the output Data, which has all images."
)
NO_DATA = (
    "Connect a table with images and two numeric columns that say where they are.\n\n"
    + CHAIN
)
NO_NUMBERS = f"The data has no two numeric columns to place images by.\n\n{CHAIN}"
NO_PLACES = "No row has a number in both '{}' and '{}'. Choose other axes."


class OWImageMap(
    MapControlsMixin,
    MapSelectionMixin,
    MapSubsetMixin,
    ImageWindowsMixin,
    OWDataProjectionWidget,
):
    """Shows images at the points of two numeric columns; outputs the selected ones."""

    name = "Image Map"
    description = "Show images at their places in a projection, such as t-SNE or PCA."
    keywords = "image map, map, image, picture, photo, scatter plot, t-sne, pca"
    icon = "icons/ImageMap-symbolic.svg"
    priority = 170

    class Warning(ImageWarnings, OWDataProjectionWidget.Warning):
        no_places = Msg(NO_PLACES)
        no_images = Msg("Column '{}' is empty: there are only dots to show.")

    class Error(OWDataProjectionWidget.Error):
        no_image_attr = Msg(NO_IMAGE_COLUMN)
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

    settingsHandler = CheckedDomainContextHandler()
    image_attr: Variable | None = ContextSetting(None)
    attr_x: Variable | None = ContextSetting(None)
    attr_y: Variable | None = ContextSetting(None)
    image_size: int = Setting(48, valid=between(MIN_EDGE, MAX_EDGE))

    GRAPH_CLASS = ImageMapGraph
    graph = SettingProvider(ImageMapGraph)
    graph_name = "view"
    # The places are in the data already.
    embedding_variables_names = None

    def __init__(self):
        self.make_loader()
        self.image_model = ThumbnailModel(self.loader, self)
        self.map_data: MapData | None = None
        self.coloring: Coloring | None = None  # of the points
        self._pending_selection = self.selection
        super().__init__()
        self.make_windows()
        self.graph.images.places.set_edge(self.image_size)
        self.view.set_message(NO_DATA)

    # Data ---------------------------------------------------------------------------

    @OWDataProjectionWidget.Inputs.data
    @check_sql_input
    def set_data(self, data: Table | None):
        """Show another table; keep the selection if images and places are the same."""
        # Not the inherited one, which compares tables number by number.
        before, selection = self.map_data, self.selection
        self.closeContext()
        self.loader.refresh()
        self.data = data
        self.check_data()
        self.init_attr_values()
        self.openContext(self.data)
        if self.data is not None and None in (self.image_attr, *self.axes):
            self.init_attr_values()  # a saved context that was not valid
        self.clear()
        self._find_map()
        both = before is not None and self.map_data is not None
        if both and self.map_data.shows_same_as(before):
            self._pending_selection = selection
        self._invalidated = True

    def check_data(self):
        """Accept only data with images and numbers; otherwise say what is needed."""
        super().check_data()
        if not self.data:
            self.data = None
        elif not image_columns(self.data):
            self.Error.no_image_attr()
            self.data = None
        elif proposed_axes(numeric_columns(self.data)) is None:
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
            self.attr_x, self.attr_y = proposed_axes(numeric_columns(data))
            if domain.class_var in self.color_model:
                self.attr_color = domain.class_var

    def _find_map(self):
        self.map_data = self.valid_data = None
        if self.data is not None:
            self.map_data = MapData(self.data, self.image_attr, self.axes)
            self.valid_data = self.map_data.valid

    def setup_plot(self):
        """Show the data again."""
        self._say_what_is_wrong()
        self._show_images()
        self._find_colors()
        self.graph.reset_graph()
        self.apply_selection()
        self.view.set_message(self._message())

    def _message(self) -> str:
        """What to do next if there is nothing to show."""
        if self.Error.no_image_attr.is_shown():
            return NO_IMAGE_COLUMN
        if self.Error.no_numbers.is_shown():
            return NO_NUMBERS
        if self.data is None:
            return NO_DATA
        if not self.valid_data.any():
            return NO_PLACES.format(*(axis.name for axis in self.axes))
        return ""

    @property
    def axes(self) -> tuple[Variable | None, Variable | None]:
        """The columns of the places."""
        return self.attr_x, self.attr_y

    @property
    def is_projection(self) -> bool:
        """Whether the axes have the same unit."""
        return self.map_data is not None and self.map_data.is_projection

    @property
    def imaged(self) -> np.ndarray:
        """The points of the images, in the order of the model."""
        return _NONE if self.map_data is None else self.map_data.imaged

    @property
    def labelled(self) -> bool:
        """Whether something is written below images."""
        return self.attr_label is not None

    def get_embedding(self):
        """Places of all rows."""
        return None if self.map_data is None else self.map_data.places

    def _say_what_is_wrong(self):
        for message in (
            self.Warning.no_places,
            self.Warning.no_images,
            self.Information.left_out,
            self.Information.no_projection,
        ):
            message.clear()
        if self.map_data is None:
            return
        names = [variable.name for variable in self.axes]
        n_left_out = int(np.sum(~self.valid_data))
        if n_left_out == len(self.data):
            self.Warning.no_places(*names)
        elif n_left_out:
            rows = f"{n_left_out:,} {pl(n_left_out, 'row is|rows are')}"
            self.Information.left_out(rows, *names)
        if not self.map_data.has_images:
            self.Warning.no_images(self.image_attr.name)
        numeric = numeric_columns(self.data)
        if not projections(numeric) and self.axes == proposed_axes(numeric):
            self.Information.no_projection(*names)

    def _show_images(self):
        sources = [] if self.map_data is None else self.map_data.sources
        self.show_images_of(self.image_attr, sources)
        self.image_model.set_images(
            sources, self._labels(), self.intensity_of(self.image_attr)
        )
        self.image_model.set_details(row_details(self.data, self._image_rows()))

    def _image_rows(self) -> np.ndarray:
        return _NONE if self.map_data is None else self.map_data.image_rows

    def _labels(self):
        variables = [] if self.attr_label is None else [self.attr_label]
        return row_labels(self.data, variables, self._image_rows())

    def _describe(self, image: int) -> str:
        """What is known about an image, as rich text."""
        variables = (self.attr_label, self.attr_color, *self.axes)
        values = row_values(self.data, int(self._image_rows()[image]), variables)
        return card_text(values, self.image_model.description(image))

    # Colours and labels -------------------------------------------------------------

    def _find_colors(self):
        rows = _NONE if self.map_data is None else self.map_data.rows
        self.coloring = row_coloring(self.data, self.attr_color, rows)
        self.legend.set_coloring(self.coloring)
        self.count_selected()

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

    # Controls -----------------------------------------------------------------------

    def _change_images(self):
        if self.data is not None:
            self._find_map()
            self._handle_subset_data()
            self.setup_plot()

    def _change_axes(self):
        self._change_images()
        self.commit.deferred()

    # Report, end --------------------------------------------------------------------

    def send_report(self):
        """Report the columns and the visible map."""
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
        """Bring a size that the slider does not have into its range."""
        limit(stored, "image_size", MIN_EDGE, MAX_EDGE)

    def onDeleteWidget(self):
        """Stop loading."""
        self.view.shutdown()
        self.close_windows()
        super().onDeleteWidget()


if __name__ == "__main__":
    import sys

    from orangewidget.utils.widgetpreview import WidgetPreview

    from orangecontrib.imageanalytics.import_images import ImportImages

    table, _ = ImportImages()(sys.argv[1])
    WidgetPreview(OWImageMap).run(table)
