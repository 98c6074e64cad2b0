"""Actions for an image of a sheet, in the menu of the right mouse button."""

from collections.abc import Callable
from functools import partial

from AnyQt.QtCore import QModelIndex, QObject, QPoint, Qt
from AnyQt.QtWidgets import QApplication, QMenu

from orangecontrib.imageanalytics.images.sources import (
    is_file,
    is_member,
    is_url,
    path_of,
)
from orangecontrib.imageanalytics.images.stores import is_store
from orangecontrib.imageanalytics.widgets.preview.imagecompare import ImageCompare
from orangecontrib.imageanalytics.widgets.preview.imagepreview import ImagePreview
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import shown_source
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)
from orangecontrib.imageanalytics.widgets.utils import desktop

#: Longest path in a message.
MAX_NAME = 80
#: Of the message `cannot_open`: a path.
CANNOT_OPEN = "The desktop has no program to open {}."
#: Of the message `cannot_copy`: a path and a reason.
CANNOT_COPY = "{} cannot be copied: {}."


class ImageActions(QObject):
    """
    Opens, shows and copies the images of a view.

    Parameters
    ----------
    view : SheetView
        The view; the menu is shown when it requests it.
    preview : ImagePreview
        Shows an image at full size.
    compare : ImageCompare
        Shows those that are selected side by side.
    warnings : OWWidget.Warning
        With the messages `cannot_open` and `cannot_copy`, which say `CANNOT_OPEN` and
        `CANNOT_COPY`.
    """

    def __init__(
        self, view: SheetView, preview: ImagePreview, compare: ImageCompare, warnings
    ):
        super().__init__(view)
        self._view, self._warnings = view, warnings
        self._preview, self._compare = preview, compare
        self.copier = ThumbnailLoader(self, 0)
        self.copier.loaded.connect(self._on_copied)
        self._added: list[tuple[str, Callable[[list[str]], None]]] = []
        view.menu_requested.connect(self._show_menu)

    def add(self, text: str, slot: Callable[[list[str]], None]) -> None:
        """
        Put something else into the menu, at the top.

        Parameters
        ----------
        text : str
        slot : callable
            Called with the sources of the images that the menu is about.
        """
        self._added.append((text, slot))

    def close(self) -> None:
        """Drop pending loading."""
        self.copier.close()

    def _show_menu(self, index: QModelIndex, place: QPoint) -> None:
        self.menu(index).exec(place)

    def menu(self, index: QModelIndex) -> QMenu:
        """
        The menu of an image.

        Parameters
        ----------
        index : QModelIndex
            The image's place in the view.

        Returns
        -------
        QMenu
        """
        # The data may be replaced while the menu is open.
        model, row = self._view.model(), index.row()
        chosen = self._view.selected_rows()
        # The menu of an image that is not selected is about that image.
        paths = [model.source(own) for own in (chosen if row in chosen else [row])]
        source, thumbnail = model.source(row), model.thumbnail(row)
        # What is not an image might be a program, and opening would start it.
        shown = thumbnail is not None and thumbnail.image is not None
        in_file = is_file(source)
        opens = in_file or (is_url(source) and not is_member(source))
        menu = QMenu(self._view)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, slot, enabled in (
            *((text, partial(slot, paths), True) for text, slot in self._added),
            ("Preview", self._preview.open, True),
            ("Compare", self._compare.open, self._compare.can_open()),
            (
                "Open in Desktop's Viewer",
                lambda: self._open(source),
                shown and opens and not is_store(source),
            ),
            (
                "Show in Folder",
                lambda: desktop.show_in_folder(source),
                path_of(source) is not None,
            ),
            (None, None, None),
            ("Copy Image", lambda: self._copy(source), shown),
            (
                f"Copy {'Path' if in_file else 'Address'}",
                lambda: QApplication.clipboard().setText("\n".join(paths)),
                True,
            ),
        ):
            if text is None:
                menu.addSeparator()
                continue
            action = menu.addAction(text)
            action.triggered.connect(lambda _=False, slot=slot: slot())
            action.setEnabled(enabled)
        return menu

    def _open(self, source: str) -> None:
        self._warnings.cannot_open.clear()
        if not desktop.open_image(source):
            self._warnings.cannot_open(short(source))

    def _copy(self, source: str) -> None:
        self.copier.set_intensity(self._view.model().loader.intensity)
        self.copier.request([source], None)

    def _on_copied(self, thumbnails: list[Thumbnail]) -> None:
        (copied,) = thumbnails[-1:]
        self._warnings.cannot_copy.clear()
        if copied.image is not None:
            QApplication.clipboard().setImage(copied.image)
        else:
            self._warnings.cannot_copy(short(copied.source), copied.error)
        self.copier.clear()


def short(source: str) -> str:
    """The end of a source, as much as fits into a message."""
    source = shown_source(source)
    return source if len(source) <= MAX_NAME else "…" + source[1 - MAX_NAME :]
