"""Explain Images: which parts of images make a model predict what it predicts."""

import logging

from AnyQt.QtCore import QSize, Qt
from AnyQt.QtWidgets import QSplitter
from Orange.base import Model
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.utils.localization import pl
from Orange.widgets.utils.widgetpreview import WidgetPreview
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics.errors import Cancelled, ImageAnalyticsError
from orangecontrib.imageanalytics.explain import Explaining, Explanation
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.widgets.explain.explaincontrols import (
    METHOD_NAMES,
    ExplainControlsMixin,
)
from orangecontrib.imageanalytics.widgets.explain.explaining_task import (
    Saved,
    Task,
    explain,
)
from orangecontrib.imageanalytics.widgets.explain.heatpanel import HeatPanel
from orangecontrib.imageanalytics.widgets.explain.heatview import HeatViewMixin
from orangecontrib.imageanalytics.widgets.explain.overlays import Overlays
from orangecontrib.imageanalytics.widgets.explain.saving_maps import SavingMapsMixin
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.imagesheet import OWImageSheet
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedSettingsHandler,
)
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    EMPTY_COLUMN,
    NO_IMAGE_COLUMN,
    likely_image_columns,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

NO_DATA = (
    "Connect images, and a model that was trained on their vectors.\n\n"
    "Import Images → Image Embedding → Logistic Regression → Explain Images"
)
EXACT = "exact"


