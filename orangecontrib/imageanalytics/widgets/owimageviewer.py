"""Image Viewer: a sheet of the images in a table, to look at and to pick from."""

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

from AnyQt.QtCore import QModelIndex, QSize, Qt
from AnyQt.QtWidgets import QApplication, QMenu
from Orange.data import DiscreteVariable, StringVariable, Table, Variable
from Orange.widgets import gui, settings
from Orange.widgets.utils import vartype
from Orange.widgets.utils.annotated_data import create_annotated_table
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.widget import Input, Output, OWWidget
from orangewidget.report.report import get_html_img
from orangewidget.widget import Message, Msg

from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    Intensity,
    column_intensity,
)
from orangecontrib.imageanalytics.images.sources import (
    column_sources,
    image_columns,
    is_data,
)
from orangecontrib.imageanalytics.widgets.utils import desktop
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
    between,
)
from orangecontrib.imageanalytics.widgets.utils.imagepreview import ImagePreview
from orangecontrib.imageanalytics.widgets.utils.thumbnailmodel import (
    SourceRole,
    ThumbnailModel,
    ThumbnailRole,
    row_titles,
    shown_source,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)
from orangecontrib.imageanalytics.widgets.utils.thumbnailview import (
    MAX_EDGE,
    MIN_EDGE,
    ThumbnailView,
)

SIZE_STEP = 16
# How contexts in saved workflows mark a text column.
STORED_TEXT = 100 + vartype(StringVariable("any"))
#: Longest path in a message.
MAX_NAME = 80


