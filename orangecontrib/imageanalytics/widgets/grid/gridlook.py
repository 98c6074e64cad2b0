"""The part of Image Grid that controls the look of its images."""

import math

from Orange.data import Table
from Orange.widgets import gui

from orangecontrib.imageanalytics.widgets.preview.rowdetails import row_values
from orangecontrib.imageanalytics.widgets.sheet.coloring import row_coloring
from orangecontrib.imageanalytics.widgets.sheet.subset import rows_in_subset
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import row_labels

WHOLE, CROPPED = range(2)


class GridLookMixin:
    """
    Shows labels, colours, a subset, the shape of cells and their size.

    The widget has the settings `imageAttr`, `label_attr`, `color_attr` and `cell_fit`,
    and says which rows of `data` are `_shown`, and the `_sources` of all.
    """

    data_subset: Table | None

    def _make_look_boxes(self):
        box = self.options.add_box("Cells")
        gui.radioButtons(
            box,
            self,
            "cell_fit",
            ["Whole image", "Cut to fill the cell"],
            callback=lambda: self.view.set_crop(self.cell_fit == CROPPED),
        )
        slider = gui.hSlider(
            None,
            self,
            "zoom",
            minValue=0,
            maxValue=100,
            callback=self._change_zoom,
            createLabel=False,
        )
        tip = "Size of the cells; or hold Ctrl and turn the mouse wheel"
        self.options.add_row("Zoom:", slider, tip)
        gui.rubber(self.controlArea)

    def _label_view(self):
        variables = [self.label_attr] if self.label_attr is not None else []
        labels = row_labels(self.data, variables, self._shown)
        self.view.set_labels(len(variables), labels)

    def shown_values(self, row: int) -> list[tuple[str, str]]:
        """Label and colour."""
        variables = self.label_attr, self.color_attr
        return row_values(self.data, int(self._shown[row]), variables)

    def _show_labels(self):
        self._label_view()
        self._resize_timer.start()

    def _show_colors(self):
        data = self.data if len(self._shown) else None
        self.show_coloring(row_coloring(data, self.color_attr, self._shown))

    def _show_subset(self):
        self.Warning.incompatible_subset.clear()
        self.Warning.extras_in_subset.clear()
        if self.data is None or not self.data_subset:
            self.view.set_dimmed(None)
            return
        inside, n_found = rows_in_subset(
            self.data, self._sources, self.imageAttr, self.data_subset
        )
        if not n_found:
            self.Warning.incompatible_subset()
        elif n_found < len(self.data_subset):
            self.Warning.extras_in_subset()
        self.view.set_dimmed(~inside[self._shown])

    def _on_scaled(self, scale: float):
        largest = self.view.sheet_geometry.scale_range()[1]
        self.zoom = round(100 * math.log(scale, largest)) if largest > 1 else 0

    def _change_zoom(self):
        largest = self.view.sheet_geometry.scale_range()[1]
        self.view.set_scale(largest ** (self.zoom / 100))
