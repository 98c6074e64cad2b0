"""The common base of widgets that show a sheet of images."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from AnyQt.QtWidgets import QWidget
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.widget import Msg, OWWidget
from orangewidget.report.report import get_html_img

from orangecontrib.imageanalytics.contact_sheet import ContactSheet
from orangecontrib.imageanalytics.widgets.preview.rowdetails import row_details
from orangecontrib.imageanalytics.widgets.sheet.coloring import Coloring
from orangecontrib.imageanalytics.widgets.sheet.flowgeometry import FlowGeometry
from orangecontrib.imageanalytics.widgets.sheet.geometry import Geometry
from orangecontrib.imageanalytics.widgets.sheet.hovercard import HoverCard, card_text
from orangecontrib.imageanalytics.widgets.sheet.imagewindows import (
    ImageWarnings,
    ImageWindowsMixin,
)
from orangecontrib.imageanalytics.widgets.sheet.legend import Legend
from orangecontrib.imageanalytics.widgets.sheet.selection import Selection
from orangecontrib.imageanalytics.widgets.sheet.sheet_export import SheetExport
from orangecontrib.imageanalytics.widgets.sheet.sheetcontents import contact_sheet
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import ThumbnailModel
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import NO_IMAGE_COLUMN
from orangecontrib.imageanalytics.widgets.utils.option_boxes import OptionBoxes

SIZE_TIP = "Size of the images; or hold Ctrl and turn the mouse wheel"
#: Images in cells of so many points are not shown larger under the mouse.
LARGE = 260


class OWImageSheet(ImageWindowsMixin, OWWidget, openclass=True):
    """
    Base of widgets whose main area is a sheet of images.

    It has the view with its loader, the preview, the window to compare, the menu, what
    saves and prints the sheet, and the messages about images that cannot be shown,
    opened or copied. A widget has its table in the attribute `data`.
    """

    class Warning(ImageWarnings, OWWidget.Warning):
        pass

    class Error(OWWidget.Error):
        no_image_attr = Msg(NO_IMAGE_COLUMN)

    graph_name = "sheet"
    #: The setting with the size of images, of widgets with a `FlowGeometry`.
    size_setting: ClassVar = "imageSize"

    def __init__(self):
        super().__init__()
        self.coloring: Coloring | None = None
        self.options = OptionBoxes(self.controlArea)

    def add_size_slider(self) -> None:
        """Add a slider for the size of images to the last box of options."""
        slider = gui.hSlider(
            None,
            self,
            self.size_setting,
            minValue=FlowGeometry.smallest,
            maxValue=FlowGeometry.largest,
            step=FlowGeometry.scale_step,
            callback=lambda: self.view.set_scale(getattr(self, self.size_setting)),
            createLabel=False,
        )
        self.options.add_row("Size:", slider, SIZE_TIP)

    def keep_size(self, scale: float) -> None:
        """Keep the size of images that the mouse wheel or keys have set."""
        setattr(self, self.size_setting, int(scale))

    def make_view(
        self, geometry: Geometry, selection: Callable[[SheetView], Selection]
    ) -> SheetView:
        """
        Put the view into the main area, with everything that belongs to it.

        Parameters
        ----------
        geometry : Geometry
            Where its cells are.
        selection : callable
            As for `SheetView`.

        Returns
        -------
        SheetView
            The attribute `view`.
        """
        self.make_loader()
        self.view = SheetView(geometry, selection)
        self.view.setModel(ThumbnailModel(self.loader, self))
        self.mainArea.layout().addWidget(self.view)
        self.make_windows()
        self.export = SheetExport(self, self.contact_sheet)
        self.hover_card = HoverCard(self.view)
        self.view.hovered.connect(self._on_hovered)
        self.view.model().modelReset.connect(self.hover_card.forget)
        return self.view

    def set_details_of(self, data: Table | None, rows: Sequence[int]) -> None:
        """Set the rows of a table to which the images belong, to list their values."""
        self.view.model().set_details(row_details(data, rows))

    def contact_sheet(self) -> ContactSheet | None:
        """The whole sheet as plain data; None if there are no images."""
        named = self.data is not None and self.data.name not in ("", "untitled")
        title = self.data.name if named else self.captionTitle
        return contact_sheet(self.view, title, self.coloring)

    def save_graph(self) -> None:
        """Save the whole sheet, or the visible part."""
        self.export.save()

    def make_legend(self, box: QWidget) -> None:
        """Put the legend of the colours into a box."""
        self.legend = Legend(box)
        self.legend.clicked.connect(self._select_value)
        box.layout().addWidget(self.legend)

    def show_coloring(self, coloring: Coloring | None) -> None:
        """Draw frames in the colours of rows, and say what they mean."""
        self.coloring = coloring
        self.view.set_colors(None if coloring is None else coloring.rgb)
        self.legend.set_coloring(coloring)
        self.count_selected()

    def count_selected(self) -> None:
        """Tell in the legend how many images of each colour are selected."""
        if self.coloring is not None:
            selected = np.zeros(len(self.coloring), dtype=bool)
            selected[self.view.selected_rows()] = True
            self.legend.set_selected(selected)

    def _select_value(self, value: int, modifiers) -> None:
        self.view.select(self.coloring.rows_of(value), modifiers)

    def _on_hovered(self, row: int) -> None:
        """Show the image under the mouse large, if it is not large already."""
        view = self.view
        large = min(view.sheet_geometry.image_size()) >= LARGE
        thumbnail = view.model().thumbnail(row) if row >= 0 else None
        view.has_tooltips = large or thumbnail is None
        if view.has_tooltips:
            self.hover_card.leave()
            return
        rect = view.visualRect(view.model().index(row, 0))
        rect.moveTopLeft(view.viewport().mapToGlobal(rect.topLeft()))
        text = card_text(self.shown_values(row), view.model().description(row))
        self.hover_card.show_soon(thumbnail, text, rect, self.loader.intensity)

    def shown_values(self, row: int) -> list[tuple[str, str]]:
        """Names and values of the variables by which a row of the view is shown."""
        raise NotImplementedError

    @property
    def sheet(self):
        """The visible part of the view, without its bars."""
        return self.view.viewport()

    def report_sheet(self) -> None:
        """Add the visible part of the sheet to the report."""
        if self.view.count():
            self.report_html += get_html_img(self.sheet)

    def onDeleteWidget(self) -> None:
        """Stop loading and writing."""
        self.export.shutdown()
        self.close_windows()
        self.hover_card.shutdown()
        super().onDeleteWidget()
