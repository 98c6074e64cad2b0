"""The plot of Image Map: that of Orange's Scatter Plot, with images at its points."""

import numpy as np
import pyqtgraph as pg
from AnyQt.QtCore import QRectF, Qt
from AnyQt.QtGui import QBrush, QColor
from AnyQt.QtWidgets import QApplication
from Orange.widgets.utils.colorpalettes import LimitedDiscretePalette
from Orange.widgets.visualize.owscatterplotgraph import (
    OWScatterPlotBase,
    ScatterBaseParameterSetter,
)
from Orange.widgets.visualize.utils.customizableplot import Updater

from orangecontrib.imageanalytics.widgets.map.mapimages import (
    DIMMED,
    DOT,
    MapImages,
    MapLook,
)

#: Of selected images, as Orange's Scatter Plot has it.
SELECTED = QColor(255, 190, 0)
# How much of the window stays free for images at each border, at most.
MAX_PADDING = 0.2
# Points nearer to each other are at one place: no scale can tell them apart.
MIN_EXTENT = 1e-300


class ImageMapParameterSetter(ScatterBaseParameterSetter):
    """What the plot lets change of its looks: titles, labels and axes."""

    def update_setters(self):
        super().update_setters()
        labels = self.initial_settings[self.LABELS_BOX]
        # The legend is beside the plot.
        for name in (self.CAT_LEGEND_LABEL, self.NUM_LEGEND_LABEL):
            del labels[name]
            del self._setters[self.LABELS_BOX][name]
        labels[self.AXIS_TITLE_LABEL] = self.FONT_SETTING
        labels[self.AXIS_TICKS_LABEL] = self.FONT_SETTING

        def update_labels(**settings):
            self.label_font = Updater.change_font(self.label_font, settings)
            self.master.images.set_font(self.label_font)

        self._setters[self.LABELS_BOX][self.LABEL_LABEL] = update_labels

    @property
    def axis_items(self):
        axes = self.master.plot_widget.plotItem.axes.values()
        return [value["item"] for value in axes]