class OWImageViewer(OWWidget):
    """Shows the images that a table refers to; outputs the selected rows."""

    name = "Image Viewer"
    description = "View images that the data refers to."
    keywords = "image viewer, viewer, image, picture, photo, thumbnail, preview"
    icon = "icons/ImageViewer-symbolic.svg"
    priority = 130
    replaces: ClassVar = ["Orange.widgets.data.owimageviewer.OWImageViewer"]

    class Inputs:
        data = Input("Data", Table)

    class Outputs:
        selected_data = Output("Selected Images", Table, default=True)
        data = Output("Data", Table)

    class Warning(OWWidget.Warning):
        no_images = Msg("Column '{}' is empty: there are no images to show.")
        no_images_shown = Msg(
            "Images cannot be shown: {}.\n{}\nIs '{}' the right column?"
        )
        cannot_open = Msg("The desktop has no program to open {}.")
        cannot_copy = Msg("{} cannot be copied: {}.")

    class Error(OWWidget.Error):
        no_image_attr = Msg(
            "The data has no column with images.\n"
            "It must be a text or categorical column, among the meta attributes, that "
            "holds file names or addresses."
        )

    settingsHandler = CheckedDomainContextHandler()
    settings_version = 2

    image_attr: Variable | None = settings.ContextSetting(None)
    title_attr: Variable | None = settings.ContextSetting(None)
    # The cells of the selected rows: rows come and go while images stay. Of a cell
    # that is there several times, the selected ones: (cell, how many before it).
    selected_items: set = settings.ContextSetting(set(), schema_only=True)
    imageSize: int = settings.Setting(100, valid=between(MIN_EDGE, MAX_EDGE))
    autoCommit: bool = settings.Setting(True)

    graph_name = "sheet"

    UserAdviceMessages: ClassVar = [
        Message(
            "Press Space or double click an image to see it at full size; "
            "the arrow keys then lead to the others.",
            persistent_id="preview-introduction",
        )
    ]

    def __init__(self):
        super().__init__()
        self.data: Table | None = None
        # Rows of the data with an image; the view has no others.
        self._rows: list[int] = []
        # For each of them, the cell and how many like it come before.
        self._cells: list[tuple[str, int]] = []
        self._restoring = False
        self._any_shown = False
        self._sources: frozenset[str] = frozenset()
        self._setup_controls()
        self._setup_view()

    def _setup_controls(self) -> None:
        box = gui.vBox(self.controlArea, "Images")
        self.image_model = VariableListModel(parent=self)
        gui.comboBox(
            box,
            self,
            "image_attr",
            label="Column:",
            tooltip="Column with paths or addresses of images",
            callback=self._on_image_attr_changed,
            contentsLength=12,
            searchable=True,
            model=self.image_model,
        )
        self.title_model = DomainModel(placeholder="(None)")
        gui.comboBox(
            box,
            self,
            "title_attr",
            label="Title:",
            tooltip="Column with what is written below each image",
            callback=self._on_title_attr_changed,
            contentsLength=12,
            searchable=True,
            model=self.title_model,
        )
        gui.hSlider(
            self.controlArea,
            self,
            "imageSize",
            box="Size",
            minValue=MIN_EDGE,
            maxValue=MAX_EDGE,
            step=SIZE_STEP,
            callback=self._on_size_changed,
            createLabel=False,
            tooltip="Size of the images; or hold Ctrl and turn the mouse wheel",
        )
        gui.rubber(self.controlArea)
        gui.auto_send(self.buttonsArea, self, "autoCommit")

    def _setup_view(self) -> None:
        self.loader = ThumbnailLoader(self)
        self.loader.loaded.connect(self._on_loaded)
        self._copier = ThumbnailLoader(self, 0)
        self._copier.loaded.connect(self._on_copied)
        self.thumbnailView = view = ThumbnailView()
        view.setModel(ThumbnailModel(self.loader, self))
        view.setEdge(self.imageSize)
        view.menu_requested.connect(
            lambda index, place: self.context_menu(index).exec(place)
        )
        view.selection_changed.connect(self._on_selection_changed)
        view.resize_requested.connect(self._on_resize_requested)
        self.mainArea.layout().addWidget(view)
        self.preview = ImagePreview(view)

    @property
    def sheet(self):
        """What Save Image saves: the visible part of the view, without its bar."""
        return self.thumbnailView.viewport()

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
        if data is not None:
            self.image_model[:] = _image_columns(data)
            if self.image_model:
                self.data = data
                self.title_model.set_domain(data.domain)
                self._propose_columns()
                self.openContext(data)
            else:
                self.Error.no_image_attr()
        self._show_images()
        self.commit.now()

    def _clear(self) -> None:
        self.Error.clear()
        self.Warning.clear()
        self.data = self.image_attr = self.title_attr = None
        self.image_model.clear()
        self.title_model.set_domain(None)
        self.selected_items = set()

    def _propose_columns(self) -> None:
        self.image_attr = self.image_model[0]
        self.title_attr = self.data.domain.class_var
        if self.title_attr is None:
            texts = [
                variable
                for variable in self.title_model
                if isinstance(variable, StringVariable)
            ]
            texts.sort(key=lambda var: (var is self.image_attr) + _is_marked(var))
            self.title_attr = texts[0] if texts else self.image_attr

    def _show_images(self) -> None:
        self._any_shown = False
        self.Warning.clear()
        sources: list[str | None] = []
        if self.data is not None:
            sources = column_sources(self.data, self.image_attr)
        self._rows = [row for row, source in enumerate(sources) if source is not None]
        self._sources = frozenset(sources)
        self._cells = list(_numbered(self._texts()))
        if sources and not self._rows:
            self.Warning.no_images(self.image_attr.name)
        self.thumbnailView.model().set_images(
            [sources[row] for row in self._rows], self._titles(), self._intensity()
        )
        self._restore_selection()

    def _texts(self) -> list[str]:
        if not self._rows:
            return []
        text, values = self.image_attr.str_val, self.data.get_column(self.image_attr)
        return [text(values[row]) for row in self._rows]

    def _intensity(self) -> Intensity:
        """As Image Embedding has seen the images."""
        attr = self.image_attr
        return AUTOMATIC if attr is None else column_intensity(attr)

    def _titles(self):
        return row_titles(self.data, self.title_attr, self._rows)

    def _restore_selection(self) -> None:
        if not self.selected_items:
            return
        # A cell alone stands for all that are like it.
        wanted = self.selected_items
        selected = [
            place
            for place, cell in enumerate(self._cells)
            if cell[0] in wanted or cell in wanted
        ]
        # What is selected but not in this data must not be forgotten.
        self._restoring = True
        self.thumbnailView.select_rows(selected)
        self._restoring = False

    def _on_image_attr_changed(self) -> None:
        self.selected_items = set()
        self._show_images()
        self.commit.deferred()

    def _on_title_attr_changed(self) -> None:
        self.thumbnailView.model().set_title(self._titles())

    def _on_size_changed(self) -> None:
        self.thumbnailView.setEdge(self.imageSize)

    def _on_resize_requested(self, direction: int) -> None:
        step = max(SIZE_STEP, self.imageSize // 8 // SIZE_STEP * SIZE_STEP)
        size = self.imageSize + direction * step
        self.imageSize = max(MIN_EDGE, min(size, MAX_EDGE))
        self._on_size_changed()

    def _on_selection_changed(self) -> None:
        if self._restoring or self.data is None:
            return
        cells = [self._cells[place] for place in self.thumbnailView.selected_rows()]
        present = Counter(text for text, _ in self._cells)
        selected = Counter(text for text, _ in cells)
        self.selected_items = {
            cell[0] if selected[cell[0]] == present[cell[0]] else cell for cell in cells
        }
        self.commit.deferred()

    def _selected_rows(self) -> list[int]:
        return [self._rows[place] for place in self.thumbnailView.selected_rows()]

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        """Warn if nothing at all can be shown: it may be the wrong column."""
        # Some may still come from the data before this.
        thumbnails = [entry for entry in thumbnails if entry.source in self._sources]
        if self._any_shown or not thumbnails:
            return
        self._any_shown = any(thumbnail.image is not None for thumbnail in thumbnails)
        if self._any_shown:
            self.Warning.no_images_shown.clear()
        else:
            failed = thumbnails[0]
            self.Warning.no_images_shown(
                failed.error, _short(failed.source), self.image_attr.name
            )

    @gui.deferred
    def commit(self) -> None:
        """Send the selected rows, and all with a mark."""
        selected, annotated = None, None
        if self.data is not None:
            rows = self._selected_rows()
            selected = self.data[rows] if rows else None
            annotated = create_annotated_table(self.data, rows)
        self.Outputs.selected_data.send(selected)
        self.Outputs.data.send(annotated)

    # Context menu

    def context_menu(self, index: QModelIndex) -> QMenu:
        """
        What can be done with an image.

        Parameters
        ----------
        index : QModelIndex
            The image's place in the view.

        Returns
        -------
        QMenu
        """
        source, thumbnail = index.data(SourceRole), index.data(ThumbnailRole)
        # What is not an image might be a program, and opening would start it.
        shown = thumbnail is not None and thumbnail.image is not None
        is_file = desktop.is_file(source)
        menu = QMenu(self.thumbnailView)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, slot, enabled in (
            ("Preview", self.preview.open, True),
            (
                "Open in Desktop's Viewer",
                lambda: self._open(source),
                not is_data(source),
            ),
            ("Show in Folder", lambda: desktop.show_in_folder(source), is_file),
            (None, None, None),
            ("Copy Image", lambda: self._copy(source), shown),
            (f"Copy {'Path' if is_file else 'Address'}", self._copy_paths, True),
        ):
            if text is None:
                menu.addSeparator()
                continue
            action = menu.addAction(text)
            action.triggered.connect(lambda _=False, slot=slot: slot())
            action.setEnabled(enabled and (shown or not text.startswith("Open")))
        return menu

    def _open(self, source: str) -> None:
        self.Warning.cannot_open.clear()
        if not desktop.open_image(source):
            self.Warning.cannot_open(_short(source))

    def _copy(self, source: str) -> None:
        self._copier.set_intensity(self.loader.intensity)
        self._copier.request([source], None)

    def _copy_paths(self) -> None:
        model = self.thumbnailView.model()
        sources = [
            model.index(row, 0).data(SourceRole)
            for row in self.thumbnailView.selected_rows()
        ]
        QApplication.clipboard().setText("\n".join(sources))

    def _on_copied(self, thumbnails: list[Thumbnail]) -> None:
        (copied,) = thumbnails[-1:]
        self.Warning.cannot_copy.clear()
        if copied.image is not None:
            QApplication.clipboard().setImage(copied.image)
        else:
            self.Warning.cannot_copy(_short(copied.source), copied.error)
        self._copier.clear()

    # Report, settings, end

    def send_report(self) -> None:
        """Report the columns, how many are selected, and the visible sheet."""
        if self.data is None:
            return
        n_selected = len(self.thumbnailView.selected_rows())
        self.report_items(
            (
                ("Image column", self.image_attr.name),
                ("Title", self.title_attr.name if self.title_attr else False),
                ("Images", f"{len(self._rows):,}"),
                ("Selected", f"{n_selected:,}" if n_selected else False),
            )
        )
        if self._rows:
            self.report_html += get_html_img(self.sheet)

    @classmethod
    def migrate_settings(cls, stored: dict, version: int | None) -> None:
        """A size that the slider does not have is brought into its range."""
        size = stored.get("imageSize")
        if isinstance(size, int | float):
            stored["imageSize"] = int(max(MIN_EDGE, min(size, MAX_EDGE)))
        else:
            stored.pop("imageSize", None)

    @classmethod
    def migrate_context(cls, context, version) -> None:
        """Contexts whose column was not a text column are of no use."""
        if version is None or version < 2:
            image_attr = context.values.get("image_attr")
            if image_attr is None or image_attr[1] != STORED_TEXT:
                raise settings.IncompatibleContext

    def onDeleteWidget(self) -> None:
        """Stop loading."""
        self.preview.shutdown()
        self.loader.close()
        self._copier.close()
        super().onDeleteWidget()


def _image_columns(data: Table) -> list[Variable]:
    """Text columns; unmarked categories are rarely images if there is text."""
    columns = image_columns(data)
    if not any(isinstance(variable, StringVariable) for variable in columns):
        return sorted(columns, key=lambda variable: not _is_marked(variable))
    return [
        variable
        for variable in columns
        if not isinstance(variable, DiscreteVariable) or _is_marked(variable)
    ]


def _numbered(texts: Iterable[str]) -> Iterable[tuple[str, int]]:
    seen: Counter[str] = Counter()
    for text in texts:
        yield text, seen[text]
        seen[text] += 1


def _is_marked(variable: Variable) -> bool:
    return str(variable.attributes.get("type", "")).lower() == "image"


def _short(source: str) -> str:
    source = shown_source(source)
    return source if len(source) <= MAX_NAME else "…" + source[1 - MAX_NAME :]


if __name__ == "__main__":
    import sys

    from orangewidget.utils.widgetpreview import WidgetPreview

    from orangecontrib.imageanalytics.import_images import ImportImages

    table, _ = ImportImages()(sys.argv[1])
    WidgetPreview(OWImageViewer).run(table)
