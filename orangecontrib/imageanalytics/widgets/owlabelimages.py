"""Label Images: give images classes by hand, with the help of a quick model."""

import logging
from typing import ClassVar

import numpy as np
from AnyQt.QtCore import QSize, QTimer
from AnyQt.QtWidgets import QLabel
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.concurrent import ConcurrentWidgetMixin
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.labels import (
    ORDERS,
    LabelSession,
    Teacher,
    no_proposals,
)
from orangecontrib.imageanalytics.labels.orders import LIKE, NEED_VECTORS, UNCERTAIN
from orangecontrib.imageanalytics.labels.record import is_record
from orangecontrib.imageanalytics.widgets.labelling.known_labels import known_labels
from orangecontrib.imageanalytics.widgets.labelling.label_controls import (
    MOST_AT_A_TIME,
    ORDER_CHOICES,
    LabelControls,
)
from orangecontrib.imageanalytics.widgets.labelling.label_files import LabelFiles
from orangecontrib.imageanalytics.widgets.labelling.label_sheet import LabelSheet
from orangecontrib.imageanalytics.widgets.labelling.label_store import (
    KnownLabels,
    LabelStore,
)
from orangecontrib.imageanalytics.widgets.labelling.label_task import (
    learn,
    make_tables,
)
from orangecontrib.imageanalytics.widgets.labelling.labelling import LabellingMixin
from orangecontrib.imageanalytics.widgets.labelling.remembering import (
    RememberingMixin,
)
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.imagesheet import OWImageSheet
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import auto_send, wrap
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    EMPTY_COLUMN,
    NO_IMAGE_COLUMN,
    likely_image_columns,
)
from orangecontrib.imageanalytics.widgets.utils.threads import end_task

log = logging.getLogger(__name__)

NO_DATA = "Connect Image Embedding, or another table that says where images are."
COMMIT_MS = 300  # after the last label


