"""Where the images of a map are in its window, and which of them have room."""

import math

import numpy as np
import pyqtgraph as pg
from AnyQt.QtCore import QObject, QRectF, QTimer
from AnyQt.QtCore import pyqtSignal as Signal

from orangecontrib.imageanalytics.widgets.map.separation import separations
from orangecontrib.imageanalytics.widgets.utils.background import Background

MAX_EDGE = 512
# Images grow with the root of the zoom, so that zooming also makes room for more.
GROWTH = 0.5
# How far images are apart at least, in edges.
SPACING = 1.08
# While sizes change, the old choice of images is good enough.
CHOOSE_MS = 200


class MapPlaces(QObject):
    """
    Knows where images are in a plot, and chooses those to show.

    Parameters
    ----------
    view_box : pyqtgraph.ViewBox
        The plot.
    """

    #: Images are somewhere else, or others are to be shown.
    changed = Signal()

    def __init__(self, view_box: pg.ViewBox):
        super().__init__(view_box)
        self._box = view_box
        self._x = self._y = np.zeros(0)
        self._home = QRectF(0, 0, 1, 1)
        self._edge = 64
        self._below = 0.0
        self._later: np.ndarray | None = None
        self._separations: np.ndarray | None = None
        self._chosen_for: tuple = ()  # what `_separations` depend on
        self._choosing = Background(self, self._take_separations, self._not_chosen)
        self._choose_timer = QTimer(self, singleShot=True, interval=CHOOSE_MS)
        self._choose_timer.timeout.connect(self._choose)
        view_box.sigTransformChanged.connect(self.changed)
        view_box.sigResized.connect(self._choose_soon)

    def __len__(self) -> int:
        return len(self._x)

    def set_places(self, x: np.ndarray, y: np.ndarray, home: QRectF) -> None:
        """
        Say where the images are.

        Parameters
        ----------
        x, y : numpy.ndarray of float, shape (n,)
            Places of the images, in the plot's coordinates.
        home : QRectF
            What the plot shows at first: all of them.
        """
        self._x, self._y, self._home = x, y, home
        self._separations, self._later, self._chosen_for = None, None, ()
        self._choose()
        self.changed.emit()

    def home(self) -> QRectF:
        """What the plot shows at first."""
        return QRectF(self._home)

    def set_home(self, home: QRectF) -> None:
        """Say that another part of the plot is shown at first."""
        self._home = home
        self._choose_soon()
        self.changed.emit()

    def set_edge(self, edge: int) -> None:
        """Longer side of the images, in points, as long as all of them are in view."""
        self._edge = edge
        self._choose_soon()
        self.changed.emit()

    def set_room_below(self, height: float) -> None:
        """Leave room for labels below the images."""
        self._below = height
        self._choose_soon()
        self.changed.emit()

    def set_later(self, later: np.ndarray | None) -> None:
        """Which images are only shown where there is no room for others."""
        self._later = later
        self._choose_soon()

    def close(self) -> None:
        """Stop all work, for good."""
        self._choose_timer.stop()
        self._choosing.cancel()

    def edge(self) -> float:
        """Longer side of the images at the present zoom."""
        zoom = math.sqrt(math.prod(self._zooms()))
        if zoom < 1:
            return self._edge * zoom
        return max(float(self._edge), min(self._edge * zoom**GROWTH, MAX_EDGE))

    def box(self) -> QRectF:
        """The window."""
        return QRectF(self._box.rect())

    def in_window(self) -> np.ndarray:
        """
        Where the images are in the window.

        Returns
        -------
        numpy.ndarray of float, shape (n, 2)
            In points, from the top left of the plot.
        """
        to_box = self._box.childTransform()
        return np.column_stack(
            (self._x * to_box.m11() + to_box.dx(), self._y * to_box.m22() + to_box.dy())
        )

    def shown(self, margin: float = 0.0) -> np.ndarray:
        """
        The images that have room in the window.

        Parameters
        ----------
        margin : float
            How far around the window images count, too, in its sides.

        Returns
        -------
        numpy.ndarray of int
            Their numbers, the most important ones first.
        """
        places, room = self.in_window(), self._box.rect()
        size = np.array([room.width(), room.height()])
        reach = size * margin + self.edge() / 2
        inside = np.all((places > -reach) & (places < size + reach), axis=1)
        rows = np.flatnonzero(inside & self._with_room())
        if not len(rows):
            return rows
        return rows[np.argsort(-self._separations[rows], kind="stable")]

    def count_with_room(self) -> int:
        """How many images have room at the present zoom, in the window or beside it."""
        return int(self._with_room().sum())

    def _with_room(self) -> np.ndarray:
        if self._separations is None or self._box.rect().isEmpty():
            return np.zeros(len(self), dtype=bool)
        _, down = self._home_scales()
        apart = self._separations * down * min(self._zooms())
        return apart >= self._needed(self.edge())

    # Geometry. Separations are in units of the vertical axis, along both axes.

    def _home_scales(self) -> tuple[float, float]:
        """Points in the window for 1 of the plot's coordinates, when all is in view."""
        room = self._box.rect()
        across = max(room.width(), 1) / self._home.width()
        down = max(room.height(), 1) / self._home.height()
        if self._box.state["aspectLocked"] is not False:
            across = down = min(across, down)
        return across, down

    def _zooms(self) -> tuple[float, float]:
        """How much larger things are than when all is in view, along each axis."""
        to_box, home = self._box.childTransform(), self._home_scales()
        return abs(to_box.m11()) / home[0], abs(to_box.m22()) / home[1]

    def _needed(self, edge: float) -> float:
        return (edge + self._below) * SPACING

    def _choose_soon(self) -> None:
        if not self._choose_timer.isActive():
            self._choose_timer.start()

    def _choose(self) -> None:
        """Find out which images are shown first, unless that is known."""
        across, down = self._home_scales()
        later, packed = self._later, self._needed(self._edge) / down
        chosen_for = (
            round(math.log(across / down), 1),
            round(math.log(packed), 2),
            None if later is None else later.tobytes(),
        )
        if len(self._x) and chosen_for != self._chosen_for:
            self._chosen_for = chosen_for
            places = np.column_stack((self._x * (across / down), self._y))
            self._choosing.start(separations, places, packed, later)

    def _take_separations(self, found: np.ndarray) -> None:
        if len(found) == len(self._x):
            self._separations = found
            self.changed.emit()

    def _not_chosen(self, error: Exception) -> None:
        raise error
