"""A window that shows the current image of a view at full size."""

from AnyQt.QtCore import QEvent, QModelIndex, Qt
from AnyQt.QtCore import pyqtSignal as Signal

from orangecontrib.imageanalytics.widgets.preview.detailspanel import DetailsPanel
from orangecontrib.imageanalytics.widgets.preview.imagecanvas import ImageCanvas
from orangecontrib.imageanalytics.widgets.preview.imagecompare import ImageCompare
from orangecontrib.imageanalytics.widgets.preview.imageregions import RegionLoader
from orangecontrib.imageanalytics.widgets.preview.imagewindow import ImageWindow
from orangecontrib.imageanalytics.widgets.preview.rowdetails import file_details
from orangecontrib.imageanalytics.widgets.preview.zoomedview import WHOLE
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    DetailsRole,
    SourceRole,
    ThumbnailRole,
    describe,
    shortened,
    shown_source,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)

# Room for the image and its two neighbours on a large screen.
CACHE_BYTES = 128 * 2**20
MAX_TITLE = 200  # characters


class ImagePreview(ImageWindow):
    """
    The current image, fitted into the window or zoomed, and what is known about it.

    The arrow keys and others that move in the view move in the preview, too, but
    leave the selection as it is unless it is just the current image; Esc and
    Space close it. The wheel, plus and minus zoom, 1 shows single pixels, 0
    the whole image; a zoomed image can be dragged, or moved by Shift or Alt and the
    arrow keys. I shows or hides the strip with values, C compares what is selected.

    Parameters
    ----------
    view : SheetView
        View whose current item is shown.
    compare : ImageCompare
        The window that compares what is selected in the view.
    """

    #: The user has shown or hidden the strip.
    details_toggled = Signal(bool)

    def __init__(self, view: SheetView, compare: ImageCompare):
        super().__init__(view)
        self._compare = compare
        self._loader = ThumbnailLoader(self, CACHE_BYTES)
        self._loader.loaded.connect(self._on_loaded)
        self._regions = RegionLoader(self)
        self.canvas = ImageCanvas(self._loader, self._regions, self)
        self.canvas.view_changed.connect(self._on_view_changed)
        self.details = DetailsPanel(self)
        self._add_buttons()
        self._lay_out(Qt.Orientation.Horizontal, self.canvas, self.details)
        self.set_details_shown(True)
        view.current_changed.connect(self._on_current_changed)
        view.preview_requested.connect(self.open)

    def _add_buttons(self) -> None:
        add, keys, canvas = self.bar.add_button, Qt.Key, self.canvas
        for text, key, shown, tip in (
            ("‹", keys.Key_Left, "←", "Previous image"),  # noqa: RUF001
            ("›", keys.Key_Right, "→", "Next image"),  # noqa: RUF001
        ):
            add(text, shown, tip, lambda key=key: self._view.move_current(key))
        add("Fit", "0", "Show the whole image", lambda: canvas.set_zoom(None))
        add("1:1", "1", "Show single pixels", lambda: canvas.set_zoom(1.0))
        self._details_button = add(
            "Details", "I", "List the values of the image", self.toggle_details, True
        )
        self._compare_button = add("Compare", "C", ImageCompare.TIP, self._compare.open)

    def open(self) -> None:
        """Show the window, or bring it to the front; without an image, do nothing."""
        current = self._view.currentIndex()
        if not current.isValid():
            return
        self._take_size()
        self._show_image(current)
        self._bring_up()

    def shutdown(self) -> None:
        """Close the window permanently, and drop pending loading."""
        self._request_timer.stop()
        self._loader.close()
        self._regions.clear()
        self.close()

    @property
    def idle(self) -> bool:
        """Whether everything to be shown is loaded."""
        return (
            not self._request_timer.isActive()
            and self._loader.idle
            and self._regions.idle
        )

    def main_canvas(self) -> ImageCanvas:
        """The only one."""
        return self.canvas

    def set_details_shown(self, shown: bool) -> None:
        """Show or hide the strip with values; no signal is sent."""
        self.details.setVisible(shown)
        self._details_button.setChecked(shown)
        self._update_texts()
        self._update_details()

    def toggle_details(self) -> None:
        """Hide the strip, or show it again, and tell about it."""
        shown = self.details.isHidden()
        self.set_details_shown(shown)
        self.details_toggled.emit(shown)

    def _request(self) -> None:
        index, model = self._view.currentIndex(), self._view.model()
        if not self.isVisible() or not index.isValid():
            return
        row, whole = index.row(), self.canvas.view().is_whole
        neighbours = [row + step for step in (1, -1)] if whole else []
        rows = [row, *(n for n in neighbours if 0 <= n < model.rowCount())]
        sources = [model.index(n, 0).data(SourceRole) for n in rows]
        self._loader.set_intensity(model.loader.intensity)
        self._loader.request(sources, self.canvas.wanted_box())
        region = self.canvas.wanted_region()
        if region is not None:
            self._regions.request(region)
        elif whole:
            self._regions.clear()

    def _on_current_changed(self, index: QModelIndex) -> None:
        if not index.isValid():
            self.close()
        elif self.isVisible():
            self._show_image(index)

    def _show_image(self, index: QModelIndex) -> None:
        title = index.data(Qt.ItemDataRole.DisplayRole)
        title = title or shown_source(index.data(SourceRole))
        self.setWindowTitle(shortened(title, MAX_TITLE))
        self.canvas.show_image(index.data(SourceRole), index.data(ThumbnailRole))
        self.canvas.set_view(WHOLE)
        self._update_texts()
        self._update_details()
        self._request_timer.start()

    def _on_view_changed(self) -> None:
        self._update_texts()
        self._request_timer.start()

    def _on_loaded(self, thumbnails: list[Thumbnail]) -> None:
        self._update_texts()
        self._update_details()
        if not self.canvas.view().is_whole:
            # Only now the size may be known, and with it what is in sight.
            self._request_timer.start()

    def _update_texts(self) -> None:
        index = self._view.currentIndex()
        if not index.isValid():
            return
        source, thumbnail = index.data(SourceRole), self.canvas.thumbnail()
        place = f"{index.row() + 1:,} of {self._view.model().rowCount():,}"
        facts = [place]
        if thumbnail is not None and thumbnail.size is not None:
            facts = [describe(thumbnail), f"{self.canvas.zoom():.0%}", place]
            if not self.details.isHidden():
                del facts[0]
        self.bar.set_texts(shown_source(source), "    ".join(facts))
        self._compare_button.setEnabled(self._compare.can_open())

    def _update_details(self) -> None:
        """List the values; reading them takes too long for each move of the image."""
        index = self._view.currentIndex()
        if index.isValid() and not self.details.isHidden():
            of_file = file_details(index.data(SourceRole), self.canvas.thumbnail())
            self.details.show_details([*of_file, *(index.data(DetailsRole) or [])])

    def resizeEvent(self, event) -> None:
        """Load the image in its new size, once that is settled."""
        super().resizeEvent(event)
        self._update_texts()
        self._request_timer.start()

    def hideEvent(self, event) -> None:
        """Free the memory of images at full size."""
        super().hideEvent(event)
        self._loader.clear()
        self._regions.clear()

    def keyPressEvent(self, event) -> None:
        """Compare, pan, or move in the view."""
        key, held = event.key(), Qt.KeyboardModifier
        moved = event.modifiers() & (held.ShiftModifier | held.AltModifier)
        if key == Qt.Key.Key_C and not event.modifiers():
            self._compare.open()
        elif moved and self.canvas.pan_key(key):
            pass
        elif not self._view.move_current(key):
            super().keyPressEvent(event)

    def eventFilter(self, watched, event) -> bool:
        """Esc in the view closes the preview."""
        pressed = watched is self._view and event.type() == QEvent.Type.KeyPress
        if pressed and event.key() == Qt.Key.Key_Escape and self.isVisible():
            self.close()
            return True
        return super().eventFilter(watched, event)