class ImageMapGraph(OWScatterPlotBase):
    """
    Dots, with images at those that are shown at the present zoom.

    Its widget has, beside what Orange asks for, `coloring`, `labelled` and
    `is_projection`, and in `imaged` the points of the images in `image_model`.
    """

    def __init__(self, scatter_widget, parent=None):
        super().__init__(scatter_widget, parent)
        self.images = MapImages(self.view_box, scatter_widget.image_model)
        self.images.clicked.connect(self._click)
        self.parameter_setter = ImageMapParameterSetter(self)
        for axis in ("bottom", "left"):
            # An axis with shorter numbers would leave the plot more room, by which its
            # range and so the numbers change: at some sizes back and forth without end.
            self.plot_widget.getAxis(axis).setStyle(autoReduceTextSpace=False)
        #: What was shown by `_reset_view`; until the user zooms, it is shown still.
        self._home_range: list | None = None
        self.view_box.sigResized.connect(self._follow_size)

    # Places

    def update_coordinates(self):
        """Place dots and images anew, and name the axes."""
        self.view_box.setAspectLocked(self.master.is_projection)
        super().update_coordinates()
        for axis, variable in zip(("bottom", "left"), self.master.axes, strict=True):
            self.plot_widget.showAxis(axis, variable is not None and self.n_valid > 0)
            if variable is not None:
                self.plot_widget.setLabel(axis=axis, text=variable.name)
                item = self.plot_widget.getAxis(axis)
                item.use_time(variable.is_time)
        x, y = self.master.get_coordinates_data()
        if x is None:
            x = y = np.zeros(0)
        imaged = self.master.imaged
        self.images.set_places(x[imaged], y[imaged], self._home(x, y))

    def _home(self, x: np.ndarray, y: np.ndarray) -> QRectF:
        """All of the points, with room for images at the border."""
        sides = []
        room = self.view_box.rect()
        for values, size in ((x, room.width()), (y, room.height())):
            low, high = (values.min(), values.max()) if len(values) else (0, 1)
            # One point, or points on a line, are in the middle.
            extent = high - low if high - low > MIN_EXTENT else 1.0
            free = min(self.master.image_size * 0.6 / max(size, 1), MAX_PADDING)
            middle, whole = low / 2 + high / 2, extent / (1 - 2 * free)
            sides.append((middle - whole / 2, whole))
        (left, width), (top, height) = sides
        return QRectF(left, top, width, height)

    def _reset_view(self, x_data, y_data):
        self.view_box.setRange(self._home(x_data, y_data), padding=0)
        self._home_range = self.view_box.targetRange()

    def _follow_size(self):
        """Leave as much room for images at the border as the new size needs."""
        if self.n_valid and self._home_range == self.view_box.targetRange():
            x, y = self.master.get_coordinates_data()
            self._reset_view(x, y)
            self.images.places.set_home(self._home(x, y))

    def reset_button_clicked(self):
        """Show all of the points again."""
        x, y = self.master.get_coordinates_data()
        if x is not None:
            self._reset_view(x, y)
            self.view_box.tag_history()

    def bring_into_view(self, row: int):
        """Move the plot so that an image is in it."""
        place = self.images.places.in_window()[row]
        reach, room = self.images.places.edge() / 2, self.images.places.box()
        moves = [
            min(at - reach, 0) or max(at + reach - size, 0)
            for at, size in zip(place, (room.width(), room.height()), strict=True)
        ]
        if any(moves):
            across, down = self.view_box.viewPixelSize()
            # Both at once, as their scales may be tied.
            self.view_box.translateBy(pg.Point(moves[0] * across, -moves[1] * down))

    # Looks

    def get_sizes(self):
        return np.full(self.n_shown, float(DOT))

    def get_colors(self):
        """Pens and brushes of the dots, the same object for the same colour."""
        coloring, subset = self.master.coloring, self.master.get_subset_mask()
        self.subset_is_shown = subset is not None
        alphas = np.full(self.n_shown, 255)
        if subset is not None:
            alphas[~subset] = round(255 * DIMMED)
        if coloring is None:
            rgb = np.full((self.n_shown, 3), self.COLOR_DEFAULT)
        else:
            rgb = coloring.rgb
        rgba = np.column_stack((rgb, alphas)).astype(int)
        distinct, places = np.unique(rgba, axis=0, return_inverse=True)
        colors = [QColor(*color) for color in distinct.tolist()]
        brushes = np.array([QBrush(color) for color in colors], dtype=object)
        pens = [pg.mkPen(color.darker(self.DarkerValue)) for color in colors]
        return np.array(pens)[places.ravel()], brushes[places.ravel()]

    def selection_colors(self) -> list[QColor | None]:
        """Colours of the marks of points by their group; the first is for none."""
        count = 0 if self.selection is None else int(self.selection.max(initial=0))
        if count < 2:
            return [None, SELECTED]
        palette = LimitedDiscretePalette(number_of_colors=count + 1)
        return [None, *(palette[number] for number in range(count))]

    def update_colors(self):
        super().update_colors()
        self.update_images()

    def update_selection_colors(self):
        super().update_selection_colors()
        if self.scatterplot_item_sel is not None:
            # Invisible rings would take as long to draw as the dots.
            anything = self.selection is not None and self.selection.any()
            self.scatterplot_item_sel.setVisible(bool(anything))
        self.update_images()

    def update_labels(self):
        """Write labels below the images, instead of beside the dots."""
        self.update_images()

    def update_legends(self):
        """Nothing: the legend is beside the plot."""

    def update_images(self):
        """Hand colours, selection and subset on to the images."""
        if not hasattr(self, "images"):
            return  # while it is being made
        imaged, coloring = self.master.imaged, self.master.coloring
        subset, marks, rings = self.master.get_subset_mask(), None, None
        if self.selection is not None:
            marks = self.selection_colors()
            rings = [marks[group] for group in self.selection[imaged].tolist()]
        self.images.set_look(
            MapLook(
                colors=None if coloring is None else self._frames(coloring, imaged),
                rings=rings,
                dimmed=None if subset is None else ~subset[imaged],
                labelled=self.master.labelled,
            )
        )

    @staticmethod
    def _frames(coloring, imaged: np.ndarray) -> list[QColor]:
        colors = coloring.qcolors()
        return [colors[point] for point in imaged.tolist()]

    # Selection

    def _click(self, row: int):
        self.select_images([row])

    def select_images(self, rows, modifiers=None):
        """Select images by their rows, as `select_by_indices` does points."""
        self.select_by_indices(self.master.imaged[rows], modifiers)

    def selected_images(self) -> list[int]:
        """The rows of the selected images."""
        if self.selection is None:
            return []
        return np.flatnonzero(self.selection[self.master.imaged]).tolist()

    def select_all(self):
        """Select all points."""
        if self.n_valid:
            self.selection_select(np.arange(self.n_valid))

    def select_by_indices(self, indices, modifiers=None):
        """
        Select points as a click does, with the keys that are held or with others.

        Parameters
        ----------
        indices : sequence of int
            The points.
        modifiers : Qt.KeyboardModifier, optional
            The keys.
        """
        held = Qt.KeyboardModifier
        keys = QApplication.keyboardModifiers() if modifiers is None else modifiers
        if self.selection is None:
            self.selection = np.zeros(self.n_valid, dtype=np.uint8)
        if keys & held.ControlModifier:
            self.selection_append(indices)
        elif keys & held.ShiftModifier:
            self.selection_new_group(indices)
        elif keys & held.AltModifier:
            self.selection_remove(indices)
        else:
            self.selection_select(indices)

    def help_event(self, event):
        """No tooltip: images have a window of their own."""
        return False
