"""Find Images: by words and by example, and classes without training."""

from functools import partial
from typing import ClassVar

from AnyQt.QtCore import QSize, Qt
from AnyQt.QtGui import QAction, QKeySequence
from Orange.data import Table, Variable
from Orange.widgets import gui
from Orange.widgets.settings import ContextSetting, Setting
from Orange.widgets.utils.itemmodels import VariableListModel
from Orange.widgets.widget import Input, Msg, Output

from orangecontrib.imageanalytics.find_images import TEMPLATES
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.widgets.embedding.embedding_settings import is_known
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import NetworkTask
from orangecontrib.imageanalytics.widgets.embedding.network_chooser import (
    NetworkChooser,
)
from orangecontrib.imageanalytics.widgets.find.asking import AskingMixin
from orangecontrib.imageanalytics.widgets.find.examplestrip import MORE_KEY
from orangecontrib.imageanalytics.widgets.find.findpanel import FindPanel
from orangecontrib.imageanalytics.widgets.find.findresults import FindResultsMixin
from orangecontrib.imageanalytics.widgets.find.findrun import FindRunMixin
from orangecontrib.imageanalytics.widgets.find.findsettings import FindSettingsHandler
from orangecontrib.imageanalytics.widgets.find.matchcontrols import (
    BEST,
    COUNTS,
    SCORE,
    MatchControls,
)
from orangecontrib.imageanalytics.widgets.find.question import (
    FIND,
    SORT,
    Example,
    Line,
    are_lines,
)
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.imagesheet import OWImageSheet
from orangecontrib.imageanalytics.widgets.sheet.selecteditems import (
    Cell,
    numbered_cells,
)
from orangecontrib.imageanalytics.widgets.sheet.selection import ExtendedSelection
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    between,
    one_of,
)
from orangecontrib.imageanalytics.widgets.utils.form_parts import auto_send
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    EMPTY_COLUMN,
    NO_IMAGE_COLUMN,
    NO_ROWS,
    likely_image_columns,
    proposed_label,
)
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import without_links
from orangecontrib.imageanalytics.widgets.utils.threads import end_task
from orangecontrib.imageanalytics.widgets.utils.variablescombo import VariablesCombo

NO_DATA = (
    "Connect Import Images, or another table that says where images are.\n\n"
    "Import Images → Find Images"
)
TIPS = {
    "image_attr": "Column with paths or addresses of images",
    "title_attrs": "Columns with what is written below each image",
}


