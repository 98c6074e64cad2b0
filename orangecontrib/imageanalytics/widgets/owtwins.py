"""Twins: images that are in the data more than once."""

import numpy as np
from AnyQt.QtCore import QSize
from AnyQt.QtWidgets import QPushButton
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.itemmodels import VariableListModel
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.twins import METHODS
from orangecontrib.imageanalytics.widgets.preview.imagecompare import MAX_IMAGES
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.imagesheet import OWImageSheet
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.twins.twins_run import (
    MOST_DISTANCE,
    TwinsRunMixin,
)
from orangecontrib.imageanalytics.widgets.twins.twins_sheet import (
    N_LABELS,
    distance,
    headings,
    kept_coloring,
    size,
    twin_labels,
)
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import auto_send
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    EMPTY_COLUMN,
    NO_IMAGE_COLUMN,
    likely_image_columns,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import without_links

NO_DATA = "Connect Import Images or Image Embedding."
NO_TWINS = (
    "No twins: each image is in the data once.\n\n"
    "Move Distance towards loose to find images that are less alike."
)
NOT_READ = 'None of the images can be read. Click "not read" to see why.'
MIN_FOLDS, MAX_FOLDS = 2, 100
MAX_REPORTED = 100  # images that cannot be read
FOLDS_TIP = """\
<p>How many folds the column <b>fold</b> in the output Data has. Twins are always in the
same one. Choose the column in Test and Score, under Cross validation by feature.</p>"""


