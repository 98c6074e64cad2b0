"""What is shown in addition to images: labels, colours, headings, a message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from AnyQt.QtGui import QImage

from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    Labels,
    no_labels,
)

#: What the frames of rows look like.
NO_FRAME, DASHED_FRAME, SOLID_FRAME = range(3)


@dataclass
class Look:
    """
    What is shown of the rows of a sheet beside their images.

    Attributes
    ----------
    colors : numpy.ndarray of uint8, shape (rows, 3), or None
        Colours of the frames.
    frames : numpy.ndarray of int, shape (rows,), or None
        `NO_FRAME`, `DASHED_FRAME` or `SOLID_FRAME`; with None, all are solid.
    dimmed : numpy.ndarray of bool, shape (rows,), or None
        Which rows are pale.
    crop : bool
        Whether images are cut so that they fill their cells.
    headings : list of str
        What is written above the sections of a `FlowGeometry`.
    collapsed : numpy.ndarray of bool
        Which sections are hidden.
    counts : numpy.ndarray of int
        How many images each of them has.
    message : str
        Stands in the middle; with it, the images are pale.
    overlay : callable or None
        Gives, for a row, what is laid over its whole image: a QImage or None.
    opacity : float
        Of the overlay, from 0 to 1.
    """

    colors: np.ndarray | None = None
    frames: np.ndarray | None = None
    dimmed: np.ndarray | None = None
    crop: bool = False
    headings: list[str] = field(default_factory=list)
    collapsed: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    message: str = ""
    overlay: Callable[[int], QImage | None] | None = None
    opacity: float = 1.0


class LookMixin:
    """The part of a `SheetView` that changes its look; rows and selection stay."""

    look: Look

    def set_labels(self, count: int, labels: Labels = no_labels) -> None:
        """
        Write labels below images.

        Parameters
        ----------
        count : int
            How many an image has.
        labels : callable
            Gives those of a row, as for `ThumbnailModel.set_images`.
        """
        self.model().set_labels(labels)
        self._n_labels = count
        self._measure()

    def _measure(self) -> None:
        """Leave room for labels and frames."""
        geometry = self.sheet_geometry
        geometry.set_labels(self._n_labels, self.fontMetrics().height())
        geometry.set_framed(self.look.colors is not None)
        self.relayout()

    def set_colors(
        self, colors: np.ndarray | None, frames: np.ndarray | None = None
    ) -> None:
        """
        Draw frames in the colours of rows.

        Parameters
        ----------
        colors : numpy.ndarray of uint8, shape (rows, 3), or None
            Red, green and blue; None is for no frames.
        frames : numpy.ndarray of int, shape (rows,), optional
            What they look like, as for `Look`.
        """
        had_frames = self.look.colors is not None
        self.look.colors, self.look.frames = colors, frames
        if had_frames == (colors is not None):
            self.viewport().update()
        else:
            self._measure()

    def frame_of(self, row: int) -> int:
        """What the frame of a row looks like."""
        if self.look.colors is None:
            return NO_FRAME
        return SOLID_FRAME if self.look.frames is None else int(self.look.frames[row])

    def set_overlay(
        self, overlay: Callable[[int], QImage | None] | None, opacity: float = 1.0
    ) -> None:
        """Lay something over images; see `Look`. Cropped images have none."""
        self.look.overlay, self.look.opacity = overlay, opacity
        self.viewport().update()

    def set_dimmed(self, dimmed: np.ndarray | None) -> None:
        """Make rows pale where an array of bool is true; None is for none of them."""
        self.look.dimmed = dimmed
        self.viewport().update()

    def set_crop(self, crop: bool) -> None:
        """Choose whether images are cut so that they fill their cells."""
        self.look.crop = crop
        self.relayout()

    def set_message(self, text: str) -> None:
        """Write in the middle; while there is a message, images are pale."""
        self.look.message = text
        self.viewport().update()

    def set_sections(
        self,
        headings: Sequence[str],
        counts: Sequence[int],
        collapsed: Sequence[bool] | None = None,
    ) -> None:
        """
        Put rows below headings; for a `FlowGeometry`.

        Parameters
        ----------
        headings : sequence of str
            Empty for rows without headings.
        counts : sequence of int
            How many rows there are below each heading, in their order.
        collapsed : sequence of bool, optional
            Which of the sections are hidden.
        """
        look, n_rows = self.look, self.count()
        look.headings = list(headings)
        look.counts = np.asarray(counts, dtype=int)
        look.collapsed = np.zeros(len(look.headings), dtype=bool)
        if collapsed is not None:
            look.collapsed[:] = collapsed
        if look.headings:
            self.sheet_geometry.set_sections(look.counts, look.collapsed)
        else:
            self.sheet_geometry.set_count(n_rows)
        self.relayout()

    def toggle_section(self, section: int) -> None:
        """Hide the rows below a heading, or show them again, and emit a signal."""
        self.collapse([section], not self.look.collapsed[section])

    def collapse(self, sections: Sequence[int], collapsed: bool) -> None:
        """Hide or show the rows below headings, and emit a signal."""
        before = self.look.collapsed.copy()
        self.look.collapsed[list(sections)] = collapsed
        if (before != self.look.collapsed).any():
            self.sheet_geometry.set_sections(self.look.counts, self.look.collapsed)
            self.relayout(keep_place=False)
            self.sections_toggled.emit()

    def current_section(self) -> int:
        """The section of the current row; -1 if there is none."""
        row = self.currentIndex().row()
        if row < 0 or not self.look.headings:
            return -1
        return self.sheet_geometry.section_of(row)
