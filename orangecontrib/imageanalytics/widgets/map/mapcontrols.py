"""The window of Image Map: its controls, and the plot."""

from AnyQt.QtCore import QSize
from AnyQt.QtWidgets import QSizePolicy, QWidget
from Orange.data import ContinuousVariable
from Orange.widgets import gui
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.utils.plot import OWPlotGUI

from orangecontrib.imageanalytics.widgets.map.mapgraph import ImageMapGraph
from orangecontrib.imageanalytics.widgets.map.mapview import MapView
from orangecontrib.imageanalytics.widgets.sheet.coloring import COLORABLE
from orangecontrib.imageanalytics.widgets.utils.option_boxes import OptionBoxes

MIN_EDGE, MAX_EDGE, EDGE_STEP = 24, 256, 8


class MapControlsMixin:
    """For Image Map: makes what Orange's projection widgets ask for."""

    def _add_graph(self):
        box = gui.vBox(self.mainArea, True, margin=0)
        self.view = MapView(self.image_model, self._describe, box)
        self.graph = ImageMapGraph(self, self.view)
        self.view.set_graph(self.graph)
        box.layout().addWidget(self.view)
        self.legend = self.view.legend
        self.legend.clicked.connect(self._select_value)

    def _add_controls(self):
        self.gui = OWPlotGUI(self)
        self.column_model = VariableListModel(parent=self)
        self.axis_model = DomainModel(
            DomainModel.MIXED, valid_types=(ContinuousVariable,)
        )
        self.label_model = DomainModel(placeholder="(None)")
        self.color_model = DomainModel(placeholder="(None)", valid_types=COLORABLE)
        self.options = OptionBoxes(self.controlArea)
        box = self.options.add_box("Images")
        self._add_combos(
            ("image_attr", "Column:", self.column_model, self._change_images),
            ("attr_label", "Label:", self.label_model, self.labels_changed),
            ("attr_color", "Color:", self.color_model, self.colors_changed),
        )
        self._add_size(box)
        self.options.add_box("Axes")
        self._add_combos(
            ("attr_x", "Axis x:", self.axis_model, self._change_axes),
            ("attr_y", "Axis y:", self.axis_model, self._change_axes),
        )
        self.graph.images.counted.connect(self._show_count)

    def _add_combos(self, *rows):
        for name, label, model, callback in rows:
            self.options.add_columns(self, name, label, model, callback)

    def _add_size(self, box: QWidget):
        slider = gui.hSlider(
            None,
            self,
            "image_size",
            minValue=MIN_EDGE,
            maxValue=MAX_EDGE,
            step=EDGE_STEP,
            callback=lambda: self.graph.images.places.set_edge(self.image_size),
            createLabel=False,
        )
        tip = "Size of the images; the smaller they are, the more are shown"
        self.options.add_row("Size:", slider, tip)
        self.room_label = gui.label(box, self, "")
        self.room_label.setWordWrap(True)
        # Its text must not make the controls wider than their place.
        self.room_label.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        )
        self.room_label.hide()

    def sizeHint(self):
        """Room for a good number of images."""
        return QSize(1000, 700)

    def _show_count(self):
        """Say how many images there is no room for, in view or elsewhere."""
        places, count = self.graph.images.places, len(self.imaged)
        n_shown = places.count_with_room()
        text = ""
        if 0 < n_shown < count:
            text = f"{n_shown:,} of {count:,} images have room; zoom in to see more."
        self.room_label.setText(text)
        self.room_label.setVisible(bool(text))
