"""A warning where none of a column's images can be shown."""

from collections.abc import Iterable

from AnyQt.QtCore import QObject
from Orange.data import Variable
from orangewidget.utils.messages import MessageGroup

from orangecontrib.imageanalytics.widgets.sheet.imageactions import short
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
)

#: Of the message `no_images_shown`: a reason, a path and a column.
NO_IMAGES_SHOWN = "Images cannot be shown: {}.\n{}\nIs '{}' the right column?"


class UnshownWarning(QObject):
    """
    Warns as long as nothing at all could be loaded: it may be the wrong column.

    Parameters
    ----------
    loader : ThumbnailLoader
        Where the images come from.
    messages : MessageGroup
        With the message `no_images_shown`, which says `NO_IMAGES_SHOWN`.
    """

    def __init__(self, loader: ThumbnailLoader, messages: MessageGroup):
        super().__init__(loader)
        self._warning = messages.no_images_shown
        self._any_shown = False
        self._sources: frozenset[str | None] = frozenset()
        self._column = ""
        loader.loaded.connect(self.take)

    def expect(self, column: Variable | None, sources: Iterable[str | None]) -> None:
        """
        Say whose images are shown from now on, before they are.

        Parameters
        ----------
        column : Variable or None
            The column that they are in.
        sources : iterable of (str or None)
            Where they are from.
        """
        self._any_shown = False
        self._sources = frozenset(sources)
        self._column = column.name if column is not None else ""
        self._warning.clear()

    def take(self, thumbnails: list[Thumbnail]) -> None:
        """Look at images that have been loaded, or could not be."""
        # Some may still come from the data before this.
        ours = [entry for entry in thumbnails if entry.source in self._sources]
        if self._any_shown or not ours:
            return
        self._any_shown = any(thumbnail.image is not None for thumbnail in ours)
        if self._any_shown:
            self._warning.clear()
        else:
            self._warning(ours[0].error, short(ours[0].source), self._column)