class OWTwins(TwinsRunMixin, OWImageSheet):
    """Shows groups of twins; outputs the images without them, and folds."""

    name = "Twins"
    description = "Find images that are in the data more than once."
    keywords = "twins, duplicates, near-duplicates, copies, deduplicate, image, photo"
    icon = "icons/Twins-symbolic.svg"
    priority = 175

    class Inputs:
        images = Input("Images", Table)

    class Outputs:
        without_twins = Output("Without Twins", Table, default=True)
        data = Output("Data", Table)

    class Warning(OWImageSheet.Warning):
        unreadable = Msg("{} could not be read, and have no twins.")
        chained = Msg(
            "{} like the largest of a group only by way of others. Look at the groups, "
            "or move Distance towards strict."
        )

    class Error(OWImageSheet.Error):
        no_vectors = Msg("The data has no vectors. Use Image Embedding first.")
        out_of_memory = Msg("There is not enough memory to compare these images.")
        unexpected_error = Msg("The twins could not be found: {}")

    class Information(OWImageSheet.Information):
        stopped = Msg("Stopped. Press Start to continue.")

    settingsHandler = CheckedDomainContextHandler()
    image_attr: Variable | None = ContextSetting(None)
    method: str = Setting("both", valid=one_of(*METHODS))
    #: In hundredths of the threshold of `find_twins`
    distance: int = Setting(100, valid=between(0, MOST_DISTANCE))
    n_folds: int = Setting(10, valid=between(MIN_FOLDS, MAX_FOLDS))
    imageSize: int = Setting(
        140, valid=between(FlowGeometry.smallest, FlowGeometry.largest)
    )
    auto_commit: bool = Setting(True)

    def __init__(self):
        OWImageSheet.__init__(self)
        TwinsRunMixin.__init__(self)
        self.data: Table | None = None
        self._sources: list[str | None] = []
        self._rows = np.zeros(0, dtype=int)  # of the view, as rows of the data
        self._counts: list[int] = []
        self._make_controls()
        self._make_view()
        self.view.set_message(NO_DATA)

    # Layout -----------------------------------------------------------------------

    def _make_controls(self):
        self._make_search_box()
        self._make_view_box()
        self.options.add_box("Cross-Validation")
        spin = gui.spin(
            None, self, "n_folds", MIN_FOLDS, MAX_FOLDS, callback=self.distribute
        )
        self.options.add_row("Folds:", spin, FOLDS_TIP)
        gui.rubber(self.controlArea)
        auto_send(self, "auto_commit")
        self.make_run_button()

    def _make_search_box(self):
        box = self.options.add_box("Twins")
        self.image_model = VariableListModel(parent=self)
        self.options.add_columns(
            self,
            "image_attr",
            "Column:",
            self.image_model,
            self._change_column,
            "Column with paths or addresses of images",
        )
        self.make_method_rows()
        self.make_status(box)

    def _make_view_box(self):
        box = self.options.add_box("View")
        self.add_size_slider()
        self.make_legend(box)
        self.compare_button = QPushButton(
            "&Compare Group",
            autoDefault=False,
            enabled=False,
            toolTip="Show the images of the current group side by side",
            clicked=self._compare_group,
        )
        box.layout().addWidget(self.compare_button)

    def _make_view(self):
        view = self.make_view(FlowGeometry(self.imageSize), ExtendedSelection)
        view.scaled.connect(self.keep_size)
        view.current_changed.connect(self._on_current_changed)
        view.selection_changed.connect(self.count_selected)

    def sizeHint(self):
        """Room for a good number of groups."""
        return QSize(1000, 700)

    # Data -------------------------------------------------------------------------

    @Inputs.images
    def set_images(self, data: Table | None):
        """Find the twins in another table."""
        self.closeContext()
        self.forget()
        self.loader.refresh()
        self.Error.clear()
        self.data = data if data else None
        columns = likely_image_columns(self.data) if self.data else []
        self.image_model[:] = columns
        self.image_attr = columns[0] if columns else None
        if columns:
            self.openContext(self.data.domain)
        self._restart()

    def _change_column(self):
        self.forget()
        self._restart()

    def _restart(self):
        self.clear_result_messages()
        self.status.setText("")
        self._sources = []
        if self.image_attr is not None:
            self._sources = column_sources(self.data, self.image_attr)
        self.show_images_of(self.image_attr, self._sources)
        self._clear_view()
        if self.data is None:
            self.view.set_message(NO_DATA)
        elif self.image_attr is None:
            self.Error.no_image_attr()
            self.view.set_message(NO_IMAGE_COLUMN)
        elif not any(self._sources):
            self.view.set_message(EMPTY_COLUMN.format(self.image_attr.name))
        else:
            self.find()
            return
        self.send_twins()

    # What is shown ----------------------------------------------------------------

    def show_twins(self, message: str = ""):
        """Show the twins that were found, or a message."""
        if self.twins is None or not self.twins.n_groups:
            self._clear_view()
            why = NOT_READ if self.none_was_read() else NO_TWINS
            self.view.set_message(message or why)
        else:
            self._fill_view()

    def send_twins(self):
        """Send the tables; without any at once, as there is nothing to wait for."""
        if self.found is None:
            self.commit.now()
        else:
            self.commit.deferred()

    def none_was_read(self) -> bool:
        """Whether reading failed for each of the images."""
        known = {source for source in self._sources if source is not None}
        return self.twins is not None and len(self.twins.failures) == len(known)

    def _clear_view(self):
        self._rows, self._counts = np.zeros(0, dtype=int), []
        self.view.model().set_images([])
        self.view.set_sections([], [])
        self.show_coloring(None)

    def _fill_view(self):
        twins, view = self.twins, self.view
        members = twins.members()
        self._rows = np.concatenate(members)
        self._counts = [len(rows) for rows in members]
        labels = twin_labels(twins, self._rows, self._sources)
        view.model().set_images(
            [self._sources[row] for row in self._rows],
            labels,
            self.intensity_of(self.image_attr),
        )
        self.set_details_of(self.data, self._rows)
        view.set_labels(N_LABELS, labels)
        view.set_sections(headings(twins), self._counts)
        self.show_coloring(kept_coloring(twins, self._rows))
        view.set_message("")

    def shown_values(self, row: int) -> list[tuple[str, str]]:
        """The size and the distance of an image of the view."""
        row = self._rows[row]
        return [
            ("Pixels", size(self.twins, row)),
            ("Distance", distance(self.twins, row)),
        ]

    def _on_current_changed(self, index):
        self.compare_button.setEnabled(index.isValid())

    def _compare_group(self):
        section = self.view.current_section()
        if section >= 0:
            start = sum(self._counts[:section])
            count = min(self._counts[section], MAX_IMAGES)
            self.view.select_rows(range(start, start + count))
            self.compare.open()

    # Outputs and report -----------------------------------------------------------

    @gui.deferred
    def commit(self):
        """Send the images without twins, and all with groups and folds."""
        found = self.found
        self.Outputs.without_twins.send(None if found is None else found.single)
        self.Outputs.data.send(None if found is None else found.grouped)

    def send_report(self):
        """Report how twins were found, and the visible groups."""
        if self.data is None or self.image_attr is None:
            return
        self.report_items(
            (
                ("Image column", self.image_attr.name),
                ("Compared", self.method_combo.currentText()),
                ("Distance", f"{self.distance / 100:.2f}"),
                ("Images", f"{len(self.data):,}"),
                ("Twins", without_links(self.status.text()) or False),
                ("Folds", self.n_folds),
            )
        )
        if self.twins is not None and self.twins.failures:
            failures = list(self.twins.failures.items())
            self.report_items("Images Not Read", failures[:MAX_REPORTED])
        self.report_sheet()


if __name__ == "__main__":
    import sys

    from orangewidget.utils.widgetpreview import WidgetPreview

    from orangecontrib.imageanalytics.import_images import ImportImages

    table, _ = ImportImages()(sys.argv[1])
    WidgetPreview(OWTwins).run(table)
