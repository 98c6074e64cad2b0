"""The images of a session in a view: their order, frames and labels."""

from collections.abc import Sequence

import numpy as np
from AnyQt.QtGui import QColor

from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.labels import (
    NO_CLASS,
    LabelSession,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetlook import (
    DASHED_FRAME,
    NO_FRAME,
    SOLID_FRAME,
)
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView

RECENT, TO_DO, SKIPPED, LABELLED = "Just labelled", "To label", "Skipped", "Labelled"
SECTIONS = (RECENT, TO_DO, SKIPPED, LABELLED)
GIVEN_MARK = "✓"
MOST_RECENT = 100


class LabelSheet:
    """
    Shows a session in a view.

    Images with a class from a person have a solid frame in its color, those for which
    it is proposed a dashed one. They are in sections: what has just been labelled, in a
    line at the top; what is to be labelled; what was skipped; and the others.

    Parameters
    ----------
    view : SheetView
        With a `FlowGeometry`.

    Attributes
    ----------
    images : numpy.ndarray of int, shape (rows,)
        The image in each row of the view.
    """

    def __init__(self, view: SheetView):
        self._view = view
        self._sources: Sequence[str] = ()
        self._intensity: Intensity = AUTOMATIC
        self._recent: list[int] = []
        self._sections: list[int] = []  # those of `SECTIONS` that are shown
        self.images = np.zeros(0, dtype=int)
        self._rows = np.zeros(0, dtype=int)  # of images
        self._names: dict[int, str] = {}
        self._given = self._classes = np.zeros(0, dtype=int)
        self._certainty = np.zeros(0)

    def set_images(self, sources: Sequence[str], intensity: Intensity) -> None:
        """Take other images, without showing them yet."""
        self._sources, self._intensity = sources, intensity
        self._recent = []

    def arrange(self, session: LabelSession, order: np.ndarray) -> None:
        """
        Show all images, those to be labelled in an order.

        Parameters
        ----------
        session : LabelSession
        order : numpy.ndarray of int, shape (images,)
            All images.
        """
        has_class, skipped = session.labels != NO_CLASS, session.skipped
        columns = self._view.sheet_geometry.columns
        recent = [image for image in self._recent if has_class[image]][:columns]
        rest = np.ones(len(order), dtype=bool)
        rest[recent] = False
        rest = order[rest[order]]
        labelled = rest[has_class[rest]]
        parts = (
            np.array(recent, dtype=int),
            rest[~has_class[rest] & ~skipped[rest]],
            rest[skipped[rest]],
            labelled[np.argsort(session.labels[labelled], kind="stable")],
        )
        self._set_rows(np.concatenate(parts))
        view = self._view
        collapsed = dict(zip(self._sections, view.look.collapsed, strict=True))
        sources = [self._sources[image] for image in self.images.tolist()]
        view.model().set_images(sources, self._labels_of, self._intensity)
        self._sections = [n for n, part in enumerate(parts) if len(part)]
        view.set_sections(
            [SECTIONS[n] for n in self._sections],
            [len(parts[n]) for n in self._sections],
            [collapsed.get(n, False) for n in self._sections],
        )
        view.set_labels(1, self._labels_of)

    def _set_rows(self, images: np.ndarray) -> None:
        self.images = images
        self._rows = np.empty(len(images), dtype=int)
        self._rows[images] = np.arange(len(images))

    def show(
        self, session: LabelSession, classes: np.ndarray, certainty: np.ndarray
    ) -> None:
        """
        Show classes and proposals, without moving images.

        Parameters
        ----------
        session : LabelSession
        classes : numpy.ndarray of int, shape (images,)
        certainty : numpy.ndarray of float, shape (images,)
            As from `shown_classes`.
        """
        self._classes, self._certainty = classes, certainty
        self._given, known = session.labels, session.classes
        self._names = {number: given.name for number, given in known.items()}
        # `NO_CLASS` is the last of these.
        colors = np.zeros((max(known, default=0) + 2, 3), dtype=np.uint8)
        for number, given in known.items():
            colors[number] = QColor(given.color).getRgb()[:3]
        shown = classes[self.images]
        is_given = self._given[self.images] != NO_CLASS
        frames = np.where(is_given, SOLID_FRAME, DASHED_FRAME)
        frames[shown == NO_CLASS] = NO_FRAME
        self._view.set_colors(colors[shown], frames)

    def _labels_of(self, row: int) -> Sequence[str]:
        image = int(self.images[row])
        if image >= len(self._classes) or self._classes[image] == NO_CLASS:
            return ("",)
        name = self._names[int(self._classes[image])]
        if self._given[image] != NO_CLASS:
            return (f"{GIVEN_MARK} {name}",)
        return (f"{name} {self._certainty[image]:.0%}",)

    # Rows and images

    def selected(self) -> np.ndarray:
        """The selected images, or else the current one."""
        rows = self._view.selected_rows()
        return self.images[np.array(rows, dtype=int)]

    def is_to_do(self, session: LabelSession) -> np.ndarray:
        """For each row, whether its image has neither class nor was skipped."""
        labels, skipped = session.labels[self.images], session.skipped[self.images]
        return (labels == NO_CLASS) & ~skipped

    def add_recent(self, images: Sequence[int]) -> None:
        """Show images in the line of those just labelled, from the next round on."""
        images = [int(image) for image in images]
        others = [image for image in self._recent if image not in images]
        self._recent = [*reversed(images), *others][:MOST_RECENT]

    def on_screen(self) -> np.ndarray:
        """The images that can be seen as a whole."""
        view = self._view
        rows = view.visible_rows()
        rects = view.sheet_geometry.rects(rows)
        top, bottom = view.verticalOffset(), view.viewport().height()
        bottom += top
        whole = (rects[:, 1] >= top) & (rects[:, 1] + rects[:, 3] <= bottom)
        return self.images[rows[whole & (rects[:, 3] > 0)]]

    def select_next(self, session: LabelSession, after: int = -1) -> bool:
        """
        Select the next image that is to be labelled.

        Parameters
        ----------
        session : LabelSession
        after : int
            Row after which to look.

        Returns
        -------
        bool
            Whether there is one.
        """
        rows = np.flatnonzero(self.is_to_do(session))
        later = rows[rows > after]
        if not len(rows):
            self._view.clearSelection()
            return False
        self.select_rows([int(later[0] if len(later) else rows[0])])
        return True

    def select_rows(self, rows: Sequence[int]) -> None:
        """Select rows, and bring the first of them into sight."""
        self._view.select_rows(rows)
        if len(rows):
            self._view.scrollTo(self._view.model().index(int(min(rows)), 0))

    def select_images(self, images: np.ndarray) -> None:
        """Select images, and bring the first of them into sight."""
        self.select_rows(self._rows[images].tolist())