class OWFindImages(AskingMixin, FindResultsMixin, FindRunMixin, OWImageSheet):
    """Finds images by words and by example; outputs them, best first."""

    name = "Find Images"
    description = "Find images by words and by example, or sort them into classes."
    keywords = (
        "find images, find, search, query, similar, like, example, words, text, "
        "clip, zero-shot, classify, image, picture, photo"
    )
    icon = "icons/FindImages-symbolic.svg"
    priority = 157

    class Inputs:
        images = Input("Images", Table, default=True)
        examples = Input("Examples", Table)

    class Outputs:
        matches = Output("Matches", Table, default=True)
        data = Output("Data", Table)

    class Warning(FindRunMixin.Warning, OWImageSheet.Warning):
        no_images = Msg("Column '{}' is empty: there are no images to search.")
        no_words = Msg("{} does not know words. Choose a network that does.")
        examples_failed = Msg("{} cannot be used; the first: {}: {}.")
        no_example_column = Msg("The input Examples has no column with images.")

    class Error(FindRunMixin.Error, OWImageSheet.Error):
        cannot_find = Msg("{}")

    class Information(OWImageSheet.Information):
        cancelled = Msg("Cancelled. Press Continue to go on where it stopped.")

    settingsHandler = FindSettingsHandler()
    settings_version = 1

    image_attr: Variable | None = ContextSetting(None)
    title_attrs: list[Variable] = ContextSetting([])
    selected_items: set = ContextSetting(set(), schema_only=True)
    imageSize: int = Setting(
        120, valid=between(FlowGeometry.smallest, FlowGeometry.largest)
    )
    #: What is looked for
    mode: str = Setting(FIND, valid=one_of(FIND, SORT), schema_only=True)
    descriptions: list[Line] = Setting([], valid=are_lines, schema_only=True)
    examples: list[Example] = Setting([], schema_only=True)
    class_names: list[str] = Setting([], schema_only=True)
    templates: str = Setting("photo", valid=one_of(*TEMPLATES))
    #: Which images match
    limit_by: str = Setting(BEST, valid=one_of(BEST, SCORE))
    count: int = Setting(50, valid=one_of(*COUNTS))
    least_score: float | None = Setting(None, valid=between(-1, 1), schema_only=True)
    other_below: float = Setting(0.0, valid=between(0, 1))
    #: As of Image Embedding
    embedder: str = Setting(DEFAULT, valid=is_known)
    own_networks: list = Setting([])
    last_dir: str = Setting("")
    autoCommit: bool = Setting(True)

    #: As `NetworkChooser` asks for: always the network's own.
    layer: ClassVar = ""

    def __init__(self):
        OWImageSheet.__init__(self)
        FindRunMixin.__init__(self)
        self._init_results()
        self._init_asking()
        self.data: Table | None = None
        self._no_data = NO_DATA
        self._has_new_images = False
        self._sources: list[str | None] = []
        # Rows of the data with an image, in its order, and what their cells hold.
        self._cell_of: dict[int, Cell] = {}
        self.warn_of_replaced()
        self._make_controls()
        self._make_panel()
        view = self.make_view(FlowGeometry(self.imageSize), ExtendedSelection)
        view.setAccessibleName("Images")
        view.selection_changed.connect(self.on_selection_changed)
        view.current_changed.connect(lambda _: self.enable_more())
        view.scaled.connect(self.keep_size)
        self._make_actions()
        self._begin_asking()
        self.begin()

    # Layout -----------------------------------------------------------------------

    def _make_controls(self) -> None:
        self.options.add_box("Images")
        self.image_model = VariableListModel(parent=self)
        self.options.add_columns(
            self,
            "image_attr",
            "Column:",
            self.image_model,
            self._on_image_attr_changed,
            TIPS["image_attr"],
        )
        self.labels_combo = VariablesCombo()
        self.labels_combo.changed.connect(self._on_labels_changed)
        self.options.add_row("Labels:", self.labels_combo, TIPS["title_attrs"])
        self.add_size_slider()
        self.network = NetworkChooser(self, narrow=True)
        self.network.chosen.connect(self._on_network_chosen)
        self.options.add_box("Network")
        self.options.add_part(self.network)
        self.matches = MatchControls(self)
        self.matches.limit_changed.connect(self.limit_changed)
        self.matches.other_changed.connect(partial(self.ask, at_once=False))
        gui.vBox(self.controlArea, "Matches").layout().addWidget(self.matches)
        box = self._make_status_box()
        box.layout().addWidget(self._make_cancel_button())
        gui.rubber(self.controlArea)
        auto_send(self, "autoCommit")
        self.options.align()  # before Orange decides how wide the area is

    def _make_panel(self) -> None:
        self.panel = FindPanel()
        self.mainArea.layout().addWidget(self.panel)

    def _make_actions(self) -> None:
        self.image_actions.add("More Like This", self.add_examples)
        more = QAction("More Like This", self.view)
        more.setShortcut(MORE_KEY)
        more.setShortcutContext(Qt.WidgetShortcut)
        more.triggered.connect(lambda: self.more_like(self.chosen_rows()))
        self.view.addAction(more)
        find = QAction("Find", self)
        find.setShortcut(QKeySequence(QKeySequence.StandardKey.Find))
        find.triggered.connect(self.panel.focus)
        self.addAction(find)

    def sizeHint(self):
        """Room for a good number of images."""
        return QSize(1050, 700)

    # Inputs -----------------------------------------------------------------------

    @Inputs.images
    def set_images(self, data: Table | None) -> None:
        """Search the images of another table."""
        if self.image_attr is not None:
            # A context without a column would match any data.
            self.closeContext()
        self.loader.refresh()
        self.data = self.image_attr = None
        self.title_attrs, self.selected_items = [], set()
        self._no_data = NO_DATA if data is None else NO_ROWS
        self.image_model[:] = likely_image_columns(data) if data else []
        self.Error.no_image_attr.clear()
        if data:
            self.data = data
            self.labels_combo.set_domain(data.domain)
            if self.image_model:
                self.image_attr = self.image_model[0]
                self.title_attrs = [proposed_label(data, self.image_attr)]
                self.openContext(data)
            else:
                self.Error.no_image_attr()
        else:
            self.labels_combo.set_domain(None)
        self.labels_combo.choose(self.title_attrs)
        self.offer_classes()
        self._find_images()
        self._has_new_images = True

    @Inputs.examples
    def set_examples(self, data: Table | None) -> None:
        """Look for images like those of another table, too."""
        self.set_like(data)

    def handleNewSignals(self) -> None:
        """Embed the images or search them again, once both inputs have arrived."""
        if self._has_new_images:
            self.begin()
        else:
            self.ask()

    def _find_images(self) -> None:
        self._sources = []
        if self.image_attr is not None:
            self._sources = column_sources(self.data, self.image_attr)
        rows = [row for row, source in enumerate(self._sources) if source is not None]
        self._cell_of = numbered_cells(self.data, self.image_attr, rows)
        self.show_images_of(self.image_attr, self._sources)
        self.find_like()
        self.Warning.no_images.clear()
        if self._sources and not rows:
            self.Warning.no_images(self.image_attr.name)

    def begin(self) -> None:
        """Embed the images, and search them; or say why that is not possible."""
        self._has_new_images = False
        self.forget()
        self.show_answer(None)
        if self._cell_of:
            self.embed_images()
        else:
            self.end(self.no_images_text().partition("\n")[0])

    def no_images_text(self) -> str:
        """What to do next if there are no images."""
        if self.Error.no_image_attr.is_shown():
            return NO_IMAGE_COLUMN
        if self.image_attr is None:
            return self._no_data
        return EMPTY_COLUMN.format(self.image_attr.name)

    def network_task(self) -> NetworkTask:
        """What is to be embedded."""
        return NetworkTask(
            data=self.data, column=self.image_attr, **self.network_arguments()
        )

    def end(self, text: str) -> None:
        """Say why there is no result, show all images, and send the outputs."""
        self.answer, self._table = None, None
        self.show_matches()
        self.status.show_text(text)
        self.commit.now()

    def can_embed(self) -> bool:
        """Whether there are images, and no question has to be answered first."""
        warnings = self.Warning.download_needed, self.Warning.trust_needed
        is_asked = any(warning.is_shown() for warning in warnings)
        return bool(self._cell_of) and not is_asked

    def go_on(self) -> None:
        """Begin again, now that the user has agreed to something, or wants that."""
        self.begin()

    def workflowEnvChanged(self, key, value, oldvalue) -> None:
        """The workflow was saved in, or opened from, another folder."""
        if key == "basedir" and self.network.relocate():
            self.begin()

    # Controls ---------------------------------------------------------------------

    def _on_image_attr_changed(self) -> None:
        self.selected_items = set()
        self._find_images()
        self.begin()

    def _on_labels_changed(self) -> None:
        self.title_attrs = self.labels_combo.chosen()
        self.show_labels()

    def _on_network_chosen(self) -> None:
        self.Warning.network_replaced.clear()
        self._may_ask = True
        self.show_question()
        if self._cell_of:
            self.begin()
        elif self.network.facts is None:
            self.network.look_up()

    # Report, settings, end ----------------------------------------------------------

    def send_report(self) -> None:
        """Report what was looked for, how, and the visible sheet."""
        if self.data is None or self.image_attr is None:
            return
        self.report_items(
            (
                ("Image column", self.image_attr.name),
                ("Network", self.network.name),
                *self.question_items(),
                ("Result", without_links(self.status.text)),
                ("Selected", f"{self.n_selected():,}" if self.n_selected() else False),
            )
        )
        if self.skipped_images:
            self.report_items("Skipped Images", self.skipped_images[:100])
        self.report_sheet()

    def onDeleteWidget(self) -> None:
        """Stop all threads."""
        self.stop_asking()
        self.consent.close()
        self.network.close()
        self.forget()
        end_task(self, 0.1)  # the thread hands over nothing after the widget is gone
        super().onDeleteWidget()


if __name__ == "__main__":
    import sys

    from orangewidget.utils.widgetpreview import WidgetPreview

    from orangecontrib.imageanalytics.import_images import ImportImages

    table, _ = ImportImages()(sys.argv[1])
    WidgetPreview(OWFindImages).run(set_images=table)