class OWExplainImages(
    ExplainControlsMixin,
    HeatViewMixin,
    SavingMapsMixin,
    OWImageSheet,
    ConcurrentWidgetMixin,
):
    """Shows images with heat maps; `explain` does the work, in a thread."""

    name = "Explain Images"
    description = "Show which parts of images make a model predict what it predicts."
    keywords = (
        "explain images, explain, heat map, saliency, class activation map, cam, "
        "occlusion, why, interpret, image, model"
    )
    icon = "icons/ExplainImages-symbolic.svg"
    priority = 178

    class Inputs:
        model = Input("Model", Model)
        images = Input("Images", Table, default=True)

    class Outputs:
        data = Output("Data", Table)

    class Error(OWImageSheet.Error):
        cannot_explain = Msg("The images could not be explained: {}")
        unexpected_error = Msg("The images could not be explained: {}")
        cannot_save = Msg("The heat maps could not be saved: {}")

    class Warning(OWImageSheet.Warning):
        failed = Msg("{} could not be explained, the first: {}")
        not_saved = Msg("{} could not be saved, the first: {}")

    class Information(OWImageSheet.Information):
        stopped = Msg("Stopped. Press Start to begin again.")
        saved = Msg("{} saved in {}.")
        saving_stopped = Msg("Saving was stopped. Files written so far are kept.")

    settingsHandler = CheckedSettingsHandler()

    def __init__(self):
        OWImageSheet.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self.data: Table | None = None
        self.model: Model | None = None
        self.explaining: Explaining | None = None
        self._saving = False
        self._sources: list[str | None] = []
        self._column = None
        self._rows: list[int] = []  # of the data, as in the view
        self._current: int | None = None
        self._explanations: dict[int, Explanation] = {}
        self._overlays = Overlays()
        self._make_controls()
        view = self.make_view(FlowGeometry(self.image_size), ExtendedSelection)
        view.scaled.connect(self.keep_size)
        view.current_changed.connect(self._on_current_changed)
        self.panel = HeatPanel()
        splitter = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        self.mainArea.layout().addWidget(splitter)
        splitter.addWidget(view)
        splitter.addWidget(self.panel)
        splitter.setSizes([520, 300])
        self._show_data()

    def sizeHint(self):
        """Room for a good number of images, and for the current one."""
        return QSize(1150, 700)

    # Inputs ---------------------------------------------------------------------------

    @Inputs.model
    def set_model(self, model: Model | None):
        """Explain another model."""
        self.model = model

    @Inputs.images
    def set_images(self, data: Table | None):
        """Explain other images."""
        self.data = data if data else None

    def handleNewSignals(self):
        """Start once both inputs have arrived."""
        self.loader.refresh()
        self._show_data()
        self.restart()

    def _show_data(self):
        columns = likely_image_columns(self.data) if self.data else []
        self._column = columns[0] if columns else None
        sources = column_sources(self.data, self._column) if columns else []
        self._show_sources(sources)
        domain = getattr(self.model, "domain", None)
        variable = domain.class_var if domain is not None else None
        is_discrete = variable is not None and variable.is_discrete
        self._show_classes(variable.values if is_discrete else ())

    def _show_sources(self, sources):
        self._sources = sources
        self._rows = [row for row, source in enumerate(sources) if source is not None]
        self.show_images_of(self._column, sources)
        intensity = self.intensity_of(self._column)
        shown = [sources[row] for row in self._rows]
        self.view.model().set_images(shown, intensity=intensity)
        self.view.set_labels(1, self._label)
        self.set_details_of(self.data, self._rows)
        self.view.set_message(self._message())
        self.panel.setVisible(bool(self._rows))
        if self._rows and not self.view.currentIndex().isValid():
            flag = self.view.selectionModel().SelectionFlag.NoUpdate
            first = self.view.model().index(0, 0)
            self.view.selectionModel().setCurrentIndex(first, flag)
        if self.like not in self._rows:
            self.like = self._rows[0] if self._rows else 0
        compared = None
        if self.model is None and self._rows:
            compared = self._sources[self.like]
        self._show_compared(compared)

    def _message(self) -> str:
        if self.data is None:
            return NO_DATA
        if self._column is None:
            return NO_IMAGE_COLUMN
        return "" if self._rows else EMPTY_COLUMN.format(self._column.name)

    # Working --------------------------------------------------------------------------

    def restart(self):
        """Explain all images from the beginning."""
        self.cancel()
        self.Error.clear()
        self.Warning.failed.clear()
        self.Information.clear()
        if self._saving:
            self.Information.saving_stopped()
        self._saving = False
        self.explaining = None
        self._explanations = {}
        self._overlays.clear()
        if self.data is not None and self._column is None:
            self.Error.no_image_attr()
        if self._rows:
            self._start()
        else:
            self._show_status("")
        self._show_heat()
        self.commit.now()

    def _start(self):
        task = Task(
            self.data,
            self.model,
            self.class_combo.currentData() or None,
            self.like if self.model is None else None,
            self.method,
            None if self.model is not None else self._column.name,
            lambda: self._current,
        )
        self.start(explain, task)
        self._show_status("Loading the network…")

    def cancel(self):
        """Stop the work."""
        if self.explaining is not None:
            self.explaining.cancel()  # at once, also in the middle of an image
        super().cancel()

    def _start_or_stop(self):
        if self.task is None:
            self.restart()
            return
        self.cancel()
        if self._saving:
            self.Information.saving_stopped()
        else:
            self.Information.stopped()
        self._saving = False
        self._show_failures()
        self._show_status(self._method_text())
        self.commit.deferred()

    def compare_with_current(self):
        """Compare the other images with the current one."""
        if self._current is not None and self._current != self.like:
            self.like = self._current
            self._show_compared(self._sources[self.like])
            self.restart()

    def on_partial_result(self, result):
        """Show what is new."""
        if isinstance(result, Explaining):
            self.explaining = result
            if result.sources != self._sources:
                self._column = self.data.domain[result.column]
                self._show_sources(result.sources)
            return
        for explanation in result:
            self._explanations[explanation.row] = explanation
        self._show_status(self._method_text())
        self._show_heat()

    def on_done(self, result):
        """Output what was found out."""
        if isinstance(result, Saved):
            self._show_saved(result)
            return
        self._show_failures()
        self._show_status(self._method_text(), is_done=True)
        self.commit.deferred()

    def _show_failures(self):
        # When it was stopped, the thread may still add one.
        failures = dict(self.explaining.failures) if self.explaining else {}
        if failures:
            n = len(failures)
            self.Warning.failed(f"{n:,} {pl(n, 'image')}", self._first_of(failures))

    def _first_of(self, failures: dict[int, str]) -> str:
        """The first image that failed, and why."""
        row, reason = next(iter(failures.items()))
        return f"{self._sources[row]}: {reason}"

    def on_exception(self, ex: Exception):
        """Say why it failed."""
        saving, self._saving = self._saving, False
        if isinstance(ex, Cancelled):
            pass
        elif saving:
            self.Error.cannot_save(str(ex))
        elif isinstance(ex, ImageAnalyticsError | ValueError):
            log.info("Explaining failed", exc_info=ex)
            self.Error.cannot_explain(str(ex))
        else:
            log.exception("Explaining failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._show_status(self._method_text(), is_done=True)
        self.commit.deferred()

    def _method_text(self) -> str:
        explaining = self.explaining
        if explaining is None or explaining.method is None:
            return ""
        name = METHOD_NAMES[explaining.method]
        if explaining.method == "activation":
            return f"{name} ({EXACT})"
        if explaining.reason:
            return f"{name}, since {explaining.reason}"
        return name

    def _show_status(self, text: str, is_done: bool = False):
        running = self.task is not None and not is_done
        self.status_label.setText(text)
        self.run_button.setText("Stop" if running else "Start")
        self.run_button.setEnabled(bool(self._rows))
        self.save_button.setEnabled(bool(self._explanations) and not running)

    # Output, report, end --------------------------------------------------------------

    @gui.deferred
    def commit(self):
        """Send the table with what is known so far."""
        explaining = self.explaining
        table = explaining.explained() if explaining and self._explanations else None
        self.Outputs.data.send(table)

    def send_report(self):
        """Report what was explained, how, and the visible sheet."""
        if not self._rows:
            return
        classes = self.class_combo.count()
        similar = self.model is None and self._sources[self.like]
        self.report_items(
            (
                ("Model", self.model.name if self.model is not None else False),
                ("Class", self.class_combo.currentText() if classes else False),
                ("Similar to", similar),
                ("Method", self._method_text() or False),
                ("Images", f"{len(self._rows):,}"),
                ("Explained", f"{len(self._explanations):,}"),
            )
        )
        self.report_sheet()

    def onDeleteWidget(self):
        """Stop working."""
        end_task(self)
        self.panel.shutdown()
        super().onDeleteWidget()


if __name__ == "__main__":
    WidgetPreview(OWExplainImages).run()
