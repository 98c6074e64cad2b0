"""A window with two to four images side by side."""

from collections.abc import Sequence

from AnyQt.QtCore import QEvent, Qt
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGridLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from orangecontrib.imageanalytics.images.intensity import Intensity
from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.widgets.preview.detailspanel import mixed
from orangecontrib.imageanalytics.widgets.preview.imagecanvas import ImageCanvas
from orangecontrib.imageanalytics.widgets.preview.imageregions import (
    DecodedImages,
    RegionLoader,
)
from orangecontrib.imageanalytics.widgets.preview.imagewindow import ImageWindow
from orangecontrib.imageanalytics.widgets.preview.rowdetails import (
    VECTOR,
    Detail,
    file_details,
    side_by_side,
)
from orangecontrib.imageanalytics.widgets.preview.viewbar import ViewBar
from orangecontrib.imageanalytics.widgets.preview.zoomedview import WHOLE
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    DetailsRole,
    SourceRole,
    ThumbnailRole,
    readable_pixels,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)
from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip

MIN_IMAGES, MAX_IMAGES = 2, 4
# Of each image: as large as those that are copied as a whole.
CACHE_BYTES = 128 * 2**20
MARK = QColor(255, 170, 0)


class ImageCompare(ImageWindow):
    """
    The selected images of a view, two to four, with the same zoom and place.

    The wheel, plus and minus zoom all of them, 1 shows single pixels, 0 whole images;
    the mouse or the arrow keys move them. A table lists their values, those that differ
    are marked; I hides it, D leaves out what is equal. Esc and Space close the window.

    Parameters
    ----------
    view : SheetView
        View whose selection is compared; it has its model.
    """

    part = 0.8
    TIP = f"Compare {MIN_IMAGES} to {MAX_IMAGES} selected images side by side"

    def __init__(self, view: SheetView):
        super().__init__(view)
        self._values: list[list[Detail]] = []
        decoded = DecodedImages()
        self._all_panes = [_Pane(decoded, self) for _ in range(MAX_IMAGES)]
        self._placed = (0, 0)  # how many, in how many columns
        #: Those in use, in the order of the view.
        self.panes: list[_Pane] = []
        for pane in self._all_panes:
            pane.canvas.view_changed.connect(lambda pane=pane: self._link(pane))
            pane.loader.loaded.connect(self._on_loaded)
        self.table = _ValuesTable(self)
        self._add_buttons()
        images = QWidget(self)
        self._grid = QGridLayout(images)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self._lay_out(Qt.Orientation.Vertical, images, self.table)
        view.model().modelAboutToBeReset.connect(self.close)

    def _add_buttons(self) -> None:
        add = self.bar.add_button
        add("Fit", "0", "Show whole images", lambda: self._set_zoom(None))
        add("1:1", "1", "Show single pixels", lambda: self._set_zoom(1.0))
        self._details_button = add(
            "Details", "I", "List the values", self.toggle_details, True
        )
        self._details_button.setChecked(True)
        self._differing_button = add(
            "Differing", "D", "List only values that differ", self._update_texts, True
        )

    def can_open(self) -> bool:
        """Whether as many images are selected as can be compared."""
        return MIN_IMAGES <= len(self._view.selected_rows()) <= MAX_IMAGES

    def open(self) -> None:
        """Compare the selected images; does nothing if `can_open` is False."""
        if not self.can_open():
            return
        model = self._view.model()
        indices = [model.index(row, 0) for row in self._view.selected_rows()]
        # The numbers of two vectors always differ, which tells nothing.
        self._values = [
            [
                detail
                for detail in index.data(DetailsRole) or []
                if detail.group != VECTOR
            ]
            for index in indices
        ]
        self.panes = self._all_panes[: len(indices)]
        for number, (pane, index) in enumerate(zip(self.panes, indices, strict=True)):
            source = index.data(SourceRole)
            title = index.data(Qt.ItemDataRole.DisplayRole)
            pane.show_image(
                number + 1,
                file_name(source) or title or "",
                source,
                index.data(ThumbnailRole),
            )
        self.setWindowTitle(f"Comparing {len(indices)} images")
        self._take_size()
        self._place_panes()
        self._update_texts()
        self._bring_up()
        self._request_timer.start()

    def shutdown(self) -> None:
        """Close the window permanently, and drop pending loading."""
        self._request_timer.stop()
        for pane in self._all_panes:
            pane.loader.close()
        self.close()

    @property
    def idle(self) -> bool:
        """Whether everything to be shown is loaded."""
        return not self._request_timer.isActive() and all(
            pane.loader.idle and pane.regions.idle for pane in self.panes
        )

    # Zoom and place

    def main_canvas(self) -> ImageCanvas:
        """The first one; the others follow."""
        return self.panes[0].canvas

    def _set_zoom(self, zoom: float | None) -> None:
        self.main_canvas().set_zoom(zoom)

    def _link(self, changed: "_Pane") -> None:
        """Show all images like the one that was zoomed or moved."""
        for pane in self.panes:
            if pane is not changed:
                pane.canvas.set_view(changed.canvas.view())
            pane.update_texts()
        self._request_timer.start()

    # Loading

    def _request(self) -> None:
        if not self.isVisible():
            return
        for pane in self.panes:
            pane.request(self._view.model().loader.intensity)

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        self._place_panes()
        self._update_texts()
        if not self.panes[0].canvas.view().is_whole:
            self._request_timer.start()

    # What is shown

    def _place_panes(self) -> None:
        """Place images side by side or in two lines, whichever makes them larger."""
        count, room = len(self.panes), self._grid.parentWidget().size()
        sizes = [pane.canvas.size_in_pixels() or (4, 3) for pane in self.panes]

        def edge(columns: int) -> float:
            lines = -(-count // columns)
            width, height = room.width() / columns, room.height() / lines
            return min(min(width / w, height / h) * (w * h) ** 0.5 for w, h in sizes)

        columns = max((count, -(-count // 2), 1), key=edge)
        if self._placed == (count, columns):
            return
        self._placed = count, columns
        for pane in self._all_panes:
            self._grid.removeWidget(pane)
            pane.setVisible(pane in self.panes)
        for number, pane in enumerate(self.panes):
            self._grid.addWidget(pane, *divmod(number, columns))
        for number in range(MAX_IMAGES):
            self._grid.setColumnStretch(number, int(number < columns))
            self._grid.setRowStretch(number, int(number < -(-count // columns)))

    def _update_texts(self) -> None:
        for pane in self.panes:
            pane.update_texts()
        columns = [
            [*file_details(pane.source, pane.canvas.thumbnail()), *values]
            for pane, values in zip(self.panes, self._values, strict=True)
        ]
        names = [f"{number}  {pane.name}" for number, pane in enumerate(self.panes, 1)]
        lines = side_by_side(columns)
        self.table.show_lines(names, lines, self._differing_button.isChecked())
        n_differing = sum(differ for _, _, differ in lines)
        self.bar.set_texts(f"{n_differing:,} of {len(lines):,} values differ", "")

    def toggle_details(self) -> None:
        """Hide the table, or show it again."""
        shown = self.table.isHidden()
        self.table.setVisible(shown)
        self._details_button.setChecked(shown)

    # Events

    def resizeEvent(self, event) -> None:
        """Load the images in their new size, once that is settled."""
        super().resizeEvent(event)
        if self.panes:
            self._place_panes()
        self._request_timer.start()

    def hideEvent(self, event) -> None:
        """Free the memory of images at full size."""
        super().hideEvent(event)
        for pane in self._all_panes:
            pane.clear()

    def keyPressEvent(self, event) -> None:
        """Filter the table, or move the images."""
        key = event.key()
        if key == Qt.Key.Key_D and not event.modifiers():
            self._differing_button.toggle()
            self._update_texts()
        elif not self.main_canvas().pan_key(key):
            super().keyPressEvent(event)

    def eventFilter(self, watched, event) -> bool:
        """C in the view compares."""
        if watched is self._view and event.type() == QEvent.Type.KeyPress:
            pressed = event.key() == Qt.Key.Key_C and not event.modifiers()
            # With more selected or fewer, the key looks for a title as others do.
            if pressed and self.can_open():
                self.open()
                return True
        return super().eventFilter(watched, event)


class _Pane(QWidget):
    """An image, and a line with its name and size above it."""

    def __init__(self, decoded: DecodedImages, parent: QWidget):
        super().__init__(parent)
        self.loader = ThumbnailLoader(self, CACHE_BYTES)
        self.regions = RegionLoader(self, decoded)
        self.canvas = ImageCanvas(self.loader, self.regions, self)
        self.source = self.name = ""
        self._number = 0
        self._bar = ViewBar(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self.canvas, 1)

    def show_image(
        self, number: int, name: str, source: str, rough: Thumbnail | None
    ) -> None:
        self.source, self.name, self._number = source, name, number
        self.canvas.show_image(source, rough)
        self.canvas.set_view(WHOLE)

    def request(self, intensity: Intensity) -> None:
        self.loader.set_intensity(intensity)
        self.loader.request([self.source], self.canvas.wanted_box())
        region = self.canvas.wanted_region()
        if region is not None:
            self.regions.request(region)

    def clear(self) -> None:
        self.loader.clear()
        self.regions.clear()
        self.show_image(0, "", "", None)

    def update_texts(self) -> None:
        thumbnail, facts = self.canvas.thumbnail(), ""
        if thumbnail is not None and thumbnail.size is not None:
            facts = f"{readable_pixels(thumbnail.size)}    {self.canvas.zoom():.0%}"
        self._bar.set_texts(f"{self._number}  {self.name}", facts)

    def texts(self) -> tuple[str, str]:
        return self._bar.texts()


class _ValuesTable(QTableWidget):
    """Values of images beside each other; those that differ are marked."""

    def __init__(self, parent: QWidget):
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setWordWrap(False)
        modes = QHeaderView.ResizeMode
        self.horizontalHeader().setSectionResizeMode(modes.Stretch)
        self.horizontalHeader().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.verticalHeader().setSectionResizeMode(modes.Fixed)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self._shown: object = None

    def show_lines(
        self,
        names: Sequence[str],
        lines: Sequence[tuple[Detail, list[str], bool]],
        only_differing: bool,
    ) -> None:
        lines = [line for line in lines if line[2] or not only_differing]
        if self._shown == (names, lines):
            return
        self._shown = names, lines
        self.setColumnCount(len(names))
        self.setRowCount(len(lines))
        self.setHorizontalHeaderLabels(names)
        for row, (detail, texts, differ) in enumerate(lines):
            self.setVerticalHeaderItem(row, self._header(detail, differ))
            for column, text in enumerate(texts):
                self.setItem(row, column, self._item(text, differ))

    def _header(self, detail: Detail, differ: bool) -> QTableWidgetItem:
        # Not by colour alone: some cannot tell colours apart.
        item = QTableWidgetItem(f"{'≠' if differ else '='}  {detail.name}")
        item.setToolTip(plain_tooltip(f"{detail.group}: {detail.name}"))
        return item

    def _item(self, text: str, differ: bool) -> QTableWidgetItem:
        item = QTableWidgetItem(text)
        item.setToolTip(plain_tooltip(text))
        if differ:
            base = self.palette().color(QPalette.ColorRole.Base)
            item.setBackground(mixed(base, MARK, 0.25))
            font = item.font()
            font.setBold(True)
            item.setFont(font)
        return item