class OWLabelImages(
    LabellingMixin, RememberingMixin, OWImageSheet, ConcurrentWidgetMixin
):
    """`LabellingMixin` is what the user does, `RememberingMixin` what is kept."""

    name = "Label Images"
    description = "Give images classes by hand; a quick model proposes the others."
    keywords = (
        "label images, labels, labelling, labeling, annotate, annotation, tag, "
        "classes, active learning, image, photo"
    )
    icon = "icons/LabelImages-symbolic.svg"
    priority = 172

    class Inputs:
        images = Input("Images", Table, default=True)
        labels = Input("Labels", Table)

    class Outputs:
        labelled = Output("Labelled", Table, default=True)
        all = Output("All", Table)

    class Warning(OWImageSheet.Warning):
        no_images = Msg("Column '{}' is empty: there are no images to label.")
        bad_name = Msg("{}")
        labels_unused = Msg("Input Labels is not used: {}")
        not_autosaved = Msg("The labels could not be autosaved: {}")
        autosave_damaged = Msg("A damaged autosave was kept as {}")
        files_changed = Msg("{} changed since they were labelled; classes were kept.")

    class Error(OWImageSheet.Error):
        file_error = Msg("{}")
        out_of_memory = Msg("There is not enough memory to propose classes.")
        unexpected_error = Msg("Classes could not be proposed: {}")

    class Information(OWImageSheet.Information):
        no_vectors = Msg(
            "The images have no vectors, so no classes are proposed. Put Image "
            "Embedding before this widget."
        )
        done = Msg("{}")

    settingsHandler = CheckedDomainContextHandler()
    image_attr: Variable | None = ContextSetting(None)
    order: str = Setting(UNCERTAIN, valid=one_of(*ORDERS))
    at_a_time: int = Setting(1, valid=between(1, MOST_AT_A_TIME))
    size_setting: ClassVar = "image_size"
    image_size: int = Setting(
        120, valid=between(FlowGeometry.smallest, FlowGeometry.largest)
    )
    class_name: str = Setting("class", valid=bool)
    #: What was labelled, as `Record.as_dict` gives it
    record: dict = Setting({}, schema_only=True, valid=is_record)
    auto_commit: bool = Setting(True)

    def __init__(self):
        OWImageSheet.__init__(self)
        ConcurrentWidgetMixin.__init__(self)
        self.data: Table | None = None
        self._known = KnownLabels()
        self._rows = np.zeros(0, dtype=int)  # of the data, with an image
        self._sources: list[str] = []
        self._teacher = Teacher(None, self._rows)
        self.proposals = no_proposals(0)
        self._images_changed = True
        self._invalid = False  # the outputs, until they are sent
        self.files = LabelFiles(self)
        self.store = LabelStore(self, self.record)
        self.session = LabelSession(0, self.store.classes())
        self.store.follow(self.session)
        self.panel = LabelControls(self)
        auto_send(self, "auto_commit")
        self._output = Background(self, self._send, self._on_output_failed)
        self._commit_timer = QTimer(self, singleShot=True, interval=COMMIT_MS)
        self._commit_timer.timeout.connect(self._make_output)
        self._make_view()
        LabellingMixin.__init__(self)
        RememberingMixin.__init__(self)
        self.settingsAboutToBePacked.connect(self._store_settings)
        self.show_state()

    def _make_view(self) -> None:
        RememberingMixin.make_bar(self)
        view = self.make_view(FlowGeometry(self.image_size), ExtendedSelection)
        view.scaled.connect(self.keep_size)
        view.set_message(NO_DATA)
        self.label_sheet = LabelSheet(view)
        self.hint = QLabel()
        wrap(self.hint)
        self.hint.setContentsMargins(4, 2, 4, 2)
        self.mainArea.layout().addWidget(self.hint)

    def sizeHint(self) -> QSize:
        """Room for a good number of images."""
        return QSize(1000, 680)

    # Data -------------------------------------------------------------------------

    @Inputs.images
    def set_images(self, data: Table | None) -> None:
        """Show other images; those that are known keep their classes."""
        self.closeContext()
        self.loader.refresh()
        self.Error.clear()
        self.data = data
        columns = likely_image_columns(data) if data is not None else []
        self.panel.image_model[:] = columns
        self.image_attr = columns[0] if columns else None
        if columns:
            self.openContext(data)
        elif data is not None:
            self.Error.no_image_attr()
        self._images_changed = True

    @Inputs.labels
    def set_labels(self, data: Table | None) -> None:
        """Take over classes from another table."""
        self.Warning.labels_unused.clear()
        self._known, problem = known_labels(data)
        if problem:
            self.Warning.labels_unused(problem)

    def handleNewSignals(self) -> None:
        """Look up what is known about the images, once both inputs have arrived."""
        if self._images_changed:
            self._take_images()
        self._look_up()

    def change_column(self) -> None:
        """Show the images of another column."""
        self._take_images()
        self._look_up()

    def _take_images(self) -> None:
        self._images_changed = False
        self.cancel()
        self.store.leave(self.session, self._sources)
        sources = []
        if self.image_attr is not None:
            sources = column_sources(self.data, self.image_attr)
        rows = [row for row, source in enumerate(sources) if source is not None]
        self._rows = np.array(rows, dtype=int)
        self._sources = [sources[row] for row in rows]
        self.session = LabelSession(len(rows), self.store.classes())
        self.store.follow(self.session)
        has_vectors = bool(rows) and bool(self.data.domain.attributes)
        self._teacher = Teacher(self.data.X if has_vectors else None, self._rows)
        self.proposals = no_proposals(len(rows))
        self._show_images(bool(sources), has_vectors)

    def _show_images(self, has_rows: bool, has_vectors: bool) -> None:
        for message in (self.Warning.no_images, self.Information.no_vectors):
            message.clear()
        if has_rows and not self._sources:
            self.Warning.no_images(self.image_attr.name)
        elif self._sources and not has_vectors:
            self.Information.no_vectors()
        self.show_images_of(self.image_attr, self._sources)
        self.label_sheet.set_images(self._sources, self.intensity_of(self.image_attr))
        self.view.set_message(self._message(has_rows))
        self.show_round(np.arange(len(self._sources)))

    def _message(self, has_rows: bool) -> str:
        if self.Error.no_image_attr.is_shown():
            return NO_IMAGE_COLUMN
        if not has_rows:
            return NO_DATA
        return "" if self._sources else EMPTY_COLUMN.format(self.image_attr.name)

    # Learning ---------------------------------------------------------------------

    def change_order(self) -> None:
        """Show the images in another order."""
        self.begin_round()

    def learn(self) -> None:
        """Propose classes and choose the next images, in a thread."""
        if not self._sources:
            self._round_due = False
            return
        order, reference = self.order, None
        if order == LIKE:
            reference = self.reference()
        self.start(learn, self._teacher, self.session.labels, order, reference)

    def on_partial_result(self, _result) -> None:
        """There are none."""

    def on_done(self, lesson) -> None:
        """Show what is proposed, and the next images."""
        self.proposals = lesson.proposals
        self.take_lesson(lesson.order)
        self.commit.deferred()

    def on_exception(self, ex: Exception) -> None:
        """Say why nothing is proposed; labelling goes on without."""
        if isinstance(ex, Cancelled):
            return
        if isinstance(ex, MemoryError):
            self.Error.out_of_memory()
        else:
            log.exception("Learning failed", exc_info=ex)
            self.Error.unexpected_error(str(ex) or type(ex).__name__)
        self._teacher = Teacher(None, self._rows)
        self._learn_timer.start()  # nothing may be started here

    # Outputs ----------------------------------------------------------------------

    @gui.deferred
    def commit(self) -> None:
        """Send both tables, when nothing has changed for a moment."""
        if self.data is None or self.image_attr is None:
            self.stop_outputs()
            self._send((None, None))
            return
        self.invalidate_outputs()
        if not self.store.busy:  # after which both are sent anyway
            self._commit_timer.start()

    def stop_outputs(self) -> None:
        """Do not send what would have been sent soon."""
        self._commit_timer.stop()
        self._output.cancel()

    def invalidate_outputs(self) -> None:
        """Let other widgets wait for the tables that will be sent."""
        if not self._invalid:
            self._invalid = True
            self.Outputs.labelled.invalidate()
            self.Outputs.all.invalidate()

    def _make_output(self) -> None:
        self._output.start(
            make_tables,
            self.data,
            self._rows,
            self.session.copy(),
            self.proposals,
            self.class_name,
        )

    def _send(self, tables) -> None:
        self._invalid = False
        self.Outputs.labelled.send(tables[0])
        self.Outputs.all.send(tables[1])

    def _on_output_failed(self, error: Exception) -> None:
        log.exception("Output failed", exc_info=error)
        self.Error.unexpected_error(str(error) or type(error).__name__)
        self._send((None, None))

    # Report, end ------------------------------------------------------------------

    def send_report(self) -> None:
        """Report the classes and how many images have each, and the visible sheet."""
        if self.data is None or not self._sources:
            return
        counts = self.session.counts()
        titles = {order: title for title, order in ORDER_CHOICES}
        needs = not self.data.domain.attributes and self.order in NEED_VECTORS
        self.report_items(
            "Labels",
            [
                ("Image column", self.image_attr.name),
                ("Images", f"{len(self._sources):,}"),
                ("Order", "as in the data" if needs else titles[self.order]),
                ("Labelled", f"{self.session.n_labeled:,}"),
                *(
                    (given.name, f"{counts[number]:,}")
                    for number, given in self.session.classes.items()
                ),
            ],
        )
        self.report_sheet()

    def _store_settings(self) -> None:
        self.record = self.store.settings(self.session, self._sources)

    def onDeleteWidget(self) -> None:
        """Stop all work; what is not autosaved yet still is."""
        self.stop_outputs()
        self._learn_timer.stop()
        self.files.close()
        self.store.close()
        end_task(self)
        super().onDeleteWidget()


if __name__ == "__main__":
    import sys

    from orangewidget.utils.widgetpreview import WidgetPreview

    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.import_images import ImportImages

    table, _ = ImportImages()(sys.argv[1])
    with ImageEmbedder() as embedder:
        table, _, _ = embedder(table, col="image")
    WidgetPreview(OWLabelImages).run(set_images=table)
