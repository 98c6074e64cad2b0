"""How an image is looked at: how large it is, and which part is in sight."""

import math
from dataclasses import dataclass, replace

from orangecontrib.imageanalytics.widgets.sheet.thumbnails import fitted

MAX_ZOOM = 16.0

Size = tuple[int, int]
Place = tuple[float, float]


@dataclass(frozen=True)
class View:
    """
    How an image is looked at; the same for images of any size.

    Its methods take the size of an image in its own pixels, and that of the box in
    which it is seen, in device pixels.

    Attributes
    ----------
    factor : float
        How large the image is.
    of_fit : bool
        Whether the factor counts from the size that fits into the box; otherwise it
        is device pixels for one pixel of the image.
    center : (float, float)
        The place in the middle of the box, in parts of the image.
    """

    factor: float = 1.0
    of_fit: bool = True
    center: Place = (0.5, 0.5)

    @property
    def is_whole(self) -> bool:
        """Whether the image is just fitted."""
        return self.of_fit and self.factor == 1.0

    def zoom(self, size: Size, box: Size) -> float:
        """Device pixels for one pixel of the image."""
        return self.factor * (_fit(size, box) if self.of_fit else 1.0)

    def limited(self, size: Size, box: Size) -> "View":
        """Neither smaller than box and single pixels nor larger than is of use."""
        fit = _fit(size, box)
        zoom = min(max(self.zoom(size, box), min(fit, 1.0)), max(fit, MAX_ZOOM))
        if math.isclose(zoom, fit):
            return WHOLE
        return replace(self, factor=zoom / fit if self.of_fit else zoom)

    def inside(self, size: Size, box: Size) -> "View":
        """Moved so that the box shows nothing outside if the image is large enough."""
        if self.is_whole:
            return self
        zoom, center = self.zoom(size, box), []
        for place, side, room in zip(self.center, size, box, strict=True):
            half = min(0.5, room / (side * zoom) / 2)
            center.append(min(max(place, half), 1 - half))
        return replace(self, center=tuple(center))

    def moved(self, size: Size, box: Size, by: Place) -> "View":
        """With what is in sight moved to the right and down, by device pixels."""
        zoom = self.zoom(size, box)
        center = tuple(
            place + shift / zoom / side
            for place, shift, side in zip(self.center, by, size, strict=True)
        )
        return replace(self, center=center)

    def zoomed_to(self, view: "View", size: Size, box: Size, at: Place) -> "View":
        """
        Another view, in which one place stays the same.

        Parameters
        ----------
        view : View
            The other one; its centre is of no effect.
        size, box : (int, int)
            As for all methods.
        at : (float, float)
            The place, in device pixels from the middle of the box.

        Returns
        -------
        View
        """
        change = 1 / self.zoom(size, box) - 1 / view.zoom(size, box)
        center = tuple(
            place + shift * change / side
            for place, shift, side in zip(self.center, at, size, strict=True)
        )
        return replace(view, center=center)

    def target(self, size: Size, box: Size) -> tuple[int, int, int, int]:
        """Where the whole image is: left, top, width and height in device pixels."""
        if self.is_whole:
            sides = fitted(size, box)
        else:
            zoom = self.zoom(size, box)
            sides = tuple(max(1, round(side * zoom)) for side in size)
        # Only whole device pixels keep the image sharp.
        places = (
            round(room / 2 - place * side)
            for room, place, side in zip(box, self.center, sides, strict=True)
        )
        return (*places, *sides)


WHOLE = View()


def _fit(size: Size, box: Size) -> float:
    return min(box[0] / size[0], box[1] / size[1])
